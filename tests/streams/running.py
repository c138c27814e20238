"""Builders of the tests on the real stack: a simulated log into a run, workers on it, and everything they put out."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from processors.city import City
from processors.simulate import Simulation, SimulationRule
from schemas.codec import HEADER_BYTES, Codec
from schemas.records import IncidentChange, ObservationBlock, Rejected
from schemas.tables import INCIDENT_LOG, TABLES
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.queries import query
from streams import topics
from streams.accounting import Accounts, account
from streams.admin import ensure_topics
from streams.feed import Feeder
from streams.health import Status
from streams.reading import LogReader, reading
from streams.settings import Settings
from streams.workers import Offsets, WorkerProcess, free_port, wait_drained

START_MS: Final = 1_772_409_600_000
"""2026-03-02 07:00 in Hà Nội: the beginning of every simulated log."""
READY_S: Final = 60.0
DRAIN_S: Final = 60.0
AT_ONCE: Final = 1e9

Row = tuple[Any, ...]
Place = tuple[str, int, int]
Revision = tuple[str, int]
BlockId = tuple[str, int, int]


def run_settings(stack: Settings, run: str, source_run: str = "", **changes: Any) -> Settings:
    """Return settings of a run that reads its own input, or that of another run; nothing provisional, no ticker."""
    settings = replace(
        stack.with_run(run, source_run or run),
        ticker=False,
        ttl_days=None,
        web_port=free_port(),
        worker_id=f"{run}-worker",
        provisional_after_ms=0,
    )
    return replace(settings, **changes)


def make_ready(settings: Settings) -> None:
    """Create topics and tables of a run."""
    ensure_topics(settings)
    migrate(settings.clickhouse_url, settings.database, settings.ttl_days)


def simulated(city: City, seed: int, for_s: float, **rule: Any) -> Simulation:
    """Return a simulated city from START_MS on; nothing begins in the last seconds of `for_s`."""
    return Simulation(city, seed, START_MS, SimulationRule(**rule), START_MS + int(for_s * 1000))


def feed(settings: Settings, codec: Codec, simulation: Simulation, for_s: float) -> None:
    """Append `for_s` seconds of event time with ticks, as fast as it goes."""
    Feeder(settings, codec, simulation, AT_ONCE, ticks=True).run(for_s / AT_ONCE, threading.Event())


@contextmanager
def feeding(
    settings: Settings, codec: Codec, simulation: Simulation, for_s: float, speed: float
) -> Iterator[threading.Thread]:
    """Append the same in the background, `speed` seconds a second, until the end of the block."""
    stop = threading.Event()
    feeder = Feeder(settings, codec, simulation, speed, ticks=True)
    thread = threading.Thread(target=feeder.run, args=(for_s / speed, stop), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(10)


@contextmanager
def working(settings: Settings) -> Iterator[WorkerProcess]:
    """Run one worker, ready, until the end of the block."""
    worker = WorkerProcess(settings)
    try:
        worker.wait_ready(READY_S)
        yield worker
    finally:
        worker.stop()


def finish(settings: Settings, worker: WorkerProcess) -> None:
    """Wait until the worker has worked off all there is."""
    offsets = Offsets(settings)
    try:
        ends = {
            (topic.name, partition): end for topic in topics.INPUTS for partition, end in offsets.ends(topic).items()
        }
    finally:
        offsets.close()
    assert wait_drained(settings, worker, ends, DRAIN_S), f"not worked off: {worker.status()}"


def work_off(settings: Settings) -> None:
    """Run one worker over everything there is, undisturbed."""
    make_ready(settings)
    with working(settings) as worker:
        finish(settings, worker)


def wait_until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait for something to come true; fail with `what` otherwise."""
    give_up_at_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at_s, what
        time.sleep(0.05)


def merged_s(status: Status | None) -> float:
    """Return up to which second of the log incidents are concluded; -1 while nothing is known."""
    return -1.0 if status is None or status.merged_tick_ms is None else (status.merged_tick_ms - START_MS) / 1000


@dataclass(frozen=True, slots=True)
class Outputs:
    """Everything a run put out.

    changes: first content of each (incident, revision), in the order of the log; incidents: the latest by id.
    rejects: by source place. blocks: by source and tick. tables: rows, sorted; views of minutes and incidents too.
    unlike: what was repeated with other content, which must never be. repeated: blocks that came more than once.
    """

    changes: dict[Revision, bytes]
    incidents: dict[bytes, bytes]
    rejects: dict[Place, bytes]
    blocks: dict[BlockId, bytes]
    tables: dict[str, list[Row]]
    unlike: list[Revision | Place | BlockId]
    repeated: int


def read_outputs(settings: Settings, codec: Codec) -> Outputs:
    """Read all topics and tables of a run."""
    unlike: list[Revision | Place | BlockId] = []
    changes: dict[Revision, bytes] = {}
    rejects: dict[Place, bytes] = {}
    blocks: dict[BlockId, bytes] = {}
    repeated = 0
    with reading(settings) as log:
        for body, change in _records(log, codec, topics.CHANGES, IncidentChange):
            revision = change.incident.incident_id, change.incident.revision
            if changes.setdefault(revision, body) != body:
                unlike.append(revision)
        for body, reject in _records(log, codec, topics.REJECTED, Rejected):
            place = reject.source_topic, reject.source_partition, reject.source_offset
            if rejects.setdefault(place, body) != body:
                unlike.append(place)
        for body, block in _records(log, codec, topics.OBSERVATIONS, ObservationBlock):
            block_id = block.source_topic, block.source_partition, block.tick_ms
            repeated += block_id in blocks
            if blocks.setdefault(block_id, body) != body:
                unlike.append(block_id)
        end = log.end([topics.INCIDENTS])
        incidents = {one.key or b"": one.value or b"" for one in log.read(topics.INCIDENTS, {}, end)}
    return Outputs(changes, incidents, rejects, blocks, read_tables(settings), unlike, repeated)


def read_tables(settings: Settings) -> dict[str, list[Row]]:
    """Return the rows of every table and view, sorted.

    Of incident_log without source_offset: it is that of a block on observations.v1, where repeats take up offsets.
    """
    return {name: _rows(settings, name) for name in (*TABLES, "incidents", "minutes")}


def balance(settings: Settings, codec: Codec) -> Accounts:
    """Account for everything of a run, by the independent accounting; fail with its reasons."""
    with reading(settings) as log:
        accounts, _ = account(settings, codec, {}, log.end())
    assert accounts.balances, accounts.reasons
    return accounts


def _records(log: LogReader, codec: Codec, topic: topics.Topic, kind: type[Any]) -> Iterator[tuple[bytes, Any]]:
    for message in log.read(topic, {}, log.end([topic])):
        value = message.value or b""
        yield value[HEADER_BYTES:], codec.read(value, kind)


def _rows(settings: Settings, table: str) -> list[Row]:
    left_out = " EXCEPT (source_offset)" if table in (INCIDENT_LOG.name, "incidents") else ""
    answer = query(settings.clickhouse_url, settings.database, f"SELECT *{left_out} FROM {table} ORDER BY ALL")
    return [tuple(repr(value) if isinstance(value, float) else value for value in row) for row in answer.rows]
