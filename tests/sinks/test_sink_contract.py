"""What sinks/contract.py promises, held against the real server."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.columns import pack
from schemas.errors import Retryable
from schemas.records import Column, RowFrame
from schemas.tables import TABLES
from sinks.clickhouse.migrations import drop_database, migrate
from sinks.clickhouse.queries import count_rows, query
from sinks.clickhouse.server import start_server
from sinks.clickhouse.writer import SETTINGS, Writer
from sinks.contract import FrameRefused, RowSink, WriteResult
from tests.sinks.frames import NOON_MS, frame, full_columns

pytestmark = pytest.mark.stack


def positions(number: int, rows: int = 7, partition: int = 0) -> RowFrame:
    vehicles = [f"29B-{(number * rows + row) % 5}" for row in range(rows)]
    return frame(
        "positions",
        rows,
        first_offset=number * rows,
        last_offset=number * rows + rows - 1,
        partition=partition,
        vehicle_id=vehicles,
        line_id="01",
        unit_code="00004",
        speed_mm_s=[(number * 31 + row) % 9 - 1 for row in range(rows)],
        cell=0x8941_5CB2_9C3F_FFF,
        at_ms=NOON_MS + number * 20_000,
    )


def revision(number: int, state: str = "CONFIRMED") -> RowFrame:
    return frame(
        "incident_log",
        1,
        first_offset=number,
        topic="observations.v1",
        incident_id="i-1",
        revision=number,
        state=state,
        kind="crash",
        line_ids="01\n26",
    )


def everything(url: str, database: str) -> dict[str, str]:
    """Every row that a test could tell apart, in an order of its own, as text because NaN differs from itself."""
    names = [*TABLES, "incidents", "minutes"]
    return {name: repr(query(url, database, f"SELECT * FROM {name} ORDER BY ALL").rows) for name in names}


def total(url: str, database: str, column: str = "positions") -> int:
    (row,) = query(url, database, f"SELECT sum({column}) FROM minutes WHERE dimension = 'line'").rows
    return int(row[0])


def written(sink: RowSink, frames: list[RowFrame]) -> list[WriteResult]:
    return [sink.write(item) for item in frames]


def written_until_it_fails(sink: RowSink, frames: list[RowFrame]) -> int:
    """How many frames were acknowledged before the first that was not."""
    for acknowledged, item in enumerate(frames):
        try:
            sink.write(item)
        except Retryable:
            return acknowledged
    raise AssertionError("the server outlived the frames")


@pytest.mark.parametrize("table", TABLES)
def test_same_frame_twice_is_stored_once(url: str, database: str, table: str) -> None:
    sink = Writer(url, database)
    once = frame(table, 3, first_offset=5)
    assert written(sink, [once, once]) == [WriteResult(table, 3)] * 2
    assert count_rows(url, database)[table] == 3
    assert Writer(url, database).write(once) == WriteResult(table, 3)
    assert count_rows(url, database) == {**dict.fromkeys(TABLES, 0), table: 3}


def test_same_frame_twice_changes_no_view(url: str, database: str) -> None:
    sink = Writer(url, database)
    frames = [positions(0), positions(1), revision(1, "SUSPECTED"), revision(2)]
    written(sink, frames)
    before = everything(url, database)
    written(sink, frames[::-1])
    assert everything(url, database) == before
    assert total(url, database) == 14
    (incident,) = query(url, database, "SELECT revision, state, line_ids FROM incidents").rows
    assert incident == (2, "CONFIRMED", ["01", "26"])


def test_order_of_frames_is_irrelevant(url: str, database: str) -> None:
    frames = [*(positions(number) for number in range(8)), *(revision(number) for number in range(1, 5))]
    written(Writer(url, database), frames)
    other = f"{database}_shuffled"
    migrate(url, other, ttl_days=None)
    try:
        random.Random(4).shuffle(frames)
        written(Writer(url, other), frames + frames[:3])
        assert everything(url, other) == everything(url, database)
    finally:
        drop_database(url, other)


def test_same_frame_from_several_writers_at_once_is_stored_once(url: str, database: str) -> None:
    sinks = [Writer(url, database) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for number in range(12):
            once = positions(number)
            results = list(threads.map(lambda sink, one=once: sink.write(one), sinks))
            assert results == [WriteResult("positions", 7)] * 4
    assert (count_rows(url, database)["positions"], total(url, database)) == (84, 84)


def test_frame_is_the_same_by_dictionary_and_by_text(url: str, database: str) -> None:
    lines = ["01", "", "tuyến 26", "01"]
    for number, coded in enumerate((False, True)):
        for table, column in (("positions", "line_id"), ("rejected", "errors")):
            texts: dict[str, Any] = {column: lines}
            item = frame(table, 4, first_offset=4 * number, by_dictionary=coded, **texts)
            assert Writer(url, database).write(item) == WriteResult(table, 4)
    for table in ("positions", "rejected"):
        sql = f"SELECT * EXCEPT source_offset, count() AS times FROM {table} GROUP BY ALL HAVING times % 2 = 1"
        assert query(url, database, sql).rows == ()
        assert count_rows(url, database)[table] == 8


def test_frame_without_rows_is_nothing(url: str, database: str) -> None:
    assert Writer(url, database).write(frame("readings", 0)) == WriteResult("readings", 0)
    assert count_rows(url, database)["readings"] == 0


def test_frame_over_more_than_a_hundred_days_is_one_block(url: str, database: str) -> None:
    days = frame("readings", 150, at_ms=NOON_MS + 86_400_000 * np.arange(150))
    written(Writer(url, database), [days, days])
    assert count_rows(url, database)["readings"] == 150


def test_large_frame_is_one_block_for_the_view_too(url: str, database: str) -> None:
    rows = 120_000
    cells = np.arange(1, rows + 1, dtype="<u8")
    large = frame("positions", rows, vehicle_id="a", line_id="01", unit_code="1", speed_mm_s=3, cell=cells)
    written(Writer(url, database), [large, large])
    assert count_rows(url, database)["positions"] == rows
    assert total(url, database) == rows
    (row,) = query(url, database, "SELECT count(), sum(positions) FROM minutes WHERE dimension = 'cell'").rows
    assert row == (rows, rows)


def by_dictionary(dtype: str, numbers: bytes, words: bytes) -> Column:
    return Column(name="firmware_version", dtype=dtype, values=numbers, dictionary=words)


GOOD = frame("heartbeats", 2)
BAD = {
    "unknown table": replace(GOOD, table="heartbeat"),
    "column absent": replace(GOOD, columns=GOOD.columns[:-1]),
    "column too many": replace(GOOD, columns=(*GOOD.columns, *pack({"colour": np.zeros(2)}))),
    "column twice": replace(GOOD, columns=(*GOOD.columns, GOOD.columns[0])),
    "another dtype": replace(GOOD, columns=pack({**full_columns("heartbeats", 2, 0, {}), "at_ms": np.zeros(2, "<i4")})),
    "a row short": replace(GOOD, rows=3),
    "not UTF-8": replace(
        GOOD, columns=(*GOOD.columns[:-1], Column(name="firmware_version", dtype="utf8", values=b"\xff\xfe", ends=b""))
    ),
    "half a number": replace(
        GOOD, columns=(Column(name="source_offset", dtype="<i8", values=b"\0" * 15), *GOOD.columns[1:])
    ),
    "a word that no dictionary has": replace(
        GOOD, columns=(*GOOD.columns[:-1], by_dictionary("|u1:|S2", b"\0\2", b"v1v2"))
    ),
    "a number below 0": replace(GOOD, columns=(*GOOD.columns[:-1], by_dictionary("|i1:|S2", b"\0\xff", b"v1v2"))),
    "no such dtype": replace(GOOD, columns=(*GOOD.columns[:-1], by_dictionary("|u1:v", b"\0\0", b"v1v2"))),
    "a word that is not UTF-8": replace(
        GOOD, columns=(*GOOD.columns[:-1], by_dictionary("|u1:|S2", b"\0\1", b"v1\xff\xfe"))
    ),
    "half a word": replace(GOOD, columns=(*GOOD.columns[:-1], by_dictionary("|u1:|S2", b"\0\0", b"v1v"))),
    "a word short": replace(GOOD, columns=(*GOOD.columns[:-1], by_dictionary("|u1:|S2", b"\0", b"v1"))),
    "numbers for words": replace(GOOD, columns=(*GOOD.columns[:-1], *pack({"firmware_version": np.zeros(2, "<i4")}))),
    "before 1970": frame("heartbeats", 2, at_ms=[NOON_MS, -1]),
    "year 2300": frame("heartbeats", 2, at_ms=[NOON_MS, 10_413_792_000_000]),
}


@pytest.mark.parametrize("why", BAD)
def test_bad_frame_is_refused_as_a_whole(url: str, database: str, why: str) -> None:
    sink = Writer(url, database)
    with pytest.raises(FrameRefused, match=r"vehicle\.positions\.v1/0/0/2"):
        sink.write(BAD[why])
    assert sum(count_rows(url, database).values()) == 0
    sink.write(GOOD)
    assert count_rows(url, database)["heartbeats"] == 2


def test_table_or_database_gone_is_no_reason_to_retry(url: str, database: str) -> None:
    sink = Writer(url, database)
    query_only = Writer(url, f"{database}_never")
    with pytest.raises(FrameRefused, match="says"):
        query_only.write(GOOD)
    drop_database(url, database)
    with pytest.raises(FrameRefused):
        sink.write(GOOD)


def test_column_of_another_type_refuses_the_frame_and_names_it(url: str, database: str) -> None:
    sink = Writer(url, database)
    sink._client.execute(f"ALTER TABLE {database}.heartbeats MODIFY COLUMN firmware_version String")
    with pytest.raises(FrameRefused, match=r"firmware_version is String instead of LowCardinality\(String\)$"):
        sink.write(GOOD)
    assert count_rows(url, database)["heartbeats"] == 0
    sink._client.execute(f"ALTER TABLE {database}.heartbeats MODIFY COLUMN firmware_version LowCardinality(String)")
    sink.write(GOOD)
    assert count_rows(url, database)["heartbeats"] == 2


def test_server_that_tells_of_its_work_is_listened_to(url: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that does not know `send_profile_events`."""
    monkeypatch.setitem(SETTINGS, "send_profile_events", 1)
    written(Writer(url, database), [positions(0), positions(1), positions(0)])
    assert (count_rows(url, database)["positions"], total(url, database)) == (14, 14)


