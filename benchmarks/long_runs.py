"""Soak, burst and memory: a worker over minutes, at its pace and behind a backlog."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.engine import BenchWorker, NotWorkedOff, run_engine, worked_off
from benchmarks.load import LoadRule
from benchmarks.preload import Shape, Written
from benchmarks.producer import Job, Phase, PhaseDone, Producer
from benchmarks.publications import Percentiles, percentiles, read_publications
from benchmarks.runs import Runs, check_shape
from benchmarks.watch import Sample, Watch, growth_mb_per_h
from streams.accounting import account
from streams.reading import reading

CAPACITY_SECONDS: Final = 10.0
CAPACITY_RATE: Final = 100_000.0
VEHICLES: Final = 100_000
BURST_TIMES: Final = 10.0
LOOK_S: Final = 1.0
SETTLING_S: Final = 20.0
"""After a backlog is worked off the queues and buffers it filled are still there for a moment."""


@dataclass(frozen=True, slots=True)
class SoakResult:
    """growth_mb_per_h: of memory in the second half. late_s: by how much the producer fell behind its pace at most."""

    shape: Shape
    seconds: float
    positions_per_s: float
    capacity_per_s: float
    positions: int
    cpu_cores: float
    most_lag: int
    lag_at_end: int
    resident_mb: float
    peak_mb: float
    growth_mb_per_h: float
    late_s: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class BurstResult:
    """told: from the append of the evidence of a crash or fire that came after the burst to when it was first told.

    absorbed_s: until the lag of positions was gone, None = not before the end of the live load.
    """

    shape: Shape
    positions_per_s: float
    burst_positions: int
    live_positions: int
    absorbed_s: float | None
    told: Percentiles | None
    most_lag: int
    peak_mb: float
    balances: bool
    late_s: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """Memory of one worker that worked off so many minutes of event time, and then went on live at the same rate.

    catching_up_mb: the most until the lag was gone; live_mb: the most after it, with SETTLING_S left out; what is
    there at the end: resident_mb. late_s: by how much the producer fell behind its pace at most.
    """

    shape: Shape
    vehicles: int
    minutes: float
    live_s: float
    positions: int
    catching_up_mb: float
    live_mb: float
    resident_mb: float
    cpu_us: float
    late_s: float
    samples: tuple[Sample, ...]


def capacity_per_s(runs: Runs, shape: Shape) -> float:
    """Return how many positions a second one worker works off here, by the clock, from a log that is there."""
    rule = LoadRule(vehicles=VEHICLES, positions_per_s=CAPACITY_RATE)
    log, written = runs.preloaded("capacity", rule, CAPACITY_SECONDS, shape)
    run = run_engine(runs.over(log, "capacity-worker"), written, on_progress=runs.told("capacity", written.messages))
    return run.positions / run.wall_s


def soak(runs: Runs, seconds: float, shape: Shape, positions_per_s: float | None) -> SoakResult:
    """Run a worker for so long at a rate; None = half of what it can do here."""
    check_shape(shape)
    capacity = capacity_per_s(runs, shape) if positions_per_s is None else 0.0
    rate = positions_per_s or capacity / 2
    log, _ = runs.log("soak")
    own = runs.over(log, "soak-worker", live=True)
    producer = Producer(log, Job(_rule(rate), shape, (Phase(seconds, rate, paced=True, trail=True),)))
    watch = Watch(max(1.0, seconds / 400))
    done: list[PhaseDone] = []

    def feed() -> Written:
        producer.begin()
        done.append(producer.done_showing(seconds, runs.on_progress))
        return done[0].written

    try:
        run = run_engine(own, feed, on_begun=watch.begin, on_end=watch.end)
    finally:
        watch.end()
        producer.close()
    samples = [sample for sample in watch.samples if sample.after_s <= seconds]
    return SoakResult(
        shape=shape,
        seconds=seconds,
        positions_per_s=rate,
        capacity_per_s=capacity,
        positions=run.positions,
        cpu_cores=run.cpu_s / run.wall_s,
        most_lag=max((one.lag for one in samples), default=0),
        lag_at_end=samples[-1].lag if samples else 0,
        resident_mb=samples[-1].resident_mb if samples else run.resident_mb,
        peak_mb=run.peak_mb,
        growth_mb_per_h=growth_mb_per_h(samples),
        late_s=done[0].late_s,
        samples=tuple(watch.samples),
    )


def burst(runs: Runs, burst_s: float, live_s: float, shape: Shape, positions_per_s: float | None) -> BurstResult:
    """Put ten times a rate for `burst_s` into the log, start a worker, and go on live at the rate.

    positions_per_s: None = half of what it can do here. Raises NotWorkedOff when the accounting does not balance.
    """
    check_shape(shape)
    rate = positions_per_s or capacity_per_s(runs, shape) / 2
    log, codec = runs.log("burst")
    own = runs.over(log, "burst-worker", live=True)
    phases = Phase(burst_s, BURST_TIMES * rate, paced=False), Phase(live_s, rate, paced=True, trail=True)
    producer = Producer(log, Job(_rule(BURST_TIMES * rate), shape, phases))
    watch = Watch(1.0)
    begun: list[int] = []
    done: list[PhaseDone] = []

    def feed() -> Written:
        begun.append(time.time_ns() // 1_000_000)
        done.append(producer.done_showing(live_s, runs.on_progress))
        return done[0].written

    try:
        producer.begin()
        runs.on_progress(f"writing {BURST_TIMES * rate * burst_s:,.0f} positions", 0.0)
        preloaded = producer.done().written
        producer.begin()  # goes on while the worker starts: nobody waits for it either
        run = run_engine(own, feed, on_begun=watch.begin, on_end=watch.end)
    finally:
        watch.end()
        producer.close()
    runs.on_progress("accounting", 1.0)
    with reading(own) as reader:
        end = reader.end()
    accounts, _ = account(own, codec, {}, end)
    if not accounts.balances:
        raise NotWorkedOff(f"the accounting does not balance: {'; '.join(accounts.reasons)}")
    found = read_publications(own, codec)
    behind = [number for number, one in enumerate(watch.samples) if one.lag > 2 * rate]
    caught_up = watch.samples[(behind[-1] if behind else -1) + 1 :]
    return BurstResult(
        shape=shape,
        positions_per_s=rate,
        burst_positions=preloaded.positions,
        live_positions=run.positions - preloaded.positions,
        absorbed_s=caught_up[0].after_s if caught_up else None,
        told=percentiles(found.first_told_ms(begun[0])),
        most_lag=max((one.lag for one in watch.samples), default=0),
        peak_mb=run.peak_mb,
        balances=accounts.balances,
        late_s=done[0].late_s,
        samples=tuple(watch.samples),
    )


def memory(
    runs: Runs, minutes: float, live_s: float, shape: Shape, vehicles: int, positions_per_s: float
) -> MemoryResult:
    """Let a worker work off so many minutes of event time, go on live, and tell its memory over time."""
    check_shape(shape)
    rule = LoadRule(vehicles=vehicles, positions_per_s=positions_per_s)
    log, _ = runs.log("memory")
    own = runs.over(log, "memory-worker", live=True)
    phases = Phase(minutes * 60, positions_per_s, paced=False), Phase(live_s, positions_per_s, paced=True, trail=True)
    producer = Producer(log, Job(rule, shape, phases))
    watch = Watch(LOOK_S)
    worker: list[BenchWorker] = []
    live: list[tuple[int, PhaseDone]] = []

    def begin(started: Sequence[BenchWorker]) -> None:
        worker.extend(started)
        watch.begin(started)

    def feed() -> Written:
        backlog = replace(preloaded, records_behind={})  # without later ticks the last checkpoint is not due
        worked_off(own, worker, backlog, runs.told("working it off", backlog.messages))
        at = len(watch.samples)
        producer.begin()
        live.append((at, producer.done_showing(live_s, runs.on_progress)))
        return live[0][1].written

    try:
        runs.on_progress(f"writing {positions_per_s * minutes * 60:,.0f} positions", 0.0)
        producer.begin()
        preloaded = producer.done().written
        run = run_engine(own, feed, on_begun=begin, on_end=watch.end)
    finally:
        watch.end()
        producer.close()
    at, done = live[0]
    settled = [one for one in watch.samples[at:] if one.after_s - watch.samples[at - 1].after_s > SETTLING_S]
    return MemoryResult(
        shape=shape,
        vehicles=vehicles,
        minutes=minutes,
        live_s=live_s,
        positions=run.positions,
        catching_up_mb=max(one.resident_mb for one in watch.samples[:at]),
        live_mb=max((one.resident_mb for one in settled), default=float("nan")),
        resident_mb=run.resident_mb,
        cpu_us=run.cpu_us,
        late_s=done.late_s,
        samples=tuple(watch.samples),
    )


def _rule(positions_per_s: float) -> LoadRule:
    """Return a city's load with a scene every two seconds, whatever the rate of its positions."""
    return LoadRule(vehicles=VEHICLES, positions_per_s=positions_per_s)
