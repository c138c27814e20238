"""What a worker tells of itself: /healthz, /readyz, /status and Prometheus /metrics. Never an input to a result."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from processors.incidents.engine import IncidentOutcome
from processors.outcome import Outcome

STALLED_S: Final = 30.0


@dataclass(slots=True)
class SourceHealth:
    """One partition that this worker owns."""

    topic: str
    partition: int
    next_offset: int
    highwater: int
    tick_ms: int | None = None
    attempts_failed: int = 0
    waiting: str | None = None
    checkpoint_offset: int | None = None
    checkpoint_monotonic_s: float | None = None

    @property
    def lag(self) -> int:
        """Records between the worker and the end of the partition."""
        return max(0, self.highwater - self.next_offset)


class SourceStatus(msgspec.Struct, frozen=True):
    """One partition, as /status tells it."""

    topic: str
    partition: int
    next_offset: int
    lag: int
    tick_ms: int | None
    attempts_failed: int
    checkpoint_offset: int | None
    checkpoint_age_s: float | None


class Status(msgspec.Struct, frozen=True):
    """The body of /status."""

    ready: bool
    run: str
    sources: list[SourceStatus]
    records: dict[str, dict[str, int]]
    rejected: dict[str, int]
    observations: dict[str, int]
    incident_changes: dict[str, int]
    rows_written: dict[str, int]
    merged_tick_ms: int | None
    sink_waiting: str | None
    sink_delay_s: float | None
    notifications_waiting: int = 0
    receivers_failing: int = 0


class Health:
    """Counters and gauges of one worker."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.ready = False
        self.sources: dict[tuple[str, int], SourceHealth] = {}
        self.records: dict[str, Counter[str]] = {}
        self.rejected: Counter[str] = Counter()
        self.observations: Counter[str] = Counter()
        self.incident_changes: Counter[str] = Counter()
        self.rows_written: Counter[str] = Counter()
        self.merged_tick_ms: int | None = None
        self.stored_tick_ms: int | None = None
        self.sink_waiting: str | None = None
        self.undelivered: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Notifications that wait for their receivers, and subscriptions whose receiver takes nothing."""
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def assigned(self, offsets: dict[tuple[str, int], int]) -> None:
        """Partitions were (re)assigned, each to be read from its offset."""
        self.sources = {key: SourceHealth(*key, offset, offset) for key, offset in offsets.items()}
        self.ready = True

    def advanced(self, key: tuple[str, int], next_offset: int, highwater: int) -> None:
        """A poll was worked through."""
        source = self.sources.setdefault(key, SourceHealth(*key, next_offset, highwater))
        source.next_offset, source.highwater, source.attempts_failed = next_offset, highwater, 0

    def reached(self, key: tuple[str, int], highwater: int) -> None:
        """A poll arrived; what it holds is lag until it is worked through."""
        if key in self.sources:
            self.sources[key].highwater = max(highwater, self.sources[key].highwater)

    def worked_off(self, key: tuple[str, int], next_offset: int) -> None:
        """Everything before an offset is worked through."""
        if key in self.sources:
            self.sources[key].next_offset = next_offset

    def waits(self, key: tuple[str, int], what_for: str | None) -> None:
        """A partition waits for something outside; None = no longer."""
        if key in self.sources:
            self.sources[key].waiting = what_for

    def troubled(self, key: tuple[str, int], attempts: int) -> None:
        """A poll failed that many times in a row."""
        if key in self.sources:
            self.sources[key].attempts_failed = attempts

    def checkpointed(self, key: tuple[str, int], next_offset: int) -> None:
        """A checkpoint became durable."""
        if key in self.sources:
            self.sources[key].checkpoint_offset = next_offset
            self.sources[key].checkpoint_monotonic_s = time.monotonic()

    def observed(self, key: tuple[str, int], outcome: Outcome) -> None:
        """An input partition advanced."""
        counts = outcome.counts
        tally = self.records.setdefault(key[0], Counter())
        rejected = sum(counts.rejected.values())
        tally.update(used=counts.used, duplicate=counts.duplicate, rejected=rejected, forwarded=counts.forwarded)
        self.rejected.update(counts.rejected)
        for block in outcome.blocks:
            self.observations.update(one.kind for one in block.observations if not one.withdrawn)
        if outcome.blocks and key in self.sources:
            self.sources[key].tick_ms = outcome.blocks[-1].tick_ms

    def concluded(self, outcome: IncidentOutcome, tick_ms: int | None) -> None:
        """The correlator advanced."""
        self.incident_changes.update(change.change.value for change in outcome.changes)
        self.merged_tick_ms = tick_ms

    def stored(self, table: str, rows: int, tick_ms: int) -> None:
        """A frame is in ClickHouse."""
        self.rows_written[table] += rows
        self.stored_tick_ms = max(tick_ms, self.stored_tick_ms or tick_ms)

    def status(self) -> Status:
        """Return what /status tells."""
        now = time.monotonic()
        delay = None
        if self.merged_tick_ms is not None and self.stored_tick_ms is not None:
            delay = max(0.0, (self.merged_tick_ms - self.stored_tick_ms) / 1000)
        notifications_waiting, receivers_failing = self.undelivered()
        return Status(
            ready=self.ready,
            run=self.run,
            sources=[
                SourceStatus(
                    one.topic,
                    one.partition,
                    one.next_offset,
                    one.lag,
                    one.tick_ms,
                    one.attempts_failed,
                    one.checkpoint_offset,
                    None if one.checkpoint_monotonic_s is None else round(now - one.checkpoint_monotonic_s, 3),
                )
                for _, one in sorted(self.sources.items())
            ],
            records={topic: dict(counts) for topic, counts in self.records.items()},
            rejected={str(reason): count for reason, count in self.rejected.items()},
            observations=dict(self.observations),
            incident_changes=dict(self.incident_changes),
            rows_written=dict(self.rows_written),
            merged_tick_ms=self.merged_tick_ms,
            sink_waiting=self.sink_waiting,
            sink_delay_s=delay,
            notifications_waiting=notifications_waiting,
            receivers_failing=receivers_failing,
        )

    def unready(self) -> list[str]:
        """Return why the worker is not ready, in words; empty = ready."""
        reasons = [] if self.ready else ["no partitions are assigned yet"]
        for one in self.sources.values():
            if one.waiting is not None:
                reasons.append(f"{one.topic}/{one.partition} waits {one.waiting}")
            if one.attempts_failed:
                reasons.append(f"{one.topic}/{one.partition} failed {one.attempts_failed} times in a row")
        return reasons

    def exposition(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics (prometheus_client's collector interface)."""
        status = self.status()
        records = CounterMetricFamily("cityops_records", "Input records by fate.", labels=["topic", "fate"])
        for topic, counts in status.records.items():
            for fate, count in counts.items():
                records.add_metric([topic, fate], count)
        yield records
        yield _counter("cityops_rejected", "Rejected records.", "reason", status.rejected)
        yield _counter("cityops_observations", "Observations.", "kind", status.observations)
        yield _counter("cityops_incident_changes", "Incident revisions.", "change", status.incident_changes)
        yield _counter("cityops_rows_written", "Rows written to ClickHouse.", "table", status.rows_written)
        lag = GaugeMetricFamily("cityops_lag_records", "Records not read yet.", labels=["topic", "partition"])
        age = GaugeMetricFamily("cityops_checkpoint_age_seconds", "Age of checkpoint.", labels=["topic", "partition"])
        for one in status.sources:
            lag.add_metric([one.topic, str(one.partition)], one.lag)
            if one.checkpoint_age_s is not None:
                age.add_metric([one.topic, str(one.partition)], one.checkpoint_age_s)
        yield lag
        yield age
        delay = GaugeMetricFamily("cityops_sink_delay_seconds", "Event time between detection and ClickHouse.")
        if status.sink_delay_s is not None:
            delay.add_metric([], status.sink_delay_s)
        yield delay
        waiting = GaugeMetricFamily("cityops_sink_waiting", "1 = ClickHouse does not take rows.")
        waiting.add_metric([], int(status.sink_waiting is not None))
        yield waiting
        yield _gauge("cityops_notifications_waiting", "Not delivered yet.", status.notifications_waiting)
        yield _gauge("cityops_receivers_failing", "Receivers that take nothing.", status.receivers_failing)


def _counter(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in counts.items():
        family.add_metric([key], count)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
