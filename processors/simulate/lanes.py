"""Lanes that belong to a line: street traffic on the same road drives beside them."""

from typing import Final

import numpy as np

from processors.batches import FloatArray, IntArray
from processors.city import City
from processors.geo import EARTH_RADIUS_M
from processors.simulate.paths import Paths

SQUARE_M: Final = 25.0
BIN_M: Final = 25.0
BESIDE_M: Final = 25.0
"""Street traffic keeps so far to the right of the middle of the road."""


class Lanes:
    """How far to the right of their paths vehicles on streets drive where these run along exclusive lanes."""

    def __init__(self, city: City, paths: Paths) -> None:
        exclusive = {line.line_id for line in city.lines if line.exclusive_lane}
        lanes = [index for index in paths.patterns.tolist() if paths.line_id[index] in exclusive]
        end_m = float((paths.start_m + paths.length_m).max())
        self._aside_m: FloatArray = np.zeros(int(end_m / BIN_M) + 2)
        self._start_m = paths.start_m
        self.any = bool(lanes)
        if not lanes:
            return
        near = np.unique(np.concatenate([_squares(paths, lane, spread=True) for lane in lanes]))
        shrink = float(np.cos(np.radians((city.south_deg + city.north_deg) / 2)))
        lane_at = np.concatenate([_places(paths, lane, SQUARE_M / 2, shrink) for lane in lanes], axis=1)
        for street in paths.street.tolist():
            beside = np.flatnonzero(np.isin(_squares(paths, street, spread=False), near))
            first = int(paths.start_m[street] / BIN_M)
            self._aside_m[first + beside] = _aside_m(_places(paths, street, BIN_M, shrink)[:, beside], lane_at)

    def aside_m(self, path: IntArray, offset_m: FloatArray) -> FloatArray:
        """Return how far to the right of n places on street paths one drives, 0 where no lane is."""
        return np.asarray(self._aside_m[((self._start_m[path] + offset_m) / BIN_M).astype(np.int64)])


def _places(paths: Paths, path: int, every_m: float, shrink: float) -> FloatArray:
    """Return metres north and east, and the bearing in radians, along a path, float64 (3, n).

    shrink: the cosine of the city's latitude.
    """
    offset_m = np.arange(0.0, paths.length_m[path], every_m)
    latitude_deg, longitude_deg, bearing_deg = paths.place(np.full(len(offset_m), path), offset_m)
    metre_deg = np.degrees(1 / EARTH_RADIUS_M)
    east_m = longitude_deg / metre_deg * shrink
    return np.array([latitude_deg / metre_deg, east_m, np.radians(bearing_deg)])


def _aside_m(here: FloatArray, lane: FloatArray) -> FloatArray:
    """Return how far to the right of n places (3, n) it is BESIDE_M to the right of the lane's nearest point."""
    found = np.zeros(here.shape[1])
    for place in range(here.shape[1]):
        north_m, east_m = lane[0] - here[0, place], lane[1] - here[1, place]
        nearest = int(np.argmin(north_m**2 + east_m**2))
        right = here[2, place] + np.pi / 2
        found[place] = north_m[nearest] * np.cos(right) + east_m[nearest] * np.sin(right) + BESIDE_M
    return found


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
