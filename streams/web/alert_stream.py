"""Alerts for apps that can hold a connection: the body of webhooks, filtered by query parameters."""

from typing import Final

from aiohttp import web

from processors.alerts import AlertFilter, alert_bytes, matches
from schemas.errors import UsageError
from schemas.records import Severity
from streams.web.clients import Encode
from streams.web.incident_book import Published

ASKED: Final = frozenset({"kind", "line", "unit", "severity", "exercises", "after"})


def asked_for(request: web.Request) -> AlertFilter:
    """Return the filter of a query: kind, line and unit several times or comma-separated, severity, exercises=no.

    Raises UsageError for a parameter or severity that there is not: a mistyped filter would hide alerts.
    """
    unknown = sorted(set(request.query) - ASKED)
    if unknown:
        raise UsageError(f"{unknown[0]} is not a parameter: there are {', '.join(sorted(ASKED))}.")
    severity = request.query.get("severity", Severity.MINOR).upper()
    if severity not in Severity.__members__:
        raise UsageError(f"{severity} is not a severity: there are {', '.join(Severity)}.")
    exercises = request.query.get("exercises", "yes")
    if exercises not in ("yes", "no"):
        raise UsageError(f"exercises is {exercises!r}: give yes or no.")
    return AlertFilter(
        _several(request, "kind"), _several(request, "line"), _several(request, "unit"), Severity(severity),
        exercises == "yes",
    )  # fmt: skip


def alert_encoder(wanted: AlertFilter) -> Encode:
    """Return what a stream tells of a change: every revision of what matches, and of what it told of before."""
    told: set[str] = set()

    def encode(published: Published) -> bytes | None:
        incident = published.change.incident
        if incident.incident_id not in told and not matches(wanted, incident):
            return None
        told.add(incident.incident_id)
        return alert_bytes(published.change)

    return encode


def _several(request: web.Request, name: str) -> frozenset[str]:
    return frozenset(part for text in request.query.getall(name, []) for part in text.split(",") if part)
