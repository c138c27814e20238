"""Checkpoints on a real compacted topic: whole or not at all, and the highest offset wins."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from processors.checkpoint import Checkpoint
from streams import topics
from streams.admin import ensure_topics
from streams.checkpoints import SLICE_BYTES, CheckpointStore, Loaded
from streams.outbox import Outbox
from streams.settings import Settings

pytestmark = pytest.mark.stack

SOURCE = ("vehicle.positions.v1", 2)


def checkpoint(
    next_offset: int, new: dict[str, bytes], live: tuple[str, ...], dropped: tuple[str, ...] = ()
) -> Checkpoint:
    return Checkpoint(next_offset, next_offset * 10, new, live, dropped)


@pytest.fixture
def settings(stack: Settings, request: pytest.FixtureRequest) -> Settings:
    run = request.node.name.replace("_", "-")[:60]
    own = replace(stack, run=run, source_run=run)
    ensure_topics(own, (topics.CHECKPOINTS,))
    return own


@pytest.fixture
def outbox(stack: Settings) -> Iterator[Outbox]:
    box = Outbox(stack.kafka)
    yield box
    box.close()


def store_of(settings: Settings, outbox: Outbox) -> CheckpointStore:
    return CheckpointStore(settings.kafka, settings.topic(topics.CHECKPOINTS), outbox)


def write(store: CheckpointStore, *checkpoints: Checkpoint) -> None:
    async def all_of_them() -> None:
        for one in checkpoints:
            await store.write(SOURCE, one)

    asyncio.run(all_of_them())


def load(store: CheckpointStore) -> Loaded | None:
    return asyncio.run(store.load(frozenset([SOURCE]))).get(SOURCE)


def test_nothing_written_is_nothing_loaded(settings: Settings, outbox: Outbox) -> None:
    assert load(store_of(settings, outbox)) is None


def test_the_newest_comes_back_with_parts_of_earlier_ones(settings: Settings, outbox: Outbox) -> None:
    big = bytes(range(256)) * (SLICE_BYTES // 100)
    write(
        store_of(settings, outbox),
        checkpoint(10, {"a": b"first", "empty": b""}, ("a", "empty")),
        checkpoint(20, {"b": big}, ("a", "b"), dropped=("empty",)),
    )
    outbox._producer.flush(5)

    loaded = load(store_of(settings, outbox))

    assert loaded is not None
    assert (loaded.next_offset, loaded.tick_ms, loaded.live) == (20, 200, ("a", "b"))
    assert loaded.parts == {"a": b"first", "b": big}


def test_a_zombie_with_an_older_checkpoint_changes_nothing(settings: Settings, outbox: Outbox) -> None:
    zombie, worker = store_of(settings, outbox), store_of(settings, outbox)
    write(zombie, checkpoint(10, {"a": b"a"}, ("a",)))
    assert load(worker) is not None
    write(worker, checkpoint(20, {"b": b"b"}, ("a", "b")), checkpoint(30, {"c": b"c"}, ("b", "c"), dropped=("a",)))
    write(zombie, checkpoint(20, {"b": b"b"}, ("a", "b")))
    outbox._producer.flush(5)

    loaded = load(store_of(settings, outbox))

    assert loaded is not None
    assert (loaded.next_offset, loaded.parts) == (30, {"b": b"b", "c": b"c"})


def test_a_head_whose_parts_are_missing_does_not_count(settings: Settings, outbox: Outbox) -> None:
    write(store_of(settings, outbox), checkpoint(10, {"a": b"a"}, ("a",)))
    half = b'{"format":1,"next_offset":50,"tick_ms":1,"parts":[["a",1],["never-written",2]]}'
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    producer.produce(settings.topic(topics.CHECKPOINTS), half, f"{SOURCE[0]}/{SOURCE[1]}/head/50".encode())
    producer.flush(5)

    loaded = load(store_of(settings, outbox))

    assert loaded is not None
    assert loaded.next_offset == 10
