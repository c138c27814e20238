"""Standing claims that end an incident or rule out a story: what `resolve_on` and `absent` of a rule ask for."""

import math
from collections.abc import Collection, Iterable
from typing import Final

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import distance_m
from processors.incidents.rule_model import Rule
from schemas.records import Observation

SPAN_S: Final = 300


class Endings:
    """The claims that may end something under one rule; what is asked of them depends on the set alone."""

    def __init__(self, rule: Rule, latitude_deg: float, claims: Iterable[Observation] = ()) -> None:
        """latitude_deg: see CellIndex."""
        self._by_place = rule.by == "place"
        absent = [(story.reach_m(rule), story.absent) for story in rule.stories if story.absent is not None]
        reaches_m = [reach_m if one.distance_m is None else one.distance_m for reach_m, one in absent]
        self.reach_m = max([*reaches_m, *([rule.within.reach_m] if rule.resolve_on else [])], default=1.0)
        self._index = CellIndex(self.reach_m, SPAN_S, latitude_deg, rule.parting)
        self._newest_ms = 0
        for one in claims:
            self.add(one)

    def add(self, one: Observation) -> None:
        """Put a claim in."""
        self._index.add(one)
        self._newest_ms = max(self._newest_ms, one.at_ms)

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
