"""What `cityops bench rules` does and shows."""

from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.machine import Machine, this_machine
from benchmarks.rule_sets import TEN
from benchmarks.rules import MOST_CPU_US, MOST_TIMES, RulesOptions, RulesResult, measure_rules
from processors.city import City
from processors.incidents.rules import load_rules
from schemas.errors import UsageError

PACKAGES: Final = ("cityops", "numpy", "msgspec", "pydantic")
TITLES: Final = {"ten": "ten of them", "own": "the city's own", "many": "varied to many"}


def measured(console: Console, city: City, folder: Path, seconds: int, rate: float, rounds: int) -> RulesResult:
    """Measure with progress. Raises UsageError when the ten are not among the rules, WrongAnswer."""
    own = load_rules(folder, city)
    missing = sorted(set(TEN) - {rule.id for rule in own.rules})
    if missing:
        raise UsageError(
            f"{folder} has no rule {', '.join(missing)}: what is measured varies the rules of cities/hanoi"
        )
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)

        def on_progress(said: str, part: float) -> None:
            progress.update(task, description=said, completed=part)

        return measure_rules(city, own, RulesOptions(seconds, rate, rounds), on_progress)


def show(result: RulesResult, console: Console) -> None:
    """Print the table and what must be reached."""
    table = Table("", title=f"rules: CPU µs an observation, of {result.observations:,}")
    for heading in ("rules", "CPU µs", "lowest to highest", "revisions"):
        table.add_column(heading, justify="right")
    for one in result.sets:
        spread = f"{min(one.cpu_us):.1f}-{max(one.cpu_us):.1f}"
        cells = str(one.rules), f"{one.median_cpu_us:.1f}", spread, f"{one.revisions:,}"
        table.add_row(TITLES[one.name], *cells)
    console.print(table)
    own = next(one for one in result.sets if one.name == "own")
    console.print(_goal("the city's own, µs", own.median_cpu_us, MOST_CPU_US))
    console.print(_goal("most rules against ten", result.times, MOST_TIMES))


def write_json(result: RulesResult, path: Path) -> None:
    """Write the result and what it was measured on."""
    content: dict[str, Machine | RulesResult] = {"machine": this_machine(PACKAGES), "rules": result}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _goal(what: str, value: float, at_most: float) -> str:
    return f"{what}: {value:.2f}, at most {at_most:g}: {'met' if value <= at_most else 'not met'}"
