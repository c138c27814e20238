"""Carries registrations from devices.v1 into the log of their devices, then sends again what waited for a place.

At least once and in order: a poll counts as done when both are. Repeats are harmless: the partition engines know
registrations by content, and records by device and time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from processors.recheck import device_of, right_partition
from processors.records_in import RawRecord
from schemas.codec import Codec
from schemas.errors import Reason, Rejected, Retryable
from schemas.ids import shard_of
from schemas.records import DeviceKind, DeviceRegistration
from schemas.records import Rejected as Reject
from streams import topics
from streams.log_facts import Place, place_of
from streams.outbox import Deliveries, Outbox
from streams.resend import DOMAINS, Candidate, Choice, Plan, Policy, find_rejected, read_resent, resend
from streams.settings import Settings
from streams.verdicts import await_commits
from streams.watching import watcher_settings

log = logging.getLogger(__name__)

TOPICS_OF: Final = {
    DeviceKind.CAMERA: (topics.DETECTIONS,),
    DeviceKind.SENSOR: (topics.READINGS,),
    DeviceKind.VEHICLE: (topics.POSITIONS, topics.FRAMES),
}
"""Where devices of a kind write, and so where they are registered."""

AGAIN_S: Final = 2.0
PATIENCE_S: Final = 5.0
ANSWER_WITHIN_S: Final = 10.0

Wait = Callable[[str | None], None]
"""Told what is waited for; None = nothing any more."""


def registered_in(one: DeviceRegistration) -> list[tuple[str, int]]:
    """Return the topics and partitions that a registration belongs to."""
    return [(topic.name, shard_of(one.device_id) % topic.partitions) for topic in TOPICS_OF[one.kind]]


class Registrar:
    """Does the work of `register_devices`; keeps nothing between two polls."""

    def __init__(self, settings: Settings, codec: Callable[[], Codec], outbox: Callable[[], Outbox]) -> None:
        """codec, outbox: asked for when they are needed; a worker has them once it has started."""
        self._settings, self._codec, self._outbox = settings, codec, outbox
        self._domains = {name: build() for name, (_, build) in DOMAINS.items()}

    async def register(self, records: Sequence[RawRecord], waits: Wait) -> None:
        """Do all that follows from some records of devices.v1; return when Kafka has it."""
        if self._settings.run != self._settings.source_run:
            return  # a replay reads the input of others
        told = [(record, one) for record in records if (one := self._read(record)) is not None]
        sources = await self._forward(told)
        placed = frozenset(one.device_id for _, one in told if not one.retired and one.kind is not DeviceKind.VEHICLE)
        if not placed:
            return
        loop = asyncio.get_running_loop()
        while True:
            try:
                ends = await loop.run_in_executor(None, self._ends, sources)
                while not await loop.run_in_executor(None, self._decided, ends):
                    waits("for the next ticks, which registrations take effect with")
                await loop.run_in_executor(None, self._send_again, placed)
            except (Retryable, KafkaException) as error:
                waits(f"for Kafka: {error}")
                await asyncio.sleep(AGAIN_S)
            else:
                waits(None)
                return

    def _read(self, record: RawRecord) -> DeviceRegistration | None:
        if record.value is None:
            return None
        try:
            return self._codec().read(record.value, DeviceRegistration)
        except Rejected as error:
            log.warning("offset %d of %s is not a registration: %s", record.offset, topics.DEVICES.name, error)
            return None

    async def _forward(self, told: Sequence[tuple[RawRecord, DeviceRegistration]]) -> frozenset[tuple[str, int]]:
        """Append registrations, as they are, where their devices write; return where, once all have arrived."""
        deliveries = Deliveries()
        sources = set()
        for record, one in told:
            key, headers = one.device_id.encode(), list(record.headers)
            for topic, (source, partition) in zip(TOPICS_OF[one.kind], registered_in(one), strict=True):
                name = self._settings.topic(topic)
                await self._outbox().send(name, key, record.value, deliveries, partition=partition, headers=headers)
                sources.add((source, partition))
        await deliveries.settled()
        return frozenset(sources)

    def _ends(self, sources: frozenset[tuple[str, int]]) -> list[Place]:
        """Return the last record of each partition, which is not before the registrations."""
        consumer = Consumer(watcher_settings(self._settings.kafka))
        try:
            return [Place(name, partition, self._end(consumer, name, partition) - 1) for name, partition in sources]
        finally:
            consumer.close()

    def _end(self, consumer: Consumer, name: str, partition: int) -> int:
        part = TopicPartition(self._settings.topic(DOMAINS[name][0]), partition)
        end: int = consumer.get_watermark_offsets(part, timeout=ANSWER_WITHIN_S)[1]
        return end

    def _decided(self, places: Sequence[Place]) -> bool:
        """Tell, after some patience, whether all up to these places is decided and its rejects are published."""
        committed = await_commits(self._settings, places, PATIENCE_S)
        return all(place.offset < committed.get(place[:2], 0) for place in places)

    def _send_again(self, placed: frozenset[str]) -> None:
        """Send again, once, what was refused for want of a place of these devices and would not be too late by now."""

        def waited(reject: Reject) -> bool:
            domain = self._domains.get(reject.source_topic)
            return (
                reject.reason == Reason.UNPLACED
                and domain is not None
                and device_of(domain, self._codec(), reject.value) in placed
            )

        since_ms = time.time_ns() // 1_000_000 - self._settings.lateness_ms
        rejects = find_rejected(self._settings, self._codec(), Choice(waited, since_ms))
        known = read_resent(self._settings, self._codec()) if rejects else {}
        candidates = tuple(self._candidate(reject) for reject in rejects if place_of(reject) not in known)
        if candidates:
            resend(self._settings, self._codec(), Plan(candidates, len(rejects) - len(candidates)), Policy.REPARK)
            log.info("%d records of devices that have a place now were sent again", len(candidates))

    def _candidate(self, reject: Reject) -> Candidate:
        topic, _ = DOMAINS[reject.source_topic]
        device_id = device_of(self._domains[reject.source_topic], self._codec(), reject.value)
        return Candidate(reject, right_partition(device_id, topic.partitions, reject.source_partition), None)
