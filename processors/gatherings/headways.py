"""Headways at a stop: bunched vehicles, gaps, and how evenly vehicles follow each other.

Sources: docs/thresholds.md#gatherings.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.headway_book import HeadwayBook
from processors.gatherings.line_gathering import derive_from
from processors.gatherings.line_ledger import LineLedger, Place
from processors.gatherings.passages import PASSAGE, stop_of
from processors.gatherings.schedules import HOUR_MS, Schedules
from schemas.records import Observation

MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class HeadwayRule:
    """What SFMTA calls bunched and a gap.

    Bunched: a headway below 2 min, below 1 min where less than 5 min are scheduled. A gap: 5 min more than scheduled.
    repeat_ms: while nobody comes a gap is claimed again. longest_ms: what is scheduled or lasts longer is no headway.
    """

    bunched_ms: int = 2 * MINUTE_MS
    dense_bunched_ms: int = MINUTE_MS
    dense_ms: int = 5 * MINUTE_MS
    gap_ms: int = 5 * MINUTE_MS
    repeat_ms: int = 10 * MINUTE_MS
    longest_ms: int = 60 * MINUTE_MS
    least_headways: int = 3


@dataclass(frozen=True, slots=True)
class Headways:
    """Claims bunched, gap, gap_over and headway_adherence of one stop of a line and direction."""

    city: City
    rule: HeadwayRule = HeadwayRule()
    timetable: Schedules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the schedules that are looked up."""
        object.__setattr__(self, "timetable", Schedules(self.city))

    @property
    def name(self) -> str:
        """Return its name."""
        return "headways"

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds that it takes."""
        return frozenset((PASSAGE,))

    @property
    def reach_ms(self) -> int:
        """Return an hour, the headway that began before it, and what tells whether a vehicle just was there."""
        return HOUR_MS + self.rule.longest_ms + HOUR_MS // 3

    def subjects(self, claim: Observation) -> list[str]:
        """Return line, direction and stop; terminals are left out."""
        stop_id = stop_of(claim)
        if not claim.line_id or self.timetable.is_terminal(claim.line_id, claim.direction_id, stop_id):
            return []
        return [f"{claim.line_id}/{claim.direction_id}/{stop_id}"]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterable[Derived]:
        """Return what the vehicles at a stop, one after the other, say."""
        return derive_from(self, claims)

    def schedules(self) -> Schedules:
        """Return the schedules of its city."""
        return self.timetable

    def book(self) -> HeadwayBook:
        """Return an empty book."""
        return HeadwayBook(self)

    def bunched(self, ledger: LineLedger, place: Place, index: int) -> list[Derived]:
        """Return whether a vehicle, by its index at a place, is bunched with the one before it."""
        rule, at_ms = self.rule, place.at_ms[index]
        headway_ms = at_ms - place.at_ms[index - 1]
        if headway_ms >= rule.bunched_ms or place.by[index] is place.by[index - 1]:
            return []
        way = place.way
        scheduled_ms = self.timetable.schedule(way.line_id, way.direction_id, place.stop_id, at_ms).headway_ms(at_ms)
        dense = scheduled_ms is not None and scheduled_ms < rule.dense_ms
        limit_ms = rule.dense_bunched_ms if dense else rule.bunched_ms
        if headway_ms >= limit_ms:
            return []
        return [
            Derived(
                at_ms=at_ms,
                kind="bunched",
                score=0.6 + 0.3 * (1 - headway_ms / limit_ms),
                rests_on=(ledger.claim_at(place, index),),
                value=headway_ms / 1000,
                subject=place.way.name,
            )
        ]

    def gaps_ms(self, place: Place, index: int) -> list[int]:
        """Return when the time from a passage to the next one is claimed to be a gap, ascending."""
        rule, way, before_ms = self.rule, place.way, place.at_ms[index]
        after_ms = place.at_ms[index + 1] if index + 1 < len(place.at_ms) else None
        if after_ms is not None and after_ms - before_ms < rule.gap_ms:
            return []
        schedule = self.timetable.schedule(way.line_id, way.direction_id, place.stop_id, before_ms)
        scheduled_ms = schedule.next_headway_ms(before_ms)
        if scheduled_ms is None or scheduled_ms > rule.longest_ms - rule.gap_ms:
            return []
        limit_ms = scheduled_ms + rule.gap_ms
        end_ms = before_ms + rule.longest_ms
        until_ms = end_ms if after_ms is None else min(end_ms, after_ms)
        found = range(before_ms + limit_ms, until_ms + 1, rule.repeat_ms)
        return [at_ms for at_ms in found if schedule.has_call(at_ms - limit_ms, at_ms)]

    def gap(self, ledger: LineLedger, place: Place, index: int, at_ms: int) -> Derived:
        """Return the claim at a time that nobody has come since a passage."""
        way, before_ms = place.way, place.at_ms[index]
        schedule = self.timetable.schedule(way.line_id, way.direction_id, place.stop_id, before_ms)
        limit_ms = (schedule.next_headway_ms(before_ms) or 0) + self.rule.gap_ms
        score = min(0.95, 0.35 * (at_ms - before_ms) / limit_ms + 0.3)
        return self._since("gap", at_ms, place, index, score, ledger.claim_at(place, index))

    def gap_over(self, ledger: LineLedger, place: Place, index: int) -> Derived | None:
        """Return the claim that the gap since a passage is over; None if nobody came while it was one."""
        at_ms = place.at_ms[index + 1] if index + 1 < len(place.at_ms) else None
        if at_ms is None or at_ms > place.at_ms[index] + self.rule.longest_ms:
            return None
        return self._since("gap_over", at_ms, place, index, 0.9, ledger.claim_at(place, index + 1))

    def adherence(self, ledger: LineLedger, place: Place, end_ms: int) -> Derived | None:
        """Return of an hour the standard deviation of headway deviations through the mean scheduled headway."""
        rule, way, times = self.rule, place.way, place.at_ms
        first, last = place.index(end_ms - HOUR_MS, -1), place.index(end_ms, -1)
        if last - first < rule.least_headways:
            return None
        schedule = self.timetable.schedule(way.line_id, way.direction_id, place.stop_id, end_ms - 1)
        deviations_ms, planned_ms, newest = [], 0, -1
        for index in range(max(first, 1), last):
            headway_ms, scheduled_ms = times[index] - times[index - 1], schedule.headway_ms(times[index])
            if scheduled_ms is not None and headway_ms <= rule.longest_ms and scheduled_ms <= rule.longest_ms:
                deviations_ms.append(headway_ms - scheduled_ms)
                planned_ms += scheduled_ms
                newest = index
        count = len(deviations_ms)
        if count < rule.least_headways:
            return None
        mean_ms = sum(deviations_ms) / count
        spread_ms = math.sqrt(sum((one - mean_ms) ** 2 for one in deviations_ms) / count)
        return Derived(
            at_ms=end_ms,
            kind="headway_adherence",
            score=1.0,
            rests_on=(ledger.claim_at(place, newest),),
            value=spread_ms * count / planned_ms,
            subject=place.name,
            witness_id=place.name,
        )

    def _since(self, kind: str, at_ms: int, place: Place, index: int, score: float, cause: Observation) -> Derived:
        return Derived(
            at_ms=at_ms,
            kind=kind,
            score=score,
            rests_on=(cause,),
            value=(at_ms - place.at_ms[index]) / 1000,
            subject=place.way.name,
            witness_id=place.name,
        )
