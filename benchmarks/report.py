"""The result: as JSON, as tables in the terminal and as the tables of docs/performance.md.

python -m benchmarks.report bench.json prints the last.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from benchmarks.goals import Reached, reached
from benchmarks.harness import Outcome
from benchmarks.machine import Machine


@dataclass(frozen=True, slots=True)
class Result:
    """Medians of one variant, with the lowest and the highest round, and each round as it was."""

    title: str
    rate_per_s: float
    cpu_us: float
    cpu_us_range: tuple[float, float]
    rate_per_s_range: tuple[float, float]
    positions: int
    resident_mb: float
    cpu_us_rounds: tuple[float, ...]
    rate_per_s_rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GoalResult:
    """One goal and what was reached."""

    variant: str
    against: str
    figure: str
    at_least: float
    reached: float
    cpu_ratio: float
    wall_ratio: float
    met: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What --json writes. absent: variant -> why it was not measured."""

    made_at: str
    quick: bool
    rounds: int
    machine: Machine
    variants: dict[str, Result]
    goals: list[GoalResult]
    absent: dict[str, str] = field(default_factory=dict)


def report_of(outcomes: Sequence[Outcome], machine: Machine, made_at: str, *, quick: bool, rounds: int) -> Report:
    """Return the report of what was measured."""
    return Report(
        made_at=made_at,
        quick=quick,
        rounds=rounds,
        machine=machine,
        variants={one.name: _result(one) for one in outcomes if one.rounds},
        goals=[_goal_result(one) for one in reached(outcomes)],
        absent={one.name: one.absent for one in outcomes if one.absent},
    )


def _result(one: Outcome) -> Result:
    return Result(
        title=one.title,
        rate_per_s=one.median_rate_per_s,
        cpu_us=one.median_cpu_us,
        cpu_us_range=(min(one.cpu_us), max(one.cpu_us)),
        rate_per_s_range=(min(one.rate_per_s), max(one.rate_per_s)),
        positions=one.rounds[0].positions,
        resident_mb=one.resident_mb,
        cpu_us_rounds=one.cpu_us,
        rate_per_s_rounds=one.rate_per_s,
    )


def _goal_result(one: Reached) -> GoalResult:
    goal = one.goal
    return GoalResult(
        goal.variant, goal.against, goal.figure, goal.at_least, one.value, one.cpu_ratio, one.wall_ratio, one.met
    )


def variants_table(report: Report) -> Table:
    """Return the table of medians with the lowest and the highest round."""
    table = Table("variant", title="all answers equal")
    for heading in ("CPU µs a position", "positions/s", "MB"):
        table.add_column(heading, justify="right")
    for name, one in report.variants.items():
        table.add_row(
            Text(name),
            f"{_short(one.cpu_us)} ({_range(one.cpu_us_range)})",
            f"{_short(one.rate_per_s)} ({_range(one.rate_per_s_range)})",
            f"{one.resident_mb:.0f}",
        )
    for name, reason in report.absent.items():
        table.add_row(Text(f"{name}: {reason}", style="yellow"), *["-"] * 3)
    return table


def goals_table(report: Report) -> Table:
    """Return the table of what must be reached, met in green and not met in red."""
    table = Table("must reach", title="ratios of this run")
    for heading in ("at least", "reached", "CPU", "wall", ""):
        table.add_column(heading, justify="right")
    for one in report.goals:
        against = f" against {one.against}" if one.against else ""
        both = [f"{one.cpu_ratio:.1f}x", f"{one.wall_ratio:.1f}x"] if one.against else ["", ""]
        times = "x" if one.against else ""
        table.add_row(
            f"{one.variant}{against}",
            f"{_short(one.at_least)}{times} {one.figure}",
            f"{_short(one.reached)}{times}",
            *both,
            Text("met", style="green") if one.met else Text("not met", style="bold red"),
        )
    return table


def machine_line(report: Report) -> str:
    """Return what it ran on in one line."""
    machine = report.machine
    versions = ", ".join(f"{name} {found}" for name, found in machine.packages.items())
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GB, {machine.system}, "
        f"Python {machine.python}, load {machine.load_1m:g} at the start; {versions}"
    )


def markdown(report: Report) -> str:
    """Return the tables of docs/performance.md."""
    lines = [
        f"Measured {report.made_at[:10]}, {report.rounds} rounds{' (`--quick`)' if report.quick else ''}: "
        f"{machine_line(report)}.",
        "",
        "| variant | CPU µs a position | lowest to highest | positions/s | lowest to highest | MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in report.variants.items():
        lines.append(
            f"| `{name}`: {one.title} | {_short(one.cpu_us)} | {_range(one.cpu_us_range)} | "
            f"{_short(one.rate_per_s)} | {_range(one.rate_per_s_range)} | {one.resident_mb:.0f} |"
        )
    lines += [
        "",
        "| must reach | by | at least | reached | CPU | wall | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for goal in report.goals:
        against = f" against `{goal.against}`" if goal.against else ""
        both = f"{goal.cpu_ratio:.1f} | {goal.wall_ratio:.1f}" if goal.against else " | "
        lines.append(
            f"| `{goal.variant}`{against} | {goal.figure} | {_short(goal.at_least)} | {_short(goal.reached)} | "
            f"{both} | {'met' if goal.met else '**not met**'} |"
        )
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _range(values: tuple[float, float]) -> str:
    return f"{_short(values[0])}-{_short(values[1])}"


if __name__ == "__main__":
    print(markdown(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Report)))
