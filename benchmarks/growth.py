"""Growth: what a position costs with more workers, more partitions, more vehicles.

Always the same number of positions at the same rate of event time, whatever the vehicles: fewer of them report more
often. Workers are ready before the log is written, so that none does alone what two are measured at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.engine import answer_of, run_engine
from benchmarks.load import LoadRule
from benchmarks.partitioned import partitions, worker_command
from benchmarks.preload import Shape
from benchmarks.runs import Runs, check_shape
from benchmarks.variant import WrongAnswer
from streams import topics

WORKERS: Final = (1, 2)
PARTITIONS: Final = (1, 4, 16)
VEHICLES: Final = (1_000, 10_000, 50_000, 200_000)
VEHICLES_OF_OTHERS: Final = 50_000


@dataclass(frozen=True, slots=True)
class GrowthOptions:
    """How long each log is, in event time."""

    seconds: float = 10.0
    positions_per_s: float = 100_000.0
    scenes_per_s: float = 1.0
    shape: Shape = Shape.SINGLES


@dataclass(frozen=True, slots=True)
class Grown:
    """One point: `axis` is what grows in its row of points."""

    axis: str
    workers: int
    partitions: int
    vehicles: int
    positions: int
    cpu_us: float
    rate_per_s: float
    resident_mb: float
    observations: int


def measure_growth(runs: Runs, options: GrowthOptions) -> Iterator[Grown]:
    """Yield the points. Raises WrongAnswer where the same log led to other incidents with other workers."""
    check_shape(options.shape)
    usual = topics.POSITIONS.partitions
    answers: dict[int, str] = {}
    for count in WORKERS:
        yield _point(runs, options, "workers", (count, usual, VEHICLES_OF_OTHERS), answers)
    for count in PARTITIONS:
        with partitions(count):
            yield _point(runs, options, "partitions", (1, count, VEHICLES_OF_OTHERS), answers)
    for count in VEHICLES:
        yield _point(runs, options, "vehicles", (1, usual, count), answers)


def _point(runs: Runs, options: GrowthOptions, axis: str, size: tuple[int, int, int], answers: dict[int, str]) -> Grown:
    workers, count, vehicles = size
    rule = LoadRule(vehicles=vehicles, positions_per_s=options.positions_per_s, scenes_per_s=options.scenes_per_s)
    log, codec = runs.log("growth")
    own = runs.over(log, "growth-worker")
    said = f"{workers} workers, {count} partitions, {vehicles:,} vehicles"
    told = replace(runs, on_progress=lambda _, part: runs.on_progress(said, part))
    command = worker_command(count) if axis == "partitions" else None
    run = run_engine(
        own,
        lambda: told.fill(log, codec, rule, options.seconds, options.shape),
        workers,
        told.told(said, int(options.seconds * options.positions_per_s)),
        command=command,
    )
    written = run.written
    answer = answer_of(own, codec, written)
    if answers.setdefault(vehicles, answer) != answer:
        raise WrongAnswer(f"{said}: the same log led to other incidents")
    return Grown(
        axis, workers, count, vehicles, run.positions, run.cpu_us, run.positions / run.wall_s, run.peak_mb,
        run.observations,
    )  # fmt: skip


def flatness(points: Sequence[Grown], axis: str) -> float:
    """Return how much dearer a position is at the dearest point of an axis than at the cheapest, 1 = not at all."""
    costs = [point.cpu_us for point in points if point.axis == axis]
    return max(costs) / min(costs)
