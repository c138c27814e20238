"""Reading topics from outside the worker, with kafka-python: no group, no commits, given offsets only."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import Retryable, UsageError
from streams.kafka_access import kafka_python_settings
from streams.lenient import read_any_header_name
from streams.settings import Settings
from streams.topics import CATALOGUE, Topic

POLL_MS: Final = 1_000
POLL_RECORDS: Final = 20_000
STUCK_POLLS: Final = 15
PARTITION_FETCH_BYTES: Final = 16_777_216

read_any_header_name()

Vector = Mapping[tuple[str, int], int]
"""(topic of the catalogue, partition) -> offset; what it does not name stands at 0."""


@dataclass(frozen=True, slots=True)
class Message:
    """One record as the broker keeps it; appended_ms is the broker's time (every topic has LogAppendTime)."""

    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None


class LogReader:
    """Reads the topics of one run; transactions that were aborted are not seen."""

    def __init__(self, settings: Settings, consumer: KafkaConsumer) -> None:
        self._settings = settings
        self._consumer = consumer

    def begin(self, topics: Iterable[Topic] = CATALOGUE) -> Vector:
        """Return where the log of each partition begins. Raises UsageError for topics that do not exist."""
        return self._vector(self._consumer.beginning_offsets(self._partitions(topics)))

    def end(self, topics: Iterable[Topic] = CATALOGUE) -> Vector:
        """Return the offset behind the last record of each partition. Raises UsageError as `begin` does."""
        return self._vector(self._consumer.end_offsets(self._partitions(topics)))

    def since(self, at_ms: int, topics: Iterable[Topic] = CATALOGUE) -> Vector:
        """Return the first offset of each partition whose broker time is not before `at_ms`; else its end."""
        parts = self._partitions(topics)
        found, ends = self._consumer.offsets_for_times(dict.fromkeys(parts, at_ms)), self._consumer.end_offsets(parts)
        return self._vector({one: ends[one] if (at := found.get(one)) is None else at.offset for one in parts})

    def read(self, topic: Topic, begin: Vector, end: Vector) -> Iterator[Message]:
        """Yield the records from `begin` to before `end`, in the order of each partition.

        Raises Retryable when Kafka stops answering.
        """
        wanted = {one: end.get((topic.name, one.partition), 0) for one in self._partitions([topic])}
        starts = self._consumer.beginning_offsets(list(wanted))
        open_parts = {
            one for one in wanted if max(begin.get((topic.name, one.partition), 0), starts[one]) < wanted[one]
        }
        self._consumer.assign(sorted(open_parts))
        for one in open_parts:
            self._consumer.seek(one, max(begin.get((topic.name, one.partition), 0), starts[one]))
        stuck = 0
        while open_parts:
            polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            stuck = 0 if polled else stuck + 1
            if stuck > STUCK_POLLS:
                raise Retryable(f"Kafka at {self._settings.kafka_bootstrap_servers} stopped answering")
            for one, found in polled.items():
                last = wanted[one]
                for record in found:
                    if record.offset < last:
                        yield Message(one.partition, record.offset, record.timestamp, record.key, record.value)
            done = {one for one in open_parts if self._consumer.position(one) >= wanted[one]}
            if done:
                open_parts -= done
                self._consumer.pause(*done)

    def _partitions(self, topics: Iterable[Topic]) -> list[TopicPartition]:
        names = {self._settings.topic(topic): topic for topic in topics}
        missing = sorted(names.keys() - self._consumer.topics())
        if missing:
            raise UsageError(f"Kafka has no topic {missing[0]}: `cityops topics create` makes the topics of a run")
        return [TopicPartition(name, number) for name, topic in names.items() for number in range(topic.partitions)]

    def _vector(self, offsets: Mapping[TopicPartition, int]) -> Vector:
        names = {self._settings.topic(topic): topic.name for topic in CATALOGUE}
        return {(names[one.topic], one.partition): offset for one, offset in offsets.items()}


@contextmanager
def reading(settings: Settings) -> Iterator[LogReader]:
    """Open a reader of a run's topics. Raises Retryable when Kafka does not answer."""
    try:
        consumer = KafkaConsumer(
            **kafka_python_settings(settings.kafka),
            group_id=None,
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            check_crcs=False,
            metrics_enabled=False,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            bootstrap_timeout_ms=10_000,
        )
    except KafkaError as error:
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {error}") from error
    try:
        yield LogReader(settings, consumer)
    except KafkaError as error:
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} failed: {error}") from error
    finally:
        consumer.close()
