"""The partition engine: the log of one input partition in, everything that follows from it out.

Nothing is decided before a tick closes an interval, so how polls cut the log cannot matter (docs/adr/0002).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np

from processors.actions import ActionBatch
from processors.batches import Batch, BoolArray, IntArray
from processors.checkpoint import Checkpoint
from processors.city import City
from processors.claims import changed_claims
from processors.domain import Domain, Form, Message, Rows
from processors.frames_in import alone
from processors.history import Entries, History, Verdict
from processors.ingest import (
    AFTER_LAST_MS,
    IngestRule,
    Interval,
    check_clock,
    judged,
    one_line,
    shards_of,
)
from processors.observation_rows import observation_columns
from processors.outcome import TICK, Forwarded, Gathered, Outcome, Refusal
from processors.publications import RECORD as PUBLICATION
from processors.publications import take_publications
from processors.records_in import KEPT_BYTES, MOST_BYTES, RawRecord, beginning, largest
from processors.registrations import RECORD as REGISTRATION
from processors.registrations import Registrations
from processors.rows import RowBuffer, texts
from processors.watches.contract import TURN_MS, Turn, observed
from schemas.codec import Codec, schema_ids
from schemas.dictionary import DictionaryArray
from schemas.errors import Reason
from schemas.errors import Rejected as Refused
from schemas.ids import SHARDS
from schemas.records import (
    DeviceRegistration,
    Header,
    Observation,
    ObservationBlock,
    OperatorAction,
    PublishedRules,
    Rejected,
)

REACH_MS: Final = 600_000
"""How far back of a record any detector looks: at most 5 records, no more than 2 minutes from each to the next."""
MISDATED: Final = frozenset({Reason.FUTURE, Reason.LATE})
"""What a record is refused for when nothing but its time is wrong."""

_VALUE: Final = attrgetter("value")
_OFFSET: Final = attrgetter("offset")
_KEY: Final = attrgetter("key")
_HEADERS: Final = attrgetter("headers")


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
        self._refused: list[Refusal] = []
        self._unsent: dict[str, bytes] = {}
        self._sent_live: tuple[str, ...] = ()

    def push(self, records: Sequence[RawRecord]) -> Outcome:
        """Take the next records of the log, ticks among them, and return what the ticks decided.

        Never raises for what a producer sent. Raises ValueError when the offsets do not increase.
        """
        gathered = Gathered()
        self._check_order(records)
        schema_id = schema_ids(list(map(_VALUE, records)))
        start = 0
        for at in np.flatnonzero(np.isin(schema_id, self._codec.ids_of(TICK))).tolist():
            tick_ms = self._tick_of(records[at])
            if tick_ms is not None:
                self._wait(records[start:at], schema_id[start:at])
                start = at + 1
                gathered.counts[TICK] += 1
                if 0 <= tick_ms < AFTER_LAST_MS and (self.tick_ms is None or tick_ms > self.tick_ms):
                    self._close(Interval(self.tick_ms, tick_ms), records[at].offset, gathered)
        self._wait(records[start:], schema_id[start:])
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
        offsets = np.fromiter(map(_OFFSET, records), np.int64, len(records))
        back = np.flatnonzero(np.diff(offsets, prepend=self._seen_offset) <= 0)
        if len(back):
            before = offsets[back[0] - 1] if back[0] else self._seen_offset
            raise ValueError(f"offset {offsets[back[0]]} came after {before}")
        if len(offsets):
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

    def _by_name(self) -> dict[str, list[RawRecord]]:
        """Return what waited for the tick by record name, in log order; refuse what belongs to no form."""
        records, schema_id = self._pending, np.concatenate(self._pending_ids)
        self._pending, self._pending_ids = [], []
        fits = self._refuse_overlong(records)
        found: dict[str, list[RawRecord]] = {}
        for one in np.unique(schema_id).tolist():
            name = self._codec.name_of(one) or ""
            rows = np.flatnonzero(fits & (schema_id == one)).tolist()
            those = records if len(rows) == len(records) else [records[row] for row in rows]
            if self._takes(name):
                # Several schema ids may stand for one name; the order of the log decides among their records.
                known = found.get(name)
                found[name] = those if known is None else sorted([*known, *those], key=_OFFSET)
            else:
                self._refused += [Refusal(record, *self._stranger(record)) for record in those]
        return {name: those for name, those in found.items() if those}

    def _takes(self, name: str) -> bool:
        if name == PUBLICATION:
            return self._domain.publishes
        return name in self._histories or (name == REGISTRATION and self._registrations is not None)

    def _stranger(self, record: RawRecord) -> tuple[Reason, tuple[str, ...]]:
        """Say why a record that no form takes is refused."""
        try:
            name, _ = self._codec.decode(record.value)
        except Refused as refusal:
            return refusal.reason, refusal.errors
        return Reason.WRONG_RECORD, (f"{name} does not belong on {self._topic}",)

    def _refuse_overlong(self, records: Sequence[RawRecord]) -> BoolArray:
        """Refuse records that are too long and tell which (n,) are not."""
        size = np.fromiter(map(len, filter(None, map(_VALUE, records))), np.int64)
        key = np.fromiter(map(len, filter(None, map(_KEY, records))), np.int64)
        fits = np.ones(len(records), bool)
        if max(size.max(initial=0), key.max(initial=0)) <= MOST_BYTES and not any(map(_HEADERS, records)):
            return fits
        for row, record in enumerate(records):
            size_bytes = largest(record)
            if size_bytes > MOST_BYTES:
                fits[row] = False
                words = f"{size_bytes} bytes, at most {MOST_BYTES} are taken"
                words += f"; of key and value the first {KEPT_BYTES} are kept"
                self._refused.append(Refusal(beginning(record), Reason.OUT_OF_RANGE, (words,)))
        return fits

    def _close(self, interval: Interval, offset: int, gathered: Gathered) -> None:
        """Decide everything that came in an interval; the tick that closes it stands at `offset`."""
        waiting = self._by_name() if self._pending else {}
        revoked: tuple[str, ...] = ()
        if REGISTRATION in waiting:
            revoked = self._register(waiting.pop(REGISTRATION), interval.tick_ms, gathered)
        published = self._publish(waiting.pop(PUBLICATION), gathered) if PUBLICATION in waiting else ()
        observations: list[Observation] = []
        actions: list[OperatorAction] = []
        for name, form in self._domain.forms.items():
            if name in waiting:
                found, used = self._ingest(form, waiting[name], interval, gathered)
                observations += found
                actions += used.records() if isinstance(used, ActionBatch) else ()
        observations += self._watched(interval, offset)
        observations.sort(key=lambda observation: (observation.at_ms, observation.observation_id))
        self._reject(interval.tick_ms, gathered)
        self._store_observations(observations, interval.tick_ms)
        gathered.blocks.append(
            ObservationBlock(
                tick_ms=interval.tick_ms,
                source_partition=self._partition,
                source_topic=self._topic,
                observations=tuple(observations),
                actions=tuple(sorted(actions, key=lambda action: (action.at_ms, action.action_id))),
                revoked=revoked,
                published=published,
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

    def _turn(self, tick_ms: int) -> Turn:
        return Turn(tick_ms, tick_ms - self._rule.lateness_ms, self._histories)

    def _watch_misdated(self, form: Form[Any], batch: Batch, rows: IntArray) -> None:
        """Show rows of a batch that are refused for their time alone to the watches that look at times."""
        watches = [watch for watch in self._watches if watch.takes_misdated]
        if len(rows) and watches:
            shown = batch.take(rows)
            _, remembered = form.place(shown, self._city)
            for watch in watches:
                watch.take(form.record, shown, remembered, self._city)

    def _watched(self, interval: Interval, offset: int) -> list[Observation]:
        """Return what the watches claim at the tick that closes an interval and stands at `offset`."""
        if not (_turned(interval, TURN_MS) or self._checkpoint_due(interval)):
            return []
        turn = self._turn(interval.tick_ms)
        told = [one for watch in self._watches for one in watch.answer(turn)]
        return [observed(one, offset, self._partition, self._topic) for one in told]

    def _register(self, records: Sequence[RawRecord], tick_ms: int, gathered: Gathered) -> tuple[str, ...]:
        """Take the registrations of an interval, before its other records; return the devices that they revoke."""
        assert self._registrations is not None
        messages = self._decoded(records)
        device_ids = [message.fields["device_id"] for message in messages]
        rows = [message.raw for message in messages], np.arange(len(messages))
        astray = self._forward(shards_of(device_ids), *rows, device_ids.__getitem__, tick_ms, gathered)
        here = [messages[row] for row in np.flatnonzero(~astray).tolist()]
        taken = self._registrations.take(here, self._package, tick_ms)
        self._refused += [Refusal(raw, *judged(mistakes)) for raw, mistakes in taken.refused]
        self._rows.add("device_log", taken.used)
        self._rows.add("duplicates", taken.duplicates)
        gathered.counts["device_log"] += len(taken.used["source_offset"])
        gathered.counts["duplicates"] += len(taken.duplicates["source_offset"])
        if taken.changed:
            self._city = self._registrations.over(self._package)
        return taken.revoked

    def _publish(self, records: Sequence[RawRecord], gathered: Gathered) -> tuple[PublishedRules, ...]:
        """Take the rule sets published in an interval and return the sound ones."""
        taken = take_publications(self._decoded(records))
        self._refused += [Refusal(raw, *judged(mistakes)) for raw, mistakes in taken.refused]
        self._rows.add("actions", taken.rows)
        gathered.counts["actions"] += len(taken.used)
        return taken.used

    def _decoded(self, records: Sequence[RawRecord]) -> list[Message]:
        """Return records of one name with their fields; refuse those that are none."""
        messages = []
        for record in records:
            try:
                messages.append(Message(record, self._codec.decode(record.value)[1]))
            except Refused as refusal:
                self._refused.append(Refusal(record, refusal.reason, refusal.errors))
        return messages

    def _ingest(
        self, form: Form[Any], records: Sequence[RawRecord], interval: Interval, gathered: Gathered
    ) -> tuple[list[Observation], Batch]:
        """Decide the records of one form; return what the used ones change in its claims, and the used ones."""
        history = self._histories[form.record]
        rows = form.read(records, self._codec, history.keys, self._city)
        batch = rows.batch
        for number, (reason, words) in rows.unread.by_record.items():
            self._refused.append(Refusal(records[number], reason, words))
        device = getattr(batch, form.device_field)
        astray = self._forward(
            rows.shard, records, rows.record, lambda row: _text(device, row), interval.tick_ms, gathered
        )
        check_clock(batch.at_ms, interval, self._rule, rows.mistakes)
        misdated: list[int] = []
        for row, found in rows.mistakes.by_row.items():
            if not astray[row]:
                self._refuse_row(records, rows, row, *judged(found))
                misdated += [row] if all(reason in MISDATED for reason, _ in found) else []
        self._watch_misdated(form, batch, np.array(sorted(misdated), np.int64))
        wrong = astray.copy()
        wrong[list(rows.mistakes.by_row)] = True
        sound = np.flatnonzero(~wrong)
        batch = batch.take(sound)
        entries = Entries(form.slots(batch, history.keys), batch.at_ms, form.ties(batch), batch.content_hash)
        verdict = history.judge(entries)
        self._store_duplicates(batch.take(verdict == Verdict.DUPLICATE), form, interval.tick_ms, gathered)
        for row in sound[verdict == Verdict.CONFLICT].tolist():
            rival = "another record of the same device and time, with other content, is used"
            self._refuse_row(records, rows, row, Reason.CONFLICT, (rival,))
        used = np.flatnonzero(verdict == Verdict.USED)
        batch = batch.take(used)
        if not len(used):
            return [], batch
        placed, remembered = form.place(batch, self._city)
        self._rows.add(form.table, placed)
        gathered.counts[form.table] += len(used)
        for watch in self._watches:
            watch.take(form.record, batch, remembered, self._city)
        entries = entries.take(used)
        candidate = form.candidates(batch, {**remembered, **history.recent(entries.slot)})
        before, after = history.extend(entries, remembered, batch.offset, form.needs_whole(batch), candidate)
        return changed_claims(form, history, before, after, self._topic, self._partition), batch

    def _refuse_row(
        self, records: Sequence[RawRecord], rows: Rows[Any], row: int, reason: Reason, words: tuple[str, ...]
    ) -> None:
        """Refuse one row: the record that it is, or the row alone where its record holds several."""
        record = records[rows.record[row]]
        if rows.index is None:
            self._refused.append(Refusal(record, reason, words))
        else:
            index = int(rows.index[row])
            self._refused.append(Refusal(alone(record, index, self._codec), reason, words, index))

    def _forward(
        self,
        shard: IntArray,
        records: Sequence[RawRecord],
        record: IntArray,
        device: Callable[[int], str],
        tick_ms: int,
        gathered: Gathered,
    ) -> BoolArray:
        """Set aside the rows that belong to another partition, whatever else may be wrong with them; return which.

        shard (n,): -1 = no sound device id and so no right partition. record (n,): the record of each row; the rows
        of one record share a shard. device: the device id of a row.
        """
        target = shard % self._partitions
        astray: BoolArray = (shard >= 0) & (target != self._partition)
        gone = np.flatnonzero(astray)
        if not len(gone):
            return astray
        gathered.counts["forwarded"] += len(gone)
        device_ids = [device(row) for row in gone.tolist()]
        self._rows.add(
            "forwarded",
            {
                "source_offset": np.array([records[number].offset for number in record[gone].tolist()], dtype=np.int64),
                "tick_ms": np.full(len(gone), tick_ms),
                "device_id": texts(device_ids),
                "to_partition": target[gone],
            },
        )
        _, first = np.unique(record[gone], return_index=True)
        for at in first.tolist():
            key = device_ids[at].encode()
            gathered.forwarded.append(Forwarded(int(target[gone[at]]), key, records[record[gone[at]]]))
        return astray

    def _reject(self, tick_ms: int, gathered: Gathered) -> None:
        """Turn the refusals of an interval into rejects and their rows, in log order."""
        if not self._refused:
            return
        refused, self._refused = sorted(self._refused, key=lambda refusal: (refusal.raw.offset, refusal.index)), []
        rejected = [self._rejected(refusal, tick_ms) for refusal in refused]
        self._rows.add(
            "rejected",
            {
                "source_offset": np.array([reject.source_offset for reject in rejected], dtype=np.int64),
                "source_index": np.array([refusal.index for refusal in refused], np.int32),
                "tick_ms": np.full(len(rejected), tick_ms),
                "reason": texts([reject.reason for reject in rejected]),
                "errors": texts(["\n".join(reject.errors) for reject in rejected]),
            },
        )
        gathered.rejected.extend(rejected)

    def _rejected(self, refusal: Refusal, tick_ms: int) -> Rejected:
        raw = refusal.raw
        return Rejected(
            tick_ms=tick_ms,
            source_offset=raw.offset,
            source_index=refusal.index,
            source_partition=self._partition,
            source_topic=self._topic,
            reason=str(refusal.reason),
            errors=tuple(one_line(words) for words in refusal.errors),
            key=raw.key,
            value=raw.value,
            headers=tuple(Header(name=name, value=value) for name, value in raw.headers),
        )

    def _store_duplicates(self, batch: Batch, form: Form[Any], tick_ms: int, gathered: Gathered) -> None:
        columns = batch.columns()
        rows = {
            "source_offset": columns["offset"],
            "source_index": columns.get("index", np.zeros(len(batch), np.int32)),
            "at_ms": columns["at_ms"],
            "tick_ms": np.full(len(batch), tick_ms),
            "device_id": columns[form.device_field],
        }
        self._rows.add("duplicates", rows)
        gathered.counts["duplicates"] += len(batch)

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
