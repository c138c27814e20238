"""What passages have said about lateness by a timetable, kept up to date as they come."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from processors.gatherings.contract import Derived, observation_of
from processors.gatherings.line_ledger import LineLedger, Place, Vehicle
from processors.gatherings.said import Said
from schemas.records import Observation

if TYPE_CHECKING:
    from processors.gatherings.punctuality import Punctuality

NEVER_MS: Final = 1 << 62


class PunctualityBook:
    """Its pieces are the passages of a stop; one that tells no trip depends on those around it."""

    def __init__(self, gathering: "Punctuality") -> None:
        self._gathering, self._name, self._rule = gathering, gathering.name, gathering.rule
        self._by_headway = gathering.by_headway
        self._ledger: LineLedger
        self._said = Said()
        self._changed: dict[tuple[int, int, int], None] = {}
        self._later: list[tuple[int, int, int]] = []
        self._untold: dict[int, list[tuple[int, int]]] = {}

    def came(self, vehicle: Vehicle, index: int, place: Place, place_index: int) -> None:
        """Take note of a passage, and of those around it that tell no trip."""
        if place_index < 0 or place.way.line_id in self._by_headway:
            return
        order = place.at_ms[place_index], place.number[place_index]
        self._changed[place.code, *order] = None
        if not vehicle.firsts.tail(index):
            insort(self._untold.setdefault(place.code, []), order)
        self._change_around(place.code, order[0])

    def left(self, vehicle: Vehicle, index: int, place: Place, place_index: int, order: tuple[int, int]) -> None:
        """Take note of the same as to a passage that counts no more."""
        if place_index < 0 or place.way.line_id in self._by_headway:
            return
        self._changed[place.code, *order] = None
        untold = self._untold.get(place.code, [])
        at = bisect_left(untold, order)
        if at < len(untold) and untold[at] == order:
            del untold[at]
        self._change_around(place.code, order[0])

    def marked(self, vehicle: Vehicle, at_ms: int) -> None:
        """Take note of nothing: punctuality knows passages alone."""

    def forgot(self, vehicle: Vehicle, count: int) -> None:
        """Take note of nothing: what is too old to matter goes when the next passage comes."""

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
            at_ms, code, number = heapq.heappop(self._later)
            self._changed[code, at_ms, number] = None
        changed, self._changed = self._changed, {}
        said = self._said
        for key in changed:
            code, at_ms, number = key
            if at_ms > tick_ms:
                heapq.heappush(self._later, (at_ms, code, number))
                continue
            place = self._ledger.place(code)
            index = place.index(at_ms, number)
            stands = at_ms >= oldest_ms and place.holds(index, at_ms, number)
            one = self._gathering.late(self._ledger, place, index) if stands else None
            if one is not None or key in said:
                said.say(key, () if one is None else (observation_of(self._name, place.name, one),))
        return said.changes(oldest_ms)

    def forget(self, oldest_ms: int) -> None:
        """Let go what was said of before a time."""
        self._said.forget(oldest_ms)

    def derive_all(self, ledger: LineLedger) -> Iterator[Derived]:
        """Yield everything that follows, whenever it counts."""
        for place in ledger.places:
            for index in range(len(place.at_ms)):
                one = self._gathering.late(ledger, place, index)
                if one is not None:
                    yield one

    def _change_around(self, code: int, at_ms: int) -> None:
        """Look again at the passages of a stop around a time that tell no trip; let go those that are long past."""
        untold, window_ms = self._untold.get(code), self._rule.window_ms
        if not untold:
            return
        long_past = bisect_left(untold, (at_ms - self._rule.told_ms - 2 * window_ms, 0))
        del untold[:long_past]
        for order in untold[bisect_left(untold, (at_ms - window_ms, 0)) :]:
            if order[0] > at_ms + window_ms:
                break
            self._changed[code, *order] = None


def trip_at(place: Place, index: int) -> str:
    """Return the trip that the vehicle of a passage told, "" if none."""
    firsts = place.by[index].firsts
    return firsts.tail(firsts.place(place.at_ms[index], place.number[index]))
