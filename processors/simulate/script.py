"""The ground truth: crashes and fires, where and when, from their own random numbers and the city alone."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City
from processors.geo import EARTH_RADIUS_M, haversine_m
from processors.simulate.estate import Estate
from processors.simulate.paths import Paths
from processors.simulate.rule import SimulationRule, random_stream
from schemas.ids import content_id
from schemas.records import Truth, VehicleClass

LEAD_MS: Final = 90_000
"""Scenes are known this long before they begin: vehicles have to drive up to a crash."""

FIRST_S: Final = 9.0
OPENING_EVERY_S: Final = 5.0
OPENING_JITTER_S: Final = 1.0
RATES_FROM_S: Final = 40.0
LINES_WITHIN_M: Final = 150.0
POINT_EVERY_M: Final = 50.0
CRASH_MARGIN_M: Final = 300.0
WATCHED_WITHIN_M: Final = 100.0
CAMERA_SEES_M: Final = 120.0
SOUND_HEARD_M: Final = 150.0
FIRE_FELT_M: Final = 60.0
FIRE_OFF_SENSOR_M: Final = 10.0
PLACE_TRIES: Final = 50
BRAKING_MPS2: Final = (6.0, 8.0)
CRASH_MPS: Final = (7.0, 14.0)
FOLLOWER_SHARE: Final = 0.7
FIRE_QUANTITIES: Final = frozenset({"fire_alarm", "smoke_obscuration", "temperature"})


@dataclass(frozen=True, slots=True)
class CrashVehicle:
    """One of the vehicles of a crash: drives along a path and stands at `offset_m` from `stands_ms` on."""

    vehicle_id: str
    vehicle_class: VehicleClass
    path: int
    line_id: str
    direction_id: int
    offset_m: float
    stands_ms: int
    speed_mps: float
    braking_mps2: float


@dataclass(frozen=True, slots=True)
class Crash:
    """Two vehicles collide and stand there until `ends_ms`."""

    truth: Truth
    number: int
    ends_ms: int
    vehicles: tuple[CrashVehicle, CrashVehicle]


@dataclass(frozen=True, slots=True)
class Fire:
    """Something burns until `ends_ms`."""

    truth: Truth
    number: int
    ends_ms: int


Scene = Crash | Fire


@dataclass(frozen=True, slots=True)
class _Spots:
    """Where crashes may happen: n points on the streets, each with its path, offset, and whether something watches."""

    path: IntArray
    offset_m: FloatArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    watched: BoolArray


@dataclass(frozen=True, slots=True)
class _Hearths:
    """Where fires may break out: n places, and whether at least two independent devices would notice."""

    latitude_deg: FloatArray
    longitude_deg: FloatArray
    corroborated: BoolArray


class _Times:
    """When scenes of one kind begin: the opening ones on fixed beats, later ones at random at a rate."""

    def __init__(self, rng: np.random.Generator, start_ms: int, beat: int, per_hour: float, opening: int) -> None:
        """`beat`: 0 for the kind that opens first, 1 for the other."""
        self._rng, self._start_ms = rng, start_ms
        self._beat, self._per_hour, self._opening = beat, per_hour, opening
        self._number = -1
        self._after_s = RATES_FROM_S
        self.next_ms: float = np.inf
        self.advance()

    def advance(self) -> None:
        """Draw the next time."""
        self._number += 1
        if self._per_hour <= 0:
            return
        if self._number < self._opening:
            jitter_s = self._rng.uniform(-OPENING_JITTER_S, OPENING_JITTER_S)
            after_s = FIRST_S + (2 * self._number + self._beat) * OPENING_EVERY_S + jitter_s
        else:
            self._after_s = after_s = self._after_s + self._rng.exponential(3600 / self._per_hour)
        self.next_ms = self._start_ms + round(after_s * 1000)


class Script:
    """Scenes in the order in which they begin: a function of city, seed, start and rates alone."""

    def __init__(
        self, city: City, paths: Paths, seed: int, start_ms: int, rule: SimulationRule, until_ms: int | None
    ) -> None:
        self._city, self._paths, self._rule = city, paths, rule
        self._seed, self._start_ms = seed, start_ms
        self._last_ms = np.inf if until_ms is None else until_ms - rule.quiet_end_s * 1000
        self._spots = _crash_spots(city, paths)
        self._hearths = _hearths(city)
        self._crash_rng = random_stream(seed, 0, 0)
        self._fire_rng = random_stream(seed, 0, 1)
        crashes_per_hour = rule.crashes_per_hour if len(self._spots.path) else 0.0
        fires_per_hour = rule.fires_per_hour if len(self._hearths.corroborated) else 0.0
        self._crashes = _Times(self._crash_rng, start_ms, 0, crashes_per_hour, rule.opening)
        self._fires = _Times(self._fire_rng, start_ms, 1, fires_per_hour, rule.opening)
        self._standing: list[Scene] = []
        self._count = 0

    def until(self, before_ms: int) -> tuple[Scene, ...]:
        """Return the scenes that begin before a time and have not been returned yet."""
        scenes: list[Scene] = []
        while (at_ms := min(self._crashes.next_ms, self._fires.next_ms)) < before_ms:
            crash = self._crashes.next_ms <= self._fires.next_ms
            scene = self._crash(int(at_ms)) if crash else self._fire(int(at_ms))
            (self._crashes if crash else self._fires).advance()
            if scene is not None:
                self._standing.append(scene)
                if at_ms <= self._last_ms:
                    scenes.append(scene)
        return tuple(scenes)

    def _crash(self, at_ms: int) -> Crash | None:
        rng, spots = self._crash_rng, self._spots
        watched = rng.random() < self._rule.watched
        lasts_s = rng.uniform(*self._rule.crash_lasts_s)
        spot = self._free(at_ms, _preferred(spots.watched, watched), spots.latitude_deg, spots.longitude_deg, rng)
        if spot is None:
            return None
        number = self._next_number()
        truth = self._truth("crash", at_ms, float(spots.latitude_deg[spot]), float(spots.longitude_deg[spot]))
        vehicles = self._crash_vehicles(number, at_ms, int(spots.path[spot]), float(spots.offset_m[spot]))
        return Crash(truth, number, at_ms + round(lasts_s * 1000), vehicles)

    def _fire(self, at_ms: int) -> Fire | None:
        rng, hearths = self._fire_rng, self._hearths
        corroborated = rng.random() < self._rule.corroborated
        lasts_s = rng.uniform(*self._rule.fire_lasts_s)
        north_m, east_m = rng.uniform(-FIRE_OFF_SENSOR_M, FIRE_OFF_SENSOR_M, 2)
        rows = _preferred(hearths.corroborated, corroborated)
        place = self._free(at_ms, rows, hearths.latitude_deg, hearths.longitude_deg, rng)
        if place is None:
            return None
        latitude_deg = float(hearths.latitude_deg[place])
        metre_deg = float(np.degrees(1 / EARTH_RADIUS_M))
        longitude_deg = float(hearths.longitude_deg[place]) + east_m * metre_deg / np.cos(np.radians(latitude_deg))
        truth = self._truth("fire", at_ms, float(latitude_deg + north_m * metre_deg), float(longitude_deg))
        return Fire(truth, self._next_number(), at_ms + round(lasts_s * 1000))

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    def _free(
        self, at_ms: int, rows: IntArray, latitude_deg: FloatArray, longitude_deg: FloatArray, rng: np.random.Generator
    ) -> int | None:
        """Choose one of the rows whose place no other scene occupies; None if the tries don't find one."""
        apart_ms = self._rule.apart_s * 1000
        self._standing = [scene for scene in self._standing if scene.ends_ms + apart_ms > at_ms]
        taken = [scene.truth for scene in self._standing]
        taken_latitude = np.array([truth.latitude_deg for truth in taken])
        taken_longitude = np.array([truth.longitude_deg for truth in taken])
        for row in rng.choice(rows, PLACE_TRIES).tolist():
            away_m = haversine_m(latitude_deg[row], longitude_deg[row], taken_latitude, taken_longitude)
            if (away_m >= self._rule.apart_m + FIRE_OFF_SENSOR_M * 2).all():
                return int(row)
        return None

    def _truth(self, kind: str, at_ms: int, latitude_deg: float, longitude_deg: float) -> Truth:
        lines = self._city.near_lines(latitude_deg, longitude_deg, LINES_WITHIN_M)
        return Truth(
            at_ms=at_ms,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            truth_id=content_id("t", self._seed, kind, at_ms),
            kind=kind,
            line_ids=tuple(dict.fromkeys(line.line_id for line in lines)),
        )

    def _crash_vehicles(self, number: int, at_ms: int, path: int, offset_m: float) -> tuple[CrashVehicle, CrashVehicle]:
        rng = self._crash_rng
        speeds_mps = rng.uniform(*CRASH_MPS, 2)
        braking_mps2 = rng.uniform(*BRAKING_MPS2, 2)
        gap_m, delay_ms = rng.uniform(4.0, 8.0), round(rng.uniform(200.0, 900.0))
        bus, follows = rng.random() < 0.5, rng.random() < FOLLOWER_SHARE
        other = (VehicleClass.TAXI, VehicleClass.RIDE_HAILING, VehicleClass.BUS)[int(rng.choice(3))]
        opposite = int(self._paths.following[path])
        facing_m = float(self._paths.length_m[opposite]) - offset_m - gap_m
        first = self._crash_vehicle(
            VehicleClass.BUS if bus else VehicleClass.TAXI, 90_000 + 2 * number, path, offset_m, at_ms,
            float(speeds_mps[0]), float(braking_mps2[0]),
        )  # fmt: skip
        second = self._crash_vehicle(
            other, 90_001 + 2 * number, path if follows else opposite, offset_m - gap_m if follows else facing_m,
            at_ms + (delay_ms if follows else 0), float(speeds_mps[1]), float(braking_mps2[1]),
        )  # fmt: skip
        return first, second

    def _crash_vehicle(
        self, kind: VehicleClass, number: int, path: int, offset_m: float, stands_ms: int, speed_mps: float,
        braking_mps2: float,
    ) -> CrashVehicle:  # fmt: skip
        line_id, direction_id = self._paths.road[path] if kind is VehicleClass.BUS else ("", -1)
        name = kind.value.lower().replace("_", "-")
        return CrashVehicle(
            f"{name}-{number:05d}", kind, path, line_id, direction_id, offset_m, stands_ms, speed_mps, braking_mps2
        )


