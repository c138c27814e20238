"""What is scheduled at a stop, looked up in the timetable once in hours."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from processors.city import City
from processors.gatherings.passages import calls_at, is_terminal, stop_of
from schemas.records import Observation

HOUR_MS: Final = 3_600_000
BLOCK_MS: Final = 6 * HOUR_MS
MARGIN_MS: Final = 3 * HOUR_MS
BLOCKS: Final = 3
NEAR_MS: Final = 2 * HOUR_MS
"""No passage belongs to a call farther away."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When vehicles of a line and direction are due at a stop, ascending."""

    due_ms: tuple[int, ...]

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

    def is_terminal(self, one: Observation) -> bool:
        """Tell whether a passage is at the first or last stop of its course."""
        key = one.line_id, one.direction_id, stop_of(one)
        found = self._terminal.get(key)
        if found is None:
            found = self._terminal[key] = is_terminal(self._city, one)
        return found

    def schedule(self, one: Observation) -> Schedule:
        """Return when vehicles are due there, at least three hours before and after a passage."""
        block, key = one.at_ms // BLOCK_MS, (one.line_id, one.direction_id, stop_of(one))
        known = self._schedules.get(block)
        if known is None:
            known = self._begin(block)
        found = known.get(key)
        if found is None:
            from_ms = block * BLOCK_MS - MARGIN_MS
            calls = calls_at(self._city, one, from_ms, from_ms + BLOCK_MS + 2 * MARGIN_MS)
            found = known[key] = Schedule(tuple(sorted({call.due_ms for call in calls})))
        return found

    def _begin(self, block: int) -> dict[tuple[str, int, str], Schedule]:
        begun: dict[tuple[str, int, str], Schedule] = {}
        self._schedules[block] = begun
        if len(self._schedules) > BLOCKS:
            del self._schedules[min(self._schedules)]
        return begun
