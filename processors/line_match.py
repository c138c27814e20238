"""Map matching without memory: the nearest line, or the device's own, with offset and cross-track distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, Float32Array, FloatArray, IntArray, SmallArray
from processors.geo import Plane, Segments, first_minimum, reach_grid, spread
from processors.network import Line

ANY_LINE_REACH_M: Final = 60.0
"""TransitClock calls a bus off its route beyond this (docs/city-package.md#locating)."""

OWN_LINE_REACH_M: Final = 1_000.0

NOT_GIVEN: Final = -1
"""No line told, or one that the city does not know."""

UNKNOWN: Final = -1

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

    def __init__(self, lines: Sequence[Line], plane: Plane) -> None:
        """Index the lines; ties between lines go to the first of them, then to the lower direction."""
        parts: list[tuple[FloatArray, ...]] = []
        line_of, direction_of, sizes = [], [], [0] * len(lines)
        for index, line in enumerate(lines):
            for pattern in sorted(line.patterns, key=lambda pattern: pattern.direction_id):
                x_m, y_m = plane.xy(pattern.latitude_deg, pattern.longitude_deg)
                parts.append((x_m[:-1], y_m[:-1], np.diff(x_m), np.diff(y_m), pattern.offset_m[:-1]))
                parts[-1] += (np.diff(pattern.offset_m),)
                line_of += [index] * (len(x_m) - 1)
                direction_of += [pattern.direction_id] * (len(x_m) - 1)
                sizes[index] += len(x_m) - 1
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 6
        self._segments = Segments(columns[0], columns[1], columns[2], columns[3])
        self._offset_m, self._length_m = columns[4], columns[5]
        self._line = np.array(line_of, np.int64)
        self._direction = np.array(direction_of, np.int8)
        self._counts = np.array(sizes, np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._has_way = np.zeros((len(lines) + 1, 2), np.bool_)  # the last row serves points without a line
        self._has_way[self._line, self._direction] = True
        self._grid = reach_grid(self._segments, ANY_LINE_REACH_M, 100.0)

    def match(self, x_m: FloatArray, y_m: FloatArray, line: IntArray, direction_id: SmallArray) -> Matched:
        """Match n points: those with a line (index) to it, the others to any; a told direction binds if there."""
        best = _Best(len(x_m))
        rows, items = self._grid.candidates(x_m, y_m)
        fits = (line[rows] < 0) | self._is_own(line[rows], direction_id[rows], items)
        self._improve(best, rows[fits], items[fits], x_m, y_m, ANY_LINE_REACH_M)
        # What is nearest within 60 m is nearest of all, so only the others meet every segment of their line.
        strayed = np.flatnonzero((line >= 0) & (best.segment < 0))
        for at in range(0, len(strayed), _STRAYED_AT_ONCE):
            points = strayed[at : at + _STRAYED_AT_ONCE]
            rows, items = spread(self._starts[line[points]], self._counts[line[points]])
            rows = points[rows]
            fits = self._is_own(line[rows], direction_id[rows], items)
            self._improve(best, rows[fits], items[fits], x_m, y_m, OWN_LINE_REACH_M)
        return self._matched(best)

    def near(self, x_m: FloatArray, y_m: FloatArray, within_m: float) -> list[tuple[int, int, float, float]]:
        """List for one point (arrays of 1) the nearest place of each way within: line, direction, distance, offset."""
        items = np.arange(len(self._line))
        away_m, passed = self._segments.project(items, x_m, y_m)
        close = np.flatnonzero(away_m <= within_m)
        way = self._line[close] * 256 + self._direction[close]
        best = close[first_minimum(way, away_m[close])]
        return [
            (
                int(self._line[item]),
                int(self._direction[item]),
                float(away_m[item]),
                float(self._offset_m[item] + passed[item] * self._length_m[item]),
            )
            for item in best
        ]

    def _is_own(self, line: IntArray, direction_id: SmallArray, items: IntArray) -> BoolArray:
        way = np.where((direction_id == 0) | (direction_id == 1), direction_id, 0)
        binds = self._has_way[line, way] & (way == direction_id)
        fits: BoolArray = (self._line[items] == line) & (~binds | (self._direction[items] == direction_id))
        return fits

    def _improve(
        self, best: "_Best", rows: IntArray, items: IntArray, x_m: FloatArray, y_m: FloatArray, reach_m: float
    ) -> None:
        away_m, passed = self._segments.project(items, x_m[rows], y_m[rows])
        first = first_minimum(rows, away_m)
        first = first[away_m[first] <= reach_m]
        at = rows[first]
        best.segment[at], best.distance_m[at], best.share[at] = items[first], away_m[first], passed[first]

    def _matched(self, best: "_Best") -> Matched:
        segment = best.segment
        if not len(self._line):
            none = np.full(len(segment), np.nan, np.float32)
            return Matched(segment, np.full(len(segment), UNKNOWN, np.int8), none, none)
        found = segment >= 0
        offset_m = self._offset_m[segment] + best.share * self._length_m[segment]
        return Matched(
            line=np.where(found, self._line[segment], -1),
            direction_id=np.where(found, self._direction[segment], UNKNOWN).astype(np.int8),
            offset_m=np.where(found, offset_m, np.nan).astype(np.float32),
            distance_m=best.distance_m.astype(np.float32),
        )


class _Best:
    """The best segment found so far for each of n points."""

    def __init__(self, points: int) -> None:
        self.segment: IntArray = np.full(points, -1)
        self.distance_m: FloatArray = np.full(points, np.nan)
        self.share: FloatArray = np.zeros(points)
