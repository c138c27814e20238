"""A rule set at work: an evaluator a rule for real observations and one for those of exercises, and whose turn it is.

The set never changes. Another one is another `RulesAtWork`, to which the first hands over what stands.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from processors.city import City
from processors.incidents.claim_parts import ClaimsState
from processors.incidents.clusters import canonical
from processors.incidents.concerned import Concerned
from processors.incidents.conditions import Conditions
from processors.incidents.decisions import Decisions
from processors.incidents.evaluator import Known, RuleEvaluator, RuleState
from processors.incidents.parties import Basis, Listener
from processors.incidents.place_kinds import Places
from processors.incidents.rules import RuleSet, check_horizon, muting_first
from processors.incidents.schedule import Schedule
from processors.incidents.words import marked_as_exercise
from schemas.records import Change, Incident, IncidentChange, IncidentState, Observation, ObservationBlock

AT_ONCE_MS: Final = 0
"""Before every tick."""

Parts = tuple[ObservationBlock, ObservationBlock]
"""A block's real observations alone, and those of exercises."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule set works under.

    horizon_ms: how long claims count where a rule does not say. lateness_ms: how late they may come, None = as late
    as the horizon. looks_ahead: whether life-safety rules look at what waits. listener: is told what every revision is
    made of.
    """

    horizon_ms: int
    lateness_ms: int | None
    looks_ahead: bool
    listener: Listener | None = None


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What a rule remembers when its set ends, and all that stands under it, by id."""

    state: RuleState
    standing: Mapping[str, Observation]


