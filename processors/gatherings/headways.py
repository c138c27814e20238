"""Headways at a stop: bunched vehicles, gaps, and how evenly vehicles follow each other.

Sources: docs/thresholds.md#gatherings.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived, Piece, derive_by_pieces
from processors.gatherings.passages import PASSAGE, Passages, stop_of
from processors.gatherings.schedules import Schedules
from processors.incidents.clusters import order_of
from schemas.records import Observation

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS


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
    _schedules: Schedules = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the schedules that are looked up."""
        object.__setattr__(self, "_schedules", Schedules(self.city))

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
        if not claim.line_id or self._schedules.is_terminal(claim):
            return []
        return [f"{claim.line_id}/{claim.direction_id}/{stop_of(claim)}"]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield what the vehicles at a stop, one after the other, say."""
        return derive_by_pieces(self.sheet(subject), claims)

    def sheet(self, subject: str) -> "HeadwaySheet":
        """Return an empty sheet of a stop."""
        return HeadwaySheet(subject, self.rule, self._schedules)


class HeadwaySheet:
    """The passages of a stop; its pieces are the time from each to the next, and every hour."""

    __slots__ = ("_passages", "_rule", "_schedules", "_subject")

    def __init__(self, subject: str, rule: HeadwayRule, schedules: Schedules) -> None:
        self._subject, self._rule, self._schedules = subject, rule, schedules
        self._passages = Passages()

    def add(self, one: Observation) -> set[Piece]:
        """Take a passage; return it, the one before and the hours that both end headways in."""
        return self._touched(self._passages.add(one))

    def remove(self, one: Observation) -> set[Piece]:
        """Take a passage back; return the same."""
        return self._touched(self._passages.remove(one))

    def derive(self, piece: Piece) -> Iterator[Derived]:
        """Yield what the headway from a passage on says, or those of an hour."""
        if not piece.name:
            yield from self._adherence(piece.at_ms)
            return
        index, firsts = self._passages.at(piece[1:]), self._passages.firsts
        if index is None:
            return
        before, after = firsts[index], firsts[index + 1] if index + 1 < len(firsts) else None
        if piece.at_ms > piece.of_ms:
            yield from self._gap(before, after)
        elif after is not None and after.at_ms - before.at_ms <= self._rule.longest_ms:
            yield from self._bunched(before, after)

    def _touched(self, changed: Sequence[Observation]) -> set[Piece]:
        pieces: set[Piece] = set()
        firsts = self._passages.firsts
        for one in changed:
            index = self._passages.index(order_of(one))
            pieces.update(self._pieces_of(one))
            if index:
                pieces.update(self._pieces_of(firsts[index - 1]))
            index += index < len(firsts) and firsts[index] is one
            if index < len(firsts):
                pieces.add(_hour_of(firsts[index]))
        return pieces

    def _pieces_of(self, one: Observation) -> tuple[Piece, ...]:
        """Return the headway from a passage on, its gap, which is there once it is long, and the hour."""
        order = order_of(one)
        return Piece(one.at_ms, *order), Piece(one.at_ms + self._rule.gap_ms, *order), _hour_of(one)

    def _bunched(self, before: Observation, after: Observation) -> Iterator[Derived]:
        headway_ms = after.at_ms - before.at_ms
        if headway_ms >= self._rule.bunched_ms or before.device_id == after.device_id:
            return
        scheduled_ms = self._schedules.schedule(after).headway_ms(after.at_ms)
        dense = scheduled_ms is not None and scheduled_ms < self._rule.dense_ms
        limit_ms = self._rule.dense_bunched_ms if dense else self._rule.bunched_ms
        if headway_ms < limit_ms:
            yield Derived(
                at_ms=after.at_ms,
                kind="bunched",
                score=0.6 + 0.3 * (1 - headway_ms / limit_ms),
                rests_on=(before, after),
                value=headway_ms / 1000,
                subject=_way(after),
            )

    def _gap(self, before: Observation, after: Observation | None) -> Iterator[Derived]:
        if after is not None and after.at_ms - before.at_ms < self._rule.gap_ms:
            return
        schedule = self._schedules.schedule(before)
        scheduled_ms = schedule.next_headway_ms(before.at_ms)
        if scheduled_ms is None or scheduled_ms > self._rule.longest_ms - self._rule.gap_ms:
            return
        limit_ms = scheduled_ms + self._rule.gap_ms
        end_ms = before.at_ms + self._rule.longest_ms
        until_ms = end_ms if after is None else min(end_ms, after.at_ms)
        gaps_ms = range(before.at_ms + limit_ms, until_ms + 1, self._rule.repeat_ms)
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

    def _adherence(self, end_ms: int) -> Iterator[Derived]:
        """Yield of an hour the standard deviation of headway deviations through the mean scheduled headway."""
        firsts, found = self._passages.firsts, []
        first, last = (self._passages.index((at_ms, "")) for at_ms in (end_ms - HOUR_MS, end_ms))
        for index in range(max(first, 1), last):
            after = firsts[index]
            headway_ms = after.at_ms - firsts[index - 1].at_ms
            scheduled_ms = self._schedules.schedule(after).headway_ms(after.at_ms)
            if scheduled_ms is not None and max(headway_ms, scheduled_ms) <= self._rule.longest_ms:
                found.append((headway_ms, scheduled_ms, after))
        if len(found) >= self._rule.least_headways:
            deviations_ms = [headway_ms - scheduled_ms for headway_ms, scheduled_ms, _ in found]
            mean_ms = sum(deviations_ms) / len(found)
            spread_ms = math.sqrt(sum((one - mean_ms) ** 2 for one in deviations_ms) / len(found))
            yield Derived(
                at_ms=end_ms,
                kind="headway_adherence",
                score=1.0,
                rests_on=tuple(one for _, _, one in found),
                value=spread_ms * len(found) / sum(scheduled_ms for _, scheduled_ms, _ in found),
                subject=self._subject,
                witness_id=self._subject,
            )


def _hour_of(one: Observation) -> Piece:
    end_ms = (one.at_ms // HOUR_MS + 1) * HOUR_MS
    return Piece(end_ms, end_ms)


def _way(one: Observation) -> str:
    return f"{one.line_id}/{one.direction_id}"
