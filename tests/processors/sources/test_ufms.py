import math
from typing import Any

import pytest

from processors.sources.ufms import UfmsReader
from schemas.records import Switch, VehicleClass
from tests.processors.sources.reading import errors_of, items_of, reason_of, record_of

READER = UfmsReader()
POINT: dict[str, Any] = {
    "vehicle": "29B12345",
    "driver": "d",
    "speed": 36.0,
    "datetime": 1_772_434_800,
    "x": 105.81,
    "y": 21.02,
    "z": 7.0,
    "heading": 90.0,
    "ignition": True,
    "door": False,
    "aircon": True,
}


def bus(**changes: Any) -> dict[str, Any]:
    return {"msgType": "MsgType_BusWayPoint", "msgBusWayPoint": POINT | changes}


def test_way_point_is_a_position_with_x_as_longitude() -> None:
    position = record_of(READER, POINT)
    assert (position.vehicle_id, position.at_ms) == ("29B12345", 1_772_434_800_000)
    assert (position.latitude_deg, position.longitude_deg) == (21.02, 105.81)
    assert position.speed_mps == pytest.approx(10.0)
    assert (position.bearing_deg, position.vehicle_class) == (90.0, VehicleClass.UNKNOWN)
    assert (position.ignition, position.door, position.sos) == (Switch.ON, Switch.OFF, Switch.UNKNOWN)


def test_envelope_tells_a_bus() -> None:
    assert record_of(READER, bus()).vehicle_class is VehicleClass.BUS
    envelope = {"msgType": "MsgType_WayPoint", "msgWayPoint": POINT}
    assert record_of(READER, envelope) == record_of(READER, POINT)


@pytest.mark.parametrize(
    ("doors", "expected"),
    [
        ({"door": None, "door_up": False, "door_down": True}, Switch.ON),
        ({"door": None, "door_up": False, "door_down": False}, Switch.OFF),
        ({"door": None}, Switch.UNKNOWN),
    ],
)
def test_any_open_door_is_open(doors: dict[str, Any], expected: Switch) -> None:
    assert record_of(READER, bus(**doors)).door is expected


def test_unknown_speed_is_unknown_and_zero_is_zero() -> None:
    assert math.isnan(record_of(READER, bus(speed=None, heading=None)).speed_mps)
    assert record_of(READER, bus(speed=0, sos=True)).speed_mps == 0.0
    assert record_of(READER, bus(sos=True)).sos is Switch.ON


def test_registrations_are_left_out() -> None:
    told = {"msgType": "MsgType_RegVehicle", "msgRegVehicle": {"vehicle": "v"}}
    assert reason_of(READER, told) == "MsgType_RegVehicle messages are not positions"


def test_what_is_no_way_point_is_refused() -> None:
    told = errors_of(READER, {"vehicle": "v", "datetime": "soon", "x": "east"})
    assert "datetime: at 'soon' is not a time" in told
    assert "no msgWayPoint.y" in told
    assert "without msgBusWayPoint" in errors_of(READER, {"msgType": "MsgType_BusWayPoint"})
    assert "no msgType" not in errors_of(READER, {})
    assert len(items_of(READER, [POINT, {}, bus()])) == 3
