"""Headways at a stop: bunched vehicles, gaps, and how evenly vehicles follow each other.

Sources: docs/thresholds.md#gatherings.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.passages import PASSAGE, calls_at, first_passages, is_terminal, stop_of
from schemas.records import Observation

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class HeadwayRule:
    """SFMTA: a headway below 2 min is bunched, below 1 min where less than 5 min are scheduled; a gap is 5 min more
    than scheduled.

    repeat_ms: while nobody comes a gap is claimed again. longest_ms: what is scheduled or lasts longer is no headway.
    """  # noqa: D205

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
        if not claim.line_id or is_terminal(self.city, claim):
            return []
        return [f"{claim.line_id}/{claim.direction_id}/{stop_of(claim)}"]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield what the vehicles at a stop, one after the other, say."""
        passages = first_passages(claims)
        longest_ms = self.rule.longest_ms
        from_ms, until_ms = passages[0].at_ms - 2 * longest_ms, passages[-1].at_ms + 2 * longest_ms
        schedule = Schedule(tuple(sorted({call.due_ms for call in calls_at(self.city, claims[0], from_ms, until_ms)})))
        for before, after in pairwise(passages):
            if after.at_ms - before.at_ms <= longest_ms and before.device_id != after.device_id:
                yield from self._bunched(before, after, schedule)
        for before, nothing in zip(passages, [*passages[1:], None], strict=True):
            yield from self._gap(before, nothing, schedule)
        yield from self._adherence(subject, passages, schedule)

    def _bunched(self, before: Observation, after: Observation, schedule: "Schedule") -> Iterator[Derived]:
        headway_ms, scheduled_ms = after.at_ms - before.at_ms, schedule.headway_ms(after.at_ms)
        dense = scheduled_ms is not None and scheduled_ms < self.rule.dense_ms
        limit_ms = self.rule.dense_bunched_ms if dense else self.rule.bunched_ms
        if headway_ms < limit_ms:
            yield Derived(
                at_ms=after.at_ms,
                kind="bunched",
                score=0.6 + 0.3 * (1 - headway_ms / limit_ms),
                rests_on=(before, after),
                value=headway_ms / 1000,
                subject=_way(after),
            )

    def _gap(self, before: Observation, after: Observation | None, schedule: "Schedule") -> Iterator[Derived]:
        scheduled_ms = schedule.next_headway_ms(before.at_ms)
        if scheduled_ms is None or scheduled_ms > self.rule.longest_ms - self.rule.gap_ms:
            return
        limit_ms = scheduled_ms + self.rule.gap_ms
        end_ms = before.at_ms + self.rule.longest_ms
        until_ms = end_ms if after is None else min(end_ms, after.at_ms)
        gaps_ms = range(before.at_ms + limit_ms, until_ms + 1, self.rule.repeat_ms)
        claimed = [at_ms for at_ms in gaps_ms if schedule.has_call(at_ms - limit_ms, at_ms)]
        for at_ms in claimed:
            yield self._claim(
                "gap", at_ms, before, (before,), min(0.95, 0.35 * (at_ms - before.at_ms) / limit_ms + 0.3)
            )
        if claimed and after is not None and after.at_ms <= end_ms:
            yield self._claim("gap_over", after.at_ms, before, (before, after), 0.9)

    def _claim(
        self, kind: str, at_ms: int, before: Observation, rests_on: tuple[Observation, ...], score: float
    ) -> Derived:
        return Derived(
            at_ms=at_ms,
            kind=kind,
            score=score,
            rests_on=rests_on,
            value=(at_ms - before.at_ms) / 1000,
            subject=_way(before),
            witness_id=f"{_way(before)}/{stop_of(before)}",
        )

    def _adherence(self, subject: str, passages: Sequence[Observation], schedule: "Schedule") -> Iterator[Derived]:
        """Yield for every hour the standard deviation of headway deviations through the mean scheduled headway."""
        hours: dict[int, list[tuple[int, int, Observation]]] = {}
        for before, after in pairwise(passages):
            headway_ms, scheduled_ms = after.at_ms - before.at_ms, schedule.headway_ms(after.at_ms)
            if scheduled_ms is not None and max(headway_ms, scheduled_ms) <= self.rule.longest_ms:
                hours.setdefault(after.at_ms // HOUR_MS, []).append((headway_ms, scheduled_ms, after))
        for hour, found in hours.items():
            if len(found) >= self.rule.least_headways:
                deviations_ms = [headway_ms - scheduled_ms for headway_ms, scheduled_ms, _ in found]
                mean_ms = sum(deviations_ms) / len(found)
                spread_ms = math.sqrt(sum((one - mean_ms) ** 2 for one in deviations_ms) / len(found))
                yield Derived(
                    at_ms=(hour + 1) * HOUR_MS,
                    kind="headway_adherence",
                    score=1.0,
                    rests_on=tuple(one for _, _, one in found),
                    value=spread_ms * len(found) / sum(scheduled_ms for _, scheduled_ms, _ in found),
                    subject=subject,
                    witness_id=subject,
                )


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
        return bisect_left(self.due_ms, after_ms + 1) < bisect_left(self.due_ms, until_ms + 1)

    def _nearest(self, at_ms: int) -> int | None:
        index = bisect_left(self.due_ms, at_ms)
        near = [one for one in (index - 1, index) if 0 <= one < len(self.due_ms)]
        return min(near, key=lambda one: abs(self.due_ms[one] - at_ms), default=None)


def _way(one: Observation) -> str:
    return f"{one.line_id}/{one.direction_id}"
