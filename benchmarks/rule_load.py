"""Observations as a city's detectors make them in an ordinary hour, from a seed: what rules are measured with.

Most are of vehicles that halt and move on. They come in the blocks of three input partitions, one a tick each; a few
come late, a few are taken back. Crashes and fires are scripted, so that there are incidents to compare.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from processors.city import City
from processors.geo import EARTH_RADIUS_M
from processors.incidents.merge import SourceId
from schemas.ids import content_id
from schemas.records import Observation, ObservationBlock

SEED: Final = 20_261_123
START_MS: Final = 1_795_402_800_000
"""A Monday, 10:00 in Hanoi."""

TICK_MS: Final = 250
FLEET: Final[SourceId] = ("vehicle.positions.v1", 0)
CAMERAS: Final[SourceId] = ("camera.detections.v1", 0)
SENSORS: Final[SourceId] = ("sensor.readings.v1", 0)
SOURCES: Final = (FLEET, CAMERAS, SENSORS)

VEHICLES: Final = 20_000
JUNCTIONS: Final = 10_000
CLASSES: Final = (
    *["BUS"] * 25, "BRT", "METRO", *["TAXI"] * 30, *["RIDE_HAILING"] * 30, *["COACH"] * 13
)  # fmt: skip
LATE_SHARE: Final = 0.01
LATEST_MS: Final = 60_000
TAKEN_BACK_SHARE: Final = 0.005

CLAIMS_AN_EVENT: Final = 2.1
SHARES: Final = {
    "halt": 0.945, "speeding": 0.008, "slow": 0.01, "line": 0.005, "off_route": 0.003, "camera": 0.015, "sensor": 0.013,
    "crash": 0.0005, "fire": 0.0005,
}  # fmt: skip
"""Of what happens, how much is what."""

EVERYDAY_CAMERA: Final = (
    "camera_illegal_parking", "camera_encroachment", "camera_street_vending", "camera_crowd", "camera_stopped_vehicle",
    "camera_lane_intruder", "camera_platform_crowd", "camera_debris", "camera_abandoned_object",
)  # fmt: skip
EVERYDAY_SENSOR: Final = ("noise_high", "noise_normal", "impact_sound", "hourly_level", "air_bad", "water_normal")
METRE_DEG: Final = math.degrees(1 / EARTH_RADIUS_M)

Place = tuple[float, float]
"""Latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True)
class RuleLoad:
    """The blocks in the order of their offsets, and how many observations are in them, those taken back twice."""

    blocks: tuple[ObservationBlock, ...]
    observations: int


def rule_load(city: City, seconds: int, observations_per_s: float, seed: int = SEED) -> RuleLoad:
    """Return what comes in so many seconds; the same arguments give the same load."""
    street = _Street(city, random.Random(seed))
    for _ in range(round(seconds * observations_per_s / CLAIMS_AN_EVENT)):
        street.happen(START_MS + street.chance.random() * seconds * 1000)
    ticks = seconds * 1000 // TICK_MS
    comes: dict[tuple[int, SourceId], list[Observation]] = {}
    for one in street.claims:
        for tick, each in _arrivals(one, street.chance):
            if tick < ticks:
                comes.setdefault((tick, (one.source_topic, 0)), []).append(each)
    blocks = tuple(
        ObservationBlock(
            tick_ms=START_MS + (tick + 1) * TICK_MS,
            source_topic=source[0],
            source_partition=source[1],
            observations=tuple(sorted(comes.get((tick, source), ()), key=lambda one: (one.at_ms, one.observation_id))),
        )
        for tick in range(ticks)
        for source in SOURCES
    )
    return RuleLoad(blocks, sum(len(block.observations) for block in blocks))


