"""A rectangle of the plane cut into squares, and what is near the points of each.

A square is cut into 4 x 4 parts. Tables over the squares and parts only narrow down what has to be measured: everything
that can be the answer is listed, so that the answer for a point is the same with any squares.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import FloatArray, IntArray
from processors.geo import Plane, Segments, first_of_group, spread
from processors.network import Bounds

SQUARE_M: Final = 100.0
MOST_SQUARES: Final = 2_000_000
"""A larger rectangle has larger squares."""

PARTS: Final = 4
PARTS_SQUARE: Final = PARTS * PARTS
SLACK_M: Final = 1.0
"""More than any rounding: a table must not leave out what is nearest by a hair."""

ItemArray = npt.NDArray[np.signedinteger[Any]]
"""Numbers of segments; tables of them are int32: there are a million in a city, and points ask for a few."""

_HALF_DIAGONAL: Final = math.sqrt(0.5)
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Squares:
    """columns x rows squares from a south-western corner, numbered row by row; number `beyond` is all the rest."""

    west_m: float
    south_m: float
    square_m: float
    columns: int
    rows: int

    @property
    def beyond(self) -> int:
        """The number of what lies outside."""
        return self.columns * self.rows

    def places(self, x_m: FloatArray, y_m: FloatArray) -> tuple[IntArray, IntArray]:
        """Return the square (n,) and the part of it (n,), 0 to 15, in which n points lie."""
        scale = PARTS / self.square_m
        east, north = (x_m - self.west_m) * scale, (y_m - self.south_m) * scale
        inside = (east >= 0.0) & (east < self.columns * PARTS) & (north >= 0.0) & (north < self.rows * PARTS)
        within = bool(inside.all())
        if not within:
            east, north = np.where(inside, east, 0.0), np.where(inside, north, 0.0)
        column, row = east.astype(np.int64), north.astype(np.int64)
        square = (row >> 2) * self.columns + (column >> 2)
        part = ((row & 3) << 2) + (column & 3)
        return (square, part) if within else (np.where(inside, square, self.beyond), np.where(inside, part, 0))

    def middles(self, square: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return x and y of the middles of squares."""
        row, column = np.divmod(square, self.columns)
        return self.west_m + (column + 0.5) * self.square_m, self.south_m + (row + 0.5) * self.square_m


def squares_of(bounds: Bounds, plane: Plane) -> Squares:
    """Cut the bounds into squares."""
    (west_m, east_m), (south_m, north_m) = plane.xy(
        np.array([bounds.south_deg, bounds.north_deg]), np.array([bounds.west_deg, bounds.east_deg])
    )
    wide_m, high_m = float(east_m - west_m), float(north_m - south_m)
    square_m = max(SQUARE_M, math.sqrt(wide_m * high_m / MOST_SQUARES))
    columns, rows = (max(math.ceil(side / square_m), 1) for side in (wide_m, high_m))
    return Squares(float(west_m), float(south_m), square_m, columns, rows)


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """The nearest segment of each of n points: row of the point, number, distance in metres, share passed; rows rise.

    Points without one are not among them.
    """

    row: IntArray
    segment: IntArray
    distance_m: FloatArray
    share: FloatArray


class NearSegments:
    """Which of m segments can be within reach of the points of each square, and nearest to those of each part."""

    def __init__(self, segments: Segments, reach_m: float, squares: Squares) -> None:
        """Index the segments."""
        self._segments, self._reach_m = segments, reach_m
        square, items = _pairs(segments, reach_m, squares)
        distinct, starts = np.unique(square, return_index=True)
        table = np.zeros(squares.beyond + 1, np.min_scalar_type(len(distinct)))
        table[distinct] = np.arange(1, len(distinct) + 1)
        self._blocks = table
        self.block = np.repeat(np.arange(len(distinct), dtype=np.int32), np.diff(np.append(starts, len(square))))
        """Of each of the `items`: the number of its square among those that list any."""
        in_parts = self._list_parts(square, items, starts, squares)
        self.listed = np.concatenate([in_parts, items]).astype(np.int32)
        """Segments by part of a square, and behind them, from `whole` on, the `items` by square."""
        self.whole = len(in_parts)

    @property
    def items(self) -> ItemArray:
        """The segments of each square."""
        return self.listed[self.whole :]

    def blocks(self, square: IntArray) -> IntArray:
        """Return the blocks of n squares, -1 = nothing is near."""
        blocks: IntArray = self._blocks.take(square).astype(np.int64)
        blocks -= 1
        return blocks

    def nearest(self, row: IntArray, block: IntArray, part: IntArray, x_m: FloatArray, y_m: FloatArray) -> Nearest:
        """Return the nearest segment within reach of k points; block >= 0, row names the points in the answer."""
        start, count = self.in_parts(block, part)
        some = count.nonzero()[0]
        start, count = start.take(some), count.take(some)
        found = nearest_of(self._segments, self.listed, start, count, x_m.take(some), y_m.take(some))
        return within(found, row.take(some), self._reach_m)

    def in_parts(self, block: IntArray, part: IntArray) -> tuple[IntArray, IntArray]:
        """Return where the lists (n,) of parts of blocks start in `listed`, and how long they are."""
        at = part * self._squares + block
        return self._starts.take(at).astype(np.int64), self._counts.take(at).astype(np.int64)

    def _list_parts(self, square: IntArray, every: IntArray, starts: IntArray, squares: Squares) -> IntArray:
        """Return for every part which of every item can be nearest to a point of it, ascending."""
        self._squares = len(starts)
        counts = np.zeros((PARTS_SQUARE, len(starts)), np.int64)
        items: list[IntArray] = []
        if len(starts):
            part_m = squares.square_m / PARTS
            half_m = part_m * _HALF_DIAGONAL + SLACK_M
            middle_x_m, middle_y_m = squares.middles(square)
            for part in range(PARTS_SQUARE):
                row, column = divmod(part, PARTS)
                x_m = middle_x_m + (column - (PARTS - 1) / 2) * part_m
                y_m = middle_y_m + (row - (PARTS - 1) / 2) * part_m
                away_m, _ = self._segments.project(every, x_m, y_m)
                least_m = np.minimum(np.minimum.reduceat(away_m, starts) + half_m, self._reach_m)
                listed = away_m <= least_m[self.block] + half_m
                listed |= square == squares.beyond
                items.append(every[listed])
                counts[part] = np.bincount(self.block[listed], minlength=len(starts))
        self._counts = counts.ravel().astype(np.int32)
        self._starts = (np.cumsum(self._counts) - self._counts).astype(np.int32)
        return np.concatenate(items) if items else np.empty(0, np.int64)