@pytest.mark.parametrize(
    "setting", ["max_memory_usage=1", "readonly=1", "max_rows_to_read=0&max_execution_time=0.0001"]
)
def test_refusing_for_now_is_retryable(url: str, database: str, setting: str) -> None:
    with pytest.raises(Retryable):
        Writer(f"{url}/?{setting}", database).write(positions(0, rows=50_000))
    assert Writer(url, database).write(positions(0, rows=50_000)).rows == 50_000
    assert (count_rows(url, database)["positions"], total(url, database)) == (50_000, 50_000)


def test_too_many_parts_is_retryable_until_they_are_fewer(url: str, database: str) -> None:
    query_settings = "ALTER TABLE {}.positions MODIFY SETTING parts_to_throw_insert = {}, parts_to_delay_insert = {}"
    sink = Writer(url, database)
    sink.write(positions(0))
    sink._client.execute(query_settings.format(database, 1, 1))
    with pytest.raises(Retryable, match="252"):
        sink.write(positions(1))
    sink._client.execute(query_settings.format(database, 3000, 1000))
    written(sink, [positions(1), positions(1)])
    assert (count_rows(url, database)["positions"], total(url, database)) == (14, 14)


def test_wrong_password_is_retryable_and_never_told(url: str, database: str) -> None:
    password = url.split(":")[2].split("@")[0]
    wrong = url.replace(password, "s3cretw0rd")
    with pytest.raises(Retryable) as refused:
        Writer(wrong, database).write(GOOD)
    assert "s3cretw0rd" not in str(refused.value)


