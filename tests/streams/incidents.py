"""Builders of incidents and their changes."""

from collections.abc import Sequence

from schemas.records import Change, Evidence, Incident, IncidentChange, IncidentState, Severity

AT_MS = 1_700_000_000_000


def part_of(observation_id: str, kind: str = "hard_stop") -> Evidence:
    return Evidence(
        at_ms=AT_MS,
        latitude_deg=21.03,
        longitude_deg=105.8,
        score=0.9,
        weight=1.0,
        distance_m=3.0,
        observation_id=observation_id,
        kind=kind,
        device_id="v-1",
        witness_id="v-1",
    )


def incident(
    incident_id: str = "i-1",
    kind: str = "crash",
    revision: int = 1,
    tick_ms: int = AT_MS,
    state: IncidentState = IncidentState.SUSPECTED,
    score: float = 0.5,
    evidence: Sequence[str] = ("o-1",),
    provisional: bool = False,
) -> Incident:
    return Incident(
        opened_at_ms=AT_MS,
        last_evidence_at_ms=AT_MS,
        tick_ms=tick_ms,
        latitude_deg=21.03,
        longitude_deg=105.8,
        radius_m=20.0,
        score=score,
        revision=revision,
        witnesses=len(evidence),
        provisional=provisional,
        state=state,
        severity=Severity.MODERATE,
        incident_id=incident_id,
        kind=kind,
        rule_id="crash",
        rules_version="r1",
        city_version="c1",
        unit_code="00004",
        unit_name="phường Ba Đình",
        place="near Kim Mã stop",
        evidence=tuple(part_of(name) for name in evidence),
    )


def change(one: Incident, what: Change = Change.OPENED, reasons: Sequence[str] = ("because",)) -> IncidentChange:
    return IncidentChange(tick_ms=one.tick_ms, change=what, reasons=tuple(reasons), incident=one)
