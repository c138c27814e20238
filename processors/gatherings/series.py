"""Explosions and gunshots: located bangs, and what speaks for fireworks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.squares import GatherSquares
from processors.geo import Plane, haversine_m
from schemas.records import Observation

SERIES_M: Final = 250.0
SERIES_MS: Final = 300_000
SERIES_BANGS: Final = 6
SQUARE_M: Final = 1_000.0

FESTIVE_CALENDARS: Final = ("tet", "fireworks")
FESTIVE_ZONE: Final = "festival"
FIREWORKS: Final = "fireworks_located"
FIREWORKS_SHARE: Final = 0.3
"""What is left of the score of a bang that is one of a series on a festive day or in a festival area."""


@dataclass(frozen=True, slots=True)
class Explosions:
    """Passes located bangs on as `made_kind`, those of fireworks with a low score as fireworks_located.

    Fireworks are a series of bangs from one place over minutes, on days of Tết or of public fireworks, or in a
    festival area. The first bangs of a series are revised when it has become one.
    """

    city: City
    heard_kind: str = "bang_located"
    made_kind: str = "explosion_located"

    @property
    def name(self) -> str:
        """Return the kind that it makes."""
        return self.made_kind

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kind of located bangs."""
        return frozenset((self.heard_kind,))

    @property
    def reach_ms(self) -> int:
        """Return how far a series looks back."""
        return SERIES_MS

    def subjects(self, claim: Observation) -> list[str]:
        """Return the squares that see a bang."""
        return self._squares.seeing(claim.latitude_deg, claim.longitude_deg)

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield every bang in the square."""
        for one in claims:
            if self._squares.holding(one.latitude_deg, one.longitude_deg) == subject:
                fireworks = self._is_festive(one) and _bangs_around(one, claims) >= SERIES_BANGS
                yield Derived(
                    at_ms=one.at_ms,
                    kind=FIREWORKS if fireworks else self.made_kind,
                    score=one.score * (FIREWORKS_SHARE if fireworks else 1.0),
                    rests_on=(one,),
                    value=one.value,
                    subject=self.heard_kind,
                    witness_id=one.witness_id,
                )

    def _is_festive(self, one: Observation) -> bool:
        day = datetime.fromtimestamp(one.at_ms / 1000, ZoneInfo(self.city.time_zone)).date()
        calendars = [self.city.calendars.get(name) for name in FESTIVE_CALENDARS]
        if any(calendar is not None and calendar.has(day) for calendar in calendars):
            return True
        return any(zone.kind == FESTIVE_ZONE for zone in self.city.zones_at(one.latitude_deg, one.longitude_deg))

    @property
    def _squares(self) -> GatherSquares:
        city = self.city
        plane = Plane((city.south_deg + city.north_deg) / 2, (city.west_deg + city.east_deg) / 2)
        return GatherSquares(plane, SQUARE_M, SERIES_M * 1.05)


def _bangs_around(one: Observation, claims: Sequence[Observation]) -> int:
    """Return how many bangs of its place and time there were, itself included."""
    return sum(
        abs(other.at_ms - one.at_ms) <= SERIES_MS
        and float(haversine_m(one.latitude_deg, one.longitude_deg, other.latitude_deg, other.longitude_deg)) <= SERIES_M
        for other in claims
    )
