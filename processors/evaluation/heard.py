"""Which microphones heard a bang: those whose claims tell when its sound came by."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from processors.city import City
from processors.gatherings.location import LocationRule
from processors.geo import haversine_m
from processors.simulate.weather import sound_mps
from schemas.records import Observation, ObservationBlock, Truth

SOUND: Final = "impact_sound"
LATE_MS: Final = 1000 * LocationRule().late_s
"""What is later or earlier is an echo, another bang or a clock that is off (docs/thresholds.md#gatherings)."""
LONGEST_MS: Final = 6_000
"""What takes longer has come 2 km: nothing is heard so far."""


class Sounds:
    """The sounds that microphones claimed, by the second."""

    def __init__(self, city: City) -> None:
        self._zone = ZoneInfo(city.time_zone)
        self._claims: dict[int, list[Observation]] = {}

    def take(self, blocks: Iterable[ObservationBlock]) -> None:
        """Keep the sounds among observations."""
        for block in blocks:
            for one in block.observations:
                if one.kind == SOUND:
                    self._claims.setdefault(one.at_ms // 1000, []).append(one)

    def heard_by(self, bang: Truth) -> int:
        """Return how many independent microphones claimed a sound when that of the bang came by.

        Who noticed nothing, took an echo for it or has a wrong clock did not hear it.
        """
        local = datetime.fromtimestamp(bang.at_ms / 1000, self._zone)
        speed_mps = sound_mps(local.hour + local.minute / 60 + local.second / 3600)
        seconds = range(bang.at_ms // 1000, (bang.at_ms + LONGEST_MS) // 1000 + 1)
        claims = [one for second in seconds for one in self._claims.get(second, ())]
        return len({one.witness_id for one in claims if abs(_late_ms(one, bang, speed_mps)) <= LATE_MS})


def _late_ms(claim: Observation, bang: Truth, speed_mps: float) -> float:
    """Return how much later than the sound of a bang came by something is claimed."""
    away_m = haversine_m(bang.latitude_deg, bang.longitude_deg, claim.latitude_deg, claim.longitude_deg)
    return claim.at_ms - bang.at_ms - 1000 * float(away_m) / speed_mps
