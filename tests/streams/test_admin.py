import uuid
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer

from schemas.errors import Retryable, UsageError
from streams import topics
from streams.admin import delete_run, describe, ensure_topics, topic_settings
from streams.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def run(stack: Settings) -> Settings:
    name = f"admin-{uuid.uuid4().hex[:8]}"
    return stack.with_run(name, name)


def test_topics_are_created_once_as_the_catalogue_says(run: Settings) -> None:
    created = ensure_topics(run)
    assert set(created) == {f"run.{run.run}.{topic.name}" for topic in topics.CATALOGUE}
    assert ensure_topics(run) == ()
    for state in describe(run):
        assert len(state.spans) == state.topic.partitions
        assert state.offsets == 0
        told = topic_settings(state.topic)
        assert {name: state.settings.get(name) for name in told if name in state.settings}.items() <= told.items()
        assert state.settings["message.timestamp.type"] == "LogAppendTime"
        assert state.settings["retention.ms"] == str(state.topic.retention_ms)


def test_missing_topics_are_described_as_missing(run: Settings) -> None:
    assert all(state.spans == () for state in describe(run))


def test_other_partition_count_is_refused_and_explained(run: Settings) -> None:
    two = replace(topics.POSITIONS, partitions=2)
    ensure_topics(run, (two,))
    with pytest.raises(UsageError, match=r"2 partitions.*docs/partitions\.md"):
        ensure_topics(run)


def test_input_partitions_must_divide_the_shards(run: Settings) -> None:
    three = replace(topics.POSITIONS, partitions=3)
    with pytest.raises(UsageError, match="do not divide 64"):
        ensure_topics(run, (three,))


def test_delete_run_leaves_other_runs_alone_and_can_be_created_again(run: Settings) -> None:
    other = run.with_run(f"{run.run}x", f"{run.run}x")
    ensure_topics(run)
    ensure_topics(other, (topics.TRUTH,))
    assert len(delete_run(run)) == len(topics.CATALOGUE)
    assert len(ensure_topics(run)) == len(topics.CATALOGUE)
    assert ensure_topics(other, (topics.TRUTH,)) == ()
    assert delete_run(other) == (f"run.{other.run}.{topics.TRUTH.name}",)


def test_live_run_is_never_deleted(stack: Settings) -> None:
    with pytest.raises(UsageError, match="never deleted"):
        delete_run(stack.with_run("", ""))


def test_no_broker_is_told_in_one_sentence(run: Settings) -> None:
    with pytest.raises(Retryable, match=r"no Kafka answers at 127\.0\.0\.1:1$"):
        ensure_topics(replace(run, kafka_bootstrap_servers="127.0.0.1:1"))


def test_big_message_is_written_by_one_client_and_read_by_two(run: Settings) -> None:
    ensure_topics(run, (topics.ROWS,))
    name = run.topic(topics.ROWS)
    value = b"x" * 15_000_000
    producer = Producer({"bootstrap.servers": run.kafka_bootstrap_servers, "message.max.bytes": 16_777_216})
    producer.produce(name, value, key=b"k", partition=3)
    assert producer.flush(30) == 0

    reader = KafkaConsumer(
        name, bootstrap_servers=run.kafka_bootstrap_servers, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    assert next(reader).value == value
    reader.close()
    consumer = Consumer(
        {"bootstrap.servers": run.kafka_bootstrap_servers, "group.id": run.group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([name])
    message = consumer.poll(20)
    assert message is not None
    assert (message.value(), message.partition(), message.timestamp()[0]) == (value, 3, 2)  # 2 = LogAppendTime
    consumer.close()
