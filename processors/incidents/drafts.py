"""From a verdict to the record of an incident, and whether it differs from what was published."""

from dataclasses import dataclass, replace
from typing import Final

from processors.city import City
from processors.incidents.decisions import assigned_to, decided, resolved_by
from processors.incidents.effects import Surroundings, centre_of, evidence_at, representative, surroundings, trips_due
from processors.incidents.place_kinds import Places
from processors.incidents.rule_model import Rule
from processors.incidents.verdict import Verdict
from processors.incidents.words import (
    Fates,
    action_in_words,
    change_reasons,
    claim_in_words,
    marked_as_exercise,
    opening_reasons,
    quiet_in_words,
    withdrawal_reasons,
)
from schemas.ids import EXERCISE
from schemas.records import (
    Change,
    Decision,
    DueTrip,
    Incident,
    IncidentChange,
    IncidentState,
    Observation,
    OperatorAction,
    Severity,
)

REFRESH_MS: Final = 60_000
"""Claims that only repeat what a witness said before make a revision at most this often."""

_SEVERITIES: Final = tuple(Severity)
"""From the least to the worst."""

_OVER: Final = (
    IncidentState.RESOLVED,
    IncidentState.CLOSED,
    IncidentState.DISMISSED,
    IncidentState.WITHDRAWN,
)


