"""Which observations belong together under one rule: a pure function of the set of standing observations.

Of a rule by device, line or subject, each of these is a world of its own: what follows holds inside of each.

Claims of one rule are taken in the order (at_ms, observation_id). Firm claims first: each joins the nearest cluster
whose first claim (anchor) lies within `within.distance_m`, whose last firm claim is at most `quiet_s` and whose anchor
at most `lasts_s` older; otherwise it starts one. Then the passing claims: each joins the nearest firm cluster within
the same distance, from `passing.quiet_s` before its anchor to `quiet_s` after its last firm claim. Those left over
gather among themselves, around their first, within `passing.distance_m` and `passing.quiet_s`.

So firm claims depend on firm claims that they are linked to (`firm_linked`), passing ones on the firm clusters around
them, those left over on each other (`left_linked`), and on nothing else. And a whole cluster can leave without moving
anything between the others: nobody else had chosen it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from processors.geo import EARTH_RADIUS_M
from processors.incidents.rule_model import Rule
from schemas.records import Observation

METRES_PER_DEG: Final = math.radians(EARTH_RADIUS_M)

order_of: Final[Callable[[Observation], tuple[int, str]]] = attrgetter("at_ms", "observation_id")
"""What the canonical order of claims goes by."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Observations that belong together, in the order (at_ms, observation_id); never empty."""

    members: tuple[Observation, ...]

    @property
    def last_at_ms(self) -> int:
        """Event time of the newest member."""
        return self.members[-1].at_ms


@dataclass(frozen=True, slots=True)
class Held:
    """Firm claims that belong together, in canonical order; the first is the anchor."""

    members: tuple[Observation, ...]

    @property
    def anchor(self) -> Observation:
        """The first of them."""
        return self.members[0]

    @property
    def anchor_id(self) -> str:
        """Id of the first, which no other cluster has."""
        return self.members[0].observation_id

    @property
    def last_at_ms(self) -> int:
        """Event time of the newest of them."""
        return self.members[-1].at_ms


def canonical(observations: Iterable[Observation]) -> list[Observation]:
    """Return observations in the order in which everything here takes them."""
    return sorted(observations, key=order_of)


def distance_m(a: Observation, b: Observation) -> float:
    """Distance on the local plane; the same in both directions to the last bit, right to 0.01 % up to 5 km."""
    return ground_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg)


def ground_m(a_latitude_deg: float, a_longitude_deg: float, b_latitude_deg: float, b_longitude_deg: float) -> float:
    """Equirectangular distance in metres between two points."""
    north_deg = a_latitude_deg - b_latitude_deg
    east_deg = (a_longitude_deg - b_longitude_deg) * math.cos(math.radians((a_latitude_deg + b_latitude_deg) / 2))
    return METRES_PER_DEG * math.sqrt(north_deg * north_deg + east_deg * east_deg)


def firm_linked(a: Observation, b: Observation, rule: Rule) -> bool:
    """Tell whether two firm claims can be in one cluster or compete for one."""
    apart_ms, within = abs(a.at_ms - b.at_ms), rule.within
    return apart_ms <= within.quiet_s * 1000 and distance_m(a, b) <= 2 * within.reach_m


def left_linked(a: Observation, b: Observation, rule: Rule) -> bool:
    """Tell whether two passing claims that no firm cluster took can be in one cluster, one as its first."""
    apart_ms, passing = abs(a.at_ms - b.at_ms), rule.passing
    assert passing is not None
    return apart_ms <= passing.quiet_s * 1000 and distance_m(a, b) <= passing.reach_m


def conclude(standing: Iterable[Observation], rule: Rule) -> list[Cluster]:
    """Return the clusters of a set of claims, by first member; kinds that the rule does not weigh are left out.

    standing: without those that the rule's conditions rule out (conditions.py).
    """
    weighed = [one for one in canonical(standing) if one.kind in rule.evidence]
    return in_order(cluster for same in parted(weighed, rule) for cluster in _conclude(same, rule))


def parted(ordered: Sequence[Observation], rule: Rule) -> Iterable[Sequence[Observation]]:
    """Return claims by what parts them under a rule, each part in the order given."""
    subject_of = rule.parting
    if subject_of is None:
        return (ordered,)
    parts: dict[str, list[Observation]] = {}
    for one in ordered:
        parts.setdefault(subject_of(one), []).append(one)
    return parts.values()


