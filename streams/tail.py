"""Reads a topic of one partition to its present end, again and again, each record once."""

from typing import Generic, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.codec import Codec
from schemas.errors import Rejected, Retryable
from streams.settings import Settings
from streams.topics import Topic
from streams.watching import watcher_settings

T = TypeVar("T")

AT_ONCE = 1_000
ANSWER_WITHIN_S = 15.0


class Tail(Generic[T]):
    """Follows one topic; whatever on it is no such record is left out."""

    def __init__(self, settings: Settings, codec: Codec, topic: Topic, kind: type[T]) -> None:
        assert topic.partitions == 1
        self._codec, self._kind = codec, kind
        self._next = 0
        self._tp = (settings.topic(topic), 0)
        self._consumer = Consumer(watcher_settings(settings.kafka, enable_partition_eof=True))
        self._assigned = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def catch_up(self) -> list[T]:
        """Return what is new up to the end that the topic has now. Raises Retryable when Kafka does not answer."""
        try:
            first, end = self._consumer.get_watermark_offsets(TopicPartition(*self._tp), timeout=ANSWER_WITHIN_S)
            if not self._assigned:
                self._next = first
                self._consumer.assign([TopicPartition(*self._tp, first)])
                self._assigned = True
            found: list[T] = []
            while self._next < end:
                self._take(found)
            return found
        except KafkaException as error:
            raise Retryable(f"Kafka stopped answering for {self._tp[0]}: {error}") from error

    def _take(self, found: list[T]) -> None:
        first = self._consumer.poll(ANSWER_WITHIN_S)  # `consume` would wait for as many as it is asked for
        if first is None:
            raise Retryable(f"Kafka gives no records of {self._tp[0]}")
        for message in (first, *self._consumer.consume(AT_ONCE, timeout=0)):
            if message.error() is not None:
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                self._next = max(self._next, message.offset())  # compaction may have left nothing before the end
                continue
            self._next = message.offset() + 1
            if message.value() is not None:
                try:
                    found.append(self._codec.read(message.value(), self._kind))
                except Rejected:
                    continue
