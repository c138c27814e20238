"""What is due where: by timetable (GTFS stop times) or by headway."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from processors.batches import IntArray
from processors.network import Line
from schemas.records import DueTrip

DAY_S: Final = 86_400

SCHEDULED_SPEED_MPS: Final = {"bus": 4.4, "brt": 5.4, "metro": 9.2}
"""Speed with stops, for lines known by headway only. Source: docs/city-package.md#due-trips."""


@dataclass(frozen=True, slots=True)
class Service:
    """Days on which trips run: seven weekdays (Monday first) between two dates, except and besides single dates."""

    weekdays: tuple[bool, ...]
    first_day: date
    last_day: date
    added: frozenset[date] = frozenset()
    removed: frozenset[date] = frozenset()

    def runs_on(self, day: date, beyond_feed: bool) -> bool:
        """Tell whether it runs; on a day that the whole feed does not cover the weekday alone decides."""
        if day in self.added or day in self.removed:
            return day in self.added
        return self.weekdays[day.weekday()] and (beyond_feed or self.first_day <= day <= self.last_day)


@dataclass(frozen=True, slots=True)
class Trip:
    """One scheduled run of a line."""

    trip_id: str
    line_id: str
    direction_id: int
    service_id: str


@dataclass(frozen=True, slots=True, eq=False)
class StopCalls:
    """The c calls at one stop, by time: seconds after the service day's start and the index of the trip."""

    due_s: IntArray
    trip: IntArray


