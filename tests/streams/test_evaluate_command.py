"""The command `cityops evaluate`: a short run with its reports, and mistakes in one sentence."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.errors import UsageError
from streams.cli import cli
from streams.cli.evaluate import ticks_of


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("CITYOPS_HOME", str(tmp_path / "home"))
    return CliRunner()


def test_two_seeds_are_evaluated_beside_each_other(runner: CliRunner, tmp_path: Path) -> None:
    report, figures = tmp_path / "new" / "evaluation.md", tmp_path / "figures.json"
    options = ["--for", "1m", "--kinds", "fire", "--per-hour", "100", "--vehicles", "5"]
    arguments = ["evaluate", "--seeds", "1,2,1", *options, "--report", str(report), "--json", str(figures)]
    result = runner.invoke(cli, arguments)
    assert result.exit_code == 0, result.output  # a minute is too short for any truth to be missed
    (one,) = json.loads(figures.read_text())
    assert one["seeds"] == [1, 2]
    assert one["hours"] == pytest.approx(2 / 60)
    assert one["records"] > 200
    assert not any(kind["detected"]["of"] for kind in one["kinds"])
    assert "seeds 1, 2, difficulty 1, 0.0333333 h of event time" in report.read_text()
    assert "![Detected, by kind](evaluation.svg)" in report.read_text()
    assert report.with_suffix(".svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--report", "x.pdf"], "--report writes .md or .html, not x.pdf"),
        (["--curve", "--report", "x.md"], "--report writes .svg, not x.md"),
        (["--tick", "300ms"], "--tick must be a multiple of 250ms"),
        (["--seeds", ""], "--seeds names no seed"),
        (["--kinds", "fier"], "did you mean fire?"),
    ],
)
def test_mistakes_end_in_one_sentence(runner: CliRunner, arguments: list[str], told: str) -> None:
    result = runner.invoke(cli, ["evaluate", "--for", "1m", *arguments])
    assert isinstance(result.exception, UsageError)
    assert told in str(result.exception)


@pytest.mark.parametrize("seeds", ["1,x", "-3"])
def test_seeds_must_be_numbers(runner: CliRunner, seeds: str) -> None:
    result = runner.invoke(cli, ["evaluate", "--seeds", seeds])
    assert result.exit_code == 2
    assert "seed" in result.output


def test_ticks_are_those_that_the_simulator_has() -> None:
    assert ticks_of(0.25) == 250
    assert ticks_of(1.0) == 1_000
    for wrong in (0.0, 0.1, 7.0):
        with pytest.raises(UsageError):
            ticks_of(wrong)


def test_backtest_simulates_or_reads_the_log(runner: CliRunner, tmp_path: Path) -> None:
    arguments = ["rules", "backtest", "--rules", str(tmp_path), "--seeds", "1", "--from", "0"]
    result = runner.invoke(cli, arguments)
    assert "--seeds simulates, --from and --until read the log" in str(result.exception)
