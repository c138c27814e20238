"""What scenes make the vehicles of the fleet do: columns of n vehicles, most of them at rest."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray

REVERSE_MPS: Final = 7.0
RAMP_MS: Final = 40_000
"""A detour leaves the course, and comes back to it, within so much time."""


@dataclass(frozen=True, slots=True)
class Detour:
    """A vehicle drives a street beside its course: displaced by metres north and east."""

    row: int
    from_ms: int
    until_ms: int
    north_m: float
    east_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Jam:
    """Vehicles crawl from from_m to to_m of every path, float64 (P,); an empty stretch where it is not."""

    from_m: FloatArray
    to_m: FloatArray
    crawl_mps: float
    until_ms: int


class Orders:
    """The orders to n vehicles; every `..._ms` is until when one holds."""

    def __init__(self, count: int, start_ms: int) -> None:
        self.pace_mps: FloatArray = np.ones(count)
        self.pace_ms: IntArray = np.full(count, start_ms, np.int64)
        self.reverse_ms: IntArray = np.full(count, start_ms, np.int64)
        self.doors_ms: IntArray = np.full(count, start_ms, np.int64)
        self.sos_ms: IntArray = np.full(count, start_ms, np.int64)
        self.loose_ms: IntArray = np.full(count, start_ms, np.int64)
        """not held back when close behind the vehicle before"""
        self.busy_ms: IntArray = np.full(count, start_ms, np.int64)
        """in a scene"""
        self.detours: list[Detour] = []
        self.jams: list[Jam] = []
        self._last_ms = start_ms

    def occupy(self, row: int, until_ms: int) -> None:
        """Keep a vehicle for one scene; while any is kept, the fleet looks at the orders."""
        self.busy_ms[row] = max(int(self.busy_ms[row]), until_ms)
        self._last_ms = max(self._last_ms, until_ms)

    def block(self, jam: Jam) -> None:
        """Let vehicles crawl."""
        self.jams.append(jam)
        self._last_ms = max(self._last_ms, jam.until_ms)

    def any(self, tick_ms: int) -> bool:
        """Tell whether any order can hold."""
        return tick_ms <= self._last_ms

    def steered(self, wanted_mps: FloatArray, path: IntArray, offset_m: FloatArray, tick_ms: int) -> FloatArray:
        """Return the speeds (n,) that drivers want as the orders have it."""
        wanted_mps = np.where(self.pace_ms > tick_ms, self.pace_mps, wanted_mps)
        self.jams = [jam for jam in self.jams if jam.until_ms > tick_ms]
        for jam in self.jams:
            inside = (offset_m >= jam.from_m[path]) & (offset_m < jam.to_m[path])
            wanted_mps = np.where(inside, np.minimum(wanted_mps, jam.crawl_mps), wanted_mps)
        return wanted_mps

    def reversing(self, tick_ms: int) -> BoolArray:
        """Tell which vehicles drive against their direction."""
        return self.reverse_ms > tick_ms

    def displaced(self, rows: IntArray, at_ms: IntArray) -> FloatArray:
        """Return by how many metres north and east of their course vehicles are at n times, float64 (2, n)."""
        moved = np.zeros((2, len(rows)))
        if not self.detours or not len(rows):
            return moved
        self.detours = [detour for detour in self.detours if detour.until_ms + 60_000 > at_ms.min()]
        for detour in self.detours:
            own = rows == detour.row
            ramp = np.minimum(at_ms - detour.from_ms, detour.until_ms - at_ms) / RAMP_MS
            share = np.where(own, np.clip(ramp, 0.0, 1.0), 0.0)
            moved += np.outer((detour.north_m, detour.east_m), share)
        return moved
