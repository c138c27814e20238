"""The batch transport on a real Kafka, and each of its repairs with and without it."""

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faust.transport.consumer import Consumer as StockConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams import transport
from streams.fetched import POLL_BYTES, POLL_RECORDS, bytes_of
from streams.settings import Settings
from streams.transport import QUEUED_POLLS, BatchApp, BatchConsumer, BatchTransport, Poll

pytestmark = pytest.mark.stack

NUMBERS = itertools.count()
PARTITIONS = 2


@dataclass
class Book:
    """Positions of a tiny worker: where to start, what is durable."""

    starts: dict[TP, int] = field(default_factory=dict)
    durable: dict[TP, int] = field(default_factory=dict)
    started_at: list[dict[TP, int]] = field(default_factory=list)

    async def start_offsets(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        return {tp: offset for tp, offset in self.starts.items() if tp in assigned}

    def started(self, starts: Mapping[TP, int]) -> None:
        self.started_at.append(dict(starts))

    def durable_offset(self, tp: TP) -> int | None:
        return self.durable.get(tp)


@dataclass
class Tiny:
    """One worker with one agent that notes the offsets it is given."""

    app: BatchApp
    book: Book
    topic: str
    seen: dict[int, list[int]]
    polls: list[Poll]

    async def wait_for(self, count: int, timeout_s: float = 30.0) -> None:
        until = asyncio.get_running_loop().time() + timeout_s
        while sum(map(len, self.seen.values())) < count:
            assert asyncio.get_running_loop().time() < until, f"saw only {self.seen}"
            await asyncio.sleep(0.05)


def new_topic(stack: Settings) -> str:
    """Create a topic of two partitions."""
    name = f"transport-{next(NUMBERS)}"
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
        future.result()
    return name


def send(stack: Settings, topic: str, partition: int, count: int) -> None:
    """Append records b'0', b'1', ... to one partition."""
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap_servers, "queue.buffering.max.messages": 1_000_000})
    for number in range(count):
        producer.produce(topic, str(number).encode(), b"key", partition=partition)
    assert producer.flush(10) == 0


def committed(stack: Settings, group: str, topic: str) -> list[int]:
    """Return the committed offsets of a group, -1001 = none."""
    consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap_servers, "group.id": group})
    found = consumer.committed([TopicPartition(topic, partition) for partition in range(PARTITIONS)], timeout=10)
    consumer.close()
    return [one.offset for one in found]


def run(
    stack: Settings,
    topic: str,
    group: str,
    scenario: Callable[[Tiny], Awaitable[None]],
    *,
    consumer: type[BatchConsumer] = BatchConsumer,
    fail: bool = False,
    more_agents: Callable[[BatchApp], None] | None = None,
    book: Book | None = None,
    commit_interval_s: float = 0.5,
) -> Tiny:
    """Run one worker in this process until the scenario is over."""

    class Transport(BatchTransport):
        Consumer = consumer

    class App(BatchApp):
        def _new_transport(self) -> BatchTransport:
            return Transport(self.conf.broker_consumer, self)

    async def main() -> Tiny:
        app = App(
            group,
            broker=f"kafka://{stack.kafka_bootstrap_servers}",
            datadir=Path(stack.home) / "faust",
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=commit_interval_s,
            stream_wait_empty=False,
            web_enabled=False,
        )
        own = book or Book()
        app.positions = own
        tiny = Tiny(app, own, topic, {partition: [] for partition in range(PARTITIONS)}, [])

        @app.agent(app.polls(topic))
        async def note(polls: AsyncIterator[Poll]) -> None:
            async for poll in polls:
                tiny.polls.append(poll)
                tiny.seen[poll.tp.partition] += [one.offset for one in poll.records]
                if fail:
                    raise RuntimeError("a bug")
                own.durable[poll.tp] = poll.next_position

        if more_agents is not None:
            more_agents(app)
        await app.start()
        try:
            await scenario(tiny)
        finally:
            await app.stop()
        return tiny

    return asyncio.run(main())


def test_one_event_is_what_one_poll_returned(stack: Settings) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 1000)
    send(stack, topic, 1, 500)

    tiny = run(stack, topic, f"g-{topic}", lambda one: one.wait_for(1500))

    assert tiny.seen == {0: list(range(1000)), 1: list(range(500))}
    assert len(tiny.polls) < 20
    for poll in tiny.polls:
        assert poll.position == poll.records[0].offset
        assert poll.next_position == poll.records[-1].offset + 1
    assert tiny.polls[0].records[0].key == b"key"
    assert tiny.polls[0].records[7].value == b"7"


def test_a_worker_goes_on_where_the_durable_results_end(stack: Settings) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 100)

    async def read_and_commit(tiny: Tiny) -> None:
        await tiny.wait_for(100)
        tiny.book.durable[TP(topic, 0)] = 60
        await tiny.app.consumer.commit()

    run(stack, topic, f"g-{topic}", read_and_commit, commit_interval_s=60)
    assert committed(stack, f"g-{topic}", topic)[0] == 60

    again = run(stack, topic, f"g-{topic}", lambda one: one.wait_for(40))
    assert again.seen[0] == list(range(60, 100))


