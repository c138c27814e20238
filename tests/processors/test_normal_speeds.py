"""Usual speeds by segment, hour and day, as snapshots tell them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from processors.baselines import Baselines, Snapshot, baselines_of
from processors.batches import FloatArray
from processors.normal_speeds import NormalSpeeds
from tests.processors.builders import CITY

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
WAY = 0
"""Line L1's only one, 2 km long."""


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def snapshot(day: str, **segments: list[float | None]) -> Snapshot:
    """One that holds from a day on; segments: "L1_0_2" -> 48 speeds."""
    named = {name.replace("_", "/"): tuple(mps) for name, mps in segments.items()}
    return Snapshot(valid_from=datetime.fromisoformat(day).replace(tzinfo=ZONE), normals_mps=named)


def speeds(baselines: Baselines, segment: int, *times: str) -> list[float]:
    normals = NormalSpeeds(CITY.lines, CITY.streets.length_m, baselines, "Asia/Ho_Chi_Minh")
    at_ms = np.array([ms(text) for text in times])
    found: FloatArray = normals.mps(np.full(len(times), WAY), np.full(len(times), segment), at_ms)
    alone = [float(normals.mps(np.array([WAY]), np.array([segment]), at_ms[[row]])[0]) for row in range(len(times))]
    assert found.tolist() == alone, "the answer for each depends on it alone"
    return [round(one, 2) for one in alone]


def test_without_a_baseline_every_street_is_as_fast_as_any() -> None:
    assert speeds(Baselines(), 2, "2026-09-21T05:59", "2026-09-21T06:00", "2026-09-21T21:00") == [9.0, 6.0, 9.0]


def test_each_hour_of_working_days_and_of_weekends_has_its_own() -> None:
    told: list[float | None] = [float(hour + 1) for hour in range(48)]
    one = baselines_of([snapshot("2026-09-21", L1_0_2=told)])
    friday, saturday, monday = "2026-09-25T07:59", "2026-09-26T07:00", "2026-09-28T08:00"
    assert speeds(one, 2, friday, saturday, monday) == [8.0, 32.0, 9.0]
    assert speeds(one, 3, friday, saturday, monday) == [6.0, 6.0, 6.0], "another segment"


def test_an_hour_that_is_unknown_is_as_everywhere() -> None:
    told: list[float | None] = [None] * 48
    told[7] = 2.0
    one = baselines_of([snapshot("2026-09-21", L1_0_2=told, L9_0_0=told)])
    assert speeds(one, 2, "2026-09-21T07:00", "2026-09-21T08:00", "2026-09-26T07:00") == [2.0, 6.0, 6.0]


def test_a_snapshot_holds_from_its_midnight_until_the_next_ones() -> None:
    both = baselines_of([snapshot("2026-09-23", L1_0_2=[3.0] * 48), snapshot("2026-09-22", L1_0_2=[2.0] * 48)])
    times = ("2026-09-21T23:59:59", "2026-09-22T00:00", "2026-09-22T23:59:59", "2026-09-23T00:00", "2027-01-01T12:00")
    assert speeds(both, 2, *times) == [9.0, 2.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("days", [1, 6])
def test_however_many_snapshots_there_are(days: int) -> None:
    told = baselines_of([snapshot(f"2026-09-{day:02}", L1_0_2=[float(day)] * 48) for day in range(1, days + 1)])
    times = [f"2026-09-{day:02}T12:00" for day in range(1, days + 1)]
    assert speeds(told, 2, *times, *times) == [float(day) for day in range(1, days + 1)] * 2
