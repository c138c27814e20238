"""The whole engine over a load: ordinary workers from log to ClickHouse, what they cost, and what they answered."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Final

import psutil

from benchmarks.preload import Written
from schemas.codec import Codec
from schemas.errors import CityopsError
from schemas.records import Incident, IncidentChange
from sinks.clickhouse.migrations import drop_database, migrate
from sinks.clickhouse.queries import count_rows
from streams import topics
from streams.admin import delete_run, ensure_topics
from streams.diff import NOT_COMPARED
from streams.health import Status
from streams.log_facts import read_changes
from streams.reading import reading
from streams.settings import Settings
from streams.workers import Offsets, WorkerProcess, free_port

LOOK_S: Final = 0.1
START_LOOK_S: Final = 0.02
READY_S: Final = 60.0
QUIET_LOOKS: Final = 3
STALLED_S: Final = 120.0

Ends = Mapping[tuple[str, int], int]


class NotWorkedOff(CityopsError):
    """The workers did not work the log off, or not rightly: no figure of theirs means anything."""


@dataclass(frozen=True, slots=True)
class EngineRun:
    """What workers took for a log, from their first record to all rows stored and the last checkpoint durable.

    cpu_s: user and system time of all workers, start-up excluded; by_thread_s: of the one process when there is one.
    peak_mb, resident_mb: of the largest worker, at its most and at the end.
    """

    written: Written
    cpu_s: float
    wall_s: float
    peak_mb: float
    resident_mb: float
    by_thread_s: Mapping[int, float]
    observations: int

    @property
    def positions(self) -> int:
        """Return how many positions the log held."""
        return self.written.positions

    @property
    def cpu_us(self) -> float:
        """Processor time a position in microseconds."""
        return self.cpu_s / self.positions * 1e6


class BenchWorker(WorkerProcess):
    """An ordinary worker that is watched from outside; command: None = the ordinary one."""

    def __init__(self, settings: Settings, command: Sequence[str] | None = None) -> None:
        super().__init__(settings, command)
        self.seen = psutil.Process(self.process.pid)
        self.begun_cpu_s = 0.0
        self.begun_s = time.monotonic()
        self.peak_mb = 0.0

    def wait_begun(self) -> None:
        """Wait until it has its partitions; what it took before the last look at which it had none was start-up."""
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s and self.process.poll() is None:
            cpu_s, now_s = self.cpu_s(), time.monotonic()
            status = self.status()
            if status is not None and status.ready:
                return
            self.begun_cpu_s, self.begun_s = cpu_s, now_s
            time.sleep(START_LOOK_S)
        raise NotWorkedOff(f"the worker was not ready after {READY_S:.0f} s: read {self.log_path}")

    def begin_now(self) -> None:
        """Count from now on."""
        self.begun_cpu_s, self.begun_s = self.cpu_s(), time.monotonic()

    def cpu_s(self) -> float:
        """Return user and system time of the process and all its threads so far."""
        times = self.seen.cpu_times()
        return float(times.user + times.system)

    def look(self) -> float:
        """Return the resident memory in MB and remember the most."""
        resident_mb = self.seen.memory_info().rss / 1e6
        self.peak_mb = max(self.peak_mb, resident_mb)
        return resident_mb


def engine_settings(settings: Settings, run: str, source_run: str) -> Settings:
    """Return the settings of a worker over the log of another run: no ticker, nothing provisional, as in a replay."""
    own = settings.with_run(run, source_run)
    return replace(own, ticker=False, provisional_after_ms=0, ttl_days=None)


def make_log(settings: Settings) -> None:
    """Make the topics of a run without anything in them."""
    delete_run(settings)
    ensure_topics(settings)


def make_run(settings: Settings) -> None:
    """Make the topics and tables of a worker's run without anything in them; the log it reads stays."""
    if settings.run != settings.source_run:
        delete_run(replace(settings, source_run=settings.run))
    drop_database(settings.clickhouse_url, settings.database)
    migrate(settings.clickhouse_url, settings.database, settings.ttl_days)
    ensure_topics(settings)


@contextmanager
def workers(settings: Settings, count: int = 1, command: Sequence[str] | None = None) -> Iterator[list[BenchWorker]]:
    """Start ordinary workers of one run; they are ended on the way out."""
    started: list[BenchWorker] = []
    try:
        for number in range(count):
            own = replace(settings, web_port=free_port(), worker_id=f"{settings.run}-{number}")
            started.append(BenchWorker(own, command))
        yield started
    finally:
        for worker in started:
            worker.stop()


