"""The partition engine: the log of one input partition in, everything that follows from it out.

Nothing is decided before a tick closes an interval, so how polls cut the log cannot matter (docs/adr/0002).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from processors.actions import ActionBatch
from processors.batches import Batch, BoolArray
from processors.checkpoint import Checkpoint
from processors.city import City
from processors.claims import changed_claims
from processors.domain import Domain, Form, Message, Mistakes
from processors.history import Entries, History, Verdict
from processors.ingest import (
    AFTER_LAST_MS,
    IngestRule,
    Interval,
    check_clock,
    device_mistake,
    judged,
    one_line,
    shards_of,
)
from processors.records_in import RawRecord
from processors.registrations import RECORD as REGISTRATION
from processors.registrations import Registrations
from processors.rows import RowBuffer, texts
from schemas import errors
from schemas.errors import Reason
from schemas.ids import SHARDS
from schemas.records import (
    DeviceRegistration,
    Header,
    Observation,
    ObservationBlock,
    OperatorAction,
    Rejected,
    RowFrame,
)

__all__ = ["Counts", "Domain", "Forwarded", "IngestRule", "Outcome", "PartitionEngine"]

TICK: Final = "Tick"
USED_IN: Final = ("positions", "detections", "readings", "heartbeats", "device_log", "actions")
"""The tables of used records."""

REACH_MS: Final = 600_000
"""How far back of a record any detector looks: at most 5 records, no more than 2 minutes from each to the next."""

MOST_BYTES: Final = 1_040_000
"""Of a key, and of value and headers, uncompressed: about Kafka's limit for a message, which compression evades."""
HEADER_EXTRA_BYTES: Final = 8
KEPT_BYTES: Final = 65_536
"""Of the value and of the key of a record beyond it that is parked."""

