"""UFMS: what the GPS devices of Viet Nam's transport vehicles report by Circular 09/2015/TT-BGTVT, in its JSON form.

x is the longitude and y the latitude, speed is in km/h, time in epoch seconds. A message is an envelope
`{msgType, msgWayPoint | msgBusWayPoint}` or the way point alone; registrations and tickets are left out.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ConfigDict, Field, model_validator

from processors.sources.contract import Item, LeftOut
from processors.sources.json_messages import Message, Time, read_objects
from processors.sources.soundness import found
from schemas.records import Switch, VehicleClass, VehiclePosition

MPS_IN_KMH: Final = 1 / 3.6
_PREFIX: Final = "MsgType_"


class _WayPoint(Message):
    vehicle: str
    at_ms: Time = Field(alias="datetime")
    x: float
    y: float
    speed: float | None = None
    heading: float | None = None
    ignition: bool | None = None
    door: bool | None = None
    door_up: bool | None = None
    door_down: bool | None = None
    sos: bool | None = None


class _Told(Message):
    """An envelope; a way point without one is put into one."""

    model_config = ConfigDict(populate_by_name=True)

    type: str = Field(alias="msgType")
    any_point: _WayPoint | None = Field(default=None, alias="msgWayPoint")
    bus_point: _WayPoint | None = Field(default=None, alias="msgBusWayPoint")

    @model_validator(mode="before")
    @classmethod
    def _in_an_envelope(cls, told: Any) -> Any:
        if isinstance(told, dict) and "msgType" not in told:
            return {"msgType": f"{_PREFIX}WayPoint", "msgWayPoint": told}
        return told

    @model_validator(mode="after")
    def _holds_what_it_says(self) -> "_Told":
        kind = self.type.removeprefix(_PREFIX)
        if kind in ("WayPoint", "BusWayPoint") and (self.bus_point or self.any_point) is None:
            raise ValueError(f"{self.type} without msg{kind}")
        return self


class UfmsReader:
    """Reads way points."""

    def read(self, message: bytes, path: str, line: int) -> Iterator[Item]:
        """Return the position of a way point."""
        return read_objects(message, path, line, _Told.model_validate, _positions)


def _positions(told: _Told, path: str, line: int, text: str) -> Iterator[Item]:
    point = told.bus_point or told.any_point
    if point is None:
        yield LeftOut(path, line, f"{told.type[:40]} messages are not positions")
        return
    position = VehiclePosition(
        vehicle_id=point.vehicle,
        at_ms=point.at_ms,
        latitude_deg=point.y,
        longitude_deg=point.x,
        speed_mps=point.speed * MPS_IN_KMH if point.speed is not None else math.nan,
        bearing_deg=point.heading if point.heading is not None else math.nan,
        accuracy_m=math.nan,
        vehicle_class=VehicleClass.BUS if told.bus_point is not None else VehicleClass.UNKNOWN,
        ignition=_switch(point.ignition),
        door=_switch(point.door, point.door_up, point.door_down),
        sos=_switch(point.sos),
    )
    yield found(position, path, line, text)


def _switch(*told: bool | None) -> Switch:
    """Return ON if any is on, OFF if those that are told are off, otherwise UNKNOWN."""
    known = [one for one in told if one is not None]
    if not known:
        return Switch.UNKNOWN
    return Switch.ON if any(known) else Switch.OFF
