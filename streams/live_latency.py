"""From the append of a record to the publication of the incident it led to, while it happens.

Measured from outside the worker: the broker's own times of the source record and of the incident's change.
"""

from typing import Final

from confluent_kafka import Consumer, TopicPartition

from schemas import records
from schemas.codec import Codec
from schemas.errors import Rejected
from streams import topics
from streams.settings import Settings
from streams.watching import watcher_settings

KEPT: Final = 20_000
LOOK_S: Final = 0.5
LATEST: Final = 50


class LiveLatency:
    """Follows observations.v1 for the source of each observation, and looks up when the broker appended it."""

    def __init__(self, settings: Settings, codec: Codec, begin: int) -> None:
        self._settings, self._codec = settings, codec
        self._topics = {topic.name: topic for topic in topics.INPUTS}
        self._sources: dict[str, tuple[str, int, int]] = {}
        self._observations = Consumer(watcher_settings(settings.kafka))
        self._observations.assign([TopicPartition(settings.topic(topics.OBSERVATIONS), 0, begin)])
        self._records = Consumer(watcher_settings(settings.kafka))
        self._known: dict[str, set[str]] = {}
        self._found_ms: list[int] = []

    @property
    def median_ms(self) -> int | None:
        """Median of the latest; None before the first."""
        latest = sorted(self._found_ms[-LATEST:])
        return latest[len(latest) // 2] if latest else None

    def note(self, change: records.IncidentChange, published_ms: int) -> None:
        """Take one published change: what counts is the evidence that is new in it."""
        self._follow()
        incident = change.incident
        known = self._known.setdefault(incident.incident_id, set())
        new = [one.observation_id for one in incident.evidence if one.observation_id not in known]
        known.update(new)
        sources = [self._sources[one] for one in new if one in self._sources]
        appended_ms = [at for at in (self._appended_ms(*source) for source in sources[-1:]) if at is not None]
        if appended_ms:
            self._found_ms.append(max(0, published_ms - max(appended_ms)))

    def close(self) -> None:
        """Let go of the connections."""
        self._observations.close()
        self._records.close()

    def _follow(self) -> None:
        while messages := self._observations.consume(500, timeout=0.05):
            for message in messages:
                if message.error() is None:
                    self._remember(message.value())
        while len(self._sources) > KEPT:
            del self._sources[next(iter(self._sources))]

    def _remember(self, value: bytes) -> None:
        try:
            block = self._codec.read(value, records.ObservationBlock)
        except Rejected:
            return
        for one in block.observations:
            self._sources[one.observation_id] = (one.source_topic, one.source_partition, one.source_offset)

    def _appended_ms(self, topic: str, partition: int, offset: int) -> int | None:
        name = self._settings.topic(self._topics[topic])
        self._records.assign([TopicPartition(name, partition, offset)])
        message = self._records.poll(LOOK_S)
        if message is None or message.error() is not None or message.offset() != offset:
            return None
        return int(message.timestamp()[1])
