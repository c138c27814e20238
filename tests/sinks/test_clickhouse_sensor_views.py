"""Minutes of sensors and the record of fire panels, as the views tell them."""

import pytest

from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import NOON_MS, frame

pytestmark = pytest.mark.stack


def test_minutes_of_sensors_add_up_by_unit_and_quantity(url: str, database: str) -> None:
    told = [
        # sensor, quantity, milliseconds after noon, value
        ("air-1", "pm2_5", 0, 10.0),
        ("air-1", "pm2_5", 59_999, 20.5),
        ("air-2", "pm2_5", 30_000, 12.0),
        ("air-1", "pm2_5", 60_000, 99.0),
        ("air-1", "pm10", 0, 40.0),
        ("exercise:air-1", "pm2_5", 0, 500.0),
    ]
    sensors, quantities, after_ms, values = zip(*told, strict=True)
    rows = frame(
        "readings",
        len(told),
        sensor_id=sensors,
        quantity=quantities,
        measure_unit="ug/m3",
        at_ms=[NOON_MS + after for after in after_ms],
        value=values,
        unit_code="U1",
    )
    Writer(url, database).write(rows)
    shown = """
        SELECT quantity, toUnixTimestamp64Milli(minute), readings, sensors, sum_milli, lowest, highest
        FROM sensor_minutes ORDER BY quantity, minute"""
    assert query(url, database, shown).rows == (
        ("pm10", NOON_MS, 1, 1, 40_000, 40.0, 40.0),
        ("pm2_5", NOON_MS, 3, 2, 42_500, 10.0, 20.5),
        ("pm2_5", NOON_MS + 60_000, 1, 1, 99_000, 99.0, 99.0),
    )


def test_a_panels_record_tells_alarms_that_nothing_else_supported(url: str, database: str) -> None:
    alarms = [
        # id, panel, withdrawn
        ("o-1", "panel-1", 0),
        ("o-2", "panel-1", 0),
        ("o-3", "panel-1", 0),
        ("o-4", "panel-2", 0),
        ("o-5", "panel-2", 0),
        ("o-6", "panel-3", 0),
        ("o-6", "panel-3", 1),
    ]
    ids, panels, withdrawn = zip(*alarms, strict=True)
    fires = [
        # id, evidence, witnesses, decision, state
        ("i-1", "o-1\no-9", 2, "", "CLOSED"),
        ("i-2", "o-2", 1, "", "CLOSED"),
        ("i-3", "o-3", 1, "", "WITHDRAWN"),
        ("i-4", "o-4", 1, "CONFIRM", "CLOSED"),
        ("i-5", "o-5\no-8", 2, "DISMISS", "CLOSED"),
    ]
    incidents, evidence, witnesses, decisions, states = zip(*fires, strict=True)
    sink = Writer(url, database)
    sink.write(
        frame(
            "observations",
            len(alarms),
            observation_id=ids,
            kind="fire_alarm",
            device_id=panels,
            withdrawn=withdrawn,
            at_ms=NOON_MS,
        )
    )
    sink.write(
        frame(
            "incident_log",
            len(fires),
            incident_id=incidents,
            revision=1,
            kind="fire",
            evidence_ids=evidence,
            witnesses=witnesses,
            decision=decisions,
            state=states,
        )
    )
    shown = "SELECT device_id, alarms, incidents, corroborated, alone FROM fire_panels ORDER BY device_id"
    assert query(url, database, shown).rows == (("panel-1", 3, 2, 1, 1), ("panel-2", 2, 2, 1, 1))
