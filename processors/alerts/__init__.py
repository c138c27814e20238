"""Alerts: which incident revisions whom to tell, and in which words."""

from processors.alerts.payload import Alert, alert_bytes, alert_schema, example_bytes
from processors.alerts.routing import AlertFilter, Router, Told, filter_of, matches, told_by

__all__ = [
    "Alert",
    "AlertFilter",
    "Router",
    "Told",
    "alert_bytes",
    "alert_schema",
    "example_bytes",
    "filter_of",
    "matches",
    "told_by",
]
