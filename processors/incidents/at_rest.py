"""What of the standing claims of one rule rests, and what wakes it.

A group of passing claims rests when nothing is told of it and no story waits, and a claim that may end something when
it is a moment old. They stand as before: whatever would look at them wakes them first.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import Final

from processors.incidents.ageing import Ageing
from processors.incidents.claim_parts import ClaimParts
from processors.incidents.conditions import Conditions
from processors.incidents.endings import ClaimsByDevice, Endings
from processors.incidents.leftovers import Group, Leftovers
from processors.incidents.resting import RestingClaims, Unit
from processors.incidents.rule_model import Rule
from schemas.records import Observation

SPARE_MS: Final = 1_000
"""So much longer than necessary claims are kept that nothing can give a home any more."""

SPARE_ENDING_MS: Final = 60_000
"""The same of claims that can end nothing any more: what watches claim may be so much later than a late record."""

AWAKE_MS: Final = 15_000
"""So much longer than claims in time look back, claims stay awake."""

WOKEN_MS: Final = 60_000
"""So long what may end something stays awake when it was asked for: who asks, asks again."""

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

    def values(self) -> ValuesView[Observation]:
        """Return all of them; each piece is unpacked once."""
        return _All(self)

    def all(self) -> Iterator[Observation]:
        """Yield all of them."""
        yield from self._awake.values()
        for rest in self._resting:
            yield from rest


class _All(ValuesView[Observation]):
    _mapping: AllStanding

    def __iter__(self) -> Iterator[Observation]:
        return self._mapping.all()


class AtRest:
    """The claims of a rule that rest, and when the others are looked at, to rest or to go.

    tick_ms: the last tick. left_ms, ended_ms: how long after its time a claim that nothing was told of goes, and one
    that may end something is first asked; None = with the horizon, and nothing rests.
    """

    def __init__(
        self,
        rule: Rule,
        conditions: Conditions,
        lateness_ms: int | None,
        parts: ClaimParts,
        awake: dict[str, Observation],
        left: Leftovers,
        endings: Endings,
        by_device: ClaimsByDevice | None,
    ) -> None:
        """lateness_ms: how late claims may come, None = as late as the horizon. The others: where claims are awake."""
        self.tick_ms = 0
        self.left_looks, self.ending_looks = Ageing(), Ageing()
        self.left_ms: int | None = None
        self.ended_ms: int | None = None
        before_ms = 0 if rule.passing is None else rule.passing.quiet_s * 1000
        if lateness_ms is not None:
            waits_ms = max((1000 * one.absent.for_s for one in rule.stories if one.absent is not None), default=0)
            self.left_ms = lateness_ms + max(2 * before_ms, waits_ms) + SPARE_MS
            self.ended_ms = self.left_ms + before_ms + SPARE_ENDING_MS
        self.left_awake_ms, self.ended_awake_ms = before_ms + AWAKE_MS, AWAKE_MS
        self._rule, self._conditions = rule, conditions
        self._parts, self._awake, self._left, self._endings, self._by_device = parts, awake, left, endings, by_device
        self._groups, self._ends = RestingClaims(rule.parting), RestingClaims(endings.parting)
        left.wake, endings.wake = self.wake_groups, self.wake_endings

    @property
    def stores(self) -> Sequence[RestingClaims]:
        """All that rests."""
        return self._groups, self._ends

    def due_ms(self, horizon_ms: int) -> Iterator[int]:
        """Yield when something is to be looked at, or to go."""
        yield from (first_ms + 1 for first_ms in self.left_looks.first_ms())
        yield from (
            first_ms + (horizon_ms if self.ended_ms is None else 0) + 1 for first_ms in self.ending_looks.first_ms()
        )
        for store, kept_ms in ((self._groups, self.left_ms), (self._ends, self.ended_ms)):
            first_ms = store.first_ms()
            if first_ms is not None and kept_ms is not None:
                yield first_ms + kept_ms + 1

    def may_rest(self, members: Sequence[Observation]) -> bool:
        """Tell whether claims are in checkpoint parts; those that are evidence and may end something stay awake."""
        return all(
            self._parts.part_of(one.observation_id) is not None
            and (one.kind in self._rule.evidence) != (one.kind in self._conditions.ending_kinds)
            for one in members
        )

    def look_again_at_left(self, one: Observation, after_ms: int) -> None:
        """Look at a group, named by its newest claim, again after a time, or when it goes."""
        assert self.left_ms is not None
        self.left_looks.add(one, min(at_once(self.tick_ms + after_ms), one.at_ms + self.left_ms))

    def look_again_at_ending(self, one: Observation, after_ms: int) -> None:
        """Look at a claim that may end something again after a time, or when it is asked."""
        assert self.ended_ms is not None
        self.ending_looks.add(one, min(at_once(self.tick_ms + after_ms), one.at_ms + self.ended_ms))

    def rest_groups(self, groups: Collection[Group]) -> None:
        """Put groups to rest, unless they are too few."""
        if sum(len(group.members) for group in groups) < REST_FEWEST:
            for group in groups:
                self.look_again_at_left(group.members[-1], REST_EVERY_MS)
            return
        for group in groups:
            self._left.drop(group)
            if self._by_device is not None:
                for one in group.members:
                    self._by_device.remove(one)
        self._groups.put([self._laid_by(group.members) for group in groups])

    def rest_endings(self, endings: Collection[Observation]) -> None:
        """Put claims that may end something to rest, unless they are too few."""
        if len(endings) < REST_FEWEST:
            for one in endings:
                self.look_again_at_ending(one, REST_EVERY_MS)
            return
        for one in endings:
            self._endings.remove(one)
        self._ends.put([self._laid_by((one,)) for one in endings])

    def forget_groups(self) -> None:
        """Forget the groups that rest and that nothing late can change."""
        assert self.left_ms is not None
        for unit in self._groups.take_before(self.tick_ms - self.left_ms):
            self._forget(unit)

    def forget_endings(self, may_end: Callable[[Observation], bool]) -> None:
        """Forget the claims that rest and are old, and wake those of them that may end something."""
        for unit in () if self.ended_ms is None else self._ends.take_before(self.tick_ms - self.ended_ms):
            if may_end(unit[0][0]):
                self._wake_ending(unit)
            else:
                self._forget(unit)

    def wake_id(self, observation_id: str) -> None:
        """Wake the group of an id if it rests."""
        found = self._groups.get(observation_id)
        if found is not None:
            self.wake_named(found)

    def wake_named(self, one: Observation) -> None:
        """Wake what rests under the id of an observation."""
        groups, endings = self._groups.take_named(one), self._ends.take_named(one)
        if groups or endings:
            self._wake(groups, endings)

    def wake_part(self, part: str) -> None:
        """Wake what rests of a checkpoint part."""
        self._wake(self._groups.take_part(part), self._ends.take_part(part))

    def wake_groups(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> None:
        """Wake the groups with a claim around an observation and of a time."""
        self._wake(self._groups.take_around(one, reach_m, from_ms, until_ms), ())

    def wake_endings(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> None:
        """Wake the claims that may end something around an observation and of a time."""
        self._wake((), self._ends.take_around(one, reach_m, from_ms, until_ms))

    def _wake(self, groups: Iterable[Unit], endings: Iterable[Unit]) -> None:
        for unit in groups:
            members = self._taken_up(unit)
            if self._by_device is not None:
                for one in members:
                    self._by_device.add(one)
            self._left.put_back(Group(members))
            self.look_again_at_left(members[-1], self.left_awake_ms)
        for unit in endings:
            self._wake_ending(unit)

    def _wake_ending(self, unit: Unit) -> None:
        for one in self._taken_up(unit):
            self._endings.add(one)
            self.look_again_at_ending(one, WOKEN_MS)

    def _laid_by(self, members: Sequence[Observation]) -> Unit:
        for one in members:
            del self._awake[one.observation_id]
        return [(one, self._parts.lay_by(one.observation_id)) for one in members]

    def _taken_up(self, unit: Unit) -> list[Observation]:
        for one, part in unit:
            self._awake[one.observation_id] = one
            self._parts.take_up(one.observation_id, part)
        return [one for one, _ in unit]

    def _forget(self, unit: Unit) -> None:
        for one, part in unit:
            self._parts.remove_laid_by(one.observation_id, part)


def at_once(at_ms: int) -> int:
    """Return when claims that may rest at a time are put to rest, many at once."""
    return -(-at_ms // REST_EVERY_MS) * REST_EVERY_MS
