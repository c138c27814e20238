"""From a GTFS feed to lines with patterns and a timetable."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from processors.batches import FloatArray
from processors.geo import Plane, Segments
from processors.gtfs import Call, Feed, FeedTrip
from processors.network import Headway, Line, Pattern, pattern_along
from processors.timetable import StopCalls, Timetable, Trip
from processors.yaml_files import Mistakes

_SHAPE_REACH_M: Final = 200.0
"""A stop further from its trip's shape than this: the shape is not believed."""

_PASSED_AGAIN_M: Final = 20.0
"""Where a shape passes a stop twice about as near, the first passage after the stop before counts."""

_RAIL: Final = re.compile(r"^([01257]|6|12|1\d\d|4\d\d|9\d\d)$")


def lines_of(feed: Feed, mistakes: Mistakes) -> tuple[Line, ...]:
    """Return the lines, a pattern per direction: the stop sequence that most of its trips have.

    Without stop times, stop ids of the form ROUTE_Sn give the sequence (the World Bank's feed of Hanoi).
    """
    ways: dict[tuple[str, int], list[FeedTrip]] = defaultdict(list)
    for trip in feed.trips.values():
        ways[trip.route_id, trip.direction_id].append(trip)
    numbered = _numbered_stops(feed)
    patterns: dict[str, list[Pattern]] = defaultdict(list)
    for (route_id, direction_id), trips in sorted(ways.items()):
        stop_ids, shape_id = _usual_course(feed, trips)
        stop_ids = stop_ids or numbered.get(route_id, ())
        if len(stop_ids) < 2:
            mistakes.add("trips.txt", None, f"route {route_id} direction {direction_id} has no sequence of 2 stops")
            continue
        patterns[route_id].append(_pattern(feed, direction_id, stop_ids, shape_id))
    return tuple(
        Line(route_id, route.name, _mode(route_id, route.route_type), route.colour, headways, tuple(patterns[route_id]))
        for route_id, route in sorted(feed.routes.items())
        for headways in (_headways(feed, ways.get((route_id, 0), [])),)
        if route_id in patterns
    )


def timetable_of(feed: Feed, time_zone: str) -> Timetable | None:
    """Return the timetable, None if the feed has no times."""
    trips = [Trip(trip.trip_id, trip.route_id, trip.direction_id, trip.service_id) for trip in feed.trips.values()]
    due: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, trip in enumerate(trips):
        calls = _timed(feed.calls.get(trip.trip_id, []))
        if not calls:
            continue
        for shift_s in _shifts_s(feed, trip.trip_id, calls[0][1]):
            for stop_id, due_s in calls:
                due[stop_id].append((due_s + shift_s, index))
    if not due:
        return None
    tables = {stop_id: np.array(sorted(calls), np.int64) for stop_id, calls in due.items()}
    calls_at = {stop_id: StopCalls(table[:, 0], table[:, 1]) for stop_id, table in tables.items()}
    return Timetable(trips, calls_at, feed.services, time_zone)


def check_times(feed: Feed, mistakes: Mistakes) -> None:
    """Note the trips whose times run backwards."""
    for trip_id, calls in feed.calls.items():
        times = [call.due_s for call in calls if call.due_s is not None]
        if any(after < before for before, after in pairwise(times)):
            mistakes.add("stop_times.txt", None, f"the times of trip {trip_id} run backwards")


def _usual_course(feed: Feed, trips: Sequence[FeedTrip]) -> tuple[tuple[str, ...], str]:
    courses: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for trip in trips:
        stop_ids = tuple(call.stop_id for call in feed.calls.get(trip.trip_id, ()))
        if stop_ids:
            courses[stop_ids].append(trip.shape_id)
    if not courses:
        return (), ""
    usual = min(courses, key=lambda stop_ids: (-len(courses[stop_ids]), -len(stop_ids), stop_ids))
    shapes = Counter(courses[usual])
    return usual, min(shapes, key=lambda shape_id: (-shapes[shape_id], shape_id))


