"""The incremental side of clusters.conclude: after a change, only what it touches is concluded anew."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from processors.incidents.ageing import Ageing
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
    parted,
)
from processors.incidents.conditions import Conditions
from processors.incidents.endings import ClaimsByDevice, Endings
from processors.incidents.leftovers import Group, Leftovers
from processors.incidents.parties import Change, Party, Region, Told
from processors.incidents.resting import RestingClaims, Unit
from processors.incidents.rule_model import Rule
from processors.incidents.verdict import Circumstances, fewest_claims, judge
from schemas.records import Observation

ASK_AGAIN_MS: Final = 60_000
"""How often a claim that may still end something is looked at again, to be forgotten."""


SPARE_MS: Final = 1_000
"""So much longer than necessary claims are kept that nothing can give a home any more."""

SPARE_ENDING_MS: Final = 60_000
"""The same of claims that can end nothing any more: what watches claim may be so much later than a late record."""

AWAKE_MS: Final = 15_000
"""So much longer than claims in time look back, claims stay awake."""

REST_EVERY_MS: Final = 8_000
"""How often claims are put to rest."""

REST_FEWEST: Final = 64
"""Claims that are put to rest together at least."""


class AllStanding(Mapping[str, Observation]):
    """All observations that stand under a rule, by id, those that rest unpacked each time."""

    def __init__(self, awake: Mapping[str, Observation], resting: Sequence[RestingClaims]) -> None:
        self._awake, self._resting = awake, resting

    def __getitem__(self, name: str) -> Observation:
        found = self._awake.get(name)
        for rest in self._resting if found is None else ():
            found = found or rest.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self._awake
        for rest in self._resting:
            yield from (one.observation_id for one in rest)

    def __len__(self) -> int:
        return len(self._awake) + sum(map(len, self._resting))


class StandingClaims:
    """The standing observations that one rule weighs, clustered. Always equal to `conclude` of the whole set."""

    def __init__(self, rule: Rule, conditions: Conditions, latitude_deg: float, lateness_ms: int | None = None) -> None:
        """latitude_deg: see CellIndex. lateness_ms: how late claims may come; None = as late as the horizon."""
        within = rule.within
        self.firm = CellIndex(2 * within.reach_m, within.quiet_s, latitude_deg, rule.parting)
        self.parts = ClaimParts()
        self._rule, self._conditions = rule, conditions
        self._circumstances = Circumstances(0, Endings(rule, latitude_deg), conditions.expected)
        self._passing = frozenset(() if rule.passing is None else rule.passing.kinds)
        self._before_ms = 0 if rule.passing is None else rule.passing.quiet_s * 1000
        self._after_ms = within.quiet_s * 1000
        self._fewest = {Party: 1.0, Group: fewest_claims(rule, self._passing)}
        self._by_device = ClaimsByDevice() if self._circumstances.endings.by_own_device else None
        self._anchors = CellIndex(within.reach_m, within.lasts_s + within.quiet_s, latitude_deg, rule.parting)
        self._left = Leftovers(rule, latitude_deg, self._wake_groups)
        self._standing: dict[str, Observation] = {}
        self._party_of: dict[str, Party] = {}
        self._silent = Ageing()
        self._silent_left = Ageing()
        self._ended = Ageing()
        self._left_ms: int | None = None
        self._ended_ms: int | None = None
        if lateness_ms is not None:
            waits_ms = max((1000 * one.absent.for_s for one in rule.stories if one.absent is not None), default=0)
            self._left_ms = lateness_ms + max(2 * self._before_ms, waits_ms) + SPARE_MS
            self._ended_ms = self._left_ms + self._before_ms + SPARE_ENDING_MS
        self._left_awake_ms, self._ended_awake_ms = self._before_ms + AWAKE_MS, AWAKE_MS
        self._resting_groups = RestingClaims(rule.parting)
        self._resting_endings = RestingClaims(self._circumstances.endings.parting)
        self._circumstances.endings.wake = self._wake_endings
        self._all = AllStanding(self._standing, (self._resting_groups, self._resting_endings))
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
        resting = None if observation_id in self._standing else self._resting_groups.get(observation_id)
        if resting is not None:
            self._wake_named(resting)
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
            self._wake_named(one)
            if one.withdrawn:
                wanted[one.observation_id] = None
            elif one.at_ms >= oldest_ms:
                stands = wanted.get(one.observation_id, self._standing.get(one.observation_id))
                wanted[one.observation_id] = one if stands is None else stands
        was = {name: self._standing.get(name) for name in wanted}
        differs = {name for name, new in wanted.items() if new is not was[name] and new != was[name]}
        removed = [old for name, old in was.items() if old is not None and name in differs]
        added = [new for name, new in wanted.items() if new is not None and name in differs]
        self._circumstances = Circumstances(tick_ms, self._circumstances.endings, self._circumstances.expected)
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
        if self._left_ms is None:
            return
        tick_ms = self._circumstances.tick_ms
        quiet: dict[str, Group] = {}
        for one in self._silent_left.before(tick_ms):
            group = self._left.group_of(one.observation_id)
            if group is None or group.members[-1] is not one or group.verdict is not None:
                continue
            if one.at_ms + self._left_ms < tick_ms:
                self.leave(group.members)
            elif group.again_ms is None and self._may_rest(group.members):
                quiet[one.observation_id] = group
            else:
                self._look_again_at_left(one, REST_EVERY_MS)
        self._rest_groups(quiet.values())
        for unit in self._resting_groups.take_before(tick_ms - self._left_ms):
            self._forget_resting(unit)

    def _forget_endings(self) -> None:
        tick_ms, kept_ms = self._circumstances.tick_ms, self._ended_ms
        quiet: dict[str, Observation] = {}
        for one in self._ended.before(self._oldest_ms if kept_ms is None else tick_ms):
            if self._standing.get(one.observation_id) is not one:
                continue
            if kept_ms is not None and one.at_ms + kept_ms >= tick_ms:
                if self._may_rest((one,)):
                    quiet[one.observation_id] = one
                else:
                    self._look_again_at_ending(one, REST_EVERY_MS)
            elif self._before(one):
                self._ended.add(one, self._asked_ms(one))
            else:
                self._circumstances.endings.remove(one)
                if not self._is_clustered(one):
                    self._let_go(one)
        self._rest_endings(quiet.values())
        for unit in () if kept_ms is None else self._resting_endings.take_before(tick_ms - kept_ms):
            if self._before(unit[0][0]):
                self._wake_ending(unit)
            else:
                self._forget_resting(unit)

    def _asked_ms(self, ending: Observation) -> int:
        """Return when it is asked next whether a claim may still end something, the same before and after a restart."""
        if self._ended_ms is None:
            first_ms, now_ms = ending.at_ms, self._oldest_ms
        else:
            first_ms, now_ms = ending.at_ms + self._ended_ms, self._circumstances.tick_ms
            if now_ms <= first_ms:
                return min(first_ms, _at_once(ending.at_ms + self._ended_awake_ms))
        return first_ms + -(-max(now_ms - first_ms, 0) // ASK_AGAIN_MS) * ASK_AGAIN_MS

    # --- rest -------------------------------------------------------------------------------------------------------

    def _may_rest(self, members: Sequence[Observation]) -> bool:
        """Tell whether claims are in checkpoint parts; those that are evidence and may end something stay awake."""
        return all(
            self.parts.part_of(one.observation_id) is not None
            and (one.kind in self._rule.evidence) != (one.kind in self._conditions.ending_kinds)
            for one in members
        )

    def _rest_groups(self, groups: Collection[Group]) -> None:
        if sum(len(group.members) for group in groups) < REST_FEWEST:
            for group in groups:
                self._look_again_at_left(group.members[-1], REST_EVERY_MS)
            return
        for group in groups:
            self._left.drop(group)
            if self._by_device is not None:
                for one in group.members:
                    self._by_device.remove(one)
        self._resting_groups.put([self._laid_by(group.members) for group in groups])

    def _rest_endings(self, endings: Collection[Observation]) -> None:
        if len(endings) < REST_FEWEST:
            for one in endings:
                self._look_again_at_ending(one, REST_EVERY_MS)
            return
        for one in endings:
            self._circumstances.endings.remove(one)
        self._resting_endings.put([self._laid_by((one,)) for one in endings])

    def _look_again_at_left(self, one: Observation, after_ms: int) -> None:
        assert self._left_ms is not None
        self._silent_left.add(one, min(self._circumstances.tick_ms + after_ms, one.at_ms + self._left_ms))

    def _look_again_at_ending(self, one: Observation, after_ms: int) -> None:
        assert self._ended_ms is not None
        self._ended.add(one, min(self._circumstances.tick_ms + after_ms, one.at_ms + self._ended_ms))

    def _laid_by(self, members: Sequence[Observation]) -> Unit:
        for one in members:
            del self._standing[one.observation_id]
        return [(one, self.parts.lay_by(one.observation_id)) for one in members]

    def _wake_named(self, one: Observation) -> None:
        """Wake what rests under the id of an observation."""
        for unit in self._resting_groups.take_named(one):
            self._wake_group(unit)
        for unit in self._resting_endings.take_named(one):
            self._wake_ending(unit)

    def _wake_groups(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> None:
        for unit in self._resting_groups.take_around(one, reach_m, from_ms, until_ms):
            self._wake_group(unit)

    def _wake_endings(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> None:
        for unit in self._resting_endings.take_around(one, reach_m, from_ms, until_ms):
            self._wake_ending(unit)

    def _wake_group(self, unit: Unit) -> None:
        members = self._taken_up(unit)
        if self._by_device is not None:
            for one in members:
                self._by_device.add(one)
        self._left.put_back(Group(members))
        self._look_again_at_left(members[-1], self._left_awake_ms)

    def _wake_ending(self, unit: Unit) -> None:
        for one in self._taken_up(unit):
            self._circumstances.endings.add(one)
            self._look_again_at_ending(one, self._ended_awake_ms)

    def _taken_up(self, unit: Unit) -> list[Observation]:
        for one, part in unit:
            self._standing[one.observation_id] = one
            self.parts.take_up(one.observation_id, part)
        return [one for one, _ in unit]

    def _forget_resting(self, unit: Unit) -> None:
        for one, part in unit:
            self.parts.remove_laid_by(one.observation_id, part)

    # --- what goes --------------------------------------------------------------------------------------------------

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
        due += [first_ms + (horizon_ms if self._ended_ms is None else 0) + 1 for first_ms in self._ended.first_ms()]
        due += [first_ms + 1 for first_ms in self._silent_left.first_ms()]
        for resting, kept_ms in ((self._resting_groups, self._left_ms), (self._resting_endings, self._ended_ms)):
            first_ms = resting.first_ms()
            due += [] if first_ms is None or kept_ms is None else [first_ms + kept_ms + 1]
        return min(due, default=None)

    def seal(self, key: str) -> dict[str, bytes]:
        """Put the recent observations into a checkpoint part of that name if they are enough; return it."""
        for part in self.parts.given_up():
            for unit in self._resting_groups.take_part(part):
                self._wake_group(unit)
            for unit in self._resting_endings.take_part(part):
                self._wake_ending(unit)
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
        if change.firm:
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
        if self._conditions.end(one):
            self._circumstances.endings.remove(one)
            self._wake_groups(one, self._circumstances.endings.reach_m, self._begins_ms(one), one.at_ms)
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
            self._ended.add(one, self._asked_ms(one))
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
            change.firm.append(one)

    def _touch(self, home: Party | Group, change: Change) -> None:
        """See to it that a cluster is judged again."""
        if isinstance(home, Party):
            change.touch(home)
        else:
            self._left.touch(home)

    def _touch_before(self, ending: Observation, change: Change) -> None:
        """See to it that the clusters are judged again of which a claim that came or went may have ended something.

        One that came says nothing of a cluster of which no story is told and none waits.
        """
        came = self._standing.get(ending.observation_id) is ending
        for one in self._before(ending):
            home = self._home(one.observation_id)
            if home is not None and not (came and home.verdict is None and home.again_ms is None):
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
        change.firm.append(one)
        party = self._party_of.pop(one.observation_id)
        change.around[party.held.anchor_id] = party

    def _hold_again(self, change: Change) -> None:
        """Cluster the firm claims around the changed ones anew."""
        firm = component([self.firm], change.firm, lambda a, b: firm_linked(a, b, self._rule))
        parts = parted(canonical(firm.values()), self._rule)
        helds = {held.anchor_id: held for part in parts for held in hold(part, self._rule)}
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
            judgement = judge(cluster, self._rule, self._circumstances)
            home.verdict, home.again_ms = judgement.verdict, judgement.again_ms
            if home.again_ms is not None:
                heapq.heappush(self._ripening, (home.again_ms, members[0].observation_id))
            if home.verdict is not None:
                return (Told(cluster, home.verdict),)
        last = members[-1]
        if self._left_ms is None or isinstance(home, Party):
            self._silent.add(last)
        else:
            rests_at_ms = _at_once(last.at_ms + self._left_awake_ms)
            self._silent_left.add(last, min(rests_at_ms, last.at_ms + self._left_ms))
        return ()


def _in_order(told: Iterable[Told]) -> tuple[Told, ...]:
    return tuple(sorted(told, key=lambda each: order_of(each.cluster.members[0])))


def _at_once(at_ms: int) -> int:
    """Return when claims that may rest at a time are put to rest, many at once."""
    return -(-at_ms // REST_EVERY_MS) * REST_EVERY_MS
