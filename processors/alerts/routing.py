"""Routing: an incident's revision becomes the notifications that subscriptions ask for.

A subscriber hears of an incident when it first matches while it goes on; after that of every step of its lifecycle,
and of a change of severity, affected lines or an operator's verdict, to the end, even when it no longer matches: who
was told of a fire is told that it was none. Revisions that only add evidence are not told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from processors.alerts.payload import alert_bytes
from schemas.ids import content_id
from schemas.records import (
    Change,
    Decision,
    Incident,
    IncidentChange,
    IncidentState,
    Notification,
    Severity,
    Subscription,
)

OVER: Final = frozenset(
    {IncidentState.RESOLVED, IncidentState.CLOSED, IncidentState.DISMISSED, IncidentState.WITHDRAWN}
)
VERDICTS: Final = frozenset({Decision.CONFIRM.value, Decision.DISMISS.value})
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which incidents somebody asks for; an empty set asks for all."""

    kinds: frozenset[str] = frozenset()
    line_ids: frozenset[str] = frozenset()
    unit_codes: frozenset[str] = frozenset()
    min_severity: Severity = Severity.MINOR
    exercises: bool = True


def filter_of(subscription: Subscription) -> AlertFilter:
    """Return what a subscription asks for."""
    return AlertFilter(
        frozenset(subscription.kinds),
        frozenset(subscription.line_ids),
        frozenset(subscription.unit_codes),
        subscription.min_severity,
        subscription.exercises,
    )


def matches(wanted: AlertFilter, incident: Incident) -> bool:
    """Tell whether an incident is asked for, whatever its state."""
    return (
        (not wanted.kinds or incident.kind in wanted.kinds)
        and (not wanted.unit_codes or incident.unit_code in wanted.unit_codes)
        and (not wanted.line_ids or any(line.line_id in wanted.line_ids for line in incident.lines))
        and _RANK[incident.severity] >= _RANK[wanted.min_severity]
        and (wanted.exercises or not incident.exercise)
    )


ENDED: Final = frozenset({IncidentState.CLOSED, IncidentState.WITHDRAWN})
"""After these nothing comes, or the incident begins anew."""
KEPT_MS: Final = 3_600_000
"""How long what was told of an ended incident is remembered: its revisions may be read once more after a restart."""


class _ToldIncident(msgspec.Struct, frozen=True):
    state: IncidentState
    severity: Severity
    lines: list[dict[str, object]]
    decisions: list[dict[str, object]]


class _ToldAlert(msgspec.Struct, frozen=True):
    data: _ToldIncident


@dataclass(frozen=True, slots=True)
class Told:
    """What a subscriber was told last of an incident, as far as it decides what to tell next."""

    tick_ms: int
    revision: int
    state: IncidentState
    severity: Severity
    line_ids: frozenset[str]
    verdicts: int
    """How often an operator had confirmed or dismissed it."""


def told_by(notification: Notification) -> Told:
    """Return what a notification said. Raises msgspec.DecodeError when its payload is not one of ours."""
    said = msgspec.json.decode(notification.payload, type=_ToldAlert).data
    line_ids = frozenset(str(line["line_id"]) for line in said.lines)
    verdicts = sum(one["decision"] in VERDICTS for one in said.decisions)
    return Told(notification.tick_ms, notification.revision, said.state, said.severity, line_ids, verdicts)


@dataclass(slots=True)
class Router:
    """Remembers what was told; what it returns is a function of the changes and the subscriptions.

    told: (subscription id, incident id) -> what was told last.
    """

    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    _cleared_ms: int = 0

    def remember(self, notification: Notification) -> None:
        """Take note of what was told before a restart."""
        self.told[notification.subscription_id, notification.incident_id] = told_by(notification)

    def route(self, change: IncidentChange, subscriptions: Iterable[Subscription]) -> list[Notification]:
        """Return the notifications of one revision, by subscription id; a revision told before gives them again."""
        self._forget(change.tick_ms)
        found = []
        for subscription in sorted(subscriptions, key=lambda one: one.subscription_id):
            if _in_force(subscription, change.tick_ms) and self._asks(subscription, change):
                found.append(self._tell(subscription, change))
        return found

    def _asks(self, subscription: Subscription, change: IncidentChange) -> bool:
        incident = change.incident
        before = self.told.get((subscription.subscription_id, incident.incident_id))
        if before is not None and incident.revision <= before.revision:
            return incident.revision == before.revision
        if before is None or before.state in ENDED:
            return incident.state not in OVER and matches(filter_of(subscription), incident)
        return (
            change.change is not Change.CHANGED
            or incident.severity is not before.severity
            or _line_ids(incident) != before.line_ids
            or _verdicts(incident) != before.verdicts
        )

    def _tell(self, subscription: Subscription, change: IncidentChange) -> Notification:
        incident = change.incident
        name = (subscription.subscription_id, incident.incident_id)
        self.told[name] = Told(
            change.tick_ms,
            incident.revision,
            incident.state,
            incident.severity,
            _line_ids(incident),
            _verdicts(incident),
        )
        return Notification(
            tick_ms=change.tick_ms,
            revision=incident.revision,
            exercise=incident.exercise,
            notification_id=content_id("n", *name, incident.revision),
            subscription_id=subscription.subscription_id,
            incident_id=incident.incident_id,
            payload=alert_bytes(change),
        )

    def _forget(self, tick_ms: int) -> None:
        if tick_ms - self._cleared_ms > KEPT_MS:
            self._cleared_ms = tick_ms
            self.told = {
                name: one
                for name, one in self.told.items()
                if one.state not in ENDED or tick_ms - one.tick_ms <= KEPT_MS
            }


def _in_force(subscription: Subscription, tick_ms: int) -> bool:
    return subscription.created_at_ms <= tick_ms and (
        subscription.removed_at_ms == 0 or tick_ms < subscription.removed_at_ms
    )


def _line_ids(incident: Incident) -> frozenset[str]:
    return frozenset(line.line_id for line in incident.lines)


def _verdicts(incident: Incident) -> int:
    return sum(one.decision.value in VERDICTS for one in incident.actions)
