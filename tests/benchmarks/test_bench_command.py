"""`cityops bench` as a user gives it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.errors import UsageError
from streams.cli import bench as module
from streams.cli import checkout


def test_a_name_that_no_variant_has_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYOPS_HOME", str(tmp_path))
    ended = CliRunner().invoke(module.bench, ["--only", "spark"])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception).startswith("no variant is called spark: there are faust_record, quix, ")


def test_without_a_checkout_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "PROJECT", tmp_path)
    ended = CliRunner().invoke(module.bench, [])
    assert isinstance(ended.exception, UsageError)
    assert str(ended.exception) == "the benchmarks are not installed with cityops: run this in a checkout of it"


def test_results_go_into_folders_that_exist(tmp_path: Path) -> None:
    ended = CliRunner().invoke(module.bench, ["--json", str(tmp_path / "nowhere" / "bench.json")])
    assert ended.exit_code == 2
    assert "there is no folder" in ended.output
