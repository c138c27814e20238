"""What a scene is made of: its truth, and what it does to cameras, sensors, devices and vehicles on the road."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from processors.batches import FloatArray
from processors.simulate.rule import Span
from schemas.records import Truth, VehicleClass

NAN = float("nan")

Course = Callable[[float], float]
"""A value at a true time, epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one camera's analytics claim again and again while they see something.

    every_ms: between two looks. false_too: claims of the same kind elsewhere, which nothing is behind, come with it.
    """

    camera: int
    kind: str
    object_class: str
    from_ms: float
    until_ms: float
    every_ms: float
    speed_mps: float = NAN
    bearing_deg: float = NAN
    false_too: bool = True


@dataclass(frozen=True, slots=True)
class Felt:
    """What one quantity of one sensor does beside what it measures once a minute: a value at each of its times."""

    sensor: int
    quantity: str
    from_ms: float
    until_ms: float
    every_ms: float
    level: Course
    spread: float = 0.0


class Change(StrEnum):
    """How a bias changes what a sensor measures every minute. STUCK: it says that, whatever else happens there."""

    ADD = "ADD"
    TIMES = "TIMES"
    IS = "IS"
    STUCK = "STUCK"


@dataclass(frozen=True, slots=True)
class Bias:
    """What a sensor measures every minute is changed from one time to another."""

    sensor: int
    quantity: str
    from_ms: float
    until_ms: float
    change: Change
    course: Course


class Ailment(StrEnum):
    """What can be wrong with a device. BLIND: a camera lives and sees nothing."""

    SILENT = "SILENT"
    BLIND = "BLIND"
    CLOCK = "CLOCK"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something is wrong with a camera or a sensor; ahead_ms: of a clock, negative = slow."""

    camera: bool
    device: int
    ailment: Ailment
    from_ms: float
    until_ms: float
    ahead_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """A vehicle that is in one scene only: where it is at times, straight and even between them.

    at_ms, latitude_deg, longitude_deg: float64 (n,).
    """

    vehicle_id: str
    vehicle_class: VehicleClass
    at_ms: FloatArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One incident, or something of everyday life that looks like one (no truth).

    then: asked at every tick from then on for a truth that shows later; None for good when `until_ms` is over.
    """

    kind: str
    rng: np.random.Generator
    truth: Truth | None = None
    sights: tuple[Sight, ...] = ()
    felt: tuple[Felt, ...] = ()
    biases: tuple[Bias, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    drives: tuple[Drive, ...] = ()
    then: Callable[[int], Truth | None] | None = None
    until_ms: int = 0


@dataclass(slots=True)
class Call:
    """A scene is due: of which kind, when, with which random numbers; `standing`: where others of its kind are.

    hour: local time of day, 0 <= hour < 24. number: how many of the kind were called before.
    """

    kind: str
    at_ms: int
    hour: float
    number: int
    seed: int
    rng: np.random.Generator
    standing: list[tuple[float, float, float]] = field(default_factory=list)

    def lasts_ms(self, span_s: Span) -> int:
        """Draw how long something lasts."""
        return round(float(self.rng.uniform(*span_s)) * 1000)

    def after_ms(self, span_s: Span) -> float:
        """Draw a time so long after the scene began."""
        return self.at_ms + float(self.rng.uniform(*span_s)) * 1000


def rise(base: float, peak: float, half_ms: float, rise_ms: float) -> Course:
    """Return a logistic rise from base to peak, half-way at half_ms."""
    return lambda at_ms: base + (peak - base) / (1 + math.exp(min(-(at_ms - half_ms) / rise_ms, 700.0)))


def swell(times: float, from_ms: float, until_ms: float, ramp_ms: float) -> Course:
    """Return a share that grows from 1 to `times` within ramp_ms and falls back at the end."""

    def level(at_ms: float) -> float:
        ramp = min(at_ms - from_ms, until_ms - at_ms) / ramp_ms
        return 1.0 + (times - 1.0) * min(max(ramp, 0.0), 1.0)

    return level


def louder(by: float, from_ms: float, until_ms: float, ramp_ms: float) -> Course:
    """Return what is added: grows from 0 to `by` within ramp_ms and falls back at the end."""
    times = swell(2.0, from_ms, until_ms, ramp_ms)
    return lambda at_ms: by * (times(at_ms) - 1.0)


def constant(value: float) -> Course:
    """Return one value at all times."""
    return lambda at_ms: value
