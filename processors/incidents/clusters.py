"""Which observations belong together under one rule: a pure function of the set of standing observations.

Claims of one rule are taken in the order (at_ms, observation_id). Firm claims first: each joins the nearest cluster
whose first claim lies within `within.distance_m`, whose last firm claim is at most `quiet_s` and whose first at most
`lasts_s` older; otherwise it starts one. Then the passing claims: each joins the nearest firm cluster within the
same distance, from `passing.quiet_s` before its first claim to `quiet_s` after its last firm one. Those left over
cluster among themselves, around their first, within `passing.distance_m` and `passing.quiet_s`.

So a claim depends on claims that `linked` says it is linked to, and on nothing else: a set can be cut where there are
no links, and a whole cluster can leave without moving anything between the others.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from processors.geo import EARTH_RADIUS_M
from processors.incidents.rules import Rule
from schemas.records import Observation

METRES_PER_DEG: Final = math.radians(EARTH_RADIUS_M)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Observations that belong together, in the order (at_ms, observation_id); never empty."""

    members: tuple[Observation, ...]

    @property
    def last_at_ms(self) -> int:
        """Event time of the newest member."""
        return self.members[-1].at_ms


@dataclass(slots=True)
class _Draft:
    anchor: Observation
    last_ms: int
    members: list[Observation]


def canonical(observations: Iterable[Observation]) -> list[Observation]:
    """Return observations in the order in which everything here takes them."""
    return sorted(observations, key=lambda one: (one.at_ms, one.observation_id))


def distance_m(a: Observation, b: Observation) -> float:
    """Distance on the local plane; the same in both directions to the last bit, right to 0.01 % up to 5 km."""
    return ground_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg)


def ground_m(a_latitude_deg: float, a_longitude_deg: float, b_latitude_deg: float, b_longitude_deg: float) -> float:
    """Equirectangular distance in metres between two points."""
    north_deg = a_latitude_deg - b_latitude_deg
    east_deg = (a_longitude_deg - b_longitude_deg) * math.cos(math.radians((a_latitude_deg + b_latitude_deg) / 2))
    return METRES_PER_DEG * math.sqrt(north_deg * north_deg + east_deg * east_deg)


def linked(a: Observation, b: Observation, rule: Rule) -> bool:
    """Tell whether one of two claims can matter to the cluster of the other."""
    if rule.passing is not None and rule.is_passing(a.kind) and rule.is_passing(b.kind):
        reach_m, reach_s = rule.passing.distance_m, rule.passing.quiet_s
    else:
        reach_m, reach_s = 2 * rule.within.distance_m, rule.within.quiet_s
    return abs(a.at_ms - b.at_ms) <= reach_s * 1000 and distance_m(a, b) <= reach_m


def conclude(standing: Iterable[Observation], rule: Rule) -> list[Cluster]:
    """Return the clusters of a set of observations, by first member; kinds the rule does not weigh are left out."""
    weighed = [one for one in canonical(standing) if one.kind in rule.evidence]
    firm = _held([one for one in weighed if not rule.is_passing(one.kind)], rule)
    left = _joined([one for one in weighed if rule.is_passing(one.kind)], firm, rule)
    drafts = [*firm, *_gathered(left, rule)]
    clusters = [Cluster(tuple(canonical(draft.members))) for draft in drafts]
    return sorted(clusters, key=lambda one: (one.members[0].at_ms, one.members[0].observation_id))


def _held(firm: Sequence[Observation], rule: Rule) -> list[_Draft]:
    quiet_ms, lasts_ms = rule.within.quiet_s * 1000, rule.within.lasts_s * 1000
    closed: list[_Draft] = []
    open_: list[_Draft] = []
    for one in firm:
        closed += [draft for draft in open_ if one.at_ms - draft.last_ms > quiet_ms]
        open_ = [draft for draft in open_ if one.at_ms - draft.last_ms <= quiet_ms]
        able = [draft for draft in open_ if one.at_ms - draft.anchor.at_ms <= lasts_ms]
        draft = _nearest(one, able, rule.within.distance_m)
        if draft is None:
            open_.append(_Draft(one, one.at_ms, [one]))
        else:
            draft.members.append(one)
            draft.last_ms = one.at_ms
    return closed + open_


def _joined(passing: Sequence[Observation], firm: Sequence[_Draft], rule: Rule) -> list[Observation]:
    if rule.passing is None or not firm:
        return list(passing)
    before_ms, after_ms = rule.passing.quiet_s * 1000, rule.within.quiet_s * 1000
    order = sorted(firm, key=lambda draft: (draft.anchor.at_ms, draft.anchor.observation_id))
    left = []
    for one in passing:
        able = [draft for draft in order if draft.anchor.at_ms - before_ms <= one.at_ms <= draft.last_ms + after_ms]
        draft = _nearest(one, able, rule.within.distance_m)
        if draft is None:
            left.append(one)
        else:
            draft.members.append(one)
    return left


def _gathered(left: Sequence[Observation], rule: Rule) -> list[_Draft]:
    if rule.passing is None:
        return []
    quiet_ms = rule.passing.quiet_s * 1000
    closed: list[_Draft] = []
    open_: list[_Draft] = []
    for one in left:
        closed += [draft for draft in open_ if one.at_ms - draft.anchor.at_ms > quiet_ms]
        open_ = [draft for draft in open_ if one.at_ms - draft.anchor.at_ms <= quiet_ms]
        draft = _nearest(one, open_, rule.passing.distance_m)
        if draft is None:
            open_.append(_Draft(one, one.at_ms, [one]))
        else:
            draft.members.append(one)
    return closed + open_


def _nearest(one: Observation, drafts: Sequence[_Draft], within_m: float) -> _Draft | None:
    """Return the draft with the nearest anchor; of two equally near the one begun first."""
    best: _Draft | None = None
    best_m = within_m
    for draft in drafts:
        away_m = distance_m(one, draft.anchor)
        if away_m < best_m or (best is None and away_m == best_m):
            best, best_m = draft, away_m
    return best
