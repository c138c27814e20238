"""cityops evaluate: how well the rules find what truly happens, over simulated days, against what must be reached."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.table import Table
from rich.text import Text

from schemas.errors import UsageError
from streams.cli.options import FOLDER, SECONDS
from streams.cli.showing import json_text, whole
from streams.cli.terminal import terminal
from streams.settings import settings_from_env

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processors.evaluation.report import Evaluation

CURVE: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Difficulties of `--curve`."""


def seed_list(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Return the seeds of a list with commas, each once; nothing of an empty one."""
    try:
        seeds = tuple(dict.fromkeys(int(one) for one in value.split(",") if one.strip()))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of seeds: write 11,12") from None
    if min(seeds, default=0) < 0:
        raise click.BadParameter("a seed is 0 or more")
    return seeds


@click.command()
@click.option("--seeds", default="11,12", show_default=True, callback=seed_list, help="Seeds, with commas.")
@click.option("--kinds", default="", help="Kinds of incidents that happen, with commas; without it all of the rules.")
@click.option("--only-feeding", is_flag=True, help="Leave out cameras and sensors that feed none of the kinds.")
@click.option("--for", "for_s", default="50h", show_default=True, type=SECONDS, help="Event time of each seed.")
@click.option("--difficulty", default=1.0, show_default=True, type=click.FloatRange(0, 5), help="How hard it is.")
@click.option("--curve", is_flag=True, help=f"At difficulties {', '.join(map(str, CURVE))}; the report is a picture.")
@click.option("--per-hour", default=4.0, show_default=True, type=click.FloatRange(0.1, 120), help="Of each kind.")
@click.option("--vehicles", default=200, show_default=True, type=click.IntRange(0, 100_000))
@click.option("--tick", "tick_s", default="1s", show_default=True, type=SECONDS, help="A multiple of 250ms.")
@click.option("--rules", type=FOLDER, help="A folder of rules instead of the configured one.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a report: .md or .html.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write figures as JSON.")
def evaluate(
    seeds: tuple[int, ...],
    kinds: str,
    only_feeding: bool,
    for_s: float,
    difficulty: float,
    curve: bool,
    per_hour: float,
    vehicles: int,
    tick_s: float,
    rules: Path | None,
    report: Path | None,
    json_path: Path | None,
) -> None:
    """Simulate days of the city, conclude incidents, and hold them against what truly happened.

    Everything goes through the engines of the workers, without Kafka and many times as fast as the clock; a run on the
    stack gives the same incidents. Exit status 1 if a kind misses what it must reach.

    \b
    Example:
      cityops evaluate --seeds 11,12 --for 50h --report evaluation.md
      cityops evaluate --seeds 11 --for 2h --kinds crash,fire
      cityops evaluate --seeds 11 --for 100h --kinds gas_leak --only-feeding --vehicles 0
      cityops evaluate --curve --for 10h --report difficulty.svg
    """
    from streams.evaluation import EvaluationOptions, evaluate_rules

    if not seeds:
        raise UsageError("--seeds names no seed: write 11,12")
    _check_report(report, curve)
    settings = settings_from_env()
    options = EvaluationOptions(
        seeds=seeds,
        hours=for_s / 3600,
        kinds=tuple(one.strip() for one in kinds.split(",") if one.strip()),
        difficulties=CURVE if curve else (difficulty,),
        per_hour=per_hour,
        vehicles=vehicles,
        tick_ms=ticks_of(tick_s),
        only_feeding=only_feeding,
    )
    folder = rules or settings.rules or settings.city / "rules"
    found = evaluate_rules(settings, {"rules": folder}, options, terminal(stderr=True))["rules"]
    if json_path is not None:
        json_path.write_text(json_text(found), encoding="utf-8")
    if report is not None:
        _write(report, found)
    console = terminal(highlight=False)
    for one in found:
        console.print(kinds_table(one, f"difficulty {one.difficulty:g}"))
    missed = [kind.kind for one in found for kind in one.asked if not kind.met]
    sys.exit(1 if missed and not curve else 0)


def ticks_of(tick_s: float) -> int:
    """Return the length of a tick in milliseconds. Raises UsageError when the simulator has no such ticks."""
    tick_ms = round(tick_s * 1000)
    if tick_ms <= 0 or tick_ms % 250 or 60_000 % tick_ms:
        raise UsageError(f"--tick must be a multiple of 250ms that a minute holds whole, is {tick_ms}ms")
    return tick_ms


def kinds_table(one: "Evaluation", title: str) -> Table:
    """Return the figures of every kind, red where it misses what it must reach.

    false, sure: incidents without a truth, and those of them that were confirmed. /10 kh: in 10,000 sensor-hours.
    """
    from processors.evaluation.report import judgement

    table = Table(whole("kind"), title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("truths", "found", "median", "false", "sure", "/10 kh"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for kind in one.kinds:
        told, style = kind.detected, "green" if kind.met else "red"
        table.add_row(
            kind.kind,
            f"{told.of:,}",
            f"{told.value:.1%}" if told.of else "",
            "" if kind.median_s is None else f"{kind.median_s:.1f} s",
            f"{kind.false:,}",
            f"{kind.false_confirmed:,}",
            f"{kind.false_rate:,.1f}",
            Text(judgement(kind) if told.of else "", style=style),
        )
    return table


def _check_report(report: Path | None, curve: bool) -> None:
    wanted = (".svg",) if curve else (".md", ".html")
    if report is not None and report.suffix.lower() not in wanted:
        raise UsageError(f"--report writes {' or '.join(wanted)}, not {report.name}")


def _write(report: Path, found: "Sequence[Evaluation]") -> None:
    """Write a report by the ending of its name: a curve, a page, or Markdown with a picture beside it."""
    from processors.evaluation.picture import curve_picture, detected_picture
    from processors.evaluation.report import html, markdown

    report.parent.mkdir(parents=True, exist_ok=True)
    if report.suffix.lower() == ".svg":
        report.write_text(curve_picture({one.difficulty: one.kinds for one in found}), encoding="utf-8")
        return
    (one,) = found
    picture = detected_picture(one.asked)
    if report.suffix.lower() == ".html":
        report.write_text(html(one, picture), encoding="utf-8")
        return
    beside = report.with_suffix(".svg")
    beside.write_text(picture, encoding="utf-8")
    report.write_text(markdown(one, beside.name), encoding="utf-8")
