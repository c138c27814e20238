"""Passages of stops, as the gatherings of transit lines read them, and what the schedule says there."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from processors.city import City
from processors.incidents.clusters import order_of
from processors.network import Pattern
from schemas.records import Observation

PASSAGE: Final = "stop_passage"
SAME_MS: Final = 600_000
"""A vehicle that passes a stop again within it has not left."""


@dataclass(frozen=True, slots=True)
class Call:
    """A scheduled call at a stop; trip_id is "" where only headways are known."""

    due_ms: int
    trip_id: str


def stop_of(claim: Observation) -> str:
    """Return the stop of a passage, whose subject is "line/direction/stop/trip"."""
    return _stop_and_trip(claim.subject, claim.line_id, claim.direction_id)[0]


def trip_of(claim: Observation) -> str:
    """Return the trip that the vehicle of a passage told, "" if none."""
    return _stop_and_trip(claim.subject, claim.line_id, claim.direction_id)[1]


@lru_cache(maxsize=1 << 14)
def _stop_and_trip(subject: str, line_id: str, direction_id: int) -> tuple[str, str]:
    stop, _, trip = subject.removeprefix(f"{line_id}/{direction_id}/").partition("/")
    return stop, trip


def first_passages(claims: Sequence[Observation]) -> list[Observation]:
    """Return the passages, in canonical order, without those of a vehicle that was at the stop just before."""
    last_ms: dict[tuple[str, str], int] = {}
    found = []
    for one in claims:
        key = (one.device_id, stop_of(one))
        if one.at_ms - last_ms.get(key, one.at_ms - SAME_MS - 1) > SAME_MS:
            found.append(one)
        last_ms[key] = one.at_ms
    return found


class Passages:
    """The passages of one subject that came one by one, without those of a vehicle that was at the stop just before."""

    __slots__ = ("_all", "_orders", "firsts")

    def __init__(self) -> None:
        self.firsts: list[Observation] = []
        self._orders: list[tuple[int, str]] = []
        self._all: dict[tuple[str, str], list[Observation]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, one: Observation) -> list[Observation]:
        """Take a passage; return it and the one that comes to nothing by it."""
        same = self._all.setdefault((one.device_id, stop_of(one)), [])
        insort(same, one, key=order_of)
        return [one, *self._look_again(same, same.index(one))]

    def remove(self, one: Observation) -> list[Observation]:
        """Take a passage back; return it and the one that counts without it."""
        key = one.device_id, stop_of(one)
        same = self._all[key]
        at = same.index(one)
        self._count(one, False)
        del same[at]
        if not same:
            del self._all[key]
        self._look_again(same, at)
        return [one, *same[at : at + 1]]

    def index(self, order: tuple[int, str]) -> int:
        """Return how many of `firsts` are before a place in canonical order."""
        return bisect_left(self._orders, order)

    def at(self, order: tuple[int, str]) -> int | None:
        """Return the index in `firsts` of the passage at a place in canonical order, None if none is there."""
        index = bisect_left(self._orders, order)
        return index if index < len(self._orders) and self._orders[index] == order else None

    def _look_again(self, same: Sequence[Observation], at: int) -> list[Observation]:
        """Judge a passage and the next one at the stop; return the latter if there is one."""
        for index in range(at, min(at + 2, len(same))):
            one = same[index]
            self._count(one, index == 0 or one.at_ms - same[index - 1].at_ms > SAME_MS)
        return list(same[at + 1 : at + 2])

    def _count(self, one: Observation, counts: bool) -> None:
        order = order_of(one)
        index = self.at(order)
        if counts and index is None:
            place = bisect_left(self._orders, order)
            self._orders.insert(place, order)
            self.firsts.insert(place, one)
        elif not counts and index is not None:
            del self._orders[index], self.firsts[index]


def pattern_of(city: City, line_id: str, direction_id: int) -> Pattern | None:
    """Return the course of a line in a direction, None if the city knows none."""
    patterns = (each for line in city.lines if line.line_id == line_id for each in line.patterns)
    return next((each for each in patterns if each.direction_id == direction_id), None)


def is_terminal(city: City, claim: Observation) -> bool:
    """Tell whether a passage is at the first or last stop of its course, where vehicles wait by plan."""
    pattern = pattern_of(city, claim.line_id, claim.direction_id)
    return pattern is not None and stop_of(claim) in (pattern.stop_ids[0], pattern.stop_ids[-1])


def calls_at(city: City, claim: Observation, from_ms: int, until_ms: int) -> list[Call]:
    """Return what the schedule has for the line and direction at the stop of a passage, soonest first."""
    due = city.due_trips((stop_of(claim),), (claim.line_id,), from_ms, max(1, (until_ms - from_ms) // 1000))
    return [Call(each.due_at_ms, each.trip_id) for each in due if each.direction_id == claim.direction_id]
