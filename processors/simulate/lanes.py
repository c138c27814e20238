"""Lanes that belong to a line: street traffic on the same road drives beside them."""

from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City
from processors.geo import EARTH_RADIUS_M
from processors.simulate.paths import Paths

SQUARE_M: Final = 25.0
BIN_M: Final = 25.0
BESIDE_M: Final = 25.0
"""Street traffic keeps so far to the right of the middle of the road."""


class Lanes:
    """Where the street paths of a city run along exclusive lanes."""

    def __init__(self, city: City, paths: Paths) -> None:
        exclusive = {line.line_id for line in city.lines if line.exclusive_lane}
        lanes = [index for index in paths.patterns.tolist() if paths.line_id[index] in exclusive]
        end_m = float((paths.start_m + paths.length_m).max())
        self._beside: BoolArray = np.zeros(int(end_m / BIN_M) + 2, np.bool_)
        self._start_m = paths.start_m
        self.any = bool(lanes)
        if not lanes:
            return
        near = np.unique(np.concatenate([_squares(paths, lane, spread=True) for lane in lanes]))
        for street in paths.street.tolist():
            first = int(paths.start_m[street] / BIN_M)
            inside = np.isin(_squares(paths, street, spread=False), near)
            self._beside[first : first + len(inside)] |= inside

    def beside(self, path: IntArray, offset_m: FloatArray) -> BoolArray:
        """Tell which of n places on street paths are beside a lane."""
        return np.asarray(self._beside[((self._start_m[path] + offset_m) / BIN_M).astype(np.int64)])


def moved(
    latitude_deg: FloatArray, longitude_deg: FloatArray, north_m: FloatArray, east_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return places so many metres further north and east, on a flat Earth."""
    metre_deg = np.degrees(1 / EARTH_RADIUS_M)
    return latitude_deg + north_m * metre_deg, longitude_deg + east_m * metre_deg / np.cos(np.radians(latitude_deg))


def _squares(paths: Paths, path: int, *, spread: bool) -> IntArray:
    """Return the squares along a path; `spread`: those around them too."""
    offset_m = np.arange(0.0, paths.length_m[path], SQUARE_M if not spread else SQUARE_M / 2)
    latitude_deg, longitude_deg, _ = paths.place(np.full(len(offset_m), path), offset_m)
    metre_deg = np.degrees(SQUARE_M / EARTH_RADIUS_M)
    row = np.floor(latitude_deg / metre_deg).astype(np.int64)
    column = np.floor(longitude_deg / metre_deg * np.cos(np.radians(20.0))).astype(np.int64)
    around = (-1, 0, 1) if spread else (0,)
    return np.concatenate([(row + north) * 10_000_000 + column + east for north in around for east in around])
