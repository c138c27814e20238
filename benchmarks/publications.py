"""What a run published and when, and when the broker appended the records that led to it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from processors.batches import IntArray
from schemas.codec import Codec
from schemas.errors import Retryable
from schemas.records import Change, ObservationBlock
from streams import topics
from streams.latency import change_latencies_ms
from streams.log_facts import ChangeFact, InputPart, Place, read_changes
from streams.reading import reading
from streams.settings import Settings
from streams.watching import watcher_settings

OF_VEHICLES: Final = "vehicle."
AT_ONCE: Final = 10_000
GATHER_S: Final = 0.1
SILENT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of n values, in milliseconds."""

    count: int
    p50: float
    p99: float
    p999: float
    most: float


@dataclass(frozen=True, slots=True)
class Publications:
    """changes: in the log's order. sources: observation id -> its record; what was gathered has none.

    told_ms: observation id -> the tick that it was first told at. inputs: when the records were appended.
    """

    changes: Sequence[ChangeFact]
    sources: Mapping[str, Place]
    told_ms: Mapping[str, int]
    inputs: Mapping[tuple[str, int], InputPart]

    def latencies_ms(self, changes: Sequence[ChangeFact]) -> IntArray:
        """Return from append to publication of each change that new evidence caused and no rule waited for."""
        return change_latencies_ms(changes, self.sources, self.told_ms, self.inputs)

    def first_told_ms(self, from_ms: int) -> IntArray:
        """Return for every incident whose evidence came from `from_ms` on how long after it somebody was told first.

        From the append (the broker's time) of the last record that its first publication rests on. An incident that
        was told provisionally counts by that, and not again when it is concluded in its order. Those that rest on
        positions do not count: they wait for the positions before them; nor do those that rest on what was gathered.
        """
        foretold = {fact.change.incident.incident_id for fact in self.changes if fact.change.incident.replaces}
        found = []
        for fact in self.changes:
            incident = fact.change.incident
            if fact.change.change is Change.OPENED and incident.incident_id not in foretold:
                names = [one.observation_id for one in incident.evidence]
                if not self.sources.keys() >= set(names):
                    continue
                appended_ms = [self._appended_ms(name) for name in names]
                waits = any(self.sources[name].topic.startswith(OF_VEHICLES) for name in names)
                if not waits and min(appended_ms) >= from_ms:
                    found.append(fact.appended_ms - max(appended_ms))
        return np.array(found, np.int64)

    def _appended_ms(self, observation_id: str) -> int:
        place = self.sources[observation_id]
        part = self.inputs[place.topic, place.partition]
        return int(part.appended_ms[np.searchsorted(part.offset, place.offset)])


def percentiles(values_ms: IntArray) -> Percentiles | None:
    """Return the percentiles; None of nothing."""
    if not len(values_ms):
        return None
    p50, p99, p999, most = (float(value) for value in np.percentile(values_ms, (50, 99, 99.9, 100)))
    return Percentiles(len(values_ms), p50, p99, p999, most)


def read_publications(settings: Settings, codec: Codec) -> Publications:
    """Read everything a run published, and of the input topics what led to it."""
    with reading(settings) as log:
        end = log.end([topics.CHANGES, topics.OBSERVATIONS])
        changes, _ = read_changes(codec, log, {}, end)
        wanted = {one.observation_id for fact in changes for one in fact.change.incident.evidence}
        sources: dict[str, Place] = {}
        told_ms: dict[str, int] = {}
        for message in log.read(topics.OBSERVATIONS, {}, end):
            block = codec.read(message.value or b"", ObservationBlock)
            for one in block.observations:
                if one.observation_id in wanted:
                    place = Place(one.source_topic, one.source_partition, one.source_offset)
                    sources.setdefault(one.observation_id, place)
                    told_ms.setdefault(one.observation_id, block.tick_ms)
    return Publications(changes, sources, told_ms, _appended(settings, sources.values()))


def _appended(settings: Settings, places: Iterable[Place]) -> dict[tuple[str, int], InputPart]:
    by_part: dict[tuple[str, int], set[int]] = {}
    for place in places:
        by_part.setdefault((place.topic, place.partition), set()).add(place.offset)
    named = {topic.name: settings.topic(topic) for topic in topics.INPUTS}
    return {key: _times(settings, named[key[0]], key[1], offsets) for key, offsets in by_part.items()}


def _times(settings: Settings, name: str, partition: int, offsets: set[int]) -> InputPart:
    """Read one partition from the first to the last of some offsets and keep their times."""
    first, last = min(offsets), max(offsets)
    consumer = Consumer(watcher_settings(settings.kafka))
    consumer.assign([TopicPartition(name, partition, first)])
    found: dict[int, int] = {}
    try:
        heard_s = time.monotonic()
        while last not in found:
            messages = consumer.consume(AT_ONCE, timeout=GATHER_S)
            heard_s = time.monotonic() if messages else heard_s
            if time.monotonic() - heard_s > SILENT_S:
                raise Retryable(f"Kafka did not show offset {last} of {name}/{partition} within {SILENT_S:.0f} s")
            for message in messages:
                if message.offset() in offsets:
                    found[message.offset()] = int(message.timestamp()[1])
    finally:
        consumer.close()
    offset = np.array(sorted(found), np.int64)
    times = np.array([found[one] for one in offset.tolist()], np.int64)
    none, one = np.zeros(len(offset), np.bool_), np.ones(len(offset), np.int64)
    return InputPart(first, last + 1, None, None, offset, times, none, one)
