"""Areas: which one of them contains a point, by a power diagram or by polygons."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.geo import spread

_CHUNK: Final = 4_096
"""Points at a time, so that the table of points by areas stays in the cache."""


class Areas(Protocol):
    """u areas of the plane."""

    def containing(self, x_m: FloatArray, y_m: FloatArray) -> IntArray:
        """Return for n points the index of the area that contains each, -1 = none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PowerDiagram:
    """Areas known by centre and size: a point belongs to the one with the smallest power, distance² - weight.

    weight_m2: area / pi is the squared radius of a disc of the same area, so that large units reach further
    than small ones (a Laguerre diagram, Aurenhammer 1987). A point outside `outline`, where one is given, or
    further than `reach` such radii from the centre it falls to belongs to none.
    """

    x_m: FloatArray
    y_m: FloatArray
    weight_m2: FloatArray
    limit_m2: FloatArray
    outline: "Polygons | None"

    def containing(self, x_m: FloatArray, y_m: FloatArray) -> IntArray:
        """Return for n points the index of the area that contains each, -1 = none."""
        if not len(self.x_m):
            return np.full(len(x_m), -1)
        found = np.concatenate(
            [self._nearest(x_m[at : at + _CHUNK], y_m[at : at + _CHUNK]) for at in range(0, max(len(x_m), 1), _CHUNK)]
        )
        if self.outline is not None:
            found = np.where(self.outline.containing(x_m, y_m) < 0, -1, found)
        return found

    def _nearest(self, x_m: FloatArray, y_m: FloatArray) -> IntArray:
        square = (x_m[:, None] - self.x_m) ** 2 + (y_m[:, None] - self.y_m) ** 2
        nearest = np.argmin(square - self.weight_m2, axis=1)
        within = square[np.arange(len(x_m)), nearest] <= self.limit_m2[nearest]
        return np.where(within, nearest, -1)


def power_diagram(
    x_m: FloatArray, y_m: FloatArray, area_m2: FloatArray, reach: float, outline: "Polygons | None" = None
) -> PowerDiagram:
    """Build the diagram of u centres with their areas; `reach` in radii of a disc of the same area."""
    weight_m2 = area_m2 / math.pi
    return PowerDiagram(x_m, y_m, weight_m2, weight_m2 * reach**2, outline)


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """Areas known by their rings: exact by crossing parity, holes and parts included.

    Edges are listed per horizontal strip, so that a point meets only those at its own height.
    """

    areas: int
    strip_m: float
    first_strip: int
    starts: IntArray
    counts: IntArray
    area: IntArray
    x_m: FloatArray
    y_m: FloatArray
    to_y_m: FloatArray
    slope: FloatArray
    rings: tuple[tuple[int, FloatArray, FloatArray], ...]
    """As they were given: area index, x_m, y_m."""

    def containing(self, x_m: FloatArray, y_m: FloatArray) -> IntArray:
        """Return for n points the index of the first area that contains each, -1 = none."""
        parts = [self._inside(x_m[at : at + _CHUNK], y_m[at : at + _CHUNK]) for at in range(0, len(x_m), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _inside(self, x_m: FloatArray, y_m: FloatArray) -> IntArray:
        strip = np.floor(y_m / self.strip_m) - self.first_strip
        known = (strip >= 0) & (strip < len(self.starts))
        at = np.where(known, strip, 0).astype(np.int64)
        rows, edges = spread(self.starts[at], np.where(known, self.counts[at], 0))
        px_m, py_m = x_m[rows], y_m[rows]
        # Half-open in y, so that a vertex at the point's height counts once.
        crossed = (self.y_m[edges] <= py_m) != (self.to_y_m[edges] <= py_m)
        crossed &= px_m < self.x_m[edges] + (py_m - self.y_m[edges]) * self.slope[edges]
        cell = rows[crossed] * self.areas + self.area[edges[crossed]]
        odd: BoolArray = (np.bincount(cell, minlength=len(x_m) * self.areas) & 1).astype(np.bool_)
        table = odd.reshape(len(x_m), self.areas)
        return np.where(table.any(axis=1), table.argmax(axis=1), -1)


def polygons(rings: list[tuple[int, FloatArray, FloatArray]], strip_m: float = 25.0) -> Polygons:
    """Index rings (area index, x_m, y_m), closed or not; an area may have many, holes among them."""
    given = tuple(rings)
    area = np.concatenate([np.full(len(x_m), index) for index, x_m, _ in rings])
    x_m = np.concatenate([x_m for _, x_m, _ in rings])
    y_m = np.concatenate([y_m for _, _, y_m in rings])
    to_x_m = np.concatenate([np.roll(x_m, -1) for _, x_m, _ in rings])
    to_y_m = np.concatenate([np.roll(y_m, -1) for _, _, y_m in rings])
    level = y_m == to_y_m
    area, x_m, y_m, to_x_m, to_y_m = (values[~level] for values in (area, x_m, y_m, to_x_m, to_y_m))
    first = np.floor(np.minimum(y_m, to_y_m) / strip_m).astype(np.int64)
    last = np.floor(np.maximum(y_m, to_y_m) / strip_m).astype(np.int64)
    edge, strip = spread(first, last - first + 1)
    order = np.argsort(strip, kind="stable")
    base = int(first.min())
    counts = np.bincount(strip - base)
    listed = edge[order]
    slope = ((to_x_m - x_m) / (to_y_m - y_m))[listed]
    return Polygons(
        areas=int(area.max()) + 1,
        strip_m=strip_m,
        first_strip=base,
        starts=np.cumsum(counts) - counts,
        counts=counts,
        area=area[listed],
        x_m=x_m[listed],
        y_m=y_m[listed],
        to_y_m=to_y_m[listed],
        slope=slope,
        rings=given,
    )
