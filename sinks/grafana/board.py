"""A dashboard of ours as Grafana's JSON.

Checked against Grafana's dashboard model of schema version 39, which 9.4 to 12 read and carry forward. `format` is
always written: the data source shapes its answer by it and by nothing else (0 = time series, 1 = table).
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sinks.grafana.looks import Json, field_config, options, ref_id
from sinks.grafana.panels import COLUMNS, Dashboard, Panel, Query, Variable, View

TYPE: Final = "grafana-clickhouse-datasource"
PLUGIN: Final = "4.14.1"
SCHEMA_VERSION: Final = 39
LONGEST_UID: Final = 40


@dataclass(frozen=True, slots=True)
class Subject:
    """What dashboards show: a run (empty = live), its database, its city's time zone, and its own span.

    span_ms: first and last event time of what lies in the past; None = the present.
    """

    run: str = ""
    database: str = "cityops"
    time_zone: str = "Asia/Ho_Chi_Minh"
    span_ms: tuple[int, int] | None = None

    def uid(self, slug: str = "") -> str:
        """Return the id of the data source, or of a dashboard: at most 40 characters, as Grafana wants."""
        uid = "-".join(part for part in ("cityops", slug, self.run) if part)
        if len(uid) <= LONGEST_UID:
            return uid
        return f"{uid[: LONGEST_UID - 9]}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}"

    def title(self, title: str) -> str:
        """Return a title that tells runs apart."""
        return f"{title} ({self.run})" if self.run else title


def dashboard_json(dashboard: Dashboard, subject: Subject) -> Json:
    """Return the dashboard model, without the id and version that Grafana keeps."""
    past = subject.span_ms
    return {
        "uid": subject.uid(dashboard.slug),
        "title": subject.title(dashboard.title),
        "description": dashboard.about,
        "tags": ["cityops"],
        "schemaVersion": SCHEMA_VERSION,
        "timezone": subject.time_zone,
        "editable": True,
        "graphTooltip": 1,
        "refresh": f"{dashboard.refresh_s}s" if past is None else "",
        "time": (
            {"from": f"now-{dashboard.span_s // 60}m", "to": "now"}
            if past is None
            else {"from": _iso(past[0]), "to": _iso(past[1] + 1000)}
        ),
        "templating": {"list": [_variable(variable, subject) for variable in dashboard.variables]},
        "annotations": {"list": []},
        "links": [],
        "panels": _placed(dashboard, subject),
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _source(subject: Subject) -> Json:
    return {"type": TYPE, "uid": subject.uid()}


def _variable(variable: Variable, subject: Subject) -> Json:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": _source(subject),
        "query": variable.sql,
        "definition": variable.sql,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
        "regex": "",
        "sort": 0,
        "hide": 0,
        "skipUrlSync": False,
    }


def _placed(dashboard: Dashboard, subject: Subject) -> list[Json]:
    placed: list[Json] = []
    top = 0
    for row in dashboard.rows:
        left = 0
        for panel in row:
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append({"id": len(placed) + 1, "gridPos": place, **_panel(panel, subject)})
            left += panel.width
        assert left == COLUMNS, f"{dashboard.title}: a row is {left} wide"
        top += max(panel.height for panel in row)
    return placed


def _panel(panel: Panel, subject: Subject) -> Json:
    source = _source(subject)
    made: Json = {
        "type": panel.view.value,
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "targets": [_target(query, ref_id(index), panel.view, source) for index, query in enumerate(panel.queries)],
        "fieldConfig": field_config(panel),
        "options": options(panel),
    }
    if panel.interval_s:
        made["interval"] = f"{panel.interval_s}s"
    if panel.span_s:
        made["timeFrom"] = f"{panel.span_s // 3600}h"
    return made


def _target(query: Query, ref: str, view: View, source: Json) -> Json:
    return {
        "refId": ref,
        "datasource": source,
        "editorType": "sql",
        "queryType": "timeseries" if view.by_time else "table",
        "format": 0 if view.by_time else 1,
        "pluginVersion": PLUGIN,
        "rawSql": query.sql,
    }
