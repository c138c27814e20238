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
from schemas.records import ObservationBlock
from streams import topics
from streams.latency import CAUSED_BY_EVIDENCE, change_latencies_ms
from streams.log_facts import ChangeFact, InputPart, Place, read_changes
from streams.reading import reading
from streams.settings import Settings
from streams.watching import watcher_settings

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
    """changes: in the log's order. sources: observation id -> its record. inputs: when those records were appended."""

    changes: Sequence[ChangeFact]
    sources: Mapping[str, Place]
    inputs: Mapping[tuple[str, int], InputPart]

    def latencies_ms(self, changes: Sequence[ChangeFact]) -> IntArray:
        """Return from append to publication of each change that new evidence caused."""
        return change_latencies_ms(changes, self.sources, self.inputs)

    def first_ms(self, topic: str, from_ms: int) -> IntArray:
        """Return how long after the append of each record of a topic that led to something it was first published.

        Of records appended from `from_ms` on (the broker's time). Provisional incidents count: somebody was told.
        """
        published: dict[str, int] = {}
        for fact in self.changes:
            if fact.change.change in CAUSED_BY_EVIDENCE:
                for one in fact.change.incident.evidence:
                    published.setdefault(one.observation_id, fact.appended_ms)
        found = []
        for observation_id, at_ms in published.items():
            place = self.sources.get(observation_id)
            if place is not None and place.topic == topic:
                part = self.inputs[place.topic, place.partition]
                appended_ms = int(part.appended_ms[np.searchsorted(part.offset, place.offset)])
                if appended_ms >= from_ms:
                    found.append(at_ms - appended_ms)
        return np.array(found, np.int64)


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
        for message in log.read(topics.OBSERVATIONS, {}, end):
            for one in codec.read(message.value or b"", ObservationBlock).observations:
                if one.observation_id in wanted:
                    place = Place(one.source_topic, one.source_partition, one.source_offset)
                    sources.setdefault(one.observation_id, place)
    return Publications(changes, sources, _appended(settings, sources.values()))


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
