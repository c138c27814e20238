"""The load of engine measurements: seeded, in the order of time, and the same bytes as the codec writes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.load import Load, LoadInterval, LoadRule
from benchmarks.preload import START_MS
from benchmarks.wire import FRAME_ROWS, Messages, Wire
from processors.city import City, load_city
from processors.framing import key_of, positions_of
from schemas.codec import local_codec
from schemas.ids import shard_of
from schemas.records import CameraDetection, SensorReading, VehicleFrame, VehiclePosition
from streams.settings import PROJECT

CODEC = local_codec()
RULE = LoadRule(
    vehicles=2_000, positions_per_s=4_000.0, detections_per_s=40.0, readings_per_s=40.0, scenes_per_s=1.0,
    delayed=0.02, duplicate=0.02, delayed_s=(0.5, 4.0),
)  # fmt: skip
PARTITIONS = 4


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(Path(PROJECT) / "cities" / "hanoi", None, None)


@pytest.fixture(scope="module")
def load(city: City) -> Load:
    return Load(city, RULE, 1, START_MS)


@pytest.fixture(scope="module")
def intervals(load: Load) -> list[LoadInterval]:
    """Ten seconds."""
    return [load.step() for _ in range(40)]


def values(pieces: Iterator[tuple[int, Messages]]) -> list[tuple[int, bytes, bytes]]:
    return [
        (partition, key, value)
        for partition, messages in pieces
        for key, value in zip(messages.keys, messages.values, strict=True)
    ]


def test_load_is_a_function_of_its_seed(city: City, intervals: list[LoadInterval]) -> None:
    again = Load(city, RULE, 1, START_MS)
    for expected in intervals[:8]:
        found = again.step()
        assert found.tick_ms == expected.tick_ms
        assert np.array_equal(found.positions.at_ms, expected.positions.at_ms)
        assert np.array_equal(found.positions.latitude_deg, expected.positions.latitude_deg)
        assert found.detections == expected.detections


def test_load_has_the_rate_and_every_vehicle_reports_in_its_turn(intervals: list[LoadInterval]) -> None:
    assert sum(len(one.positions) for one in intervals) == pytest.approx(40_000, rel=0.03)
    ordinary = np.concatenate([one.positions.vehicle for one in intervals])
    reports = np.bincount(ordinary[ordinary < RULE.vehicles], minlength=RULE.vehicles)
    assert reports.min() >= 15
    assert reports.max() <= 25


def test_load_comes_before_its_tick_and_little_of_it_late_or_twice(intervals: list[LoadInterval]) -> None:
    late = twice = total = 0
    for one in intervals:
        assert (one.positions.at_ms < one.tick_ms).all()
        total += len(one.positions)
        late += int((one.positions.at_ms < one.tick_ms - 250).sum())
        twice += one.duplicates
    assert 0.005 < (late - twice) / total < 0.03
    assert 0.005 < twice / total < 0.03


def test_load_duplicates_are_copies(intervals: list[LoadInterval]) -> None:
    keys = [
        row
        for one in intervals
        for row in zip(one.positions.vehicle.tolist(), one.positions.at_ms.tolist(), one.positions.speed_mps.tolist(),
                       strict=True)
    ]  # fmt: skip
    assert len(keys) - len(set(keys)) == sum(one.duplicates for one in intervals)
    assert len({key[:2] for key in keys}) == len(set(keys))


def test_singles_are_what_the_codec_writes(load: Load, intervals: list[LoadInterval]) -> None:
    wire = Wire(CODEC, load.fleet, PARTITIONS)
    found = values(wire.singles(intervals[20].positions))
    assert len(found) == len(intervals[20].positions)
    for partition, key, value in found:
        record = CODEC.read(value, VehiclePosition)
        assert CODEC.encode(record) == value
        assert record.vehicle_id.encode() == key
        assert shard_of(record.vehicle_id) % PARTITIONS == partition


def test_frames_hold_the_same_positions_in_the_same_order(load: Load, intervals: list[LoadInterval]) -> None:
    wire = Wire(CODEC, load.fleet, PARTITIONS)
    singles: dict[str, list[VehiclePosition]] = {}
    for _, _, value in values(wire.singles(intervals[30].positions)):
        record = CODEC.read(value, VehiclePosition)
        singles.setdefault(record.vehicle_id, []).append(record)
    framed: dict[str, list[VehiclePosition]] = {}
    for partition, key, value in values(wire.frames(intervals[30].positions)):
        frame = CODEC.read(value, VehicleFrame)
        assert CODEC.encode(frame) == value
        assert frame.rows <= FRAME_ROWS
        assert key_of(frame).encode() == key
        records = positions_of(frame)
        assert {shard_of(one.vehicle_id) % PARTITIONS for one in records} == {partition}
        assert len({shard_of(one.vehicle_id) for one in records}) == 1
        for record in records:
            framed.setdefault(record.vehicle_id, []).append(record)
    assert framed == singles


def test_claims_are_what_the_codec_writes(load: Load, intervals: list[LoadInterval]) -> None:
    wire = Wire(CODEC, load.fleet, PARTITIONS)
    detections = [value for one in intervals for _, _, value in values(wire.detections(one.detections))]
    readings = [value for one in intervals for _, _, value in values(wire.readings(one.readings))]
    seen = [CODEC.read(value, CameraDetection) for value in detections]
    measured = [CODEC.read(value, SensorReading) for value in readings]
    assert [CODEC.encode(one) for one in seen] == detections
    assert [CODEC.encode(one) for one in measured] == readings
    assert {"crash", "smoke", "vehicle"} <= {one.kind for one in seen}
    assert {"sound_level", "smoke_obscuration"} <= {one.quantity for one in measured}


def test_another_rate_spreads_the_vehicles_again(city: City) -> None:
    load = Load(city, RULE, 1, START_MS)
    before = sum(len(load.step().positions) for _ in range(8))
    load.turn_to(1_000.0)
    after = [len(load.step().positions) for _ in range(16)]
    assert before == pytest.approx(8_000, rel=0.1)
    assert sum(after) == pytest.approx(4_000, rel=0.1)
    assert max(after) < RULE.vehicles / 2  # not all of them at once
