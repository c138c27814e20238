"""One embedded ClickHouse server for the whole session, a database for every test."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from sinks.clickhouse.migrations import drop_database, migrate
from sinks.clickhouse.server import RunningServer, start_server

_NUMBERS = count()


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = start_server(tmp_path_factory.mktemp("clickhouse"))
    yield server
    server.stop()


@pytest.fixture
def url(clickhouse_server: RunningServer) -> str:
    return clickhouse_server.url


@pytest.fixture
def database(url: str) -> Iterator[str]:
    name = f"cityops_test_{next(_NUMBERS)}"
    migrate(url, name, ttl_days=None)
    yield name
    drop_database(url, name)


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """The folder of a server that a test starts and kills itself."""
    return tmp_path / "own"