class RulesAtWork:
    """The evaluators of one rule set, by number: those of rules that mute others before those of the muted ones."""

    def __init__(self, rules: RuleSet, city: City, decisions: Decisions, under: Terms) -> None:
        """decisions: the region's book. Raises RulesInvalid when a rule outlasts the horizon."""
        check_horizon(rules, under.horizon_ms)
        self.rules = rules
        self._city, self._decisions, self._under = city, decisions, under
        self._places = Places(city)
        self._evaluators = [each for exercise in (False, True) for each in self._evaluators_of(exercise)]
        self._muted = [self._muted_by(one) for one in self._evaluators]
        self._concerned = [Concerned(self._conditions_of(exercise), self._places) for exercise in (False, True)]
        self._schedule = Schedule(len(self._evaluators))
        self._occupied: set[int] = set()
        """evaluators that have something to remember"""
        self._urgent = [one for one in self._evaluators if one.rule.life_safety and under.looks_ahead]
        self._orphans: list[HandedOver] = []

    def _evaluators_of(self, exercise: bool) -> list[RuleEvaluator]:
        by_id = {one.id: one for one in self.rules.rules}
        longest_ms = max([self._under.horizon_ms, *(1000 * (one.close_after_s or 0) for one in self.rules.rules)])
        made: list[RuleEvaluator] = []
        for name in muting_first(by_id):
            muting = [one for one in made if any(name in mute.rules for mute in one.rule.mutes)]
            made.append(
                RuleEvaluator(
                    by_id[name],
                    self.rules.version,
                    self._city,
                    self._under.horizon_ms,
                    self._decisions,
                    exercise=exercise,
                    muted_by=muting,
                    longest_ms=longest_ms,
                    lateness_ms=self._under.lateness_ms,
                    listener=self._under.listener,
                    places=self._places,
                )
            )
        return made

    def _conditions_of(self, exercise: bool) -> dict[int, Conditions]:
        return {number: one.conditions for number, one in enumerate(self._evaluators) if one.exercise == exercise}

    def _muted_by(self, muting: RuleEvaluator) -> list[int]:
        """Return the numbers of the evaluators whose claims the incidents of one may explain."""
        names = {name for mute in muting.rule.mutes for name in mute.rules}
        return [
            number
            for number, one in enumerate(self._evaluators)
            if one.rule.id in names and one.exercise == muting.exercise
        ]

    @property
    def is_urgent(self) -> bool:
        """Tell whether any rule looks at what waits."""
        return bool(self._urgent)

    def incidents(self) -> Iterator[Incident]:
        """Yield the incidents that are not closed or withdrawn, as published last."""
        for evaluator in self._evaluators:
            yield from evaluator.incidents()

    def standing(self) -> Iterator[Observation]:
        """Yield the claims that rules weigh, or would but for other rules' incidents."""
        for evaluator in self._evaluators:
            yield from evaluator.standing()

    def knows(self, incident_id: str) -> bool:
        """Tell whether it is an incident of a rule that is published, or may be again."""
        return any(self._evaluators[number].knows(incident_id) for number in self._occupied)

    # --- ticks ------------------------------------------------------------------------------------------------------

    def conclude(
        self, tick_ms: int, observations: Sequence[Sequence[Observation]], acted: Sequence[str]
    ) -> list[IncidentChange]:
        """Let the evaluators take their turn that something concerns; the others cost nothing.

        observations: real ones, and those of exercises. acted: incidents that actions of this tick are about.
        """
        changes = self._close_orphans(tick_ms)
        told: dict[int, list[Observation]] = {}
        for concerned, some in zip(self._concerned, observations, strict=True):
            concerned.prepare(some)
            for one in some:
                for number in concerned.of(one):
                    told.setdefault(number, []).append(one)
        turns = {*told, *self._schedule.due(tick_ms), *(range(len(self._evaluators)) if acted else ())}
        waiting = sorted(turns)
        while waiting:
            number = heapq.heappop(waiting)
            evaluator = self._evaluators[number]
            changes += evaluator.advance(tick_ms, told.get(number, ()), acted)
            self._had_turn(number)
            if evaluator.causes.changed:
                for later in (one for one in self._muted[number] if one not in turns):
                    turns.add(later)
                    heapq.heappush(waiting, later)
        return changes

    def _had_turn(self, number: int) -> None:
        """Take note of when an evaluator wants its next turn, and whether it has anything to remember."""
        evaluator = self._evaluators[number]
        self._schedule.want(number, evaluator.next_due_ms())
        if evaluator.is_empty():
            self._occupied.discard(number)
        else:
            self._occupied.add(number)

    # --- stalls -----------------------------------------------------------------------------------------------------

    def wait(self, parts: Parts) -> None:
        """Take note of a block that waits for the merge during a stall."""
        for evaluator in self._urgent_about(parts):
            evaluator.wait(parts[evaluator.exercise])

    def stall_over(self) -> None:
        """Take note that the merge goes on."""
        for evaluator in self._urgent:
            evaluator.stall_over()

    def look_ahead(self, fastest_ms: int, parts: Parts | None) -> list[IncidentChange]:
        """Return what a block during a stall makes of life-safety rules; None: the stall begins."""
        changes: list[IncidentChange] = []
        for evaluator in self._urgent if parts is None else self._urgent_about(parts):
            changes += evaluator.look_ahead(fastest_ms, None if parts is None else parts[evaluator.exercise])
        for number in range(len(self._evaluators) if changes else 0):
            self._had_turn(number)
        return changes

    def _urgent_about(self, parts: Parts) -> list[RuleEvaluator]:
        """Return the evaluators of life-safety rules that a block has claims for."""
        kinds = [{one.kind for one in block.observations} for block in parts]
        return [one for one in self._urgent if not kinds[one.exercise].isdisjoint(one.rule.evidence)]

    # --- state ------------------------------------------------------------------------------------------------------

    def seal(self, next_offset: int) -> dict[str, bytes]:
        """Return the checkpoint parts that it is time for."""
        parts: dict[str, bytes] = {}
        for number in sorted(self._occupied):
            parts |= self._evaluators[number].seal(next_offset)
        return parts

    def states(self) -> tuple[RuleState, ...]:
        """Return what the rules remember, a function of the blocks taken."""
        return tuple(self._evaluators[number].state() for number in sorted(self._occupied))

    def restore(
        self, states: Sequence[RuleState], parts: Mapping[str, bytes], tick_ms: int, *, same_rules: bool
    ) -> None:
        """Go back to states as of a tick; of other rules or another city, the next tick says what they make of it."""
        self.take_over([HandedOver(one, {}) for one in states], parts, tick_ms, same_rules=same_rules)

    def hand_over(self) -> list[HandedOver]:
        """Return all that the rules of another set may go on from, claims that do not count included.

        What explains them is for the other set to say.
        """
        found = []
        for number in sorted(self._occupied):
            evaluator = self._evaluators[number]
            claims = tuple(canonical(evaluator.standing()))
            state = replace(evaluator.state(), claims=ClaimsState((), claims), muted=())
            found.append(HandedOver(state, {one.observation_id: one for one in claims}))
        return [*found, *self._orphans]

    def take_over(
        self,
        handed: Sequence[HandedOver],
        parts: Mapping[str, bytes],
        tick_ms: int,
        *,
        same_rules: bool = False,
    ) -> None:
        """Go on, rule by rule, from what those of the same id remember; incidents of the others end with the next tick.

        tick_ms: as of which it is. parts: checkpoint parts that the states name.
        """
        kept = {(one.state.rule_id, one.state.exercise): one for one in handed}
        for number, evaluator in enumerate(self._evaluators):
            own = kept.pop((evaluator.rule.id, evaluator.exercise), None)
            if own is not None:
                evaluator.restore(own.state, parts, tick_ms, same_rules)
                self._had_turn(number)
                if not same_rules:
                    self._schedule.want(number, AT_ONCE_MS)
        self._orphans = list(kept.values())

    def _close_orphans(self, tick_ms: int) -> list[IncidentChange]:
        """End the incidents of rules that this set has not."""
        orphans, self._orphans = self._orphans, []
        changes: list[IncidentChange] = []
        for one in orphans:
            for packed in one.state.known:
                before = msgspec.msgpack.decode(packed, type=Known).incident
                changes.append(self._ended(before, IncidentState.CLOSED, tick_ms))
                if self._under.listener is not None:
                    self._under.listener(Basis(changes[-1], None, one.standing, {}))
            for early in one.state.pending:
                changes.append(self._ended(early.incident, IncidentState.WITHDRAWN, tick_ms))
        return changes

    def _ended(self, before: Incident, state: IncidentState, tick_ms: int) -> IncidentChange:
        reasons: tuple[str, ...] = (f"the rules in force from now on have no rule {before.rule_id}",)
        incident = replace(
            before,
            tick_ms=tick_ms,
            revision=before.revision + 1,
            state=state,
            rules_version=self.rules.version,
            city_version=self._city.version,
            due_trips=(),
        )
        if incident.exercise:
            reasons = marked_as_exercise(reasons)
        return IncidentChange(tick_ms=tick_ms, change=Change(state.value), reasons=reasons, incident=incident)
