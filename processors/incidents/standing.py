"""The incremental side of clusters.conclude: after a change, only what it touches is concluded anew."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from processors.incidents.ageing import Ageing
from processors.incidents.at_rest import REST_EVERY_MS, AllStanding, AtRest, at_once
from processors.incidents.cells import CellIndex
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import Cluster, Held, distance_m, home_of, order_of
from processors.incidents.conditions import Conditions
from processors.incidents.endings import ClaimsByDevice, Endings
from processors.incidents.holding import Holding
from processors.incidents.leftovers import Group, Leftovers
from processors.incidents.parties import Change, Party, Region, Told
from processors.incidents.rule_model import Rule
from processors.incidents.verdict import Circumstances, Judge, fewest_claims
from schemas.records import Observation

ASK_AGAIN_MS: Final = 60_000
"""How often a claim that may still end something is looked at again, to be forgotten."""


class StandingClaims:
    """The standing observations that one rule weighs, clustered. Always equal to `conclude` of the whole set."""

    def __init__(self, rule: Rule, conditions: Conditions, latitude_deg: float, lateness_ms: int | None = None) -> None:
        """latitude_deg: see CellIndex. lateness_ms: how late claims may come; None = as late as the horizon."""
        within = rule.within
        self.firm = CellIndex(2 * within.reach_m, within.quiet_s, latitude_deg, rule.parting)
        self.parts = ClaimParts()
        self._rule, self._conditions, self._judge = rule, conditions, Judge(rule)
        self._circumstances = Circumstances(0, Endings(rule, latitude_deg), conditions.expected)
        self._passing = frozenset(() if rule.passing is None else rule.passing.kinds)
        self._before_ms = 0 if rule.passing is None else rule.passing.quiet_s * 1000
        self._after_ms = within.quiet_s * 1000
        self._fewest = {Party: 1.0, Group: fewest_claims(rule, self._passing)}
        self._by_device = ClaimsByDevice() if self._circumstances.endings.by_own_device else None
        self._anchors = CellIndex(within.reach_m, within.lasts_s + within.quiet_s, latitude_deg, rule.parting)
        self._left = Leftovers(rule, latitude_deg)
        self._standing: dict[str, Observation] = {}
        self._party_of: dict[str, Party] = {}
        self._silent = Ageing()
        self._rest = AtRest(
            rule, conditions, lateness_ms, self.parts, self._standing, self._left, self._circumstances.endings,
            self._by_device,
        )  # fmt: skip
        self._all = AllStanding(self._standing, self._rest.stores)
        self._merely_ending: set[str] = set()
        self._oldest_ms = 0
        self._ripening: list[tuple[int, str]] = []

    @property
    def circumstances(self) -> Circumstances:
        """What clusters are judged by besides their claims, as of the last tick."""
        return self._circumstances

    @property
    def merely_ending(self) -> tuple[str, ...]:
        """Ids of evidence whose clusters are gone, and that still may end something."""
        return tuple(sorted(self._merely_ending))

    @property
    def standing(self) -> Mapping[str, Observation]:
        """All observations that stand, by id."""
        return self._all

    def members_of(self, observation_id: str) -> Sequence[Observation]:
        """Return the cluster of an observation in canonical order; nothing if it does not stand."""
        if observation_id not in self._standing:
            self._rest.wake_id(observation_id)
        party, group = self._party_of.get(observation_id), self._left.group_of(observation_id)
        if party is not None:
            return party.members()
        return () if group is None else group.members

    def told_of(self, observation_id: str) -> Told | None:
        """Return the cluster of an observation if that is an incident."""
        home = self._home(observation_id)
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
        return [*self._left.between(one, reach_m, from_ms, until_ms), *self._guests(one, reach_m, from_ms, until_ms)]

    def _guests(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> Iterator[Observation]:
        within = self._rule.within
        begun_ms = from_ms - (within.lasts_s + within.quiet_s) * 1000
        for anchor in self._anchors.between(one, reach_m + within.reach_m, begun_ms, until_ms + self._before_ms):
            yield from self._party_of[anchor.observation_id].guests.values()

    def apply(self, observations: Iterable[Observation], oldest_ms: int, tick_ms: int) -> Region | None:
        """Take claims and withdrawals in their order, then a tick; None when no incident changes.

        A claim that stands already says nothing new, nor does one older than `oldest_ms` or that means nothing to the
        rule.
        """
        wanted: dict[str, Observation | None] = {}
        for one in observations:
            self._rest.wake_named(one)
            name = one.observation_id
            if one.withdrawn:
                wanted[name] = None
            elif one.at_ms >= oldest_ms:
                stands = wanted[name] if name in wanted else self._standing.get(name)
                wanted[name] = one if stands is None else stands
        removed, added = list[Observation](), list[Observation]()
        for name, new in wanted.items():
            old = self._standing.get(name)
            if new is not old and new != old:
                if old is not None:
                    removed.append(old)
                if new is not None:
                    added.append(new)
        self._circumstances = Circumstances(tick_ms, self._circumstances.endings, self._circumstances.expected)
        self._rest.tick_ms = tick_ms
        ripe = self._ripe(tick_ms)
        if not removed and not added and not ripe:
            return None
        for one in removed:
            self.parts.remove(one.observation_id)
        region = self._change(removed, added, ripe)
        for one in added:
            if one.observation_id in self._standing:
                self.parts.add(one)
        return region if region.touched or region.told else None

    def restore(
        self,
        state: ClaimsState,
        merely_ending: Iterable[str],
        parts: Mapping[str, bytes],
        oldest_ms: int,
        tick_ms: int,
    ) -> None:
        """Go back to a state as of a tick; what means nothing to the rule (any more) goes."""
        standing = self.parts.restore(state, parts)
        self._merely_ending = set(merely_ending)
        self._circumstances = replace(self._circumstances, tick_ms=tick_ms)
        self._rest.tick_ms = tick_ms
        self._oldest_ms = oldest_ms
        self._change([], standing)
        for one in standing:
            if one.observation_id not in self._standing:
                self.parts.remove(one.observation_id)

    def leave(self, members: Sequence[Observation]) -> None:
        """Let a whole cluster go; the others stay as they are (clusters.py says why)."""
        for one in members:
            if self._by_device is not None:
                self._by_device.remove(one)
            if self._conditions.end(one):
                self._merely_ending.add(one.observation_id)
            else:
                self._let_go(one)
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
        """Let the clusters go that are no incidents and whose newest claim is older, and what can end nothing more.

        What is left over goes as soon as no claim can come that attracts it, or a guest that would belong to it, or
        that takes back what rules its stories out. What ends goes when nothing is left, or can come, that it ends.
        Until then both rest.
        """
        self._oldest_ms = oldest_ms
        for one in self._silent.before(oldest_ms):
            members = self.members_of(one.observation_id)
            if members and members[-1] is one and self.told_of(one.observation_id) is None:
                self.leave(members)
        self._forget_left()
        self._forget_endings()

    def _forget_left(self) -> None:
        rest, quiet = self._rest, dict[str, Group]()
        if rest.left_ms is None:
            return
        for one in rest.left_looks.before(rest.tick_ms):
            group = self._left.group_of(one.observation_id)
            if group is None or group.members[-1] is not one or group.verdict is not None:
                continue
            if one.at_ms + rest.left_ms < rest.tick_ms:
                self.leave(group.members)
            elif group.again_ms is None and rest.may_rest(group.members):
                quiet[one.observation_id] = group
            else:
                rest.look_again_at_left(one, REST_EVERY_MS)
        rest.rest_groups(quiet.values())
        rest.forget_groups()

    def _forget_endings(self) -> None:
        rest, quiet = self._rest, dict[str, Observation]()
        for one in rest.ending_looks.before(self._oldest_ms if rest.ended_ms is None else rest.tick_ms):
            if self._standing.get(one.observation_id) is not one:
                continue
            if rest.ended_ms is not None and one.at_ms + rest.ended_ms >= rest.tick_ms:
                if rest.may_rest((one,)):
                    quiet[one.observation_id] = one
                else:
                    rest.look_again_at_ending(one, REST_EVERY_MS)
            elif self._before(one):
                rest.ending_looks.add(one, self._asked_ms(one))
            else:
                self._circumstances.endings.remove(one)
                if not self._is_clustered(one):
                    self._let_go(one)
        rest.rest_endings(quiet.values())
        rest.forget_endings(lambda one: bool(self._before(one)))

    def _asked_ms(self, ending: Observation) -> int:
        """Return when it is asked next whether a claim may still end something, the same before and after a restart."""
        rest = self._rest
        if rest.ended_ms is None:
            first_ms, now_ms = ending.at_ms, self._oldest_ms
        else:
            first_ms, now_ms = ending.at_ms + rest.ended_ms, rest.tick_ms
            if now_ms <= first_ms:
                return min(first_ms, at_once(ending.at_ms + rest.ended_awake_ms))
        return first_ms + -(-max(now_ms - first_ms, 0) // ASK_AGAIN_MS) * ASK_AGAIN_MS

    def _let_go(self, one: Observation) -> None:
        self.parts.remove(one.observation_id)
        del self._standing[one.observation_id]
        self._merely_ending.discard(one.observation_id)

    def _is_clustered(self, one: Observation) -> bool:
        return one.observation_id in self._party_of or one.observation_id in self._left

    def _before(self, ending: Observation) -> list[Observation]:
        """Return the claims before another one that it may say something of, without those that rest, and some others.

        It says nothing of those that rest: no story is told of them, and none waits.
        """
        if self._by_device is not None:
            endings = self._circumstances.endings
            return self._by_device.before(ending, endings.reach_m, endings.reach_ms)
        around = ending, self._circumstances.endings.reach_m, self._begins_ms(ending), ending.at_ms
        left = self._left.awake_between(*around) if self._passing else ()
        found = (*self.firm.between(*around), *left, *self._guests(*around))
        return [one for one in found if one is not ending]

    def _begins_ms(self, ending: Observation) -> int:
        """Return when a cluster may begin that a claim ends."""
        return ending.at_ms - self._rule.within.lasts_s * 1000 - 2 * self._after_ms - self._before_ms

    def next_due_ms(self, horizon_ms: int) -> int | None:
        """Return when time alone changes something, or lets something go; None = never."""
        due = [self._ripening[0][0]] if self._ripening else []
        due += [first_ms + horizon_ms + 1 for first_ms in self._silent.first_ms()]
        due += self._rest.due_ms(horizon_ms)
        return min(due, default=None)

    def seal(self, key: str) -> dict[str, bytes]:
        """Put the recent observations into a checkpoint part of that name if they are enough; return it."""
        for part in self.parts.given_up():
            self._rest.wake_part(part)
        return self.parts.seal(key, self._standing)

    # --- one change -------------------------------------------------------------------------------------------------

    def _change(
        self, removed: Iterable[Observation], added: Iterable[Observation], ripe: Iterable[Party | Group] = ()
    ) -> Region:
        """Take claims out and in, and judge again what they touch and what is ripe for it."""
        change = Change()
        for home in ripe:
            self._touch(home, change)
        for one in removed:
            self._take_away(one, change)
        for one in added:
            self._put_in(one, change)
        if change.come or change.gone:
            self._hold_again(change)
        for one in change.doubtful.values():
            if one.observation_id in self._standing:
                self._house(one, change)
        for one in change.endings:
            self._touch_before(one, change)
        return self._region(change)

    def _take_away(self, one: Observation, change: Change) -> None:
        del self._standing[one.observation_id]
        self._merely_ending.discard(one.observation_id)
        self._circumstances.endings.over.pop(one.observation_id, None)
        if self._conditions.end(one):
            self._circumstances.endings.remove(one)
            self._circumstances.endings.over.clear()
            self._rest.wake_groups(one, self._circumstances.endings.reach_m, self._begins_ms(one), one.at_ms)
            change.endings.append(one)
        if not self._is_clustered(one):
            return
        if self._by_device is not None:
            self._by_device.remove(one)
        if one.kind in self._passing:
            self._evict(one, change)
        else:
            self._take_out(one, change)

    def _put_in(self, one: Observation, change: Change) -> None:
        name = one.observation_id
        if self._conditions.end(one):
            self._standing[name] = one
            self._circumstances.endings.add(one)
            self._rest.ending_looks.add(one, self._asked_ms(one))
            change.endings.append(one)
        if name in self._merely_ending or not self._conditions.weigh(one):
            return
        self._standing[name] = one
        if self._by_device is not None:
            self._by_device.add(one)
        if one.kind in self._passing:
            change.doubtful[name] = one
        else:
            self.firm.add(one)
            change.come.append(one)

    def _touch(self, home: Party | Group, change: Change) -> None:
        """See to it that a cluster is judged again."""
        if isinstance(home, Party):
            change.touch(home)
        else:
            self._left.touch(home)

    def _touch_before(self, ending: Observation, change: Change) -> None:
        """See to it that the clusters are judged again of which a claim that came or went may have ended something.

        One that came says nothing of a cluster of which no story is told; one that waits is judged in its time.
        """
        came = self._standing.get(ending.observation_id) is ending
        for one in self._before(ending):
            home = self._home(one.observation_id)
            if home is not None and not (came and home.verdict is None):
                self._touch(home, change)

    def _home(self, observation_id: str) -> Party | Group | None:
        return self._party_of.get(observation_id) or self._left.group_of(observation_id)

    def _ripe(self, tick_ms: int) -> list[Party | Group]:
        """Return the clusters that time alone may have changed."""
        found: list[Party | Group] = []
        while self._ripening and self._ripening[0][0] <= tick_ms:
            again_ms, name = heapq.heappop(self._ripening)
            home = self._home(name)
            if home is not None and home.again_ms == again_ms:
                home.again_ms = None
                found.append(home)
        return found

    def _take_out(self, one: Observation, change: Change) -> None:
        """Take out a firm claim."""
        self.firm.remove(one)
        change.gone.append(one)
        change.homes[one.observation_id] = self._party_of.pop(one.observation_id)

    def _hold_again(self, change: Change) -> None:
        """Follow what the firm claims that came and went change about firm clusters."""
        gone = {party.held.anchor_id: party for party in change.homes.values()}

        def anchor_of(name: str) -> str | None:
            party = change.homes.get(name) or self._party_of.get(name)
            return None if party is None else party.held.anchor_id

        def of_anchor(anchor_id: str) -> Party | None:
            party = gone.get(anchor_id) or self._party_of.get(anchor_id)
            return party if party is not None and party.held.anchor_id == anchor_id else None

        def held_by(anchor_id: str) -> tuple[Observation, ...]:
            party = of_anchor(anchor_id)
            return () if party is None else party.held.members

        holding = Holding(self._rule, self.firm, self._anchors, self._anchors.empty(), anchor_of, held_by)
        followed = holding.follow(change.gone, change.come)
        for anchor_id, members in followed.items():
            party = of_anchor(anchor_id)
            if party is not None and (not members or members[0] is not party.held.anchor):
                self._dissolve(party, change)
        for anchor_id, members in followed.items():
            if members:
                held, known = Held(tuple(members)), self._party_of.get(anchor_id)
                if known is None or known.held.anchor is not held.anchor:
                    self._found(held, change)
                elif known.held != held:
                    self._hold_other(known, held, change)

    def _dissolve(self, party: Party, change: Change) -> None:
        change.touch(party)
        self._anchors.remove(party.held.anchor)
        for member in party.held.members:
            if self._party_of.get(member.observation_id) is party:
                del self._party_of[member.observation_id]
        for name in party.guests:
            del self._party_of[name]
        change.doubtful |= party.guests

    def _found(self, held: Held, change: Change) -> None:
        party = Party(held)
        change.touch(party)
        self._anchors.add(held.anchor)
        self._party_of |= dict.fromkeys((one.observation_id for one in held.members), party)
        self._doubt(held, held.anchor.at_ms - self._before_ms, change)

    def _hold_other(self, party: Party, held: Held, change: Change) -> None:
        """Let a party be held together by other claims around the same anchor."""
        change.touch(party)
        before_ms, party.held = party.held.last_at_ms, held
        self._party_of |= dict.fromkeys((one.observation_id for one in held.members), party)
        if held.last_at_ms < before_ms:
            change.doubtful |= party.guests
        else:
            self._doubt(held, before_ms + self._after_ms + 1, change)

    def _doubt(self, held: Held, from_ms: int, change: Change) -> None:
        """Look again at the passing claims from some time on that a firm cluster may attract."""
        reach_m, until_ms = self._rule.within.reach_m, held.last_at_ms + self._after_ms
        for one in self.passing_around(held.anchor, reach_m, from_ms, until_ms):
            if from_ms <= one.at_ms <= until_ms and distance_m(one, held.anchor) <= reach_m:
                change.doubtful[one.observation_id] = one

    def _house(self, one: Observation, change: Change) -> None:
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

    def _evict(self, one: Observation, change: Change) -> None:
        """Take a passing claim out of where it is, if it is anywhere."""
        name = one.observation_id
        if name in self._left:
            self._left.remove(one)
        elif (party := self._party_of.pop(name, None)) is not None:
            del party.guests[name]
            change.touch(party)

    def _region(self, change: Change) -> Region:
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

    def _conclude(self, home: Party | Group, members: Sequence[Observation]) -> Iterable[Told]:
        """Judge a cluster."""
        home.again_ms = None
        if len(members) >= self._fewest[type(home)]:
            cluster = Cluster(tuple(members))
            crowds = home.crowds if isinstance(home, Party) else None
            judgement = self._judge.judge(cluster, self._circumstances, crowds)
            home.verdict, home.again_ms = judgement.verdict, judgement.again_ms
            if home.again_ms is not None:
                heapq.heappush(self._ripening, (home.again_ms, members[0].observation_id))
            if home.verdict is not None:
                return (Told(cluster, home.verdict),)
        last = members[-1]
        if self._rest.left_ms is None or isinstance(home, Party):
            self._silent.add(last)
        else:
            rests_at_ms = at_once(last.at_ms + self._rest.left_awake_ms)
            self._rest.left_looks.add(last, min(rests_at_ms, last.at_ms + self._rest.left_ms))
        return ()


def _in_order(told: Iterable[Told]) -> tuple[Told, ...]:
    return tuple(sorted(told, key=lambda each: order_of(each.cluster.members[0])))
