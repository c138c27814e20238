"""Which passing claims that wait can make a provisional incident, so that all the others need no look around them.

In a city where everybody brakes, most claims are passing ones with nothing firm near them. What such a claim can tell,
it tells with other passing claims alone.
"""

import math
from collections.abc import Iterable

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import distance_m, firm_linked
from processors.incidents.rule_model import ANY_KIND, Rule, Story, kinds_of
from schemas.records import Observation


class Prospects:
    """What one rule's passing claims may tell early, by the firm claims around them."""

    def __init__(self, rule: Rule) -> None:
        early = [story for story in rule.stories if story.absent is None]
        self._rule = rule
        self._tell_alone = not rule.suspected.any_of or any(_is_told_by_passing(story, rule) for story in early)
        # Two claims of a story are both near the one around which it is told.
        self._apart_ms = 2000 * max((story.apart_s for story in early), default=0)
        self._reach_m = 2 * max((_reach_m(story, rule) for story in early), default=0.0)

    def has(self, one: Observation, firm: Iterable[CellIndex]) -> bool:
        """Tell whether a claim that came, or was taken back, can matter.

        firm: firm claims, those that wait too.
        """
        if self._tell_alone or not self._rule.is_passing(one.kind):
            return True
        return any(self.may_be_in_one_story(one, other) for index in firm for other in index.near(one))

    def may_be_in_one_story(self, one: Observation, other: Observation) -> bool:
        """Tell whether a claim is near enough another one, a firm one, for a story with both."""
        return (
            abs(one.at_ms - other.at_ms) <= self._apart_ms
            and distance_m(one, other) <= self._reach_m
            and firm_linked(one, other, self._rule)
        )


def _is_told_by_passing(story: Story, rule: Rule) -> bool:
    return all(group == ANY_KIND or all(map(rule.is_passing, kinds_of(group))) for group in story.claims)


def _reach_m(story: Story, rule: Rule) -> float:
    """Return how far claims are from the one around which it is told; along a line, that may be any distance."""
    return math.inf if story.along else story.reach_m(rule)
