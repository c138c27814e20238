"""Streets: what holds where a vehicle drives: its course's direction and stops, limits, lanes, zones, the usual speed.

Every answer for a point depends on that point alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.baselines import Baselines
from processors.batches import BoolArray, Float32Array, FloatArray, IntArray
from processors.geo import Plane, Segments, spread
from processors.network import Line, Stop
from processors.normal_speeds import SEGMENT_M, NormalSpeeds
from processors.squares import NearSegments, Squares
from processors.zones import NO_ZONE, Zone, ZoneIndex
from schemas.records import VehicleClass

LANE_M: Final = 10.0
"""Half the width of the strip around an exclusive lane."""

SECTION: Final = "speed_section"
"""Zones over which the mean speed is measured; they say nothing of the speed at any one place."""

NO_STOP: Final = -1
CLASSES: Final = tuple(VehicleClass)
MODE_CLASS: Final[Mapping[str, VehicleClass]] = {
    "bus": VehicleClass.BUS,
    "brt": VehicleClass.BRT,
    "metro": VehicleClass.METRO,
}

_DEGREES: Final = [math.radians(degree) for degree in range(361)]
_SINE: Final = np.array([math.sin(angle) for angle in _DEGREES])
_COSINE: Final = np.array([math.cos(angle) for angle in _DEGREES])
_FAR_APART: Final = 1e7
"""Metres between the beginnings of two courses that are laid end to end."""

ClassArray = npt.NDArray[np.integer[Any]]
"""Numbers of vehicle classes."""


class Streets:
    """Of lines and zones what matters to those who drive there. A way is a line's index times 2 plus the direction."""

    def __init__(
        self,
        lines: Sequence[Line],
        stops: Sequence[Stop],
        zones: Sequence[Zone],
        limits_kmh: Mapping[str, float],
        baselines: Baselines,
        time_zone: str,
        plane: Plane,
        squares: Squares,
    ) -> None:
        """Index them; baselines: tell the usual speeds of segments where they are known."""
        self.no_stopping = ZoneIndex([zone for zone in zones if zone.kind == "no_stopping"], plane, squares)
        self.sections = ZoneIndex([zone for zone in zones if zone.kind == SECTION], plane, squares)
        limited = [zone for zone in zones if zone.limit_kmh is not None and zone.kind != SECTION]
        self._limits = ZoneIndex(limited, plane, squares)
        self._forbids = _concerned(self.no_stopping.zones)
        self._limited = _concerned(self._limits.zones)
        self._zone_kmh = np.array([zone.limit_kmh for zone in self._limits.zones], np.float64)
        self._class_kmh = np.array([limits_kmh.get(str(one), math.inf) for one in CLASSES])
        self.lowest_kmh = min([*limits_kmh.values(), *self._zone_kmh.tolist()], default=math.inf)
        self.rails = np.array([line.mode == "metro" for line in lines], np.bool_)
        self.two_ways = np.array([len(line.patterns) > 1 for line in lines], np.bool_)
        self._mode_class = np.array([CLASSES.index(MODE_CLASS.get(line.mode, VehicleClass.BUS)) for line in lines])
        self._stop, self._stop_at_m, self._odd = _stops_along(lines, stops)
        self.length_m = _lengths_m(lines)
        self._normals = NormalSpeeds(lines, self.length_m, baselines, time_zone)
        self._lanes = _courses([line for line in lines if line.exclusive_lane], plane)
        self._lane_unit = _units(self._lanes)
        self._near_lanes = NearSegments(self._lanes, LANE_M, squares)
        self._courses = _courses(lines, plane)
        self._course_unit = _units(self._courses)
        self._way_from, self._way_segments = _segments_of_ways(lines)

    def cosine(self, segment: IntArray, bearing_deg: Float32Array) -> FloatArray:
        """Return the cosine of the angle between bearings (n,) and the course at its segments, NaN = unknown."""
        return _cosine(self._course_unit, segment, bearing_deg)

    def runs_along(
        self, way: IntArray, x_m: FloatArray, y_m: FloatArray, bearing_deg: Float32Array, least: float, within_m: float
    ) -> BoolArray:
        """Tell which n ways have a segment within a distance of points that runs along bearings.

        least: the cosine of the greatest angle between them. Every segment of the way is looked at: for few rows.
        """
        row, segment = spread(self._way_from.take(way), self._way_segments.take(way))
        away_m, _ = self._courses.project(segment, x_m.take(row), y_m.take(row))
        along = _cosine(self._course_unit, segment, bearing_deg.take(row)) >= least
        return np.bincount(row[along & (away_m <= within_m)], minlength=len(way)) > 0

    def own_stop(self, way: IntArray, offset_m: FloatArray, within_m: float) -> tuple[IntArray, BoolArray]:
        """Return the stop (its place among all, -1 = none) of n ways within a distance of offsets along them.

        And whether its place on the way is odd: of two stops one after the other one is.
        """
        if not len(self._stop):
            return np.full(len(way), NO_STOP), np.zeros(len(way), bool)
        at_m = way * _FAR_APART + offset_m
        after = np.minimum(np.searchsorted(self._stop_at_m, at_m), len(self._stop) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(self._stop_at_m.take(before) - at_m) <= np.abs(self._stop_at_m.take(after) - at_m)
        found = np.where(nearer, before, after)
        near = np.abs(self._stop_at_m.take(found) - at_m) <= within_m
        return np.where(near, self._stop.take(found), NO_STOP), near & self._odd.take(found)

    def at_an_end(self, way: IntArray, offset_m: FloatArray, within_m: float) -> BoolArray:
        """Tell which offsets (n,) are near the beginning or the end of their way."""
        return np.asarray((offset_m <= within_m) | (offset_m >= self.length_m.take(way) - within_m))

    def classes(self, vehicle_class: ClassArray, told_line: IntArray) -> ClassArray:
        """Return the classes of n vehicles: one that does not tell it is of the mode of the line that it tells."""
        unknown = ((vehicle_class == 0) & (told_line >= 0)).nonzero()[0]
        if not len(unknown):
            return vehicle_class
        known = vehicle_class.copy()
        known[unknown] = self._mode_class.take(told_line.take(unknown))
        return known

    def limit_kmh(self, known: ClassArray, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> FloatArray:
        """Return the speed allowed to n vehicles of those classes: the zone's, otherwise the class's.

        It is infinite where there is none.
        """
        limit_kmh = self._class_kmh.take(known)
        zone = self._limits.first(x_m, y_m, square)
        inside = (zone != NO_ZONE).nonzero()[0]
        if len(inside):
            concerned = inside[self._limited[zone.take(inside), known.take(inside)]]
            limit_kmh[concerned] = self._zone_kmh.take(zone.take(concerned))
        return limit_kmh

    def forbidden(self, vehicle_class: ClassArray, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> IntArray:
        """Return for n vehicles the number of the zone in which their class may not stop, -1 = none."""
        zone = self.no_stopping.first(x_m, y_m, square)
        inside = (zone != NO_ZONE).nonzero()[0]
        if len(inside):
            allowed = inside[~self._forbids[zone.take(inside), vehicle_class.take(inside)]]
            zone[allowed] = NO_ZONE
        return zone

    def lane_cosine(
        self, x_m: FloatArray, y_m: FloatArray, square: IntArray, part: IntArray, bearing_deg: Float32Array
    ) -> FloatArray:
        """Return the cosine of the angle between bearings (n,) and the exclusive lane there, NaN = none or unknown."""
        found = np.full(len(x_m), np.nan)
        block = self._near_lanes.blocks(square)
        row = (block >= 0).nonzero()[0]
        if len(row):
            near = self._near_lanes.nearest(row, block.take(row), part.take(row), x_m.take(row), y_m.take(row))
            found[near.row] = _cosine(self._lane_unit, near.segment, bearing_deg.take(near.row))
        return found

    def segment(self, offset_m: FloatArray) -> IntArray:
        """Return the numbers of the segments at offsets (n,) along their ways."""
        return (offset_m / SEGMENT_M).astype(np.int64)

    @property
    def highest_normal_mps(self) -> float:
        """Return the highest usual speed of any street and time."""
        return self._normals.highest_mps

    def take_baselines(self, baselines: Baselines) -> None:
        """Know other usual speeds from now on."""
        self._normals.take(baselines)

    def normal_mps(self, way: IntArray, segment: IntArray, at_ms: IntArray) -> FloatArray:
        """Return the usual speed on segments of n ways at those times."""
        return self._normals.mps(way, segment, at_ms)


def _concerned(zones: Sequence[Zone]) -> BoolArray:
    """Tell for z zones and each class of vehicles (z, c) whether the one concerns the other."""
    table = [[zone.concerns(str(one)) for one in CLASSES] for zone in zones]
    return np.array(table, np.bool_).reshape(-1, len(CLASSES))


def _courses(lines: Sequence[Line], plane: Plane) -> Segments:
    """Return the segments of lines, by way; of all lines they are those that the matcher numbers."""
    parts = []
    for line in lines:
        for pattern in sorted(line.patterns, key=lambda pattern: pattern.direction_id):
            x_m, y_m = plane.xy(pattern.latitude_deg, pattern.longitude_deg)
            parts.append((x_m[:-1], y_m[:-1], np.diff(x_m), np.diff(y_m)))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 4
    return Segments(*columns)


def _segments_of_ways(lines: Sequence[Line]) -> tuple[IntArray, IntArray]:
    """Return of every way its first segment among those of all lines, and how many it has."""
    count = np.zeros(2 * len(lines), np.int64)
    for index, line in enumerate(lines):
        for pattern in line.patterns:
            count[2 * index + pattern.direction_id] = len(pattern.latitude_deg) - 1
    return np.cumsum(count) - count, count


def _units(segments: Segments) -> tuple[FloatArray, FloatArray]:
    """Return the east and north parts of the directions of segments, NaN for one of no length."""
    length_m = np.hypot(segments.dx_m, segments.dy_m)
    length_m[length_m == 0.0] = np.nan
    return segments.dx_m / length_m, segments.dy_m / length_m


def _cosine(unit: tuple[FloatArray, FloatArray], segment: IntArray, bearing_deg: Float32Array) -> FloatArray:
    found = np.full(len(segment), np.nan)
    row = ((segment >= 0) & (bearing_deg >= 0.0)).nonzero()[0]
    if len(row):
        degree = np.rint(bearing_deg.take(row)).astype(np.int64)
        at = segment.take(row)
        found[row] = unit[0].take(at) * _SINE.take(degree) + unit[1].take(at) * _COSINE.take(degree)
    return found


def _stops_along(lines: Sequence[Line], stops: Sequence[Stop]) -> tuple[IntArray, FloatArray, BoolArray]:
    """Return the stops of all ways end to end: which, where, and whether an odd one of its way."""
    number = {stop.stop_id: index for index, stop in enumerate(stops)}
    found = [
        ((2 * index + pattern.direction_id) * _FAR_APART + offset_m, number.get(stop_id, NO_STOP), place % 2 == 1)
        for index, line in enumerate(lines)
        for pattern in line.patterns
        for place, (stop_id, offset_m) in enumerate(zip(pattern.stop_ids, pattern.stop_offset_m.tolist(), strict=True))
    ]
    found.sort(key=lambda one: one[0])
    at_m, stop, odd = zip(*found, strict=True) if found else ((), (), ())
    return np.array(stop, np.int64), np.array(at_m, np.float64), np.array(odd, np.bool_)


def _lengths_m(lines: Sequence[Line]) -> FloatArray:
    """Return the length of every way, 0 where a line has no such direction."""
    length_m = np.zeros(2 * len(lines))
    for index, line in enumerate(lines):
        for pattern in line.patterns:
            length_m[2 * index + pattern.direction_id] = pattern.offset_m[-1]
    return length_m