@dataclass(frozen=True, slots=True)
class Drafter:
    """Writes the revisions of one rule's incidents: of the real ones, or of those of exercises."""

    rule: Rule
    rules_version: str
    city: City
    places: Places
    horizon_ms: int
    exercise: bool = False

    @property
    def id_part(self) -> str:
        """Return what of the rule is in the ids of its incidents: an exercise never shares an id with a real one."""
        return f"{EXERCISE}{self.rule.id}" if self.exercise else self.rule.id

    def state_at(
        self, tick_ms: int, verdict: Verdict, last_claim_ms: int, actions: tuple[OperatorAction, ...]
    ) -> IncidentState:
        """Return the state as of a tick.

        last_claim_ms: event time of the newest claim of the cluster, evidence or not: while it is within the horizon,
        the cluster may still change. actions: those that apply to the incident, in their order.
        """
        decision, last_ms = decided(actions), verdict.evidence[-1].at_ms
        if tick_ms - last_claim_ms > self.horizon_ms:
            return IncidentState.CLOSED
        if decision is not None and decision.decision is Decision.DISMISS:
            return IncidentState.DISMISSED
        is_told_over = verdict.ended_by is not None or resolved_by(actions, last_ms) is not None
        if is_told_over or tick_ms - last_ms >= self.rule.resolve_after_s * 1000:
            return IncidentState.RESOLVED
        return verdict.state if decision is None else IncidentState.CONFIRMED

    def revise(
        self,
        before: Incident | None,
        draft: Incident,
        tick_ms: int,
        fates: Fates,
        ended_by: Observation | None = None,
    ) -> IncidentChange | None:
        """Return the revision that makes `draft` of what was published before; None if it says nothing new.

        ended_by: the claim that says that it is over, if there is one.
        """
        if before is not None and _same(before, draft):
            return None
        due: tuple[DueTrip, ...] = ()
        if draft.state not in _OVER:
            due = trips_due(self.city, draft.stop_ids, draft.lines, tick_ms, self.rule.near)
        incident = replace(draft, tick_ms=tick_ms, revision=before.revision + 1 if before else 1, due_trips=due)
        if before is None:
            return self._told(Change.OPENED, opening_reasons(incident, self.city), incident)
        why_over = quiet_in_words(self.rule.resolve_after_s)
        if draft.state is IncidentState.CLOSED:
            why_over = quiet_in_words(self.horizon_ms // 1000)
        elif (over := resolved_by(incident.actions, incident.last_evidence_at_ms)) is not None:
            why_over = action_in_words(over)
        elif ended_by is not None:
            why_over = f"over: {claim_in_words(ended_by, self.city)}"
        reasons = change_reasons(before, incident, fates, why_over, self.city)
        return self._told(_change(before, incident), reasons, incident)

    def withdraw(self, before: Incident, merged_into: str, tick_ms: int, fates: Fates) -> IncidentChange:
        """Return the revision that takes an incident back."""
        incident = replace(
            before,
            tick_ms=tick_ms,
            revision=before.revision + 1,
            state=IncidentState.WITHDRAWN,
            rules_version=self.rules_version,
            city_version=self.city.version,
            merged_into=merged_into,
            due_trips=(),
        )
        return self._told(Change.WITHDRAWN, withdrawal_reasons(before, merged_into, fates, self.city), incident)

    def draft(
        self,
        before: Incident | None,
        incident_id: str,
        verdict: Verdict,
        state: IncidentState,
        replaces: tuple[str, ...],
        actions: tuple[OperatorAction, ...] = (),
    ) -> Incident:
        """Return the incident as verdict and actions have it; revision, tick and due trips are still open."""
        shown = representative(verdict.evidence)
        latitude_deg, longitude_deg = centre_of(shown, self.rule)
        around = self._around(before, latitude_deg, longitude_deg)
        evidence = tuple(evidence_at(shown, latitude_deg, longitude_deg, self.rule))
        decision = decided(actions)
        by_operator = decision is not None and decision.decision is Decision.CONFIRM
        sure = by_operator or verdict.state is IncidentState.CONFIRMED
        return Incident(
            opened_at_ms=verdict.evidence[0].at_ms,
            last_evidence_at_ms=verdict.evidence[-1].at_ms,
            tick_ms=0,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            radius_m=max(one.distance_m for one in evidence),
            score=verdict.score,
            revision=0,
            witnesses=verdict.witnesses,
            exercise=self.exercise,
            state=state,
            severity=self._severity(verdict, latitude_deg, longitude_deg, sure=sure),
            incident_id=incident_id,
            kind=self.rule.kind,
            rule_id=self.rule.id,
            rules_version=self.rules_version,
            city_version=self.city.version,
            unit_code=around.unit_code,
            unit_name=around.unit_name,
            place=around.place,
            replaces=replaces,
            lines=around.lines,
            stop_ids=around.stop_ids,
            evidence=evidence,
            actions=actions,
            assigned_to=assigned_to(actions),
        )

    def _severity(self, verdict: Verdict, latitude_deg: float, longitude_deg: float, *, sure: bool) -> Severity:
        told = self.rule.severity
        plain = told.confirmed if sure else told.suspected
        for one in told.raised:
            if (
                verdict.witnesses >= (one.witnesses or 0)
                and verdict.score >= (one.score or 0.0)
                and (one.near is None or self.places.near(one.near, latitude_deg, longitude_deg))
            ):
                return max(plain, one.to, key=_SEVERITIES.index)
        return plain

    def _told(self, change: Change, reasons: tuple[str, ...], incident: Incident) -> IncidentChange:
        if self.exercise:
            reasons = marked_as_exercise(reasons)
        return IncidentChange(tick_ms=incident.tick_ms, change=change, reasons=reasons, incident=incident)

    def _around(self, before: Incident | None, latitude_deg: float, longitude_deg: float) -> Surroundings:
        if (
            before is not None
            and (before.latitude_deg, before.longitude_deg) == (latitude_deg, longitude_deg)
            and (before.city_version, before.rules_version) == (self.city.version, self.rules_version)
        ):
            return Surroundings(before.unit_code, before.unit_name, before.place, before.lines, before.stop_ids)
        return surroundings(self.city, latitude_deg, longitude_deg, self.rule.near)


def _same(before: Incident, draft: Incident) -> bool:
    last_ms = draft.last_evidence_at_ms
    if last_ms // REFRESH_MS == before.last_evidence_at_ms // REFRESH_MS:
        last_ms = before.last_evidence_at_ms
    return before == replace(
        draft,
        tick_ms=before.tick_ms,
        revision=before.revision,
        due_trips=before.due_trips,
        provisional=before.provisional,
        last_evidence_at_ms=last_ms,
    )


def _change(before: Incident, after: Incident) -> Change:
    if before.state is IncidentState.WITHDRAWN:
        return Change.OPENED
    if before.state is after.state:
        return Change.CHANGED
    if after.state in (IncidentState.RESOLVED, IncidentState.CLOSED, IncidentState.DISMISSED):
        return Change(after.state.value)
    unsure = before.state in (IncidentState.SUSPECTED, IncidentState.DISMISSED)
    return Change.CONFIRMED if unsure and after.state is IncidentState.CONFIRMED else Change.CHANGED
