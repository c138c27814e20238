"""Passages of stops, as the gatherings of transit lines read them, and what the schedule says there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from processors.city import City
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
    return claim.subject.removeprefix(f"{claim.line_id}/{claim.direction_id}/").partition("/")[0]


def trip_of(claim: Observation) -> str:
    """Return the trip that the vehicle of a passage told, "" if none."""
    return claim.subject.removeprefix(f"{claim.line_id}/{claim.direction_id}/").partition("/")[2]


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
