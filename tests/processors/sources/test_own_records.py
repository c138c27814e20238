import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sources.contract import Found, ReadOptions, RecordName
from processors.sources.own_records import OwnRecordReader
from schemas.codec import local_codec
from schemas.records import CameraDetection, Heartbeat, SensorReading, Switch, VehicleClass, VehiclePosition
from tests.processors.sources.reading import errors_of, items_of, record_of

READER = OwnRecordReader(ReadOptions())
POSITION: dict[str, Any] = {
    "vehicle_id": "29B-1", "at_ms": 1_772_434_800_250, "latitude_deg": 21.03, "longitude_deg": 105.8,
}  # fmt: skip


def test_line_needs_only_what_matters() -> None:
    position = record_of(READER, POSITION)
    assert isinstance(position, VehiclePosition)
    assert (position.vehicle_id, position.at_ms) == ("29B-1", 1_772_434_800_250)
    assert math.isnan(position.speed_mps)
    assert (position.vehicle_class, position.sos, position.direction_id) == (VehicleClass.UNKNOWN, Switch.UNKNOWN, -1)


@given(
    speed_mps=st.none() | st.floats(0, 70, width=32),
    vehicle_class=st.sampled_from(VehicleClass),
    sos=st.sampled_from(Switch),
    line_id=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_any_position_written_as_json_is_read_back(
    speed_mps: float | None, vehicle_class: VehicleClass, sos: Switch, line_id: str
) -> None:
    told = VehiclePosition(
        **POSITION, speed_mps=speed_mps if speed_mps is not None else math.nan, bearing_deg=0.0, accuracy_m=3.5,
        vehicle_class=vehicle_class, sos=sos, line_id=line_id,
    )  # fmt: skip
    read = record_of(READER, msgspec.json.encode(told))
    assert msgspec.json.encode(read) == msgspec.json.encode(told)


@pytest.mark.parametrize("name", ["detection", "CameraDetection", None])
def test_record_is_named_or_told_by_its_id(name: str | None) -> None:
    told = {"camera_id": "C", "at_ms": 1_772_434_800_250, "kind": "fire", "confidence": 0.5}
    detection = record_of(READER, told | ({"record": name} if name else {}))
    assert isinstance(detection, CameraDetection)
    assert (detection.camera_id, detection.kind, detection.confidence) == ("C", "fire", 0.5)


def test_readings_and_heartbeats_are_read() -> None:
    reading = record_of(READER, {"sensor_id": "S", "at_ms": 1_772_434_800, "quantity": "pm25", "value": 12})
    assert isinstance(reading, SensorReading)
    assert (reading.at_ms, reading.value, reading.measure_unit) == (1_772_434_800_000, 12.0, "")
    usual = OwnRecordReader(ReadOptions(record=RecordName.HEARTBEAT))
    beat = record_of(usual, {"device_id": "D", "at_ms": "2026-03-02T07:00:00Z"})
    assert beat == Heartbeat(at_ms=1_772_434_800_000, device_id="D")


def test_rows_of_cityops_sql_are_read() -> None:
    row = {
        "source_topic": "vehicle.positions.v1", "source_partition": 1, "source_offset": 59, "unit_code": "u",
        "at_ms": "2026-03-02T07:00:00.250000Z", "vehicle_id": "29B-1", "vehicle_class": "BUS", "latitude_deg": 21.03,
        "longitude_deg": 105.8, "speed_mm_s": 8500, "bearing_deg": None, "line_id": "32", "trip_id": "",
        "matched_line_id": "32", "direction_id": 1, "line_offset_m": 3.5, "cross_track_m": 1.0, "stop_id": "",
        "cell": 617550812812541951,
    }  # fmt: skip
    first, second = (item.record for item in items_of(READER, [row, row | {"speed_mm_s": -1}]))  # type: ignore[union-attr]
    assert isinstance(first, VehiclePosition)
    assert (first.at_ms, first.speed_mps, first.line_id) == (1_772_434_800_250, 8.5, "32")
    assert isinstance(second, VehiclePosition)
    assert math.isnan(second.speed_mps)


@pytest.mark.parametrize(
    ("message", "errors"),
    [
        (POSITION | {"speedd_mps": 3}, "speedd_mps is no field of it"),
        ({"vehicle_id": "v"}, "no at_ms; no latitude_deg; no longitude_deg"),
        ({"id": "v"}, "record is one of position, detection, reading, heartbeat"),
        (POSITION | {"record": "tram"}, "record is one of"),
        (POSITION | {"at_ms": True}, "at_ms: is not a time"),
        (POSITION | {"at_ms": "2026-03-02 07:00"}, "no offset from UTC"),
        (POSITION | {"vehicle_class": "TRAM"}, "vehicle_class"),
        (POSITION | {"vehicle_id": " "}, "no id of the device"),
        (POSITION | {"speed_mps": 1e300}, "speed_mps 1e+300 is not a number"),
        (POSITION | {"direction_id": 10**12}, "direction_id"),
        (b'"text"', "an object in curly brackets"),
        (b'{"vehicle_id": "\\ud800"}', "not JSON"),
    ],
)
def test_what_is_no_record_is_refused_with_every_reason(message: object, errors: str) -> None:
    told = errors_of(READER, message)
    assert all(part in told for part in errors.split("; "))


_FIELDS = ["vehicle_id", "at_ms", "latitude_deg", "longitude_deg", "speed_mps", "direction_id", "line_id", "record"]
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.dictionaries(st.sampled_from(_FIELDS), _PLAIN | st.lists(_PLAIN, max_size=2)), st.booleans())
def test_any_json_is_read_without_raising_and_what_is_found_can_be_sent(content: dict[str, Any], whole: bool) -> None:
    (item,) = items_of(READER, POSITION | content if whole else content)
    if isinstance(item, Found):
        assert local_codec().encode(item.record)
