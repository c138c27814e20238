"""The page's stream on a real Kafka: resumed without gap or repeat, reset, bounded, and only while somebody looks."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.codec import Codec
from schemas.records import IncidentState
from streams import topics
from streams.admin import ensure_topics
from streams.kafka_access import librdkafka_settings
from streams.settings import Settings
from streams.web import incident_book, live
from tests.streams.running import START_MS, run_settings
from tests.streams.web_running import Log, a_change, opened, positions, revision_of, serving

pytestmark = pytest.mark.stack
HOUR = 3_600


@pytest.fixture
def settings(stack_with_registry: Settings, request: pytest.FixtureRequest) -> Settings:
    """A run of its own a test, with its topics."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].strip("-")
    own = run_settings(stack_with_registry, name)
    ensure_topics(own, (topics.ROWS, topics.CHANGES, topics.INCIDENTS))
    return own


@pytest.fixture
def log(settings: Settings, codec: Codec) -> Iterator[Log]:
    """The run's log."""
    own = Log(settings, codec)
    yield own
    own.arrive()


def test_the_stream_goes_on_without_gap_or_repeat(settings: Settings, codec: Codec, log: Log) -> None:
    for revision in (1, 2, 3):
        log.change("i-1", revision)
    log.arrive()

    async def run() -> None:
        async with serving(settings, codec) as (client, _):
            async with opened(client, "/page") as stream:
                reset = await stream.next("reset", "incident")
                assert (reset.name, reset.event_id, reset.told["cursor"]) == ("reset", 2, 2)
                assert [(one["incident_id"], one["revision"]) for one in reset.told["incidents"]] == [("i-1", 3)]
                log.change("i-1", 4)
                log.change("i-1", 3)  # a worker that died makes again what followed its checkpoint
                log.change("i-1", 4)
                log.change("i-2", 1)
                log.arrive()
                told = await stream.take(2)
                assert [revision_of(one) for one in told] == [("i-1", 4), ("i-2", 1)]
                assert [one.event_id for one in told] == [3, 6]
            log.change("i-2", 2)
            log.change("i-2", 1)
            log.change("i-2", 3)
            log.arrive()
            async with opened(client, "/page", last_event_id=3) as stream:
                told = await stream.take(3)
                assert [revision_of(one) for one in told] == [("i-2", 1), ("i-2", 2), ("i-2", 3)]
                log.change("i-3", 1)
                log.arrive()
                assert revision_of(await stream.next("incident", "reset")) == ("i-3", 1)
            async with opened(client, "/changes?after=9") as stream:
                assert revision_of(await stream.next("incident", "reset")) == ("i-3", 1)

    asyncio.run(run())


def test_what_is_no_longer_kept_is_read_from_the_log(
    settings: Settings, codec: Codec, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_book, "KEPT_CHANGES", 3)
    monkeypatch.setattr(live, "MOST_BEHIND", 12)
    for revision in range(1, 21):
        log.change("i-1", revision)
        log.change("i-1", max(1, revision - 1))
    log.arrive()  # offsets 0 to 39; first ones at even offsets, the repeat of 1 at offset 1 too

    async def run() -> None:
        async with serving(settings, codec) as (client, _):
            async with opened(client, "/page", last_event_id=26) as stream:
                told = await stream.take(6)
                assert [revision_of(one)[1] for one in told] == list(range(15, 21))
            async with opened(client, "/page", last_event_id=2) as stream:
                assert (await stream.next("incident", "reset")).name == "reset"

    asyncio.run(run())


def test_an_id_that_is_gone_from_the_log_or_of_another_one_is_reset(settings: Settings, codec: Codec, log: Log) -> None:
    for number in range(1, 9):
        log.change(f"i-{number}", 1)
    log.arrive()
    admin = AdminClient(librdkafka_settings(settings.kafka))
    for deleted in admin.delete_records([TopicPartition(settings.topic(topics.CHANGES), 0, 5)]).values():
        deleted.result(10)

    async def run() -> None:
        async with serving(settings, codec) as (client, _):
            async with opened(client, "/page", last_event_id=2) as stream:
                reset = await stream.next("incident", "reset")
                assert (reset.name, reset.event_id, len(reset.told["incidents"])) == ("reset", 7, 8)
            async with opened(client, "/page", last_event_id=4) as stream:
                assert [one.event_id for one in await stream.take(3)] == [5, 6, 7]
            async with opened(client, "/changes", last_event_id=99) as stream:
                reset = await stream.next("incident", "reset")
                assert (reset.name, reset.told) == ("reset", {"cursor": 7})

    asyncio.run(run())


