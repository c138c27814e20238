"""Builders of the tests on the real stack: a simulated log into a run, workers on it, and everything they put out."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from confluent_kafka import Producer

from processors.city import City
from processors.simulate import Sent, Simulation, SimulationRule
from schemas.codec import HEADER_BYTES, Codec
from schemas.ids import shard_of
from schemas.records import IncidentChange, ObservationBlock, Rejected
from schemas.tables import INCIDENT_LOG, OBSERVATIONS, TABLES
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.queries import query
from streams import topics
from streams.accounting import Accounts, account
from streams.admin import ensure_topics
from streams.feed import TICK_MS, Feeder, TickWriter, closing_ticks
from streams.health import Status
from streams.outbox import producer_settings
from streams.reading import LogReader, reading
from streams.settings import Settings
from streams.workers import Offsets, WorkerProcess, free_port, wait_drained

START_MS: Final = 1_772_409_600_000
"""2026-03-02 07:00 in Hà Nội: the beginning of every simulated log."""
READY_S: Final = 60.0
DRAIN_S: Final = 60.0
AT_ONCE: Final = 1e9
PACE_S: Final = 0.1
PARTITIONS: Final = {topic.name: topic.partitions for topic in topics.INPUTS}

Row = tuple[Any, ...]
Place = tuple[str, int, int, int]
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


class Wire:
    """Appends intervals of a simulated city, each with its tick, and whatever else a test sends."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self.producer = Producer(producer_settings(settings.kafka))
        self._ticks = TickWriter(settings, codec, self.producer)
        self.tick_ms = START_MS

    def records(self, sent: Iterable[Sent]) -> None:
        """Append records, each to the partition of its device."""
        for one in sent:
            partition = shard_of(one.key) % PARTITIONS[one.topic]
            self.raw(one.topic, partition, self._codec.encode(one.record), one.key.encode())

    def raw(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None,
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> None:
        """Append any bytes. topic: without a run's prefix."""
        name = f"run.{self._settings.source_run}.{topic}"
        self.producer.produce(name, value, key, partition=partition, headers=headers)
        self.producer.poll(0)

    def tick(self, at_ms: int) -> None:
        """Append a tick to every input partition."""
        self._ticks.write(at_ms)
        self.tick_ms = at_ms

    def close(self) -> None:
        """Append the closing ticks and wait until all has arrived."""
        for _ in range(closing_ticks(self._settings.block_ms)):
            self.tick(self.tick_ms + TICK_MS)
        assert self.producer.flush(30) == 0


class PacedFeed:
    """Appends a simulated log from a thread, `speed` seconds a second and never beyond what is allowed."""

    def __init__(self, settings: Settings, codec: Codec, simulation: Simulation, for_s: float, speed: float) -> None:
        self._wire, self._simulation = Wire(settings, codec), simulation
        self._steps, self._pause_s = int(for_s * 1000 / TICK_MS), TICK_MS / 1000 / speed
        self._allowed_s, self._stopped = 0.0, False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def allow(self, until_s: float) -> None:
        """Let the feed go on up to a second of the log."""
        self._allowed_s = until_s

    def finish(self) -> None:
        """Append all that is left, paced, and the closing ticks."""
        self.allow(math.inf)
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join(10)

    def _run(self) -> None:
        done = 0
        while done < self._steps and not self._stopped:
            if done * TICK_MS / 1000 < self._allowed_s:
                interval = self._simulation.step()
                self._wire.records(interval.sent)
                self._wire.tick(interval.tick_ms)
                done += 1
            time.sleep(self._pause_s)
        self._wire.close()


@contextmanager
def ticking(wire: Wire) -> Iterator[None]:
    """Let event time go on, a little faster than the clock: nothing becomes late while a busy machine is slow."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(PACE_S):
            wire.tick(wire.tick_ms + TICK_MS)
            wire.producer.poll(0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


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
            place = reject.source_topic, reject.source_partition, reject.source_offset, reject.source_index
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

    Without the source_offset of incident_log and of what was gathered: it is that of a block on observations.v1, where
    partitions take turns and repeats take up offsets.
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
    if table == OBSERVATIONS.name:
        left_out = f" REPLACE (if(source_topic = '{topics.OBSERVATIONS.name}', 0, source_offset) AS source_offset)"
    answer = query(settings.clickhouse_url, settings.database, f"SELECT *{left_out} FROM {table} ORDER BY ALL")
    return [tuple(repr(value) if isinstance(value, float) else value for value in row) for row in answer.rows]
