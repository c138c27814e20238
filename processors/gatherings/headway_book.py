"""What passages of stops have said about headways, kept up to date as they come."""

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from processors.gatherings.contract import Derived, observation_of
from processors.gatherings.line_ledger import LineLedger, Place, Vehicle
from processors.gatherings.said import Said
from processors.gatherings.schedules import HOUR_MS
from schemas.records import Observation

if TYPE_CHECKING:
    from processors.gatherings.headways import Headways

PREPARE_MS: Final = 60_000
PREPARED: Final = 32
"""Stops whose hour is looked at ahead every tick of its last minute, so that not all are when it ends."""
NEVER_MS: Final = 1 << 62


class HeadwayBook:
    """Its pieces are the time from a passage to the next one at the stop, and every hour of a stop.

    A stop whose last passage has become old enough for a gap is looked at again, once a gap could be claimed.
    """

    def __init__(self, gathering: "Headways") -> None:
        self._gathering, self._name, self._rule = gathering, gathering.name, gathering.rule
        self._ledger: LineLedger
        self._said = Said()
        self._changed: dict[tuple[int, int, int], None] = {}
        self._later: list[tuple[int, int, int, int]] = []
        self._wakes: dict[int, int] = {}
        self._first_gaps: dict[int, tuple[int, int]] = {}
        """of a stop's last passage that was old enough, and when the gap after it begins if nobody comes"""
        self._hours: dict[int, dict[int, None]] = {}
        self._prepared: dict[int, dict[int, Observation | None]] = {}

    def came(self, vehicle: Vehicle, index: int, place: Place, place_index: int) -> None:
        """Take note of a passage: of the time from the one before, and from it."""
        if place_index < 0:
            return
        times, number, code = place.at_ms, place.number, place.code
        at_ms = times[place_index]
        if place_index:
            self._changed[code, times[place_index - 1], number[place_index - 1]] = None
        self._change_hour(code, at_ms)
        if place_index + 1 < len(times):
            self._changed[code, at_ms, number[place_index]] = None
            self._change_hour(code, times[place_index + 1])
        else:
            self._wake(code, at_ms + self._rule.gap_ms)

    def left(self, vehicle: Vehicle, index: int, place: Place, place_index: int, order: tuple[int, int]) -> None:
        """Take note of the same as to a passage that counts no more."""
        if place_index < 0:
            return
        times, code = place.at_ms, place.code
        self._changed[code, order[0], order[1]] = None
        if place_index:
            self._changed[code, times[place_index - 1], place.number[place_index - 1]] = None
        self._change_hour(code, order[0])
        if place_index < len(times):
            self._change_hour(code, times[place_index])

    def marked(self, vehicle: Vehicle, at_ms: int) -> None:
        """Take note of nothing: headways know passages alone."""

    def forgot(self, vehicle: Vehicle, count: int) -> None:
        """Take note of nothing: places forget by themselves."""

    def open(self, ledger: LineLedger) -> None:
        """Read a ledger from now on."""
        self._ledger = ledger

    def wake_ms(self) -> int:
        """Return the first tick at which something counts though nothing came."""
        if self._changed:
            return 0
        due_ms = self._later[0][0] if self._later else NEVER_MS
        hour_ms = min(self._hours) - PREPARE_MS if self._hours else NEVER_MS
        return min(due_ms, hour_ms, min(self._prepared, default=NEVER_MS))

    def derive(self, tick_ms: int, oldest_ms: int) -> list[Observation]:
        """Return what is new up to a tick and what is said no longer, both not older than a time, in their order."""
        self._look_again(tick_ms)
        changed, self._changed = self._changed, {}
        said, ledger = self._said, self._ledger
        for key in changed:
            code, at_ms, number = key
            place = ledger.place(code)
            index = place.index(at_ms, number)
            made = self._since(place, index, key, tick_ms, oldest_ms) if place.holds(index, at_ms, number) else ()
            if made or key in said:
                said.say(key, [observation_of(self._name, place.name, one) for one in made])
        if self._hours and min(self._hours) - PREPARE_MS <= tick_ms:
            self._derive_hours(tick_ms, oldest_ms)
        if self._prepared and min(self._prepared) <= tick_ms:
            self._end_hours(tick_ms)
        return said.changes(oldest_ms)

    def forget(self, oldest_ms: int) -> None:
        """Let go what was said of before a time."""
        self._said.forget(oldest_ms)

    def derive_all(self, ledger: LineLedger) -> Iterator[Derived]:
        """Yield everything that follows, whenever it counts."""
        for place in ledger.places:
            for index in range(len(place.at_ms)):
                key = (place.code, place.at_ms[index], place.number[index])
                yield from self._since(place, index, key, NEVER_MS, 0)
            for end_ms in sorted({_hour_end_ms(at_ms) for at_ms in place.at_ms}):
                one = self._gathering.adherence(ledger, place, end_ms)
                if one is not None:
                    yield one

    # --- from a passage to the next one ------------------------------------------------------------------------------

    def _since(
        self, place: Place, index: int, key: tuple[int, int, int], tick_ms: int, oldest_ms: int
    ) -> list[Derived] | tuple[()]:
        """Return what the time from a passage on says up to a tick; look again when it says more."""
        rule, times = self._rule, place.at_ms
        before_ms = times[index]
        made: list[Derived] = []
        if index + 1 < len(times):
            after_ms = times[index + 1]
            headway_ms = after_ms - before_ms
            known_ms, gap_ms = self._first_gaps.get(place.code, (0, 0))
            if after_ms > tick_ms:
                heapq.heappush(self._later, (after_ms, *key))
            elif after_ms >= oldest_ms and headway_ms < rule.bunched_ms:
                made = self._gathering.bunched(self._ledger, place, index + 1)
            if headway_ms < rule.gap_ms or (known_ms == before_ms and after_ms < gap_ms):
                return made
        elif tick_ms < before_ms + rule.gap_ms:
            self._wake(place.code, before_ms + rule.gap_ms)
            return made
        return made + self._gaps(place, index, key, tick_ms, oldest_ms)

    def _gaps(self, place: Place, index: int, key: tuple[int, int, int], tick_ms: int, oldest_ms: int) -> list[Derived]:
        gaps_ms = self._gathering.gaps_ms(place, index)
        made = [
            self._gathering.gap(self._ledger, place, index, at_ms) for at_ms in gaps_ms if oldest_ms <= at_ms <= tick_ms
        ]
        later_ms = next((at_ms for at_ms in gaps_ms if at_ms > tick_ms), None)
        if later_ms is not None:
            if index + 1 < len(place.at_ms):
                heapq.heappush(self._later, (later_ms, *key))
            else:
                self._wake(place.code, later_ms)
        if index + 1 == len(place.at_ms):
            self._first_gaps[place.code] = (place.at_ms[index], gaps_ms[0] if gaps_ms else NEVER_MS)
        over = self._gathering.gap_over(self._ledger, place, index) if gaps_ms else None
        if over is not None and oldest_ms <= over.at_ms <= tick_ms:
            made.append(over)
        return made

    def _wake(self, code: int, at_ms: int) -> None:
        """Look at the last passage of a stop again at a time, once only."""
        known_ms = self._wakes.get(code)
        if known_ms is None or at_ms < known_ms:
            self._wakes[code] = at_ms
            heapq.heappush(self._later, (at_ms, code, -1, -1))

    def _look_again(self, tick_ms: int) -> None:
        """Take what it is time to look at again as changed."""
        while self._later and self._later[0][0] <= tick_ms:
            at_ms, code, before_ms, number = heapq.heappop(self._later)
            if number >= 0:
                self._changed[code, before_ms, number] = None
            elif self._wakes.get(code) == at_ms:
                del self._wakes[code]
                place = self._ledger.place(code)
                if place.at_ms:
                    self._changed[code, place.at_ms[-1], place.number[-1]] = None

    # --- hours -------------------------------------------------------------------------------------------------------

    def _change_hour(self, code: int, at_ms: int) -> None:
        end_ms = _hour_end_ms(at_ms)
        of_hour = self._hours.get(end_ms)
        if of_hour is None:
            of_hour = self._hours[end_ms] = {}
        of_hour[code] = None

    def _derive_hours(self, tick_ms: int, oldest_ms: int) -> None:
        """Derive the hours that are over, and some of those that soon are."""
        for end_ms in [each for each in self._hours if each - PREPARE_MS <= tick_ms]:
            codes, prepared = self._hours[end_ms], self._prepared.setdefault(end_ms, {})
            count = len(codes) if end_ms <= tick_ms else max(PREPARED, len(codes) // PREPARED)
            for code in [code for code, _ in zip(codes, range(count), strict=False)]:
                del codes[code]
                place = self._ledger.place(code)
                one = self._gathering.adherence(self._ledger, place, end_ms) if end_ms >= oldest_ms else None
                prepared[code] = None if one is None else observation_of(self._name, place.name, one)
            if not codes:
                del self._hours[end_ms]

    def _end_hours(self, tick_ms: int) -> None:
        """Say what was derived of the hours that are over."""
        for end_ms in [each for each in self._prepared if each <= tick_ms]:
            for code, one in self._prepared.pop(end_ms).items():
                self._said.say((code, end_ms, -1), () if one is None else (one,))


def _hour_end_ms(at_ms: int) -> int:
    return (at_ms // HOUR_MS + 1) * HOUR_MS
