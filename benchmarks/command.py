"""What `cityops bench` does: the embedded stack, the variants, the report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import KafkaException
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.catalogue import all_variants
from benchmarks.city import write_city
from benchmarks.harness import Outcome, measure
from benchmarks.machine import this_machine
from benchmarks.report import Report, goals_table, machine_line, report_of, variants_table
from benchmarks.runs import remove_runs
from benchmarks.same_task.logs import remove_all
from schemas.errors import Retryable, UsageError
from streams.session import alone, stack_running
from streams.settings import Settings

RUN: Final = "bench"


def bench(settings: Settings, console: Console, *, quick: bool, rounds: int, only: Sequence[str]) -> Report:
    """Measure and return the report. Raises UsageError for a name that no variant has, WrongAnswer."""
    _check_names(settings, only)
    machine, began = this_machine(), datetime.now(UTC)
    settings = replace(settings, city=write_city(settings.home / "bench-city"))
    with alone(replace(settings, run=RUN)), stack_running(settings, console) as running, _removed(running):
        outcomes = _measured(running, console, quick=quick, rounds=rounds, only=only)
    return report_of(outcomes, machine, began.isoformat(timespec="seconds"), quick=quick, rounds=rounds)


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    console.print(variants_table(report))
    if report.goals:
        console.print(goals_table(report))
    console.print(machine_line(report), style="dim")


def write_json(report: Report, path: Path) -> None:
    """Write the report."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def _measured(settings: Settings, console: Console, *, quick: bool, rounds: int, only: Sequence[str]) -> list[Outcome]:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        step = progress.add_task("starting", total=None)
        writing = progress.add_task("", total=1.0, visible=False)

        def on_progress(said: str, part: float) -> None:
            progress.update(writing, description=said, completed=part, visible=part < 1)

        variants = all_variants(settings, quick=quick, on_progress=on_progress)
        chosen = [variant for variant in variants if not only or variant.name in only]
        present = [variant for variant in chosen if not variant.absent()]
        progress.update(step, total=len(present) * (rounds + 1) + 1)
        return measure(chosen, rounds, lambda said: progress.update(step, description=said, advance=1))


def _check_names(settings: Settings, only: Sequence[str]) -> None:
    known = [variant.name for variant in all_variants(settings, quick=True, on_progress=lambda *_: None)]
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise UsageError(f"no variant is called {', '.join(unknown)}: there are {', '.join(known)}")


@contextmanager
def _removed(settings: Settings) -> Iterator[None]:
    """Delete what earlier measurements left and what this one wrote. Raises Retryable for what Kafka refused."""
    try:
        remove_all(settings.kafka)
        remove_runs(settings)
        yield
        remove_all(settings.kafka)
        remove_runs(settings)
    except KafkaException as error:
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} refused: {error}") from error
