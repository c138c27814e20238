"""Puts records of devices where they belong: the topic of their kind, the partition of their device."""

import threading
import time
from typing import Any, Final

from confluent_kafka import Producer

from processors.sources.contract import InputRecord, device_of
from schemas.codec import Codec
from schemas.errors import Retryable
from schemas.ids import shard_of
from schemas.records import CameraDetection, DeviceRegistration, SensorReading, VehiclePosition
from streams import topics
from streams.outbox import producer_settings
from streams.registrar import TOPIC_OF
from streams.settings import Settings
from streams.topics import Topic
from streams.watching import ERRORS_ONLY

SOURCE_HEADER: Final = "cityops-source"
LINGER_MS: Final = 50
FULL_WAIT_S: Final = 0.05
LOOK_AGAIN_S: Final = 0.02
QUEUE_MESSAGES: Final = 100_000


def topic_of(record: InputRecord, sensors: frozenset[str] = frozenset()) -> Topic:
    """Return the topic of a record. A heartbeat is a camera's unless its device is one of `sensors`."""
    match record:
        case VehiclePosition():
            return topics.POSITIONS
        case CameraDetection():
            return topics.DETECTIONS
        case SensorReading():
            return topics.READINGS
        case _:
            return topics.READINGS if record.device_id in sensors else topics.DETECTIONS


class RecordSender:
    """An idempotent producer with lz4 that waits while its queue is full, which is the back-pressure.

    Acknowledgements are taken by a thread of its own, so that a source may stay silent.
    """

    def __init__(self, settings: Settings, codec: Codec, *, timeout_ms: int = 0, source: str = "") -> None:
        """Begin. timeout_ms: how long a message may wait for Kafka before all is given up; 0 = for ever.

        source: goes along as a header, so that a reject tells where it came from; "" = none.
        """
        own = {
            "linger.ms": LINGER_MS,
            "message.timeout.ms": timeout_ms,
            "queue.buffering.max.messages": QUEUE_MESSAGES,
            "log_level": ERRORS_ONLY,
        }
        self.sent = 0
        self.acknowledged = 0
        self._settings, self._codec = settings, codec
        self._headers = [(SOURCE_HEADER, source.encode())] if source else None
        self._producer = Producer(producer_settings(settings.kafka) | own)
        self._failure: str | None = None
        self._heard_s = time.monotonic()
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="acknowledgements", daemon=True)
        self._poller.start()

    @property
    def silent_s(self) -> float:
        """Return for how long Kafka has acknowledged nothing while something waits, 0 = nothing waits."""
        return time.monotonic() - self._heard_s if self.acknowledged < self.sent else 0.0

    def send(self, record: InputRecord, sensors: frozenset[str] = frozenset()) -> None:
        """Queue a record. Raises Retryable when an earlier one was given up."""
        self._to_device(topic_of(record, sensors), device_of(record), record)

    def register(self, one: DeviceRegistration) -> None:
        """Queue a device's registration into the partition that takes its records."""
        self._to_device(TOPIC_OF[one.kind], one.device_id, one)

    def send_to(self, topic: Topic, partition: int, key: bytes | None, value: bytes) -> None:
        """Queue one message, waiting while the queue is full. Raises Retryable when an earlier one was given up."""
        if self.acknowledged == self.sent:
            self._heard_s = time.monotonic()
        while True:
            self._check()
            try:
                self._producer.produce(
                    self._settings.topic(topic),
                    value,
                    key,
                    partition=partition,
                    headers=self._headers,
                    on_delivery=self._note,
                )
                break
            except BufferError:
                time.sleep(FULL_WAIT_S)
        self.sent += 1

    def close(self, within_s: float | None = None) -> None:
        """Wait until the brokers have acknowledged everything, or for so long. Raises Retryable as `send` does."""
        until_s = None if within_s is None else time.monotonic() + within_s
        try:
            while self.acknowledged < self.sent and (until_s is None or time.monotonic() < until_s):
                self._check()
                time.sleep(LOOK_AGAIN_S)
            self._check()
        finally:
            self._stop.set()
            self._poller.join()
            self._producer.purge()

    def _to_device(self, topic: Topic, device_id: str, record: object) -> None:
        partition = shard_of(device_id) % topic.partitions
        self.send_to(topic, partition, device_id.encode(), self._codec.encode(record))

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)

    def _note(self, error: Any, _: Any) -> None:
        self._heard_s = time.monotonic()
        self.acknowledged += error is None
        if error is not None and self._failure is None:
            self._failure = str(error)

    def _check(self) -> None:
        if self._failure is not None:
            servers = self._settings.kafka_bootstrap_servers
            raise Retryable(f"Kafka at {servers} did not take the records: {self._failure}")
