"""The partition engine: the log of one input partition in, everything that follows from it out.

Nothing is decided before a tick closes an interval, so how polls cut the log cannot matter (docs/adr/0002).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np

from processors.actions import ActionBatch
from processors.astray import forward_rows, store_duplicates
from processors.batches import Batch, BoolArray, IntArray
from processors.checkpoint import Checkpoint
from processors.city import City
from processors.claims import changed_claims
from processors.domain import Domain, Form, Message
from processors.history import Entries, History, Verdict
from processors.ingest import (
    AFTER_LAST_MS,
    IngestRule,
    Interval,
    check_clock,
    judged,
    shards_of,
)
from processors.observation_rows import observation_columns
from processors.outcome import TICK, Gathered, Outcome, Refusal
from processors.publications import RECORD as PUBLICATION
from processors.publications import take_publications
from processors.records_in import MOST_BYTES, RawRecord, largest
from processors.refusals import overlong, refusal_of, rejects_of, strangers
from processors.registrations import RECORD as REGISTRATION
from processors.registrations import Registrations
from processors.rows import RowBuffer
from processors.stretch import Closing, Stretch
from processors.watches.contract import TURN_MS, Turn, observed
from schemas.codec import Codec, schema_ids
from schemas.dictionary import DictionaryArray
from schemas.errors import Reason
from schemas.errors import Rejected as Refused
from schemas.ids import SHARDS
from schemas.records import (
    DeviceRegistration,
    Observation,
    ObservationBlock,
)

REACH_MS: Final = 600_000
"""How far back of a record any detector looks: at most 5 records, no more than 2 minutes from each to the next."""
MISDATED: Final = frozenset({Reason.FUTURE, Reason.LATE})
"""What a record is refused for when nothing but its time is wrong."""

RIVAL: Final = "another record of the same device and time, with other content, is used"

_VALUE: Final = attrgetter("value")
_OFFSET: Final = attrgetter("offset")


class PartitionEngine:
    """One input partition: records in log order become observations, rows, rejects and checkpoints.

    next_offset: the first offset after the last closed interval; what came after it is not decided yet.
    tick_ms: the tick that closed it, None before the first one.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        partitions: int,
        domain: Domain,
        codec: Codec,
        city: City,
        rule: IngestRule,
        registered: Iterable[DeviceRegistration] = (),
    ) -> None:
        """Start with nothing known but what was registered of this partition's devices before the log begins.

        topic: its name without a run's prefix.
        Raises ValueError when the partition count does not divide the 64 shards.
        """
        if SHARDS % partitions:
            raise ValueError(f"{partitions} partitions do not divide {SHARDS} shards")
        self.next_offset = 0
        self.tick_ms: int | None = None
        self._topic = topic
        self._partition = partition
        self._partitions = partitions
        domain = domain if domain.in_city is None else domain.in_city(city)
        self._domain = domain
        self._codec = codec
        self._package = city
        self._registrations = None if domain.devices is None else Registrations(domain.devices, registered)
        self._city = city if self._registrations is None else self._registrations.over(city)
        self._rule = rule
        self._histories = {name: History(name, form.remembered, form.whole_ms) for name, form in domain.forms.items()}
        self._watches = tuple(make(city) for make in domain.watches)
        self._rows = RowBuffer(topic, partition, 0)
        self._seen_offset = -1
        self._sealed_offset = 0
        self._pending: list[RawRecord] = []
        self._pending_ids: list[IntArray] = []
        self._unsent: dict[str, bytes] = {}
        self._sent_live: tuple[str, ...] = ()

    def push(self, records: Sequence[RawRecord]) -> Outcome:
        """Take the next records of the log, ticks among them, and return what the ticks decided.

        Never raises for what a producer sent. Raises ValueError when the offsets do not increase.
        """
        gathered = Gathered()
        self._check_order(records)
        schema_id = schema_ids(list(map(_VALUE, records)))
        start, after_ms = 0, self.tick_ms
        closings: list[Closing] = []
        ticks = np.zeros(len(records), bool)
        for tick_id in self._codec.ids_of(TICK):
            ticks |= schema_id == tick_id
        for at in ticks.nonzero()[0].tolist():
            tick_ms = self._tick_of(records[at])
            if tick_ms is None:
                continue
            self._wait(records[start:at], schema_id[start:at])
            start = at + 1
            gathered.counts[TICK] += 1
            if 0 <= tick_ms < AFTER_LAST_MS and (after_ms is None or tick_ms > after_ms):
                closings.append(self._closing(Interval(after_ms, tick_ms), records[at].offset))
                after_ms = tick_ms
                if self._is_due(closings[-1].interval):
                    self._close(closings, gathered)
                    closings = []
        self._wait(records[start:], schema_id[start:])
        self._close(closings, gathered)
        if gathered.checkpoint is not None:
            self._unsent, self._sent_live = {}, gathered.checkpoint.live
        return gathered.outcome()

    def restore(self, parts: Mapping[str, bytes], live: Sequence[str], next_offset: int, tick_ms: int) -> None:
        """Continue a fresh engine from a checkpoint: its parts by key, the keys in their order, where and when.

        Raises ValueError when a part is of another format or of a record that this topic does not take.
        """
        known = {*self._histories, *(() if self._registrations is None else (REGISTRATION,))}
        known |= {watch.name for watch in self._watches}
        for name in live:
            if name.partition("/")[0] not in known:
                raise ValueError(f"checkpoint part {name} does not belong to {self._topic}")
        if self._registrations is not None:
            self._registrations.load([(name, parts[name]) for name in live if name.startswith(f"{REGISTRATION}/")])
            self._city = self._registrations.over(self._package)
        for record, history in self._histories.items():
            own = [(name, parts[name]) for name in live if name.partition("/")[0] == record]
            history.load(own, tick_ms - self._rule.lateness_ms)
        for watch in self._watches:
            own = [(name, parts[name]) for name in live if name.partition("/")[0] == watch.name]
            watch.load(own, self._turn(tick_ms))
        self.next_offset, self.tick_ms = next_offset, tick_ms
        self._rows = RowBuffer(self._topic, self._partition, next_offset)
        self._seen_offset, self._sealed_offset = next_offset - 1, next_offset
        self._sent_live = tuple(live)

    def _check_order(self, records: Sequence[RawRecord]) -> None:
        offsets = np.array([self._seen_offset, *map(_OFFSET, records)], np.int64)
        back = (offsets[1:] <= offsets[:-1]).nonzero()[0]
        if len(back):
            raise ValueError(f"offset {offsets[back[0] + 1]} came after {offsets[back[0]]}")
        self._seen_offset = int(offsets[-1])

    def _wait(self, records: Sequence[RawRecord], schema_id: IntArray) -> None:
        """Keep records of those schema ids (n,) until their tick."""
        if len(records):
            self._pending.extend(records)
            self._pending_ids.append(schema_id)

    def _tick_of(self, record: RawRecord) -> int | None:
        """Return the time of a record that claims to be a tick, None if it is none."""
        if largest(record) > MOST_BYTES:
            return None
        try:
            return int(self._codec.decode(record.value)[1]["at_ms"])
        except Refused:
            return None

    def _closing(self, interval: Interval, offset: int) -> Closing:
        """Return an interval with what waited for its tick, which stands at `offset`."""
        records, schema_id = self._pending, self._pending_ids
        self._pending, self._pending_ids = [], []
        return Closing(interval, offset, records, np.concatenate([np.zeros(0, np.int64), *schema_id]))

    def _close(self, closings: Sequence[Closing], gathered: Gathered) -> None:
        """Decide everything that came in intervals of which none but the last leads to more than its records say."""
        first = 0
        for at, closing in enumerate(closings):
            # What is registered changes what the records say that come after it.
            if at > first and any(self._changes_all(one) for one in closing.schema_ids):
                self._decide(Stretch(closings[first:at]), gathered)
                first = at
        if closings:
            self._decide(Stretch(closings[first:]), gathered)

    def _decide(self, stretch: Stretch, gathered: Gathered) -> None:
        """Decide everything that came in a stretch; registrations and publications came in its first interval."""
        waiting, first = self._by_name(stretch), stretch.closings[0]
        if REGISTRATION in waiting:
            self._register(waiting.pop(REGISTRATION), first, gathered)
        if PUBLICATION in waiting:
            self._publish(waiting.pop(PUBLICATION), first, gathered)
        for name, form in self._domain.forms.items():
            if name in waiting:
                self._ingest(form, waiting[name], stretch, gathered)
        for closing in stretch.closings:
            self._finish(closing, gathered)

    def _by_name(self, stretch: Stretch) -> dict[str, list[RawRecord]]:
        """Return what came in a stretch by record name, in log order; refuse what belongs to no form."""
        records = [record for closing in stretch.closings for record in closing.records]
        fits = overlong(records, stretch.refuse)
        known = set[int]().union(*(closing.schema_ids for closing in stretch.closings))
        if len(known) > 1 or fits is not None:
            schema_id = np.concatenate([closing.schema_id for closing in stretch.closings])
        found: dict[str, list[RawRecord]] = {}
        for one in sorted(known):
            name, those = self._codec.name_of(one) or "", records
            if len(known) > 1 or fits is not None:
                rows = np.flatnonzero(schema_id == one if fits is None else fits & (schema_id == one)).tolist()
                those = [records[row] for row in rows]
            if self._takes(name):
                # Several schema ids may stand for one name; the order of the log decides among their records.
                found[name] = sorted([*found[name], *those], key=_OFFSET) if name in found else those
            else:
                for refusal in strangers(those, self._codec, self._topic):
                    stretch.refuse(refusal)
        return {name: those for name, those in found.items() if those}

    def _takes(self, name: str) -> bool:
        if name == PUBLICATION:
            return self._domain.publishes
        return name in self._histories or (name == REGISTRATION and self._registrations is not None)

    def _changes_all(self, schema_id: int) -> bool:
        """Tell whether records of that schema are taken before all others of their interval."""
        name = self._codec.name_of(schema_id)
        return name in (REGISTRATION, PUBLICATION) and self._takes(name)

    def _finish(self, closing: Closing, gathered: Gathered) -> None:
        """Gather what an interval of which everything is decided led to."""
        interval, offset = closing.interval, closing.offset
        for table, columns in closing.rows:
            self._rows.add(table, columns)
        observations = closing.observations + self._watched(interval, offset)
        observations.sort(key=lambda observation: (observation.at_ms, observation.observation_id))
        if closing.refused:
            rejected, rows = rejects_of(closing.refused, interval.tick_ms, self._topic, self._partition)
            self._rows.add("rejected", rows)
            gathered.rejected.extend(rejected)
        gathered.forwarded.extend(closing.forwarded)
        self._store_observations(observations, interval.tick_ms)
        gathered.blocks.append(
            ObservationBlock(
                tick_ms=interval.tick_ms,
                source_partition=self._partition,
                source_topic=self._topic,
                observations=tuple(observations),
                actions=tuple(sorted(closing.actions, key=lambda action: (action.at_ms, action.action_id))),
                revoked=closing.revoked,
                published=closing.published,
            )
        )
        self.next_offset, self.tick_ms = offset + 1, interval.tick_ms
        rule = self._rule
        checkpoint_due = self._checkpoint_due(interval)
        if checkpoint_due or _turned(interval, rule.block_ms) or self._rows.rows >= rule.block_rows:
            gathered.frames.extend(self._rows.cut(interval.tick_ms, offset))
        if checkpoint_due:
            gathered.checkpoint = self._checkpoint(interval.tick_ms)

    def _checkpoint_due(self, interval: Interval) -> bool:
        return _turned(interval, self._rule.checkpoint_ms)

    def _is_due(self, interval: Interval) -> bool:
        """Tell whether an interval leads to more than its records say: by time, or by all records up to its tick."""
        return _turned(interval, TURN_MS) or self._checkpoint_due(interval)

    def _turn(self, tick_ms: int) -> Turn:
        return Turn(tick_ms, tick_ms - self._rule.lateness_ms, self._histories)

    def _watch_misdated(self, form: Form[Any], batch: Batch, rows: Sequence[int]) -> None:
        """Show rows of a batch that are refused for their time alone to the watches that look at times."""
        watches = [watch for watch in self._watches if watch.takes_misdated]
        if rows and watches:
            shown = batch.take(np.array(sorted(rows), np.int64))
            _, remembered = form.place(shown, self._city)
            for watch in watches:
                watch.take(form.record, shown, remembered, self._city)

    def _watched(self, interval: Interval, offset: int) -> list[Observation]:
        """Return what the watches claim at the tick that closes an interval and stands at `offset`."""
        if not self._is_due(interval):
            return []
        turn = self._turn(interval.tick_ms)
        told = [one for watch in self._watches for one in watch.answer(turn)]
        return [observed(one, offset, self._partition, self._topic) for one in told]

    def _register(self, records: Sequence[RawRecord], closing: Closing, gathered: Gathered) -> None:
        """Take the registrations of an interval, before its other records."""
        assert self._registrations is not None
        messages = self._decoded(records, closing)
        device_ids = [message.fields["device_id"] for message in messages]
        rows = [message.raw for message in messages], np.arange(len(messages))
        astray = self._astray(shards_of(device_ids), *rows, device_ids.__getitem__, Stretch([closing]), gathered)
        here = [messages[row] for row in np.flatnonzero(~astray).tolist()]
        taken = self._registrations.take(here, self._package, closing.interval.tick_ms)
        closing.refused += [Refusal(raw, *judged(mistakes)) for raw, mistakes in taken.refused]
        closing.rows += [("device_log", taken.used), ("duplicates", taken.duplicates)]
        gathered.counts["device_log"] += len(taken.used["source_offset"])
        gathered.counts["duplicates"] += len(taken.duplicates["source_offset"])
        if taken.changed:
            self._city = self._registrations.over(self._package)
        closing.revoked = taken.revoked

    def _publish(self, records: Sequence[RawRecord], closing: Closing, gathered: Gathered) -> None:
        """Take the rule sets published in an interval: the sound ones."""
        taken = take_publications(self._decoded(records, closing))
        closing.refused += [Refusal(raw, *judged(mistakes)) for raw, mistakes in taken.refused]
        closing.rows.append(("actions", taken.rows))
        gathered.counts["actions"] += len(taken.used)
        closing.published = taken.used

    def _decoded(self, records: Sequence[RawRecord], closing: Closing) -> list[Message]:
        """Return records of one name with their fields; refuse those that are none."""
        messages = []
        for record in records:
            try:
                messages.append(Message(record, self._codec.decode(record.value)[1]))
            except Refused as refusal:
                closing.refused.append(Refusal(record, refusal.reason, refusal.errors))
        return messages

    def _ingest(self, form: Form[Any], records: Sequence[RawRecord], stretch: Stretch, gathered: Gathered) -> None:
        """Decide the records of one form that came in a stretch."""
        history = self._histories[form.record]
        rows = form.read(records, self._codec, history.keys, self._city)
        batch = rows.batch
        for place, (reason, words) in rows.unread.by_record.items():
            stretch.refuse(Refusal(records[place], reason, words))
        device = getattr(batch, form.device_field)
        astray = self._astray(rows.shard, records, rows.record, lambda row: _text(device, row), stretch, gathered)
        number = stretch.numbers(batch.offset)
        check_clock(batch.at_ms, stretch.after_ms[number], stretch.tick_ms[number], self._rule, rows.mistakes)
        misdated: list[int] = []
        for row, found in rows.mistakes.by_row.items():
            if not astray[row]:
                stretch.refuse(refusal_of(records, rows, row, *judged(found), self._codec))
                misdated += [row] if all(reason in MISDATED for reason, _ in found) else []
        self._watch_misdated(form, batch, misdated)
        astray[list(rows.mistakes.by_row)] = True
        sound = np.flatnonzero(~astray)
        if len(sound) < len(batch):
            batch, number = batch.take(sound), number[sound]
        slot = form.slots(batch, history.keys)
        for some in stretch.groups(slot, number, len(history.keys)):
            part = batch if some.stop - some.start == len(batch) else batch.take(some)
            entries = Entries(slot[some], part.at_ms, form.ties(part), part.content_hash)
            verdict = history.judge(entries)
            if verdict.any():
                again = verdict == Verdict.DUPLICATE
                gathered.counts["duplicates"] += store_duplicates(part, again, form.device_field, number[some], stretch)
                for row in sound[some][verdict == Verdict.CONFLICT].tolist():
                    stretch.refuse(refusal_of(records, rows, row, Reason.CONFLICT, (RIVAL,), self._codec))
            used = np.flatnonzero(verdict == Verdict.USED)
            if len(used) == len(part):
                self._use(form, part, entries, number[some], stretch, gathered)
            elif len(used):
                self._use(form, part.take(used), entries.take(used), number[some][used], stretch, gathered)

    def _use(
        self, form: Form[Any], batch: Batch, entries: Entries, number: IntArray, stretch: Stretch, gathered: Gathered
    ) -> None:
        """Store n used records, of which no key has some in several intervals; find what they change in the claims."""
        history = self._histories[form.record]
        placed, remembered = form.place(batch, self._city)
        stretch.store(form.table, placed, number)
        gathered.counts[form.table] += len(batch)
        for watch in self._watches:
            watch.take(form.record, batch, remembered, self._city)
        candidate = form.candidates(batch, {**remembered, **history.recent(entries.slot)})
        offset = np.asarray(placed["source_offset"])
        before, after = history.extend(entries, remembered, offset, form.needs_whole(batch), candidate)
        for observation in changed_claims(form, history, before, after, self._topic, self._partition):
            stretch.at(observation.source_offset).observations.append(observation)
        if isinstance(batch, ActionBatch):
            for at, action in zip(batch.offset.tolist(), batch.records(), strict=True):
                stretch.at(at).actions.append(action)

    def _astray(
        self,
        shard: IntArray,
        records: Sequence[RawRecord],
        record: IntArray,
        device: Callable[[int], str],
        stretch: Stretch,
        gathered: Gathered,
    ) -> BoolArray:
        """Set aside the rows that belong to another partition, whatever else may be wrong with them; return which.

        shard (n,): -1 = no sound device id and so no right partition. record, device: as forward_rows takes them.
        """
        target = shard % self._partitions
        astray: BoolArray = (shard >= 0) & (target != self._partition)
        if astray.any():
            gathered.counts["forwarded"] += forward_rows(astray.nonzero()[0], target, records, record, device, stretch)
        return astray

    def _store_observations(self, observations: Sequence[Observation], tick_ms: int) -> None:
        if not observations:
            return
        offsets = np.array([observation.source_offset for observation in observations], dtype=np.int64)
        self._rows.add("observations", observation_columns(observations, tick_ms, offsets, self._city))

    def _checkpoint(self, tick_ms: int) -> Checkpoint:
        """Seal what came since the last one; nothing waits now, so the state stands exactly behind the tick."""
        late_ms = tick_ms - self._rule.lateness_ms
        sealed_offset, self._sealed_offset = self._sealed_offset, self.next_offset
        for history in self._histories.values():
            self._unsent |= history.seal(sealed_offset, late_ms - REACH_MS, late_ms)
        live = tuple(name for history in self._histories.values() for name in history.live)
        if self._registrations is not None:
            self._unsent |= self._registrations.seal(sealed_offset)
            live += self._registrations.live
        for watch in self._watches:
            self._unsent |= watch.seal(sealed_offset, late_ms - REACH_MS, late_ms)
            live += watch.live
        needed = frozenset(live)
        self._unsent = {name: part for name, part in self._unsent.items() if name in needed}
        return Checkpoint(
            next_offset=self.next_offset,
            tick_ms=tick_ms,
            new_parts=dict(self._unsent),
            live=live,
            dropped=tuple(name for name in self._sent_live if name not in needed),
        )


def _text(column: Any, row: int) -> str:
    return column.text(row) if isinstance(column, DictionaryArray) else str(column[row])


def _turned(interval: Interval, span_ms: int) -> bool:
    """Tell whether a new span of time has begun with the closing tick."""
    return interval.after_ms is None or interval.tick_ms // span_ms != interval.after_ms // span_ms
