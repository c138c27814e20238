"""Settings: documented, all of them, and passed on to child processes."""

import re

import pytest

from streams import topics
from streams.settings import PROJECT, settings_from_env
from streams.workers import environment


def named_in(*paths: str) -> set[str]:
    texts = "".join((PROJECT / path).read_text(encoding="utf-8") for path in paths)
    return set(re.findall(r'"((?:CITYOPS|KAFKA|SCHEMA_REGISTRY|CLICKHOUSE|GRAFANA)_[A-Z_]+)"', texts))


def test_every_setting_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)`", (PROJECT / "docs/settings.md").read_text(encoding="utf-8"), re.MULTILINE)
    sources = ("streams/settings.py", "streams/server_settings.py", "streams/grafana_settings.py")
    assert sorted(rows) == sorted(named_in(*sources))


def test_a_child_process_gets_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CITYOPS_RUN": "check", "CITYOPS_BLOCK_MS": "60000", "CITYOPS_TICKER": "off"}.items():
        monkeypatch.setenv(name, value)
    settings = settings_from_env()
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert settings_from_env() == settings


def test_names_of_an_isolated_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYOPS_RUN", "check-1")
    monkeypatch.setenv("CITYOPS_SOURCE_RUN", "")
    settings = settings_from_env()
    assert settings.topic(topics.POSITIONS) == "vehicle.positions.v1"
    assert settings.topic(topics.ROWS) == "run.check-1.rows.v1"
    assert settings.database == "cityops_check_1"
    assert settings.ttl_days is None
