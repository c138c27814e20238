"""Interleaved rounds: every variant once a round, its answer checked before its rate is shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.variant import Measured, Variant, WrongAnswer

MICRO: Final = 1e6

OnStep = Callable[[str], None]
"""Told what is done next, once for each variant that is prepared and each that is measured."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one variant reached; rounds is empty and `absent` says why when it could not run."""

    name: str
    title: str
    rounds: tuple[Measured, ...] = ()
    absent: str = ""

    @property
    def cpu_us(self) -> tuple[float, ...]:
        """Processor time of the worker a position in microseconds, of each round."""
        return tuple(MICRO * one.cpu_s / one.positions for one in self.rounds)

    @property
    def rate_per_s(self) -> tuple[float, ...]:
        """Positions a second by the clock, of each round."""
        return tuple(one.positions / one.wall_s for one in self.rounds)

    @property
    def median_cpu_us(self) -> float:
        """The median of cpu_us."""
        return median(self.cpu_us)

    @property
    def median_rate_per_s(self) -> float:
        """The median of rate_per_s."""
        return median(self.rate_per_s)

    @property
    def resident_mb(self) -> float:
        """The most memory it held in any round."""
        return max(one.resident_mb for one in self.rounds)


def measure(variants: Sequence[Variant], rounds: int, on_step: OnStep) -> list[Outcome]:
    """Measure all variants that can run here, `rounds` times one after the other.

    Raises WrongAnswer as soon as an answer is not the expected one.
    """
    reasons = {variant.name: variant.absent() for variant in variants}
    present = [variant for variant in variants if not reasons[variant.name]]
    expected: dict[str, str] = {}
    for variant in present:
        on_step(f"preparing {variant.name}")
        expected[variant.name] = variant.prepare()
    found: dict[str, list[Measured]] = {variant.name: [] for variant in variants}
    for number in range(rounds):
        for variant in present:
            on_step(f"round {number + 1} of {rounds}: {variant.name}")
            measured = variant.measure(number)
            if measured.answer != expected[variant.name]:
                raise WrongAnswer(
                    f"{variant.name} answered {measured.answer} where {expected[variant.name]} is right, "
                    f"in round {number + 1}: no rate is shown"
                )
            found[variant.name].append(measured)
    return [Outcome(one.name, one.title, tuple(found[one.name]), reasons[one.name]) for one in variants]