def test_a_rewind_reads_again_without_holes(stack: Settings) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 50)

    async def rewind(tiny: Tiny) -> None:
        await tiny.wait_for(50)
        tiny.app.consumer.rewind(TP(topic, 0), 20)
        await tiny.wait_for(80)

    tiny = run(stack, topic, f"g-{topic}", rewind)
    assert tiny.seen[0] == [*range(50), *range(20, 50)]


def test_polls_are_small_enough_for_a_turn_of_the_loop(stack: Settings) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 12_000)
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap_servers})
    for size in (POLL_BYTES // 3,) * 7 + (POLL_BYTES * 2,) * 2:
        producer.produce(topic, b"x" * size, partition=1)
    producer.flush(10)

    tiny = run(stack, topic, f"g-{topic}", lambda one: one.wait_for(12_009))

    assert tiny.seen == {0: list(range(12_000)), 1: list(range(9))}
    assert max(len(poll.records) for poll in tiny.polls) == POLL_RECORDS
    large = [poll.records for poll in tiny.polls if poll.tp.partition == 1]
    assert all(len(found) == 1 or bytes_of(found) <= POLL_BYTES for found in large)
    assert len(large) >= 5


def test_an_agent_that_is_behind_stops_its_own_topic_alone(stack: Settings) -> None:
    behind, topic = new_topic(stack), new_topic(stack)
    send(stack, behind, 0, 100_000)
    may_go_on, worked_off = asyncio.Event(), list[int]()

    def slow(app: BatchApp) -> None:
        @app.agent(app.polls(behind))
        async def stay(polls: AsyncIterator[Poll]) -> None:
            async for poll in polls:
                await may_go_on.wait()
                worked_off.extend(one.offset for one in poll.records)

    async def scenario(tiny: Tiny) -> None:
        def queued() -> int:
            return sum(channel.queue.qsize() for channel in tiny.app.topics._tp_index[TP(behind, 0)])

        while queued() < QUEUED_POLLS:
            await asyncio.sleep(0.05)
        await asyncio.get_running_loop().run_in_executor(None, send, stack, topic, 0, 100)
        await tiny.wait_for(100)
        assert queued() == QUEUED_POLLS
        held = sum(map(len, tiny.app.consumer._held.values()))
        assert held <= POLL_RECORDS + 10_000, "more than a poll and a batch is held"
        may_go_on.set()
        while len(worked_off) < 100_000:
            await asyncio.sleep(0.05)

    run(stack, topic, f"g-{topic}", scenario, more_agents=slow)
    assert worked_off == list(range(100_000))


def test_bulk_comes_after_what_is_urgent(stack: Settings) -> None:
    bulk, urgent = new_topic(stack), new_topic(stack)
    order: list[str] = []

    def watch(app: BatchApp) -> None:
        app.bulk = frozenset({bulk})

        @app.agent(app.polls(bulk))
        async def work(polls: AsyncIterator[Poll]) -> None:
            async for poll in polls:
                time.sleep(0.005)  # as work does, not as waiting does
                order.append(poll.tp.topic)

    async def scenario(tiny: Tiny) -> None:
        send(stack, bulk, 0, 100_000)  # the loop stands still meanwhile: both are there when it goes on
        send(stack, urgent, 0, 1)
        await tiny.wait_for(1)
        assert len(order) <= 2 * QUEUED_POLLS, "all that was queued before, and one turn of the reader"

    run(stack, urgent, f"g-{urgent}", scenario, more_agents=watch)


def test_markers_of_transactions_are_passed_over_and_aborted_records_where_asked_for(stack: Settings) -> None:
    topic = new_topic(stack)
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap_servers, "transactional.id": f"t-{topic}"})
    producer.init_transactions(10)
    for end in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for number in range(3):
            producer.produce(topic, str(number).encode(), partition=0)
        producer.flush(10)  # an abort would drop what is not sent yet
        end(10)

    async def committed_only() -> list[int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap_servers, isolation_level="read_committed")
        await consumer.start()
        consumer.assign([TP(topic, 0)])
        await consumer.seek_to_beginning()
        found: list[int] = []
        while await consumer.position(TP(topic, 0)) < 12:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += [one.offset for one in records]
        await consumer.stop()
        return found

    tiny = run(stack, topic, f"g-{topic}", lambda one: one.wait_for(9))
    assert tiny.seen[0] == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert asyncio.run(committed_only()) == [0, 1, 2, 8, 9, 10]


