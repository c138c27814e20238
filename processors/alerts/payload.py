"""The body of a notification: one revision of an incident, as JSON that does not depend on who receives it.

Its JSON Schema is published (docs/schemas/alert.schema.json, `/api/alerts/schema.json`); fields are only ever added.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from schemas.records import Decision, Incident, IncidentChange

SCHEMA_ID: Final = "urn:cityops:alert:v1"
_AMONG_OPERATORS: Final = (Decision.ASSIGN, Decision.COMMENT)
"""What operators tell each other is not told to subscribers."""


class Place(msgspec.Struct, frozen=True):
    """Where an incident is: WGS 84, and in words."""

    latitude_deg: float
    longitude_deg: float
    radius_m: Annotated[float, msgspec.Meta(description="largest distance of its evidence from this place")]
    words: str
    unit_code: Annotated[str, msgspec.Meta(description="administrative unit, empty = outside all")]
    unit_name: str


class Line(msgspec.Struct, frozen=True):
    """A line that passes the incident."""

    line_id: str
    name: str
    direction_id: Annotated[int, msgspec.Meta(description="GTFS direction_id, -1 = both or unknown")]
    distance_m: float


class Trip(msgspec.Struct, frozen=True):
    """A trip due soon at an affected stop."""

    due_at: datetime
    line_id: str
    direction_id: int
    stop_id: str
    trip_id: Annotated[str, msgspec.Meta(description="empty when due by headway")]


class Proof(msgspec.Struct, frozen=True):
    """One piece of evidence."""

    at: datetime
    kind: str
    device_id: str
    distance_m: float
    score: Annotated[float, msgspec.Meta(description="the detector's, 0 to 1")]
    snapshot_url: str


class Decided(msgspec.Struct, frozen=True):
    """What an operator decided."""

    at: datetime
    decision: str
    operator: str
    note: str


class AlertIncident(msgspec.Struct, frozen=True):
    """An incident as of one revision."""

    incident_id: str
    revision: Annotated[
        int, msgspec.Meta(ge=1, description="a higher one replaces a lower one, whatever arrives first")
    ]
    kind: str
    state: str
    severity: Annotated[str, msgspec.Meta(description="CAP 1.2: MINOR, MODERATE, SEVERE, EXTREME")]
    exercise: Annotated[bool, msgspec.Meta(description="true = an exercise: nothing has happened")]
    provisional: Annotated[bool, msgspec.Meta(description="true = an early warning that an ordered incident replaces")]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    witnesses: int
    opened_at: datetime
    last_evidence_at: datetime
    place: Place
    lines: list[Line]
    stop_ids: list[str]
    due_trips: list[Trip]
    evidence: list[Proof]
    decisions: list[Decided]
    reasons: Annotated[list[str], msgspec.Meta(description="why this revision was made, in words")]
    replaces: Annotated[list[str], msgspec.Meta(description="provisional incidents that this one stands for")]
    merged_into: Annotated[str, msgspec.Meta(description="the incident that took it over, empty = none")]
    rule_id: str
    rules_version: str


class Alert(msgspec.Struct, frozen=True):
    """A body of the Standard Webhooks form: type, timestamp, data."""

    type: Annotated[str, msgspec.Meta(pattern=r"^(incident\.[a-z]+|test)$")]
    timestamp: datetime
    data: AlertIncident


def alert_of(change: IncidentChange) -> Alert:
    """Return what is told of a revision."""
    return Alert(f"incident.{change.change.value.lower()}", _at(change.tick_ms), _incident(change))


def alert_bytes(change: IncidentChange) -> bytes:
    """Return the JSON body: a function of the revision alone, byte for byte."""
    return msgspec.json.encode(alert_of(change))


def example_bytes(at_ms: int) -> bytes:
    """Return the body of a test: an invented exercise, in the same form as any other."""
    incident = AlertIncident(
        incident_id="i-0000000000000000",
        revision=1,
        kind="test",
        state="SUSPECTED",
        severity="MINOR",
        exercise=True,
        provisional=False,
        score=0.0,
        witnesses=0,
        opened_at=_at(at_ms),
        last_evidence_at=_at(at_ms),
        place=Place(0.0, 0.0, 0.0, "nowhere: this is a test", "", ""),
        lines=[],
        stop_ids=[],
        due_trips=[],
        evidence=[],
        decisions=[],
        reasons=["a test of the receiver: nothing has happened"],
        replaces=[],
        merged_into="",
        rule_id="",
        rules_version="",
    )
    return msgspec.json.encode(Alert("test", _at(at_ms), incident))


def alert_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the body."""
    (schema,), components = msgspec.json.schema_components([Alert], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "cityops alert",
        **schema,
        "$defs": components,
    }


def _incident(change: IncidentChange) -> AlertIncident:
    one = change.incident
    return AlertIncident(
        incident_id=one.incident_id,
        revision=one.revision,
        kind=one.kind,
        state=one.state.value,
        severity=one.severity.value,
        exercise=one.exercise,
        provisional=one.provisional,
        score=one.score,
        witnesses=one.witnesses,
        opened_at=_at(one.opened_at_ms),
        last_evidence_at=_at(one.last_evidence_at_ms),
        place=Place(one.latitude_deg, one.longitude_deg, one.radius_m, one.place, one.unit_code, one.unit_name),
        lines=[Line(line.line_id, line.line_name, line.direction_id, line.distance_m) for line in one.lines],
        stop_ids=list(one.stop_ids),
        due_trips=_trips(one),
        evidence=[
            Proof(_at(each.at_ms), each.kind, each.device_id, each.distance_m, each.score, each.snapshot_url)
            for each in one.evidence
        ],
        decisions=[
            Decided(_at(did.at_ms), did.decision.value, did.operator, did.note)
            for did in one.actions
            if did.decision not in _AMONG_OPERATORS
        ],
        reasons=list(change.reasons),
        replaces=list(one.replaces),
        merged_into=one.merged_into,
        rule_id=one.rule_id,
        rules_version=one.rules_version,
    )


def _trips(one: Incident) -> list[Trip]:
    return [Trip(_at(due.due_at_ms), due.line_id, due.direction_id, due.stop_id, due.trip_id) for due in one.due_trips]


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