def _arrivals(one: Observation, chance: random.Random) -> list[tuple[int, Observation]]:
    """Return the ticks at which a claim comes and, if so, is taken back."""
    late_ms = chance.random() * LATEST_MS if chance.random() < LATE_SHARE else 0.0
    tick = int(one.at_ms + late_ms - START_MS) // TICK_MS
    found = [(tick, one)]
    if chance.random() < TAKEN_BACK_SHARE:
        found.append((tick + 1 + int(chance.random() * LATEST_MS) // TICK_MS, replace(one, withdrawn=True)))
    return found


class _Street:
    """Makes the claims of what happens around the stops, cameras and sensors of a city."""

    def __init__(self, city: City, chance: random.Random) -> None:
        self.chance = chance
        self.claims: list[Observation] = []
        stops = [(one.latitude_deg, one.longitude_deg) for one in city.stops]
        self._junctions = [self._beside(chance.choice(stops), 1_000.0) for _ in range(JUNCTIONS)]
        self._cameras = [(one.device_id, (one.latitude_deg, one.longitude_deg)) for one in city.cameras.values()]
        self._sensors = [(one.device_id, (one.latitude_deg, one.longitude_deg)) for one in city.sensors.values()]
        self._class_of = [chance.choice(CLASSES) for _ in range(VEHICLES)]
        self._makers: dict[str, Callable[[float], None]] = {
            "halt": self._halt,
            "speeding": lambda at_ms: self._pair(at_ms, ("speeding", "speed_normal"), 30_000),
            "camera": self._camera,
            "sensor": self._sensor,
            "slow": lambda at_ms: self._vehicle(at_ms, ("slow_progress",)),
            "line": lambda at_ms: self._pair(at_ms, self.chance.choice(_LINE_PAIRS), 300_000),
            "off_route": lambda at_ms: self._pair(at_ms, ("off_route", "back_on_route"), 120_000),
            "crash": self._crash,
            "fire": self._fire,
        }

    def happen(self, at_ms: float) -> None:
        """Let something happen at a time."""
        (what,) = self.chance.choices(list(SHARES), list(SHARES.values()))
        self._makers[what](at_ms)

    def _halt(self, at_ms: float) -> None:
        """Let a vehicle halt at a junction, now and then hard, and move on, one in fifty after minutes."""
        vehicle = self.chance.randrange(VEHICLES)
        place = self._beside(self.chance.choice(self._junctions), 25.0)
        if self.chance.random() < 0.15:
            self._claim(FLEET, at_ms, "hard_stop", f"V-{vehicle}", place, 0.5, self._class_of[vehicle])
        self._claim(FLEET, at_ms + 30_000, "stationary_vehicle", f"V-{vehicle}", place, 0.6, self._class_of[vehicle])
        stays_ms = 600_000 if self.chance.random() < 0.02 else 30_000
        on_ms = at_ms + 31_000 + self.chance.random() * stays_ms
        self._claim(FLEET, on_ms, "moved_on", f"V-{vehicle}", place, 0.6, self._class_of[vehicle])

    def _pair(self, at_ms: float, kinds: tuple[str, str], lasts_ms: float) -> None:
        """Let what a vehicle claims begin and end."""
        self._vehicle(at_ms, kinds, lasts_ms)

    def _vehicle(self, at_ms: float, kinds: Sequence[str], lasts_ms: float = 0.0) -> None:
        vehicle = self.chance.randrange(VEHICLES)
        place = self._beside(self.chance.choice(self._junctions), 100.0)
        for kind in kinds:
            self._claim(FLEET, at_ms, kind, f"V-{vehicle}", place, 0.6, self._class_of[vehicle])
            at_ms += 10_000 + self.chance.random() * lasts_ms
            place = self._beside(place, 200.0)

    def _camera(self, at_ms: float) -> None:
        camera_id, place = self.chance.choice(self._cameras)
        self._claim(CAMERAS, at_ms, self.chance.choice(EVERYDAY_CAMERA), camera_id, place, 0.7)

    def _sensor(self, at_ms: float) -> None:
        sensor_id, place = self.chance.choice(self._sensors)
        self._claim(SENSORS, at_ms, self.chance.choice(EVERYDAY_SENSOR), sensor_id, place, 0.4)

    def _crash(self, at_ms: float) -> None:
        camera_id, place = self.chance.choice(self._cameras)
        self._claim(CAMERAS, at_ms + 2_000, "camera_crash", camera_id, place, 0.9)
        for vehicle in self.chance.sample(range(VEHICLES), 2):
            beside, told = self._beside(place, 8.0), self._class_of[vehicle]
            self._claim(FLEET, at_ms + self.chance.random() * 5_000, "hard_stop", f"V-{vehicle}", beside, 0.7, told)
            self._claim(FLEET, at_ms + 30_000, "stationary_vehicle", f"V-{vehicle}", beside, 0.6, told)

    def _fire(self, at_ms: float) -> None:
        camera_id, place = self.chance.choice(self._cameras)
        self._claim(CAMERAS, at_ms, "camera_smoke", camera_id, place, 0.8)
        self._claim(SENSORS, at_ms + 20_000, "smoke", f"S-{camera_id}", self._beside(place, 30.0), 0.8)

    def _claim(
        self, source: SourceId, at_ms: float, kind: str, device_id: str, place: Place, score: float, told: str = ""
    ) -> None:
        when_ms = int(at_ms)
        self.claims.append(
            Observation(
                at_ms=when_ms,
                latitude_deg=place[0],
                longitude_deg=place[1],
                score=score,
                source_offset=0,
                source_partition=source[1],
                source_topic=source[0],
                observation_id=content_id("o", kind, device_id, when_ms),
                kind=kind,
                device_id=device_id,
                witness_id=device_id,
                vehicle_class=told,
            )
        )

    def _beside(self, place: Place, spread_m: float) -> Place:
        """Return a place some way from another, both coordinates normal with that deviation."""
        north_m, east_m = self.chance.gauss(0.0, spread_m), self.chance.gauss(0.0, spread_m)
        east_deg = east_m * METRE_DEG / math.cos(math.radians(place[0]))
        return place[0] + north_m * METRE_DEG, place[1] + east_deg


_LINE_PAIRS: Final = (("bunched", "unbunched"), ("running_late", "on_time"))
