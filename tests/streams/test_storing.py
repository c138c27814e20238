"""Row frames on their way to a real ClickHouse: what is durable, what waits, and how much."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from processors.records_in import RawRecord
from schemas.codec import local_codec
from schemas.records import RowFrame
from sinks.clickhouse.queries import count_rows
from sinks.clickhouse.server import RunningServer, start_server
from streams import storing
from streams.health import Health
from streams.settings import Settings
from streams.storing import Storing
from streams.transport import Poll
from tests.sinks.frames import frame

pytestmark = [pytest.mark.stack, pytest.mark.timeout(60)]

CODEC = local_codec()
ROWS = TP("rows.v1", 0)
OTHER = TP("rows.v1", 1)
WAIT_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = start_server(tmp_path_factory.mktemp("clickhouse"))
    yield running
    running.stop()


@pytest.fixture
def sunk(stackless: Settings, server: RunningServer, request: pytest.FixtureRequest) -> Settings:
    """Settings with a database of the test's own."""
    return replace(stackless, clickhouse_url=server.url, run=f"storing-{abs(hash(request.node.name)) % 10**8}")


@dataclass
class Sink:
    """A `Storing` of partitions 0 and 1, and what it told."""

    storing: Storing
    health: Health
    durable: dict[TP, int]

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        for _ in range(int(WAIT_S / 0.02)):
            if holds():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{what}: {self.durable}, {self.health.status()}")