def run_engine(
    settings: Settings,
    written: Written | Callable[[], Written],
    count: int = 1,
    on_progress: Callable[[int], None] = lambda left: None,
    on_begun: Callable[[Sequence[BenchWorker]], None] = lambda started: None,
    on_end: Callable[[Sequence[BenchWorker]], None] = lambda started: None,
    command: Sequence[str] | None = None,
) -> EngineRun:
    """Let workers of a run made by `make_run` work a log off.

    written: the log, or what writes it once all workers are ready. Raises NotWorkedOff for a worker that ended, a
    standstill, or rows that are not those that were written.
    """
    with workers(settings, count, command) as started:
        for worker in started:
            worker.wait_begun()
        on_begun(started)
        if callable(written):
            for worker in started:
                worker.begin_now()
            written = written()
        ended_s, cpu_s = worked_off(settings, started, written, on_progress)
        resident_mb = max(worker.look() for worker in started)
        by_thread_s = {one.id: one.user_time + one.system_time for one in started[0].seen.threads()}
        on_end(started)
    stored = check_rows(settings, written)
    return EngineRun(
        written=written,
        cpu_s=cpu_s - sum(worker.begun_cpu_s for worker in started),
        wall_s=ended_s - min(worker.begun_s for worker in started),
        peak_mb=max(worker.peak_mb for worker in started),
        resident_mb=resident_mb,
        by_thread_s=by_thread_s if count == 1 else {},
        observations=stored["observations"],
    )


def check_rows(settings: Settings, written: Written) -> dict[str, int]:
    """Return the rows of every table. Raises NotWorkedOff when they are not those of the load."""
    stored = count_rows(settings.clickhouse_url, settings.database)
    wrong = [
        f"{table} {stored[table]:,} instead of {count:,}"
        for table, count in written.used.items()
        if stored[table] != count
    ]
    if wrong:
        raise NotWorkedOff(f"ClickHouse does not hold what was written: {'; '.join(wrong)}")
    return stored


def answer_of(settings: Settings, codec: Codec, written: Written) -> str:
    """Return the digest of what a run concluded: its rows of records and the last revision of every incident.

    Provisional incidents, which depend on what waited for what, and the fields that streams/diff.py leaves out do not
    count.
    """
    with reading(settings) as log:
        facts, contradictions = read_changes(codec, log, {}, log.end([topics.CHANGES]))
    if contradictions:
        raise NotWorkedOff(f"{len(contradictions)} incident revisions were published with two contents")
    stored = check_rows(settings, written)
    lines = [f"{table} {stored[table]}" for table in (*written.used, "observations")]
    lines += sorted(_line(change) for change in last_revisions(fact.change for fact in facts))
    return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def last_revisions(changes: Iterator[IncidentChange]) -> list[IncidentChange]:
    """Return the last change of each incident that is not provisional."""
    latest: dict[str, IncidentChange] = {}
    for change in changes:
        known = latest.get(change.incident.incident_id)
        if not change.incident.provisional and (known is None or known.incident.revision < change.incident.revision):
            latest[change.incident.incident_id] = change
    return list(latest.values())


def _line(change: IncidentChange) -> str:
    told = (item.name for item in fields(Incident) if item.name not in NOT_COMPARED)
    return f"{change.change} {[(name, getattr(change.incident, name)) for name in told]}"


def left_over(statuses: Sequence[Status | None], offsets: Offsets, written: Written) -> int:
    """Return how many records and checkpoints are still to come; -1 = a worker does not answer.

    A source that wrote no checkpoint although it reached the end began behind the last record, at a checkpoint.
    """
    if None in statuses:
        return -1
    sources = [source for status in statuses if status is not None for source in status.sources]
    reached: dict[tuple[str, int], int] = {}
    durable: dict[tuple[str, int], int] = {}
    for source in sources:
        key = source.topic, source.partition
        reached[key] = max(reached.get(key, 0), source.next_offset)
        since_start = source.next_offset if source.checkpoint_offset is None else source.checkpoint_offset
        durable[key] = max(durable.get(key, 0), since_start)
    wanted = dict(written.behind)
    for topic in (topics.OBSERVATIONS, topics.ROWS):
        wanted |= {(topic.name, partition): end for partition, end in offsets.ends(topic).items()}
    left = sum(max(0, end - reached.get(key, 0)) for key, end in wanted.items())
    return left + sum(durable.get(key, 0) < end for key, end in written.records_behind.items())


def worked_off(
    settings: Settings, started: Sequence[BenchWorker], written: Written, on_progress: Callable[[int], None]
) -> tuple[float, float]:
    """Return when, by the monotonic clock, nothing was left, and the processor time by then.

    Raises NotWorkedOff for a worker that ended and for a standstill.
    """
    offsets = Offsets(settings)
    least, moved_s, quiet = sys.maxsize, time.monotonic(), 0
    ended = 0.0, 0.0
    try:
        while quiet < QUIET_LOOKS:
            now = time.monotonic(), sum(worker.cpu_s() for worker in started)
            left = left_over([worker.status() for worker in started], offsets, written)
            on_progress(left)
            for worker in started:
                worker.look()
            if left == 0:
                ended = ended if quiet else now
            quiet = quiet + 1 if left == 0 else 0
            if 0 <= left < least:
                least, moved_s = left, time.monotonic()
            dead = [worker for worker in started if worker.process.poll() is not None]
            if dead or time.monotonic() - moved_s > STALLED_S:
                what = "ended" if dead else f"stood still with {least:,} left"
                raise NotWorkedOff(f"a worker {what}: read {started[0].log_path}")
            time.sleep(LOOK_S)
    finally:
        offsets.close()
    return ended
