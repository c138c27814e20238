"""A kill between token and part, made by hand: the state it leaves on disk is a token and no folder of its part."""

import shutil
from pathlib import Path

import pytest

from sinks.clickhouse.connection import connect
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.orphans import forget_orphans
from sinks.clickhouse.queries import count_rows, query
from sinks.clickhouse.server import RunningServer, start_server
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import frame

pytestmark = pytest.mark.stack

FRAMES = [frame("positions", 5, first_offset=5 * number, line_id="01", vehicle_id="a") for number in range(4)]


def counts(url: str) -> tuple[int, int]:
    ((minutes,),) = query(url, "cityops", "SELECT sum(positions) FROM minutes").rows
    return count_rows(url, "cityops")["positions"], int(minutes)


def write_all(url: str) -> None:
    writer = Writer(url, "cityops")
    for item in FRAMES:
        writer.write(item)
    writer.close()


def kill(server: RunningServer) -> None:
    server.process.kill()
    server.process.wait()


def lose_newest_part(folder: Path, partition_level: str) -> None:
    (part,) = folder.glob(f"store/store/*/*/20261121_4_4_{partition_level}")  # of a day: versions have no days
    shutil.rmtree(part)


@pytest.mark.parametrize("level", ["0", "1"], ids=["of the table", "of the view"])
def test_token_without_its_part_is_forgotten_when_the_server_starts(own_folder: Path, level: str) -> None:
    server = start_server(own_folder)
    try:
        migrate(server.url, "cityops", ttl_days=None)
        with connect(server.url, "cityops") as client:
            client.execute("SYSTEM STOP MERGES")
        write_all(server.url)
        kill(server)
        lose_newest_part(own_folder, level)
        server = start_server(own_folder)
        assert sorted(counts(server.url)) == [15, 20]
        write_all(server.url)
        write_all(server.url)
        assert counts(server.url) == (20, 20)
    finally:
        server.stop()


def test_tokens_are_forgotten_once_and_only_while_no_server_runs(own_folder: Path) -> None:
    server = start_server(own_folder)
    try:
        migrate(server.url, "cityops", ttl_days=None)
        write_all(server.url)
        lose_newest_part(own_folder, "0")
        assert forget_orphans(own_folder) == 0
        kill(server)
        assert [forget_orphans(own_folder), forget_orphans(own_folder)] == [1, 0]
    finally:
        server.stop()


def test_tokens_of_merged_parts_are_kept(own_folder: Path) -> None:
    server = start_server(own_folder)
    try:
        migrate(server.url, "cityops", ttl_days=None)
        write_all(server.url)
        with connect(server.url, "cityops") as client:
            client.execute("OPTIMIZE TABLE positions FINAL")
            client.execute("OPTIMIZE TABLE minute_aggregates FINAL")
        kill(server)
        assert forget_orphans(own_folder) == 0
        server = start_server(own_folder)
        write_all(server.url)
        assert counts(server.url) == (20, 20)
    finally:
        server.stop()


def test_folder_without_a_server_is_no_mistake(tmp_path: Path) -> None:
    assert forget_orphans(tmp_path) == 0
