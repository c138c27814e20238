"""What must be reached, as ratios within one run; and what was."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.harness import MICRO, Outcome


class Figure(StrEnum):
    """What is compared. Processor time is what gates: these machines are noisy."""

    CPU = "CPU"
    WALL = "wall"
    PER_CORE = "/s a core"


@dataclass(frozen=True, slots=True)
class Goal:
    """A variant reaches at least so much: a ratio to another variant, or positions a second per worker core."""

    variant: str
    against: str
    figure: Figure
    at_least: float


GOALS: Final = (
    Goal("cityops_single", "faust_record", Figure.CPU, 40),
    Goal("cityops_single", "confluent_loop", Figure.WALL, 1.2),
    Goal("cityops_frames", "confluent_loop", Figure.CPU, 10),
    Goal("cityops_single", "bytewax", Figure.CPU, 1.3),
    Goal("cityops_frames", "bytewax", Figure.CPU, 8),
    Goal("cityops_single", "quix", Figure.CPU, 6),
    Goal("cityops_frames", "quix", Figure.CPU, 40),
    Goal("engine_single", "", Figure.PER_CORE, 60_000),
    Goal("engine_frames", "", Figure.PER_CORE, 250_000),
)


@dataclass(frozen=True, slots=True)
class Reached:
    """What was reached of one goal.

    value: by the goal's figure. cpu_ratio, wall_ratio: both, for ratios to another variant; 0 otherwise.
    """

    goal: Goal
    value: float
    cpu_ratio: float
    wall_ratio: float

    @property
    def met(self) -> bool:
        """Tell whether it is enough."""
        return self.value >= self.goal.at_least


def reached(outcomes: Sequence[Outcome]) -> list[Reached]:
    """Return what was reached of each goal whose variants were measured."""
    measured = {one.name: one for one in outcomes if one.rounds}
    return [
        _reached(goal, measured)
        for goal in GOALS
        if goal.variant in measured and (not goal.against or goal.against in measured)
    ]


def _reached(goal: Goal, measured: dict[str, Outcome]) -> Reached:
    one = measured[goal.variant]
    if not goal.against:
        return Reached(goal, MICRO / one.median_cpu_us, 0.0, 0.0)
    other = measured[goal.against]
    cpu = other.median_cpu_us / one.median_cpu_us
    wall = one.median_rate_per_s / other.median_rate_per_s
    return Reached(goal, wall if goal.figure is Figure.WALL else cpu, cpu, wall)
