"""Map matching without memory: the nearest line, or the device's own, with offset and cross-track distance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from processors.batches import Float32Array, FloatArray, IntArray, SmallArray
from processors.geo import Plane, Segments, first_of_group
from processors.network import Line
from processors.squares import Nearest, NearSegments, Squares, nearest_of, within

ANY_LINE_REACH_M: Final = 60.0
"""TransitClock calls a bus off its route beyond this (docs/city-package.md#locating)."""

OWN_LINE_REACH_M: Final = 1_000.0

NOT_GIVEN: Final = -1
"""No line told, or one that the city does not know."""

UNKNOWN: Final = -1

WAYS: Final = 2
"""Directions that a line can have: 0 and 1."""

_STRAYED_AT_ONCE: Final = 256
"""Points far from their line are compared with all of it, so in small groups."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Columns of n; line is an index, -1 = none; direction -1, offset and distance NaN where there is none."""

    line: IntArray
    direction_id: SmallArray
    offset_m: Float32Array
    distance_m: Float32Array


class LineMatcher:
    """The segments of all lines, by line and direction and by place."""

    def __init__(self, lines: Sequence[Line], plane: Plane, squares: Squares) -> None:
        """Index the lines; ties between lines go to the first of them, then to the lower direction."""
        parts: list[tuple[FloatArray, ...]] = []
        way_of: list[int] = []
        for index, line in enumerate(lines):
            for pattern in sorted(line.patterns, key=lambda pattern: pattern.direction_id):
                x_m, y_m = plane.xy(pattern.latitude_deg, pattern.longitude_deg)
                parts.append((x_m[:-1], y_m[:-1], np.diff(x_m), np.diff(y_m), pattern.offset_m[:-1]))
                parts[-1] += (np.diff(pattern.offset_m),)
                way_of += [index * WAYS + pattern.direction_id] * (len(x_m) - 1)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 6
        self._segments = Segments(columns[0], columns[1], columns[2], columns[3])
        self._offset_m, self._length_m = columns[4], columns[5]
        self._way = np.array(way_of, np.int64)
        """Line index times WAYS plus direction, rising."""
        self._ways = len(lines) * WAYS
        counts = np.bincount(self._way, minlength=self._ways)
        self._ends = np.cumsum(counts)
        self._has_way = counts > 0
        self._near = NearSegments(self._segments, ANY_LINE_REACH_M, squares)
        self._listed_way = self._near.block * self._ways + self._way[self._near.items]

    def match(
        self, x_m: FloatArray, y_m: FloatArray, places: tuple[IntArray, IntArray], line: IntArray, told: SmallArray
    ) -> Matched:
        """Match n points in their squares and parts: those with a line (index) to it, the others to any.

        A told direction binds if the line has it.
        """
        matched = _nothing(len(x_m))
        if len(self._way):
            square, part = places
            block = self._near.blocks(square)
            row = np.flatnonzero((block >= 0) & (line < 0))
            self._enter(matched, self._near.nearest(row, block[row], part[row], x_m[row], y_m[row]))
            row = np.flatnonzero(line >= 0)
            if len(row):
                self._match_own(matched, row, block[row], x_m[row], y_m[row], *self._bound(line[row], told[row]))
        return matched

    def near(self, x_m: FloatArray, y_m: FloatArray, within_m: float) -> list[tuple[int, int, float, float]]:
        """List for one point (arrays of 1) the nearest place of each way within: line, direction, distance, offset."""
        away_m, passed = self._segments.project(np.arange(len(self._way)), x_m, y_m)
        close = np.flatnonzero(away_m <= within_m)
        if not len(close):
            return []
        _, rows, counts = np.unique(self._way[close], return_inverse=True, return_counts=True)
        best = close[first_of_group(away_m[close], rows, counts)]
        return [
            (
                int(self._way[item]) // WAYS,
                int(self._way[item]) % WAYS,
                float(away_m[item]),
                float(self._offset_m[item] + passed[item] * self._length_m[item]),
            )
            for item in best
        ]

    def _bound(self, line: IntArray, direction_id: SmallArray) -> tuple[IntArray, IntArray]:
        """Return the first and the last way that n points of a line may be on."""
        first = line * WAYS
        way = first + (direction_id == 1)
        binds = (direction_id >= 0) & (direction_id < WAYS) & self._has_way.take(way)
        return np.where(binds, way, first), np.where(binds, way, first + WAYS - 1)

    def _match_own(
        self,
        matched: Matched,
        row: IntArray,
        block: IntArray,
        x_m: FloatArray,
        y_m: FloatArray,
        first: IntArray,
        last: IntArray,
    ) -> None:
        """Match k points, in their blocks, to the ways `first` to `last`; row (k,): where they are in `matched`."""
        base = block * self._ways
        start = np.searchsorted(self._listed_way, base + first)
        count = np.searchsorted(self._listed_way, base + last, side="right") - start
        count[block < 0] = 0
        some = np.flatnonzero(count)
        found = nearest_of(self._segments, self._near.items, start[some], count[some], x_m[some], y_m[some])
        found = within(found, some, ANY_LINE_REACH_M)
        strayed = np.ones(len(row), bool)
        strayed[found.row] = False
        self._enter(matched, replace(found, row=row[found.row]))
        # What is nearest within 60 m is nearest of all, so only the others meet every segment of their line.
        every = np.arange(len(self._way))
        left = np.flatnonzero(strayed)
        for at in range(0, len(left), _STRAYED_AT_ONCE):
            some = left[at : at + _STRAYED_AT_ONCE]
            start = np.where(first[some] > 0, self._ends[first[some] - 1], 0)
            count = self._ends[last[some]] - start
            some, start, count = some[count > 0], start[count > 0], count[count > 0]
            found = nearest_of(self._segments, every, start, count, x_m[some], y_m[some])
            self._enter(matched, within(found, row[some], OWN_LINE_REACH_M))

    def _enter(self, matched: Matched, found: Nearest) -> None:
        row, segment = found.row, found.segment
        way = self._way.take(segment)
        matched.line[row] = way >> 1
        matched.direction_id[row] = way & 1
        matched.offset_m[row] = self._offset_m.take(segment) + found.share * self._length_m.take(segment)
        matched.distance_m[row] = found.distance_m


def _nothing(points: int) -> Matched:
    return Matched(
        line=np.full(points, -1),
        direction_id=np.full(points, UNKNOWN, np.int8),
        offset_m=np.full(points, np.nan, np.float32),
        distance_m=np.full(points, np.nan, np.float32),
    )
