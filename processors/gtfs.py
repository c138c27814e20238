"""GTFS Schedule: read and check a feed, folder or zip, every mistake with its file and line.

Read: agency, stops, routes, trips, and where there are any stop_times, shapes, calendar, calendar_dates, frequencies.
Source: gtfs.org/documentation/schedule/reference.
"""

import csv
import gzip
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from processors.network import Stop
from processors.timetable import Service, seconds_of
from processors.yaml_files import Mistakes

_REQUIRED: Final = ("stops.txt", "routes.txt", "trips.txt")
_FILES: Final = (
    "agency.txt",
    *_REQUIRED,
    "calendar.txt",
    "calendar_dates.txt",
    "stop_times.txt",
    "shapes.txt",
    "frequencies.txt",
)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MOST_MISTAKES: Final = 50
"""Per file; a column in the wrong place would otherwise list every row."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Route:
    """A row of routes.txt."""

    route_id: str
    name: str
    route_type: int
    colour: str


@dataclass(frozen=True, slots=True)
class FeedTrip:
    """A row of trips.txt."""

    trip_id: str
    route_id: str
    service_id: str
    direction_id: int
    shape_id: str


@dataclass(frozen=True, slots=True)
class Call:
    """A row of stop_times.txt; None = no time given."""

    sequence: int
    stop_id: str
    due_s: int | None


@dataclass(frozen=True, slots=True)
class Frequency:
    """A row of frequencies.txt."""

    from_s: int
    to_s: int
    headway_s: int


@dataclass(slots=True)
class Feed:
    """The content of a feed; calls and shape points are in their sequence."""

    version: str = ""
    stops: dict[str, Stop] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    trips: dict[str, FeedTrip] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    shapes: dict[str, list[tuple[int, float, float]]] = field(default_factory=lambda: defaultdict(list))
    services: dict[str, Service] = field(default_factory=dict)
    frequencies: dict[str, list[Frequency]] = field(default_factory=lambda: defaultdict(list))


class Row:
    """One line of a table; a value that cannot be read is noted and the row counts as wrong."""

    def __init__(self, file: str, line: int, values: Mapping[str, str], mistakes: Mistakes) -> None:
        """Keep the values by column."""
        self._file, self._line, self._values, self._mistakes = file, line, values, mistakes
        self.wrong = False

    def note(self, message: str) -> None:
        """Note a mistake in this row."""
        self._mistakes.add(self._file, self._line, message)
        self.wrong = True

    def text(self, column: str) -> str:
        """Return the value, "" where there is none."""
        return (self._values.get(column) or "").strip()

    def required(self, column: str) -> str:
        """Return the value, noting a mistake where it is empty."""
        value = self.text(column)
        if not value:
            self.note(f"{column} is missing")
        return value

    def number(self, column: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        return self._parsed(
            column, float, lambda value: low <= value <= high, f"a number from {low:g} to {high:g}", 0.0
        )

    def whole(self, column: str, default: str | None = None) -> int:
        """Return a whole number of at least 0; `default` stands for an empty value."""
        if default is not None and not self.text(column):
            return int(default)
        return self._parsed(column, int, lambda value: value >= 0, "a whole number of at least 0", 0)

    def seconds(self, column: str) -> int:
        """Return a time as seconds after the service day's start."""
        return self._parsed(column, seconds_of, lambda value: True, "a time like 07:30:00", 0)

    def day(self, column: str) -> date:
        """Return a date written YYYYMMDD."""
        form = "a date like 20260131"
        return self._parsed(column, _date, lambda value: True, form, date.min)

    def known(self, column: str, among: Mapping[str, object], file: str) -> str:
        """Return an id that another file has."""
        value = self.required(column)
        if value and value not in among:
            self.note(f"{column} {value} is not in {file}")
        return value

    def new(self, column: str, among: Mapping[str, object]) -> str:
        """Return an id that has not been used in this file."""
        value = self.required(column)
        if value and value in among:
            self.note(f"{column} {value} is already used")
        return value

    def _parsed(
        self,
        column: str,
        parse: Callable[[str], _Value],
        valid: Callable[[_Value], bool],
        form: str,
        default: _Value,
    ) -> _Value:
        text = self.required(column)
        if not text:
            return default
        try:
            value = parse(text)
            if valid(value):
                return value
        except ValueError:
            pass
        self.note(f"{column} must be {form}, is {text!r}")
        return default


