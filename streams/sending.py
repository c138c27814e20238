"""Puts records of devices where they belong: the topic of their kind, the partition of their device."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import Producer

from processors.framing import Framer, FramingRule, key_of
from processors.sources.contract import InputRecord, device_of
from schemas.codec import Codec
from schemas.errors import Retryable
from schemas.ids import shard_of
from schemas.records import CameraDetection, DeviceRegistration, SensorReading, VehicleFrame, VehiclePosition
from streams import topics
from streams.outbox import producer_settings
from streams.registrar import TOPICS_OF
from streams.settings import Settings
from streams.topics import Topic
from streams.watching import ERRORS_ONLY

SOURCE_HEADER: Final = "cityops-source"
LINGER_MS: Final = 50
FULL_WAIT_S: Final = 0.05
LOOK_AGAIN_S: Final = 0.02
QUEUE_MESSAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class SendingRule:
    """How records go to Kafka. framing: positions travel in frames, None = each by itself. compression: lz4 or zstd."""

    framing: FramingRule | None = None
    compression: str = "lz4"
    linger_ms: int = LINGER_MS

    def producer_settings(self) -> dict[str, Any]:
        """Return what librdkafka is told of it."""
        return {"compression.type": self.compression, "linger.ms": self.linger_ms}


SINGLY: Final = SendingRule()


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
    """An idempotent producer that waits while its queue is full, which is the back-pressure.

    sent, acknowledged: records; a frame counts as its positions. Acknowledgements are taken, and frames that are old
    enough are closed, by threads of their own, so that a source may stay silent.
    """

    def __init__(
        self, settings: Settings, codec: Codec, *, timeout_ms: int = 0, source: str = "", rule: SendingRule = SINGLY
    ) -> None:
        """Begin. timeout_ms: how long a message may wait for Kafka before all is given up; 0 = for ever.

        source: goes along as a header, so that a reject tells where it came from; "" = none.
        """
        own = {
            **rule.producer_settings(),
            "message.timeout.ms": timeout_ms,
            "queue.buffering.max.messages": QUEUE_MESSAGES,
            "log_level": ERRORS_ONLY,
        }
        self._kafka = f"Kafka at {settings.kafka_bootstrap_servers}"
        self.sent = 0
        self.acknowledged = 0
        self._settings, self._codec = settings, codec
        self._headers = [(SOURCE_HEADER, source.encode())] if source else None
        self._producer = Producer(producer_settings(settings.kafka) | own)
        self._failure: str | None = None
        self._heard_s = time.monotonic()
        self._sending = threading.RLock()
        self._give_up_s: float | None = None
        self._framer = None if rule.framing is None else Framer(rule.framing, source)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._poll, name="acknowledgements", daemon=True)]
        if rule.framing is not None:
            look_s = rule.framing.hold_ms / 4000
            self._threads.append(threading.Thread(target=self._close_old, args=(look_s,), name="frames", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def silent_s(self) -> float:
        """Return for how long Kafka has acknowledged nothing while something waits, 0 = nothing waits."""
        return time.monotonic() - self._heard_s if self.acknowledged < self.sent else 0.0

    def send(self, record: InputRecord, sensors: frozenset[str] = frozenset()) -> None:
        """Queue a record. Raises Retryable when an earlier one was given up."""
        if self._framer is None or not isinstance(record, VehiclePosition):
            self._to_device(topic_of(record, sensors), device_of(record), record)
            return
        with self._sending:
            self._check()
            self._send_frames(self._framer.add(record, _now_ms()))

    def register(self, one: DeviceRegistration) -> int:
        """Queue a device's registration into the partitions that take its records; return how many these are."""
        for topic in TOPICS_OF[one.kind]:
            self._to_device(topic, one.device_id, one)
        return len(TOPICS_OF[one.kind])

    def send_to(self, topic: Topic, partition: int, key: bytes | None, value: bytes, records: int = 1) -> None:
        """Queue one message, waiting while the queue is full. Raises Retryable when an earlier one was given up.

        records: how many it counts as.
        """
        with self._sending:
            if self.acknowledged == self.sent:
                self._heard_s = time.monotonic()
            noted = self._note if records == 1 else partial(self._note, records=records)
            while True:
                self._check()
                try:
                    self._producer.produce(
                        self._settings.topic(topic),
                        value,
                        key,
                        partition=partition,
                        headers=self._headers,
                        on_delivery=noted,
                    )
                    break
                except BufferError:
                    if self._give_up_s is not None and time.monotonic() > self._give_up_s:
                        raise Retryable(f"{self._kafka} did not take the last records in time") from None
                    time.sleep(FULL_WAIT_S)
            self.sent += records

    def close(self, within_s: float | None = None) -> None:
        """Wait until the brokers have acknowledged everything, or for so long. Raises Retryable as `send` does."""
        until_s = self._give_up_s = None if within_s is None else time.monotonic() + within_s
        try:
            if self._framer is not None:
                with self._sending:
                    self._send_frames(self._framer.close())
            while self.acknowledged < self.sent and (until_s is None or time.monotonic() < until_s):
                self._check()
                time.sleep(LOOK_AGAIN_S)
            self._check()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()
            self._producer.purge()

    def _to_device(self, topic: Topic, device_id: str, record: object) -> None:
        partition = shard_of(device_id) % topic.partitions
        self.send_to(topic, partition, device_id.encode(), self._codec.encode(record))

    def _send_frames(self, frames: list[VehicleFrame]) -> None:
        for frame in frames:
            key = key_of(frame)
            partition = shard_of(key) % topics.FRAMES.partitions
            self.send_to(topics.FRAMES, partition, key.encode(), self._codec.encode(frame), frame.rows)

    def _close_old(self, look_s: float) -> None:
        """Send frames that have waited long enough, until the end or until Kafka has given a message up."""
        assert self._framer is not None
        while not self._stop.wait(look_s) and self._failure is None:
            with self._sending, suppress(Retryable):  # the source is told when it sends
                self._send_frames(self._framer.due(_now_ms()))

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)

    def _note(self, error: Any, _: Any, records: int = 1) -> None:
        self._heard_s = time.monotonic()
        self.acknowledged += 0 if error is not None else records
        if error is not None and self._failure is None:
            self._failure = str(error)

    def _check(self) -> None:
        if self._failure is not None:
            raise Retryable(f"{self._kafka} did not take the records: {self._failure}")


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
