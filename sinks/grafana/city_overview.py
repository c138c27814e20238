# ruff: noqa: S608 (statements are made of constants of this module, never of input)
"""The dashboard *City overview*: what happens, where, how bad, and whether the centre hears its devices.

Statements end lines with $__conditionalAll and give macros one plain column (macros.py says why). Times from
`toDateTime` of a bucket are whole seconds; what has milliseconds stays as it is.
"""

from typing import Final

from sinks.grafana.panels import Column, Dashboard, Panel, Query, Unit, Variable, View
from sinks.grafana.scales import (
    AGE_S,
    NONE_IS_GOOD,
    PLAIN,
    REJECTED_PERCENT,
    SEVERITY,
    SEVERITY_LEVEL,
    SILENCE_S,
    STATE,
)

OPEN: Final = "state NOT IN ('RESOLVED', 'CLOSED', 'DISMISSED', 'WITHDRAWN')"
DAY_S: Final = 86_400
NOTE: Final = "if(exercise = 1, 'EXERCISE', '')"
"""Exercises are shown, and said to be; numbers leave them out."""
NOTES: Final = (("EXERCISE", "purple"),)

_LEVEL: Final = "indexOf([{}], severity)".format(", ".join(f"'{name}'" for name, _ in SEVERITY))
_CHOSEN: Final = """opened_at_ms <= $__toTime
  AND $__conditionalAll(unit_code IN (${unit:singlequote}), $unit)
  AND $__conditionalAll(kind IN (${kind:singlequote}), $kind)"""
_SEEN: Final = f"""{_CHOSEN}
  AND state != 'WITHDRAWN'
  AND ({OPEN} OR last_evidence_at_ms >= $__fromTime)"""

_OPEN_INCIDENTS: Final = Panel(
    "Open incidents",
    "Suspected or confirmed, and not yet resolved, closed or dismissed.",
    View.STAT,
    (Query(f"SELECT count() AS open FROM incidents\nWHERE {OPEN} AND exercise = 0 AND {_CHOSEN}"),),
    width=4,
    height=4,
    scale=NONE_IS_GOOD,
)
_SEVERE_INCIDENTS: Final = Panel(
    "Confirmed, severe or extreme",
    "Open incidents that are confirmed and of the two highest severities.",
    View.STAT,
    (
        Query(
            "SELECT countIf(state = 'CONFIRMED' AND severity IN ('SEVERE', 'EXTREME')) AS severe FROM incidents\n"
            f"WHERE {OPEN} AND exercise = 0 AND {_CHOSEN}"
        ),
    ),
    width=4,
    height=4,
    scale=NONE_IS_GOOD,
)
_VEHICLES: Final = Panel(
    "Vehicles heard",
    "Different vehicles with a position in the dashboard's span.",
    View.STAT,
    (Query("SELECT uniqExact(vehicle_id) AS vehicles FROM positions\nWHERE $__timeFilter(at_ms)"),),
    width=4,
    height=4,
    scale=PLAIN,
)
_REJECTED_SHARE: Final = Panel(
    "Rejected",
    "Share of all records of the span that were refused; the reasons are further down.",
    View.STAT,
    (
        Query(
            """SELECT 100 * refused / greatest(1, refused + used) AS rejected
FROM (SELECT count() AS refused FROM rejected WHERE $__timeFilter(tick_ms)) AS r
CROSS JOIN (
  SELECT sum(records) AS used FROM (
    SELECT count() AS records FROM positions WHERE $__timeFilter(at_ms)
    UNION ALL SELECT count() FROM detections WHERE $__timeFilter(at_ms)
    UNION ALL SELECT count() FROM readings WHERE $__timeFilter(at_ms)
    UNION ALL SELECT count() FROM heartbeats WHERE $__timeFilter(at_ms)
  )
) AS u"""
        ),
    ),
    width=4,
    height=4,
    unit=Unit.PERCENT,
    decimals=2,
    scale=REJECTED_PERCENT,
)
_NEWEST_ROW: Final = Panel(
    "Newest row",
    "How long ago, by event time, the newest position or reading happened that ClickHouse holds: "
    "transport, detection, blocks of rows and the sink together.",
    View.STAT,
    (
        Query(
            """SELECT greatest(0, toUnixTimestamp($__toTime) - toUnixTimestamp64Milli(max(newest)) / 1000) AS age
FROM (
  SELECT max(at_ms) AS newest FROM positions WHERE $__timeFilter(at_ms)
  UNION ALL SELECT max(at_ms) FROM readings WHERE $__timeFilter(at_ms)
)"""
        ),
    ),
    width=4,
    height=4,
    unit=Unit.SECONDS,
    decimals=1,
    scale=AGE_S,
)
_SILENT: Final = Panel(
    "Silent devices",
    "Cameras and sensors heard in the span, but not in its last five minutes.",
    View.STAT,
    (
        Query(
            """SELECT countIf(newest < $__toTime - 300) AS silent
FROM (SELECT max(at_ms) AS newest FROM heartbeats WHERE $__timeFilter(at_ms) GROUP BY device_id)"""
        ),
    ),
    width=4,
    height=4,
    scale=NONE_IS_GOOD,
)