def read_feed(path: Path, mistakes: Mistakes) -> Feed:
    """Read a folder or zip; what is wrong is noted and left out."""
    files = _open(path, mistakes)
    feed = Feed(version=_version(files))
    missing = [name for name in _REQUIRED if name not in files]
    for name in missing if files else ():
        mistakes.add(name, None, f"is missing in {path.name}")
    for name in _FILES if not missing else ():
        if name in files:
            found = Mistakes()
            _read_table(name, files[name], feed, found)
            mistakes.found += found.found[:_MOST_MISTAKES]
            if len(found.found) > _MOST_MISTAKES:
                mistakes.add(name, None, f"and {len(found.found) - _MOST_MISTAKES} more mistakes")
    return feed


def read_stops(path: Path, mistakes: Mistakes) -> tuple[Stop, ...]:
    """Read a file by itself that has the columns of stops.txt, plain or gzipped."""
    found, feed = Mistakes(), Feed()
    try:
        content = path.read_bytes()
        _read_table("stops.txt", gzip.decompress(content) if path.suffix == ".gz" else content, feed, found)
    except (OSError, EOFError) as error:
        found.add("stops.txt", None, f"cannot be read ({error.__class__.__name__})")
    mistakes.found += [message.replace("stops.txt", path.name, 1) for message in found.found]
    return tuple(feed.stops.values())


def _open(path: Path, mistakes: Mistakes) -> dict[str, bytes]:
    if path.is_dir():
        found = {name: (path / name).read_bytes() for name in _FILES if (path / name).is_file()}
        if not found:
            mistakes.add(path.name, None, "has no GTFS file in it")
        return found
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.namelist(), key=lambda member: -member.count("/"))
            inside = {member.rpartition("/")[2]: member for member in members}
            return {name: archive.read(inside[name]) for name in _FILES if name in inside}
    except (OSError, zipfile.BadZipFile):
        mistakes.add(path.name, None, "is neither a folder nor a zip file with a GTFS feed")
        return {}


def _version(files: Mapping[str, bytes]) -> str:
    digest = blake2b(digest_size=6)
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _read_table(name: str, content: bytes, feed: Feed, mistakes: Mistakes) -> None:
    take, required = _TABLES[name]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mistakes.add(name, content[: error.start].count(b"\n") + 1, "is not UTF-8")
        return
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [column.strip() for column in next(reader, [])]
    missing = [column for column in required if column not in header]
    if missing:
        mistakes.add(name, 1, f"column {', '.join(missing)} is missing")
        return
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            mistakes.add(name, reader.line_num, str(error))
            continue
        if values is None:
            break
        if len(values) > len(header):
            mistakes.add(name, reader.line_num, f"has {len(values)} fields, the header has {len(header)}")
        elif values and any(values):
            take(Row(name, reader.line_num, dict(zip(header, values, strict=False)), mistakes), feed)
    if name in _SORT:
        _SORT[name](feed)


def _take_agency(row: Row, feed: Feed) -> None:
    zone = row.text("agency_timezone")
    try:
        ZoneInfo(zone or "UTC")
    except (KeyError, ValueError, OSError):
        row.note(f"agency_timezone {zone} is not known")


def _take_stop(row: Row, feed: Feed) -> None:
    stop_id = row.new("stop_id", feed.stops)
    if row.text("location_type") not in ("", "0"):
        return  # stations, entrances and nodes: nothing stops there
    stop = Stop(
        stop_id, row.text("stop_name") or stop_id, row.number("stop_lat", -90, 90), row.number("stop_lon", -180, 180)
    )
    if not row.wrong:
        feed.stops[stop_id] = stop


def _take_route(row: Row, feed: Feed) -> None:
    route_id = row.new("route_id", feed.routes)
    name = row.text("route_long_name") or row.text("route_short_name") or route_id
    colour = row.text("route_color")
    route = Route(route_id, name, row.whole("route_type"), f"#{colour}" if colour else "")
    if not row.wrong:
        feed.routes[route_id] = route


