"""Runs of one vehicle along a line: lateness where only headways are planned, and the ends of lateness and bunching.

Sources: docs/thresholds.md#gatherings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.passages import PASSAGE, first_passages, pattern_of, stop_of
from processors.gatherings.punctuality import late_claim
from processors.network import Pattern
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
        passages = first_passages([one for one in claims if one.kind == PASSAGE])
        lost = self._lost(passages)
        claimed = {(one.kind, one.at_ms): one for one in claims if one.kind in ENDS}
        for index, one in enumerate(passages):
            loss = lost[index]
            if loss is not None and loss.is_late:
                yield late_claim(one, (one,), loss.lost_ms, self.rule.late_ms)
            if index == 0 or one.at_ms - passages[index - 1].at_ms > self.rule.longest_ms:
                continue
            before = passages[index - 1]
            if self._is_late_no_more(index, passages, lost):
                yield self._end("on_time", one, before, 0.0 if loss is None else loss.lost_ms / 1000)
            for kind, end in ENDS.items():
                if (kind, before.at_ms) in claimed and (kind, one.at_ms) not in claimed:
                    yield self._end(end, one, before, 0.0)

    def _is_late_no_more(self, index: int, passages: Sequence[Observation], lost: Sequence[_Lost | None]) -> bool:
        """Tell whether lateness ends with a passage: it was there, and is under the lower limit for the first time."""
        if not self._is_on_time(lost[index]):
            return False
        for earlier in range(index - 1, -1, -1):
            loss = lost[earlier]
            if loss is not None and loss.is_late:
                return True
            if self._is_on_time(loss) or passages[index].at_ms - passages[earlier].at_ms > self.rule.longest_ms:
                return False
        return False

    def _is_on_time(self, loss: _Lost | None) -> bool:
        return loss is None or loss.lost_ms <= self.rule.on_share * loss.limit_ms

    def _end(self, kind: str, one: Observation, before: Observation, value: float) -> Derived:
        return Derived(
            at_ms=one.at_ms,
            kind=kind,
            score=0.9,
            rests_on=(before, one),
            value=value,
            subject=f"{one.line_id}/{one.direction_id}",
        )

    # --- lost time --------------------------------------------------------------------------------------------------

    def _lost(self, passages: Sequence[Observation]) -> list[_Lost | None]:
        """Return for every passage what its run has lost so far; None where that cannot be told."""
        line = next((line for line in self.city.lines if passages and line.line_id == passages[0].line_id), None)
        pattern = None if line is None else pattern_of(self.city, line.line_id, passages[0].direction_id)
        if line is None or not line.headway_s or pattern is None:
            return [None] * len(passages)
        speed_mps = SCHEDULED_SPEED_MPS.get(line.mode, SCHEDULED_SPEED_MPS["bus"])
        places_m = [_place_m(pattern, one) for one in passages]
        scheduled_ms = [None, *(_between_ms(begin, end, speed_mps) for begin, end in pairwise(places_m))]
        return [self._lost_by(index, passages, scheduled_ms) for index in range(len(passages))]

    def _lost_by(self, index: int, passages: Sequence[Observation], scheduled_ms: Sequence[int | None]) -> _Lost | None:
        """Return what was lost on the way to a passage; None at the first of a run."""
        took_ms, planned_ms = 0, 0
        for at in range(index, 0, -1):
            step_ms, planned = passages[at].at_ms - passages[at - 1].at_ms, scheduled_ms[at]
            if planned is None or step_ms > self.rule.pause_ms or took_ms + step_ms > self.rule.longest_ms:
                break
            took_ms, planned_ms = took_ms + step_ms, planned_ms + planned
        if planned_ms == 0:
            return None
        return _Lost(took_ms - planned_ms, max(self.rule.late_ms, self.rule.late_share * planned_ms))


def _between_ms(begin_m: float | None, end_m: float | None, speed_mps: float) -> int | None:
    """Return the scheduled time between two places on a course; None when they are not one after the other."""
    if begin_m is None or end_m is None or end_m <= begin_m:
        return None
    return round((end_m - begin_m) / speed_mps * 1000)


def _place_m(pattern: Pattern, one: Observation) -> float | None:
    """Return where on its course a passage is; None at a terminal or off the course."""
    stop = stop_of(one)
    if stop not in pattern.stop_ids or stop in (pattern.stop_ids[0], pattern.stop_ids[-1]):
        return None
    return float(pattern.stop_offset_m[pattern.stop_ids.index(stop)])
