"""Punctuality and headways by the hour, as the view tells them."""

import pytest

from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import NOON_MS, frame

pytestmark = pytest.mark.stack

SHOWN = (
    "SELECT line_id, direction_id, passages, late, bunched, gaps, on_time_share, headway_adherence "
    "FROM line_hours ORDER BY line_id, hour"
)


def test_line_hours_count_what_stands(url: str, database: str) -> None:
    told = [
        # kind, line, minutes after noon, value, withdrawn, device
        *[("stop_passage", "09A", minute, 0.0, 0, f"bus-{minute}") for minute in range(0, 40, 10)],
        ("running_late", "09A", 10, 400.0, 0, "bus-10"),
        ("running_late", "09A", 20, 310.0, 0, "bus-20"),
        ("running_late", "09A", 20, 310.0, 1, "bus-20"),
        ("bunched", "09A", 30, 90.0, 0, "bus-30"),
        ("gap", "09A", 55, 900.0, 0, "bus-30"),
        ("headway_adherence", "09A", 60, 0.4, 0, "bus-30"),
        ("headway_adherence", "09A", 60, 0.6, 0, "bus-20"),
        ("stop_passage", "09A", 60, 0.0, 0, "bus-60"),
        ("stop_passage", "09A", 5, 0.0, 0, "exercise:bus-5"),
        ("hard_stop", "09A", 5, 0.0, 0, "bus-5"),
    ]
    kinds, lines, minutes, values, withdrawn, devices = zip(*told, strict=True)
    rows = frame(
        "observations",
        len(told),
        observation_id=[f"o-{number}" for number in range(len(told))],
        kind=kinds,
        line_id=lines,
        direction_id=0,
        at_ms=[NOON_MS + minute * 60_000 for minute in minutes],
        value=values,
        withdrawn=withdrawn,
        device_id=devices,
    )
    Writer(url, database).write(rows)
    first, second = query(url, database, SHOWN).rows
    assert first == ("09A", 0, 4, 1, 1, 1, 0.75, 0.5)
    assert second[2:6] == (1, 0, 0, 0)
