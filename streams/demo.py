"""`cityops demo`: a simulated or a recorded city through the real thing, shown live and accounted for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from processors.simulate import LIVE_SCENES, Simulation, SimulationRule
from streams import topics
from streams.feed import Feeder
from streams.live_latency import LiveLatency
from streams.live_view import Changes, LiveView, describe
from streams.page_address import tell_page
from streams.reading import Vector
from streams.recorded import SentSummary
from streams.report import Scope, build_report, render, write_report
from streams.session import Session, city_of, stack_running, stopped_by_signals, worker_running
from streams.settings import Settings
from streams.workers import Offsets, WorkerProcess, wait_drained

DRAIN_S: Final = 600.0
REVIVE_AT_MOST_S: Final = 60.0
SHOWN_CHANGES: Final = 12
RUN: Final = "demo"
SEED: Final = 7
ACCOUNTED: Final = (
    *topics.INPUTS,
    topics.TRUTH,
    topics.CHANGES,
    topics.OBSERVATIONS,
    topics.ROWS,
    topics.REJECTED,
)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked for."""

    for_s: float | None
    seed: int | None
    speed: float
    vehicles: int
    report: Path | None
    browser: bool
    """Whether a live demo may open the page."""


def run_demo(settings: Settings, options: DemoOptions, console: Console) -> bool:
    """Run the simulated city; return whether the accounting balances (an unbounded demo always does).

    A bounded demo, or one faster than the clock, is a run of its own that begins from nothing: repeating it neither
    meets incidents of the time before nor gets the live log ahead of the clock.
    """
    isolated = options.for_s is not None or options.speed != 1
    if isolated and not settings.run:
        settings = settings.with_run(RUN, RUN)
    settings = replace(
        settings,
        ticker=False,
        ttl_days=None if settings.run else settings.ttl_days,
        block_ms=int(settings.block_ms * options.speed),
        checkpoint_ms=int(settings.checkpoint_ms * options.speed),
        provisional_after_ms=int(settings.provisional_after_ms * options.speed),
    )
    try:
        with console.status("city"):
            city = city_of(settings)
        with (
            stopped_by_signals(),
            stack_running(settings, console) as settings,
            worker_running(settings, city, console, fresh=isolated) as session,
        ):
            tell_page(session.settings, console, open_it=options.browser and not isolated)
            return _simulate(session, options, console)
    except KeyboardInterrupt:
        console.print("stopped", style="bright_black")
        return True


def run_up(settings: Settings, console: Console) -> None:
    """Run the stack and one worker for somebody else's producers until Ctrl-C."""
    try:
        city = city_of(settings)
        with (
            stopped_by_signals(),
            stack_running(settings, console) as settings,
            worker_running(settings, city, console, fresh=False) as session,
        ):
            own = session.settings
            console.print(
                f"Kafka {own.kafka_bootstrap_servers} · registry {own.schema_registry_url} · "
                f"status {own.web_url}/status · `cityops stack env` prints all addresses"
            )
            tell_page(own, console)
            _watch(session, offsets_now(own), console, "Ctrl-C stops", lambda: True)
    except KeyboardInterrupt:
        console.print("stopped", style="bright_black")


def offsets_now(settings: Settings) -> Vector:
    """Return the ends of every topic that a report reads."""
    offsets = Offsets(settings)
    try:
        return {(topic.name, partition): end for topic in ACCOUNTED for partition, end in offsets.ends(topic).items()}
    finally:
        offsets.close()


def _simulate(session: Session, options: DemoOptions, console: Console) -> bool:
    begin = offsets_now(session.settings)
    began, now_ms = time.monotonic(), time.time_ns() // 1_000_000
    start_ms = now_ms - now_ms % 250
    seed = options.seed if options.seed is not None else _usual_seed(session.settings, start_ms)
    until_ms = None if options.for_s is None else start_ms + int(options.for_s * options.speed * 1000)
    rule = SimulationRule(vehicles=options.vehicles, scenes_per_hour=LIVE_SCENES)
    simulation = Simulation(session.city, seed, start_ms, rule, until_ms)
    feeder = Feeder(session.settings, session.codec, simulation, options.speed, ticks=True)
    stop = threading.Event()
    thread = threading.Thread(target=feeder.run, args=(options.for_s, stop, began), name="feeder", daemon=True)
    thread.start()
    try:
        note = f"{options.vehicles:,} vehicles, seed {seed}, speed {options.speed:g}x"
        _watch(session, begin, console, note, thread.is_alive)
    finally:
        stop.set()
        thread.join(2.0)
    return account(session, begin, console, options.report, seed=seed, scored=True)


