"""Writes a load into the topics of a run: as fast as Kafka takes it, or at the pace of its own event time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.load import TICK_MS, Load, LoadInterval
from benchmarks.wire import Messages, Wire
from schemas.errors import Retryable
from streams import topics
from streams.outbox import producer_settings
from streams.settings import Settings
from streams.topics import Topic

TRAILING_TICKS: Final = 12
"""Ticks behind the last record: every block and checkpoint falls due."""
QUEUED: Final = 1_000_000
FULL_WAIT_S: Final = 0.01
FLUSH_S: Final = 60.0
START_MS: Final = 1_795_370_400_000
"""A Sunday evening in 2026; event time is what the load says, so that a log is the same whenever it is made."""


class Shape(StrEnum):
    """How positions are written."""

    SINGLES = "singles"
    FRAMES = "frames"


@dataclass(slots=True)
class Written:
    """What was written, and so what has to be found again.

    positions: all, the duplicates among them included. behind: (topic, partition) -> offset behind the last message;
    records_behind: the same of its last record that is no tick.
    """

    shape: Shape
    positions: int = 0
    duplicates: int = 0
    detections: int = 0
    readings: int = 0
    scenes: int = 0
    messages: int = 0
    first_tick_ms: int = 0
    last_tick_ms: int = 0
    wall_s: float = 0.0
    behind: dict[tuple[str, int], int] = field(default_factory=dict)
    records_behind: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def used(self) -> dict[str, int]:
        """Return how many rows each table of records must have in the end."""
        return {
            "positions": self.positions - self.duplicates,
            "duplicates": self.duplicates,
            "detections": self.detections,
            "readings": self.readings,
            "rejected": 0,
            "forwarded": 0,
        }


class LoadWriter:
    """A producer of whole intervals, each closed by a tick in every input partition.

    Idempotent, so messages of a partition stand in the order in which they were given.
    """

    def __init__(self, settings: Settings, wire: Wire, shape: Shape) -> None:
        self.written = Written(shape)
        self._settings, self._wire = settings, wire
        self._failure: str | None = None
        own = {
            "linger.ms": 20,
            "batch.num.messages": 100_000,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 2_000_000,
            "delivery.report.only.error": True,
            "on_delivery": self._note,
        }
        self._producer = Producer(producer_settings(settings.kafka) | own)

    def write(self, interval: LoadInterval) -> None:
        """Queue an interval and its ticks. Raises Retryable when Kafka did not take something."""
        written, wire = self.written, self._wire
        written.positions += len(interval.positions)
        written.duplicates += interval.duplicates
        written.detections += len(interval.detections)
        written.readings += len(interval.readings)
        written.scenes += interval.scenes
        if len(interval.positions):
            framed = written.shape is Shape.FRAMES
            pieces = wire.frames(interval.positions) if framed else wire.singles(interval.positions)
            self._send(frames_topic() if framed else topics.POSITIONS, pieces)
        if interval.detections:
            self._send(topics.DETECTIONS, wire.detections(interval.detections))
        if interval.readings:
            self._send(topics.READINGS, wire.readings(interval.readings))
        written.records_behind = dict(written.behind)
        self.tick(interval.tick_ms)

    def tick(self, tick_ms: int) -> None:
        """Queue a tick in every input partition."""
        value = self._wire.tick(tick_ms)
        for topic in topics.INPUTS:
            self._send(topic, ((one, Messages([b"tick"], [value])) for one in range(topic.partitions)))
        self.written.first_tick_ms = self.written.first_tick_ms or tick_ms
        self.written.last_tick_ms = tick_ms

    def close(self) -> Written:
        """Wait until Kafka has it all. Raises Retryable when it does not."""
        left = self._producer.flush(FLUSH_S)
        if left and self._failure is None:
            self._failure = f"{left} messages are not acknowledged after {FLUSH_S:.0f} s"
        self._check()
        return self.written

    def _send(self, topic: Topic, pieces: Iterator[tuple[int, Messages]]) -> None:
        name, behind = self._settings.topic(topic), self.written.behind
        for partition, messages in pieces:
            batch = [{"key": key, "value": value} for key, value in zip(messages.keys, messages.values, strict=True)]
            while len(self._producer) > QUEUED:
                self._producer.poll(FULL_WAIT_S)
                self._check()
            if self._producer.produce_batch(name, batch, partition=partition) < len(batch):
                self._failure = "its queue is full"
            self._producer.poll(0)
            self._check()
            key = topic.name, partition
            behind[key] = behind.get(key, 0) + len(messages.keys)
            self.written.messages += len(messages.keys)

    def _note(self, error: Any, _: Any) -> None:
        if error is not None:
            self._failure = str(error)

    def _check(self) -> None:
        if self._failure is not None:
            raise Retryable(f"Kafka at {self._settings.kafka_bootstrap_servers} did not take the load: {self._failure}")


def frames_topic() -> Topic:
    """Return the topic of frames."""
    return next(topic for topic in topics.INPUTS if topic.name == "vehicle.frames.v1")


def preload(load: Load, writer: LoadWriter, seconds: float, on_progress: Callable[[int, int], None]) -> Written:
    """Write `seconds` of event time and the ticks behind it as fast as it goes."""
    started_s = time.monotonic()
    total = round(seconds * 1000 / TICK_MS)
    for number, _ in enumerate(run_on(load, writer, seconds), start=1):
        on_progress(number, total)
    trail(writer)
    written = writer.close()
    written.wall_s = time.monotonic() - started_s
    return written


def run_on(load: Load, writer: LoadWriter, seconds: float) -> Iterator[float]:
    """Write `seconds` of event time as fast as it goes; yield 0 after each interval."""
    for _ in range(round(seconds * 1000 / TICK_MS)):
        writer.write(load.step())
        yield 0.0


def trail(writer: LoadWriter) -> None:
    """Write ticks until every block and checkpoint is due."""
    for _ in range(TRAILING_TICKS):
        writer.tick(writer.written.last_tick_ms + TICK_MS)


def paced(load: Load, writer: LoadWriter, seconds: float) -> Iterator[float]:
    """Write at the pace of event time; yield after each interval by how many seconds it was late."""
    begun_s = time.monotonic()
    for number in range(round(seconds * 1000 / TICK_MS)):
        interval = load.step()
        due_s = begun_s + (number + 1) * TICK_MS / 1000
        while (early_s := due_s - time.monotonic()) > 0:
            time.sleep(min(early_s, 0.05))
        writer.write(interval)
        yield time.monotonic() - due_s
