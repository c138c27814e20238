"""Crowds: of many claims of one kind, those near which enough witnesses claim it; kept from one look to the next.

A jam gathers hundreds of claims one by one. What had enough around it still has when another comes, so the new one and
the few that never had enough are looked at, not all of them again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from processors.incidents.clusters import distance_m
from schemas.records import Observation


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near two claims of a story are: on the ground, or along their line; the same in both directions."""

    reach_m: float
    along: bool
    same_direction: bool

    def holds(self, one: Observation, other: Observation) -> bool:
        """Tell whether two claims are near each other."""
        if self.along or self.same_direction:
            if one.line_id == other.line_id != "" and one.direction_id == other.direction_id >= 0:
                if self.along and one.line_offset_m >= 0.0 and other.line_offset_m >= 0.0:
                    return abs(one.line_offset_m - other.line_offset_m) <= self.reach_m
            elif self.same_direction:
                return False
        return distance_m(one, other) <= self.reach_m


class Track:
    """Claims in canonical order."""

    def __init__(self, claims: Sequence[Observation] = ()) -> None:
        self.claims = claims
        self._at_ms = [one.at_ms for one in claims]

    def around(self, one: Observation, apart_ms: int) -> Sequence[Observation]:
        """Return those up to `apart_ms` before or after another claim."""
        span = self._span(one, apart_ms)
        return self.claims[span.start : span.stop]

    def one_by_one(self, one: Observation, apart_ms: int) -> Iterator[Observation]:
        """Yield the same; for who mostly needs a few of them."""
        return (self.claims[place] for place in self._span(one, apart_ms))

    def _span(self, one: Observation, apart_ms: int) -> range:
        start = bisect_left(self._at_ms, one.at_ms - apart_ms)
        return range(start, bisect_right(self._at_ms, one.at_ms + apart_ms, start))


class Crowd:
    """The claims of one kind that take part in a story that asks for so many witnesses and nothing else.

    What it tells depends on the claims that it is given alone; what it keeps only saves time.
    """

    def __init__(self, nearness: Nearness, apart_ms: int, count: int) -> None:
        """count: how many witnesses have to claim something near a claim, up to `apart_ms` before or after it."""
        self._is_near, self._apart_ms, self._count = nearness.holds, apart_ms, count
        self._known: dict[str, Observation] = {}
        self._untold: dict[str, Observation] = {}
        """not enough witnesses around them"""
        self._apart: dict[str, Observation] = {}
        """of these, those near none that has enough"""

    def part(self, track: Track) -> Sequence[Observation]:
        """Return the claims that have enough witnesses around them or are near one that has, in canonical order."""
        new = self._new(track.claims)
        told = [one for one in self._doubtful(new) if self._is_told(one, track)]
        for one in told:
            del self._untold[one.observation_id]
            self._apart.pop(one.observation_id, None)
        fresh = {one.observation_id for one in new}
        for name, one in list(self._apart.items()):
            others = track.one_by_one(one, self._apart_ms) if name in fresh else told
            if any(self._are_near(one, other) for other in others if other.observation_id not in self._untold):
                del self._apart[name]
        if not self._apart:
            return track.claims
        return [one for one in track.claims if one.observation_id not in self._apart]

    def _new(self, claims: Sequence[Observation]) -> Sequence[Observation]:
        """Take claims; return those that were not there. If some are gone, all are new."""
        known = self._known
        new = [one for one in claims if known.get(one.observation_id) is not one]
        if len(known) + len(new) != len(claims):
            new = list(claims)
            for some in (known, self._untold, self._apart):
                some.clear()
        for some in (known, self._untold, self._apart):
            some.update((one.observation_id, one) for one in new)
        return new

    def _doubtful(self, new: Sequence[Observation]) -> list[Observation]:
        """Return the claims that may have enough witnesses around them now and had not before."""
        if len(new) == len(self._untold):
            return list(new)
        fresh = {one.observation_id for one in new}
        return [
            one
            for name, one in self._untold.items()
            if name in fresh or any(self._are_near(one, other) for other in new)
        ]

    def _is_told(self, centre: Observation, track: Track) -> bool:
        """Tell whether enough witnesses claim something near a claim; the more claims, the sooner they are found."""
        witnesses = set[str]()
        for one in track.one_by_one(centre, self._apart_ms):
            if one.witness_id not in witnesses and self._is_near(one, centre):
                witnesses.add(one.witness_id)
                if len(witnesses) == self._count:
                    return True
        return False

    def _are_near(self, one: Observation, other: Observation) -> bool:
        return abs(one.at_ms - other.at_ms) <= self._apart_ms and self._is_near(one, other)
