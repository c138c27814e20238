"""One rule at work, on real or on exercise evidence: from merged ticks to revisions of its incidents."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import msgspec

from processors.city import City
from processors.incidents.claim_parts import ClaimsState
from processors.incidents.clusters import Cluster
from processors.incidents.conditions import Conditions
from processors.incidents.decisions import Decisions
from processors.incidents.drafts import Drafter
from processors.incidents.identity import heir_of, match_incidents, new_incident_id
from processors.incidents.muting import Cause, Causes, MutedClaim, Muting
from processors.incidents.parties import Basis, Listener, Region, Told
from processors.incidents.place_kinds import Places
from processors.incidents.provisional import Early, Lookout
from processors.incidents.rule_model import Mute, Rule
from processors.incidents.standing import StandingClaims
from processors.incidents.words import Fates
from schemas.records import Evidence, Incident, IncidentChange, IncidentState, Observation, ObservationBlock

LATITUDE_MARGIN_DEG: Final = 1.0
_WAITS_FOR_CLOSE: Final = (IncidentState.RESOLVED, IncidentState.DISMISSED)


@dataclass(frozen=True, slots=True)
class Known:
    """A published incident and all that it rests on (its record shows one claim a witness and kind)."""

    incident: Incident
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleState:
    """Everything one rule remembers; its clusters follow from what stands.

    known: each a Known, packed once and not with every checkpoint.
    withdrawn: incidents whose evidence may stand again within the horizon; they keep their ids and revisions.
    exercise: of the evaluator for exercises.
    merely_ending: see StandingClaims. muted: claims that other rules' incidents explain. causes: own incidents that may
    explain claims of other rules.
    """

    rule_id: str
    claims: ClaimsState
    known: tuple[msgspec.Raw, ...]
    withdrawn: tuple[Known, ...]
    pending: tuple[Early, ...]
    exercise: bool = False
    merely_ending: tuple[str, ...] = ()
    muted: tuple[MutedClaim, ...] = ()
    causes: tuple[Cause, ...] = ()


class RuleEvaluator:
    """Keeps the incidents of one rule.

    exercise: whether the observations it is given are those of exercises; it never sees both.
    """

    def __init__(
        self,
        rule: Rule,
        rules_version: str,
        city: City,
        horizon_ms: int,
        decisions: Decisions,
        *,
        exercise: bool = False,
        muted_by: Sequence["RuleEvaluator"] = (),
        longest_ms: int = 0,
        lateness_ms: int | None = None,
        listener: Listener | None = None,
        places: Places | None = None,
    ) -> None:
        """horizon_ms: how long claims count where the rule does not say.

        decisions: the region's book, shared by all evaluators; this one writes down where its incidents go.
        muted_by: evaluators of rules that mute this one; they take their turn of a tick before it.
        longest_ms: how long claims count at most under any of the rules.
        lateness_ms: how late claims may come, None = as late as the horizon.
        listener: is told what revisions are made of. places: the city's, if they are there already.
        """
        farthest_deg = min(89.0, max(abs(city.south_deg), abs(city.north_deg)) + LATITUDE_MARGIN_DEG)
        self.rule = rule
        self.exercise = exercise
        self.horizon_ms = horizon_ms = horizon_ms if rule.close_after_s is None else rule.close_after_s * 1000
        self.conditions = conditions = Conditions(rule, city, places)
        self.kinds = conditions.kinds
        self.causes = Causes(rule.mutes, longest_ms)
        self._drafter = Drafter(rule, rules_version, city, conditions.places, horizon_ms, exercise)
        self._decisions, self._listener = decisions, listener
        self._claims = StandingClaims(rule, conditions, farthest_deg, lateness_ms)
        self._muted_by, self._muting = tuple(muted_by), Muting()
        self._lookout = Lookout(self._drafter, conditions, self._muting, farthest_deg)
        self._known: dict[str, Known] = {}
        self._packed: dict[str, tuple[Known, msgspec.Raw]] = {}
        self._withdrawn: dict[str, Known] = {}
        self._incident_of: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._due_of: dict[str, int] = {}
        self._unsettled: frozenset[str] = frozenset()
        self._lost: list[str] = []

    def knows(self, incident_id: str) -> bool:
        """Tell whether it is an incident of this rule that is published, or may be again."""
        return any(incident_id in some for some in (self._known, self._withdrawn, self._lookout.pending))

    def incidents(self) -> list[Incident]:
        """Return the incidents that are not closed, as published last."""
        return [known.incident for known in self._known.values()]

    def advance(
        self, tick_ms: int, observations: Iterable[Observation], acted: Iterable[str] = ()
    ) -> list[IncidentChange]:
        """Take the observations of a tick that are of its kinds, then the tick; return the revisions they make.

        acted: incidents, of any rule, that actions of this tick are about; the book has them.
        """
        self.causes.changed = False
        self._lookout.merged(tick_ms, observations)
        if self._muted_by:
            observations = self._muting.sieve(observations, self._causes_of_others(), self._claims.standing)
        region = self._claims.apply(observations, tick_ms - self.horizon_ms, tick_ms)
        if self._unsettled:
            touched = self._unsettled.union(() if region is None else region.touched)
            region, self._unsettled = Region(touched, self._claims.told()), frozenset()
        changes = [] if region is None else self._settle(tick_ms, region)
        changes += self._decide(tick_ms, acted)
        changes += self._pass_time(tick_ms)
        for name in self._lookout.overdue(tick_ms):
            changes.append(self._lookout.end(name, "", tick_ms, self._fates()))
        return changes

    def next_due_ms(self) -> int | None:
        """Return the tick at which it wants its turn though nothing comes; None = never."""
        if self._unsettled:
            return 0
        due = [self._due[0][0]] if self._due else []
        claims_due_ms = self._claims.next_due_ms(self.horizon_ms)
        due += [] if claims_due_ms is None else [claims_due_ms]
        due += [early.until_ms for early in self._lookout.pending.values()]
        due += [known.incident.tick_ms + 2 * self.horizon_ms + 1 for known in self._withdrawn.values()]
        due += [one.observation.at_ms + self.horizon_ms + 1 for one in self._muting.muted.values()]
        due += self.causes.due_ms(self._known.keys())
        return min(due, default=None)

    def standing(self) -> Iterator[Observation]:
        """Yield the claims that it weighs, and those that would count but for other rules' incidents."""
        yield from self._claims.standing.values()
        yield from (one.observation for one in self._muting.muted.values())

    def is_empty(self) -> bool:
        """Tell whether there is nothing to remember."""
        some = self._claims.standing, self._known, self._withdrawn, self._lookout.pending, self._muting.muted
        return not (any(some) or self.causes.all)

    def wait(self, block: ObservationBlock) -> None:
        """Take note of a block that waits for the merge during a stall."""
        self._lookout.wait(block)

    def stall_over(self) -> None:
        """Take note that the merge goes on."""
        self._lookout.over()

    def look_ahead(self, tick_ms: int, block: ObservationBlock | None) -> list[IncidentChange]:
        """Return provisional incidents; see Lookout.look."""
        return self._lookout.look(tick_ms, block, self._claims, self._incident_of.keys())

    def seal(self, next_offset: int) -> dict[str, bytes]:
        """Return a checkpoint part if it is time for one."""
        folder = "exercise-claims" if self.exercise else "claims"
        return self._claims.seal(f"{folder}/{self.rule.id}/{next_offset}")

    def state(self) -> RuleState:
        """Return the state, a function of the blocks taken."""
        return RuleState(
            rule_id=self.rule.id,
            claims=self._claims.parts.state(),
            known=self._pack(),
            withdrawn=tuple(self._withdrawn[name] for name in sorted(self._withdrawn)),
            pending=tuple(self._lookout.pending[name] for name in sorted(self._lookout.pending)),
            exercise=self.exercise,
            merely_ending=self._claims.merely_ending,
            muted=tuple(self._muting.muted[name] for name in sorted(self._muting.muted)),
            causes=tuple(self.causes.all[name] for name in sorted(self.causes.all)),
        )

    def restore(self, state: RuleState, parts: Mapping[str, bytes], tick_ms: int, same_rules: bool) -> None:
        """Go back to a state as of a tick; under other rules or another city, the next tick says what they make of it.

        The evaluators of rules that mute this one go back first.
        """
        incidents = [msgspec.msgpack.decode(packed, type=Known) for packed in state.known]
        for known in incidents:
            self._remember(known)
        self._withdrawn = {known.incident.incident_id: known for known in state.withdrawn}
        self._lookout.restore(state.pending)
        self.causes.all = {cause.incident_id: cause for cause in state.causes}
        self._muting.restore(state.muted, self._causes_of_others() if same_rules else ())
        self._claims.restore(state.claims, state.merely_ending, parts, tick_ms - self.horizon_ms, tick_ms)
        self._watch(self._claims.told())
        if not same_rules:
            self._unsettled = frozenset(self._claims.standing).union(*(known.evidence_ids for known in incidents))

    def _pack(self) -> tuple[msgspec.Raw, ...]:
        """Return the published incidents as bytes, those that have not changed as they were before."""
        before, self._packed = self._packed, {}
        for name in sorted(self._known):
            known, packed = self._known[name], before.get(name)
            if packed is None or packed[0] is not known:
                packed = known, msgspec.Raw(msgspec.msgpack.encode(known))
            self._packed[name] = packed
        return tuple(packed for _, packed in self._packed.values())

    # --- incidents of a region --------------------------------------------------------------------------------------

    def _settle(self, tick_ms: int, region: Region) -> list[IncidentChange]:
        """Give the clusters of a region their incidents, and say what that changes."""
        found = region.told
        evidence = [each.evidence_ids for each in found]
        names = sorted({self._incident_of[one] for one in region.touched if one in self._incident_of})
        old = {name: self._known.pop(name) for name in names}
        for known in old.values():
            for one in known.evidence_ids:
                del self._incident_of[one]
        matched = match_incidents(
            {name: frozenset(known.evidence_ids) for name, known in old.items()},
            evidence,
            {name: _claims_in(known.incident.evidence) for name, known in old.items()},
            [_claims_in(each.verdict.evidence) for each in found],
        )
        name_of = self._name({index: name for name, index in matched.items()}, evidence, old)
        heirs = {}
        for name in sorted(old.keys() - matched.keys()):
            heir = heir_of(frozenset(old[name].evidence_ids), evidence)
            heirs[name] = "" if heir is None else name_of[heir]
        self._lost += [self._decisions.come_back(name) for name in name_of if name in self._withdrawn]
        for name, heir_name in heirs.items():
            if heir_name:
                self._decisions.move(name, heir_name)
        changes = []
        for name, each in zip(name_of, found, strict=True):
            changes += self._continue(tick_ms, name, old.get(name), each)
        changes += [self._withdraw(tick_ms, old[name], heir_name) for name, heir_name in heirs.items()]
        self._watch(region.told)
        return changes

    def _name(self, matched: Mapping[int, str], evidence: Sequence[Set[str]], old: Mapping[str, Known]) -> list[str]:
        """Return the incident ids of n clusters: of those that go on as they were matched, new ones for the others."""
        taken = {*self._known, *old}
        names = []
        for index, ids in enumerate(evidence):
            names.append(matched[index] if index in matched else new_incident_id(self._drafter.id_part, ids, taken))
            taken.add(names[-1])
        return names

    def _continue(self, tick_ms: int, name: str, known: Known | None, each: Told) -> list[IncidentChange]:
        """Publish what a cluster makes of an incident, and end the provisional ones it stands for."""
        if known is None:
            known = self._withdrawn.pop(name, None)
        before = known.incident if known else None
        evidence = each.evidence_ids
        early = self._lookout.replaced_by(evidence)
        replaces = (*(before.replaces if before else ()), *early)
        for one in early:
            self._decisions.move(one, name)
        actions = self._decisions.of(name)
        state = self._drafter.state_at(tick_ms, each.verdict, each.cluster.last_at_ms, actions)
        draft = self._drafter.draft(before, name, each.verdict, state, replaces, actions)
        fates = self._fates()
        change = self._drafter.revise(before, draft, tick_ms, fates, each.verdict.ended_by)
        if self.rule.mutes:
            self.causes.take(draft, each.verdict.state)
        self._tell(change, each.cluster, fates)
        incident = change.incident if change else before
        assert incident is not None
        self._remember(Known(incident, tuple(sorted(evidence))))
        ended = [self._lookout.end(one, name, tick_ms, fates) for one in early]
        return [*([change] if change else []), *ended]

    def _withdraw(self, tick_ms: int, known: Known, merged_into: str) -> IncidentChange:
        merged_into = merged_into or self._muting.explained_by(known.evidence_ids)
        fates = self._fates()
        change = self._drafter.withdraw(known.incident, merged_into, tick_ms, fates)
        self._tell(change, None, fates)
        self.causes.drop(known.incident.incident_id)
        self._withdrawn[known.incident.incident_id] = Known(change.incident, known.evidence_ids)
        return change

    def _tell(self, change: IncidentChange | None, cluster: Cluster | None, fates: Fates) -> None:
        if self._listener is not None and change is not None:
            self._listener(Basis(change, cluster, self._claims.standing, fates.explained))

    def _remember(self, known: Known) -> None:
        self._known[known.incident.incident_id] = known
        for one in known.evidence_ids:
            self._incident_of[one] = known.incident.incident_id

    def _decide(self, tick_ms: int, acted: Iterable[str]) -> list[IncidentChange]:
        """Look again at incidents that actions are about since this tick, or no longer are."""
        names, self._lost = dict.fromkeys([*acted, *self._lost]), []
        changes: list[IncidentChange] = []
        for name in (name for name in names if name in self._known):
            each = self._claims.told_of(self._known[name].evidence_ids[0])
            assert each is not None
            changes += self._continue(tick_ms, name, self._known[name], each)
            self._watch([each])
        return changes

    # --- muting -----------------------------------------------------------------------------------------------------

    def _causes_of_others(self) -> list[tuple[Cause, Mute]]:
        """Return the incidents that may explain claims of this rule, and by what, by incident id."""
        found = [pair for other in self._muted_by for pair in other.causes.of(self.rule.id)]
        return sorted(found, key=lambda one: one[0].incident_id)

    def _fates(self) -> Fates:
        return Fates(self._claims.standing.keys(), self._muting.in_words())

    # --- time -------------------------------------------------------------------------------------------------------

    def _pass_time(self, tick_ms: int) -> list[IncidentChange]:
        """Resolve, close and forget what a tick is too late for."""
        changes: list[IncidentChange] = []
        due = {each.last_id: each for each in self._pop_due(tick_ms)}
        for last_id in sorted(due):
            each = due[last_id]
            name = self._incident_of.get(_first_evidence_id(each))
            if name is not None:
                changes += self._continue(tick_ms, name, self._known[name], each)
            if tick_ms - each.cluster.last_at_ms > self.horizon_ms:
                self._leave(each, name)
            else:
                self._watch([each])
        self._claims.forget(tick_ms - self.horizon_ms)
        self._muting.forget(tick_ms - self.horizon_ms)
        self.causes.forget(tick_ms, self._known.keys())
        for name in [name for name, known in self._withdrawn.items() if self._is_past(known, tick_ms)]:
            del self._withdrawn[name]
        return changes

    def _pop_due(self, tick_ms: int) -> Iterator[Told]:
        while self._due and self._due[0][0] <= tick_ms:
            due_ms, last_id = heapq.heappop(self._due)
            if self._due_of.get(last_id) == due_ms:
                del self._due_of[last_id]
                each = self._claims.told_of(last_id)
                if each is not None and each.last_id == last_id:
                    yield each

    def _watch(self, told: Iterable[Told]) -> None:
        """See to it that clusters are looked at again when time alone changes them."""
        for each in told:
            due_ms = each.cluster.last_at_ms + self.horizon_ms + 1
            known = self._known.get(self._incident_of.get(_first_evidence_id(each), ""))
            if known is not None and known.incident.state not in _WAITS_FOR_CLOSE:
                due_ms = min(due_ms, each.verdict.evidence[-1].at_ms + self.rule.resolve_after_s * 1000)
            if self._due_of.get(each.last_id) != due_ms:
                self._due_of[each.last_id] = due_ms
                heapq.heappush(self._due, (due_ms, each.last_id))

    def _leave(self, each: Told, name: str | None) -> None:
        self._claims.leave(each.cluster.members)
        if name is not None:
            for one in self._known.pop(name).evidence_ids:
                del self._incident_of[one]

    def _is_past(self, known: Known, tick_ms: int) -> bool:
        return tick_ms - known.incident.tick_ms > 2 * self.horizon_ms


def _claims_in(evidence: Iterable[Evidence | Observation]) -> frozenset[str]:
    return frozenset(f"{one.kind} {one.witness_id}" for one in evidence)


def _first_evidence_id(each: Told) -> str:
    return each.verdict.evidence[0].observation_id
