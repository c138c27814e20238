"""What lies near single points, asked one at a time: the lines, stops and landmarks around an incident.

The ground is cut into squares. What can be near any point of a square is looked up once, so that a question measures a
few segments and not those of the whole city.
"""

import math
from typing import Final

import numpy as np

from processors.batches import FloatArray, IntArray
from processors.geo import Segments
from processors.squares import SLACK_M

SIDE_M: Final = 200.0
MOST_KEPT: Final = 10_000
"""Squares; about 300 bytes each."""


class Nearby:
    """Segments, ready to be asked which are near a point."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._kept: dict[tuple[float, int, int], IntArray] = {}

    def within(self, x_m: float, y_m: float, reach_m: float) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return the segments within reach, ascending: number, distance in metres and share passed of each."""
        square = reach_m, math.floor(x_m / SIDE_M), math.floor(y_m / SIDE_M)
        listed = self._kept.get(square)
        if listed is None:
            listed = self._look(square)
        if not len(listed):
            return listed, np.empty(0), np.empty(0)
        distance_m, share = self._segments.project(listed, x_m, y_m)
        near = (distance_m <= reach_m).nonzero()[0]
        return listed.take(near), distance_m.take(near), share.take(near)

    def _look(self, square: tuple[float, int, int]) -> IntArray:
        """List what can be within reach of a point of a square: no point is farther from its middle than a corner."""
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        reach_m, column, row = square
        every = np.arange(len(self._segments.x_m))
        distance_m, _ = self._segments.project(every, (column + 0.5) * SIDE_M, (row + 0.5) * SIDE_M)
        listed = np.flatnonzero(distance_m <= reach_m + SIDE_M * math.sqrt(0.5) + SLACK_M)
        self._kept[square] = listed
        return listed
