"""Finds offsets by event time in an input partition: its ticks are the signposts."""

from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.codec import Codec
from schemas.errors import Rejected, Retryable
from streams.settings import Settings
from streams.topics import Topic
from streams.watching import watcher_settings

LAST_RECORDS: Final = 2000
"""How many of the last records are read, at first, to find the last tick."""


class TickIndex:
    """Bisection over one partition."""

    def __init__(self, settings: Settings, codec: Codec, topic: Topic, partition: int) -> None:
        self._codec = codec
        self._tp = (settings.topic(topic), partition)
        self._consumer = Consumer(
            watcher_settings(
                settings.kafka,
                enable_partition_eof=True,
                fetch_wait_max_ms=1,
                fetch_queue_backoff_ms=5,  # by default a second's wait whenever 1,000 records are queued
                fetch_message_max_bytes=131_072,  # a look needs a few records
            )
        )
        self.first, self.end = self._consumer.get_watermark_offsets(TopicPartition(*self._tp), timeout=30)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def next_tick(self, offset: int) -> tuple[int, int] | None:
        """Return (offset, at_ms) of the first tick at or after an offset; None = there is none."""
        return next(self._ticks(offset, at_once=1), None)

    def last_tick(self) -> tuple[int, int] | None:
        """Return (offset, at_ms) of the last tick; None = there is none."""
        reach = LAST_RECORDS
        while True:
            offset = max(self.first, self.end - reach)
            last = max(self._ticks(offset, at_once=500), default=None)
            if last is not None or offset == self.first:
                return last
            reach *= 8

    def _ticks(self, offset: int, at_once: int) -> Iterator[tuple[int, int]]:
        """Yield (offset, at_ms) of the ticks at or after an offset; at_once: records to wait for."""
        self._consumer.assign([TopicPartition(*self._tp, offset)])
        while True:
            for message in self._consumer.consume(at_once, timeout=0.1):
                if message.error() is not None:
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        return
                    raise Retryable(f"Kafka stopped answering: {message.error()}")
                try:
                    name, fields = self._codec.decode(message.value())
                except Rejected:
                    continue
                if name == "Tick":
                    yield message.offset(), fields["at_ms"]

    def first_tick(self, wanted: Callable[[int], bool]) -> tuple[int, int] | None:
        """Return the first tick whose time is wanted; `wanted` must turn true once, as time goes on."""
        low, high = self.first, self.end
        best = None
        while low < high:
            middle = (low + high) // 2
            tick = self.next_tick(middle)
            if tick is None or wanted(tick[1]):
                best, high = tick or best, middle
            else:
                low = tick[0] + 1
        return best


def newest_tick_ms(settings: Settings, codec: Codec, topic: Topic, partition: int) -> int | None:
    """Return the time of the last tick of a partition; None = it has none."""
    index = TickIndex(settings, codec, topic, partition)
    try:
        last = index.last_tick()
    finally:
        index.close()
    return None if last is None else last[1]