def _usual_seed(settings: Settings, start_ms: int) -> int:
    """Return 7, or live one of the hour: the same accident at the same place twice would be one incident."""
    return SEED if settings.run else start_ms // 3_600_000 % 100_000


def _watch(session: Session, begin: Vector, console: Console, note: str, running: Callable[[], bool]) -> None:
    """Show incidents and rates while the input runs."""
    changes = Changes(session.settings, session.codec, begin[topics.CHANGES.name, 0])
    latency = LiveLatency(session.settings, session.codec, begin[topics.OBSERVATIONS.name, 0])
    asked_s, status, revival = 0.0, None, _Revival()
    try:
        with LiveView(console) as view:
            while running():
                for change, published_ms in changes.poll(0.2):
                    view.incident(describe(change, session.city))
                    latency.note(change, published_ms)
                if time.monotonic() - asked_s >= 1.0:
                    asked_s, status = time.monotonic(), session.worker.status()
                    revival.look(session.worker, view)
                view.status(status, note, latency.median_ms)
    finally:
        changes.close()
        latency.close()


@dataclass(slots=True)
class _Revival:
    """Starts a worker again that has ended, ever more slowly while it keeps ending."""

    ended: int = 0
    not_before_s: float = 0.0

    def look(self, worker: WorkerProcess, view: LiveView) -> None:
        """Start it again when it is time to. Raises UsageError when it says that there is no use."""
        if worker.process.poll() is not None and time.monotonic() >= self.not_before_s:
            self.ended += 1
            self.not_before_s = time.monotonic() + min(REVIVE_AT_MOST_S, 2.0**self.ended)
            worker.revive()
            view.incident(Text(f"the worker ended; starting it again (its log: {worker.log_path})", style="yellow"))


def account(
    session: Session,
    begin: Vector,
    console: Console,
    report_path: Path | None,
    *,
    seed: int | None,
    scored: bool,
    sent: SentSummary | None = None,
) -> bool:
    """Wait until all is worked off, read the topics and ClickHouse independently, and show the report."""
    end = offsets_now(session.settings)
    inputs = {key: offset for key, offset in end.items() if key[0] in {topic.name for topic in topics.INPUTS}}
    with _left_bar(console) as show_left:
        drained = wait_drained(session.settings, session.worker, inputs, DRAIN_S, show_left)
    with console.status("accounting: reading every topic and ClickHouse again"):
        scope = Scope(begin, offsets_now(session.settings))
        report = build_report(session.settings, session.codec, scope, seed=seed, scored=scored, sent=sent)
    console.print(render(report))
    if report_path is not None:
        write_report(report, report_path)
        console.print(f"report: {report_path}")
    if not drained:
        console.print(f"the worker did not work everything off: read {session.worker.log_path}", style="red")
    return drained and report.balances


@contextmanager
def _left_bar(console: Console) -> Iterator[Callable[[int], None]]:
    """A progress bar of what is left to be worked off."""
    columns = (TextColumn("working off what is left"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        most = 0

        def show(left: int) -> None:
            nonlocal most
            most = max(most, left)
            if left >= 0:
                bar.update(task, total=most, completed=most - left)

        yield show


def show_changes(session: Session, console: Console) -> None:
    """Print the first changes of a finished run."""
    changes = Changes(session.settings, session.codec, 0)
    shown = 0
    try:
        while shown < SHOWN_CHANGES and (found := changes.poll(1.0)):
            for change, _ in found[: SHOWN_CHANGES - shown]:
                console.print(describe(change, session.city), soft_wrap=True)
                shown += 1
    finally:
        changes.close()
