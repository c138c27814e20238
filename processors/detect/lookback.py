"""Looking back: what some records of a track say together with the few records of the same vehicle before them.

No detector looks further back than five records, two minutes from each to the next: what is claimed of a record is a
function of those alone, however late any of them came.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, FloatArray, IntArray
from processors.geo import EARTH_RADIUS_M
from processors.marks import MarkArray
from processors.tracks import Track

BACK: Final = 5
"""Records before one that are looked at, at most."""

RUN_GAP_MS: Final = 120_000
"""A longer silence ends whatever lasts. Devices in Viet Nam forward within 2 minutes (docs/thresholds.md#fleet)."""

_METRES: Final = math.radians(1e-7) * EARTH_RADIUS_M
_STEP_E7: Final = 100_000
_QUARTER: Final = 9_000
_COSINE: Final = np.array([math.cos(math.radians((step + 0.5) / 100)) for step in range(-_QUARTER, _QUARTER + 1)])
"""Of each hundredth of a degree of latitude from pole to pole: right to 2 m in 10 km up to 60 degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookback:
    """n records of a track and what came before each; [k] is k records earlier, [0] the record itself."""

    row: IntArray
    """(n,)"""
    there: BoolArray
    """(back + 1, n): whether there is such a record, without a silence from it to the record itself"""
    marks: MarkArray
    """(back + 1, n), 0 where there is none"""

    @property
    def recent(self) -> MarkArray:
        """Return the marks (n,) that each or one of the two before it has: of what may begin or end at it."""
        return np.asarray(self.marks[0] | self.marks[1] | self.marks[2])

    def take(self, some: npt.NDArray[Any]) -> "Lookback":
        """Return those of the n records (indices or a mask)."""
        return Lookback(self.row[some], self.there[:, some], self.marks[:, some])


def look_back(track: Track, row: IntArray, back: int = BACK, gap_ms: int = RUN_GAP_MS) -> Lookback:
    """Return what came before n records of a track."""
    steps = np.arange(back + 1)[:, None]
    earlier = np.maximum(row - steps, 0)
    at_ms = track.at_ms[earlier]
    there = (row >= steps) & (track.slot[earlier] == track.slot[row])
    there[1:] &= at_ms[:-1] - at_ms[1:] <= gap_ms
    there = np.logical_and.accumulate(there, axis=0)
    return Lookback(row, there, track.columns["marks"][earlier] * there)


def follows(track: Track, row: IntArray, back: int) -> BoolArray:
    """Tell which rows have at least `back` rows of the same vehicle before them."""
    return np.asarray((row >= back) & (track.slot[np.maximum(row - back, 0)] == track.slot[row]))


def distance_m(track: Track, row: IntArray, other: IntArray) -> FloatArray:
    """Return flat-Earth distances in metres of near points, by arithmetic that no batch boundary can change."""
    latitude_e7, longitude_e7 = track.columns["latitude_e7"], track.columns["longitude_e7"]
    origin_e7 = latitude_e7[other]
    north_m = (latitude_e7[row] - origin_e7) * _METRES
    east_m = (longitude_e7[row] - longitude_e7[other]) * _METRES * _COSINE.take(origin_e7 // _STEP_E7 + _QUARTER)
    return np.asarray(np.sqrt(north_m * north_m + east_m * east_m))
