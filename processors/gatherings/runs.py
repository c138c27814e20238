"""Runs of one vehicle along a line: lateness where only headways are planned, and the ends of lateness and bunching.

Sources: docs/thresholds.md#gatherings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.line_gathering import derive_from
from processors.gatherings.passages import PASSAGE
from processors.gatherings.run_book import ENDS, Courses, RunBook
from processors.gatherings.schedules import Schedules
from schemas.records import Observation

MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class RunRule:
    """When a run is late: by late_ms, and by late_share of the time it should have taken; late no more below on_share.

    pause_ms: a longer time between two stops begins another run. longest_ms: how far back a run is looked at.
    """

    late_ms: int = 5 * MINUTE_MS
    late_share: float = 0.15
    on_share: float = 0.8
    pause_ms: int = 30 * MINUTE_MS
    longest_ms: int = 90 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Runs:
    """Claims unbunched and on_time, and running_late of lines that are planned by headways.

    A line without a timetable has no trip to be late for; its vehicles are late by what they have lost against the
    scheduled speed since the first stop of the run. Terminals are no part of a run.
    """

    city: City
    rule: RunRule = RunRule()
    courses: Courses = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the courses that are looked up."""
        object.__setattr__(self, "courses", Courses(self.city))

    @property
    def name(self) -> str:
        """Return its name."""
        return "runs"

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds that it takes."""
        return frozenset((PASSAGE, *ENDS))

    @property
    def reach_ms(self) -> int:
        """Return the longest run twice: the passage before may have been judged by its own."""
        return 2 * self.rule.longest_ms + 20 * MINUTE_MS

    def subjects(self, claim: Observation) -> list[str]:
        """Return line, direction and vehicle."""
        return [f"{claim.line_id}/{claim.direction_id}/{claim.device_id}"] if claim.line_id else []

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterable[Derived]:
        """Return what the passages of a vehicle, one after the other, say."""
        return derive_from(self, claims)

    def schedules(self) -> Schedules:
        """Return the schedules of its city."""
        return Schedules(self.city)

    def book(self) -> RunBook:
        """Return an empty book."""
        return RunBook(self)
