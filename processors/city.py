"""One city as an immutable value: where a point lies, what passes there, what is due, in words.

Read from a folder by processors/city_files.py; every answer is a function of its arguments.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from processors.area_squares import index_areas
from processors.areas import Areas
from processors.baselines import Baselines
from processors.batches import BoolArray, Float32Array, FloatArray, IntArray, SmallArray, TextArray
from processors.calendars import Calendar
from processors.city_derived import derived_package
from processors.city_files import CityInvalid, Package, read_package
from processors.geo import Plane, Segments, points_as_segments
from processors.hexagons import CellArray, Hexagons
from processors.line_match import NOT_GIVEN, UNKNOWN, LineMatcher
from processors.nearby import Nearby
from processors.network import Bounds, Device, Headway, Line, Pattern, Stop, Unit, Vehicle, Venue, pattern_along
from processors.outlines import Ring, nested, rings_of
from processors.place_words import Words
from processors.squares import NearSegments, squares_of
from processors.streets import Streets
from processors.timetable import Headways, Timetable
from processors.zones import Zone, ZoneIndex
from schemas.dictionary import DictionaryArray
from schemas.records import DueTrip

__all__ = [
    "Bounds",
    "City",
    "CityInvalid",
    "Device",
    "Headway",
    "Line",
    "Located",
    "NearLine",
    "NearStop",
    "Pattern",
    "Stop",
    "Unit",
    "UnitPolygon",
    "Vehicle",
    "Venue",
    "Zone",
    "derive_city",
    "load_city",
    "pattern_along",
]

STOP_REACH_M: Final = 50.0
WORDS_REACH_M: Final = 400.0


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Where n points lie; columns of n. The texts are over dictionaries of the city, in which "" is number 0."""

    unit_code: DictionaryArray
    """"" = outside all units"""
    matched_line_id: DictionaryArray
    """"" = none within the greatest distance"""
    on_told_line: BoolArray
    """whether the matched line is the one that the device told"""
    direction_id: SmallArray
    """-1 = unknown"""
    line_offset_m: Float32Array
    """along the pattern, NaN = unknown"""
    cross_track_m: Float32Array
    """>= 0, NaN = unknown"""
    stop_id: DictionaryArray
    """nearest stop within 50 m, else "" """
    cell: CellArray
    """H3, resolution 9"""
    told_line: IntArray
    """among the city's lines, -1 = none told, or one that the city does not know"""
    line: IntArray
    """the matched one among the city's lines, -1 = none"""
    segment: IntArray
    """of the courses of all lines, -1 = none"""
    x_m: FloatArray
    """on the city's plane, as y_m"""
    y_m: FloatArray
    square: IntArray
    """of the city's squares"""
    part: IntArray
    """of the square"""


@dataclass(frozen=True, slots=True)
class NearLine:
    """A line that passes within a distance, per direction."""

    line_id: str
    line_name: str
    direction_id: int
    distance_m: float
    offset_m: float


@dataclass(frozen=True, slots=True)
class NearStop:
    """A stop within a distance."""

    stop_id: str
    name: str
    distance_m: float


@dataclass(frozen=True, slots=True)
class UnitPolygon:
    """One polygon of a unit: the outer ring and then its holes, each of (latitude_deg, longitude_deg) corners."""

    rings: tuple[tuple[tuple[float, float], ...], ...]


