"""Runs of one vehicle along a line: lateness where only headways are planned, and the ends of lateness and bunching.

Sources: docs/thresholds.md#gatherings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived, Piece, derive_by_pieces
from processors.gatherings.passages import PASSAGE, Passages, stop_of
from processors.gatherings.punctuality import late_claim
from processors.network import Line, Pattern
from processors.timetable import SCHEDULED_SPEED_MPS
from schemas.records import Observation

MINUTE_MS: Final = 60_000
ENDS: Final = {"bunched": "unbunched", "running_late": "on_time"}


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
class _Lost:
    """What a run has lost so far, and from where on that is late."""

    lost_ms: int
    limit_ms: float

    @property
    def is_late(self) -> bool:
        return self.lost_ms > self.limit_ms


@dataclass(frozen=True, slots=True)
class Runs:
    """Claims unbunched and on_time, and running_late of lines that are planned by headways.

    A line without a timetable has no trip to be late for; its vehicles are late by what they have lost against the
    scheduled speed since the first stop of the run. Terminals are no part of a run.
    """

    city: City
    rule: RunRule = RunRule()
    _courses: "Courses" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the courses that are looked up."""
        object.__setattr__(self, "_courses", Courses(self.city))

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

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield what the passages of a vehicle, one after the other, say."""
        return derive_by_pieces(self.sheet(subject), claims)

    def sheet(self, subject: str) -> "RunSheet":
        """Return an empty sheet of a vehicle on a line."""
        return RunSheet(self.rule, self._courses)


class RunSheet:
    """The passages of a vehicle on a line, which are its pieces, and when it was bunched or late."""

    __slots__ = ("_claimed", "_courses", "_passages", "_rule")

    def __init__(self, rule: RunRule, courses: "Courses") -> None:
        self._rule, self._courses = rule, courses
        self._passages = Passages()
        self._claimed: dict[tuple[str, int], list[Observation]] = {}

    def add(self, one: Observation) -> set[Piece]:
        """Take a claim; return the passages that it is of importance for."""
        if one.kind in ENDS:
            self._claimed.setdefault((one.kind, one.at_ms), []).append(one)
            return self._touched(one.at_ms, None)
        changed = self._passages.add(one)
        return self._touched(one.at_ms, changed)

    def remove(self, one: Observation) -> set[Piece]:
        """Take a claim back; return the same."""
        if one.kind in ENDS:
            claimed = self._claimed[one.kind, one.at_ms]
            claimed.remove(one)
            if not claimed:
                del self._claimed[one.kind, one.at_ms]
            return self._touched(one.at_ms, None)
        return self._touched(one.at_ms, self._passages.remove(one))

    def derive(self, piece: Piece) -> Iterator[Derived]:
        """Yield what a passage says after those before it."""
        index = self._passages.at(piece[1:])
        if index is None:
            return
        one = self._passages.firsts[index]
        loss = self._lost(index)
        if loss is not None and loss.is_late:
            yield late_claim(one, (one,), loss.lost_ms, self._rule.late_ms)
        before = self._passages.firsts[index - 1] if index else None
        if before is None or one.at_ms - before.at_ms > self._rule.longest_ms:
            return
        if self._is_late_no_more(index, loss):
            yield self._end("on_time", one, before, 0.0 if loss is None else loss.lost_ms / 1000)
        for kind, end in ENDS.items() if self._claimed else ():
            if (kind, before.at_ms) in self._claimed and (kind, one.at_ms) not in self._claimed:
                yield self._end(end, one, before, 0.0)

    def _touched(self, at_ms: int, changed: Sequence[Observation] | None) -> set[Piece]:
        """Return the passages that look back at one of that time: the next one, and where a run changes all of it."""
        firsts = self._passages.firsts
        first = self._passages.index((at_ms, ""))
        pieces: set[Piece] = set()
        last_ms = at_ms if changed is None else changed[-1].at_ms + 2 * self._rule.longest_ms
        for one in changed or ():
            pieces.add(_piece_of(one))
        for one in firsts[first:] if first < len(firsts) else ():
            pieces.add(_piece_of(one))
            if one.at_ms > last_ms:
                break
        return pieces

    def _is_late_no_more(self, index: int, loss: "_Lost | None") -> bool:
        """Tell whether lateness ends with a passage: it was there, and is under the lower limit for the first time."""
        if not self._is_on_time(loss):
            return False
        firsts = self._passages.firsts
        for earlier in range(index - 1, -1, -1):
            if firsts[index].at_ms - firsts[earlier].at_ms > self._rule.longest_ms:
                return False
            loss = self._lost(earlier)
            if loss is not None and loss.is_late:
                return True
            if self._is_on_time(loss):
                return False
        return False

    def _is_on_time(self, loss: "_Lost | None") -> bool:
        return loss is None or loss.lost_ms <= self._rule.on_share * loss.limit_ms

    def _end(self, kind: str, one: Observation, before: Observation, value: float) -> Derived:
        return Derived(
            at_ms=one.at_ms,
            kind=kind,
            score=0.9,
            rests_on=(before, one),
            value=value,
            subject=f"{one.line_id}/{one.direction_id}",
        )

    def _lost(self, index: int) -> "_Lost | None":
        """Return what was lost on the way to a passage; None at the first of a run, or where it cannot be told."""
        firsts, rule = self._passages.firsts, self._rule
        course = self._courses.course(firsts[index])
        if course is None:
            return None
        took_ms, planned_ms = 0, 0
        end_ms, end_m = firsts[index].at_ms, course.place_m(firsts[index])
        for at in range(index - 1, -1, -1):
            begin_ms, begin_m = firsts[at].at_ms, course.place_m(firsts[at])
            planned = _between_ms(begin_m, end_m, course.speed_mps)
            step_ms = end_ms - begin_ms
            if planned is None or step_ms > rule.pause_ms or took_ms + step_ms > rule.longest_ms:
                break
            took_ms, planned_ms = took_ms + step_ms, planned_ms + planned
            end_ms, end_m = begin_ms, begin_m
        if planned_ms == 0:
            return None
        return _Lost(took_ms - planned_ms, max(rule.late_ms, rule.late_share * planned_ms))


@dataclass(frozen=True, slots=True)
class Course:
    """Where the stops of a line in a direction are, terminals left out, and how fast its vehicles run by plan."""

    places_m: Mapping[str, float]
    speed_mps: float

    def place_m(self, one: Observation) -> float | None:
        """Return where a passage is; None at a terminal or off the course."""
        return self.places_m.get(stop_of(one))


class Courses:
    """The courses of a city's lines that run by headways."""

    def __init__(self, city: City) -> None:
        self._courses = {
            (line.line_id, pattern.direction_id): _course(line, pattern)
            for line in reversed(city.lines)
            for pattern in reversed(line.patterns)
            if line.headway_s
        }

    def course(self, one: Observation) -> Course | None:
        """Return the course of a passage, None if there is none."""
        return self._courses.get((one.line_id, one.direction_id))


def _course(line: Line, pattern: Pattern) -> Course:
    terminals = pattern.stop_ids[0], pattern.stop_ids[-1]
    stops = zip(reversed(pattern.stop_ids), reversed(pattern.stop_offset_m.tolist()), strict=True)
    places_m = {stop_id: offset_m for stop_id, offset_m in stops if stop_id not in terminals}
    return Course(places_m, SCHEDULED_SPEED_MPS.get(line.mode, SCHEDULED_SPEED_MPS["bus"]))


def _piece_of(one: Observation) -> Piece:
    return Piece(one.at_ms, one.at_ms, one.observation_id)


def _between_ms(begin_m: float | None, end_m: float | None, speed_mps: float) -> int | None:
    """Return the scheduled time between two places on a course; None when they are not one after the other."""
    if begin_m is None or end_m is None or end_m <= begin_m:
        return None
    return round((end_m - begin_m) / speed_mps * 1000)
