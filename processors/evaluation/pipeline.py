"""The whole flow as one function: records of devices in, blocks of observations and revisions of incidents out.

The engines are those of the workers, so a run on the real stack over the same records gives the same incidents; a test
holds it (tests/streams/test_evaluate.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from processors.camera import camera_domain
from processors.city import City
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.merge import SourceId
from processors.incidents.rules import RuleSet
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from processors.simulate import Sent
from schemas.codec import Codec
from schemas.ids import shard_of
from schemas.records import IncidentChange, ObservationBlock, PublishedRules, Tick

DOMAINS: Final[Mapping[str, Callable[[], Domain]]] = {
    "vehicle.positions.v1": fleet_domain,
    "camera.detections.v1": camera_domain,
    "sensor.readings.v1": sensor_domain,
}
"""What judges each topic that the simulator writes."""

CUT_MS: Final = 600_000
"""Rows and checkpoints are made this seldom, and thrown away: they are what state is trimmed at."""


class Observers:
    """The engines of all input partitions."""

    def __init__(self, city: City, codec: Codec, partitions: Mapping[str, int] | None = None) -> None:
        """partitions: topic -> how many it has, one where not given."""
        rule = IngestRule(block_ms=CUT_MS, checkpoint_ms=CUT_MS)
        counts = {topic: (partitions or {}).get(topic, 1) for topic in DOMAINS}
        self._codec = codec
        self._counts = counts
        self._engines = {
            (topic, partition): PartitionEngine(topic, partition, counts[topic], build(), codec, city, rule)
            for topic, build in DOMAINS.items()
            for partition in range(counts[topic])
        }
        self._waiting: dict[SourceId, list[RawRecord]] = {source: [] for source in self._engines}
        self._offset = dict.fromkeys(self._engines, 0)

    @property
    def sources(self) -> tuple[SourceId, ...]:
        """Return the topics and partitions whose blocks there are."""
        return tuple(self._engines)

    def take(self, sent: Iterable[Sent]) -> None:
        """Append records to the log of each one's partition."""
        for one in sent:
            source = (one.topic, shard_of(one.key) % self._counts[one.topic])
            self._append(source, one.key.encode(), self._codec.encode(one.record))

    def tick(self, tick_ms: int) -> list[ObservationBlock]:
        """Append a tick to every partition and return what follows since the last call, by tick."""
        self.tick_later(tick_ms)
        blocks: list[ObservationBlock] = []
        for source, engine in self._engines.items():
            blocks += engine.push(self._waiting[source]).blocks
            self._waiting[source] = []
        return sorted(blocks, key=lambda block: block.tick_ms)

    def tick_later(self, tick_ms: int) -> None:
        """Append a tick to every partition; its blocks come with those of the next `tick`."""
        value = self._codec.encode(Tick(at_ms=tick_ms))
        for source in self._engines:
            self._append(source, b"tick", value)

    def _append(self, source: SourceId, key: bytes, value: bytes) -> None:
        self._waiting[source].append(RawRecord(self._offset[source], key, value))
        self._offset[source] += 1


class Concluder:
    """The correlator; nothing is published early."""

    def __init__(
        self,
        rules: RuleSet,
        city: City,
        sources: Sequence[SourceId],
        published: Sequence[PublishedRules] | None = None,
    ) -> None:
        """published: see IncidentEngine; None = `rules` stay in force."""
        rule = CorrelationRule(provisional_after_ms=0, block_ms=CUT_MS, checkpoint_ms=CUT_MS)
        self._engine = IncidentEngine(rules, city, sources, rule, published=published)
        self._offset = 0

    def take(self, blocks: Sequence[ObservationBlock]) -> tuple[IncidentChange, ...]:
        """Take blocks in the order of their ticks and return the revisions that they make."""
        numbered = [(self._offset + number, block) for number, block in enumerate(blocks)]
        self._offset += len(blocks)
        return self._engine.push(numbered).changes