def nearest_of(
    segments: Segments, items: ItemArray, start: IntArray, count: IntArray, x_m: FloatArray, y_m: FloatArray
) -> Nearest:
    """Return for k points the first nearest of `count` > 0 segments each, listed in `items` from `start`."""
    if not len(start):
        none = np.empty(0)
        return Nearest(np.empty(0, np.int64), np.empty(0, np.int64), none, none)
    rows, listed = spread(start, count)
    segment = items.take(listed).astype(np.int64)
    away_m, share = segments.project(segment, x_m.take(rows), y_m.take(rows))
    best = first_of_group(away_m, rows, count)
    return Nearest(np.arange(len(start)), segment.take(best), away_m.take(best), share.take(best))


def within(found: Nearest, row: IntArray, reach_m: float) -> Nearest:
    """Return those within reach; row (k,): the name of each point."""
    near = (found.distance_m <= reach_m).nonzero()[0]
    return Nearest(row.take(near), found.segment.take(near), found.distance_m.take(near), found.share.take(near))


def _pairs(segments: Segments, reach_m: float, squares: Squares) -> tuple[IntArray, IntArray]:
    """List (square, segment) where the one comes within reach of the other, both ascending."""
    count = len(segments.x_m)
    items = np.arange(count)
    found = [_keys(segments, items[at : at + _AT_ONCE], reach_m, squares, count) for at in range(0, count, _AT_ONCE)]
    key = np.sort(np.concatenate(found)) if found else items
    key = key[np.diff(key, prepend=-1) > 0]
    square, near = np.divmod(key, max(count, 1))
    return square, near


def _keys(segments: Segments, items: IntArray, reach_m: float, squares: Squares, count: int) -> IntArray:
    """Return square * count + segment for some segments; what leaves the rectangle is beyond it too."""
    side_m = squares.square_m
    apart_m = 2 * side_m
    length_m = np.hypot(segments.dx_m[items], segments.dy_m[items])
    owner, step = spread(np.zeros(len(items), np.int64), np.ceil(length_m / apart_m).astype(np.int64) + 1)
    item = items[owner]
    share = step * np.divide(apart_m, length_m, out=np.zeros_like(length_m), where=length_m > 0.0)[owner]
    np.minimum(share, 1.0, out=share)
    column = np.floor((segments.x_m[item] + share * segments.dx_m[item] - squares.west_m) / side_m).astype(np.int64)
    row = np.floor((segments.y_m[item] + share * segments.dy_m[item] - squares.south_m) / side_m).astype(np.int64)
    # A point within reach is within reach and a square of one of those places.
    ring = math.ceil((reach_m + SLACK_M) / side_m + 1.0)
    around = np.arange(-ring, ring + 1)
    columns = (column[:, None] + np.tile(around, len(around))).ravel()
    rows = (row[:, None] + np.repeat(around, len(around))).ravel()
    item = np.repeat(item, len(around) ** 2)
    x_m = np.asarray(squares.west_m + (columns + 0.5) * side_m, np.float64)
    y_m = np.asarray(squares.south_m + (rows + 0.5) * side_m, np.float64)
    away_m, _ = segments.project(item, x_m, y_m)
    close = away_m <= reach_m + SLACK_M + side_m * _HALF_DIAGONAL
    columns, rows, item = columns[close], rows[close], item[close]
    inside = (columns >= 0) & (columns < squares.columns) & (rows >= 0) & (rows < squares.rows)
    return np.where(inside, rows * squares.columns + columns, squares.beyond) * count + item
