"""Map matching without memory: the nearest line, or the device's own, with offset and cross-track distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import Float32Array, FloatArray, IntArray, SmallArray
from processors.geo import Plane, Segments
from processors.nearby import Nearby
from processors.network import Line
from processors.squares import ItemArray, Nearest, NearSegments, Squares, nearest_of, within

ANY_LINE_REACH_M: Final = 60.0
"""TransitClock calls a bus off its route beyond this (docs/city-package.md#locating)."""

OWN_LINE_REACH_M: Final = 1_000.0

NOT_GIVEN: Final = -1
"""No line told, or one that the city does not know."""

UNKNOWN: Final = -1

EITHER: Final = 2
"""Next to the directions 0 and 1: whichever is nearer."""

_BITS: Final = 64

_STRAYED_AT_ONCE: Final = 256
"""Points far from their line are compared with all of it, so in small groups."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Columns of n; line is an index, -1 = none; direction -1, offset and distance NaN where there is none.

    segment: among those of all lines, in the order of line and direction; -1 = none.
    """

    line: IntArray
    segment: IntArray
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
                way_of += [2 * index + pattern.direction_id] * (len(x_m) - 1)
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 6
        self._segments = Segments(columns[0], columns[1], columns[2], columns[3])
        self._offset_m, self._length_m = columns[4], columns[5]
        self._way = np.array(way_of, np.int64)
        """Line index times 2 plus direction, rising."""
        counts = np.bincount(self._way, minlength=2 * len(lines)).reshape(-1, 2)
        self._has_way = (counts > 0).ravel()
        self._course = _either(np.cumsum(counts).reshape(-1, 2) - counts, counts)
        near = NearSegments(self._segments, ANY_LINE_REACH_M, squares)
        self._near, self._own = near, OwnLines(near.block, self._way[near.items], len(lines))
        self._nearby = Nearby(self._segments)

    def match(
        self, x_m: FloatArray, y_m: FloatArray, places: tuple[IntArray, IntArray], line: IntArray, told: SmallArray
    ) -> Matched:
        """Match n points in their squares and parts: those with a line (index) to it, the others to any.

        A told direction binds if the line has it.
        """
        matched = _nothing(len(x_m))
        if not len(self._way):
            return matched
        square, part = places
        block = self._near.blocks(square)
        own = (line >= 0).nonzero()[0]
        choice = self._choice(line.take(own), told.take(own))
        listed = block.take(own)
        near = (listed >= 0).nonzero()[0]
        row = ((block >= 0) & (line < 0)).nonzero()[0]
        start, count = self._near.in_parts(block.take(row), part.take(row))
        own_start, own_count = self._own.find(listed.take(near), choice.take(near))
        row = np.concatenate([row, own.take(near)])
        start = np.concatenate([start, own_start + self._near.whole])
        count = np.concatenate([count, own_count])
        self._enter(matched, self._nearest(self._near.listed, row, start, count, x_m, y_m, ANY_LINE_REACH_M))
        # What is nearest within 60 m is nearest of all, so only the others meet every segment of their line.
        strayed = (matched.line.take(own) < 0).nonzero()[0]
        every = np.arange(len(self._way)) if len(strayed) else own
        for at in range(0, len(strayed), _STRAYED_AT_ONCE):
            some = strayed[at : at + _STRAYED_AT_ONCE]
            start, count = (side.take(choice[some]) for side in self._course)
            self._enter(matched, self._nearest(every, own[some], start, count, x_m, y_m, OWN_LINE_REACH_M))
        return matched

    def near(self, x_m: float, y_m: float, within_m: float) -> list[tuple[int, int, float, float]]:
        """List for one point the nearest place of each way within: line, direction, distance, offset."""
        items, away_m, passed = self._nearby.within(x_m, y_m, within_m)
        offset_m = self._offset_m.take(items) + passed * self._length_m.take(items)
        best: dict[int, tuple[float, float]] = {}
        ways = self._way.take(items).tolist()
        for way, *found in zip(ways, away_m.tolist(), offset_m.tolist(), strict=True):
            if way not in best or found[0] < best[way][0]:
                best[way] = found[0], found[1]
        return [(way >> 1, way & 1, away, offset) for way, (away, offset) in best.items()]

    def _choice(self, line: IntArray, told: SmallArray) -> IntArray:
        """Return where n points with a line may be: line times 3 plus the direction that binds, or 2 = either."""
        way = 2 * line + (told == 1)
        binds = ((told == 0) | (told == 1)) & self._has_way.take(way)
        return 3 * line + np.where(binds, told, EITHER)

    def _nearest(
        self, items: ItemArray, row: IntArray, start: IntArray, count: IntArray, x_m: FloatArray, y_m: FloatArray,
        reach_m: float,
    ) -> Nearest:  # fmt: skip
        some = count.nonzero()[0]
        row = row.take(some)
        found = nearest_of(self._segments, items, start.take(some), count.take(some), x_m.take(row), y_m.take(row))
        return within(found, row, reach_m)

    def _enter(self, matched: Matched, found: Nearest) -> None:
        row, segment = found.row, found.segment
        way = self._way.take(segment)
        matched.line[row] = way >> 1
        matched.segment[row] = segment
        matched.direction_id[row] = way & 1
        matched.offset_m[row] = self._offset_m.take(segment) + found.share * self._length_m.take(segment)
        matched.distance_m[row] = found.distance_m


class OwnLines:
    """Which of the segments listed for a block are on a line: for 0 and 1 in that direction, for EITHER in both.

    Of a block the lists that are there are set bits; how many bits are set before one tells which list it is.
    """

    def __init__(self, block: ItemArray, way: IntArray, lines: int) -> None:
        """Index k listed segments by block (k,), rising, and by way within it: line times 2 plus direction."""
        self._words = -(-3 * lines // _BITS)
        block = block.astype(np.int64)
        keys, starts, counts = [], [], []
        for size, key in ((1, block * 2 * lines + way), (2, block * lines + way // 2)):
            distinct, start, count = np.unique(key, return_index=True, return_counts=True)
            at, which = np.divmod(distinct, max(2 * lines // size, 1))
            choice = 3 * (which // 2) + which % 2 if size == 1 else 3 * which + EITHER
            keys.append(at * self._words * _BITS + choice)
            starts.append(start)
            counts.append(count)
        order = np.argsort(np.concatenate(keys))
        key = np.concatenate(keys)[order]
        self._starts, self._counts = (np.concatenate(one)[order].astype(np.int32) for one in (starts, counts))
        blocks = int(block[-1]) + 1 if len(block) else 0
        self._bits = np.zeros(blocks * self._words, np.uint64)
        np.bitwise_or.at(self._bits, key // _BITS, np.uint64(1) << (key % _BITS).astype(np.uint64))
        set_bits = np.bitwise_count(self._bits).astype(np.int64)
        self._before = (np.cumsum(set_bits) - set_bits).astype(np.int32)

    def find(self, block: IntArray, choice: IntArray) -> tuple[IntArray, IntArray]:
        """Return where the lists (n,) start among the listed segments, and how long they are."""
        word = block * self._words + choice // _BITS
        bits = self._bits.take(word)
        bit = np.uint64(1) << (choice % _BITS).astype(np.uint64)
        which = self._before.take(word) + np.bitwise_count(bits & (bit - np.uint64(1)))
        there = (bits & bit) != 0
        which *= there
        return self._starts.take(which).astype(np.int64), self._counts.take(which) * there.astype(np.int64)


def _either(starts: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Return starts and counts (3 * lines,) of each direction and of both from those of each (lines, 2)."""
    return np.column_stack([starts, starts[:, 0]]).ravel(), np.column_stack([counts, counts.sum(axis=1)]).ravel()


def _nothing(points: int) -> Matched:
    return Matched(
        line=np.full(points, -1),
        segment=np.full(points, -1),
        direction_id=np.full(points, UNKNOWN, np.int8),
        offset_m=np.full(points, np.nan, np.float32),
        distance_m=np.full(points, np.nan, np.float32),
    )