class WithoutCommitFirst(BatchConsumer):
    """REPAIR 1 taken out: Faust's own order."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await driver.Consumer.on_partitions_revoked(self, revoked)


@pytest.mark.parametrize(("consumer", "expected"), [(BatchConsumer, 30), (WithoutCommitFirst, -1001)])
def test_repair_1_a_rebalance_commits_what_is_durable(
    stack: Settings, consumer: type[BatchConsumer], expected: int
) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 30)

    async def revoke(tiny: Tiny) -> None:
        await tiny.wait_for(30)
        await asyncio.sleep(0.1)
        await tiny.app.consumer.on_partitions_revoked(tiny.app.consumer.assignment())
        tiny.book.durable.clear()

    run(stack, topic, f"g-{topic}", revoke, consumer=consumer, commit_interval_s=60)
    assert committed(stack, f"g-{topic}", topic)[0] == expected


@dataclass
class SlowBook(Book):
    """Takes its time to say where to start, as loading a checkpoint does."""

    tiny: Any = None
    during: list[int] = field(default_factory=list)
    """Polls handed out while it was thinking, per assignment."""

    async def start_offsets(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        before = len(self.tiny.polls) if self.tiny else 0
        await asyncio.sleep(1.0)
        self.during.append((len(self.tiny.polls) if self.tiny else 0) - before)
        return await super().start_offsets(assigned)


class WithoutStoppedFlow(BatchConsumer):
    """REPAIR 2 taken out."""

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        await driver.Consumer.on_partitions_assigned(self, assigned, generation_id)


@pytest.mark.parametrize(("consumer", "kept_out"), [(BatchConsumer, True), (WithoutStoppedFlow, False)])
def test_repair_2_nothing_is_read_before_it_is_known_from_where(
    stack: Settings, consumer: type[BatchConsumer], kept_out: bool
) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 10)
    book = SlowBook()

    async def assign_again(tiny: Tiny) -> None:
        await tiny.wait_for(10)
        book.tiny = tiny
        app = tiny.app
        await app.consumer.on_partitions_assigned(app.consumer.assignment(), app.consumer_generation_id)
        sending = asyncio.get_running_loop().run_in_executor(None, send, stack, topic, 0, 10)
        while len(book.during) < 2:
            await asyncio.sleep(0.05)
        await sending

    run(stack, topic, f"g-{topic}", assign_again, consumer=consumer, book=book)
    assert (book.during[1] == 0) is kept_out


class WithoutBeginning(BatchConsumer):
    """REPAIR 3 taken out: Faust's own seek, which skips partitions without a commit."""

    async def perform_seek(self) -> None:
        if self._delivered:
            await driver.Consumer.perform_seek(self)
        else:
            await super().perform_seek()


@pytest.mark.parametrize(("consumer", "expected"), [(BatchConsumer, 2), (WithoutBeginning, 1)])
def test_repair_3_a_partition_without_commit_is_read_again_from_its_beginning(
    stack: Settings, consumer: type[BatchConsumer], expected: int
) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 20)

    async def seek_again(tiny: Tiny) -> None:
        await tiny.wait_for(20)
        await tiny.app.consumer.perform_seek()
        await asyncio.sleep(2.0)

    tiny = run(stack, topic, f"g-{topic}", seek_again, consumer=consumer, commit_interval_s=60)
    assert tiny.seen[0] == list(range(20)) * expected


class WithoutOwnCommits(BatchConsumer):
    """REPAIR 7 taken out: Faust commits whatever was acknowledged, also by an agent that raised."""

    def _new_offset(self, tp: TP) -> int | None:
        offset: int | None = StockConsumer._new_offset(self, tp)
        return offset

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return StockConsumer._filter_tps_with_pending_acks(self, topics)


@pytest.mark.parametrize(("consumer", "expected"), [(BatchConsumer, -1001), (WithoutOwnCommits, 30)])
def test_repair_7_what_an_agent_failed_on_is_not_committed(
    stack: Settings, consumer: type[BatchConsumer], expected: int
) -> None:
    topic = new_topic(stack)
    send(stack, topic, 0, 30)

    async def fail(tiny: Tiny) -> None:
        await tiny.wait_for(30)
        await asyncio.sleep(1.5)

    run(stack, topic, f"g-{topic}", fail, consumer=consumer, fail=True)
    assert committed(stack, f"g-{topic}", topic)[0] == expected


def test_repair_7_bytes_that_are_nothing_reach_the_agent_as_they_are(stack: Settings) -> None:
    topic = new_topic(stack)
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap_servers})
    for value in (b"\xff\xfe\x00", None, b""):
        producer.produce(topic, value, partition=0)
    producer.flush(10)

    tiny = run(stack, topic, f"g-{topic}", lambda one: one.wait_for(3))

    assert [one.value for poll in tiny.polls for one in poll.records] == [b"\xff\xfe\x00", None, b""]


def test_another_faust_version_is_refused() -> None:
    code = "import faust; faust.__version__ = '0.16.0'; import streams.transport"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"repairs faust-streaming {transport.WRITTEN_FOR}, found 0.16.0" in ended.stderr
