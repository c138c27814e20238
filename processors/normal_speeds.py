"""Normal speeds: the usual speed on every segment of every course at every hour, as the baselines of that day tell it.

A snapshot's table is laid out when it is first asked for, so that an answer is one look into an array.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from processors.baselines import DAY_TYPES, QUARTER_MS, SPEED_HOURS, Baselines
from processors.batches import Float32Array, FloatArray, IntArray
from processors.network import Line

SEGMENT_M: Final = 500.0
"""A course is cut into segments of that length for usual speeds; the last one is shorter."""

NORMAL_MPS: Final = tuple(9.0 if hour in {21, 22, 23, 0, 1, 2, 3, 4, 5} else 6.0 for hour in range(24))
"""The usual speed at each hour where no baseline says, lights and queues included (docs/thresholds.md#fleet)."""

SATURDAY: Final = 5
TABLES: Final = 3
"""Laid out at a time: records are of today, and late ones of yesterday."""
QUARTERS: Final = 1_000
"""Whose hours are remembered."""


class NormalSpeeds:
    """The usual speed by way (a line's index times 2 plus the direction), segment and time."""

    def __init__(self, lines: Sequence[Line], length_m: FloatArray, baselines: Baselines, time_zone: str) -> None:
        """length_m: of every way."""
        self._zone = ZoneInfo(time_zone)
        self._ways = {
            (line.line_id, pattern.direction_id): 2 * index + pattern.direction_id
            for index, line in enumerate(lines)
            for pattern in line.patterns
        }
        self._shape = max(2 * len(lines), 1), int(length_m.max(initial=0.0) / SEGMENT_M) + 1, SPEED_HOURS
        self.take(baselines)

    def take(self, baselines: Baselines) -> None:
        """Answer by other baselines from now on."""
        told = [float(np.nanmax(one.mps)) for one in baselines.normals if not np.isnan(one.mps).all()]
        self._baselines = baselines
        self.highest_mps = max([*NORMAL_MPS, *told])
        self._tables: dict[int, Float32Array] = {}
        self._places: dict[int, tuple[int, int]] = {}

    def mps(self, way: IntArray, segment: IntArray, at_ms: IntArray) -> FloatArray:
        """Return the usual speed on segments of n ways at those times."""
        segment = np.minimum(segment, self._shape[1] - 1)
        quarter = at_ms // QUARTER_MS
        low, high = int(quarter.min(initial=1 << 62)), int(quarter.max(initial=0))
        if low >= high:
            snapshot, hour = self._place(low) if low == high else (-1, 0)
            return np.asarray(self._table(snapshot)[way, segment, hour], np.float64)
        some, which = np.unique(quarter, return_inverse=True)
        snapshots, hours = np.array([self._place(one) for one in some.tolist()]).T
        found = np.empty(len(way))
        for snapshot in set(snapshots.tolist()):
            row = np.flatnonzero(snapshots.take(which) == snapshot)
            at = way.take(row), segment.take(row), hours.take(which.take(row))
            found[row] = self._table(snapshot)[at]
        return found

    def _place(self, quarter: int) -> tuple[int, int]:
        """Return the snapshot and the hour of its table for a quarter of an hour since 1970."""
        place = self._places.get(quarter)
        if place is None:
            if len(self._places) > QUARTERS:
                self._places.clear()
            local = datetime.fromtimestamp(quarter * QUARTER_MS // 1000, UTC).astimezone(self._zone)
            hour = local.hour + 24 * (local.weekday() >= SATURDAY)
            place = self._places[quarter] = self._baselines.number(quarter * QUARTER_MS), hour
        return place

    def _table(self, snapshot: int) -> Float32Array:
        """Return the table of a snapshot (ways, segments, 48), -1 = of none: what is unknown is one for all streets."""
        table = self._tables.get(snapshot)
        if table is None:
            if len(self._tables) >= TABLES:
                self._tables.pop(next(iter(self._tables)))
            table = self._tables[snapshot] = self._laid_out(snapshot)
        return table

    def _laid_out(self, snapshot: int) -> Float32Array:
        table = np.empty(self._shape, np.float32)
        table[:] = NORMAL_MPS * DAY_TYPES
        if snapshot < 0 or snapshot >= len(self._baselines.normals):
            return table
        normals = self._baselines.normals[snapshot]
        for (line_id, direction_id, segment), mps in zip(normals.segments, normals.mps, strict=True):
            way = self._ways.get((line_id, direction_id))
            if way is not None and segment < self._shape[1]:
                table[way, segment] = np.where(np.isnan(mps), table[way, segment], mps)
        return table
