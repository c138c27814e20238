"""Lateness at a stop of a line that runs by a timetable.

Sources: docs/thresholds.md#gatherings.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.passages import PASSAGE, Call, calls_at, first_passages, is_terminal, stop_of, trip_of
from schemas.records import Observation

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class PunctualityRule:
    """TCQSM: on time is from 1 min early to 5 min late.

    early_ms, latest_ms: no vehicle is taken for a trip that much earlier or later. early_cost: how much less likely a
    minute early is than a minute late. window_ms: passages that much earlier and later share out the trips.
    """

    late_ms: int = 5 * MINUTE_MS
    early_ms: int = 15 * MINUTE_MS
    latest_ms: int = 45 * MINUTE_MS
    early_cost: float = 3.0
    window_ms: int = 30 * MINUTE_MS
    told_ms: int = 120 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Punctuality:
    """Claims running_late at a stop for passages of trips known by the timetable.

    The trip is the one that the vehicle tells. Where it tells none, the passages around it and the trips that nobody
    tells are paired in their order, so that all together are the least late.
    """

    city: City
    rule: PunctualityRule = PunctualityRule()
    _by_headway: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the lines that have headways."""
        by_headway = frozenset(line.line_id for line in self.city.lines if line.headway_s)
        object.__setattr__(self, "_by_headway", by_headway)

    @property
    def name(self) -> str:
        """Return its name."""
        return "punctuality"

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds that it takes."""
        return frozenset((PASSAGE,))

    @property
    def reach_ms(self) -> int:
        """Return the window of passages, and what tells whether a vehicle just was there."""
        return self.rule.window_ms + 20 * MINUTE_MS

    def subjects(self, claim: Observation) -> list[str]:
        """Return line, direction and stop of a line without headways; terminals are left out."""
        if not claim.line_id or claim.line_id in self._by_headway or is_terminal(self.city, claim):
            return []
        return [f"{claim.line_id}/{claim.direction_id}/{stop_of(claim)}"]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterator[Derived]:
        """Yield the late passages."""
        rule, passages = self.rule, first_passages(claims)
        from_ms, until_ms = passages[0].at_ms - rule.told_ms, passages[-1].at_ms + rule.told_ms
        calls = calls_at(self.city, claims[0], from_ms, until_ms)
        for one in passages:
            delay_ms = self._delay_ms(one, passages, calls)
            if delay_ms is not None and delay_ms > rule.late_ms:
                yield late_claim(one, (one,), delay_ms, rule.late_ms)

    def _delay_ms(self, one: Observation, passages: Sequence[Observation], calls: Sequence[Call]) -> int | None:
        told = [one.at_ms - call.due_ms for call in calls if call.trip_id and call.trip_id == trip_of(one)]
        near = [delay_ms for delay_ms in told if abs(delay_ms) < self.rule.told_ms]
        if near:
            return min(near, key=abs)
        around = [each for each in passages if abs(each.at_ms - one.at_ms) <= self.rule.window_ms]
        taken = {trip_of(each) for each in around}
        free = [call for call in calls if call.trip_id not in taken]
        untold = [each for each in around if not trip_of(each)]
        if trip_of(one):
            return None
        return share_out([each.at_ms for each in untold], [call.due_ms for call in free], self.rule)[untold.index(one)]


def share_out(passed_ms: Sequence[int], due_ms: Sequence[int], rule: PunctualityRule) -> list[int | None]:
    """Pair passages with calls, both ascending and in their order, at the least cost; return delays, None = no call.

    A passage without a call costs as much as the greatest delay.
    """
    costs = [0.0] * (len(due_ms) + 1)
    choices: list[list[int]] = []
    for at_ms in passed_ms:
        best, chosen = [costs[0] + rule.latest_ms], [-1]
        for index, due in enumerate(due_ms):
            options = [(best[index], chosen[index]), (costs[index + 1] + rule.latest_ms, -1)]
            options.append((costs[index] + _cost(at_ms - due, rule), index))
            cost, choice = min(options, key=lambda option: option[0])
            best.append(cost)
            chosen.append(choice)
        costs = best
        choices.append(chosen)
    delays: list[int | None] = []
    upto = len(due_ms)
    for at_ms, chosen in zip(reversed(passed_ms), reversed(choices), strict=True):
        choice = chosen[upto]
        delays.append(None if choice < 0 else at_ms - due_ms[choice])
        upto = upto if choice < 0 else choice
    return delays[::-1]


def _cost(delay_ms: int, rule: PunctualityRule) -> float:
    if delay_ms > rule.latest_ms or delay_ms < -rule.early_ms:
        return math.inf
    return delay_ms if delay_ms >= 0 else -delay_ms * rule.early_cost


def late_claim(one: Observation, rests_on: tuple[Observation, ...], delay_ms: int, late_ms: int) -> Derived:
    """Return the claim that a vehicle is that late; the score grows up to three times the limit."""
    return Derived(
        at_ms=one.at_ms,
        kind="running_late",
        score=min(0.95, 0.5 + 0.15 * delay_ms / late_ms),
        rests_on=rests_on,
        value=delay_ms / 1000,
        subject=f"{one.line_id}/{one.direction_id}",
    )
