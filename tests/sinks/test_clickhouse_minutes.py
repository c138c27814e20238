"""The minute aggregates against a plain pandas computation over the same positions."""

import random

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from schemas.records import RowFrame
from sinks.clickhouse.migrations import drop_database, migrate
from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import NOON_MS, frame

pytestmark = pytest.mark.stack

ROWS = 20_000
KEYS = ["dimension", "key", "minute_ms"]


def texts(generator: np.random.Generator, choices: list[str]) -> npt.NDArray[np.object_]:
    return np.array(choices, dtype=object)[generator.integers(0, len(choices), ROWS)]


def some_positions() -> pd.DataFrame:
    generator = np.random.default_rng(11)
    speed = generator.integers(0, 33_000, ROWS)
    vehicle = generator.integers(0, 700, ROWS)
    return pd.DataFrame(
        {
            "at_ms": NOON_MS - 30_000 + generator.integers(0, 240_000, ROWS),
            "vehicle_id": np.array([f"29B-{number:05d}" for number in vehicle], dtype=object),
            "speed_mm_s": np.where((generator.random(ROWS) < 0.2) | (vehicle % 50 == 0), -1, speed),
            "line_id": texts(generator, ["", "01", "09A", "BRT01"]),
            "matched_line_id": texts(generator, ["", "01", "26"]),
            "unit_code": texts(generator, ["", "00004", "00166"]),
            "cell": generator.choice(np.array([0, 0x89415CB29C3FFFF, 0x89415CB2803FFFF], dtype="<u8"), ROWS),
        }
    )


def frames_of(positions: pd.DataFrame) -> list[RowFrame]:
    """Frames of 1 to 900 rows of four partitions, some sent again, in any order."""
    shuffled = random.Random(12)
    frames: list[RowFrame] = []
    start = 0
    while start < len(positions):
        part = positions.iloc[start : start + shuffled.randint(1, 900)]
        columns = {str(name): part[name].to_numpy() for name in part.columns}
        frames.append(frame("positions", len(part), first_offset=start, partition=len(frames) % 4, **columns))
        start += len(part)
    frames += shuffled.choices(frames, k=len(frames) // 2)
    shuffled.shuffle(frames)
    return frames


def expected_minutes(positions: pd.DataFrame) -> pd.DataFrame:
    minute_ms = positions.at_ms // 60_000 * 60_000
    cell = positions.cell.map(lambda number: f"{number:x}" if number else "")
    parts = [
        positions.assign(dimension=dimension, key=key, minute_ms=minute_ms)
        for dimension, key in (("line", positions.line_id), ("unit", positions.unit_code), ("cell", cell))
    ]
    rows = pd.concat(parts)
    rows = rows[rows.key != ""].assign(known=lambda all_rows: all_rows.speed_mm_s.where(all_rows.speed_mm_s >= 0))
    grouped = rows.groupby(KEYS)
    return pd.DataFrame(
        {
            "positions": grouped.size(),
            "vehicles": grouped.vehicle_id.nunique(),
            "speeds": grouped.known.count(),
            "speed_sum_mm_s": grouped.known.sum(),
            "speed_min_mps": grouped.known.min() / 1000,
            "speed_max_mps": grouped.known.max() / 1000,
            "speed_mean_mps": grouped.known.mean() / 1000,
            **{
                f"p{percent}_{side}": grouped.known.quantile(percent / 100, interpolation=side) / 1000
                for percent in (50, 85, 95)
                for side in ("lower", "higher")
            },
        }
    )


def stored_minutes(url: str, database: str) -> pd.DataFrame:
    answer = query(url, database, "SELECT *, toUnixTimestamp64Milli(minute) AS minute_ms FROM minutes ORDER BY ALL")
    return pd.DataFrame(answer.rows, columns=list(answer.columns)).set_index(KEYS).sort_index()


def test_minutes_equal_a_plain_computation_whatever_the_frames(url: str, database: str) -> None:
    positions = some_positions()
    writer = Writer(url, database)
    for item in frames_of(positions):
        writer.write(item)
    stored, expected = stored_minutes(url, database), expected_minutes(positions)
    assert list(stored.index) == list(expected.index)
    for column in ("positions", "vehicles", "speeds", "speed_sum_mm_s"):
        assert stored[column].tolist() == expected[column].astype(int).tolist(), column
    for column in ("speed_min_mps", "speed_max_mps", "speed_mean_mps"):
        np.testing.assert_allclose(stored[column].astype(float), expected[column], rtol=1e-12, err_msg=column)
    for percent in (50, 85, 95):
        low, high = 0.99 * expected[f"p{percent}_lower"], 1.01 * expected[f"p{percent}_higher"]
        assert stored[f"speed_p{percent}_mps"].astype(float).between(low, high).all(), percent


def test_quantiles_do_not_depend_on_the_order_of_frames(url: str, database: str) -> None:
    frames = frames_of(some_positions())
    minutes = []
    for order in (frames, frames[::-1]):
        drop_database(url, database)
        migrate(url, database, ttl_days=None)
        writer = Writer(url, database)
        for item in order:
            writer.write(item)
        minutes.append(query(url, database, "SELECT * FROM minutes ORDER BY ALL").rows)
    assert minutes[0] == minutes[1]


def test_minute_without_a_known_speed_has_positions_and_no_speed(url: str, database: str) -> None:
    unknown = frame("positions", 3, vehicle_id=["a", "b", "a"], unit_code="00004", speed_mm_s=-1)
    Writer(url, database).write(unknown)
    sql = (
        "SELECT dimension, key, positions, vehicles, speeds, speed_mean_mps, speed_min_mps, speed_p50_mps FROM minutes"
    )
    assert query(url, database, sql).rows == (("unit", "00004", 3, 2, 0, None, None, None),)


def test_standing_still_is_a_known_speed(url: str, database: str) -> None:
    Writer(url, database).write(frame("positions", 2, line_id="01", speed_mm_s=[0, -1]))
    sql = "SELECT speeds, speed_mean_mps, speed_min_mps, speed_max_mps, speed_p50_mps FROM minutes"
    assert query(url, database, sql).rows == ((1, 0.0, 0.0, 0.0, 0.0),)
