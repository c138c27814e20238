"""The positions that every variant reads: a fleet that reports every ten seconds, from a seed.

Speeds are whole eighths of a metre a second and coordinates have six decimals, so that every variant can add and
compare exactly, whatever the order and whether they come as decimal text or as floats.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.ids import shard_of

SEED: Final = 20_261_122
START_MS: Final = 1_795_385_530_000
"""Ten seconds before the second half of a minute: a minute ends early in every log."""
REPORT_MS: Final = 10_000
LINES: Final = 130

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Positions:
    """n positions in the order of the log; vehicle and line are indices into the ids."""

    at_ms: IntArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    speed_mps: FloatArray
    bearing_deg: FloatArray
    vehicle: IntArray
    line: IntArray
    vehicle_ids: tuple[str, ...]
    line_ids: tuple[str, ...]

    def __len__(self) -> int:
        """Return n."""
        return len(self.at_ms)

    @cached_property
    def shard(self) -> IntArray:
        """The virtual shard (n,) of each position's vehicle."""
        of_vehicle = np.array([shard_of(vehicle_id) for vehicle_id in self.vehicle_ids], dtype=np.int64)
        return of_vehicle[self.vehicle]

    def first(self, count: int) -> "Positions":
        """Return the first `count` positions of the same fleet."""
        return replace(
            self,
            at_ms=self.at_ms[:count],
            latitude_deg=self.latitude_deg[:count],
            longitude_deg=self.longitude_deg[:count],
            speed_mps=self.speed_mps[:count],
            bearing_deg=self.bearing_deg[:count],
            vehicle=self.vehicle[:count],
            line=self.line[:count],
        )


def positions(count: int, vehicles: int, lines: int = LINES, seed: int = SEED) -> Positions:
    """Return `count` positions: the vehicles report one after the other, each every ten seconds."""
    chance = np.random.default_rng(seed)
    row = np.arange(count)
    turn = chance.permutation(vehicles)
    vehicle = turn[row % vehicles]
    line_of = chance.integers(0, lines, vehicles)
    home = np.stack([chance.uniform(20.95, 21.08, vehicles), chance.uniform(105.75, 105.90, vehicles)])
    place = home[:, vehicle] + chance.normal(0.0, 0.002, (2, count))
    return Positions(
        at_ms=START_MS + row * REPORT_MS // vehicles,
        latitude_deg=place[0].round(6),
        longitude_deg=place[1].round(6),
        speed_mps=chance.integers(0, 160, count) / 8.0,
        bearing_deg=chance.integers(0, 360, count).astype(np.float64),
        vehicle=vehicle,
        line=line_of[vehicle],
        vehicle_ids=tuple(f"HN-{number:06d}" for number in range(vehicles)),
        line_ids=tuple(f"L{number:03d}" for number in range(lines)),
    )
