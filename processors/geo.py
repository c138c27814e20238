"""Geometry on a local plane: distances, segments, and a grid that says which of them are near a point.

Every answer for a point depends on that point alone: no sums across points, no transcendental function per point
(numpy's vector and tail loops may differ in the last bit), so a batch can be cut anywhere.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import FloatArray, IntArray

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius (IUGG)."""


def haversine_m(
    latitude_deg: FloatArray | float,
    longitude_deg: FloatArray | float,
    to_latitude_deg: FloatArray | float,
    to_longitude_deg: FloatArray | float,
) -> FloatArray:
    """Great-circle distances in metres between points of any broadcastable shapes."""
    latitude, to_latitude = np.radians(latitude_deg), np.radians(to_latitude_deg)
    half_north = np.sin((to_latitude - latitude) / 2)
    half_east = np.sin((np.radians(to_longitude_deg) - np.radians(longitude_deg)) / 2)
    chord = half_north**2 + np.cos(latitude) * np.cos(to_latitude) * half_east**2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0))))


@dataclass(frozen=True, slots=True)
class Plane:
    """Equirectangular plane through a point: x east, y north, metres.

    Lengths are right to 0.4 % within 50 km north or south of that point at Hanoi's latitude.
    """

    latitude_deg: float
    longitude_deg: float

    def xy(self, latitude_deg: FloatArray | float, longitude_deg: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """Return x and y in metres, of the inputs' shape."""
        north_m = math.radians(1.0) * EARTH_RADIUS_M
        east_m = north_m * math.cos(math.radians(self.latitude_deg))
        x_m = (np.asarray(longitude_deg, np.float64) - self.longitude_deg) * east_m
        y_m = (np.asarray(latitude_deg, np.float64) - self.latitude_deg) * north_m
        return x_m, y_m

    def degrees(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Return latitude and longitude of a point of the plane."""
        north_m = math.radians(1.0) * EARTH_RADIUS_M
        east_m = north_m * math.cos(math.radians(self.latitude_deg))
        return self.latitude_deg + y_m / north_m, self.longitude_deg + x_m / east_m


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """m straight segments on the plane; one of length 0 is a point."""

    x_m: FloatArray
    y_m: FloatArray
    dx_m: FloatArray
    dy_m: FloatArray

    def project(self, items: IntArray, x_m: FloatArray, y_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project k points on k segments: distance in metres and the share of the segment (0 to 1) passed."""
        dx_m, dy_m = self.dx_m[items], self.dy_m[items]
        px_m, py_m = x_m - self.x_m[items], y_m - self.y_m[items]
        square = dx_m * dx_m + dy_m * dy_m
        share = np.clip((px_m * dx_m + py_m * dy_m) / np.where(square > 0.0, square, 1.0), 0.0, 1.0)
        ex_m, ey_m = px_m - share * dx_m, py_m - share * dy_m
        return np.sqrt(ex_m * ex_m + ey_m * ey_m), share


def points_as_segments(x_m: FloatArray, y_m: FloatArray) -> Segments:
    """Return m points as segments of length 0."""
    return Segments(x_m, y_m, np.zeros_like(x_m), np.zeros_like(y_m))


def spread(starts: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """List the items `starts[i]` to `starts[i] + counts[i] - 1` of every row i: (row of each, item of each)."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    rows = np.repeat(np.arange(len(counts)), counts)
    items = np.arange(total) - np.repeat(ends - counts - starts, counts)
    return rows, items


def first_minimum(rows: IntArray, values: FloatArray) -> IntArray:
    """Return, for every distinct row (rows ascending), the position of its first smallest value."""
    if not len(rows):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    counts = np.diff(np.append(starts, len(rows)))
    hits = np.flatnonzero(values == np.repeat(np.minimum.reduceat(values, starts), counts))
    return hits[np.concatenate(([True], rows[hits][1:] != rows[hits][:-1]))]


_KEY_STRIDE: Final = 1 << 31


@dataclass(frozen=True, slots=True, eq=False)
class ReachGrid:
    """For every square cell, the segments within reach of some point of it, ascending; a few more may be listed."""

    cell_m: float
    keys: IntArray
    starts: IntArray
    counts: IntArray
    items: IntArray

    def candidates(self, x_m: FloatArray, y_m: FloatArray) -> tuple[IntArray, IntArray]:
        """List for n points the segments that can be within reach: (row of each, segment of each)."""
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        keys = _cell_key(np.floor(x_m / self.cell_m), np.floor(y_m / self.cell_m))
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = self.keys[at] == keys
        rows, places = spread(self.starts[at], np.where(found, self.counts[at], 0))
        return rows, self.items[places]


def reach_grid(segments: Segments, reach_m: float, cell_m: float) -> ReachGrid:
    """Index m segments by the cells that come within `reach_m` of them."""
    keys: list[IntArray] = []
    for item in range(len(segments.x_m)):
        keys.append(_cells_near(segments, item, reach_m, cell_m))
    key = np.concatenate(keys) if keys else np.empty(0, np.int64)
    owner = np.repeat(np.arange(len(keys)), [len(cells) for cells in keys])
    order = np.argsort(key, kind="stable")
    distinct, starts, counts = np.unique(key[order], return_index=True, return_counts=True)
    return ReachGrid(cell_m, distinct, starts.astype(np.int64), counts.astype(np.int64), owner[order])


def _cells_near(segments: Segments, item: int, reach_m: float, cell_m: float) -> IntArray:
    """Return the keys of the cells near one segment: those around points a cell apart on it, then the near of them."""
    dx_m, dy_m = float(segments.dx_m[item]), float(segments.dy_m[item])
    share = np.linspace(0.0, 1.0, math.ceil(math.hypot(dx_m, dy_m) / cell_m) + 2)
    columns = np.floor((segments.x_m[item] + share * dx_m) / cell_m)
    lines = np.floor((segments.y_m[item] + share * dy_m) / cell_m)
    ring = math.ceil(reach_m / cell_m + 0.5)
    around = np.arange(-ring, ring + 1)
    grid_x = (columns[:, None, None] + around[None, :, None] + np.zeros((1, 1, len(around)))).ravel()
    grid_y = (lines[:, None, None] + around[None, None, :] + np.zeros((1, len(around), 1))).ravel()
    keys, first = np.unique(_cell_key(grid_x, grid_y), return_index=True)
    middle_x_m, middle_y_m = (grid_x[first] + 0.5) * cell_m, (grid_y[first] + 0.5) * cell_m
    distance_m, _ = segments.project(np.full(len(first), item), middle_x_m, middle_y_m)
    near: IntArray = keys[distance_m <= reach_m + cell_m * math.sqrt(0.5)]
    return near


def _cell_key(column: FloatArray, row: FloatArray) -> IntArray:
    return column.astype(np.int64) * _KEY_STRIDE + row.astype(np.int64)