def _numbered_stops(feed: Feed) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for stop_id in feed.stops:
        route_id, mark, number = stop_id.rpartition("_S")
        if mark and number.isdigit() and route_id in feed.routes:
            found[route_id].append((int(number), stop_id))
    return {route_id: tuple(stop_id for _, stop_id in sorted(stops)) for route_id, stops in found.items()}


def _pattern(feed: Feed, direction_id: int, stop_ids: tuple[str, ...], shape_id: str) -> Pattern:
    latitude_deg = np.array([feed.stops[stop_id].latitude_deg for stop_id in stop_ids])
    longitude_deg = np.array([feed.stops[stop_id].longitude_deg for stop_id in stop_ids])
    points = feed.shapes.get(shape_id, [])
    if len(points) >= 2:
        along = _pattern_on_shape(direction_id, stop_ids, latitude_deg, longitude_deg, points)
        if along is not None:
            return along
    return pattern_along(direction_id, latitude_deg, longitude_deg, dict(enumerate(stop_ids)))


def _pattern_on_shape(
    direction_id: int,
    stop_ids: tuple[str, ...],
    latitude_deg: FloatArray,
    longitude_deg: FloatArray,
    points: Sequence[tuple[int, float, float]],
) -> Pattern | None:
    _, shape_latitude_deg, shape_longitude_deg = np.array(points, np.float64).T
    shape = pattern_along(direction_id, shape_latitude_deg, shape_longitude_deg, {})
    plane = Plane(float(latitude_deg.mean()), float(longitude_deg.mean()))
    x_m, y_m = plane.xy(shape_latitude_deg, shape_longitude_deg)
    segments = Segments(x_m[:-1], y_m[:-1], np.diff(x_m), np.diff(y_m))
    offsets_m: list[float] = []
    for stop_x_m, stop_y_m in zip(*plane.xy(latitude_deg, longitude_deg), strict=True):
        away_m, share = segments.project(np.arange(len(x_m) - 1), stop_x_m, stop_y_m)
        offset_m = shape.offset_m[:-1] + share * np.diff(shape.offset_m)
        ahead = np.flatnonzero(offset_m >= (offsets_m[-1] if offsets_m else 0.0))
        if not len(ahead) or away_m[ahead].min() > _SHAPE_REACH_M:
            return None
        near = ahead[away_m[ahead] <= away_m[ahead].min() + _PASSED_AGAIN_M]
        offsets_m.append(float(offset_m[near[0]]))
    return Pattern(direction_id, shape_latitude_deg, shape_longitude_deg, shape.offset_m, stop_ids, np.array(offsets_m))


def _timed(calls: Sequence[Call]) -> list[tuple[str, int]]:
    """Return the calls with times; between two given times the missing ones are spread evenly."""
    known = [index for index, call in enumerate(calls) if call.due_s is not None]
    if not known:
        return []
    times = np.interp(np.arange(len(calls)), known, [calls[index].due_s or 0 for index in known])
    return [(calls[index].stop_id, int(times[index])) for index in range(known[0], known[-1] + 1)]


def _shifts_s(feed: Feed, trip_id: str, first_s: int) -> Iterator[int]:
    if trip_id not in feed.frequencies:
        yield 0
        return
    for frequency in feed.frequencies[trip_id]:
        for start_s in range(frequency.from_s, frequency.to_s, frequency.headway_s):
            yield start_s - first_s


def _headways(feed: Feed, trips: Sequence[FeedTrip]) -> tuple[Headway, ...]:
    found: list[Headway] = []
    until_s = 0
    spans = sorted(
        {(item.from_s, item.to_s, item.headway_s) for trip in trips for item in feed.frequencies.get(trip.trip_id, ())}
    )
    for from_s, to_s, headway_s in spans:
        if from_s >= until_s:
            found.append(Headway(_clock(from_s), _clock(to_s), headway_s))
            until_s = to_s
    return tuple(found)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"


def _mode(route_id: str, route_type: int) -> str:
    if _RAIL.match(str(route_type)):
        return "metro"
    return "brt" if route_id.upper().startswith("BRT") else "bus"
