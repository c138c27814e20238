"""What `cityops bench latency|growth|soak|burst|memory|profile` do: stack, measurement, table, JSON, picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.city import write_city
from benchmarks.command import RUN
from benchmarks.engine import run_engine
from benchmarks.growth import Grown, GrowthOptions, flatness, measure_growth
from benchmarks.latency import LatencyOptions, LatencyResult, measure_latency
from benchmarks.load import LoadRule
from benchmarks.long_runs import BurstResult, MemoryResult, SoakResult
from benchmarks.long_runs import burst as run_burst
from benchmarks.long_runs import memory as run_memory
from benchmarks.long_runs import soak as run_soak
from benchmarks.machine import this_machine
from benchmarks.preload import Shape
from benchmarks.profiling import Cost, Profile, Sampler, read_profile
from benchmarks.publications import Percentiles
from benchmarks.runs import Runs, check_shape, runs_on
from schemas.errors import UsageError
from streams.session import alone, stack_running
from streams.settings import Settings

TITLES: Final = {
    "latency": "from append to publication, ms",
    "growth": "CPU a position as things grow",
    "soak": "a steady load",
    "burst": "a backlog and what came meanwhile",
    "memory": "memory of one worker",
    "profile": "where processor time goes, CPU µs a position",
}


def check(name: str, png_path: Path | None) -> None:
    """Raise UsageError for what is not installed, before anything runs."""
    if png_path is not None and find_spec("matplotlib") is None:
        raise UsageError("--png needs matplotlib: pip install -e '.[bench]'")
    if name == "profile":
        Sampler(Path())


def measured(settings: Settings, console: Console, measure: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Run a measurement on the stack and return its result."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    settings = replace(settings, city=write_city(settings.home / "bench-city"))
    with (
        alone(replace(settings, run=RUN)),
        stack_running(settings, console) as running,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("starting", total=1.0)

        def on_progress(said: str, part: float) -> None:
            progress.update(task, description=said, completed=part)

        with runs_on(running, on_progress) as runs:
            return measure(runs, **options)


def latency(
    runs: Runs, *, seconds: float, rate: float, detections: float, vehicles: int, scenes: float, shape: str
) -> LatencyResult:
    """Measure latency."""
    return measure_latency(runs, LatencyOptions(seconds, rate, detections, vehicles, scenes, Shape(shape)))


def growth(runs: Runs, *, seconds: float, rate: float, shape: str) -> list[Grown]:
    """Measure growth."""
    return list(measure_growth(runs, GrowthOptions(seconds, rate, shape=Shape(shape))))


def soak(runs: Runs, *, seconds: float, rate: float | None, shape: str) -> SoakResult:
    """Measure a steady load."""
    return run_soak(runs, seconds, Shape(shape), rate)


def burst(runs: Runs, *, burst_s: float, seconds: float, rate: float | None, shape: str) -> BurstResult:
    """Measure a burst."""
    return run_burst(runs, burst_s, seconds, Shape(shape), rate)


def memory(runs: Runs, *, seconds: float, live_s: float, rate: float, vehicles: int, shape: str) -> MemoryResult:
    """Measure memory."""
    return run_memory(runs, seconds / 60, live_s, Shape(shape), vehicles, rate)


def profile(runs: Runs, *, seconds: float, rate: float, vehicles: int, top: int, shape: str) -> Profile:
    """Profile one worker over a log that is there."""
    check_shape(Shape(shape))
    rule = LoadRule(vehicles=vehicles, positions_per_s=rate)
    log, written = runs.preloaded("profile", rule, seconds, Shape(shape))
    own = runs.over(log, "profile-worker")
    folded = runs.settings.home / "bench.folded"
    sampler, took_s = Sampler(folded), dict[int, float]()
    run_engine(
        own,
        written,
        on_progress=runs.told("working it off", written.messages),
        on_begun=sampler.begin,
        on_end=lambda started: took_s.update(sampler.end(started)),
    )
    with folded.open(encoding="utf-8") as lines:
        return read_profile(lines, took_s, written.positions)


def write_json(result: Any, path: Path) -> None:
    """Write a result with the machine it was measured on."""
    told = {"machine": this_machine(), "result": result}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")


def draw(name: str, result: Any, path: Path) -> None:
    """Draw a result over time."""
    from benchmarks.long_plot import draw_samples  # matplotlib is an extra

    draw_samples(result.samples, TITLES[name], path)


def show(name: str, result: Any, console: Console, options: Mapping[str, Any]) -> None:
    """Print a result."""
    console.print(_TABLES[name](result, options))


def _latency_table(result: LatencyResult, _: Mapping[str, Any]) -> Table:
    table = _table("latency", "publications", "p50", "p99", "p99.9", "most")
    rows = {
        "append to publication": result.publication,
        "  in order": result.ordered,
        "  provisional": result.provisional,
        "append to row in ClickHouse": result.stored,
    }
    for what, one in rows.items():
        _percentile_row(table, what, one)
    table.caption = (
        f"{result.positions:,} positions, {result.detections:,} detections, {result.cpu_cores:.2f} cores, "
        f"{result.peak_mb:.0f} MB, producer late by at most {result.late_s:.2f} s"
    )
    return table


def _growth_table(points: Sequence[Grown], _: Mapping[str, Any]) -> Table:
    table = _table("growth", "workers", "partitions", "vehicles", "CPU µs", "positions/s", "MB")
    for one in points:
        table.add_row(
            one.axis, str(one.workers), str(one.partitions), f"{one.vehicles:,}", f"{one.cpu_us:.2f}",
            f"{one.rate_per_s:,.0f}", f"{one.resident_mb:.0f}",
        )  # fmt: skip
    flat = ", ".join(f"{axis} {flatness(points, axis):.2f}x" for axis in dict.fromkeys(one.axis for one in points))
    table.caption = f"dearest against cheapest: {flat}; the same incidents with any number of workers and partitions"
    return table


def _soak_table(result: SoakResult, _: Mapping[str, Any]) -> Table:
    return _facts(
        "soak",
        {
            "positions/s": f"{result.positions_per_s:,.0f} of {result.capacity_per_s or float('nan'):,.0f}",
            "for": f"{result.seconds:.0f} s, {result.positions:,} positions",
            "processor cores": f"{result.cpu_cores:.2f}",
            "lag, messages": f"most {result.most_lag:,}, at the end {result.lag_at_end:,}",
            "memory, MB": f"{result.resident_mb:.0f} at the end, most {result.peak_mb:.0f}",
            "growth in the second half": f"{result.growth_mb_per_h:+.1f} MB an hour",
            "producer late by": f"{result.late_s:.2f} s at most",
        },
    )


def _burst_table(result: BurstResult, _: Mapping[str, Any]) -> Table:
    absorbed = "not yet when the load ended" if result.absorbed_s is None else f"after {result.absorbed_s:.0f} s"
    one = result.told
    told = "none" if one is None else f"p50 {one.p50:,.0f}, p99 {one.p99:,.0f}, most {one.most:,.0f} of {one.count:,}"
    return _facts(
        "burst",
        {
            "burst": f"{result.burst_positions:,} positions at once",
            "live": f"{result.positions_per_s:,.0f} positions/s, {result.live_positions:,} in all",
            "absorbed": absorbed,
            "most lag": f"{result.most_lag:,} messages",
            "evidence to first told, ms": told,
            "accounting": "balances" if result.balances else "does not balance",
            "memory, MB": f"most {result.peak_mb:.0f}",
            "producer late by": f"{result.late_s:.2f} s at most",
        },
    )


def _memory_table(result: MemoryResult, _: Mapping[str, Any]) -> Table:
    return _facts(
        "memory",
        {
            "vehicles": f"{result.vehicles:,}",
            "positions": f"{result.positions:,}: {result.minutes:.1f} min at once, {result.live_s:.0f} s live",
            "memory while catching up, MB": f"most {result.catching_up_mb:.0f}",
            "memory live, MB": f"most {result.live_mb:.0f}, at the end {result.resident_mb:.0f}",
            "producer late by": f"{result.late_s:.2f} s at most",
            "CPU µs a position": f"{result.cpu_us:.2f}",
        },
    )


def _profile_table(result: Profile, options: Mapping[str, Any]) -> Table:
    table = Table(title=f"{TITLES['profile']}: {result.cpu_us:.2f} in all")
    for heading in ("thread", "innermost function of ours", "with all below it"):
        table.add_column(heading)
    columns: list[Sequence[Cost]] = [result.by_thread, result.innermost, result.inclusive]
    for number in range(int(options["top"])):
        cells = [f"{one[number].cpu_us:5.2f} {one[number].where}" if number < len(one) else "" for one in columns]
        table.add_row(*cells)
    return table


def _table(name: str, *headings: str) -> Table:
    table = Table("", title=TITLES[name])
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _facts(name: str, facts: Mapping[str, str]) -> Table:
    table = Table("", "", title=TITLES[name], show_header=False)
    for what, value in facts.items():
        table.add_row(what, value)
    return table


def _percentile_row(table: Table, what: str, one: Percentiles | None) -> None:
    values = (
        ["-"] * 5 if one is None else [f"{one.count:,}", *(f"{v:,.0f}" for v in (one.p50, one.p99, one.p999, one.most))]
    )
    table.add_row(what, *values)


_TABLES: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Table]]] = {
    "latency": _latency_table,
    "growth": _growth_table,
    "soak": _soak_table,
    "burst": _burst_table,
    "memory": _memory_table,
    "profile": _profile_table,
}
