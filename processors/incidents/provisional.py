"""Provisional incidents: what life-safety rules conclude while the merge waits for a stalled source.

They look at what stands and at what waits, in any order of arrival, are published once under ids of their own (and
once more if confirmed), and end when the merge has caught up: the ordered incident names them in `replaces`, or they
are withdrawn. A function of the log of blocks, not of the merged sequence.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace

from processors.incidents.cells import CellIndex, component
from processors.incidents.clusters import conclude, firm_linked, left_linked
from processors.incidents.conditions import Conditions
from processors.incidents.drafts import Drafter
from processors.incidents.muting import Muting
from processors.incidents.prospects import Prospects
from processors.incidents.standing import StandingClaims
from processors.incidents.verdict import Judge, Verdict
from processors.incidents.words import Fates
from schemas.ids import content_id
from schemas.records import Incident, IncidentChange, IncidentState, Observation, ObservationBlock


@dataclass(frozen=True, slots=True)
class Early:
    """A provisional incident that the merge has not caught up with.

    until_ms: the fastest source's tick when it was published; once merged, all its evidence is.
    """

    incident: Incident
    evidence_ids: tuple[str, ...]
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    tick_ms: int
    observation: Observation | None


class Lookout:
    """Watches what waits for the merge during a stall, for one rule."""

    def __init__(self, drafter: Drafter, conditions: Conditions, muting: Muting, latitude_deg: float) -> None:
        """latitude_deg: see CellIndex."""
        self.pending: dict[str, Early] = {}
        self._confirmed: set[str] = set()
        """the evidence of those that are confirmed"""
        self._drafter, self._conditions, self._muting = drafter, conditions, muting
        self._prospects = Prospects(drafter.rule)
        self._judge = Judge(drafter.rule, early=True)
        within, parting = drafter.rule.within, drafter.rule.parting
        self._firm = CellIndex(2 * within.reach_m, within.quiet_s, latitude_deg, parting)
        self._passing = CellIndex(within.reach_m, within.quiet_s, latitude_deg, parting)
        self._waiting: dict[str, _Waiting] = {}

    def restore(self, pending: Iterable[Early]) -> None:
        """Go back to pending incidents of before."""
        self.pending = {early.incident.incident_id: early for early in pending}
        self._note_confirmed()

    def wait(self, block: ObservationBlock) -> None:
        """Take note of a block that waits for the merge during a stall."""
        for one in block.observations:
            if self._concerns(one):
                self._forget(one.observation_id)
                kept = None if one.withdrawn else one
                self._waiting[one.observation_id] = _Waiting(block.tick_ms, kept)
                if kept is not None:
                    self._index_of(kept).add(kept)

    def over(self) -> None:
        """Take note that the stall is over."""
        for name in list(self._waiting):
            self._forget(name)

    def merged(self, tick_ms: int, observations: Iterable[Observation]) -> None:
        """Take note of what waits no more."""
        for one in observations if self._waiting else ():
            waiting = self._waiting.get(one.observation_id)
            if waiting is not None and waiting.tick_ms <= tick_ms:
                self._forget(one.observation_id)

    def look(
        self, tick_ms: int, block: ObservationBlock | None, claims: StandingClaims, known: Set[str]
    ) -> list[IncidentChange]:
        """Return what is new when a block has come during a stall, or (None) when the stall begins.

        known: ids of the observations that ordered incidents rest on.
        """
        if block is None:
            came = [one.observation for one in self._waiting.values() if one.observation is not None]
        else:
            came = [one for one in block.observations if self._concerns(one)]
        firm = claims.firm, self._firm
        waiting = [one for one in came if self._prospects.has(one, firm) and not self._is_told_near(one, firm, known)]
        if not waiting:
            return []
        rule = self._drafter.rule
        clusters = conclude(self._around(waiting, claims), rule)
        changes = []
        for verdict in (self._judge.judge(cluster, claims.circumstances).verdict for cluster in clusters):
            if verdict is not None and known.isdisjoint([one.observation_id for one in verdict.evidence]):
                change = self._publish(tick_ms, verdict)
                changes += [change] if change is not None else []
        return changes

    def replaced_by(self, evidence: Set[str]) -> tuple[str, ...]:
        """Return the ids of pending incidents that share evidence with an ordered one."""
        return tuple(
            sorted(name for name, early in self.pending.items() if not evidence.isdisjoint(early.evidence_ids))
        )

    def end(self, name: str, merged_into: str, tick_ms: int, fates: Fates) -> IncidentChange:
        """Take a pending incident back in favour of an ordered one, or for good ("")."""
        early = self.pending.pop(name)
        self._note_confirmed()
        return self._drafter.withdraw(early.incident, merged_into, tick_ms, fates)

    def overdue(self, tick_ms: int) -> list[str]:
        """Return the ids of pending incidents that the merge has caught up with."""
        return sorted(name for name, early in self.pending.items() if early.until_ms <= tick_ms)

    def _publish(self, tick_ms: int, verdict: Verdict) -> IncidentChange | None:
        if tick_ms - verdict.evidence[-1].at_ms >= self._drafter.rule.resolve_after_s * 1000:
            return None
        evidence = {one.observation_id for one in verdict.evidence}
        known = [self.pending[name] for name in self.replaced_by(evidence)]
        if any(early.incident.state is verdict.state or verdict.state is IncidentState.SUSPECTED for early in known):
            return None
        before = known[0].incident if known else None
        name = before.incident_id if before else content_id("p", self._drafter.id_part, tick_ms, *sorted(evidence))
        draft = replace(self._drafter.draft(before, name, verdict, verdict.state, ()), provisional=True)
        change = self._drafter.revise(before, draft, tick_ms, Fates(evidence, {}))
        if change is not None:
            self.pending[name] = Early(change.incident, tuple(sorted(evidence)), tick_ms)
            self._note_confirmed()
        return change

    def _is_told_near(self, one: Observation, firm: Iterable[CellIndex], known: Set[str]) -> bool:
        """Tell whether a passing claim comes where an incident stands that it may add to: in a jam, hundreds do."""
        return self._drafter.rule.is_passing(one.kind) and any(
            (other.observation_id in known or other.observation_id in self._confirmed)
            and self._prospects.may_be_in_one_story(one, other)
            for index in firm
            for other in index.near(one)
        )

    def _note_confirmed(self) -> None:
        confirmed = (one for one in self.pending.values() if one.incident.state is IncidentState.CONFIRMED)
        self._confirmed = {name for early in confirmed for name in early.evidence_ids}

    def _concerns(self, one: Observation) -> bool:
        return one.kind in self._drafter.rule.evidence if one.withdrawn else self._conditions.weigh(one)

    def _forget(self, observation_id: str) -> None:
        waiting = self._waiting.pop(observation_id, None)
        if waiting is not None and waiting.observation is not None:
            self._index_of(waiting.observation).remove(waiting.observation)

    def _index_of(self, one: Observation) -> CellIndex:
        return self._passing if self._drafter.rule.is_passing(one.kind) else self._firm

    def _around(self, waiting: Iterable[Observation], claims: StandingClaims) -> list[Observation]:
        """Return what stands or waits around waiting claims: firm claims that links reach, passing ones in reach."""
        rule = self._drafter.rule
        firm_indexes = claims.firm, self._firm
        starts = list(waiting)
        roots = [other for one in starts for index in firm_indexes for other in index.near(one)]
        found = component(firm_indexes, roots, lambda a, b: firm_linked(a, b, rule))
        for one in [*starts, *found.values()]:
            linked, reach_m, reach_s = firm_linked, 2 * rule.within.reach_m, rule.within.quiet_s
            if rule.passing is not None and one.kind in rule.passing.kinds:
                linked, reach_m, reach_s = left_linked, rule.passing.reach_m, rule.passing.quiet_s
            around = one, reach_m, one.at_ms - reach_s * 1000, one.at_ms + reach_s * 1000
            near = (*claims.passing_around(*around), *self._passing.between(*around))
            found.update((other.observation_id, other) for other in near if linked(one, other, rule))
        return [one for name, one in found.items() if not self._is_taken_back(name) and self._muting.counts(one)]

    def _is_taken_back(self, observation_id: str) -> bool:
        waiting = self._waiting.get(observation_id)
        return waiting is not None and waiting.observation is None
