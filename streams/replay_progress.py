"""How far a replay is: event time reached, records a second, how many times faster than event time, what is left."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from streams.health import Status
from streams.span import Span

WINDOW_S: Final = 10.0
"""Rates are of the last so many seconds."""
LINE_EVERY_S: Final = 3.0
MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """What a worker had done at a monotonic time."""

    at_s: float
    records: int
    tick_ms: int | None


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a replay stands; None = not known yet.

    tick_ms: up to where incidents are concluded. times: seconds of event time a second.
    """

    records: int
    total: int
    tick_ms: int | None
    records_per_s: float | None
    times: float | None
    left_s: float | None


class Meter:
    """Turns what the worker says of itself into rates."""

    def __init__(self, span: Span) -> None:
        self._parts = {(part.topic, part.partition): part for part in span.parts}
        self._total = span.records
        self._samples: deque[Sample] = deque()

    def note(self, now_s: float, status: Status) -> Reached:
        """Take what the worker says at a monotonic time."""
        now = Sample(now_s, self._done(status), status.merged_tick_ms)
        self._samples.append(now)
        while len(self._samples) > 2 and now_s - self._samples[0].at_s > WINDOW_S:
            self._samples.popleft()
        then = self._samples[0]
        spent_s = now_s - then.at_s
        rate = (now.records - then.records) / spent_s if spent_s > 0 else None
        left_s = (self._total - now.records) / rate if rate else None
        return Reached(now.records, self._total, now.tick_ms, rate, self._times(now), left_s)

    def _times(self, now: Sample) -> float | None:
        """Return how many times faster than event time, since the first time it was known."""
        then = next((one for one in self._samples if one.tick_ms is not None and one.at_s < now.at_s), None)
        if then is None or then.tick_ms is None or now.tick_ms is None:
            return None
        return (now.tick_ms - then.tick_ms) / 1000 / (now.at_s - then.at_s)

    def _done(self, status: Status) -> int:
        """Return how many records of the span the worker has read."""
        at = {(one.topic, one.partition): one.next_offset for one in status.sources}
        return sum(min(max(at.get(key, 0), part.begin), part.end) - part.begin for key, part in self._parts.items())


def told(reached: Reached, zone: ZoneInfo) -> str:
    """Return it in words: event time in the city's zone, rates, time left."""
    words = []
    if reached.tick_ms is not None:
        words.append(f"at {datetime.fromtimestamp(reached.tick_ms / 1000, zone):%Y-%m-%d %H:%M:%S}")
    if reached.records >= reached.total:
        return ", ".join((*words, "working off what is left"))
    if reached.records_per_s is not None:
        words.append(f"{reached.records_per_s:,.0f} records/s")
    if reached.times is not None:
        words.append(f"{reached.times:,.1f}x")
    if reached.left_s is not None:
        words.append(f"{int(reached.left_s) // MINUTE_S}:{int(reached.left_s) % MINUTE_S:02d} left")
    return ", ".join(words) or "starting"


class Shown(Protocol):
    """Takes every new state."""

    def __call__(self, reached: Reached) -> None:
        """Show it."""


@contextmanager
def shown_on(console: Console, zone: ZoneInfo, total: int) -> Iterator[Shown]:
    """Give a function that shows how far it is: a bar on a terminal, elsewhere a plain line every few seconds."""
    if not console.is_terminal:
        yield _Lines(console, zone)
        return
    columns = (TextColumn("replaying"), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=total)

        def show(reached: Reached) -> None:
            bar.update(task, completed=reached.records, description=told(reached, zone))

        yield show


class _Lines:
    def __init__(self, console: Console, zone: ZoneInfo) -> None:
        self._console, self._zone = console, zone
        self._next_s = 0.0

    def __call__(self, reached: Reached) -> None:
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + LINE_EVERY_S
        share = f"{reached.records:,} of {reached.total:,} records"
        self._console.print(f"replaying: {share}, {told(reached, self._zone)}", highlight=False, soft_wrap=True)