@asynccontextmanager
async def sinking(settings: Settings, start: int = 0) -> AsyncIterator[Sink]:
    health, durable = Health(settings.run), dict[TP, int]()
    sink = Sink(Storing(settings, lambda: CODEC, health, durable.__setitem__), health, durable)
    sink.storing.started({ROWS: start, OTHER: start})
    try:
        yield sink
    finally:
        sink.storing.close()


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop."""

    @functools.wraps(test)
    def run(*fixtures: Any, **named: Any) -> None:
        asyncio.run(test(*fixtures, **named))

    return run


def beats(number: int, rows: int = 3) -> RowFrame:
    return frame("heartbeats", rows, first_offset=rows * number, last_offset=rows * number + rows - 1)


def poll_of(frames: Sequence[RowFrame | bytes], first: int = 0, position: int | None = None, tp: TP = ROWS) -> Poll:
    """A poll of frames at offsets from `first` on."""
    values = [one if isinstance(one, bytes) else CODEC.encode(one) for one in frames]
    found = [RawRecord(first + number, None, value) for number, value in enumerate(values)]
    after = first + len(found)
    return Poll(tp, first if position is None else position, after, after, found)


def heartbeats(settings: Settings) -> int:
    return count_rows(settings.clickhouse_url, settings.database)["heartbeats"]


@in_loop
async def test_everything_is_stored_and_durable_up_to_the_end(sunk: Settings) -> None:
    async with sinking(sunk) as sink:
        assert await sink.storing.store(poll_of([beats(number) for number in range(20)])) is None
        assert await sink.storing.store(poll_of([beats(number) for number in range(20, 30)], first=20)) is None
        await sink.until(lambda: sink.durable.get(ROWS) == 30, "not all is durable")
        assert heartbeats(sunk) == 90
        assert sink.health.status().rows_written == {"heartbeats": 90}
        empty = Poll(ROWS, 30, 33, 33, [])
        assert await sink.storing.store(empty) is None
        assert sink.durable[ROWS] == 33, "a poll of nothing that is ours moves on too"


@in_loop
async def test_frame_that_is_refused_holds_back_what_is_durable_and_no_other_frame(sunk: Settings) -> None:
    bad = replace(beats(1), table="heartbeat")
    async with sinking(sunk) as sink:
        await sink.storing.store(poll_of([beats(0), bad, *(beats(number) for number in range(2, 12))]))
        await sink.storing.store(poll_of([beats(40)], tp=OTHER))
        await sink.until(lambda: sink.health.status().rows_written.get("heartbeats") == 36, "the others wait")
        assert heartbeats(sunk) == 36
        assert sink.durable == {ROWS: 1, OTHER: 1}
        assert "there is no table 'heartbeat'" in (sink.health.sink_waiting or "")


@in_loop
async def test_restart_repeats_what_was_stored_behind_the_gap_and_changes_nothing(sunk: Settings) -> None:
    frames = [beats(number) for number in range(10)]
    async with sinking(sunk) as sink:
        await sink.storing.store(poll_of([frames[0], replace(frames[1], table="heartbeat"), *frames[2:]]))
        await sink.until(lambda: sink.health.status().rows_written.get("heartbeats") == 27, "the others wait")
        begin_again = sink.durable[ROWS]
    assert begin_again == 1
    async with sinking(sunk, start=begin_again) as sink:
        await sink.storing.store(poll_of(frames[1:], first=1))
        await sink.until(lambda: sink.durable.get(ROWS) == 10, "not all is durable")
        assert heartbeats(sunk) == 30


@in_loop
async def test_value_that_is_no_frame_is_passed_over(sunk: Settings, caplog: pytest.LogCaptureFixture) -> None:
    async with sinking(sunk) as sink:
        await sink.storing.store(poll_of([b"not avro", beats(0), b""]))
        await sink.until(lambda: sink.durable.get(ROWS) == 3, "not all is durable")
        assert heartbeats(sunk) == 3
    assert "offset 0 is not a row frame" in caplog.text
    assert "offset 2 is not a row frame" in caplog.text


@in_loop
async def test_hole_in_a_partition_is_read_again_from_its_begin(sunk: Settings) -> None:
    async with sinking(sunk, start=5) as sink:
        assert await sink.storing.store(poll_of([beats(8)], first=8)) == 5
        assert await sink.storing.store(poll_of([beats(number) for number in range(3, 9)], first=3)) is None
        await sink.until(lambda: sink.durable.get(ROWS) == 9, "not all is durable")
        assert heartbeats(sunk) == 12, "from offset 5 on"
        assert await sink.storing.store(poll_of([beats(99)], tp=TP("rows.v1", 3))) is None
        assert set(sink.durable) == {ROWS}, "a partition of another worker"


@in_loop
async def test_server_that_is_away_holds_up_nothing_until_the_bound_and_then_everything(
    stackless: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(CODEC.encode(beats(0)))
    monkeypatch.setattr(storing, "HELD_BYTES", 10 * size + 1)
    server = start_server(tmp_path / "clickhouse")
    server.process.kill()
    server.process.wait()
    away = replace(stackless, clickhouse_url=server.url, run="away")
    async with sinking(away) as sink:
        await asyncio.wait_for(sink.storing.store(poll_of([beats(number) for number in range(10)])), 1.0)
        await sink.until(lambda: sink.health.sink_waiting is not None, "/status does not say that rows wait")
        more = asyncio.create_task(sink.storing.store(poll_of([beats(10)], first=10)))
        await asyncio.sleep(0.3)
        assert not more.done(), "taken beyond the bound"
        assert sink.durable == {ROWS: 0}
        again = start_server(tmp_path / "clickhouse")
        try:
            assert again.url == server.url
            await sink.until(lambda: sink.durable[ROWS] == 11, "not all is durable")
            assert more.done()
            assert sink.health.sink_waiting is None
            assert heartbeats(away) == 33
        finally:
            again.stop()


@in_loop
async def test_partition_given_anew_forgets_what_waited(sunk: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "AHEAD", 4)
    monkeypatch.setattr(storing, "REFUSED_PAUSE_S", 0.1)
    bad = replace(beats(0), table="heartbeat")
    async with sinking(sunk) as sink:
        held = asyncio.create_task(sink.storing.store(poll_of([bad, *(beats(number) for number in range(1, 9))])))
        await sink.until(lambda: sink.health.status().rows_written.get("heartbeats") == 9, "the others wait")
        assert not held.done(), "taken further ahead than a restart may repeat"
        sink.storing.started({ROWS: 1})
        assert await asyncio.wait_for(held, 1.0) is None
        await sink.storing.store(poll_of([beats(number) for number in range(1, 9)], first=1))
        await sink.until(lambda: sink.durable.get(ROWS) == 9, "not all is durable")
        assert heartbeats(sunk) == 24
        await sink.until(lambda: sink.health.sink_waiting is None, "what was given up still counts")
