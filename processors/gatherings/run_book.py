"""What passages have said about the runs of vehicles, kept up to date as they come."""

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from processors.city import City
from processors.gatherings.contract import Derived, observation_of
from processors.gatherings.line_ledger import LineLedger, Place, Vehicle
from processors.gatherings.packed_claims import PackedClaims
from processors.gatherings.passages import late_claim
from processors.gatherings.said import Said
from processors.network import Line, Pattern
from processors.timetable import SCHEDULED_SPEED_MPS
from schemas.records import Observation

if TYPE_CHECKING:
    from processors.gatherings.runs import Runs

ENDS: Final = {"bunched": "unbunched", "running_late": "on_time"}
END_SCORE: Final = 0.9
NEVER_MS: Final = 1 << 62


class Lost(NamedTuple):
    """What a run has lost so far, and from where on that is late."""

    lost_ms: int
    limit_ms: float


class Progress:
    """Of every passage of a vehicle that counts: the time since its run began, and what that should have been.

    A passage that begins a run has 0 and 0. places_m: by number of the stop, None at a terminal or off the course.
    """

    __slots__ = ("course", "planned_ms", "ran_ms")

    def __init__(self, course: "Course") -> None:
        self.course = course
        self.ran_ms = array("i")
        self.planned_ms = array("i")


class RunBook:
    """Its pieces are the passages of a vehicle."""

    def __init__(self, gathering: "Runs") -> None:
        self._name, self._rule, self._courses = gathering.name, gathering.rule, gathering.courses
        self._ledger: LineLedger
        self._said = Said()
        self._changed: dict[tuple[Vehicle, int, int], None] = {}
        self._later: list[tuple[int, int, tuple[Vehicle, int, int]]] = []
        self._turns = count()
        self._progress: dict[Vehicle, Progress | None] = {}
        self._places_m: dict[int, float | None] = {}

    def came(self, vehicle: Vehicle, index: int, place: Place, place_index: int) -> None:
        """Take note of a passage, and of those after it, which look back at it."""
        if place.code not in self._places_m:
            course = self._courses.course(vehicle.way.line_id, vehicle.way.direction_id)
            self._places_m[place.code] = None if course is None else course.places_m.get(place.stop_id)
        if vehicle not in self._progress:
            course = self._courses.course(vehicle.way.line_id, vehicle.way.direction_id)
            self._progress[vehicle] = None if course is None else Progress(course)
        progress = self._progress[vehicle]
        if progress is not None:
            progress.ran_ms.insert(index, 0)
            progress.planned_ms.insert(index, 0)
            self._go(progress, vehicle.firsts, index)
        self._change(vehicle, index)

    def left(self, vehicle: Vehicle, index: int, place: Place, place_index: int, order: tuple[int, int]) -> None:
        """Take note of the same as to a passage that counts no more."""
        progress = self._progress[vehicle]
        if progress is not None:
            del progress.ran_ms[index], progress.planned_ms[index]
            self._go(progress, vehicle.firsts, index)
        if not vehicle.firsts:
            del self._progress[vehicle]
        self._changed[vehicle, *order] = None
        self._change(vehicle, index)

    def marked(self, vehicle: Vehicle, at_ms: int) -> None:
        """Take note of the passages at the time of a mark, and of the next one, at which what it says may end."""
        firsts = vehicle.firsts
        for index in range(bisect_left(firsts.at_ms, at_ms), len(firsts)):
            self._changed[vehicle, firsts.at_ms[index], firsts.number(index)] = None
            if firsts.at_ms[index] > at_ms:
                break

    def forgot(self, vehicle: Vehicle, count: int) -> None:
        """Take note that the first passages of a vehicle that counted were forgotten."""
        progress = self._progress[vehicle]
        if progress is not None:
            del progress.ran_ms[:count], progress.planned_ms[:count]
        if not vehicle.firsts:
            del self._progress[vehicle]

    def open(self, ledger: LineLedger) -> None:
        """Read a ledger from now on."""
        self._ledger = ledger

    def wake_ms(self) -> int:
        """Return the first tick at which something counts though nothing came."""
        if self._changed:
            return 0
        return self._later[0][0] if self._later else NEVER_MS

    def derive(self, tick_ms: int, oldest_ms: int) -> list[Observation]:
        """Return what is new up to a tick and what is said no longer, both not older than a time, in their order."""
        while self._later and self._later[0][0] <= tick_ms:
            self._changed[heapq.heappop(self._later)[2]] = None
        changed, self._changed = self._changed, {}
        said = self._said
        for key in changed:
            vehicle, at_ms, number = key
            if at_ms > tick_ms:
                heapq.heappush(self._later, (at_ms, next(self._turns), key))
                continue
            index = vehicle.firsts.place(at_ms, number)
            stands = at_ms >= oldest_ms and vehicle.firsts.holds(index, at_ms, number)
            made = self._at(vehicle, index) if stands else ()
            if made or key in said:
                name = f"{vehicle.way.name}/{vehicle.whose.device_id}"
                said.say(key, [observation_of(self._name, name, one) for one in made])
        return said.changes(oldest_ms)

    def forget(self, oldest_ms: int) -> None:
        """Let go what was said of before a time."""
        self._said.forget(oldest_ms)

    def derive_all(self, ledger: LineLedger) -> Iterator[Derived]:
        """Yield everything that follows, whenever it counts."""
        for vehicle in ledger.vehicles:
            for index in range(len(vehicle.firsts)):
                yield from self._at(vehicle, index)

    def _change(self, vehicle: Vehicle, index: int) -> None:
        """Look again at the passages from an index on."""
        firsts = vehicle.firsts
        for at in range(index, len(firsts)):
            self._changed[vehicle, firsts.at_ms[at], firsts.number(at)] = None

    def _at(self, vehicle: Vehicle, index: int) -> Sequence[Derived]:
        """Return what a passage says after those before it."""
        rule, times = self._rule, vehicle.firsts.at_ms
        progress = self._progress[vehicle]
        loss = None if progress is None else self._lost(progress, times, index)
        made = []
        if loss is not None and loss.lost_ms > loss.limit_ms:
            made.append(late_claim(self._ledger.claim(vehicle, index), loss.lost_ms, rule.late_ms))
        if not index or times[index] - times[index - 1] > rule.longest_ms:
            return made
        if progress is not None and self._is_late_no_more(progress, times, index, loss):
            made.append(self._end("on_time", vehicle, index, 0.0 if loss is None else loss.lost_ms / 1000))
        if vehicle.marks is not None:
            was, now = (_kinds_at(vehicle.marks, times[at]) for at in (index - 1, index))
            made += [
                self._end(end, vehicle, index, 0.0) for kind, end in ENDS.items() if kind in was and kind not in now
            ]
        return made

    def _end(self, kind: str, vehicle: Vehicle, index: int, value: float) -> Derived:
        return Derived(
            at_ms=vehicle.firsts.at_ms[index],
            kind=kind,
            score=END_SCORE,
            rests_on=(self._ledger.claim(vehicle, index),),
            value=value,
            subject=vehicle.way.name,
        )

    def _is_late_no_more(self, progress: Progress, times: "array[int]", index: int, loss: Lost | None) -> bool:
        """Tell whether lateness ends with a passage: it was there, and is under the lower limit for the first time."""
        if not self._is_on_time(loss):
            return False
        for earlier in range(index - 1, -1, -1):
            if times[index] - times[earlier] > self._rule.longest_ms:
                return False
            loss = self._lost(progress, times, earlier)
            if loss is not None and loss.lost_ms > loss.limit_ms:
                return True
            if self._is_on_time(loss):
                return False
        return False

    def _is_on_time(self, loss: Lost | None) -> bool:
        return loss is None or loss.lost_ms <= self._rule.on_share * loss.limit_ms

    def _lost(self, progress: Progress, times: "array[int]", index: int) -> Lost | None:
        """Return what was lost on the way to a passage; None at the first of a run, or where it cannot be told."""
        rule, took_ms, planned_ms = self._rule, progress.ran_ms[index], progress.planned_ms[index]
        if took_ms > rule.longest_ms:
            first = bisect_left(times, times[index] - rule.longest_ms)
            took_ms, planned_ms = times[index] - times[first], planned_ms - progress.planned_ms[first]
        if planned_ms == 0:
            return None
        return Lost(took_ms - planned_ms, max(rule.late_ms, rule.late_share * planned_ms))

    def _go(self, progress: Progress, firsts: PackedClaims, index: int) -> None:
        """Reckon anew from a passage on, as far as its run goes."""
        times, heads, ran_ms, planned_ms = firsts.at_ms, firsts.head, progress.ran_ms, progress.planned_ms
        places_m, pause_ms, speed_mps = self._places_m, self._rule.pause_ms, progress.course.speed_mps
        for at in range(index, len(times)):
            step_ms, planned = 0, None
            if at:
                step_ms = times[at] - times[at - 1]
                planned = _between_ms(places_m[heads[at - 1]], places_m[heads[at]], speed_mps)
            if planned is None or step_ms > pause_ms:
                goes_on = at <= index + 1 or planned_ms[at] != 0 or ran_ms[at] != 0
                ran_ms[at], planned_ms[at] = 0, 0
                if not goes_on:
                    return
            else:
                ran_ms[at], planned_ms[at] = ran_ms[at - 1] + step_ms, planned_ms[at - 1] + planned


