"""The incremental side of clusters.conclude: after a change, only what it touches is concluded anew."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from processors.incidents.cells import CellIndex, component
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import (
    Cluster,
    Held,
    canonical,
    distance_m,
    firm_linked,
    hold,
    home_of,
    order_of,
)
from processors.incidents.leftovers import Group, Leftovers
from processors.incidents.rule_model import Rule
from processors.incidents.verdict import Verdict, fewest_claims, judge
from schemas.records import Observation


@dataclass(frozen=True, slots=True)
class Told:
    """A cluster that is an incident."""

    cluster: Cluster
    verdict: Verdict

    @property
    def evidence_ids(self) -> frozenset[str]:
        """Ids of what takes part in it."""
        return frozenset(one.observation_id for one in self.verdict.evidence)

    @property
    def last_id(self) -> str:
        """Id of its newest member, which no other cluster has."""
        return self.cluster.members[-1].observation_id


@dataclass(frozen=True, slots=True)
class Region:
    """What a change touched: the evidence of the incidents that were, and those that are, by first member."""

    touched: frozenset[str]
    told: tuple[Told, ...]


@dataclass(slots=True, eq=False)
class _Party:
    """A firm cluster: the claims that hold it together, and the passing ones that joined, by id."""

    held: Held
    guests: dict[str, Observation] = field(default_factory=dict)
    verdict: Verdict | None = None

    def members(self) -> list[Observation]:
        """Return all of them in canonical order."""
        return canonical((*self.held.members, *self.guests.values()))


class StandingClaims:
    """The standing observations that one rule weighs, clustered. Always equal to `conclude` of the whole set."""

    def __init__(self, rule: Rule, latitude_deg: float) -> None:
        """latitude_deg: see CellIndex."""
        within = rule.within
        self.firm = CellIndex(2 * within.reach_m, within.quiet_s, latitude_deg)
        self.parts = ClaimParts()
        self._rule = rule
        self._passing = frozenset(() if rule.passing is None else rule.passing.kinds)
        self._before_ms = 0 if rule.passing is None else rule.passing.quiet_s * 1000
        self._after_ms = within.quiet_s * 1000
        self._fewest = {_Party: 1.0, Group: fewest_claims(rule, self._passing)}
        self._anchors = CellIndex(within.reach_m, within.lasts_s + within.quiet_s, latitude_deg)
        self._left = Leftovers(rule, latitude_deg)
        self._standing: dict[str, Observation] = {}
        self._party_of: dict[str, _Party] = {}
        self._silent = _Silent()

    @property
    def standing(self) -> Mapping[str, Observation]:
        """All observations that stand, by id."""
        return self._standing

    def members_of(self, observation_id: str) -> Sequence[Observation]:
        """Return the cluster of an observation in canonical order; nothing if it does not stand."""
        party, group = self._party_of.get(observation_id), self._left.group_of(observation_id)
        if party is not None:
            return party.members()
        return () if group is None else group.members

    def told_of(self, observation_id: str) -> Told | None:
        """Return the cluster of an observation if that is an incident."""
        home = self._party_of.get(observation_id) or self._left.group_of(observation_id)
        if home is None or home.verdict is None:
            return None
        return Told(Cluster(tuple(self.members_of(observation_id))), home.verdict)

    def told(self) -> tuple[Told, ...]:
        """Return all clusters that are incidents, by first member."""
        told = {each.last_id: each for each in map(self.told_of, self._standing) if each is not None}
        return _in_order(told.values())

    def passing_around(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> list[Observation]:
        """Return the passing claims up to `reach_m` from an observation that are of that time, and some others."""
        if not self._passing:
            return []
        found = self._left.between(one, reach_m, from_ms, until_ms)
        within = self._rule.within
        begun_ms = from_ms - (within.lasts_s + within.quiet_s) * 1000
        for anchor in self._anchors.between(one, reach_m + within.reach_m, begun_ms, until_ms + self._before_ms):
            found += self._party_of[anchor.observation_id].guests.values()
        return found

    def apply(self, observations: Iterable[Observation], oldest_ms: int) -> Region | None:
        """Take claims and withdrawals in their order; None when no incident changes.

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
        differs = {name for name, new in wanted.items() if new is not was[name] and new != was[name]}
        removed = [old for name, old in was.items() if old is not None and name in differs]
        added = [new for name, new in wanted.items() if new is not None and name in differs]
        if not removed and not added:
            return None
        for one in removed:
            self.parts.remove(one.observation_id)
        for one in added:
            self.parts.add(one)
        region = self._change(removed, added)
        return region if region.touched or region.told else None

    def restore(self, state: ClaimsState, parts: Mapping[str, bytes]) -> None:
        """Go back to a state; what the rule does not weigh (any more) goes."""
        standing = self.parts.restore(state, parts)
        for one in standing:
            if one.kind not in self._rule.evidence:
                self.parts.remove(one.observation_id)
        self._change([], [one for one in standing if one.kind in self._rule.evidence])

    def leave(self, members: Sequence[Observation]) -> None:
        """Let a whole cluster go; the others stay as they are (clusters.py says why)."""
        for one in members:
            self.parts.remove(one.observation_id)
            del self._standing[one.observation_id]
        group = self._left.group_of(members[0].observation_id)
        if group is not None:
            self._left.drop(group)
            return
        self._anchors.remove(self._party_of[members[0].observation_id].held.anchor)
        for one in members:
            del self._party_of[one.observation_id]
            if one.kind not in self._passing:
                self.firm.remove(one)

    def forget(self, oldest_ms: int) -> None:
        """Let the clusters go that are no incidents and whose newest claim is older."""
        for one in self._silent.before(oldest_ms):
            members = self.members_of(one.observation_id)
            if members and members[-1] is one and self.told_of(one.observation_id) is None:
                self.leave(members)

    # --- one change -------------------------------------------------------------------------------------------------

    def _change(self, removed: Iterable[Observation], added: Iterable[Observation]) -> Region:
        change = _Change()
        for one in removed:
            del self._standing[one.observation_id]
            if one.kind in self._passing:
                self._evict(one, change)
            else:
                self._take_out(one, change)
        for one in added:
            self._standing[one.observation_id] = one
            if one.kind in self._passing:
                change.doubtful[one.observation_id] = one
            else:
                self.firm.add(one)
                change.firm.append(one)
        if change.firm:
            self._hold_again(change)
        for one in change.doubtful.values():
            if one.observation_id in self._standing:
                self._house(one, change)
        return self._region(change)

    def _take_out(self, one: Observation, change: "_Change") -> None:
        """Take out a firm claim."""
        self.firm.remove(one)
        change.firm.append(one)
        party = self._party_of.pop(one.observation_id)
        change.around[party.held.anchor_id] = party

    def _hold_again(self, change: "_Change") -> None:
        """Cluster the firm claims around the changed ones anew."""
        firm = component([self.firm], change.firm, lambda a, b: firm_linked(a, b, self._rule))
        helds = {held.anchor_id: held for held in hold(canonical(firm.values()), self._rule)}
        parties = [party for name in firm if (party := self._party_of.get(name)) is not None]
        change.around |= {party.held.anchor_id: party for party in parties}
        for anchor_id, party in change.around.items():
            if anchor_id not in helds or helds[anchor_id].anchor is not party.held.anchor:
                self._dissolve(party, change)
        for anchor_id, held in helds.items():
            known = self._party_of.get(anchor_id)
            if known is None or known.held.anchor is not held.anchor:
                self._found(held, change)
            elif known.held != held:
                self._hold_other(known, held, change)

    def _dissolve(self, party: "_Party", change: "_Change") -> None:
        change.touch(party)
        self._anchors.remove(party.held.anchor)
        for member in party.held.members:
            if self._party_of.get(member.observation_id) is party:
                del self._party_of[member.observation_id]
        for name in party.guests:
            del self._party_of[name]
        change.doubtful |= party.guests

    def _found(self, held: Held, change: "_Change") -> None:
        party = _Party(held)
        change.touch(party)
        self._anchors.add(held.anchor)
        self._party_of |= dict.fromkeys((one.observation_id for one in held.members), party)
        self._doubt(held, held.anchor.at_ms - self._before_ms, change)

    def _hold_other(self, party: "_Party", held: Held, change: "_Change") -> None:
        """Let a party be held together by other claims around the same anchor."""
        change.touch(party)
        before_ms, party.held = party.held.last_at_ms, held
        self._party_of |= dict.fromkeys((one.observation_id for one in held.members), party)
        if held.last_at_ms < before_ms:
            change.doubtful |= party.guests
        else:
            self._doubt(held, before_ms + self._after_ms + 1, change)

    def _doubt(self, held: Held, from_ms: int, change: "_Change") -> None:
        """Look again at the passing claims from some time on that a firm cluster may attract."""
        reach_m, until_ms = self._rule.within.reach_m, held.last_at_ms + self._after_ms
        for one in self.passing_around(held.anchor, reach_m, from_ms, until_ms):
            if from_ms <= one.at_ms <= until_ms and distance_m(one, held.anchor) <= reach_m:
                change.doubtful[one.observation_id] = one

    def _house(self, one: Observation, change: "_Change") -> None:
        """Find the home of a passing claim: a firm cluster, or what is left over."""
        name = one.observation_id
        anchors = self._anchors.near(one)
        held = (
            home_of(one, [self._party_of[each.observation_id].held for each in anchors], self._rule)
            if anchors
            else None
        )
        if held is None:
            if name not in self._left:
                self._evict(one, change)
                self._left.add(one)
        elif self._party_of.get(name) is not (party := self._party_of[held.anchor_id]):
            self._evict(one, change)
            self._party_of[name] = party
            party.guests[name] = one
            change.touch(party)

    def _evict(self, one: Observation, change: "_Change") -> None:
        """Take a passing claim out of where it is, if it is anywhere."""
        name = one.observation_id
        if name in self._left:
            self._left.remove(one)
        elif (party := self._party_of.pop(name, None)) is not None:
            del party.guests[name]
            change.touch(party)

    def _region(self, change: "_Change") -> Region:
        """Conclude the changed clusters."""
        regrouped = self._left.settle()
        told: list[Told] = []
        for anchor_id, party in change.parties.items():
            if self._party_of.get(anchor_id) is party:
                told += self._conclude(party, party.members())
        for group in regrouped.groups.values():
            told += self._conclude(group, group.members)
        verdicts = (*change.was, *regrouped.was)
        touched = frozenset(one.observation_id for verdict in verdicts for one in verdict.evidence)
        return Region(touched, _in_order(told))

    def _conclude(self, home: _Party | Group, members: Sequence[Observation]) -> Iterable[Told]:
        """Judge a cluster."""
        if len(members) >= self._fewest[type(home)]:
            cluster = Cluster(tuple(members))
            home.verdict = judge(cluster, self._rule)
            if home.verdict is not None:
                return (Told(cluster, home.verdict),)
        self._silent.add(members[-1])
        return ()


