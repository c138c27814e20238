"""The ways vehicles take: every pattern of every line, and the same roads without stops, both ways, for street traffic.

All paths lie one behind the other on one long axis, with gaps, so that one interpolation places any number of vehicles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import FloatArray, IntArray
from processors.city import City, Line, Pattern
from processors.geo import haversine_m
from schemas.errors import UsageError

GAP_M: Final = 1000.0
TURN_WITHIN_M: Final = 1000.0
"""A vehicle turns round into a pattern that starts this near to where its own ended; else it drives back."""
STOP_MARGIN_M: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Way:
    line_id: str
    mode: str
    direction_id: int
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    offset_m: FloatArray
    stop_m: FloatArray
    road: tuple[str, int]

    def back(self) -> "_Way":
        """The same way in the other direction, without stops."""
        far_m = float(self.offset_m[-1])
        return _Way(
            self.line_id, self.mode, -1, self.latitude_deg[::-1], self.longitude_deg[::-1],
            far_m - self.offset_m[::-1], np.array([far_m]), (self.road[0], -1),
        )  # fmt: skip

    def street(self) -> "_Way":
        """The same way as a street: no line, no stops."""
        return _Way(
            "", "street", -1, self.latitude_deg, self.longitude_deg, self.offset_m, self.offset_m[-1:], self.road
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paths:
    """P paths on one axis.

    start_m, length_m: float64 (P,), where a path begins on the axis and how long it is.
    stop_m: float64, places on the axis where vehicles halt, ascending; every path's last one is its end.
    following: int64 (P,), the path a vehicle takes at the end.
    line_id, mode, direction_id: of each path; "" , "street" and -1 for street traffic.
    street: int64 (S,), the paths for street traffic; patterns: int64 (T,), those with stops.
    road: the line and direction whose road each path is, street paths too; -1 against a pattern's direction.
    """

    start_m: FloatArray
    length_m: FloatArray
    stop_m: FloatArray
    following: IntArray
    line_id: tuple[str, ...]
    mode: tuple[str, ...]
    direction_id: IntArray
    street: IntArray
    patterns: IntArray
    road: tuple[tuple[str, int], ...]
    _vertex_m: FloatArray
    _latitude_deg: FloatArray
    _longitude_deg: FloatArray
    _bearing_deg: FloatArray

    def place(self, path: IntArray, offset_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return latitude_deg, longitude_deg and bearing_deg, float64 (n,), at offsets along n paths."""
        along_m = self.start_m[path] + np.clip(offset_m, 0.0, self.length_m[path])
        latitude_deg = np.interp(along_m, self._vertex_m, self._latitude_deg)
        longitude_deg = np.interp(along_m, self._vertex_m, self._longitude_deg)
        ends = along_m >= self.start_m[path] + self.length_m[path]
        segment = np.searchsorted(self._vertex_m, along_m, side="right") - 1 - ends
        return latitude_deg, longitude_deg, self._bearing_deg[segment]

    def next_stop(self, path: IntArray, offset_m: FloatArray) -> IntArray:
        """Return the index into stop_m of the next halt after offsets along n paths, int64 (n,)."""
        return np.searchsorted(self.stop_m, self.start_m[path] + offset_m, side="right")


def build_paths(city: City) -> Paths:
    """Build the paths of a city's lines. Raises UsageError when it has none."""
    ways: list[_Way] = []
    following: list[int] = []
    for line in city.lines:
        _add_line(line, ways, following)
    patterns = len(ways)
    for way in ways[:patterns]:
        if way.mode == "metro" or way.direction_id < 0:
            continue
        there = len(ways)
        ways += [way.street(), way.street().back()]
        following += [there + 1, there]
    if not ways:
        raise UsageError(f"the city package {city.name} has no lines for the simulator to drive on; add one to it")
    return _lay_out(ways, following, patterns)


def _add_line(line: Line, ways: list[_Way], following: list[int]) -> None:
    first = len(ways)
    own = [_way(line, pattern) for pattern in line.patterns if len(pattern.offset_m) > 1]
    ways += own
    for way in own:
        turn = _turn(way, own)
        if turn is None:
            following.append(len(ways))
            ways.append(way.back())
        else:
            following.append(first + turn)
    # A way back leads to the way it came from; those were appended in the order of their ways.
    following += [index for index in range(first, first + len(own)) if following[index] >= first + len(own)]


def _way(line: Line, pattern: Pattern) -> _Way:
    offset_m = np.asarray(pattern.offset_m, np.float64)
    stop_m = np.sort(np.asarray(pattern.stop_offset_m, np.float64))
    inner = stop_m[(stop_m > STOP_MARGIN_M) & (stop_m < offset_m[-1] - STOP_MARGIN_M)]
    return _Way(
        line.line_id, line.mode, pattern.direction_id,
        np.asarray(pattern.latitude_deg, np.float64), np.asarray(pattern.longitude_deg, np.float64),
        offset_m, np.append(inner, offset_m[-1]), (line.line_id, pattern.direction_id),
    )  # fmt: skip


def _turn(way: _Way, own: Sequence[_Way]) -> int | None:
    """Index of the pattern that goes on where this one ends: the other direction first, itself if it is a loop."""
    reach_m = [
        float(haversine_m(way.latitude_deg[-1], way.longitude_deg[-1], other.latitude_deg[0], other.longitude_deg[0]))
        for other in own
    ]
    order = sorted(range(len(own)), key=lambda i: (own[i].direction_id == way.direction_id, reach_m[i], i))
    return next((index for index in order if reach_m[index] <= TURN_WITHIN_M), None)


def _lay_out(ways: Sequence[_Way], following: Sequence[int], patterns: int) -> Paths:
    length_m = np.array([way.offset_m[-1] for way in ways])
    start_m = np.concatenate(([0.0], np.cumsum(length_m + GAP_M)[:-1]))
    latitude_deg = np.concatenate([way.latitude_deg for way in ways])
    longitude_deg = np.concatenate([way.longitude_deg for way in ways])
    north = np.diff(latitude_deg, append=latitude_deg[-1])
    east = np.diff(longitude_deg, append=longitude_deg[-1]) * np.cos(np.radians(latitude_deg))
    return Paths(
        start_m=start_m,
        length_m=length_m,
        stop_m=np.concatenate([start + way.stop_m for start, way in zip(start_m, ways, strict=True)]),
        following=np.array(following, np.int64),
        line_id=tuple(way.line_id for way in ways),
        mode=tuple(way.mode for way in ways),
        direction_id=np.array([way.direction_id for way in ways], np.int64),
        street=np.arange(patterns, len(ways)),
        patterns=np.array([i for i in range(patterns) if ways[i].direction_id >= 0], np.int64),
        road=tuple(way.road for way in ways),
        _vertex_m=np.concatenate([start + way.offset_m for start, way in zip(start_m, ways, strict=True)]),
        _latitude_deg=latitude_deg,
        _longitude_deg=longitude_deg,
        _bearing_deg=np.degrees(np.arctan2(east, north)) % 360,
    )