class City:
    """A city package, ready to be asked; nothing changes but what baselines say of times to come."""

    def __init__(
        self,
        *,
        name: str,
        version: str,
        time_zone: str,
        bounds: Bounds,
        units: tuple[Unit, ...] = (),
        areas: Areas | None = None,
        lines: tuple[Line, ...] = (),
        stops: tuple[Stop, ...] = (),
        venues: tuple[Venue, ...] = (),
        cameras: Mapping[str, Device] | None = None,
        sensors: Mapping[str, Device] | None = None,
        timetable: Timetable | None = None,
        trip_lines: Mapping[str, str] | None = None,
        trip_directions: Mapping[str, int] | None = None,
        zones: tuple[Zone, ...] = (),
        calendars: Mapping[str, Calendar] | None = None,
        baselines: Baselines | None = None,
        speed_limits_kmh: Mapping[str, float] | None = None,
        stopped_by_linear_road: bool = False,
    ) -> None:
        """Build the indexes; `areas` answers in the order of `units`, on the plane of `bounds`.

        speed_limits_kmh: by vehicle class, what holds where no zone says otherwise; a class without one has none.
        stopped_by_linear_road: whether four reports from one position say that a vehicle stands, whatever its speed.
        """
        self.name, self.version, self.time_zone = name, version, time_zone
        self.south_deg, self.west_deg = bounds.south_deg, bounds.west_deg
        self.north_deg, self.east_deg = bounds.north_deg, bounds.east_deg
        self.units, self.venues = units, venues
        self.lines = tuple(sorted(lines, key=lambda line: line.line_id))
        self.stops = tuple(sorted(stops, key=lambda stop: stop.stop_id))
        self.cameras: Mapping[str, Device] = cameras or {}
        self.sensors: Mapping[str, Device] = sensors or {}
        self.vehicles: Mapping[str, Vehicle] = {}
        self.revoked: frozenset[str] = frozenset()
        self.trip_lines: Mapping[str, str] = trip_lines or {}
        self.trip_directions: Mapping[str, int] = trip_directions or {}
        self.zones = zones
        self.calendars: Mapping[str, Calendar] = calendars or {}
        self.baselines = baselines or Baselines()
        self.speed_limits_kmh: Mapping[str, float] = speed_limits_kmh or {}
        self.stopped_by_linear_road = stopped_by_linear_road
        plane = bounds.plane()
        self._plane, self._areas = plane, areas
        self._squares = squares_of(bounds, plane)
        self._area_index = None if areas is None else index_areas(areas, self._squares)
        self._timetable: Timetable | Headways = timetable or Headways(self.lines, time_zone)
        self._unit_names = {unit.unit_code: unit.name for unit in units}
        self._unit_codes = Words(unit.unit_code for unit in units)
        self._matcher = LineMatcher(self.lines, plane, self._squares)
        self._line_ids = Words(line.line_id for line in self.lines)
        self._stop_ids = Words(stop.stop_id for stop in self.stops)
        self._stop_points = _points(self.stops, plane)
        self._near_stops = NearSegments(self._stop_points, STOP_REACH_M, self._squares)
        self._hexagons = Hexagons(bounds)
        self._zone_index = ZoneIndex(zones, plane, self._squares)
        limits_kmh = self.speed_limits_kmh
        self.streets = Streets(
            self.lines, self.stops, zones, limits_kmh, self.baselines, time_zone, plane, self._squares
        )
        self._stops_nearby = Nearby(self._stop_points)
        self._landmarks, self._landmark_words = _landmarks(self.lines, self.stops, venues, plane)

    def with_devices(
        self,
        cameras: Mapping[str, Device],
        sensors: Mapping[str, Device],
        vehicles: Mapping[str, Vehicle],
        revoked: frozenset[str] = frozenset(),
    ) -> "City":
        """Return the same city with other devices; nothing that revoked ones say counts."""
        other = copy(self)
        other.cameras, other.sensors, other.vehicles, other.revoked = cameras, sensors, vehicles, revoked
        return other

    def take_baselines(self, baselines: Baselines) -> None:
        """Answer by other baselines from now on; what they say of times that records were judged for is as before."""
        self.baselines = baselines
        self.streets.take_baselines(baselines)

    def locate(
        self,
        latitude_deg: FloatArray,
        longitude_deg: FloatArray,
        line_id: DictionaryArray | None = None,
        direction_id: SmallArray | None = None,
    ) -> Located:
        """Locate n points (finite degrees); the answer for each depends on it alone.

        line_id: what the device told, "" = nothing. A line that the city knows is matched up to 1,000 m away and
        no other is; otherwise the nearest line within 60 m is. direction_id: -1 = not told, the nearer one is taken.
        """
        x_m, y_m = self._plane.xy(latitude_deg, longitude_deg)
        square, part = places = self._squares.places(x_m, y_m)
        told = np.full(len(x_m), NOT_GIVEN) if line_id is None else self._line_ids.places(line_id)
        direction = np.full(len(x_m), UNKNOWN, np.int8) if direction_id is None else direction_id
        matched = self._matcher.match(x_m, y_m, places, told, direction)
        return Located(
            unit_code=self._unit_codes.array(self._unit_index(x_m, y_m, square)),
            matched_line_id=self._line_ids.array(matched.line),
            on_told_line=(matched.line == told) & (told >= 0),
            direction_id=matched.direction_id,
            line_offset_m=matched.offset_m,
            cross_track_m=matched.distance_m,
            stop_id=self._stop_ids.array(self._nearest_stop(x_m, y_m, square, part)),
            cell=self._hexagons.cells(latitude_deg, longitude_deg),
            told_line=told,
            line=matched.line,
            segment=matched.segment,
            x_m=x_m,
            y_m=y_m,
            square=square,
            part=part,
        )

    def locate_units(self, latitude_deg: FloatArray, longitude_deg: FloatArray) -> TextArray:
        """Return the unit codes of n points, "" = outside all units; for few points, as str are slow."""
        x_m, y_m = self._plane.xy(latitude_deg, longitude_deg)
        square, _ = self._squares.places(x_m, y_m)
        return self._unit_codes.array(self._unit_index(x_m, y_m, square)).texts()

    def near_lines(self, latitude_deg: float, longitude_deg: float, within_m: float) -> tuple[NearLine, ...]:
        """Return the lines within a distance, one per line and direction, nearest first."""
        x_m, y_m = self._xy(latitude_deg, longitude_deg)
        found = [
            NearLine(self.lines[line].line_id, self.lines[line].name, direction_id, distance_m, offset_m)
            for line, direction_id, distance_m, offset_m in self._matcher.near(x_m, y_m, within_m)
        ]
        return tuple(sorted(found, key=lambda near: (near.distance_m, near.line_id, near.direction_id)))

    def near_stops(self, latitude_deg: float, longitude_deg: float, within_m: float) -> tuple[NearStop, ...]:
        """Return the stops within a distance, nearest first."""
        found = [
            NearStop(self.stops[index].stop_id, self.stops[index].name, distance_m)
            for index, distance_m in _within(self._stops_nearby, *self._xy(latitude_deg, longitude_deg), within_m)
        ]
        return tuple(sorted(found, key=lambda near: (near.distance_m, near.stop_id)))

    def zones_at(self, latitude_deg: float, longitude_deg: float) -> tuple[Zone, ...]:
        """Return the zones that contain a point, in the order of the package."""
        return self._zone_index.at(latitude_deg, longitude_deg)

    def sections_at(self, latitude_deg: FloatArray, longitude_deg: FloatArray) -> IntArray:
        """Return the numbers of the speed sections that contain n points, -1 = none."""
        x_m, y_m = self._plane.xy(latitude_deg, longitude_deg)
        return self.streets.sections.first(x_m, y_m, self._squares.places(x_m, y_m)[0])

    def due_trips(
        self, stop_ids: Sequence[str], line_ids: Sequence[str], after_ms: int, within_s: int
    ) -> tuple[DueTrip, ...]:
        """Return the trips of those lines due at those stops from `after_ms` for `within_s` seconds, soonest first.

        By timetable where the city has one, otherwise by headway (then without a trip id).
        """
        return self._timetable.due(frozenset(stop_ids), frozenset(line_ids), after_ms, within_s)

    def unit_name(self, unit_code: str) -> str:
        """Return the unit's name, "" if there is no such unit."""
        return self._unit_names.get(unit_code, "")

    def unit_at(self, latitude_deg: float, longitude_deg: float) -> str:
        """Return the code of the unit that contains a point, "" = outside all units."""
        x_m, y_m = self._plane.xy(np.array([latitude_deg]), np.array([longitude_deg]))
        index = int(self._unit_index(x_m, y_m, self._squares.places(x_m, y_m)[0])[0])
        return self.units[index].unit_code if index >= 0 else ""

    def place_in_words(self, latitude_deg: float, longitude_deg: float, unit_code: str | None = None) -> str:
        """Say where a point is: "near Kim Mã stop, phường Ngọc Hà"; the landmark is at most 400 m away.

        unit_code: the unit that contains it, if that is known already.
        """
        unit = self.unit_name(self.unit_at(latitude_deg, longitude_deg) if unit_code is None else unit_code)
        near = [
            (distance_m, self._landmark_words[index])
            for index, distance_m in _within(self._landmarks, *self._xy(latitude_deg, longitude_deg), WORDS_REACH_M)
        ]
        parts = [f"near {min(near)[1]}"] if near else []
        parts += [unit] if unit else []
        if parts:
            return ", ".join(parts)
        return "outside the city" if self.units else f"{latitude_deg:.5f}, {longitude_deg:.5f}"

    def unit_polygons(self) -> tuple[tuple[UnitPolygon, ...], ...]:
        """Return for each of `units` its polygons; empty = only its centre is known."""
        if self._areas is None:
            return ((),) * len(self.units)
        return tuple(
            tuple(UnitPolygon(tuple(self._degrees(ring) for ring in polygon)) for polygon in nested(rings))
            for rings in rings_of(self._areas)
        )

    def _xy(self, latitude_deg: float, longitude_deg: float) -> tuple[float, float]:
        x_m, y_m = self._plane.xy(latitude_deg, longitude_deg)
        return float(x_m), float(y_m)

    def _degrees(self, ring: Ring) -> tuple[tuple[float, float], ...]:
        return tuple(self._plane.degrees(x_m, y_m) for x_m, y_m in zip(ring[0].tolist(), ring[1].tolist(), strict=True))

    def _unit_index(self, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> IntArray:
        return np.full(len(x_m), -1) if self._area_index is None else self._area_index.containing(x_m, y_m, square)

    def _nearest_stop(self, x_m: FloatArray, y_m: FloatArray, square: IntArray, part: IntArray) -> IntArray:
        block = self._near_stops.blocks(square)
        row = np.flatnonzero(block >= 0)
        found = self._near_stops.nearest(row, block[row], part[row], x_m[row], y_m[row])
        nearest = np.full(len(x_m), -1)
        nearest[found.row] = found.segment
        return nearest


def load_city(folder: Path, units: Path | None = None, gtfs: Path | None = None) -> City:
    """Load a city package; `units` (GeoJSON) and `gtfs` (folder or zip) replace the built-in ones.

    Raises CityInvalid with every mistake found.
    """
    return _city(read_package(folder, units, gtfs))


def derive_city(
    name: str,
    time_zone: str,
    latitude_deg: FloatArray,
    longitude_deg: FloatArray,
    gtfs: Path | None = None,
    stops: Path | None = None,
    units: Path | None = None,
) -> City:
    """Derive a city from the extent of n recorded positions, with a margin of 5 km.

    Lines and stops come from `gtfs`, or stops alone from `stops` (columns of GTFS stops.txt, .gz or not), units from
    `units` (GeoJSON); what is not given is empty. Raises CityInvalid with every mistake found.
    """
    return _city(derived_package(name, time_zone, latitude_deg, longitude_deg, gtfs, stops, units))


def _city(package: Package) -> City:
    return City(
        name=package.name,
        version=package.version,
        time_zone=package.time_zone,
        bounds=package.bounds,
        units=package.units,
        areas=package.areas,
        lines=package.lines,
        stops=package.stops,
        venues=package.venues,
        cameras={device.device_id: device for device in package.devices if device.kind == "camera"},
        sensors={device.device_id: device for device in package.devices if device.kind == "sensor"},
        timetable=package.timetable,
        trip_lines=package.trip_lines,
        trip_directions=package.trip_directions,
        zones=package.zones,
        calendars=package.calendars,
        baselines=package.baselines,
        speed_limits_kmh=package.speed_limits_kmh,
        stopped_by_linear_road=package.stopped_by_linear_road,
    )


def _points(places: Sequence[Stop | Venue], plane: Plane) -> Segments:
    latitude_deg = np.array([place.latitude_deg for place in places], np.float64)
    longitude_deg = np.array([place.longitude_deg for place in places], np.float64)
    return points_as_segments(*plane.xy(latitude_deg, longitude_deg))


def _landmarks(
    lines: Sequence[Line], stops: Sequence[Stop], venues: Sequence[Venue], plane: Plane
) -> tuple[Nearby, tuple[str, ...]]:
    stations = {text for line in lines if line.mode == "metro" for way in line.patterns for text in way.stop_ids}
    words = [f"{stop.name} {'station' if stop.stop_id in stations else 'stop'}" for stop in stops]
    return Nearby(_points([*stops, *venues], plane)), (*words, *(venue.name for venue in venues))


def _within(points: Nearby, x_m: float, y_m: float, within_m: float) -> Iterable[tuple[int, float]]:
    items, distance_m, _ = points.within(x_m, y_m, within_m)
    return zip(items.tolist(), distance_m.tolist(), strict=True)