def test_the_list_holds_what_is_open_and_what_ended_within_the_hour(settings: Settings, codec: Codec, log: Log) -> None:
    ended = {"state": IncidentState.CLOSED}
    log.change("i-old", 1, tick_ms=START_MS - 2 * HOUR * 1000, opened_at_ms=START_MS - 3 * HOUR * 1000, **ended)
    log.change("i-older-but-open", 1, tick_ms=START_MS - 2 * HOUR * 1000, opened_at_ms=START_MS - 3 * HOUR * 1000)
    log.change("i-just-ended", 1, tick_ms=START_MS - HOUR * 1000 // 2, opened_at_ms=START_MS - 1, **ended)
    log.change("i-now", 1, tick_ms=START_MS)
    log.arrive()

    async def run() -> None:
        async with serving(settings, codec) as (_, kept):
            await kept.ready()
            listed = [one.incident_id for one in kept.book.current().incidents]
            assert listed == ["i-now", "i-just-ended", "i-older-but-open"]

    asyncio.run(run())


def test_vehicles_are_told_once_in_full_and_then_as_they_move(
    settings: Settings, codec: Codec, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    key = "vehicle.positions.v1/0/positions"
    minute = START_MS + 60_000
    log.append(topics.ROWS, key, positions(minute, [("bus-1", minute - 900), ("gone", START_MS - 61_000)]), 1)
    log.append(topics.ROWS, "vehicle.positions.v1/0/detections", b"not a frame, and not looked at", 1)
    log.append(topics.ROWS, key, positions(minute, [("bus-2", minute), ("bus-1", minute - 1_000)]), 2)
    log.arrive()

    async def run() -> None:
        async with serving(settings, codec) as (client, _), opened(client, "/page") as stream:
            first = (await stream.next("vehicles")).told
            assert first["at_ms"] == minute
            assert sorted(first["vehicles"]) == [
                ["bus-1", 105.8, 21.0, 0.0, 0.0, "32", "BUS", minute - 900],
                ["bus-2", 105.8, 21.0, 0.0, 0.0, "32", "BUS", minute],
            ]
            assert (await stream.next("vehicles")).told["vehicles"] == []
            log.append(topics.ROWS, key, positions(minute + 500, [("bus-2", minute + 400)]), 3)
            log.arrive()
            moved = (await stream.next("vehicles")).told
            while not moved["vehicles"]:
                moved = (await stream.next("vehicles")).told
            assert moved == {
                "at_ms": minute + 500,
                "vehicles": [["bus-2", 105.8, 21.0, 0.0, 0.0, "32", "BUS", minute + 400]],
            }

    with caplog.at_level(logging.WARNING, "streams.web"):
        asyncio.run(run())
    assert caplog.records == []


def test_who_does_not_read_is_dropped_and_who_reads_is_not(
    settings: Settings, codec: Codec, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.web.clients.MOST_WAITING_BYTES", 1_000_000)
    rounds, big = 30, "x" * 300_000

    async def run() -> None:
        async with serving(settings, codec) as (client, kept), opened(client, "/changes") as reader:
            idle = socket.socket()
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            idle.connect(("127.0.0.1", client.port))
            idle.sendall(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while len(kept._clients) < 2:
                await asyncio.sleep(0.01)
            longest_s = 0.0
            for number in range(1, rounds + 1):
                log.append(topics.CHANGES, "i-1", a_change("i-1", number, place=big))
                await asyncio.get_running_loop().run_in_executor(None, log.arrive)
                asked_s = time.monotonic()
                assert revision_of(await reader.next("incident")) == ("i-1", number)
                longest_s = max(longest_s, time.monotonic() - asked_s)
            assert len(kept._clients) == 1
            assert longest_s < 5.0
            idle.close()

    asyncio.run(run())


def test_the_log_is_read_only_while_somebody_looks(
    settings: Settings, codec: Codec, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "IDLE_S", 0.2)
    monkeypatch.setattr(live, "STATUS_EVERY_S", 0.1)
    log.change("i-1", 1)
    log.arrive()

    async def run() -> None:
        async with serving(settings, codec) as (client, kept):
            assert not kept.tailing
            async with opened(client, "/page") as stream:
                assert (await stream.next("reset")).told["cursor"] == 0
                await asyncio.sleep(0.5)
                assert kept.tailing
            async with asyncio.timeout(5):
                while kept.tailing:
                    await asyncio.sleep(0.05)
            log.change("i-1", 2)
            log.arrive()
            async with opened(client, "/page", last_event_id=0) as stream:
                assert revision_of(await stream.next("incident", "reset")) == ("i-1", 2)

    asyncio.run(run())
