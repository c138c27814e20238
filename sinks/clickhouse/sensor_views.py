# ruff: noqa: S608 (statements are made of names from schemas/tables.py, never of input)
"""Views of what sensors told: minutes of each quantity and unit, and the record of fire panels."""

from typing import Final

from schemas.ids import EXERCISE
from schemas.tables import OBSERVATIONS, READINGS

SENSOR_MINUTES: Final = (
    f"""
CREATE VIEW IF NOT EXISTS sensor_minutes AS
SELECT
    r.unit_code AS unit_code,
    r.quantity AS quantity,
    r.measure_unit AS measure_unit,
    fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Milli(r.at_ms), 60000) * 60000, 'UTC') AS minute,
    count() AS readings,
    uniqExact(r.sensor_id) AS sensors,
    sum(toInt64(round(r.value * 1000))) AS sum_milli,
    sum_milli / readings / 1000 AS mean,
    min(r.value) AS lowest,
    max(r.value) AS highest
FROM {READINGS.name} AS r
WHERE NOT startsWith(r.sensor_id, '{EXERCISE}')
    AND r.value BETWEEN -1e9 AND 1e9  -- sums have to stay exact
GROUP BY unit_code, quantity, measure_unit, minute""",
)
"""What the sensors of a unit measured, minute by minute; the sum is of integers, so that no order matters."""

FIRE_PANELS: Final = (
    f"""
CREATE VIEW IF NOT EXISTS fire_panels AS
WITH
    alarm AS (
        SELECT a.observation_id AS observation_id, any(a.device_id) AS device_id, any(a.at_ms) AS at_ms
        FROM {OBSERVATIONS.name} AS a
        WHERE a.kind = 'fire_alarm' AND NOT startsWith(a.device_id, '{EXERCISE}')
        GROUP BY observation_id
        HAVING max(a.withdrawn) = 0
    ),
    fire AS (
        SELECT
            i.incident_id AS incident_id,
            evidence_id,
            i.decision != 'DISMISS' AND (i.witnesses > 1 OR i.decision = 'CONFIRM') AS corroborated
        FROM incidents AS i
        ARRAY JOIN i.evidence_ids AS evidence_id
        WHERE i.kind = 'fire' AND i.exercise = 0 AND i.provisional = 0 AND i.state != 'WITHDRAWN'
    )
SELECT
    alarm.device_id AS device_id,
    count() AS alarms,
    uniqExactIf(fire.incident_id, fire.incident_id != '') AS incidents,
    uniqExactIf(fire.incident_id, fire.corroborated = 1) AS corroborated,
    incidents - corroborated AS alone,
    if(incidents = 0, nan, alone / incidents) AS alone_share,
    min(alarm.at_ms) AS first_alarm_at_ms,
    max(alarm.at_ms) AS last_alarm_at_ms
FROM alarm LEFT JOIN fire ON fire.evidence_id = alarm.observation_id
GROUP BY device_id""",
)
"""Of each fire panel its alarms, the incidents they were evidence of, and how many of these nothing else supported."""