_INCIDENT_MAP: Final = Panel(
    "Incidents",
    "Open incidents, and those with evidence in the span, coloured by severity, on the streets where vehicles drove. "
    "The map needs no tile server.",
    View.MAP,
    (
        Query(
            """SELECT avg(latitude_deg) AS latitude, avg(longitude_deg) AS longitude
FROM positions
WHERE $__timeFilter(at_ms) AND cell != 0
GROUP BY cell
LIMIT 5000""",
            name="streets",
            size_px=2,
        ),
        Query(
            f"""SELECT latitude_deg AS latitude, longitude_deg AS longitude, kind, state,
  {_LEVEL} AS level, place, trim(concat({NOTE}, ' ', kind)) AS label, incident_id
FROM incidents
WHERE {_SEEN}
ORDER BY level
LIMIT 500""",
            name="incidents",
            size_px=9,
            coloured_by="level",
            labelled_by="label",
        ),
    ),
    width=12,
    height=12,
    columns=(Column("level", scale=SEVERITY_LEVEL),),
)
_INCIDENT_LIST: Final = Panel(
    "Incident list",
    "Open incidents, and those with evidence in the span: the worst first, then the latest.",
    View.TABLE,
    (
        Query(
            f"""SELECT severity, kind, state, {NOTE} AS note, place, opened_at_ms AS opened,
  last_evidence_at_ms AS last_evidence, witnesses, arrayStringConcat(arraySort(line_ids), ', ') AS lines,
  unit_name AS unit, if(decided_by != '', decided_by, acknowledged_by) AS operator, incident_id
FROM incidents
WHERE {_SEEN}
ORDER BY {OPEN} DESC, {_LEVEL} DESC, opened_at_ms DESC
LIMIT 200"""
        ),
    ),
    width=12,
    height=12,
    columns=(
        Column("severity", colours=SEVERITY, width_px=95),
        Column("kind", width_px=80),
        Column("state", colours=STATE, width_px=105),
        Column("note", colours=NOTES, width_px=90),
        Column("place", width_px=280),
        Column("witnesses", width_px=85),
    ),
)
_BY_KIND: Final = Panel(
    "Open incidents by kind and state",
    "What is open now, and how much of it is confirmed.",
    View.BARS,
    (
        Query(
            f"""SELECT kind, countIf(state = 'SUSPECTED') AS suspected, countIf(state = 'CONFIRMED') AS confirmed
FROM incidents
WHERE {OPEN} AND exercise = 0 AND {_CHOSEN}
GROUP BY kind
ORDER BY confirmed + suspected DESC, kind"""
        ),
    ),
    series="kind",
    width=8,
    height=8,
    stacked=True,
    columns=(Column("suspected", bar_colour="yellow"), Column("confirmed", bar_colour="red")),
)
_PER_HOUR: Final = Panel(
    "Incidents per hour",
    "Incidents opened, by kind and hour of the last day (or of the dashboard's span, where that lies in the past).",
    View.HEAT_MAP,
    (
        Query(
            """SELECT $__timeInterval(opened_at_ms) AS time, kind, count() AS incidents
FROM incidents
WHERE $__timeFilter(opened_at_ms) AND state != 'WITHDRAWN' AND exercise = 0 AND decision != 'DISMISS'
  AND $__conditionalAll(unit_code IN (${unit:singlequote}), $unit)
  AND $__conditionalAll(kind IN (${kind:singlequote}), $kind)
GROUP BY time, kind
ORDER BY time, kind"""
        ),
    ),
    series="kind",
    width=8,
    height=8,
    interval_s=3600,
    span_s=DAY_S,
)
_DELAY: Final = Panel(
    "From evidence to revision",
    "Event time between the latest evidence of a revision and the tick that published it; the slowest of each bucket.",
    View.TIME_SERIES,
    (
        Query(
            """SELECT $__timeInterval(tick_ms) AS time, kind,
  max(greatest(0, toUnixTimestamp64Milli(tick_ms) - toUnixTimestamp64Milli(last_evidence_at_ms)) / 1000) AS slowest
FROM incident_log
WHERE $__timeFilter(tick_ms) AND change IN ('OPENED', 'CONFIRMED', 'CHANGED')
GROUP BY time, kind
ORDER BY time, kind"""
        ),
    ),
    series="kind",
    width=8,
    height=8,
    unit=Unit.SECONDS,
    decimals=2,
    interval_s=10,
)
_RATES: Final = Panel(
    "Records a second",
    "Records used, by stream and event time; the last bucket is not complete yet.",
    View.TIME_SERIES,
    (
        Query(
            """SELECT time, stream, records / $__interval_s AS per_second
FROM (
  SELECT $__timeInterval(at_ms) AS time, 'positions' AS stream, count() AS records
  FROM positions WHERE $__timeFilter(at_ms) GROUP BY time
  UNION ALL
  SELECT $__timeInterval(at_ms) AS time, 'detections' AS stream, count() AS records
  FROM detections WHERE $__timeFilter(at_ms) GROUP BY time
  UNION ALL
  SELECT $__timeInterval(at_ms) AS time, 'readings' AS stream, count() AS records
  FROM readings WHERE $__timeFilter(at_ms) GROUP BY time
)
ORDER BY time, stream"""
        ),
    ),
    series="stream",
    width=12,
    height=8,
    unit=Unit.PER_SECOND,
    interval_s=10,
    legend_table=True,
)
_REJECTED: Final = Panel(
    "Rejected by reason",
    "Records refused, by reason; `cityops rejected list` shows each, with its bytes.",
    View.TIME_SERIES,
    (
        Query(
            """SELECT $__timeInterval(tick_ms) AS time, reason, count() AS records
FROM rejected
WHERE $__timeFilter(tick_ms)
GROUP BY time, reason
ORDER BY time, reason"""
        ),
    ),
    series="reason",
    width=12,
    height=8,
    interval_s=10,
    stacked=True,
    legend_table=True,
)
_DEVICES: Final = Panel(
    "Devices not heard from longest",
    "Cameras and sensors by the age of their last heartbeat in the span.",
    View.TABLE,
    (
        Query(
            """SELECT device_id AS device, max(at_ms) AS last_heard,
  greatest(0, toUnixTimestamp($__toTime) - toUnixTimestamp64Milli(last_heard) / 1000) AS silent,
  argMax(firmware_version, at_ms) AS firmware
FROM heartbeats
WHERE $__timeFilter(at_ms)
GROUP BY device_id
ORDER BY silent DESC, device
LIMIT 50"""
        ),
    ),
    width=12,
    height=8,
    columns=(Column("silent", unit=Unit.SECONDS, scale=SILENCE_S, width_px=110),),
)
_REVISIONS: Final = Panel(
    "Latest revisions",
    "What the engine concluded last, and why.",
    View.TABLE,
    (
        Query(
            f"""SELECT tick_ms AS at, kind, change, severity, {NOTE} AS note,
  arrayStringConcat(reasons, '; ') AS reasons, place, incident_id, revision
FROM incident_log
WHERE $__timeFilter(tick_ms)
  AND $__conditionalAll(unit_code IN (${{unit:singlequote}}), $unit)
  AND $__conditionalAll(kind IN (${{kind:singlequote}}), $kind)
ORDER BY tick_ms DESC, incident_id, revision DESC
LIMIT 100"""
        ),
    ),
    width=12,
    height=8,
    columns=(
        Column("severity", colours=SEVERITY, width_px=95),
        Column("kind", width_px=80),
        Column("note", colours=NOTES, width_px=90),
        Column("reasons", width_px=360),
    ),
)

CITY_OVERVIEW: Final = Dashboard(
    "overview",
    "City overview",
    "Incidents of the city by kind, state, severity and place, and whether its devices are heard.",
    (
        Variable(
            "unit",
            "Unit",
            "SELECT unit_code, any(unit_name) AS name FROM incidents WHERE unit_code != '' "
            "GROUP BY unit_code ORDER BY name",
        ),
        Variable("kind", "Kind", "SELECT DISTINCT kind FROM incidents ORDER BY kind"),
    ),
    (
        (_OPEN_INCIDENTS, _SEVERE_INCIDENTS, _VEHICLES, _REJECTED_SHARE, _NEWEST_ROW, _SILENT),
        (_INCIDENT_MAP, _INCIDENT_LIST),
        (_BY_KIND, _PER_HOUR, _DELAY),
        (_RATES, _REJECTED),
        (_REVISIONS, _DEVICES),
    ),
)
