"""Topics as the catalogue wants them, through kafka-python's admin client."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.errors import Retryable, UsageError
from schemas.ids import SHARDS
from streams.kafka_access import kafka_python_settings
from streams.settings import Settings
from streams.topics import CATALOGUE, INPUTS, Topic

ANSWER_WITHIN_MS: Final = 15_000
FIND_BROKER_WITHIN_MS: Final = 5_000
GONE_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class PartitionSpan:
    """The offsets one partition holds: from `first` up to, not including, `end`."""

    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic of the catalogue as the broker has it.

    spans: empty when the topic does not exist; otherwise one a partition.
    settings: what was set for this topic, apart from the broker's defaults.
    """

    topic: Topic
    name: str
    spans: tuple[PartitionSpan, ...]
    settings: dict[str, str]

    @property
    def offsets(self) -> int:
        """Return how many offsets the topic holds (records, ticks and transaction marks, before compaction)."""
        return sum(span.end - span.first for span in self.spans)


def topic_settings(topic: Topic) -> dict[str, str]:
    """Return the topic's settings in Kafka's words."""
    return {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(topic.max_message_bytes),
        "message.timestamp.type": "LogAppendTime",
        **topic.settings,
    }


def ensure_topics(settings: Settings, topics: tuple[Topic, ...] = CATALOGUE) -> tuple[str, ...]:
    """Create what is missing of the run's topics and return the names created.

    Raises UsageError when a topic has another number of partitions than the catalogue says, or an input topic's
    number does not divide the 64 shards; Retryable when no broker answers.
    """
    for topic in topics:
        if topic.ticked and SHARDS % topic.partitions:
            raise UsageError(f"{topic.name} has {topic.partitions} partitions, which do not divide {SHARDS} shards")
    with _admin(settings) as admin:
        found = _partition_counts(admin, {settings.topic(topic) for topic in topics})
        missing = [topic for topic in topics if settings.topic(topic) not in found]
        for topic in topics:
            _refuse_other_partitions(topic, settings.topic(topic), found.get(settings.topic(topic)))
        created = tuple(settings.topic(topic) for topic in missing if _create(admin, settings.topic(topic), topic))
        if missing:
            admin.wait_for_topics([settings.topic(topic) for topic in missing])
    return created


def delete_run(settings: Settings) -> tuple[str, ...]:
    """Delete the topics of an isolated run, wait until they are gone, and return their names.

    Raises UsageError for the live run; Retryable when no broker answers or the topics stay.
    """
    if not settings.run:
        raise UsageError("the live run's topics are never deleted: name a run")
    with _admin(settings) as admin:
        names = {f"run.{settings.run}.{topic.name}" for topic in CATALOGUE} & set(admin.list_topics())
        if names:
            admin.delete_topics(sorted(names), timeout_ms=ANSWER_WITHIN_MS)
        give_up_at_s = time.monotonic() + GONE_WITHIN_S
        while names & set(admin.list_topics()):
            if time.monotonic() > give_up_at_s:
                raise Retryable(f"Kafka has not yet deleted the topics of run {settings.run}")
            time.sleep(0.1)
    return tuple(sorted(names))


def delete_group(settings: Settings) -> None:
    """Delete the consumer group of an isolated run, if it is there and nobody is in it.

    Raises UsageError for the live run; Retryable when no broker answers.
    """
    if not settings.run:
        raise UsageError("the live run's consumer group is never deleted: name a run")
    with _admin(settings) as admin:
        admin.delete_groups([settings.group])  # what cannot be deleted is told in its answer, not raised


def has_input(settings: Settings) -> bool:
    """Tell whether a run has input topics of its own. Raises Retryable when no broker answers."""
    with _admin(settings) as admin:
        return not {settings.topic(topic) for topic in INPUTS}.isdisjoint(admin.list_topics())


def describe(settings: Settings) -> tuple[TopicState, ...]:
    """Return every topic of the catalogue as the broker has it.

    Raises Retryable when no broker answers.
    """
    with _admin(settings) as admin:
        names = {settings.topic(topic): topic for topic in CATALOGUE}
        counts = _partition_counts(admin, set(names))
        spans = _spans(admin, counts)
        changed = _settings_of(admin, sorted(counts))
        return tuple(
            TopicState(topic, name, spans.get(name, ()), changed.get(name, {})) for name, topic in names.items()
        )


@contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    servers = settings.kafka_bootstrap_servers
    if not servers:
        raise UsageError("no Kafka is set: run `cityops stack up` or set KAFKA_BOOTSTRAP_SERVERS")
    try:
        admin = KafkaAdminClient(
            **kafka_python_settings(settings.kafka),
            request_timeout_ms=ANSWER_WITHIN_MS,
            bootstrap_timeout_ms=FIND_BROKER_WITHIN_MS,
        )
    except (KafkaError, OSError, ValueError) as error:
        raise Retryable(f"no Kafka answers at {servers}") from error
    try:
        yield admin
    except KafkaError as error:
        raise Retryable(f"Kafka at {servers} refused: {error}") from error
    finally:
        admin.close()


def _partition_counts(admin: Any, names: set[str]) -> dict[str, int]:
    existing = sorted(names & set(admin.list_topics()))
    if not existing:
        return {}
    return {str(topic["name"]): len(topic["partitions"]) for topic in admin.describe_topics(existing)}


def _refuse_other_partitions(topic: Topic, name: str, partitions: int | None) -> None:
    if partitions is not None and partitions != topic.partitions:
        raise UsageError(
            f"{name} has {partitions} partitions, the catalogue says {topic.partitions}: "
            "partition counts never change in place, docs/partitions.md describes the migration"
        )


def _create(admin: Any, name: str, topic: Topic) -> bool:
    """Create one topic with the broker's default replication; False when another process was faster."""
    try:
        admin.create_topics({name: {"num_partitions": topic.partitions, "configs": topic_settings(topic)}})
    except TopicAlreadyExistsError:
        return False
    return True


def _spans(admin: Any, counts: dict[str, int]) -> dict[str, tuple[PartitionSpan, ...]]:
    places = {name: [TopicPartition(name, number) for number in range(count)] for name, count in counts.items()}
    every = [place for of_topic in places.values() for place in of_topic]
    if not every:
        return {}
    first = admin.list_partition_offsets(dict.fromkeys(every, OffsetSpec.EARLIEST))
    end = admin.list_partition_offsets(dict.fromkeys(every, OffsetSpec.LATEST))
    return {
        name: tuple(PartitionSpan(place.partition, first[place].offset, end[place].offset) for place in of_topic)
        for name, of_topic in places.items()
    }


def _settings_of(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        name: {setting: str(told["value"]) for setting, told in sorted(changed.items())}
        for name, changed in found["topic"].items()
    }
