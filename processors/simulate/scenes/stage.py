"""The stage: what the makers of scenes know of the city, its devices and the vehicles on the road."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City
from processors.geo import EARTH_RADIUS_M, haversine_m
from processors.simulate.estate import Estate
from processors.simulate.paths import Paths
from processors.simulate.rule import SimulationRule
from processors.simulate.scenes.scene import Call
from processors.simulate.vehicles import Fleet
from schemas.ids import content_id
from schemas.records import Truth, VehicleClass

SEEN_WITHIN_M: Final = 120.0
VIEWS: Final = 2
OFF_CAMERA_M: Final = (10.0, 60.0)
SPOT_EVERY_M: Final = 50.0
SPOT_MARGIN_M: Final = 300.0
SPOT_SEEN_WITHIN_M: Final = 80.0
LINES_WITHIN_M: Final = 150.0
TRIES: Final = 60
BUSES: Final = frozenset({VehicleClass.BUS, VehicleClass.BRT})


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """n places on roads that a camera watches: path, offset on it, place and direction of travel."""

    path: IntArray
    offset_m: FloatArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    bearing_deg: FloatArray


@dataclass(frozen=True, slots=True)
class Apart:
    """How far from each other scenes of a kind are at one time, and for how long a place rests after one."""

    distance_m: float
    pause_s: float


class Stage:
    """The city as scenes see it."""

    def __init__(
        self, city: City, paths: Paths, cameras: Estate, sensors: Estate, fleet: Fleet, rule: SimulationRule
    ) -> None:
        self.city, self.paths, self.fleet, self.rule = city, paths, fleet, rule
        self.cameras, self.sensors = cameras, sensors
        self._dense: IntArray | None = None

    @cached_property
    def spots(self) -> Spots:
        """Return the watched places on the streets."""
        return self.watched(self.paths.street)

    @cached_property
    def all_spots(self) -> Spots:
        """Return the places on the streets, watched or not."""
        return self._spots(self.paths.street)

    @cached_property
    def exclusive_lines(self) -> frozenset[str]:
        """Return the lines with a lane of their own."""
        return frozenset(line.line_id for line in self.city.lines if line.exclusive_lane)

    def watched(self, paths: Sequence[int] | IntArray) -> Spots:
        """Return the places on some paths that a camera watches."""
        spots = self._spots(paths)
        seen = np.zeros(len(spots.path), np.bool_)
        for one in self.cameras.devices:
            place = one.latitude_deg, one.longitude_deg
            seen |= _within(*place, spots.latitude_deg, spots.longitude_deg, SPOT_SEEN_WITHIN_M)
        return Spots(
            spots.path[seen], spots.offset_m[seen], spots.latitude_deg[seen], spots.longitude_deg[seen],
            spots.bearing_deg[seen],
        )  # fmt: skip

    def _spots(self, paths: Sequence[int] | IntArray) -> Spots:
        path: list[int] = []
        offset_m: list[float] = []
        for one in np.asarray(paths).tolist():
            inner_m = np.arange(SPOT_MARGIN_M, self.paths.length_m[one] - SPOT_MARGIN_M, SPOT_EVERY_M)
            path += [one] * len(inner_m)
            offset_m += inner_m.tolist()
        along = np.array(path, np.int64), np.array(offset_m)
        return Spots(*along, *self.paths.place(*along))

    def stretch(
        self, latitude_deg: float, longitude_deg: float, bearing_deg: float, radius_m: float, within_deg: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return from where to where every path runs near a place in a direction, float64 (P,); 0 to 0 = nowhere."""
        spots = self._everywhere
        turn_deg = np.abs((spots.bearing_deg - bearing_deg + 180.0) % 360.0 - 180.0)
        inside = _within(latitude_deg, longitude_deg, spots.latitude_deg, spots.longitude_deg, radius_m)
        rows = np.flatnonzero(inside & (turn_deg <= within_deg))
        from_m, to_m = np.full(len(self.paths.length_m), np.inf), np.zeros(len(self.paths.length_m))
        np.minimum.at(from_m, spots.path[rows], spots.offset_m[rows])
        np.maximum.at(to_m, spots.path[rows], spots.offset_m[rows] + SPOT_EVERY_M)
        return np.where(to_m > 0, from_m, 0.0), to_m

    @cached_property
    def _everywhere(self) -> Spots:
        return self._spots([one for one, mode in enumerate(self.paths.mode) if mode != "metro"])

    @cached_property
    def all_cameras(self) -> IntArray:
        """Return all cameras."""
        return np.arange(len(self.cameras))

    def cameras_near_venues(self, kinds: Sequence[str], within_m: float) -> IntArray:
        """Return the cameras within a distance of a venue of some kinds."""
        places = [(one.latitude_deg, one.longitude_deg) for one in self.city.venues if one.kind in kinds]
        return self._cameras_near(places, within_m)

    def cameras_near_stations(self) -> IntArray:
        """Return the cameras at stops of metro lines."""
        stops = {stop.stop_id: stop for stop in self.city.stops}
        ids = [
            stop_id
            for line in self.city.lines if line.mode == "metro"
            for pattern in line.patterns for stop_id in pattern.stop_ids if stop_id in stops
        ]  # fmt: skip
        places = [(stops[one].latitude_deg, stops[one].longitude_deg) for one in dict.fromkeys(ids)]
        return self._cameras_near(places, 60.0)

    def cameras_at_water(self) -> IntArray:
        """Return the cameras in, or within a camera's reach of, a zone of kind water."""
        reach_deg = math.degrees(SEEN_WITHIN_M / EARTH_RADIUS_M)
        rows = []
        for row, camera in enumerate(self.cameras.devices):
            here = camera.latitude_deg, camera.longitude_deg
            around = [here, *((here[0] + north * reach_deg, here[1] + east * reach_deg)
                              for north, east in ((1, 0), (-1, 0), (0, 1), (0, -1)))]  # fmt: skip
            if any(zone.kind == "water" for place in around for zone in self.city.zones_at(*place)):
                rows.append(row)
        return np.array(rows, np.int64)

    def sensors_of(self, *quantities: str) -> IntArray:
        """Return the sensors that measure one of some quantities."""
        wanted = set(quantities)
        return np.array([row for row, one in enumerate(self.sensors.devices) if wanted & set(one.quantities)], np.int64)

    def free(
        self, call: Call, rows: IntArray, latitude_deg: FloatArray, longitude_deg: FloatArray,
        apart: Apart | None = None,
    ) -> int | None:  # fmt: skip
        """Choose one of the rows whose place no standing scene of the kind occupies; None if tries find none."""
        if not len(rows):
            return None
        apart = apart or Apart(self.rule.apart_m, self.rule.apart_s)
        pause_ms = apart.pause_s * 1000
        call.standing[:] = [one for one in call.standing if one[0] + pause_ms > call.at_ms]
        for row in call.rng.choice(rows, TRIES).tolist():
            if all(
                _away_m(latitude_deg[row], longitude_deg[row], taken[1], taken[2]) >= apart.distance_m
                for taken in call.standing
            ):
                return int(row)
        return None

    def by_camera(self, call: Call, rows: IntArray) -> tuple[float, float] | None:
        """Return a place 10 to 60 m from one of some cameras."""
        row = self.free(call, rows, self.cameras.latitude_deg, self.cameras.longitude_deg)
        if row is None:
            return None
        camera = self.cameras.devices[row]
        away_m, bearing = float(call.rng.uniform(*OFF_CAMERA_M)), float(call.rng.uniform(0.0, 2 * math.pi))
        here = camera.latitude_deg, camera.longitude_deg
        return shifted(*here, away_m * math.cos(bearing), away_m * math.sin(bearing))

    def in_water(self, call: Call) -> tuple[float, float] | None:
        """Return a place in a zone of kind water that a camera sees."""
        for _ in range(TRIES):
            place = self.by_camera(call, self._water_cameras)
            if place is None or any(zone.kind == "water" for zone in self.city.zones_at(*place)):
                return place
        return None

    @cached_property
    def _water_cameras(self) -> IntArray:
        return self.cameras_at_water()

    def at_station(self, call: Call) -> tuple[float, float] | None:
        """Return a place at a metro station that a camera sees."""
        return self.by_camera(call, self._station_cameras)

    @cached_property
    def _station_cameras(self) -> IntArray:
        return self.cameras_near_stations()

    def on_street(self, call: Call) -> int | None:
        """Choose a free one of the spots."""
        return self.free(call, np.arange(len(self.spots.path)), self.spots.latitude_deg, self.spots.longitude_deg)

    def free_sensor(self, call: Call, rows: IntArray, apart: Apart | None = None) -> int | None:
        """Choose one of some sensors near which no standing scene of the kind is; apart: None = as the rule has it."""
        return self.free(call, rows, self.sensors.latitude_deg, self.sensors.longitude_deg, apart)

    def neighboured(self, within_m: float, least: int, *quantities: str) -> IntArray:
        """Return the sensors that have so many others of one of some quantities within a distance."""
        rows = self.sensors_of(*quantities)
        known = frozenset(rows.tolist())
        places = [(row, self.sensors.devices[row]) for row in rows.tolist()]
        near = {row: self.sensors.near(one.latitude_deg, one.longitude_deg, within_m) for row, one in places}
        return np.array([row for row in near if len(known.intersection(near[row])) > least], np.int64)

    def dense_microphones(self, within_m: float, least: int) -> IntArray:
        """Return the microphones that have so many, themselves included, within a distance."""
        if self._dense is None:
            rows = self.sensors_of("sound_level")
            known = frozenset(rows.tolist())
            found = []
            for row in rows.tolist():
                device = self.sensors.devices[row]
                near = self.sensors.near(device.latitude_deg, device.longitude_deg, within_m)
                found += [row] if len(known.intersection(near)) >= least else []
            self._dense = np.array(found, np.int64)
        return self._dense

    def truth(
        self, call: Call, latitude_deg: float, longitude_deg: float, ends_ms: float, lines: Sequence[str] | None = None
    ) -> Truth:
        """Return a call's truth, and keep its place; lines: those it is about, None = those that pass near it."""
        call.standing.append((ends_ms, latitude_deg, longitude_deg))
        if lines is None:
            near = self.city.near_lines(latitude_deg, longitude_deg, LINES_WITHIN_M)
            lines = tuple(dict.fromkeys(line.line_id for line in near))
        return Truth(
            at_ms=call.at_ms,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            truth_id=content_id("t", call.seed, call.kind, call.at_ms),
            kind=call.kind,
            line_ids=tuple(lines),
            ends_at_ms=round(ends_ms),
        )

    def views(self, latitude_deg: float, longitude_deg: float) -> list[int]:
        """Return the cameras that see a place, nearest first."""
        return self.cameras.near(latitude_deg, longitude_deg, SEEN_WITHIN_M)[:VIEWS]

    def _cameras_near(self, places: Sequence[tuple[float, float]], within_m: float) -> IntArray:
        latitude_deg, longitude_deg = self.cameras.latitude_deg, self.cameras.longitude_deg
        near = np.zeros(len(self.cameras), np.bool_)
        for place in places:
            near |= _within(*place, latitude_deg, longitude_deg, within_m)
        return np.flatnonzero(near)

    def some_vehicles(self, call: Call, classes: Collection[VehicleClass]) -> list[int]:
        """Return the vehicles of some classes that are in no scene, in a random order."""
        orders = self.fleet.orders
        wanted = np.array([one in classes for one in self.fleet.classes], np.bool_)
        rows: list[int] = call.rng.permutation(np.flatnonzero(wanted & (orders.busy_ms <= call.at_ms))).tolist()
        return rows

    def some_buses(self, call: Call) -> list[int]:
        """Return the buses that are in no scene, in a random order."""
        return self.some_vehicles(call, BUSES)


def shifted(latitude_deg: float, longitude_deg: float, north_m: float, east_m: float) -> tuple[float, float]:
    """Return a place so many metres further, on a flat Earth."""
    metre_deg = math.degrees(1 / EARTH_RADIUS_M)
    return latitude_deg + north_m * metre_deg, longitude_deg + east_m * metre_deg / math.cos(math.radians(latitude_deg))


def _within(
    latitude_deg: float, longitude_deg: float, others_lat: FloatArray, others_lon: FloatArray, within_m: float
) -> BoolArray:
    north_m = (others_lat - latitude_deg) * math.radians(EARTH_RADIUS_M)
    east_m = (others_lon - longitude_deg) * math.radians(EARTH_RADIUS_M) * math.cos(math.radians(latitude_deg))
    return np.asarray(north_m**2 + east_m**2 <= within_m**2)


def _away_m(latitude_deg: float, longitude_deg: float, other_lat: float, other_lon: float) -> float:
    return float(haversine_m(latitude_deg, longitude_deg, other_lat, other_lon))
