"""Geometry on a local plane: distances, segments, groups.

Every answer for a point depends on that point alone: no sums across points, no transcendental function per point
(numpy's vector and tail loops may differ in the last bit), so a batch can be cut anywhere.
"""

import math
from dataclasses import dataclass, field
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
    square_m2: FloatArray = field(init=False)
    """of the length, 1 where that is 0"""
    are_points: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out what follows from the columns."""
        square_m2 = self.dx_m * self.dx_m + self.dy_m * self.dy_m
        object.__setattr__(self, "square_m2", np.where(square_m2 > 0.0, square_m2, 1.0))
        object.__setattr__(self, "are_points", not square_m2.any())

    def project(
        self, items: IntArray, x_m: FloatArray | float, y_m: FloatArray | float
    ) -> tuple[FloatArray, FloatArray]:
        """Project k points, or one, on k segments: distance in metres and the share of the segment (0 to 1) passed."""
        px_m, py_m = x_m - self.x_m.take(items), y_m - self.y_m.take(items)
        if self.are_points:
            share = np.zeros(len(px_m))
        else:
            dx_m, dy_m = self.dx_m.take(items), self.dy_m.take(items)
            share = px_m * dx_m
            share += py_m * dy_m
            share /= self.square_m2.take(items)
            np.minimum(np.maximum(share, 0.0, out=share), 1.0, out=share)
            dx_m *= share
            dy_m *= share
            px_m -= dx_m
            py_m -= dy_m
        px_m *= px_m
        py_m *= py_m
        px_m += py_m
        return np.sqrt(px_m, out=px_m), share


def points_as_segments(x_m: FloatArray, y_m: FloatArray) -> Segments:
    """Return m points as segments of length 0."""
    return Segments(x_m, y_m, np.zeros_like(x_m), np.zeros_like(y_m))


def spread(starts: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """List the items `starts[i]` to `starts[i] + counts[i] - 1` of every row i: (row of each, item of each)."""
    ends = np.cumsum(counts)
    rows = np.repeat(np.arange(len(counts)), counts)
    items = np.arange(len(rows))
    items += (starts - ends + counts).take(rows)
    return rows, items


def first_of_group(values: FloatArray, rows: IntArray, counts: IntArray) -> IntArray:
    """Return the position of the first smallest value of every group.

    rows: the group (0 to g - 1, rising) of each value; counts: how many values each group has, at least one.
    """
    starts = np.cumsum(counts)
    starts -= counts
    hits = np.flatnonzero(values == np.minimum.reduceat(values, starts).take(rows))
    if len(hits) > len(counts):
        owner = rows.take(hits)
        is_first = np.empty(len(hits), bool)
        is_first[0] = True
        np.not_equal(owner[1:], owner[:-1], out=is_first[1:])
        hits = hits[is_first]
    return hits
