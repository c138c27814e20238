"""Dispatch: at its ends a line sends a vehicle out each headway; at stops who is too close to the last one waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import Line
from processors.timetable import seconds_of

AT_END_SHARE: Final = 0.95
AT_STOP_SHARE: Final = 0.7
"""Of the headway: nobody leaves sooner after the vehicle before."""
AT_STOP_WAITS_MS: Final = 120_000.0
HURRIES_SHARE: Final = 1.15
"""Of the headway: who is so far behind the vehicle before stays at stops as shortly as possible."""
SHORTEST_STAY_MS: Final = 8_000.0
UNPLANNED_S: Final = 1_200.0
"""Headway at hours without a plan."""


@dataclass(frozen=True, slots=True)
class Service:
    """The vehicles of one line: rows first, first + 1 ..."""

    line: Line
    first: int
    count: int


class Dispatch:
    """When vehicles may leave stops; n vehicles, S stops of all paths.

    left_ms: float64 (S,), when the last vehicle left, or will have left, a stop. headway_ms: float64 (n,), planned now;
    kept_ms: float64 (n,), planned when each vehicle was sent out, which it keeps until its next end.
    """

    def __init__(self, services: Sequence[Service], stops: int, count: int) -> None:
        self.services = tuple(services)
        self.left_ms: FloatArray = np.full(stops, -np.inf)
        self.headway_ms: FloatArray = np.zeros(count)
        self.kept_ms: FloatArray = np.zeros(count)
        self._minute = -1

    def plan(self, local_hour: float) -> None:
        """Take the headways of a time of day."""
        minute = int(local_hour * 60)
        if minute == self._minute:
            return
        opens, self._minute = self._minute < 0, minute
        for one in self.services:
            self.headway_ms[one.first : one.first + one.count] = headway_s(one.line, local_hour) * 1000
        if opens:
            self.kept_ms[:] = self.headway_ms

    def leave_ms(
        self, rows: IntArray, stop: IntArray, tick_ms: int, ready_ms: FloatArray, ended: BoolArray
    ) -> FloatArray:
        """Return when n vehicles leave the stops that they reach now; ready_ms: all are on board; ended: at an end."""
        share = np.where(ended, AT_END_SHARE, AT_STOP_SHARE)
        self.kept_ms[rows[ended]] = self.headway_ms[rows[ended]]
        last_ms, headway_ms = self.left_ms[stop], self.kept_ms[rows]
        late = ~ended & (ready_ms - last_ms > HURRIES_SHARE * headway_ms) & np.isfinite(last_ms)
        ready_ms = np.where(late, tick_ms + SHORTEST_STAY_MS, ready_ms)
        waits_ms = last_ms + share * headway_ms - ready_ms
        return ready_ms + np.clip(waits_ms, 0.0, np.where(ended, np.inf, AT_STOP_WAITS_MS))

    def leaves(self, stop: IntArray, at_ms: FloatArray) -> None:
        """Note that vehicles leave stops."""
        np.maximum.at(self.left_ms, stop, at_ms)


def headway_s(line: Line, local_hour: float) -> float:
    """Return the planned headway of a line at a time of day."""
    planned_s = _planned_s(line, local_hour)
    return UNPLANNED_S if planned_s is None else planned_s


def is_planned(line: Line, local_hour: float) -> bool:
    """Tell whether a line has a headway at a time of day: where none is scheduled there is no gap."""
    return _planned_s(line, local_hour) is not None


def _planned_s(line: Line, local_hour: float) -> float | None:
    at_s = local_hour * 3600
    return next(
        (float(one.headway_s) for one in line.headway_s if seconds_of(one.from_time) <= at_s < seconds_of(one.to_time)),
        None,
    )
