"""Map matching without memory: the nearest line, or the device's own, with offset and cross-track distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import Float32Array, FloatArray, IntArray, SmallArray
from processors.geo import Plane, Segments, first_minimum, reach_grid, spread
from processors.network import Line

ANY_LINE_REACH_M: Final = 60.0
"""TransitClock calls a bus off its route beyond this (docs/city-package.md#locating)."""

OWN_LINE_REACH_M: Final = 1_000.0

NOT_GIVEN: Final = -1
"""No line told, or one that the city does not know."""

UNKNOWN: Final = -1


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
        self._ways = {(int(line), int(way)) for line, way in zip(self._line, self._direction, strict=True)}
        self._grid = reach_grid(self._segments, ANY_LINE_REACH_M, 100.0)

    def match(self, x_m: FloatArray, y_m: FloatArray, line: IntArray, direction_id: SmallArray) -> Matched:
        """Match n points: those with a line (index) to it, the others to any; a told direction binds if there."""
        segment = np.full(len(x_m), -1)
        distance_m = np.full(len(x_m), np.nan)
        share = np.zeros(len(x_m))
        for wanted, reach_m, candidates in (
            (line < 0, ANY_LINE_REACH_M, self._near),
            (line >= 0, OWN_LINE_REACH_M, self._own),
        ):
            points = np.flatnonzero(wanted)
            rows, items = candidates(points, x_m, y_m, line, direction_id)
            away_m, passed = self._segments.project(items, x_m[rows], y_m[rows])
            best = first_minimum(rows, away_m)
            best = best[away_m[best] <= reach_m]
            segment[rows[best]], distance_m[rows[best]], share[rows[best]] = items[best], away_m[best], passed[best]
        return self._matched(segment, distance_m, share)

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

    def _near(
        self, points: IntArray, x_m: FloatArray, y_m: FloatArray, line: IntArray, direction_id: SmallArray
    ) -> tuple[IntArray, IntArray]:
        rows, items = self._grid.candidates(x_m[points], y_m[points])
        return points[rows], items

    def _own(
        self, points: IntArray, x_m: FloatArray, y_m: FloatArray, line: IntArray, direction_id: SmallArray
    ) -> tuple[IntArray, IntArray]:
        own = line[points]
        rows, items = spread(self._starts[own], self._counts[own])
        told = direction_id[points]
        binds = np.array([way in self._ways for way in zip(own.tolist(), told.tolist(), strict=True)], np.bool_)
        allowed = ~binds[rows] | (self._direction[items] == told[rows])
        return points[rows[allowed]], items[allowed]

    def _matched(self, segment: IntArray, distance_m: FloatArray, share: FloatArray) -> Matched:
        if not len(self._line):
            none = np.full(len(segment), np.nan, np.float32)
            return Matched(segment, np.full(len(segment), UNKNOWN, np.int8), none, none)
        found = segment >= 0
        offset_m = self._offset_m[segment] + share * self._length_m[segment]
        return Matched(
            line=np.where(found, self._line[segment], -1),
            direction_id=np.where(found, self._direction[segment], UNKNOWN).astype(np.int8),
            offset_m=np.where(found, offset_m, np.nan).astype(np.float32),
            distance_m=distance_m.astype(np.float32),
        )
