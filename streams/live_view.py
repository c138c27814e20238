"""What `cityops demo` and `cityops up` show: a line of rates, and each incident as it lives."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from confluent_kafka import Consumer, TopicPartition
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from processors.city import City
from schemas import records
from schemas.codec import Codec
from schemas.errors import Rejected
from streams import topics
from streams.health import Status
from streams.settings import Settings
from streams.watching import watcher_settings

COLOURS: Final = {
    records.Change.OPENED: "yellow",
    records.Change.CONFIRMED: "bold red",
    records.Change.CHANGED: "cyan",
    records.Change.RESOLVED: "green",
    records.Change.CLOSED: "bright_black",
    records.Change.DISMISSED: "bright_black",
    records.Change.WITHDRAWN: "bright_black",
}
KIND_WIDTH: Final = 18
"""One more than bus_lane_intruder has letters."""
SHOWN_EVIDENCE: Final = 4
PRINT_EVERY_S: Final = 10.0
RATES_OVER_S: Final = 2.0
"""As long as a block of rows, so that rows show as a flow."""
ARROWS: Final = {0: "→", 1: "←"}
BOTH: Final = "⇄"


class Changes:
    """Follows incident.changes.v1 from an offset on; repeats are recognised by id and revision."""

    def __init__(self, settings: Settings, codec: Codec, begin: int) -> None:
        self._codec = codec
        self._seen: set[tuple[str, int]] = set()
        self._consumer = Consumer(watcher_settings(settings.kafka))
        self._consumer.assign([TopicPartition(settings.topic(topics.CHANGES), 0, begin)])

    def poll(self, timeout_s: float) -> list[tuple[records.IncidentChange, int]]:
        """Return the new changes, each with its broker timestamp in ms."""
        found = []
        for message in self._consumer.consume(200, timeout=timeout_s):
            if message.error() is not None:
                continue
            try:
                change = self._codec.read(message.value(), records.IncidentChange)
            except Rejected:
                continue
            key = (change.incident.incident_id, change.incident.revision)
            if key not in self._seen:
                self._seen.add(key)
                found.append((change, message.timestamp()[1]))
        return found

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def describe(change: records.IncidentChange, city: City) -> Text:
    """Return one change in one or two lines: when, what, where, whom it affects, why."""
    incident = change.incident
    at = datetime.fromtimestamp(change.tick_ms / 1000, UTC).astimezone(ZoneInfo(city.time_zone))
    colour = COLOURS[change.change]
    text = Text(f"{at:%H:%M:%S} ", style="bright_black")
    if incident.exercise:
        text.append("EXERCISE ", style="bold magenta")
    text.append(f"{incident.kind:<{KIND_WIDTH}}{change.change.value.lower():<10}", style=colour)
    text.append(incident.place, style="bold")
    if incident.provisional:
        text.append(" (provisional)", style="magenta")
    if incident.lines:
        text.append(f" · lines {lines_in_short(incident.lines)}", style="blue")
    text.append(f" · {incident.severity.value.lower()} · {incident.incident_id} r{incident.revision}", "bright_black")
    shown = [
        f"{one.kind} {one.device_id} {one.distance_m:.0f} m"
        for one in sorted(incident.evidence, key=lambda one: -one.weight)[:SHOWN_EVIDENCE]
    ]
    more = len(incident.evidence) - len(shown)
    text.append(f"\n         {'; '.join(change.reasons)}", style="bright_black")
    text.append(f"\n         evidence: {', '.join(shown)}{f' and {more} more' if more > 0 else ''}", "bright_black")
    return text


def lines_in_short(lines: Sequence[records.AffectedLine]) -> str:
    """Return `02 ⇄, 21A →`: each line once, with the directions that pass."""
    directions: dict[str, set[int]] = {}
    for line in lines:
        directions.setdefault(line.line_id, set()).add(line.direction_id)
    return ", ".join(
        f"{line_id} {BOTH if len(found) > 1 else ARROWS.get(min(found), '')}".strip()
        for line_id, found in sorted(directions.items())
    )


class RateLine:
    """Turns worker counters into a line of rates, over the last two seconds."""

    def __init__(self) -> None:
        self._latest: tuple[float, Status] | None = None
        self._rates: list[str] = []

    def text(self, status: Status | None, note: str, latency_ms: int | None) -> Text:
        """Return the line for what /status says now; latency_ms: from append to publication, None = unknown."""
        if status is None:
            return Text(f"the worker does not answer · {note}", style="red")
        if self._latest is None or time.monotonic() - self._latest[0] >= RATES_OVER_S:
            self._count(status)
        parts = [*self._rates, f"lag {sum(one.lag for one in status.sources):,}"]
        if latency_ms is not None:
            parts.append(f"append to publication {latency_ms} ms")
        line = Text()
        line.append(" · ".join(parts), style="white on blue")
        if status.sink_waiting:
            line.append(f"\nClickHouse takes no rows: {status.sink_waiting}; they wait in Kafka", style="bold red")
        line.append(f"\n{note}", style="bright_black")
        return line

    def _count(self, status: Status) -> None:
        now_s = time.monotonic()
        before_s, before = self._latest or (now_s - 1.0, status)
        self._latest = (now_s, status)
        span_s = max(0.2, now_s - before_s)
        named = {
            "positions": (topics.POSITIONS, topics.FRAMES),
            "detections": (topics.DETECTIONS,),
            "readings": (topics.READINGS,),
        }
        self._rates = [
            f"{name} {sum(_total(status.records, one) - _total(before.records, one) for one in of) / span_s:,.0f}/s"
            for name, of in named.items()
        ]
        for name, after, earlier in (
            ("observations", status.observations, before.observations),
            ("rejected", status.rejected, before.rejected),
            ("rows", status.rows_written, before.rows_written),
        ):
            self._rates.append(f"{name} {(sum(after.values()) - sum(earlier.values())) / span_s:,.1f}/s")


def _total(counts: dict[str, dict[str, int]], topic: topics.Topic) -> int:
    return sum(counts.get(topic.name, {}).values())


class LiveView:
    """The terminal: incidents scroll, the rates stay at the bottom; elsewhere a line of rates every few seconds."""

    def __init__(self, console: Console) -> None:
        self._live = Live(Text(""), console=console, refresh_per_second=4, transient=True)
        self._console = console
        self._rates = RateLine()
        self._printed_s = time.monotonic()

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def incident(self, text: Text) -> None:
        """Scroll one incident change."""
        self._console.print(text, soft_wrap=True)

    def status(self, status: Status | None, note: str, latency_ms: int | None) -> None:
        """Show the rates."""
        text = self._rates.text(status, note, latency_ms)
        if self._console.is_terminal:
            self._live.update(Group(text))
        elif time.monotonic() - self._printed_s >= PRINT_EVERY_S:
            self._printed_s = time.monotonic()
            self._console.print(text, soft_wrap=True)
