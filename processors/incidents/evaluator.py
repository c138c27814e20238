"""One rule at work: from merged ticks to revisions of its incidents."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from processors.city import City
from processors.incidents.claim_parts import ClaimsState
from processors.incidents.drafts import Drafter
from processors.incidents.identity import heir_of, match_incidents, new_incident_id
from processors.incidents.merge import MergedTick
from processors.incidents.provisional import Early, Lookout
from processors.incidents.rules import Rule
from processors.incidents.standing import Concluded, Region, StandingClaims
from schemas.records import Evidence, Incident, IncidentChange, IncidentState, Observation, ObservationBlock

LATITUDE_MARGIN_DEG: Final = 1.0


@dataclass(frozen=True, slots=True)
class Known:
    """A published incident and all that it rests on (its record shows one claim a witness and kind)."""

    incident: Incident
    evidence_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleState:
    """Everything one rule remembers; its clusters follow from what stands.

    withdrawn: incidents whose evidence may stand again within the horizon; they keep their ids and revisions.
    """

    rule_id: str
    claims: ClaimsState
    known: tuple[Known, ...]
    withdrawn: tuple[Known, ...]
    pending: tuple[Early, ...]


class RuleEvaluator:
    """Keeps the incidents of one rule."""

    def __init__(self, rule: Rule, rules_version: str, city: City, horizon_ms: int) -> None:
        farthest_deg = min(89.0, max(abs(city.south_deg), abs(city.north_deg)) + LATITUDE_MARGIN_DEG)
        self.rule = rule
        self._drafter = Drafter(rule, rules_version, city, horizon_ms)
        self._horizon_ms = horizon_ms
        self._claims = StandingClaims(rule, farthest_deg)
        self._lookout = Lookout(self._drafter, farthest_deg)
        self._known: dict[str, Known] = {}
        self._withdrawn: dict[str, Known] = {}
        self._incident_of: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._due_of: dict[str, int] = {}
        self._unsettled: frozenset[str] = frozenset()

    def incidents(self) -> list[Incident]:
        """Return the incidents that are not closed, as published last."""
        return [known.incident for known in self._known.values()]

    def clusters(self) -> list[Concluded]:
        """Return the clusters of everything that stands, by first member."""
        concluded = {each.last_id: each for each in map(self._claims.concluded_of, self._claims.standing) if each}
        first = {name: each.cluster.members[0] for name, each in concluded.items()}
        return [
            concluded[name] for name in sorted(first, key=lambda one: (first[one].at_ms, first[one].observation_id))
        ]

    def advance(self, tick: MergedTick) -> list[IncidentChange]:
        """Take the observations of a tick, then the tick; return the revisions they make."""
        self._lookout.merged(tick.tick_ms, tick.observations)
        region = self._claims.apply(tick.observations, tick.tick_ms - self._horizon_ms)
        if self._unsettled:
            touched = self._unsettled.union(() if region is None else region.touched)
            region, self._unsettled = Region(touched, tuple(self.clusters())), frozenset()
        changes = [] if region is None else self._settle(tick.tick_ms, region)
        changes += self._pass_time(tick.tick_ms)
        for name in self._lookout.overdue(tick.tick_ms):
            changes.append(self._lookout.end(name, "", tick.tick_ms, self._claims.standing.keys()))
        return changes

    def wait(self, block: ObservationBlock) -> None:
        """Take note of a block that waits for the merge."""
        self._lookout.wait(block)

    def look_ahead(self, tick_ms: int, block: ObservationBlock | None) -> list[IncidentChange]:
        """Return provisional incidents; see Lookout.look."""
        return self._lookout.look(tick_ms, block, self._claims, self._incident_of.keys())

    def seal(self, next_offset: int) -> dict[str, bytes]:
        """Return a checkpoint part if it is time for one."""
        return self._claims.parts.seal(f"claims/{self.rule.id}/{next_offset}")

    def state(self) -> RuleState:
        """Return the state, a function of the blocks taken."""
        return RuleState(
            rule_id=self.rule.id,
            claims=self._claims.parts.state(),
            known=tuple(self._known[name] for name in sorted(self._known)),
            withdrawn=tuple(self._withdrawn[name] for name in sorted(self._withdrawn)),
            pending=tuple(self._lookout.pending[name] for name in sorted(self._lookout.pending)),
        )

    def restore(self, state: RuleState, parts: Mapping[str, bytes], same_rules: bool) -> None:
        """Go back to a state; under other rules than it was made with, the next tick says what they make of it."""
        for known in state.known:
            self._remember(known)
        self._withdrawn = {known.incident.incident_id: known for known in state.withdrawn}
        self._lookout.pending = {early.incident.incident_id: early for early in state.pending}
        self._claims.restore(state.claims, parts)
        self._watch(self.clusters())
        if not same_rules:
            self._unsettled = frozenset(self._claims.standing).union(*(known.evidence_ids for known in state.known))

    # --- incidents of a region --------------------------------------------------------------------------------------

    def _settle(self, tick_ms: int, region: Region) -> list[IncidentChange]:
        """Give the clusters of a region their incidents, and say what that changes."""
        found = [each for each in region.concluded if each.verdict is not None]
        evidence = [_evidence_ids(each) for each in found]
        names = sorted({self._incident_of[one] for one in region.touched if one in self._incident_of})
        old = {name: self._known.pop(name) for name in names}
        for known in old.values():
            for one in known.evidence_ids:
                del self._incident_of[one]
        matched = match_incidents(
            {name: frozenset(known.evidence_ids) for name, known in old.items()},
            evidence,
            {name: _claims_in(known.incident.evidence) for name, known in old.items()},
            [_claims_in(each.verdict.evidence) for each in found if each.verdict is not None],
        )
        name_of = {index: name for name, index in matched.items()}
        changes = []
        for index, each in enumerate(found):
            if index not in name_of:
                name_of[index] = new_incident_id(self.rule.id, evidence[index], {*self._known, *old})
            changes += self._continue(tick_ms, name_of[index], old.get(name_of[index]), each)
        for name in sorted(old.keys() - matched.keys()):
            heir = heir_of(frozenset(old[name].evidence_ids), evidence)
            changes.append(self._withdraw(tick_ms, old[name], "" if heir is None else name_of[heir]))
        self._watch(region.concluded)
        return changes

    def _continue(self, tick_ms: int, name: str, known: Known | None, each: Concluded) -> list[IncidentChange]:
        """Publish what a cluster makes of an incident, and end the provisional ones it stands for."""
        assert each.verdict is not None
        if known is None:
            known = self._withdrawn.pop(name, None)
        before = known.incident if known else None
        evidence = _evidence_ids(each)
        early = self._lookout.replaced_by(evidence)
        replaces = (*(before.replaces if before else ()), *early)
        state = self._drafter.state_at(tick_ms, each.verdict, each.cluster.last_at_ms)
        draft = self._drafter.draft(before, name, each.verdict, state, replaces)
        standing = self._claims.standing.keys()
        change = self._drafter.revise(before, draft, tick_ms, standing)
        incident = change.incident if change else before
        assert incident is not None
        self._remember(Known(incident, tuple(sorted(evidence))))
        ended = [self._lookout.end(one, name, tick_ms, standing) for one in early]
        return [*([change] if change else []), *ended]

    def _withdraw(self, tick_ms: int, known: Known, merged_into: str) -> IncidentChange:
        change = self._drafter.withdraw(known.incident, merged_into, tick_ms, self._claims.standing.keys())
        self._withdrawn[known.incident.incident_id] = Known(change.incident, known.evidence_ids)
        return change

    def _remember(self, known: Known) -> None:
        self._known[known.incident.incident_id] = known
        for one in known.evidence_ids:
            self._incident_of[one] = known.incident.incident_id

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
            if tick_ms - each.cluster.last_at_ms > self._horizon_ms:
                self._leave(each, name)
            else:
                self._watch([each])
        for name in [name for name, known in self._withdrawn.items() if self._is_past(known, tick_ms)]:
            del self._withdrawn[name]
        return changes

    def _pop_due(self, tick_ms: int) -> Iterator[Concluded]:
        while self._due and self._due[0][0] <= tick_ms:
            due_ms, last_id = heapq.heappop(self._due)
            if self._due_of.get(last_id) == due_ms:
                del self._due_of[last_id]
                each = self._claims.concluded_of(last_id)
                if each is not None and each.last_id == last_id:
                    yield each

    def _watch(self, concluded: Iterable[Concluded]) -> None:
        """See to it that clusters are looked at again when time alone changes them."""
        for each in concluded:
            due_ms = each.cluster.last_at_ms + self._horizon_ms + 1
            known = self._known.get(self._incident_of.get(_first_evidence_id(each), ""))
            if each.verdict is not None and known is not None and known.incident.state is not IncidentState.RESOLVED:
                due_ms = min(due_ms, each.verdict.evidence[-1].at_ms + self.rule.resolve_after_s * 1000)
            if self._due_of.get(each.last_id) != due_ms:
                self._due_of[each.last_id] = due_ms
                heapq.heappush(self._due, (due_ms, each.last_id))

    def _leave(self, each: Concluded, name: str | None) -> None:
        self._claims.leave(each)
        if name is not None:
            for one in self._known.pop(name).evidence_ids:
                del self._incident_of[one]

    def _is_past(self, known: Known, tick_ms: int) -> bool:
        return tick_ms - known.incident.tick_ms > 2 * self._horizon_ms


def _evidence_ids(each: Concluded) -> frozenset[str]:
    return frozenset(one.observation_id for one in each.verdict.evidence) if each.verdict else frozenset()


def _claims_in(evidence: Iterable[Evidence | Observation]) -> frozenset[str]:
    return frozenset(f"{one.kind} {one.witness_id}" for one in evidence)


def _first_evidence_id(each: Concluded) -> str:
    return each.verdict.evidence[0].observation_id if each.verdict else ""