def _conclude(weighed: Sequence[Observation], rule: Rule) -> list[Cluster]:
    """Return the clusters of claims that nothing but place and time part, given in canonical order."""
    helds = hold([one for one in weighed if not rule.is_passing(one.kind)], rule)
    guests: dict[str, list[Observation]] = {held.anchor_id: [] for held in helds}
    left: list[Observation] = []
    for one in weighed:
        if rule.is_passing(one.kind):
            home = home_of(one, helds, rule)
            (left if home is None else guests[home.anchor_id]).append(one)
    clusters = [Cluster(tuple(canonical((*held.members, *guests[held.anchor_id])))) for held in helds]
    return [*clusters, *gather(left, rule)]


def in_order(clusters: Iterable[Cluster]) -> list[Cluster]:
    """Return clusters by their first member."""
    return sorted(clusters, key=lambda one: order_of(one.members[0]))


def hold(firm: Sequence[Observation], rule: Rule) -> list[Held]:
    """Return the clusters of firm claims of one part, given in canonical order; passing ones not yet joined."""
    quiet_ms, lasts_ms = rule.within.quiet_s * 1000, rule.within.lasts_s * 1000
    closed: list[list[Observation]] = []
    open_: list[list[Observation]] = []
    for one in firm:
        closed += [held for held in open_ if one.at_ms - held[-1].at_ms > quiet_ms]
        open_ = [held for held in open_ if one.at_ms - held[-1].at_ms <= quiet_ms]
        able = [held for held in open_ if one.at_ms - held[0].at_ms <= lasts_ms]
        nearest = _nearest(one, [held[0] for held in able], rule.within.reach_m)
        if nearest is None:
            open_.append([one])
        else:
            able[nearest].append(one)
    return [Held(tuple(members)) for members in (*closed, *open_)]


def home_of(one: Observation, helds: Iterable[Held], rule: Rule) -> Held | None:
    """Return the firm cluster that a passing claim joins, given all those around it; None = left over."""
    assert rule.passing is not None
    before_ms, after_ms = rule.passing.quiet_s * 1000, rule.within.quiet_s * 1000
    able = [held for held in helds if held.anchor.at_ms - before_ms <= one.at_ms <= held.members[-1].at_ms + after_ms]
    able.sort(key=lambda held: (held.anchor.at_ms, held.anchor_id))
    nearest = _nearest(one, [held.anchor for held in able], rule.within.reach_m)
    return None if nearest is None else able[nearest]


def gather(left: Sequence[Observation], rule: Rule) -> list[Cluster]:
    """Return the clusters of passing claims that no firm cluster took, given in canonical order, by first member.

    A claim is compared with the first claims of the squares around its own alone: most claims are far from all others.
    """
    if rule.passing is None:
        return []
    quiet_ms, within_m = rule.passing.quiet_s * 1000, rule.passing.reach_m
    square = _squares(left, within_m)
    firsts: dict[tuple[int, int], list[int]] = {}
    groups: list[list[Observation]] = []
    for one in left:
        row, column = square(one)
        around = (firsts.get((row + y, column + x), ()) for y in (-1, 0, 1) for x in (-1, 0, 1))
        near = sorted(number for found in around for number in found)
        near = [number for number in near if one.at_ms - groups[number][0].at_ms <= quiet_ms]
        nearest = _nearest(one, [groups[number][0] for number in near], within_m)
        if nearest is None:
            firsts.setdefault((row, column), []).append(len(groups))
            groups.append([one])
        else:
            groups[near[nearest]].append(one)
    return [Cluster(tuple(members)) for members in groups]


def _squares(places: Sequence[Observation], side_m: float) -> Callable[[Observation], tuple[int, int]]:
    """Return what tells the square of a place: two places at most `side_m` apart are in the same or adjacent ones."""
    farthest_deg = max((abs(one.latitude_deg) for one in places), default=0.0)
    row_deg = side_m * 1.001 / METRES_PER_DEG
    column_deg = row_deg / math.cos(math.radians(min(farthest_deg, 89.0)))
    return lambda one: (math.floor(one.latitude_deg / row_deg), math.floor(one.longitude_deg / column_deg))


def _nearest(one: Observation, anchors: Sequence[Observation], within_m: float) -> int | None:
    """Return the index of the nearest anchor, of two equally near the first; None if none is within reach."""
    best: int | None = None
    best_m = within_m
    for index, anchor in enumerate(anchors):
        away_m = distance_m(one, anchor)
        if away_m < best_m or (best is None and away_m == best_m):
            best, best_m = index, away_m
    return best
