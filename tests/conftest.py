"""Shared fixtures: one embedded stack a test session, on free ports and in a home of its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streams.settings import Settings, settings_from_env
from streams.stack import start_stack


def settings_in(home: Path) -> Settings:
    """Return default settings of a home, with no server of the environment and no run."""
    return replace(
        settings_from_env().without_servers(),
        home=home,
        run="",
        source_run="",
    )


@pytest.fixture
def stackless(tmp_path: Path) -> Settings:
    """Settings of an empty home where nothing runs."""
    return settings_in(tmp_path)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings with the addresses of a running Kafka and ClickHouse; use a run of your own to be alone on it."""
    with_home = settings_in(tmp_path_factory.mktemp("home"))
    running = start_stack(with_home, wait_registry=False)
    yield running.settings
    running.stop()


@pytest.fixture(scope="session")
def stack_with_registry(stack: Settings) -> Settings:
    """The same stack, once its schema registry answers too (some ten seconds later)."""
    return start_stack(stack).settings