@dataclass(frozen=True, slots=True)
class Course:
    """Where the stops of a line in a direction are, terminals left out, and how fast its vehicles run by plan."""

    places_m: Mapping[str, float]
    speed_mps: float


class Courses:
    """The courses of a city's lines that run by headways."""

    def __init__(self, city: City) -> None:
        self._courses = {
            (line.line_id, pattern.direction_id): _course(line, pattern)
            for line in reversed(city.lines)
            for pattern in reversed(line.patterns)
            if line.headway_s
        }

    def course(self, line_id: str, direction_id: int) -> Course | None:
        """Return the course of a line in a direction, None if there is none."""
        return self._courses.get((line_id, direction_id))


def _course(line: Line, pattern: Pattern) -> Course:
    terminals = pattern.stop_ids[0], pattern.stop_ids[-1]
    stops = zip(reversed(pattern.stop_ids), reversed(pattern.stop_offset_m.tolist()), strict=True)
    places_m = {stop_id: offset_m for stop_id, offset_m in stops if stop_id not in terminals}
    return Course(places_m, SCHEDULED_SPEED_MPS.get(line.mode, SCHEDULED_SPEED_MPS["bus"]))


def _kinds_at(marks: PackedClaims, at_ms: int) -> frozenset[str]:
    """Return the kinds of what was claimed at a time."""
    index, found = bisect_left(marks.at_ms, at_ms), set()
    while index < len(marks) and marks.at_ms[index] == at_ms:
        found.add(marks.kind(index))
        index += 1
    return frozenset(found)


def _between_ms(begin_m: float | None, end_m: float | None, speed_mps: float) -> int | None:
    """Return the scheduled time between two places on a course; None when they are not one after the other."""
    if begin_m is None or end_m is None or end_m <= begin_m:
        return None
    return round((end_m - begin_m) / speed_mps * 1000)
