"""Outages on the real stack: ClickHouse or Kafka gone in mid-run, nothing lost and nothing twice."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.city import City
from schemas.codec import Codec
from sinks.clickhouse.queries import count_rows
from sinks.clickhouse.server import RunningServer, start_server
from streams import topics
from streams.admin import ensure_topics
from streams.settings import Settings
from streams.stack import Phase, read_state, start_stack
from streams.workers import Offsets, WorkerProcess
from tests.streams.running import (
    READY_S,
    PacedFeed,
    balance,
    finish,
    make_ready,
    merged_s,
    read_outputs,
    run_settings,
    simulated,
    wait_until,
    work_off,
    working,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LOG_S = 30.0
SPEED = 3.0
OFTEN = {"crashes_per_hour": 400.0, "fires_per_hour": 400.0, "quiet_end_s": 5.0}


def log_of(settings: Settings, codec: Codec, city: City) -> PacedFeed:
    return PacedFeed(settings, codec, simulated(city, 21, LOG_S, vehicles=100, **OFTEN), LOG_S, SPEED)


def waits(worker: WorkerProcess) -> bool:
    status = worker.status()
    return status is not None and status.sink_waiting is not None


def is_ready(settings: Settings) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.web_port}/readyz") as answer:
        return bool(answer.status == 200)


def changes_published(settings: Settings) -> int:
    offsets = Offsets(settings)
    try:
        return offsets.ends(topics.CHANGES)[0]
    finally:
        offsets.close()


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that a test may stop; the worker's address of it stays the same."""
    server = start_server(tmp_path / "clickhouse")
    yield server
    server.stop()


def test_clickhouse_gone_at_the_start_and_in_mid_run_delays_rows_and_nothing_else(
    stack_with_registry: Settings, codec: Codec, city: City, clickhouse: RunningServer, tmp_path: Path
) -> None:
    sunk = run_settings(stack_with_registry, "sunk", clickhouse_url=clickhouse.url)
    ensure_topics(sunk)
    clickhouse.process.kill()
    clickhouse.process.wait()
    with log_of(sunk, codec, city) as log, working(sunk) as worker:
        log.allow(8.0)
        wait_until(lambda: merged_s(worker.status()) >= 8.0, READY_S, "detection waits for ClickHouse")
        wait_until(lambda: waits(worker), READY_S, "/status does not say that rows wait")
        assert is_ready(sunk)

        first = start_server(tmp_path / "clickhouse")
        assert first.url == clickhouse.url
        wait_until(lambda: not waits(worker), READY_S, "rows still wait")
        log.allow(16.0)
        wait_until(lambda: merged_s(worker.status()) >= 14.0, READY_S, "detection stands still")
        first.process.kill()
        first.process.wait()

        published = changes_published(sunk)
        log.allow(LOG_S)
        wait_until(lambda: merged_s(worker.status()) >= LOG_S - 1, READY_S, "detection waits for ClickHouse")
        wait_until(lambda: waits(worker), READY_S, "/status does not say that rows wait")
        assert is_ready(sunk)
        assert changes_published(sunk) > published

        second = start_server(tmp_path / "clickhouse")
        try:
            log.finish()
            finish(sunk, worker)
            assert not waits(worker)
            accounts = balance(sunk, codec)
            rows = read_outputs(sunk, codec).tables
            assert sum(count_rows(sunk.clickhouse_url, sunk.database).values()) > 1000
        finally:
            second.stop()
    assert {name: table.written for name, table in accounts.tables.items()} == {
        name: len(rows[name]) for name in accounts.tables
    }


def test_kafka_killed_in_mid_run_loses_nothing(stack_with_registry: Settings, codec: Codec, city: City) -> None:
    cut_off = run_settings(stack_with_registry, "cut-off")
    untouched = run_settings(stack_with_registry, "untouched", "cut-off")
    make_ready(cut_off)
    with log_of(cut_off, codec, city) as log, working(cut_off) as worker:
        log.allow(18.0)
        wait_until(lambda: merged_s(worker.status()) >= 10.0, READY_S, "detection stands still")
        kill_kafka(cut_off.home)
        log.finish()
        finish(cut_off, worker)
        assert worker.process.poll() is None
    work_off(untouched)

    shaken, calm = read_outputs(cut_off, codec), read_outputs(untouched, codec)
    assert shaken.unlike == []
    assert shaken.changes == calm.changes
    assert shaken.rejects == calm.rejects
    assert shaken.tables == calm.tables
    balance(cut_off, codec)
    start_stack(stack_with_registry.without_servers())


def kill_kafka(home: Path) -> None:
    state = read_state(home)
    assert state is not None
    mark = state.part("kafka").mark
    assert mark is not None
    process = mark.process()
    assert process is not None
    process.kill()

    def back() -> bool:
        now = read_state(home)
        return now is not None and now.part("kafka").phase is Phase.READY and now.part("kafka").mark != mark

    wait_until(back, READY_S, "the supervisor does not start Kafka again")
