"""What the topics of a run say, read by offset for the accounting and the report: never the worker's counters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from processors.batches import IntArray
from processors.framing import rows_in
from processors.ingest import AFTER_LAST_MS
from schemas import errors
from schemas.codec import HEADER_BYTES, Codec, schema_id_of
from schemas.records import IncidentChange, ObservationBlock, Rejected, RowFrame, Tick
from streams import topics
from streams.reading import LogReader, Vector
from streams.registry import fetch_schema
from streams.settings import Settings
from streams.topics import Topic

TICK_BYTES: Final = 64
"""No tick is longer: what is longer need not be looked at (ids in garbage would all be asked of the registry)."""


WHOLE: Final = -1
"""In place of a row: the whole record."""


class Place(NamedTuple):
    """Where a record stands: topic without a run's prefix, partition, offset; row: of a frame."""

    topic: str
    partition: int
    offset: int
    row: int = WHOLE

    def __str__(self) -> str:
        """Return TOPIC/PARTITION/OFFSET, and /ROW for a row of a frame."""
        return "/".join(map(str, self if self.row != WHOLE else self[:3]))


def place_of(reject: Rejected) -> Place:
    """Return where a rejected record, or a row of it, stands."""
    return Place(reject.source_topic, reject.source_partition, reject.source_offset, reject.source_index)


@dataclass(frozen=True, slots=True)
class InputPart:
    """One input partition from `begin` on: n records with the broker's times, by offset, and which are ticks.

    rows: how many positions each is, 1 for whatever is no sound frame.
    decided: records at or behind this offset stand behind the last tick and wait.
    """

    begin: int
    decided: int
    first_tick_ms: int | None
    last_tick_ms: int | None
    offset: IntArray
    appended_ms: IntArray
    is_tick: npt.NDArray[np.bool_]
    rows: IntArray

    def rows_at(self, offset: int) -> int:
        """Return how many positions the record at an offset is, 1 where there is none."""
        return int(self.rows[self.offset == offset].sum()) or 1


@dataclass(frozen=True, slots=True)
class FrameFact:
    """One frame of rows.v1 without its rows."""

    table: str
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    rows: int


@dataclass(frozen=True, slots=True)
class ChangeFact:
    """One revision of an incident and when the broker appended it."""

    appended_ms: int
    change: IncidentChange


@dataclass(frozen=True, slots=True)
class LogFacts:
    """Everything read between two vectors.

    inputs: by (topic, partition). rejects: place -> reason. frames: repeats dropped; unlike: repeats that differ.
    standing: observation id -> kind, of those not withdrawn. sources: observation id -> the record it came from.
    told_ms: observation id -> the tick that it was first told at.
    changes: in the log's order, repeats dropped; contradictions: (id, revision) seen with two contents.
    """

    inputs: Mapping[tuple[str, int], InputPart]
    rejects: Mapping[Place, str]
    frames: Sequence[FrameFact]
    unlike: int
    standing: Mapping[str, str]
    sources: Mapping[str, Place]
    told_ms: Mapping[str, int]
    changes: Sequence[ChangeFact]
    contradictions: Sequence[tuple[str, int]]


def read_facts(settings: Settings, codec: Codec, log: LogReader, begin: Vector, end: Vector) -> LogFacts:
    """Read all topics of the run from `begin` to before `end` (vectors of LogReader). Raises what the reader raises."""
    inputs: dict[tuple[str, int], InputPart] = {}
    for topic in topics.INPUTS:
        for partition, part in enumerate(_read_input(settings, codec, log, topic, begin, end)):
            inputs[topic.name, partition] = part
    frames, unlike = _read_frames(codec, log, begin, end)
    standing, sources, told_ms = _read_observations(codec, log, begin, end)
    changes, contradictions = read_changes(codec, log, begin, end)
    rejects = _read_rejects(codec, log, begin, end)
    return LogFacts(inputs, rejects, frames, unlike, standing, sources, told_ms, changes, contradictions)


def read_changes(
    codec: Codec, log: LogReader, begin: Vector, end: Vector
) -> tuple[list[ChangeFact], list[tuple[str, int]]]:
    """Return the revisions of incidents, the first of each (id, revision), and those that came with two contents."""
    first: dict[tuple[str, int], ChangeFact] = {}
    contents: dict[tuple[str, int], bytes] = {}
    contradictions: dict[tuple[str, int], None] = {}
    for message in log.read(topics.CHANGES, begin, end):
        value = message.value or b""
        change = codec.read(value, IncidentChange)
        key = change.incident.incident_id, change.incident.revision
        first.setdefault(key, ChangeFact(message.appended_ms, change))
        if contents.setdefault(key, value[HEADER_BYTES:]) != value[HEADER_BYTES:]:
            contradictions[key] = None
    return list(first.values()), list(contradictions)