def _take_trip(row: Row, feed: Feed) -> None:
    trip_id = row.new("trip_id", feed.trips)
    direction_id = row.whole("direction_id", "0")
    if direction_id > 1:
        row.note(f"direction_id must be 0 or 1, is {direction_id}")
    route_id = row.known("route_id", feed.routes, "routes.txt")
    if not row.wrong:
        feed.trips[trip_id] = FeedTrip(trip_id, route_id, row.text("service_id"), direction_id, row.text("shape_id"))


def _take_call(row: Row, feed: Feed) -> None:
    trip_id = row.known("trip_id", feed.trips, "trips.txt")
    stop_id = row.known("stop_id", feed.stops, "stops.txt")
    sequence = row.whole("stop_sequence")
    column = "arrival_time" if row.text("arrival_time") else "departure_time"
    due_s = row.seconds(column) if row.text(column) else None
    if not row.wrong:
        feed.calls[trip_id].append(Call(sequence, stop_id, due_s))


def _take_shape_point(row: Row, feed: Feed) -> None:
    point = (row.whole("shape_pt_sequence"), row.number("shape_pt_lat", -90, 90), row.number("shape_pt_lon", -180, 180))
    shape_id = row.required("shape_id")
    if not row.wrong:
        feed.shapes[shape_id].append(point)


def _take_service(row: Row, feed: Feed) -> None:
    service_id = row.new("service_id", feed.services)
    flags = [row.whole(day) for day in _DAYS]
    if max(flags) > 1:
        row.note("a day must be 0 or 1")
    first_day, last_day = row.day("start_date"), row.day("end_date")
    if not row.wrong and last_day < first_day:
        row.note("end_date is before start_date")
    if not row.wrong:
        feed.services[service_id] = Service(tuple(flag == 1 for flag in flags), first_day, last_day)


def _take_exception(row: Row, feed: Feed) -> None:
    service_id, day, kind = row.required("service_id"), row.day("date"), row.whole("exception_type")
    if kind not in (1, 2):
        row.note(f"exception_type must be 1 or 2, is {kind}")
    if row.wrong:
        return
    service = feed.services.get(service_id) or Service((False,) * 7, day, day)
    added, removed = (service.added | {day}, service.removed) if kind == 1 else (service.added, service.removed | {day})
    feed.services[service_id] = Service(service.weekdays, service.first_day, service.last_day, added, removed)


def _take_frequency(row: Row, feed: Feed) -> None:
    trip_id = row.known("trip_id", feed.trips, "trips.txt")
    frequency = Frequency(row.seconds("start_time"), row.seconds("end_time"), row.whole("headway_secs"))
    if not row.wrong and (frequency.headway_s == 0 or frequency.from_s >= frequency.to_s):
        row.note("headway_secs must be greater than 0 and start_time before end_time")
    if not row.wrong:
        feed.frequencies[trip_id].append(frequency)


def _date(text: str) -> date:
    if len(text) != 8 or not text.isdigit():
        raise ValueError(text)
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _sort_calls(feed: Feed) -> None:
    for calls in feed.calls.values():
        calls.sort(key=lambda call: call.sequence)


def _sort_shapes(feed: Feed) -> None:
    for points in feed.shapes.values():
        points.sort()


_TABLES: Final[Mapping[str, tuple[Callable[[Row, Feed], None], tuple[str, ...]]]] = {
    "agency.txt": (_take_agency, ("agency_timezone",)),
    "stops.txt": (_take_stop, ("stop_id", "stop_lat", "stop_lon")),
    "routes.txt": (_take_route, ("route_id", "route_type")),
    "trips.txt": (_take_trip, ("trip_id", "route_id", "service_id")),
    "stop_times.txt": (_take_call, ("trip_id", "stop_id", "stop_sequence", "arrival_time", "departure_time")),
    "shapes.txt": (_take_shape_point, ("shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")),
    "calendar.txt": (_take_service, ("service_id", *_DAYS, "start_date", "end_date")),
    "calendar_dates.txt": (_take_exception, ("service_id", "date", "exception_type")),
    "frequencies.txt": (_take_frequency, ("trip_id", "start_time", "end_time", "headway_secs")),
}

_SORT: Final[Mapping[str, Callable[[Feed], None]]] = {"stop_times.txt": _sort_calls, "shapes.txt": _sort_shapes}
