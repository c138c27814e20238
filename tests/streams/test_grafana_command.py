"""`cityops grafana` as a command: its settings, its words, its mistakes."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas.errors import UsageError
from sinks.grafana.provisioning import files
from streams.cli import cli
from streams.grafana_settings import grafana_settings
from tests.sinks.grafana_contract import ADMIN, GrafanaContract, serving

CLICKHOUSE = "clickhouse://cityops:secret@127.0.0.1:9000"


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[GrafanaContract]:
    """A Grafana that the environment names, with a token in a file."""
    token = tmp_path / "token"
    token.write_text(f"{ADMIN}\n", encoding="utf-8")
    token.chmod(0o600)
    with serving(GrafanaContract()) as running:
        running.clickhouse_password = "secret"
        monkeypatch.setenv("GRAFANA_URL", running.url)
        monkeypatch.setenv("GRAFANA_TOKEN_FILE", str(token))
        monkeypatch.setenv("CLICKHOUSE_URL", CLICKHOUSE)
        monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
        yield running


def told(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["grafana", *arguments], catch_exceptions=False, env={"COLUMNS": "160"})


def test_apply_says_what_it_does_and_then_that_nothing_is_left(contract: GrafanaContract) -> None:
    dry = told("apply", "--dry-run").output
    assert dry.count("would be created") == 4
    assert "nothing was written" in dry
    assert contract.written == []
    first = told("apply").output
    assert first.count("created") == 4
    assert "Grafana reaches ClickHouse: Data source is working" in first
    assert told("apply").output.count("unchanged") == 4
    assert "secret" not in dry + first
    assert contract.data_sources["cityops"]["jsonData"]["username"] == "cityops"


def test_apply_as_json(contract: GrafanaContract) -> None:
    report = msgspec.json.decode(told("apply", "--json").stdout)
    assert [one["action"] for one in report["applied"]] == ["created"] * 4
    assert report["health"] == {"ok": True, "said": "Data source is working"}


def test_grafana_may_have_another_way_to_clickhouse(contract: GrafanaContract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFANA_CLICKHOUSE_URL", "clickhouse://grafana@clickhouse:9440?secure=true")
    monkeypatch.setenv("GRAFANA_CLICKHOUSE_PASSWORD", "p@ss/word")
    told("apply")
    held = contract.data_sources["cityops"]
    assert held["jsonData"]["host"] == "clickhouse"
    assert held["jsonData"]["secure"] is True
    assert held["secureJsonData"] == {"password": "p@ss/word"}


def test_a_failing_data_source_is_told(contract: GrafanaContract) -> None:
    contract.clickhouse_password = "other"
    assert "Grafana does not reach ClickHouse: Authentication failed" in told("apply").output


@pytest.mark.parametrize(
    ("without", "sentence"), [("GRAFANA_URL", "which Grafana"), ("GRAFANA_TOKEN_FILE", "wants a token")]
)
def test_what_is_missing_is_asked_for(
    contract: GrafanaContract, monkeypatch: pytest.MonkeyPatch, without: str, sentence: str
) -> None:
    monkeypatch.delenv(without)
    with pytest.raises(UsageError, match=sentence):
        told("apply")


def test_export_writes_the_files(tmp_path: Path) -> None:
    assert told("export", "--to", str(tmp_path)).exit_code == 0
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} == set(files())


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GRAFANA_TOKEN and GRAFANA_TOKEN_FILE are both set"):
        grafana_settings({"GRAFANA_TOKEN": "a", "GRAFANA_TOKEN_FILE": str(tmp_path)})