@dataclass(slots=True)
class _Growing:
    """An input partition while it is read."""

    begin: int
    decided: int
    first_tick_ms: int | None = None
    last_tick_ms: int | None = None
    offset: list[int] = field(default_factory=list)
    appended_ms: list[int] = field(default_factory=list)
    is_tick: list[bool] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add_tick(self, tick_ms: int, offset: int) -> None:
        if not 0 <= tick_ms < AFTER_LAST_MS:
            return
        if self.first_tick_ms is None:
            self.first_tick_ms = tick_ms
        if self.last_tick_ms is None or tick_ms > self.last_tick_ms:
            self.last_tick_ms, self.decided = tick_ms, offset + 1

    def done(self) -> InputPart:
        return InputPart(
            self.begin,
            self.decided,
            self.first_tick_ms,
            self.last_tick_ms,
            np.array(self.offset, dtype=np.int64),
            np.array(self.appended_ms, dtype=np.int64),
            np.array(self.is_tick, dtype=np.bool_),
            np.array(self.rows, dtype=np.int64),
        )


def _read_input(
    settings: Settings, codec: Codec, log: LogReader, topic: Topic, begin: Vector, end: Vector
) -> Iterator[InputPart]:
    """Read one input topic; a value is decoded only where it claims to be a tick."""
    starts = [begin.get((topic.name, partition), 0) for partition in range(topic.partitions)]
    parts = [_Growing(start, start) for start in starts]
    claims: dict[bytes, bool] = {}
    for message in log.read(topic, begin, end):
        value = message.value or b""
        head = value[:HEADER_BYTES] if len(value) <= TICK_BYTES else b""
        if head not in claims:
            claims[head] = _claims_tick(settings, codec, value)
        tick_ms = _tick_ms(codec, value) if claims[head] else None
        part = parts[message.partition]
        part.offset.append(message.offset)
        part.appended_ms.append(message.appended_ms)
        part.is_tick.append(tick_ms is not None)
        part.rows.append(rows_in(codec, value) if topic is topics.FRAMES else 1)
        if tick_ms is not None:
            part.add_tick(tick_ms, message.offset)
    return (part.done() for part in parts)


def _claims_tick(settings: Settings, codec: Codec, value: bytes) -> bool:
    schema_id = schema_id_of(value)
    if schema_id is None:
        return False
    if not codec.knows(schema_id):
        text = fetch_schema(settings, schema_id)
        if text is not None:
            codec.learn(schema_id, text)
    return codec.name_of(schema_id) == Tick.__name__


def _tick_ms(codec: Codec, value: bytes) -> int | None:
    """Return the time of a tick; None for bytes that only begin like one (the engine rejects those)."""
    try:
        return codec.read(value, Tick).at_ms
    except errors.Rejected:
        return None


def _read_rejects(codec: Codec, log: LogReader, begin: Vector, end: Vector) -> dict[Place, str]:
    rejects: dict[Place, str] = {}
    for message in log.read(topics.REJECTED, begin, end):
        reject = codec.read(message.value or b"", Rejected)
        rejects[place_of(reject)] = reject.reason
    return rejects


def _read_frames(codec: Codec, log: LogReader, begin: Vector, end: Vector) -> tuple[list[FrameFact], int]:
    """Return the frames, each once, and how many repeats of a frame had other bytes than the first."""
    frames: dict[tuple[str, Place, int], FrameFact] = {}
    contents: dict[tuple[str, Place, int], bytes] = {}
    unlike = 0
    for message in log.read(topics.ROWS, begin, end):
        value = message.value or b""
        frame = codec.read(value, RowFrame)
        token = frame.table, Place(frame.source_topic, frame.source_partition, frame.first_offset), frame.last_offset
        content = blake2b(value[HEADER_BYTES:], digest_size=16).digest()
        if contents.setdefault(token, content) != content:
            unlike += 1
        place = token[1]
        frames[token] = FrameFact(
            frame.table, place.topic, place.partition, place.offset, frame.last_offset, frame.rows
        )
    return list(frames.values()), unlike


def _read_observations(
    codec: Codec, log: LogReader, begin: Vector, end: Vector
) -> tuple[dict[str, str], dict[str, Place], dict[str, int]]:
    """Take the blocks of every source in order; one at or before the last one taken is a repeat."""
    newest_ms: dict[tuple[str, int], int] = {}
    standing: dict[str, str] = {}
    sources: dict[str, Place] = {}
    told_ms: dict[str, int] = {}
    for message in log.read(topics.OBSERVATIONS, begin, end):
        block = codec.read(message.value or b"", ObservationBlock)
        source = block.source_topic, block.source_partition
        if block.tick_ms <= newest_ms.get(source, -1):
            continue
        newest_ms[source] = block.tick_ms
        for one in block.observations:
            sources.setdefault(one.observation_id, Place(one.source_topic, one.source_partition, one.source_offset))
            told_ms.setdefault(one.observation_id, block.tick_ms)
            if one.withdrawn:
                standing.pop(one.observation_id, None)
            else:
                standing[one.observation_id] = one.kind
    return standing, sources, told_ms