Decode = Callable[[bytes | None], tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A record that stands in the wrong partition: to be sent, as it is, to the right one under its device's id."""

    to_partition: int
    key: bytes
    record: RawRecord


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records decided by one push; ticks are all that were read, those ignored included."""

    used: int
    duplicate: int
    forwarded: int
    ticks: int
    rejected: Mapping[str, int]
    """by reason"""
    positions: int
    detections: int
    readings: int
    heartbeats: int
    registrations: int
    actions: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one push led to. checkpoint: the last one that fell due, None when none did."""

    blocks: tuple[ObservationBlock, ...]
    frames: tuple[RowFrame, ...]
    rejected: tuple[Rejected, ...]
    forwarded: tuple[Forwarded, ...]
    checkpoint: Checkpoint | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class _Refusal:
    raw: RawRecord
    reason: Reason
    errors: tuple[str, ...]


@dataclass(slots=True)
class _Gathered:
    """What is gathered for an Outcome."""

    blocks: list[ObservationBlock] = field(default_factory=list)
    frames: list[RowFrame] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    forwarded: list[Forwarded] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def outcome(self) -> Outcome:
        of = self.counts
        counts = Counts(
            used=sum(of[table] for table in USED_IN),
            duplicate=of["duplicates"],
            forwarded=len(self.forwarded),
            ticks=of[TICK],
            rejected=Counter(rejected.reason for rejected in self.rejected),
            positions=of["positions"],
            detections=of["detections"],
            readings=of["readings"],
            heartbeats=of["heartbeats"],
            registrations=of["device_log"],
            actions=of["actions"],
        )
        return Outcome(
            blocks=tuple(self.blocks),
            frames=tuple(self.frames),
            rejected=tuple(self.rejected),
            forwarded=tuple(self.forwarded),
            checkpoint=self.checkpoint,
            counts=counts,
        )


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
        decode: Decode,
        city: City,
        rule: IngestRule,
        registered: Iterable[DeviceRegistration] = (),
    ) -> None:
        """Start with nothing known but what was registered of this partition's devices before the log begins.

        topic: its name without a run's prefix. decode: schemas.codec.Codec.decode.
        Raises ValueError when the partition count does not divide the 64 shards.
        """
        if SHARDS % partitions:
            raise ValueError(f"{partitions} partitions do not divide {SHARDS} shards")
        self.next_offset = 0
        self.tick_ms: int | None = None
        self._topic = topic
        self._partition = partition
        self._partitions = partitions
        self._domain = domain
        self._decode = decode
        self._package = city
        self._registrations = None if domain.devices is None else Registrations(domain.devices, registered)
        self._city = city if self._registrations is None else self._registrations.over(city)
        self._rule = rule
        self._histories = {name: History(name, form.remembered, form.whole_ms) for name, form in domain.forms.items()}
        self._rows = RowBuffer(topic, partition, 0)
        self._seen_offset = -1
        self._sealed_offset = 0
        self._pending: dict[str, list[Message]] = {name: [] for name in domain.forms}
        self._registering: list[Message] = []
        self._refused: list[_Refusal] = []
        self._unsent: dict[str, bytes] = {}
        self._sent_live: tuple[str, ...] = ()

    def push(self, records: Sequence[RawRecord]) -> Outcome:
        """Take the next records of the log, ticks among them, and return what the ticks decided.

        Never raises for what a producer sent. Raises ValueError when the offsets do not increase.
        """
        gathered = _Gathered()
        for record in records:
            if record.offset <= self._seen_offset:
                raise ValueError(f"offset {record.offset} came after {self._seen_offset}")
            self._seen_offset = record.offset
            tick_ms = self._read(record)
            if tick_ms is not None:
                gathered.counts[TICK] += 1
                if 0 <= tick_ms < AFTER_LAST_MS and (self.tick_ms is None or tick_ms > self.tick_ms):
                    self._close(Interval(self.tick_ms, tick_ms), record.offset, gathered)
        if gathered.checkpoint is not None:
            self._unsent, self._sent_live = {}, gathered.checkpoint.live
        return gathered.outcome()

    def restore(self, parts: Mapping[str, bytes], live: Sequence[str], next_offset: int, tick_ms: int) -> None:
        """Continue a fresh engine from a checkpoint: its parts by key, the keys in their order, where and when.

        Raises ValueError when a part is of another format or of a record that this topic does not take.
        """
        known = {*self._histories, *(() if self._registrations is None else (REGISTRATION,))}
        for name in live:
            if name.partition("/")[0] not in known:
                raise ValueError(f"checkpoint part {name} does not belong to {self._topic}")
        if self._registrations is not None:
            self._registrations.load([(name, parts[name]) for name in live if name.startswith(f"{REGISTRATION}/")])
            self._city = self._registrations.over(self._package)
        for record, history in self._histories.items():
            own = [(name, parts[name]) for name in live if name.partition("/")[0] == record]
            history.load(own, tick_ms - self._rule.lateness_ms)
        self.next_offset, self.tick_ms = next_offset, tick_ms
        self._rows = RowBuffer(self._topic, self._partition, next_offset)
        self._seen_offset, self._sealed_offset = next_offset - 1, next_offset
        self._sent_live = tuple(live)

    def _read(self, record: RawRecord) -> int | None:
        """Put a record where it waits for its tick; return the time if it is a tick."""
        size = _largest(record)
        if size > MOST_BYTES:
            words = f"{size} bytes, at most {MOST_BYTES} are taken; of key and value the first {KEPT_BYTES} are kept"
            self._refused.append(_Refusal(_beginning(record), Reason.OUT_OF_RANGE, (words,)))
            return None
        try:
            name, fields = self._decode(record.value)
        except errors.Rejected as refusal:
            self._refused.append(_Refusal(record, refusal.reason, refusal.errors))
            return None
        if name == TICK:
            return int(fields["at_ms"])
        if name in self._pending:
            self._pending[name].append(Message(record, fields))
        elif name == REGISTRATION and self._registrations is not None:
            self._registering.append(Message(record, fields))
        else:
            words = f"{name} does not belong on {self._topic}"
            self._refused.append(_Refusal(record, Reason.WRONG_RECORD, (words,)))
        return None

    def _close(self, interval: Interval, offset: int, gathered: _Gathered) -> None:
        """Decide everything that came in an interval; the tick that closes it stands at `offset`."""
        if self._registering:
            self._register(interval.tick_ms, gathered)
        observations: list[Observation] = []
        actions: list[OperatorAction] = []
        for name, messages in self._pending.items():
            if messages:
                self._pending[name] = []
                found, used = self._ingest(self._domain.forms[name], messages, interval, gathered)
                observations += found
                actions += used.records() if isinstance(used, ActionBatch) else ()
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
            )
        )
        self.next_offset, self.tick_ms = offset + 1, interval.tick_ms
        rule = self._rule
        checkpoint_due = _turned(interval, rule.checkpoint_ms)
        if checkpoint_due or _turned(interval, rule.block_ms) or self._rows.rows >= rule.block_rows:
            gathered.frames.extend(self._rows.cut(interval.tick_ms, offset))
        if checkpoint_due:
            gathered.checkpoint = self._checkpoint(interval.tick_ms)

    def _register(self, tick_ms: int, gathered: _Gathered) -> None:
        """Take the registrations of an interval, before its other records."""
        assert self._registrations is not None
        messages, self._registering = self._registering, []
        messages, _ = self._forward("device_id", messages, tick_ms, gathered)
        taken = self._registrations.take(messages, self._package, tick_ms)
        self._refused += [_Refusal(raw, *judged(mistakes)) for raw, mistakes in taken.refused]
        self._rows.add("device_log", taken.used)
        self._rows.add("duplicates", taken.duplicates)
        gathered.counts["device_log"] += len(taken.used["source_offset"])
        gathered.counts["duplicates"] += len(taken.duplicates["source_offset"])
        if taken.changed:
            self._city = self._registrations.over(self._package)

    def _ingest(
        self, form: Form[Any], messages: list[Message], interval: Interval, gathered: _Gathered
    ) -> tuple[list[Observation], Batch]:
        """Decide the messages of one form; return what the used ones change in its claims, and the used ones."""
        messages, unsound = self._forward(form.device_field, messages, interval.tick_ms, gathered)
        mistakes = Mistakes()
        mistakes.note(unsound, Reason.BAD_ID, lambda row: self._id_mistake(messages[row], form))
        batch = form.read(messages, self._city, mistakes)
        check_clock(batch.at_ms, interval, self._rule, mistakes)
        sound = np.delete(np.arange(len(messages)), list(mistakes.by_row))
        for row, found in mistakes.by_row.items():
            self._refused.append(_Refusal(messages[row].raw, *judged(found)))
        history, batch = self._histories[form.record], batch.take(sound)
        entries = Entries(form.slots(batch, history.keys), batch.at_ms, form.ties(batch), batch.content_hash)
        verdict = history.judge(entries)
        self._store_duplicates(batch.take(verdict == Verdict.DUPLICATE), form, interval.tick_ms, gathered)
        for row in sound[verdict == Verdict.CONFLICT].tolist():
            words = "another record of the same device and time, with other content, is used"
            self._refused.append(_Refusal(messages[row].raw, Reason.CONFLICT, (words,)))
        used = np.flatnonzero(verdict == Verdict.USED)
        batch = batch.take(used)
        if not len(used):
            return [], batch
        rows, remembered = form.place(batch, self._city)
        self._rows.add(form.table, rows)
        gathered.counts[form.table] += len(used)
        before, after = history.extend(
            entries.take(used),
            remembered,
            batch.offset,
            form.needs_whole(batch),
            form.candidates(batch, remembered),
        )
        return changed_claims(form, history, before, after, self._topic, self._partition), batch

    def _id_mistake(self, message: Message, form: Form[Any]) -> str:
        return device_mistake(message.fields[form.device_field], self._domain.subject)

    def _forward(
        self, device_field: str, messages: list[Message], tick_ms: int, gathered: _Gathered
    ) -> tuple[list[Message], BoolArray]:
        """Set aside what belongs to another partition, whatever else may be wrong with it.

        Return the rest, and which of them have no sound device id and so no right partition.
        """
        device_ids = [message.fields[device_field] for message in messages]
        shard = shards_of(device_ids)
        target = shard % self._partitions
        astray = (shard >= 0) & (target != self._partition)
        if not astray.any():
            return messages, shard < 0
        gone = np.flatnonzero(astray).tolist()
        self._rows.add(
            "forwarded",
            {
                "source_offset": np.array([messages[row].raw.offset for row in gone], dtype=np.int64),
                "tick_ms": np.full(len(gone), tick_ms),
                "device_id": texts([device_ids[row] for row in gone]),
                "to_partition": target[astray],
            },
        )
        for row in gone:
            gathered.forwarded.append(Forwarded(int(target[row]), device_ids[row].encode(), messages[row].raw))
        return [messages[row] for row in np.flatnonzero(~astray).tolist()], shard[~astray] < 0

    def _reject(self, tick_ms: int, gathered: _Gathered) -> None:
        """Turn the refusals of an interval into rejects and their rows, in log order."""
        if not self._refused:
            return
        refused, self._refused = sorted(self._refused, key=lambda refusal: refusal.raw.offset), []
        rejected = [self._rejected(refusal, tick_ms) for refusal in refused]
        self._rows.add(
            "rejected",
            {
                "source_offset": np.array([reject.source_offset for reject in rejected], dtype=np.int64),
                "source_index": np.full(len(rejected), -1, np.int32),
                "tick_ms": np.full(len(rejected), tick_ms),
                "reason": texts([reject.reason for reject in rejected]),
                "errors": texts(["\n".join(reject.errors) for reject in rejected]),
            },
        )
        gathered.rejected.extend(rejected)

    def _rejected(self, refusal: _Refusal, tick_ms: int) -> Rejected:
        raw = refusal.raw
        return Rejected(
            tick_ms=tick_ms,
            source_offset=raw.offset,
            source_partition=self._partition,
            source_topic=self._topic,
            reason=str(refusal.reason),
            errors=tuple(one_line(words) for words in refusal.errors),
            key=raw.key,
            value=raw.value,
            headers=tuple(Header(name=name, value=value) for name, value in raw.headers),
        )

    def _store_duplicates(self, batch: Batch, form: Form[Any], tick_ms: int, gathered: _Gathered) -> None:
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
        latitude_deg = np.array([observation.latitude_deg for observation in observations])
        longitude_deg = np.array([observation.longitude_deg for observation in observations])
        self._rows.add(
            "observations",
            {
                "source_offset": np.array([observation.source_offset for observation in observations], dtype=np.int64),
                "at_ms": np.array([observation.at_ms for observation in observations], dtype=np.int64),
                "tick_ms": np.full(len(observations), tick_ms),
                "observation_id": texts([observation.observation_id for observation in observations]),
                "kind": texts([observation.kind for observation in observations]),
                "score": np.array([observation.score for observation in observations], dtype=np.float32),
                "withdrawn": np.array([observation.withdrawn for observation in observations], dtype=np.uint8),
                "latitude_deg": latitude_deg,
                "longitude_deg": longitude_deg,
                "unit_code": self._city.locate_units(latitude_deg, longitude_deg),
                "device_id": texts([observation.device_id for observation in observations]),
                "witness_id": texts([observation.witness_id for observation in observations]),
                "line_id": texts([observation.line_id for observation in observations]),
            },
        )

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
        needed = frozenset(live)
        self._unsent = {name: part for name, part in self._unsent.items() if name in needed}
        return Checkpoint(
            next_offset=self.next_offset,
            tick_ms=tick_ms,
            new_parts=dict(self._unsent),
            live=live,
            dropped=tuple(name for name in self._sent_live if name not in needed),
        )


def _largest(record: RawRecord) -> int:
    headers = sum(len(name) + len(value or b"") + HEADER_EXTRA_BYTES for name, value in record.headers)
    return max(len(record.key or b""), len(record.value or b"") + headers)


def _beginning(record: RawRecord) -> RawRecord:
    key, value = record.key, record.value
    return RawRecord(record.offset, key and key[:KEPT_BYTES], value and value[:KEPT_BYTES])


def _turned(interval: Interval, span_ms: int) -> bool:
    """Tell whether a new span of time has begun with the closing tick."""
    return interval.after_ms is None or interval.tick_ms // span_ms != interval.after_ms // span_ms
