"""What is scheduled at a stop, looked up in the timetable once in hours."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.city import City
from processors.network import Pattern

HOUR_MS: Final = 3_600_000
BLOCK_MS: Final = 6 * HOUR_MS
MARGIN_MS: Final = 3 * HOUR_MS
BLOCKS: Final = 3
NEAR_MS: Final = 2 * HOUR_MS
"""No passage belongs to a call farther away."""


@dataclass(frozen=True, slots=True)
class Call:
    """A scheduled call at a stop; trip_id is "" where only headways are known."""

    due_ms: int
    trip_id: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When vehicles of a line and direction are due at a stop, ascending.

    calls: the same with the trips, where there are any. trip_ms: when each trip is due.
    """

    due_ms: tuple[int, ...]
    calls: tuple[Call, ...] = ()
    trip_ms: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def headway_ms(self, at_ms: int) -> int | None:
        """Return the scheduled time between the call nearest to a time and the one before it; None if unknown."""
        index = self._nearest(at_ms)
        return None if index is None or index < 1 else self.due_ms[index] - self.due_ms[index - 1]

    def next_headway_ms(self, at_ms: int) -> int | None:
        """Return the scheduled time between the call nearest to a time and the one after it; None if unknown."""
        index = self._nearest(at_ms)
        if index is None or index + 1 >= len(self.due_ms):
            return None
        return self.due_ms[index + 1] - self.due_ms[index]

    def has_call(self, after_ms: int, until_ms: int) -> bool:
        """Tell whether anything was due after one time and until another."""
        index = bisect_left(self.due_ms, after_ms + 1)
        return index < len(self.due_ms) and self.due_ms[index] <= until_ms

    def _nearest(self, at_ms: int) -> int | None:
        due_ms, index = self.due_ms, bisect_left(self.due_ms, at_ms)
        after_ms = due_ms[index] - at_ms if index < len(due_ms) else NEAR_MS + 1
        before_ms = at_ms - due_ms[index - 1] if index else NEAR_MS + 1
        if min(before_ms, after_ms) > NEAR_MS:
            return None
        return index - 1 if before_ms <= after_ms else index


class Schedules:
    """The calls at stops by line and direction, in blocks of hours, of which the last few are kept."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._terminal: dict[tuple[str, int, str], bool] = {}
        self._schedules: dict[int, dict[tuple[str, int, str], Schedule]] = {}

    def is_terminal(self, line_id: str, direction_id: int, stop_id: str) -> bool:
        """Tell whether a stop is the first or last one of a course, where vehicles wait by plan."""
        key = line_id, direction_id, stop_id
        found = self._terminal.get(key)
        if found is None:
            found = self._terminal[key] = _is_terminal(self._city, *key)
        return found

    def schedule(self, line_id: str, direction_id: int, stop_id: str, at_ms: int) -> Schedule:
        """Return when vehicles are due at a stop, at least three hours before and after a time."""
        block, key = at_ms // BLOCK_MS, (line_id, direction_id, stop_id)
        known = self._schedules.get(block)
        if known is None:
            known = self._begin(block)
        found = known.get(key)
        if found is None:
            from_ms = block * BLOCK_MS - MARGIN_MS
            within_s = (BLOCK_MS + 2 * MARGIN_MS) // 1000
            due = self._city.due_trips((stop_id,), (line_id,), from_ms, within_s)
            found = known[key] = _schedule(
                [Call(one.due_at_ms, one.trip_id) for one in due if one.direction_id == direction_id]
            )
        return found

    def _begin(self, block: int) -> dict[tuple[str, int, str], Schedule]:
        begun: dict[tuple[str, int, str], Schedule] = {}
        self._schedules[block] = begun
        if len(self._schedules) > BLOCKS:
            del self._schedules[min(self._schedules)]
        return begun


def _schedule(calls: Sequence[Call]) -> Schedule:
    trip_ms: dict[str, tuple[int, ...]] = {}
    told = tuple(call for call in calls if call.trip_id)
    for call in told:
        trip_ms[call.trip_id] = (*trip_ms.get(call.trip_id, ()), call.due_ms)
    return Schedule(tuple(sorted({call.due_ms for call in calls})), told, trip_ms)


def _is_terminal(city: City, line_id: str, direction_id: int, stop_id: str) -> bool:
    pattern = _pattern_of(city, line_id, direction_id)
    return pattern is not None and stop_id in (pattern.stop_ids[0], pattern.stop_ids[-1])


def _pattern_of(city: City, line_id: str, direction_id: int) -> Pattern | None:
    """Return the course of a line in a direction, None if the city knows none."""
    patterns = (each for line in city.lines if line.line_id == line_id for each in line.patterns)
    return next((each for each in patterns if each.direction_id == direction_id), None)
