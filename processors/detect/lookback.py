"""Looking back: what some records of a track say together with the few records of the same vehicle before them.

No detector looks further back than five records, two minutes from each to the next: what is claimed of a record is a
function of those alone, however late any of them came.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, FloatArray, IntArray
from processors.geo import EARTH_RADIUS_M
from processors.tracks import Track

BACK: Final = 5
"""Records before one that are looked at, at most."""

RUN_GAP_MS: Final = 120_000
"""A longer silence ends whatever lasts. Devices in Viet Nam forward within 2 minutes (docs/thresholds.md#fleet)."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookback:
    """n records of a track and what came before each; [k] is k records earlier, [0] the record itself."""

    row: IntArray
    """(n,)"""
    there: BoolArray
    """(back + 1, n): whether there is such a record, without a silence from it to the record itself"""
    marks: npt.NDArray[np.uint16]
    """(back + 1, n), 0 where there is none"""

    def marked(self, mark: int) -> "Lookback":
        """Return those at which what has that mark may begin or end: it has it, or one of the two before it."""
        return self.take(((self.marks[0] | self.marks[1] | self.marks[2]) & mark).nonzero()[0])

    def take(self, some: npt.NDArray[Any]) -> "Lookback":
        """Return those of the n records (indices or a mask)."""
        return Lookback(self.row[some], self.there[:, some], self.marks[:, some])


def look_back(track: Track, row: IntArray, back: int = BACK, gap_ms: int = RUN_GAP_MS) -> Lookback:
    """Return what came before n records of a track."""
    there = np.ones((back + 1, len(row)), bool)
    marks = np.zeros((back + 1, len(row)), np.uint16)
    marks[0] = track.columns["marks"][row]
    for step in range(1, back + 1):
        earlier = np.maximum(row - step, 0)
        there[step] = there[step - 1] & follows(track, row, step)
        there[step] &= track.at_ms[np.maximum(row - step + 1, 0)] - track.at_ms[earlier] <= gap_ms
        marks[step] = np.where(there[step], track.columns["marks"][earlier], 0)
    return Lookback(row, there, marks)


def follows(track: Track, row: IntArray, back: int) -> BoolArray:
    """Tell which rows have at least `back` rows of the same vehicle before them."""
    return np.asarray((row >= back) & (track.slot[np.maximum(row - back, 0)] == track.slot[row]))


def distance_m(track: Track, row: IntArray, other: IntArray) -> FloatArray:
    """Return flat-Earth distances in metres of near points, by arithmetic that no batch boundary can change."""
    latitude_e7, longitude_e7 = track.columns["latitude_e7"], track.columns["longitude_e7"]
    north = np.radians((latitude_e7[row] - latitude_e7[other]) * 1e-7)
    east = np.radians((longitude_e7[row] - longitude_e7[other]) * 1e-7)
    east *= _cosine(np.radians(latitude_e7[other] * 1e-7))
    return np.asarray(EARTH_RADIUS_M * np.sqrt(north * north + east * east))


def _cosine(angle: FloatArray) -> FloatArray:
    """Return the cosine of -pi/2 to pi/2 within 1e-6 by its series: numpy's own may differ by a bit along an array."""
    square = angle * angle
    series = 1.0 - square / 90.0
    for divisor in (56.0, 30.0, 12.0, 2.0):
        series = 1.0 - square / divisor * series
    return series
