"""What a city is made of: units, stops, lines, venues, devices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from processors.batches import FloatArray
from processors.geo import Plane, haversine_m


@dataclass(frozen=True, slots=True)
class Bounds:
    """The rectangle outside which a record is out of the city, margin included."""

    south_deg: float
    west_deg: float
    north_deg: float
    east_deg: float

    def contain(self, latitude_deg: float, longitude_deg: float) -> bool:
        """Tell whether a point lies inside."""
        return self.south_deg <= latitude_deg <= self.north_deg and self.west_deg <= longitude_deg <= self.east_deg

    def plane(self) -> Plane:
        """Return the plane through the middle, on which the city's geometry is done."""
        return Plane((self.south_deg + self.north_deg) / 2, (self.west_deg + self.east_deg) / 2)


@dataclass(frozen=True, slots=True)
class Unit:
    """An administrative area; kind is the package's own word for it ("ward", "commune")."""

    unit_code: str
    name: str
    kind: str
    latitude_deg: float
    longitude_deg: float
    area_km2: float


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop, platform or station."""

    stop_id: str
    name: str
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Venue:
    """A place that people know: kind is hospital, school, market, coach_station, railway_station, festival_area ..."""

    venue_id: str
    name: str
    kind: str
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Device:
    """A camera or sensor and its place; quantities are a sensor's, host_camera_id is "" if it hangs on no camera."""

    device_id: str
    kind: str
    latitude_deg: float
    longitude_deg: float
    quantities: tuple[str, ...] = ()
    host_camera_id: str = ""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """What is known of a vehicle whose positions do not tell; vehicle_class is a symbol, "" is unknown otherwise."""

    vehicle_id: str
    vehicle_class: str
    line_id: str
    operator_id: str


class Headway(NamedTuple):
    """Departures every `headway_s` from `from_time` until before `to_time`, local "HH:MM"; hours may pass 24."""

    from_time: str
    to_time: str
    headway_s: int


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One direction (0 or 1) of a line: k polyline vertices and the s stops on it, offsets in metres from the start."""

    direction_id: int
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    offset_m: FloatArray
    stop_ids: tuple[str, ...]
    stop_offset_m: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line; mode is bus, brt or metro; colour is #RRGGBB or "" (unknown); at most one pattern a direction."""

    line_id: str
    name: str
    mode: str
    colour: str
    headway_s: tuple[Headway, ...]
    patterns: tuple[Pattern, ...]
    exclusive_lane: bool = False
    """whether other vehicles may not drive where it runs"""


def pattern_along(
    direction_id: int, latitude_deg: FloatArray, longitude_deg: FloatArray, stop_at: Mapping[int, str]
) -> Pattern:
    """Build a pattern from k vertices; `stop_at` names the stop at a vertex."""
    steps_m = haversine_m(latitude_deg[:-1], longitude_deg[:-1], latitude_deg[1:], longitude_deg[1:])
    offset_m = np.concatenate(([0.0], np.cumsum(steps_m)))
    at = sorted(stop_at)
    return Pattern(
        direction_id, latitude_deg, longitude_deg, offset_m, tuple(stop_at[index] for index in at), offset_m[at]
    )
