"""Puts simulated intervals on the wire, paced by event time, with a tick after each."""

import threading
import time
from typing import Final

from confluent_kafka import Producer

from processors.framing import Framer, key_of
from processors.simulate import Interval, Simulation
from schemas import records
from schemas.codec import Codec
from schemas.ids import shard_of
from streams import topics
from streams.outbox import producer_settings
from streams.producing import produce
from streams.sending import SendingRule
from streams.settings import Settings
from streams.topics import Topic
from streams.watching import ERRORS_ONLY

TICK_MS: Final = 250
SPARE_TICKS: Final = 4
AT_A_TICK: Final = SendingRule(linger_ms=5)


def closing_ticks(block_ms: int) -> int:
    """Return how many ticks after the last record make sure that the last blocks are cut and written."""
    return block_ms // TICK_MS + SPARE_TICKS


class TickWriter:
    """Appends one tick to every input partition."""

    def __init__(self, settings: Settings, codec: Codec, producer: Producer) -> None:
        self._settings, self._codec, self._producer = settings, codec, producer

    def write(self, tick_ms: int) -> None:
        """Queue the tick."""
        value = self._codec.encode(records.Tick(at_ms=tick_ms))
        for topic in topics.INPUTS:
            for partition in range(topic.partitions):
                produce(self._producer, self._settings.topic(topic), b"tick", value, partition)


class Feeder:
    """Runs a simulation against the clock: `speed` seconds of event time a second."""

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        simulation: Simulation,
        speed: float,
        *,
        ticks: bool,
        rule: SendingRule = AT_A_TICK,
    ) -> None:
        """Begin. rule: how records go to Kafka; the age of a frame is counted in event time."""
        self._settings = settings
        self._codec = codec
        self._simulation = simulation
        self._speed = speed
        own = rule.producer_settings() | {"log_level": ERRORS_ONLY}
        self._producer = Producer(producer_settings(settings.kafka) | own)
        self._framer = None if rule.framing is None else Framer(rule.framing, "simulate")
        self._ticks = TickWriter(settings, codec, self._producer) if ticks else None
        self._topics = {topic.name: topic for topic in topics.INPUTS}
        self.sent = 0
        self.tick_ms = 0
        self.behind_s = 0.0

    def run(self, for_s: float | None, stop: threading.Event, began: float | None = None) -> None:
        """Feed for `for_s` seconds of wall time (None = until stopped), then close with a few ticks.

        began: monotonic time at which the simulation's start is due, so that its clock is the wall's; None = now.
        """
        began = time.monotonic() if began is None else began
        steps = 0
        while not stop.is_set() and (for_s is None or steps * TICK_MS / 1000 < for_s * self._speed):
            self._send(self._simulation.step())
            steps += 1
            self._wait(began + steps * TICK_MS / 1000 / self._speed, stop)
        if self._framer is not None:
            self._send_frames(self._framer.close())
        if self._ticks is not None and not stop.is_set():
            for closing in range(1, closing_ticks(self._settings.block_ms) + 1):
                self._ticks.write(self.tick_ms + closing * TICK_MS)
                self._wait(began + (steps + closing) * TICK_MS / 1000 / self._speed, stop)
        self._producer.flush(0.5 if stop.is_set() else 10)

    def _wait(self, until: float, stop: threading.Event) -> None:
        self._producer.poll(0)
        self.behind_s = max(0.0, time.monotonic() - until)
        if self.behind_s == 0.0:
            stop.wait(until - time.monotonic())

    def _send(self, interval: Interval) -> None:
        for truth in interval.truths:
            self._produce(topics.TRUTH, truth.truth_id, truth, 0)
        for sent in interval.sent:
            if self._framer is not None and isinstance(sent.record, records.VehiclePosition):
                self._send_frames(self._framer.add(sent.record, interval.tick_ms))
                continue
            topic = self._topics[sent.topic]
            self._produce(topic, sent.key, sent.record, shard_of(sent.key) % topic.partitions)
        if self._framer is not None:
            self._send_frames(self._framer.due(interval.tick_ms))
        self.sent += len(interval.sent)
        self.tick_ms = interval.tick_ms
        if self._ticks is not None:
            self._ticks.write(interval.tick_ms)

    def _send_frames(self, frames: list[records.VehicleFrame]) -> None:
        for frame in frames:
            key = key_of(frame)
            self._produce(topics.FRAMES, key, frame, shard_of(key) % topics.FRAMES.partitions)

    def _produce(self, topic: Topic, key: str, record: object, partition: int) -> None:
        produce(self._producer, self._settings.topic(topic), key.encode(), self._codec.encode(record), partition)
