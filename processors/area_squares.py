"""Areas over squares: most squares lie in one area, in the others only the few areas that meet there are compared."""

import math
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from processors.areas import Areas, Polygons, PowerDiagram
from processors.batches import FloatArray, IntArray
from processors.geo import first_of_group, spread
from processors.squares import SLACK_M, Squares

NONE: Final = -1
UNSURE: Final = -2
"""Code of a square of which every point is put to the areas themselves."""

_FIRST_LIST: Final = -3
"""Codes from here down name a list of areas that meet in the square."""

_COARSEST: Final = 32
"""The largest squares of the search for what fills them are this many squares wide."""

_FINEST: Final = 2
"""And the smallest this many: where areas meet they are compared anyway."""

CodeArray = npt.NDArray[np.int32]


class AreaIndex(Protocol):
    """Areas, ready to be asked about points whose squares are known."""

    def containing(self, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> IntArray:
        """Return for n points the index of the area that contains each, -1 = none: just what the areas say."""
        ...


def index_areas(areas: Areas, squares: Squares) -> AreaIndex:
    """Index areas of either sort."""
    if isinstance(areas, PowerDiagram):
        return PowerIndex(areas, squares)
    assert isinstance(areas, Polygons)
    return PolygonIndex(areas, squares)


class PolygonIndex:
    """Polygons by squares of half the side: only in those that an edge passes are points put to the polygons."""

    def __init__(self, areas: Polygons, squares: Squares) -> None:
        """Index the polygons."""
        half_m = squares.square_m / 2
        self._areas = areas
        self._fine = Squares(squares.west_m, squares.south_m, half_m, 2 * squares.columns, 2 * squares.rows)
        self._codes = _narrow(_filled(areas, self._fine))

    def containing(self, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> IntArray:
        """Return for n points the index of the area that contains each, -1 = none."""
        found: IntArray = self._codes.take(self._fine.places(x_m, y_m)[0]).astype(np.int64)
        row = np.flatnonzero(found == UNSURE)
        if len(row):
            found[row] = self._areas.containing(x_m[row], y_m[row])
        return found


class PowerIndex:
    """A power diagram by squares: what fills each, or the list of those whose power can be the smallest in it."""

    def __init__(self, areas: PowerDiagram, squares: Squares) -> None:
        """Index the diagram, from large squares to small ones."""
        self._areas = areas
        self._starts = self._counts = np.empty(0, np.int64)
        self._listed = np.empty(0, np.int64)
        codes = np.full(squares.beyond + 1, NONE, np.int32)
        if len(areas.x_m):
            codes[:-1] = self._search(squares).ravel()
            if areas.outline is not None:
                outline = _filled(areas.outline, squares)
                codes[outline == NONE] = NONE
                codes[outline == UNSURE] = UNSURE
            codes[-1] = UNSURE
        self._codes = _narrow(codes)

    def containing(self, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> IntArray:
        """Return for n points the index of the area that contains each, -1 = none."""
        found: IntArray = self._codes.take(square).astype(np.int64)
        open_ = np.flatnonzero(found < NONE)
        if len(open_):
            code = found[open_]
            row = open_[code == UNSURE]
            if len(row):
                found[row] = self._areas.containing(x_m[row], y_m[row])
            row = open_[code != UNSURE]
            if len(row):
                found[row] = self._compared(x_m[row], y_m[row], _FIRST_LIST - found[row])
        return found

    def _compared(self, x_m: FloatArray, y_m: FloatArray, listed: IntArray) -> IntArray:
        """Return the area of k points by the lists of their squares; the arithmetic is that of the diagram."""
        count = self._counts.take(listed)
        rows, places = spread(self._starts.take(listed), count)
        area = self._listed.take(places)
        square_m2, power_m2 = _powers(self._areas, area, x_m.take(rows), y_m.take(rows))
        best = first_of_group(power_m2, rows, count)
        nearest = area.take(best)
        return np.where(square_m2.take(best) <= self._areas.limit_m2.take(nearest), nearest, NONE)

    def _search(self, squares: Squares) -> CodeArray:
        """Return the codes (rows, columns): squares that one area fills are done, others are cut in four."""
        coarsest = _COARSEST
        high, wide = (-(-side // coarsest) for side in (squares.rows, squares.columns))
        codes = np.full((high * coarsest, wide * coarsest), UNSURE, np.int32)
        row, column = (side.ravel() for side in np.divmod(np.arange(high * wide), wide))
        owner, area = spread(np.zeros(high * wide, np.int64), np.full(high * wide, len(self._areas.x_m)))
        step = coarsest
        while True:
            owner, area, code = self._candidates(squares, row, column, step, owner, area)
            done = code > UNSURE
            blocks = codes.reshape(codes.shape[0] // step, step, codes.shape[1] // step, step)
            blocks[row[done], :, column[done], :] = code[done, None, None]
            left = np.flatnonzero(~done)
            counts = np.bincount(owner, minlength=len(row))[left]
            starts = np.searchsorted(owner, left)
            if step == _FINEST:
                break
            step //= 2
            row = (2 * row[left, None] + (0, 0, 1, 1)).ravel()
            column = (2 * column[left, None] + (0, 1, 0, 1)).ravel()
            owner, places = spread(np.repeat(starts, 4), np.repeat(counts, 4))
            area = area[places]
        self._starts, self._counts = np.cumsum(counts) - counts, counts
        self._listed = area[spread(starts, counts)[1]]
        blocks[row[left], :, column[left], :] = (_FIRST_LIST - np.arange(len(left)))[:, None, None]
        return codes[: squares.rows, : squares.columns]

    def _candidates(
        self, squares: Squares, row: IntArray, column: IntArray, step: int, owner: IntArray, area: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Keep of the pairs (owner: index of a square of `step` squares, area) those that can be the smallest in it.

        Return them and the code of each square, UNSURE where it is not yet known.
        """
        areas, side_m = self._areas, step * squares.square_m
        x_m = np.asarray(squares.west_m + (column + 0.5) * side_m, np.float64)
        y_m = np.asarray(squares.south_m + (row + 0.5) * side_m, np.float64)
        square_m2, power_m2 = _powers(areas, area, x_m[owner], y_m[owner])
        best = first_of_group(power_m2, owner, np.bincount(owner, minlength=len(row)))
        first = area[best]
        # The difference of two powers is linear, so over a square it changes by at most this around the middle's.
        apart_m = np.abs(areas.x_m[area] - areas.x_m[first][owner]) + np.abs(areas.y_m[area] - areas.y_m[first][owner])
        kept = power_m2 - power_m2[best][owner] <= apart_m * (side_m + SLACK_M)
        alone = np.bincount(owner[kept], minlength=len(row)) == 1
        half_m = side_m * math.sqrt(0.5) + SLACK_M
        away_m, reach_m = np.sqrt(square_m2[best]), np.sqrt(areas.limit_m2[first])
        code = np.where(away_m + half_m <= reach_m, first, np.where(away_m - half_m > reach_m, NONE, UNSURE))
        return owner[kept], area[kept], np.where(alone, code, UNSURE)


def _powers(areas: PowerDiagram, area: IntArray, x_m: FloatArray, y_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the squared distances of k points from the centres of k areas, and their powers."""
    x_m = x_m - areas.x_m.take(area)
    y_m = y_m - areas.y_m.take(area)
    square_m2 = x_m**2 + y_m**2
    return square_m2, square_m2 - areas.weight_m2.take(area)


def _filled(areas: Polygons, squares: Squares) -> CodeArray:
    """Return the code of every square and of what is beyond: the first area over its middle, UNSURE at an edge.

    A line of middles enters and leaves an area by turns (even-odd rule), so the crossings are sorted and paired.
    """
    codes = np.full(squares.beyond + 1, NONE, np.int32)
    owner = np.concatenate([np.full(len(x_m), area) for area, x_m, _ in areas.rings])
    x_m, y_m = (np.concatenate([ring[side] for ring in areas.rings]) for side in (1, 2))
    to_x_m, to_y_m = (np.concatenate([np.roll(ring[side], -1) for ring in areas.rings]) for side in (1, 2))
    low = np.ceil((np.minimum(y_m, to_y_m) - squares.south_m) / squares.square_m - 0.5)
    high = np.ceil((np.maximum(y_m, to_y_m) - squares.south_m) / squares.square_m - 0.5)
    low, high = (np.clip(side, 0, squares.rows).astype(np.int64) for side in (low, high))
    edge, row = spread(low, high - low)
    middle_y_m = squares.south_m + (row + 0.5) * squares.square_m
    share = (middle_y_m - y_m[edge]) / (to_y_m - y_m)[edge]
    crossing_m = x_m[edge] + share * (to_x_m - x_m)[edge]
    column = np.clip(np.ceil((crossing_m - squares.west_m) / squares.square_m - 0.5), 0, squares.columns)
    order = np.lexsort((column, row, -owner[edge]))
    start, end = (row * squares.columns + column.astype(np.int64))[order].reshape(-1, 2).T
    interval, square = spread(start, end - start)
    codes[square] = owner[edge][order][::2][interval]  # the first area comes last
    _mark_edges(codes, squares, (x_m, y_m), (to_x_m, to_y_m))
    codes[-1] = UNSURE
    return codes


def _mark_edges(
    codes: CodeArray, squares: Squares, start: tuple[FloatArray, FloatArray], end: tuple[FloatArray, FloatArray]
) -> None:
    """Mark every square that an edge may pass: those around pieces no longer than a square."""
    dx_m, dy_m = end[0] - start[0], end[1] - start[1]
    pieces = np.ceil(np.hypot(dx_m, dy_m) / squares.square_m).astype(np.int64)
    edge, step = spread(np.zeros(len(pieces), np.int64), pieces)
    ends = [
        (
            start[0][edge] + (step + more) / pieces[edge] * dx_m[edge] - squares.west_m,
            start[1][edge] + (step + more) / pieces[edge] * dy_m[edge] - squares.south_m,
        )
        for more in (0, 1)
    ]
    for x_m in (np.minimum(ends[0][0], ends[1][0]) - SLACK_M, np.maximum(ends[0][0], ends[1][0]) + SLACK_M):
        for y_m in (np.minimum(ends[0][1], ends[1][1]) - SLACK_M, np.maximum(ends[0][1], ends[1][1]) + SLACK_M):
            column, row = np.floor(x_m / squares.square_m), np.floor(y_m / squares.square_m)
            known = (column >= 0) & (column < squares.columns) & (row >= 0) & (row < squares.rows)
            codes[(row[known] * squares.columns + column[known]).astype(np.int64)] = UNSURE


def _narrow(codes: CodeArray) -> npt.NDArray[np.integer]:
    return codes.astype(np.min_scalar_type(min(int(codes.min(initial=0)), -int(codes.max(initial=0)) - 1)))
