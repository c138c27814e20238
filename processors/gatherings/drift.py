"""Sensors that drift away from their neighbours: hourly means that differ for hours.

Sources: docs/thresholds.md#gatherings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.squares import GatherSquares
from processors.geo import Plane, haversine_m
from schemas.records import Observation

HOURLY: Final = "hourly_level"
HOUR_MS: Final = 3_600_000
SQUARE_M: Final = 6_000.0
MAD_TO_SD: Final = 1.4826


@dataclass(frozen=True, slots=True)
class DriftRule:
    """When a sensor is off.

    spreads: standard deviations, by the median absolute deviation of the neighbours. share: at least that share of
    their median, for concentrations. agree_share: of the limit, to agree again. alone_share: with at least that share
    of the neighbours off to the same side too it is no sensor that is off, but the air.
    """

    neighbour_m: float = 2_500.0
    neighbours: int = 3
    spreads: float = 4.0
    share: float = 0.35
    agree_share: float = 0.7
    hours: int = 2
    alone_share: float = 1 / 3


FLOORS: Final = {
    "temperature": 5.0,
    "pm2_5": 15.0, "pm10": 25.0, "no2": 30.0, "o3": 30.0, "so2": 30.0, "co": 500.0,
}  # fmt: skip
"""Smallest difference that counts, in the unit of the quantity; 0 for others."""
NO_SHARE: Final = frozenset(("temperature",))
"""Quantities whose zero is not nothing: a share of them says nothing."""
LOCAL: Final = frozenset(("sound_level",))
"""Quantities that differ for hours from street to street: neighbours say nothing about them."""


@dataclass(frozen=True, slots=True)
class _Hour:
    """One hour of a sensor: its claim, the difference from its neighbours, the limit, and whether it is off alone."""

    claim: Observation
    difference: float
    limit: float
    alone: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """Claims sensor_drift every hour that a sensor has been off for hours, and sensor_agrees when it no longer is."""

    city: City
    rule: DriftRule = DriftRule()

    @property
    def name(self) -> str:
        """Return its name."""
        return "drift"

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds that it takes."""
        return frozenset((HOURLY,))

    @property
    def reach_ms(self) -> int:
        """Return the hours that a drift takes, and as many to agree again."""
        return 2 * self.rule.hours * HOUR_MS

    def subjects(self, claim: Observation) -> list[str]:
        """Return the squares that see a sensor, each with the quantity."""
        if claim.subject in LOCAL:
            return []
        return [f"{claim.subject}/{square}" for square in self._squares.seeing(claim.latitude_deg, claim.longitude_deg)]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield the drifting sensors of a square."""
        quantity, _, square = subject.rpartition("/")
        by_sensor: dict[str, dict[int, Observation]] = {}
        for one in claims:
            by_sensor.setdefault(one.device_id, {})[one.at_ms // HOUR_MS] = one
        for hours in by_sensor.values():
            some = next(iter(hours.values()))
            if self._squares.holding(some.latitude_deg, some.longitude_deg) == square:
                near = [each for each in by_sensor.values() if self._are_near(some, next(iter(each.values())))]
                yield from self._of_one(quantity, self._compared(quantity, hours, near))

    def _are_near(self, one: Observation, other: Observation) -> bool:
        away_m = haversine_m(one.latitude_deg, one.longitude_deg, other.latitude_deg, other.longitude_deg)
        return one.device_id != other.device_id and float(away_m) <= self.rule.neighbour_m

    def _compared(
        self, quantity: str, hours: Mapping[int, Observation], near: Sequence[Mapping[int, Observation]]
    ) -> dict[int, _Hour]:
        """Return the hours in which enough neighbours tell their level too."""
        found, rule = {}, self.rule
        share = 0.0 if quantity in NO_SHARE else rule.share
        for hour, claim in hours.items():
            levels = [each[hour].value for each in near if hour in each]
            if len(levels) >= rule.neighbours:
                middle = median(levels)
                spread = MAD_TO_SD * median(abs(level - middle) for level in levels)
                limit = max(rule.spreads * spread, share * abs(middle), FLOORS.get(quantity, 0.0))
                difference = claim.value - middle
                along = sum((level - middle) * (1 if difference > 0 else -1) > limit for level in levels)
                found[hour] = _Hour(claim, difference, limit, along < rule.alone_share * len(levels))
        return found

    def _of_one(self, quantity: str, hours: Mapping[int, _Hour]) -> Iterator[Derived]:
        for hour, one in hours.items():
            if self._is_off(hour, hours):
                score = min(0.95, 0.5 + 0.15 * abs(one.difference) / one.limit)
                yield self._claim("sensor_drift", quantity, one, score)
            elif self._agrees(one) and self._was_off(hour, hours):
                yield self._claim("sensor_agrees", quantity, one, 0.9)

    def _agrees(self, one: _Hour) -> bool:
        return abs(one.difference) <= self.rule.agree_share * one.limit

    def _was_off(self, hour: int, hours: Mapping[int, _Hour]) -> bool:
        """Tell whether a sensor was off some hours before one, and has not agreed since."""
        for earlier in range(hour - 1, hour - 1 - self.rule.hours, -1):
            if self._is_off(earlier, hours):
                return True
            if earlier in hours and self._agrees(hours[earlier]):
                return False
        return False

    def _is_off(self, hour: int, hours: Mapping[int, _Hour]) -> bool:
        """Tell whether a sensor has been off for the hours up to one, always to the same side and alone."""
        last = [hours.get(hour - back) for back in range(self.rule.hours)]
        told = [each for each in last if each is not None and each.alone and abs(each.difference) > each.limit]
        sides = {each.difference > 0 for each in told}
        return len(told) == self.rule.hours and len(sides) == 1

    def _claim(self, kind: str, quantity: str, one: _Hour, score: float) -> Derived:
        return Derived(
            at_ms=one.claim.at_ms,
            kind=kind,
            score=score,
            rests_on=(one.claim,),
            value=one.difference,
            subject=quantity,
            device_id=one.claim.device_id,
            witness_id=one.claim.witness_id,
        )

    @property
    def _squares(self) -> GatherSquares:
        city = self.city
        plane = Plane((city.south_deg + city.north_deg) / 2, (city.west_deg + city.east_deg) / 2)
        return GatherSquares(plane, SQUARE_M, self.rule.neighbour_m * 1.05)
