"""Places where the same comes back, as the view tells them."""

import pytest

from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import NOON_MS, frame

pytestmark = pytest.mark.stack

DAY_MS = 86_400_000
NORTH_DEG = 1 / 111_195
"""A metre. The corner of a square is elsewhere: 21.0337 x 2224 is 46,778.9."""
HERE = 21.0337
SHOWN = "SELECT toString(week), kind, incidents, days, round(latitude_deg, 4) FROM repeat_places ORDER BY kind, week"


def test_repeat_places_count_incidents_of_a_kind_a_week_and_place(url: str, database: str) -> None:
    told = [
        # id, kind, days after Saturday noon, metres to the north, state, exercise
        ("i-1", "street_vending", 0, 0, "CLOSED", 0),
        ("i-2", "street_vending", 0, 10, "RESOLVED", 0),
        ("i-3", "street_vending", 1, -10, "SUSPECTED", 0),
        ("i-4", "street_vending", 2, 0, "CLOSED", 0),  # Monday: another week
        ("i-5", "street_vending", 1, 300, "CLOSED", 0),  # another place
        ("i-6", "street_vending", 1, 0, "DISMISSED", 0),
        ("i-7", "street_vending", 1, 0, "CLOSED", 1),
        ("i-8", "illegal_parking", 0, 0, "CLOSED", 0),
        ("i-9", "illegal_parking", 0, 0, "WITHDRAWN", 0),
        ("i-10", "encroachment", 2, 0, "CLOSED", 0),
        ("i-11", "encroachment", 8, 0, "CLOSED", 0),  # Sunday of the same week
    ]
    ids, kinds, days, metres, states, drills = zip(*told, strict=True)
    rows = frame(
        "incident_log",
        len(told),
        incident_id=ids,
        revision=1,
        kind=kinds,
        opened_at_ms=[NOON_MS + day * DAY_MS for day in days],
        latitude_deg=[HERE + north_m * NORTH_DEG for north_m in metres],
        longitude_deg=105.8,
        state=states,
        exercise=drills,
    )
    Writer(url, database).write(rows)
    assert query(url, database, SHOWN).rows == (
        ("2026-11-23", "encroachment", 2, 2, 21.0337),
        ("2026-11-16", "street_vending", 3, 2, 21.0337),
    )