def _in_order(told: Iterable[Told]) -> tuple[Told, ...]:
    return tuple(sorted(told, key=lambda each: order_of(each.cluster.members[0])))


@dataclass(slots=True)
class _Change:
    """What one change has touched so far.

    firm: claims that came or went. around: firm clusters that may change, by anchor. parties: those that did, and new
    ones. was: what they amounted to. doubtful: passing claims that may have another home.
    """

    firm: list[Observation] = field(default_factory=list)
    around: dict[str, _Party] = field(default_factory=dict)
    parties: dict[str, _Party] = field(default_factory=dict)
    was: list[Verdict] = field(default_factory=list)
    doubtful: dict[str, Observation] = field(default_factory=dict)

    def touch(self, party: _Party) -> None:
        """Take note of a firm cluster that is about to be another."""
        self.parties[party.held.anchor_id] = party
        if party.verdict is not None:
            self.was.append(party.verdict)
            party.verdict = None


class _Silent:
    """The newest claims of clusters that are no incidents, by the second."""

    def __init__(self) -> None:
        self._claims: dict[int, list[Observation]] = {}
        self._seconds: list[int] = []

    def add(self, one: Observation) -> None:
        """Put a claim in."""
        second = one.at_ms // 1000
        if second not in self._claims:
            self._claims[second] = []
            heapq.heappush(self._seconds, second)
        self._claims[second].append(one)

    def before(self, until_ms: int) -> list[Observation]:
        """Take out and return the claims of before."""
        found: list[Observation] = []
        while self._seconds and self._seconds[0] * 1000 < until_ms:
            second = heapq.heappop(self._seconds)
            claims = self._claims.pop(second)
            found += [one for one in claims if one.at_ms < until_ms]
            if (second + 1) * 1000 > until_ms:
                for one in claims:
                    if one.at_ms >= until_ms:
                        self.add(one)
                return found
        return found
