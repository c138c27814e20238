"""Latency of the whole engine at a steady rate, by the broker's own times: from the append of the record that
completed the evidence to the publication of the incident's revision, and to its row that can be read in ClickHouse.

The load is written by a process of its own at the pace of its event time; a third party looks every LOOK_S which
revisions ClickHouse shows, so that figure is at most that much too long.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.engine import run_engine
from benchmarks.load import LoadRule
from benchmarks.preload import Shape, Written
from benchmarks.producer import Job, Phase, PhaseDone, Producer
from benchmarks.publications import Percentiles, percentiles, read_publications
from benchmarks.runs import Runs, check_shape
from schemas.errors import CityopsError, Retryable
from sinks.clickhouse.queries import query
from streams.log_facts import ChangeFact
from streams.settings import Settings

LOOK_S: Final = 0.05
UNSEEN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class LatencyOptions:
    """The steady rate; scenes_per_s: crashes and fires, far more than any city has; jams make most publications."""

    seconds: float = 540.0
    positions_per_s: float = 10_000.0
    detections_per_s: float = 2_000.0
    vehicles: int = 100_000
    scenes_per_s: float = 0.5
    shape: Shape = Shape.SINGLES


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """publication: from append to publication, of revisions that new evidence caused; ordered and provisional apart.

    stored: from append to the row seen. late_s: by how much the producer fell behind its pace at most.
    """

    options: LatencyOptions
    publication: Percentiles
    ordered: Percentiles | None
    provisional: Percentiles | None
    stored: Percentiles | None
    positions: int
    detections: int
    late_s: float
    cpu_cores: float
    peak_mb: float


def measure_latency(runs: Runs, options: LatencyOptions) -> LatencyResult:
    """Run a worker beside a paced producer, then read the times. Raises CityopsError when nothing was published."""
    check_shape(options.shape)
    log, codec = runs.log("latency")
    own = runs.over(log, "latency-worker", live=True)
    rule = LoadRule(
        vehicles=options.vehicles,
        positions_per_s=options.positions_per_s,
        detections_per_s=options.detections_per_s,
        readings_per_s=options.detections_per_s / 6,
        scenes_per_s=options.scenes_per_s,
    )
    phase = Phase(options.seconds, options.positions_per_s, paced=True, trail=True)
    producer = Producer(log, Job(rule, options.shape, (phase,)))
    watcher = _RowWatcher(own)
    done: list[PhaseDone] = []

    def feed() -> Written:
        watcher.start()
        producer.begin()
        done.append(producer.done_showing(options.seconds, runs.on_progress))
        return done[0].written

    try:
        run = run_engine(own, feed)
    finally:
        watcher.stop()
        producer.close()
    found = read_publications(own, codec)
    every = percentiles(found.latencies_ms(found.changes))
    if every is None:
        raise CityopsError("no revision was caused by new evidence: let it run longer or with more scenes")
    of = {flag: [fact for fact in found.changes if fact.change.incident.provisional is flag] for flag in (False, True)}
    stored = [
        ChangeFact(watcher.seen_ms[key], fact.change)
        for fact in found.changes
        if (key := (fact.change.incident.incident_id, fact.change.incident.revision)) in watcher.seen_ms
    ]
    return LatencyResult(
        options=options,
        publication=every,
        ordered=percentiles(found.latencies_ms(of[False])),
        provisional=percentiles(found.latencies_ms(of[True])),
        stored=percentiles(found.latencies_ms(stored)),
        positions=run.positions,
        detections=run.written.detections,
        late_s=done[0].late_s,
        cpu_cores=run.cpu_s / run.wall_s,
        peak_mb=run.peak_mb,
    )


class _RowWatcher:
    """Looks which revisions ClickHouse shows, and remembers when it showed each first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.seen_ms: dict[tuple[str, int], int] = {}
        self._behind = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rows", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after one more look."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(UNSEEN_S)

    def _watch(self) -> None:
        last = False
        while not last:
            last = self._stop.is_set()
            try:
                self._look()
            except Retryable:
                time.sleep(1.0)
            self._stop.wait(LOOK_S)

    def _look(self) -> None:
        """Take the rows behind the last offset seen: frames cover offsets one after the other."""
        sql = "SELECT incident_id, revision, source_offset FROM incident_log WHERE source_offset > %(behind)s"
        rows = query(self._settings.clickhouse_url, self._settings.database, sql, {"behind": self._behind}).rows
        now_ms = time.time_ns() // 1_000_000
        for incident_id, revision, offset in rows:
            self.seen_ms.setdefault((str(incident_id), int(revision)), now_ms)
            self._behind = max(self._behind, int(offset))
