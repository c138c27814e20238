import stat
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from schemas.errors import CityopsError
from sinks.clickhouse.server import start_server

pytestmark = pytest.mark.stack


def test_server_keeps_data_password_and_ports_over_a_restart(tmp_path: Path) -> None:
    first = start_server(tmp_path)
    try:
        with Client.from_url(first.url) as client:
            client.execute("CREATE DATABASE city")
            client.execute("CREATE TABLE city.t (n UInt32) ENGINE = MergeTree ORDER BY n")
            client.execute("INSERT INTO city.t VALUES", [(1,), (2,)])
    finally:
        first.stop()
    assert first.process.returncode == 0
    second = start_server(tmp_path)
    try:
        assert (second.url, second.http_port) == (first.url, first.http_port)
        with Client.from_url(second.url) as client:
            assert client.execute("SELECT sum(n) FROM city.t") == [(3,)]
    finally:
        second.stop()


def test_server_lets_in_nobody_without_the_password(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    try:
        for user, password in (("default", ""), ("cityops", ""), ("cityops", "guess")):
            with pytest.raises(ClickHouseError), Client("127.0.0.1", server.tcp_port, "", user, password) as client:
                client.execute("SELECT 1")
        for private in ("server.json", "users.xml", "config.xml"):
            assert stat.S_IMODE((tmp_path / private).stat().st_mode) == 0o600
    finally:
        server.stop()


def test_second_server_of_a_folder_is_refused(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    try:
        with pytest.raises(CityopsError, match="did not start"):
            start_server(tmp_path)
        assert server.plan.ready()
    finally:
        server.stop()