class Timetable:
    """Trips with their calls at stops."""

    def __init__(
        self,
        trips: Sequence[Trip],
        calls: Mapping[str, StopCalls],
        services: Mapping[str, Service],
        time_zone: str,
    ) -> None:
        """Keep the timetable; `services` empty = every trip runs every day."""
        self._trips, self._calls, self._services = trips, calls, services
        self._zone = ZoneInfo(time_zone)
        self._longest_s = max((int(stop.due_s[-1]) for stop in calls.values() if len(stop.due_s)), default=0)
        covered = [day for service in services.values() for day in (service.first_day, service.last_day)]
        covered += [day for service in services.values() for day in service.added]
        self._covered = (min(covered), max(covered)) if covered else (date.min, date.max)

    def due(
        self, stop_ids: frozenset[str], line_ids: frozenset[str], after_ms: int, within_s: int
    ) -> tuple[DueTrip, ...]:
        """Return what is due at those stops on those lines from `after_ms` for `within_s` seconds, soonest first."""
        found = []
        for day, start_s in _service_days(after_ms, within_s, self._longest_s, self._zone):
            from_s = -(-after_ms // 1000) - start_s
            beyond = not self._covered[0] <= day <= self._covered[1]
            for stop_id in stop_ids & self._calls.keys():
                calls = self._calls[stop_id]
                first, last = np.searchsorted(calls.due_s, (from_s, from_s + within_s))
                for due_s, index in zip(calls.due_s[first:last].tolist(), calls.trip[first:last].tolist(), strict=True):
                    trip = self._trips[index]
                    if trip.line_id in line_ids and self._runs_on(trip, day, beyond):
                        found.append(_due_trip(start_s + due_s, trip.direction_id, trip.line_id, stop_id, trip.trip_id))
        return _soonest_first(found)

    def _runs_on(self, trip: Trip, day: date, beyond_feed: bool) -> bool:
        service = self._services.get(trip.service_id)
        return not self._services or (service is not None and service.runs_on(day, beyond_feed))


@dataclass(frozen=True, slots=True)
class _Runs:
    """A line by headway: its departures from the first stop, and of each stop the direction and travel time to it."""

    departures_s: tuple[int, ...]
    calls: Mapping[str, Sequence[tuple[int, int]]]


class Headways:
    """Lines known by their headways: departures from the first stop at even intervals, then the scheduled speed."""

    def __init__(self, lines: Sequence[Line], time_zone: str) -> None:
        """Keep the lines that have headways."""
        self._lines = {line.line_id: _runs_of(line) for line in lines if line.headway_s}
        self._zone = ZoneInfo(time_zone)
        self._longest_s = max(map(_longest_s, self._lines.values()), default=0)

    def due(
        self, stop_ids: frozenset[str], line_ids: frozenset[str], after_ms: int, within_s: int
    ) -> tuple[DueTrip, ...]:
        """Return what is due at those stops on those lines from `after_ms` for `within_s` seconds, soonest first."""
        found = []
        starts_s = [start_s for _, start_s in _service_days(after_ms, within_s, self._longest_s, self._zone)]
        for line_id in line_ids & self._lines.keys():
            line = self._lines[line_id]
            for stop_id in stop_ids & line.calls.keys():
                for (direction_id, travel_s), start_s in product(line.calls[stop_id], starts_s):
                    from_s = -(-after_ms // 1000) - start_s - travel_s
                    for departure_s in _between(line.departures_s, from_s, from_s + within_s):
                        due_s = start_s + departure_s + travel_s
                        found.append(_due_trip(due_s, direction_id, line_id, stop_id, ""))
        return _soonest_first(found)


def seconds_of(time: str) -> int:
    """Return the seconds after the service day's start of "HH:MM" or "HH:MM:SS"; hours may pass 24.

    Raises ValueError for anything else.
    """
    parts = time.strip().split(":")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{time!r} is not a time like 07:30")
    hours, minutes, seconds = (*(int(part) for part in parts), 0)[:3]
    if minutes > 59 or seconds > 59 or hours > 99:
        raise ValueError(f"{time!r} is not a time like 07:30")
    return hours * 3600 + minutes * 60 + seconds


def _runs_of(line: Line) -> _Runs:
    spans = ((seconds_of(item.from_time), seconds_of(item.to_time), item.headway_s) for item in line.headway_s)
    departures_s = {departure_s for from_s, to_s, step_s in spans for departure_s in range(from_s, to_s, step_s)}
    speed_mps = SCHEDULED_SPEED_MPS.get(line.mode, SCHEDULED_SPEED_MPS["bus"])
    calls: dict[str, list[tuple[int, int]]] = {}
    for pattern in line.patterns:
        for stop_id, offset_m in zip(pattern.stop_ids, pattern.stop_offset_m.tolist(), strict=True):
            calls.setdefault(stop_id, []).append((pattern.direction_id, round(offset_m / speed_mps)))
    return _Runs(tuple(sorted(departures_s)), calls)


def _longest_s(runs: _Runs) -> int:
    travels_s = [travel_s for calls in runs.calls.values() for _, travel_s in calls]
    return max(travels_s, default=0) + (runs.departures_s[-1] if runs.departures_s else 0)


def _between(values: Sequence[int], low: int, high: int) -> Sequence[int]:
    return values[bisect_left(values, low) : bisect_left(values, high)]


def _service_days(after_ms: int, within_s: int, longest_s: int, zone: ZoneInfo) -> Iterator[tuple[date, int]]:
    """Yield each service day that can have something due, with its start: noon less twelve hours, as GTFS counts."""
    today = datetime.fromtimestamp(after_ms / 1000, zone).date()
    for shift in range(-(longest_s // DAY_S) - 1, within_s // DAY_S + 2):
        day = today + timedelta(days=shift)
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        yield day, int(noon.timestamp()) - DAY_S // 2


def _due_trip(due_s: int, direction_id: int, line_id: str, stop_id: str, trip_id: str) -> DueTrip:
    return DueTrip(due_at_ms=due_s * 1000, direction_id=direction_id, line_id=line_id, stop_id=stop_id, trip_id=trip_id)


def _soonest_first(found: list[DueTrip]) -> tuple[DueTrip, ...]:
    return tuple(
        sorted(found, key=lambda trip: (trip.due_at_ms, trip.line_id, trip.direction_id, trip.stop_id, trip.trip_id))
    )
