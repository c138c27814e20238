"""The incremental side of clusters.conclude: after a change, only what it touches is concluded anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from processors.incidents.cells import CellIndex, component
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import (
    Cluster,
    Held,
    canonical,
    firm_linked,
    gather,
    hold,
    home_of,
    in_order,
    left_linked,
)
from processors.incidents.rules import Rule
from processors.incidents.verdict import Verdict, judge
from schemas.records import Observation

LEFT: Final = ""
"""Home of the passing claims that no firm cluster took."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """A cluster and what it amounts to; None = no incident."""

    cluster: Cluster
    verdict: Verdict | None

    @property
    def last_id(self) -> str:
        """Id of its newest member, which no other cluster has."""
        return self.cluster.members[-1].observation_id


@dataclass(frozen=True, slots=True)
class Region:
    """What a change touched: all members of the clusters that were, and the clusters that are, by first member."""

    touched: frozenset[str]
    concluded: tuple[Concluded, ...]


class StandingClaims:
    """The standing observations that one rule weighs, clustered. Always equal to `conclude` of the whole set."""

    def __init__(self, rule: Rule, latitude_deg: float) -> None:
        """latitude_deg: see CellIndex."""
        within, passing = rule.within, rule.passing
        self.firm = CellIndex(2 * within.distance_m, within.quiet_s, latitude_deg)
        self.passing = CellIndex(2 * within.distance_m, within.quiet_s, latitude_deg)
        self.parts = ClaimParts()
        self._rule = rule
        small_m, small_s = (1.0, 1) if passing is None else (passing.distance_m, passing.quiet_s)
        self._left = CellIndex(small_m, small_s, latitude_deg)
        self._standing: dict[str, Observation] = {}
        self._held_of: dict[str, Held] = {}
        self._home_of: dict[str, str] = {}
        self._guests: dict[str, dict[str, Observation]] = {}
        self._concluded_of: dict[str, Concluded] = {}

    @property
    def standing(self) -> Mapping[str, Observation]:
        """All observations that stand, by id."""
        return self._standing

    def concluded_of(self, observation_id: str) -> Concluded | None:
        """Return the cluster of a standing observation; None if it does not stand."""
        return self._concluded_of.get(observation_id)

    def apply(self, observations: Iterable[Observation], oldest_ms: int) -> Region | None:
        """Take claims and withdrawals in their order; None when nothing changes.

        A claim that stands already says nothing new, nor does one older than `oldest_ms` or of another kind.
        """
        wanted: dict[str, Observation | None] = {}
        for one in observations:
            if one.kind not in self._rule.evidence:
                continue
            if one.withdrawn:
                wanted[one.observation_id] = None
            elif one.at_ms >= oldest_ms:
                stands = wanted.get(one.observation_id, self._standing.get(one.observation_id))
                wanted[one.observation_id] = one if stands is None else stands
        was = {name: self._standing.get(name) for name in wanted}
        removed = [old for name, old in was.items() if old is not None and old != wanted[name]]
        added = [new for name, new in wanted.items() if new is not None and new != was[name]]
        if not removed and not added:
            return None
        for one in removed:
            self.parts.remove(one.observation_id)
        for one in added:
            self.parts.add(one)
        return self._change(removed, added)

    def restore(self, state: ClaimsState, parts: Mapping[str, bytes]) -> None:
        """Go back to a state; what the rule does not weigh (any more) goes."""
        standing = self.parts.restore(state, parts)
        for one in standing:
            if one.kind not in self._rule.evidence:
                self.parts.remove(one.observation_id)
        self._change([], [one for one in standing if one.kind in self._rule.evidence])

    def leave(self, concluded: Concluded) -> None:
        """Let a whole cluster go; the others stay as they are (clusters.py says why)."""
        for one in concluded.cluster.members:
            self.parts.remove(one.observation_id)
            self._concluded_of.pop(one.observation_id, None)
            self._take_out(one, _Change())
            self._guests.pop(one.observation_id, None)

    # --- one change -------------------------------------------------------------------------------------------------

    def _change(self, removed: Iterable[Observation], added: Iterable[Observation]) -> Region:
        change = _Change()
        for one in removed:
            self._take_out(one, change)
        for one in added:
            self._put_in(one, change)
        self._hold_again(change)
        for one in change.doubtful.values():
            if one.observation_id in self._standing:
                self._house(one, change)
        clusters = [self._firm_cluster(anchor_id) for anchor_id in change.anchors if anchor_id in self._guests]
        left = component([self._left], change.left, lambda a, b: left_linked(a, b, self._rule))
        clusters += gather(canonical(left.values()), self._rule)
        return self._region(change.touched, clusters)

    def _take_out(self, one: Observation, change: "_Change") -> None:
        name = one.observation_id
        change.touched.add(name)
        del self._standing[name]
        if self._rule.is_passing(one.kind):
            self.passing.remove(one)
            self._evict(one, change)
        else:
            self.firm.remove(one)
            change.firm.append(one)
            held = self._held_of.pop(name)
            change.before[held.anchor_id] = held

    def _put_in(self, one: Observation, change: "_Change") -> None:
        change.touched.add(one.observation_id)
        self._standing[one.observation_id] = one
        if self._rule.is_passing(one.kind):
            self.passing.add(one)
            change.doubtful[one.observation_id] = one
        else:
            self.firm.add(one)
            change.firm.append(one)

    def _hold_again(self, change: "_Change") -> None:
        """Cluster the firm claims around the changed ones anew."""
        firm = component([self.firm], change.firm, lambda a, b: firm_linked(a, b, self._rule))
        before, after = change.before, {held.anchor_id: held for held in hold(canonical(firm.values()), self._rule)}
        before |= {held.anchor_id: held for name in firm if (held := self._held_of.get(name)) is not None}
        for anchor_id, held in before.items():
            if after.get(anchor_id) != held:
                guests = self._guests[anchor_id] if anchor_id in after else self._guests.pop(anchor_id)
                change.doubtful |= guests
                change.touched.update(guests, (one.observation_id for one in held.members))
        for anchor_id, held in after.items():
            if before.get(anchor_id) != held:
                change.anchors[anchor_id] = None
                self._guests.setdefault(anchor_id, {})
                for member in held.members:
                    self._held_of[member.observation_id] = held
                    change.doubtful |= {one.observation_id: one for one in self.passing.near(member)}

    def _house(self, one: Observation, change: "_Change") -> None:
        """Find the home of a passing claim: a firm cluster, or what is left over."""
        name = one.observation_id
        helds = {
            held.anchor_id: held for member in self.firm.near(one) for held in [self._held_of[member.observation_id]]
        }
        home = home_of(one, helds.values(), self._rule)
        anchor_id = LEFT if home is None else home.anchor_id
        if self._home_of.get(name) == anchor_id:
            return
        self._evict(one, change)
        self._home_of[name] = anchor_id
        if anchor_id == LEFT:
            self._left.add(one)
            change.left.append(one)
        else:
            self._guests[anchor_id][name] = one
            change.anchors[anchor_id] = None

    def _evict(self, one: Observation, change: "_Change") -> None:
        name = one.observation_id
        change.touched.add(name)
        home = self._home_of.pop(name, None)
        if home == LEFT:
            self._left.remove(one)
            change.left.append(one)
        elif home is not None and home in self._guests:
            del self._guests[home][name]
            change.anchors[home] = None

    def _firm_cluster(self, anchor_id: str) -> Cluster:
        return Cluster(tuple(canonical((*self._held_of[anchor_id].members, *self._guests[anchor_id].values()))))

    def _region(self, touched: set[str], clusters: Iterable[Cluster]) -> Region:
        concluded = tuple(self._conclude(cluster) for cluster in in_order(clusters))
        for name in touched:
            self._concluded_of.pop(name, None)
        for each in concluded:
            self._concluded_of |= {one.observation_id: each for one in each.cluster.members}
        members = (one.observation_id for each in concluded for one in each.cluster.members)
        return Region(frozenset((*touched, *members)), concluded)

    def _conclude(self, cluster: Cluster) -> Concluded:
        before = self._concluded_of.get(cluster.members[0].observation_id)
        if before is not None and before.cluster == cluster:
            return before
        return Concluded(cluster, judge(cluster, self._rule))


@dataclass(slots=True)
class _Change:
    """What one change has touched so far.

    before: firm clusters as they were, by anchor. anchors: of firm clusters that are different now.
    doubtful: passing claims that may have another home. left: those that came to or went from what is left over.
    """

    touched: set[str] = field(default_factory=set)
    firm: list[Observation] = field(default_factory=list)
    before: dict[str, Held] = field(default_factory=dict)
    anchors: dict[str, None] = field(default_factory=dict)
    doubtful: dict[str, Observation] = field(default_factory=dict)
    left: list[Observation] = field(default_factory=list)