def test_nobody_there_is_retryable_at_once() -> None:
    began_s = time.monotonic()
    with pytest.raises(Retryable, match=r"127\.0\.0\.1:1 does not answer"):
        Writer("clickhouse://u:p@127.0.0.1:1", "cityops").write(GOOD)
    assert time.monotonic() - began_s < 2


def test_same_writer_survives_a_restart_and_resends_change_nothing(own_folder: Path) -> None:
    server = start_server(own_folder)
    try:
        migrate(server.url, "cityops", ttl_days=None)
        sink = Writer(server.url, "cityops")
        frames = [positions(0), positions(1), revision(1)]
        written(sink, frames)
        before = everything(server.url, "cityops")
        server.process.kill()
        server.process.wait()
        with pytest.raises(Retryable):
            sink.write(positions(2))
        server = start_server(own_folder)
        written(sink, frames)
        assert everything(server.url, "cityops") == before
        sink.write(positions(2))
        assert count_rows(server.url, "cityops")["positions"] == total(server.url, "cityops") == 21
        sink.close()
    finally:
        server.stop()


def test_hung_server_is_retryable_and_the_same_writer_recovers(own_folder: Path) -> None:
    server = start_server(own_folder)
    try:
        migrate(server.url, "cityops", ttl_days=None)
        sink = Writer(f"{server.url}/?send_receive_timeout=1&sync_request_timeout=1&connect_timeout=1", "cityops")
        sink.write(positions(0))
        os.kill(server.process.pid, signal.SIGSTOP)
        for _ in range(2):
            with pytest.raises(Retryable):
                sink.write(positions(1))
        os.kill(server.process.pid, signal.SIGCONT)
        written(sink, [positions(0), positions(1)])
        assert count_rows(server.url, "cityops")["positions"] == total(server.url, "cityops") == 14
        sink.close()
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
        server.stop()


def test_kill_in_mid_insert_loses_and_doubles_nothing(own_folder: Path) -> None:
    server = start_server(own_folder)
    frames = [positions(number, rows=400, partition=number % 4) for number in range(160)]
    try:
        migrate(server.url, "cityops", ttl_days=None)
        sink = Writer(server.url, "cityops")
        acknowledged = 0
        for wait_s in (0.2, 0.35, 0.15):
            killer = threading.Timer(wait_s, server.process.kill)
            killer.start()
            acknowledged += written_until_it_fails(sink, frames[acknowledged:])
            killer.join()
            server.process.wait()
            server = start_server(own_folder)
            assert 0 <= count_rows(server.url, "cityops")["positions"] - acknowledged * 400 <= 400
        written(sink, frames[max(0, acknowledged - 20) :])
        assert count_rows(server.url, "cityops")["positions"] == len(frames) * 400
        assert total(server.url, "cityops") == len(frames) * 400
        sink.close()
    finally:
        server.stop()