def _preferred(flags: BoolArray, wanted: bool) -> IntArray:
    rows = np.flatnonzero(flags == wanted)
    return rows if len(rows) else np.arange(len(flags))


def _crash_spots(city: City, paths: Paths) -> _Spots:
    path: list[int] = []
    offset_m: list[float] = []
    for street in paths.street.tolist():
        inner_m = np.arange(CRASH_MARGIN_M, paths.length_m[street] - CRASH_MARGIN_M, POINT_EVERY_M)
        path += [street] * len(inner_m)
        offset_m += inner_m.tolist()
    along = np.array(path, np.int64), np.array(offset_m)
    latitude_deg, longitude_deg, _ = paths.place(*along)
    watchers = [*city.cameras.values()]
    watchers += [sensor for sensor in city.sensors.values() if "sound_level" in sensor.quantities]
    watched = np.zeros(len(path), np.bool_)
    for device in watchers:
        away_m = haversine_m(device.latitude_deg, device.longitude_deg, latitude_deg, longitude_deg)
        watched |= away_m <= WATCHED_WITHIN_M
    return _Spots(*along, latitude_deg, longitude_deg, watched)


def _hearths(city: City) -> _Hearths:
    """Fires break out beside fire sensors; in a city without any, in view of cameras."""
    cameras, sensors = Estate(city.cameras), Estate(city.sensors)
    feeling = [index for index, sensor in enumerate(sensors.devices) if FIRE_QUANTITIES & set(sensor.quantities)]
    known = frozenset(feeling)
    places = [sensors.devices[index] for index in feeling] or cameras.devices
    corroborated = []
    for place in places:
        here = place.latitude_deg, place.longitude_deg
        felt = [sensors.devices[index] for index in sensors.near(*here, FIRE_FELT_M) if index in known]
        witnesses = {sensor.host_camera_id or sensor.device_id for sensor in felt}
        witnesses |= {cameras.devices[index].device_id for index in cameras.near(*here, CAMERA_SEES_M)}
        corroborated.append(len(witnesses) > 1)
    return _Hearths(
        np.array([place.latitude_deg for place in places]),
        np.array([place.longitude_deg for place in places]),
        np.array(corroborated, np.bool_),
    )
