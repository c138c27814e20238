"""What baselines are made of, asked of a real ClickHouse."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from processors.baseline_days import HourClaims, HourSpeed
from sinks.clickhouse.usual_days import LocalDays
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import NOON_MS, frame

pytestmark = pytest.mark.stack

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
DAY = date(2026, 11, 21)
"""A Saturday; at noon UTC it is 19 o'clock in Hà Nội."""
HOUR_OF_WEEK = 5 * 24 + 19


def passage(vehicle_id: str, speeds_mps: list[float], **fields: Any) -> list[dict[str, Any]]:
    """A report every 10 s, each so much further along segment 3 of line 32."""
    offset_m, found = 1_500.0, []
    for number, speed_mps in enumerate(speeds_mps):
        row = {
            "vehicle_id": vehicle_id,
            "at_ms": NOON_MS + 10_000 * number,
            "speed_mm_s": round(speed_mps * 1000),
            "matched_line_id": "32",
            "direction_id": 0,
            "line_offset_m": offset_m,
            "cross_track_m": 5.0,
            "stop_id": "",
            **fields,
        }
        found.append(row)
        offset_m += 10 * speed_mps * (-1 if fields.get("backwards") else 1)
    return found


def write(url: str, database: str, table: str, rows: list[dict[str, Any]]) -> None:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0] if name != "backwards"}
    Writer(url, database).write(frame(table, len(rows), **columns))


def test_the_speed_of_an_hour_is_the_median_of_its_passages(url: str, database: str) -> None:
    rows = [
        *passage("bus-1", [4.0, 6.0, 8.0]),
        *passage("bus-2", [2.0, 3.0, 1.0, 2.0]),
        *passage("taxi-3", [9.0, 9.0, 9.0]),
        *passage("parked", [0.0] * 30),
        *passage("against", [5.0] * 5, backwards=True),
        *passage("off", [1.0] * 10, cross_track_m=41.0),
        *passage("waits", [1.0] * 10, stop_id="S1"),
        *passage("exercise:bus-1", [20.0] * 3),
        *passage("train", [20.0] * 3, matched_line_id="2A"),
        *passage("alone", [7.0] * 3, direction_id=1),
        *passage("day-before", [1.0] * 10, at_ms=NOON_MS - 20 * 3_600_000),
    ]
    write(url, database, "positions", [{**row, "backwards": None} for row in rows])
    told = LocalDays(url, database, ZONE).speeds(DAY, ["32"])
    assert told == [HourSpeed(("32", 0, 3), 19, 6.0)], "bus-1; two are slower or faster; one passage is too few"


def test_claims_count_by_the_local_hour_of_the_week_without_those_taken_back(url: str, database: str) -> None:
    claims = [  # kind, hours from noon, withdrawn, device
        ("camera_fight", 0, 0, "cam-1"),
        ("camera_fight", 0, 0, "cam-2"),
        ("camera_fight", 0, 1, "cam-2"),
        ("camera_fight", -7 * 24, 0, "cam-1"),
        ("camera_fight", 5, 0, "cam-1"),
        ("camera_fight", 0, 0, "exercise:cam-1"),
        ("moved_on", 0, 0, "bus-1"),
    ]
    kinds, hours, withdrawn, devices = zip(*claims, strict=True)
    rows = frame(
        "observations",
        len(claims),
        kind=kinds,
        at_ms=np.array(hours) * 3_600_000 + NOON_MS,
        withdrawn=withdrawn,
        device_id=devices,
        unit_code="7",
    )
    Writer(url, database).write(rows)
    days = LocalDays(url, database, ZONE)
    fortnight = [date(2026, 11, 8 + ahead) for ahead in range(14)]
    assert days.claims(fortnight, ["camera_fight"]) == [HourClaims("camera_fight", "7", HOUR_OF_WEEK, 2)]
    assert days.claims([date(2026, 11, 22)], ["camera_fight"]) == [HourClaims("camera_fight", "7", 6 * 24, 1)]
    heard = days.heard(fortnight)
    assert {hour: count for hour, count in enumerate(heard) if count} == {HOUR_OF_WEEK: 2}
