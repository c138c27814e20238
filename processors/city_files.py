"""Read and check a city package: every mistake at once, with file and line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import numpy as np

from processors.areas import Areas, Polygons, polygons, power_diagram
from processors.baselines import FOLDER, Baselines, baselines_of, read_snapshots
from processors.calendars import Calendar
from processors.city_models import (
    WEEKDAYS,
    CalendarEntry,
    CalendarsEntry,
    CityEntry,
    EstateEntry,
    HeadwayEntry,
    LineEntry,
    LinesEntry,
    StopsEntry,
    UnitsEntry,
    VenuesEntry,
    ZoneEntry,
    ZonesEntry,
)
from processors.estate import expand_estate
from processors.gtfs import read_feed
from processors.gtfs_network import check_times, lines_of, timetable_of
from processors.network import Bounds, Device, Headway, Line, Pattern, Stop, Unit, Venue, pattern_along
from processors.timetable import Timetable, seconds_of
from processors.units_file import read_units
from processors.yaml_files import Entry, Mistakes, YamlFile, read_yaml
from processors.zones import Zone, circle
from schemas.errors import UsageError
from schemas.ids import content_id

_Model = TypeVar("_Model", bound=Entry)

FILES: Final = (
    "city.yaml",
    "units.yaml",
    "stops.yaml",
    "lines.yaml",
    "venues.yaml",
    "estate.yaml",
    "zones.yaml",
    "calendars.yaml",
)
"""The files of a package; only the first must be there."""


class CityInvalid(UsageError):
    """A city package, units file or GTFS feed with mistakes, all of them listed in `mistakes`."""

    def __init__(self, source: str, mistakes: Sequence[str]) -> None:
        """Keep the mistakes."""
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        super().__init__("\n  ".join([f"{source} has {count}:", *mistakes]))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """What the files of a city say."""

    name: str
    version: str
    time_zone: str
    bounds: Bounds
    units: tuple[Unit, ...]
    areas: Areas | None
    lines: tuple[Line, ...]
    stops: tuple[Stop, ...]
    venues: tuple[Venue, ...]
    devices: tuple[Device, ...]
    timetable: Timetable | None
    trip_lines: Mapping[str, str] = field(default_factory=dict)
    """trip_id -> line_id of a GTFS feed's trips; without those that frequencies.txt repeats."""
    trip_directions: Mapping[str, int] = field(default_factory=dict)
    """trip_id -> direction of every trip of a feed"""
    zones: tuple[Zone, ...] = ()
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    baselines: Baselines = field(default_factory=Baselines)
    speed_limits_kmh: Mapping[str, float] = field(default_factory=dict)
    """by vehicle class"""
    stopped_by_linear_road: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What a GTFS feed says."""

    version: str
    lines: tuple[Line, ...]
    stops: tuple[Stop, ...]
    timetable: Timetable | None
    trip_lines: Mapping[str, str] = field(default_factory=dict)
    trip_directions: Mapping[str, int] = field(default_factory=dict)


def read_package(folder: Path, units: Path | None = None, gtfs: Path | None = None) -> Package:
    """Read a folder; `units` (GeoJSON) and `gtfs` (folder or zip) replace its own. Raises CityInvalid."""
    if not (folder / FILES[0]).is_file():
        raise CityInvalid(str(folder), [f"{FILES[0]} is missing: name a folder like cities/hanoi"])
    mistakes = Mistakes()
    package = _Reader(folder, mistakes).package()
    if package is not None and units is not None:
        found, areas = read_units(units, package.bounds.plane(), mistakes)
        version = content_id("c", package.version, content_version([units] if units.is_file() else []))
        package = replace(package, units=found, areas=areas, version=version.removeprefix("c-")[:12])
    if package is not None and gtfs is not None:
        network = read_network(gtfs, package.time_zone, mistakes)
        version = content_id("c", package.version, network.version).removeprefix("c-")[:12]
        package = replace(
            package,
            lines=network.lines,
            stops=network.stops,
            timetable=network.timetable,
            trip_lines=network.trip_lines,
            trip_directions=network.trip_directions,
            version=version,
        )
    if mistakes.found or package is None:
        raise CityInvalid(str(folder), mistakes.found)
    return package


def read_network(path: Path, time_zone: str, mistakes: Mistakes) -> Network:
    """Read a GTFS feed, folder or zip; times are local to `time_zone`, whatever the agency says of itself."""
    feed = read_feed(path, mistakes)
    if mistakes.found:
        return Network(feed.version, (), (), None)
    check_times(feed, mistakes)
    return Network(
        feed.version,
        lines_of(feed, mistakes),
        tuple(feed.stops.values()),
        timetable_of(feed, time_zone),
        {trip.trip_id: trip.route_id for trip in feed.trips.values() if trip.trip_id not in feed.frequencies},
        {trip.trip_id: trip.direction_id for trip in feed.trips.values()},
    )


def content_version(paths: Iterable[Path]) -> str:
    """Return 12 hex digits that depend on the names and bytes of files alone."""
    digest = blake2b(digest_size=6)
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


class _Reader:
    """Reads one folder, noting mistakes as it goes."""

    def __init__(self, folder: Path, mistakes: Mistakes) -> None:
        self._folder, self._mistakes = folder, mistakes
        self._unread: set[str] = set()
        """Files that are there but wrong; what refers to them is not checked, to tell no mistake twice."""

    def package(self) -> Package | None:
        """Return the package, None if city.yaml is wrong."""
        city = self._city()
        bounds = None if city is None else _bounds(city)
        units = self._units(bounds)
        stops = self._stops(bounds)
        lines = self._lines(stops)
        venues = self._venues(bounds)
        zones = self._zones(bounds)
        devices = self._devices(bounds, units, lines, stops, venues)
        if city is None or bounds is None:
            return None
        files = [self._folder / name for name in FILES]
        return Package(
            name=city.name,
            version=content_version(path for path in files if path.is_file()),
            time_zone=city.time_zone,
            bounds=bounds,
            units=units,
            areas=_areas(city, bounds, units),
            lines=lines,
            stops=stops,
            venues=venues,
            devices=devices,
            timetable=None,
            zones=zones,
            calendars=self._calendars(),
            baselines=baselines_of(read_snapshots(self._folder / FOLDER, self._mistakes)),
            speed_limits_kmh={str(name): limit for name, limit in city.speed_limits_kmh.items()},
            stopped_by_linear_road=city.stopped_vehicles == "linear_road",
        )

    def _entry(self, name: str, model: type[_Model]) -> tuple[YamlFile | None, _Model | None]:
        if not (self._folder / name).is_file():
            return None, None
        file = read_yaml(self._folder / name, self._mistakes)
        entry = file.validated(model, self._mistakes) if file is not None else None
        if entry is None:
            self._unread.add(name)
        return file, entry

    def _city(self) -> CityEntry | None:
        file, city = self._entry("city.yaml", CityEntry)
        if file is None or city is None:
            return None
        try:
            ZoneInfo(city.time_zone)
        except (KeyError, ValueError, OSError):
            self._note(
                file, ("time_zone",), f"time_zone {city.time_zone!r} is not known, use one like Asia/Ho_Chi_Minh"
            )
        if city.bounds.south >= city.bounds.north or city.bounds.west >= city.bounds.east:
            self._note(file, ("bounds",), "bounds must go from south to north and from west to east")
        return city

    def _units(self, bounds: Bounds | None) -> tuple[Unit, ...]:
        file, entry = self._entry("units.yaml", UnitsEntry)
        if file is None or entry is None:
            return ()
        self._check_unique(file, "units", "code", [unit.code for unit in entry.units])
        for index, unit in enumerate(entry.units):
            self._check_inside(file, ("units", index), unit.code, unit.lat, unit.lon, bounds)
        return tuple(Unit(item.code, item.name, item.kind, item.lat, item.lon, item.area_km2) for item in entry.units)

    def _stops(self, bounds: Bounds | None) -> tuple[Stop, ...]:
        file, entry = self._entry("stops.yaml", StopsEntry)
        if file is None or entry is None:
            return ()
        self._check_unique(file, "stops", "id", [stop.id for stop in entry.stops])
        for index, stop in enumerate(entry.stops):
            self._check_inside(file, ("stops", index), stop.id, stop.lat, stop.lon, bounds)
        return tuple(Stop(item.id, item.name, item.lat, item.lon) for item in entry.stops)

    def _lines(self, stops: Sequence[Stop]) -> tuple[Line, ...]:
        file, entry = self._entry("lines.yaml", LinesEntry)
        if file is None or entry is None:
            return ()
        self._check_unique(file, "lines", "id", [line.id for line in entry.lines])
        places = {stop.stop_id: (stop.latitude_deg, stop.longitude_deg) for stop in stops}
        lines = []
        for index, line in enumerate(entry.lines):
            self._check_headways(file, index, line)
            ways = [self._pattern(file, index, line, way, places) for way in range(len(line.directions))]
            patterns = tuple(pattern for pattern in ways if pattern is not None)
            headways = tuple(_headway(item) for item in line.headways)
            lines.append(Line(line.id, line.name, line.mode, line.colour, headways, patterns, line.exclusive_lane))
        return tuple(lines)

    def _pattern(
        self, file: YamlFile, index: int, line: LineEntry, way: int, places: dict[str, tuple[float, float]]
    ) -> Pattern | None:
        at = ("lines", index, "directions", way)
        vertices: list[tuple[float, float]] = []
        stop_at: dict[int, str] = {}
        for place, item in enumerate(line.directions[way]):
            if isinstance(item, list):
                vertices.append((item[0], item[1]))
            elif item in places:
                stop_at[len(vertices)] = item
                vertices.append(places[item])
            elif "stops.yaml" not in self._unread:
                self._note(file, (*at, place), f"line {line.id} names the stop {item}, which stops.yaml does not have")
        if len(line.directions[way]) < 2 or sum(isinstance(item, str) for item in line.directions[way]) < 2:
            self._note(file, at, f"line {line.id} direction {way} needs at least 2 stops")
            return None
        if len(vertices) < 2:
            return None
        latitude_deg, longitude_deg = np.array(vertices, np.float64).T
        return pattern_along(way, latitude_deg, longitude_deg, stop_at)

    def _check_headways(self, file: YamlFile, index: int, line: LineEntry) -> None:
        spans = sorted((seconds_of(item.from_), seconds_of(item.to), place) for place, item in enumerate(line.headways))
        for from_s, to_s, place in spans:
            if from_s >= to_s:
                self._note(file, ("lines", index, "headways", place), f"line {line.id}: from must be before to")
        for (_, to_s, _), (from_s, _, place) in pairwise(spans):
            if from_s < to_s:
                where = ("lines", index, "headways", place)
                self._note(file, where, f"line {line.id}: headway periods overlap at {line.headways[place].from_}")

    def _venues(self, bounds: Bounds | None) -> tuple[Venue, ...]:
        file, entry = self._entry("venues.yaml", VenuesEntry)
        if file is None or entry is None:
            return ()
        self._check_unique(file, "venues", "id", [venue.id for venue in entry.venues])
        for index, venue in enumerate(entry.venues):
            self._check_inside(file, ("venues", index), venue.id, venue.lat, venue.lon, bounds)
        return tuple(Venue(item.id, item.name, item.kind, item.lat, item.lon) for item in entry.venues)

    def _zones(self, bounds: Bounds | None) -> tuple[Zone, ...]:
        file, entry = self._entry("zones.yaml", ZonesEntry)
        if file is None or entry is None:
            return ()
        self._check_unique(file, "zones", "id", [zone.id for zone in entry.zones])
        zones = tuple(map(_zone, entry.zones))
        for index, zone in enumerate(zones):
            self._check_inside(file, ("zones", index), zone.zone_id, *zone.corners[0], bounds)
        return zones

    def _calendars(self) -> dict[str, Calendar]:
        file, entry = self._entry("calendars.yaml", CalendarsEntry)
        if file is None or entry is None:
            return {}
        self._check_unique(file, "calendars", "id", [one.id for one in entry.calendars])
        return {one.id: _calendar(one) for one in entry.calendars}

    def _devices(
        self,
        bounds: Bounds | None,
        units: Sequence[Unit],
        lines: Sequence[Line],
        stops: Sequence[Stop],
        venues: Sequence[Venue],
    ) -> tuple[Device, ...]:
        file, entry = self._entry("estate.yaml", EstateEntry)
        if file is None or entry is None:
            return ()
        self._check_rules(file, entry, units, lines, venues)
        devices: dict[str, Device] = {}
        for path, device in expand_estate(entry, units, lines, stops, venues):
            if device.device_id in devices:
                self._note(file, path, f"makes the device {device.device_id}, which is there already")
            devices[device.device_id] = device
            self._check_inside(file, path, device.device_id, device.latitude_deg, device.longitude_deg, bounds)
        cameras = {device.device_id for device in devices.values() if device.kind == "camera"}
        for index, item in enumerate(entry.devices):
            if item.host_camera and item.host_camera not in cameras and not self._unread:
                self._note(file, ("devices", index), f"{item.id}: host camera {item.host_camera} is not known")
            if item.kind == "sensor" and not item.quantities:
                self._note(file, ("devices", index), f"{item.id}: a sensor needs quantities")
        return tuple(devices.values())

    def _check_rules(
        self, file: YamlFile, entry: EstateEntry, units: Sequence[Unit], lines: Sequence[Line], venues: Sequence[Venue]
    ) -> None:
        known_lines = {line.line_id for line in lines}
        for index, at_stops in enumerate(entry.at_stops):
            for line_id in at_stops.lines:
                if line_id not in known_lines and "lines.yaml" not in self._unread:
                    self._note(file, ("at_stops", index), f"line {line_id} is not known")
        for key, source, rules, kinds in (
            ("at_units", "units.yaml", entry.at_units, {unit.kind for unit in units}),
            ("at_venues", "venues.yaml", entry.at_venues, {venue.kind for venue in venues}),
        ):
            for index, rule in enumerate(rules):
                for kind in rule.kinds:
                    if kind not in kinds and source not in self._unread:
                        self._note(file, (key, index), f"there is nothing of kind {kind}")

    def _check_unique(self, file: YamlFile, items: str, key: str, values: Sequence[str]) -> None:
        first: dict[str, int] = {}
        for index, value in enumerate(values):
            if value in first:
                line = file.line(items, first[value])
                self._note(file, (items, index, key), f"{key} {value} is already used on line {line}")
            first.setdefault(value, index)

    def _check_inside(
        self,
        file: YamlFile,
        path: tuple[str | int, ...],
        what: str,
        latitude_deg: float,
        longitude_deg: float,
        bounds: Bounds | None,
    ) -> None:
        if bounds is not None and not bounds.contain(latitude_deg, longitude_deg):
            self._note(file, path, f"{what} at {latitude_deg}, {longitude_deg} is outside the city's bounds")

    def _note(self, file: YamlFile, path: tuple[str | int, ...], message: str) -> None:
        self._mistakes.add(file.name, file.line(*path), message)


def _bounds(city: CityEntry) -> Bounds:
    return Bounds(city.bounds.south, city.bounds.west, city.bounds.north, city.bounds.east)


def _headway(entry: HeadwayEntry) -> Headway:
    return Headway(entry.from_, entry.to, round(entry.every_min * 60))


def _calendar(entry: CalendarEntry) -> Calendar:
    spans = tuple((span.from_, span.to) for span in entry.spans)
    weekdays = frozenset(map(WEEKDAYS.index, entry.weekdays))
    return Calendar(entry.id, frozenset(entry.days), spans, weekdays, frozenset(entry.without))


def _zone(entry: ZoneEntry) -> Zone:
    corners = tuple((latitude_deg, longitude_deg) for latitude_deg, longitude_deg in entry.polygon or ())
    if entry.circle is not None:
        corners = circle(entry.circle.lat, entry.circle.lon, entry.circle.radius_m)
    return Zone(entry.id, entry.name, entry.kind, corners, tuple(entry.classes), entry.limit_kmh)


def _areas(city: CityEntry, bounds: Bounds, units: Sequence[Unit]) -> Areas:
    plane = bounds.plane()
    latitude_deg = np.array([unit.latitude_deg for unit in units], np.float64)
    longitude_deg = np.array([unit.longitude_deg for unit in units], np.float64)
    area_m2 = np.array([unit.area_km2 * 1e6 for unit in units], np.float64)
    outline: Polygons | None = None
    if city.outline is not None:
        corners = np.array(city.outline, np.float64)
        outline = polygons([(0, *plane.xy(corners[:, 0], corners[:, 1]))])
    return power_diagram(*plane.xy(latitude_deg, longitude_deg), area_m2, city.unit_reach, outline)
