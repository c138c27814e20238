"""Standing claims that end an incident or rule out a story: what `resolve_on` and `absent` of a rule ask for."""

import math
from collections.abc import Callable, Collection, Iterable
from operator import attrgetter
from typing import Final

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import distance_m
from processors.incidents.rule_model import Absent, Rule
from schemas.records import Observation

SPAN_S: Final = 300
MOST_OVER: Final = 50_000

Wake = Callable[[Observation, float, int, int], None]
"""Is given an observation, metres around it, and from when to when."""


def is_by_own_device(rule: Rule) -> bool:
    """Tell whether, of a rule by place, nobody but the device that claimed something can end it."""
    absent = [story.absent for story in rule.stories if story.absent is not None]
    return rule.by == "place" and not rule.resolve_on and bool(absent) and all(one.same_device for one in absent)


class Endings:
    """The claims that may end something under one rule; what is asked of them depends on the set alone."""

    def __init__(self, rule: Rule, latitude_deg: float, claims: Iterable[Observation] = ()) -> None:
        """latitude_deg: see CellIndex."""
        self._by_place = rule.by == "place"
        self.by_own_device = is_by_own_device(rule)
        absent = [(story, story.absent) for story in rule.stories if story.absent is not None]
        reaches_m = [story.reach_m(rule) if one.distance_m is None else one.distance_m for story, one in absent]
        self.reach_m = max([*reaches_m, *([rule.within.reach_m] if rule.resolve_on else [])], default=1.0)
        lasts_s = rule.within.lasts_s + 2 * rule.within.quiet_s  # of "a+b", b is claimed anywhere in the cluster
        spans_s = [lasts_s if any("+" in group for group in story.claims) else story.apart_s for story, _ in absent]
        self.reach_ms = max(
            [0, *(1000 * (span_s + one.for_s) for span_s, (_, one) in zip(spans_s, absent, strict=True))]
        )
        """how much later than the claim a story is told around what ends it comes at most"""
        self.parting = attrgetter("device_id") if self.by_own_device else rule.parting
        """what tells the subject that a claim and what ends it share; None = they are near each other"""
        self._index = CellIndex(self.reach_m, SPAN_S, latitude_deg, self.parting)
        self._newest_ms = 0
        self.over: dict[str, set[tuple[int, Absent]]] = {}
        """What needs not be asked again: around which claim, and until when, something came that had to be absent"""
        self.wake: Wake | None = None
        """Puts back what was taken out only to rest, around a claim and of a time; called before anything is asked."""
        for one in claims:
            self.add(one)

    def add(self, one: Observation) -> None:
        """Put a claim in."""
        self._index.add(one)
        self._newest_ms = max(self._newest_ms, one.at_ms)
        if len(self.over) > MOST_OVER:
            self.over.clear()

    def remove(self, one: Observation) -> None:
        """Take a claim out that was put in."""
        self._index.remove(one)

    def first(
        self, kinds: Collection[str], around: Observation, reach_m: float, after_ms: int,
        before_ms: float = math.inf, *, same_device: bool = False,
    ) -> Observation | None:  # fmt: skip
        """Return the first claim of some kinds between two times, both not included; None = there is none.

        It is of the same subject as another claim, or of a rule by place at most `reach_m` from it; with `same_device`
        of the same device too.
        """
        until_ms = self._newest_ms if before_ms == math.inf else min(int(before_ms), self._newest_ms)
        if self.wake is not None:
            self.wake(around, reach_m, after_ms, until_ms)
        able = [
            one
            for one in self._index.between(around, reach_m, after_ms, until_ms)
            if after_ms < one.at_ms < before_ms
            and one.kind in kinds
            and self._is_about(one, around, reach_m)
            and not (same_device and one.device_id != around.device_id)
        ]
        return min(able, key=lambda one: (one.at_ms, one.observation_id), default=None)

    def _is_about(self, one: Observation, other: Observation, reach_m: float) -> bool:
        return not self._by_place or distance_m(one, other) <= reach_m


class ClaimsByDevice:
    """Claims by who makes them, to find those that a claim of the same device may end."""

    def __init__(self) -> None:
        self._claims: dict[str, list[Observation]] = {}

    def add(self, one: Observation) -> None:
        """Put a claim in."""
        self._claims.setdefault(one.device_id, []).append(one)

    def remove(self, one: Observation) -> None:
        """Take a claim out that was put in."""
        left = self._claims[one.device_id]
        if len(left) == 1:
            del self._claims[one.device_id]
        else:
            left[:] = [other for other in left if other is not one]

    def before(self, ending: Observation, reach_m: float, reach_ms: int) -> list[Observation]:
        """Return the claims of a device up to so far from a later one of it, in place and time."""
        return [
            one
            for one in self._claims.get(ending.device_id, ())
            if 0 <= ending.at_ms - one.at_ms <= reach_ms and one is not ending and distance_m(one, ending) <= reach_m
        ]
