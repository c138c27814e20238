"""Lateness at a stop of a line that runs by a timetable.

Sources: docs/thresholds.md#gatherings.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from processors.city import City
from processors.gatherings.contract import Derived
from processors.gatherings.line_gathering import derive_from
from processors.gatherings.line_ledger import LineLedger, Place
from processors.gatherings.passages import PASSAGE, late_claim, stop_of
from processors.gatherings.punctuality_book import PunctualityBook, trip_at
from processors.gatherings.schedules import Schedule, Schedules
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
    timetable: Schedules = field(init=False, repr=False, compare=False)
    by_headway: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Know the lines that have headways, and the schedules that are looked up."""
        by_headway = frozenset(line.line_id for line in self.city.lines if line.headway_s)
        object.__setattr__(self, "by_headway", by_headway)
        object.__setattr__(self, "timetable", Schedules(self.city))

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
        line_id, direction_id, stop_id = claim.line_id, claim.direction_id, stop_of(claim)
        if not line_id or line_id in self.by_headway or self.timetable.is_terminal(line_id, direction_id, stop_id):
            return []
        return [f"{line_id}/{direction_id}/{stop_id}"]

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterable[Derived]:
        """Return the late passages."""
        return derive_from(self, claims)

    def schedules(self) -> Schedules:
        """Return the schedules of its city."""
        return self.timetable

    def book(self) -> PunctualityBook:
        """Return an empty book."""
        return PunctualityBook(self)

    def late(self, ledger: LineLedger, place: Place, index: int) -> Derived | None:
        """Return the claim that a passage, by its index at a place, is late; None if it is not, or nobody can tell."""
        rule, way, at_ms = self.rule, place.way, place.at_ms[index]
        schedule = self.timetable.schedule(way.line_id, way.direction_id, place.stop_id, at_ms)
        trip = trip_at(place, index)
        if trip:
            told = [at_ms - due_ms for due_ms in schedule.trip_ms.get(trip, ())]
            delay_ms = min((each for each in told if abs(each) < rule.told_ms), key=abs, default=None)
        else:
            delay_ms = self._untold_ms(place, index, schedule)
        if delay_ms is None or delay_ms <= rule.late_ms:
            return None
        return late_claim(ledger.claim_at(place, index), delay_ms, rule.late_ms)

    def _untold_ms(self, place: Place, index: int, schedule: Schedule) -> int | None:
        """Return how late a passage is that tells no trip: those around it share out the trips that nobody tells."""
        rule, at_ms = self.rule, place.at_ms[index]
        around = range(place.index(at_ms - rule.window_ms, -1), place.index(at_ms + rule.window_ms + 1, -1))
        trips = {each: trip_at(place, each) for each in around}
        taken, untold = set(trips.values()), [each for each, trip in trips.items() if not trip]
        passed_ms = [place.at_ms[each] for each in untold]
        from_ms, until_ms = passed_ms[0] - rule.latest_ms, passed_ms[-1] + rule.early_ms
        free_ms = [
            call.due_ms for call in schedule.calls if from_ms <= call.due_ms <= until_ms and call.trip_id not in taken
        ]
        return share_out(passed_ms, free_ms, rule)[untold.index(index)]


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
