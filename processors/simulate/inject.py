"""Exercises: what devices that do not exist would report of an incident at a place.

Their ids begin with schemas.ids.EXERCISE, every record has a place of its own, and each script holds evidence enough
for the rules of cities/hanoi to confirm the incident. docs/simulator.md, "Exercises".
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.city import City
from processors.geo import EARTH_RADIUS_M
from processors.simulate.rule import DETECTIONS, POSITIONS, READINGS, Record, Sent, random_stream
from schemas.errors import UsageError
from schemas.ids import EXERCISE, content_id
from schemas.records import CameraDetection, Heartbeat, SensorReading, VehicleClass, VehiclePosition

MODEL_VERSION: Final = "exercise-1"
FROM_MPS: Final = (11.0, 14.0)
"""Speed of the vehicles of a crash a report before they stand; a hard stop is one from 8 m/s."""
REPORT_MS: Final = 4_000
CONFIDENCE: Final = (0.8, 0.95)
APART_M: Final = 6.0
LOUD_DB: Final = 150.0
"""Of an explosion, at 10 m."""
SOUND_MPS: Final = 347.4
"""In dry air of 27 degrees."""
NAN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Cue:
    """One record of an exercise: what is sent, how long after its start, and what it means in words."""

    after_ms: int
    sent: Sent
    words: str


class _Scene:
    """A place, a start, and the devices that witness it."""

    def __init__(self, kind: str, latitude_deg: float, longitude_deg: float, start_ms: int, seed: int) -> None:
        self._name = content_id(kind, f"{latitude_deg:.6f}", f"{longitude_deg:.6f}", start_ms, seed)
        self._at = latitude_deg, longitude_deg
        self._start_ms = start_ms
        self.rng: np.random.Generator = random_stream(seed, 9, start_ms)
        self.cues: list[Cue] = []

    def position(self, after_ms: int, name: str, away_m: float, bearing_deg: float, speed_mps: float) -> None:
        """Let a vehicle report `away_m` before the place (negative: behind it) on its way along a bearing."""
        latitude_deg, longitude_deg = _moved(*self._at, bearing_deg, -away_m)
        record = VehiclePosition(
            at_ms=self._start_ms + after_ms,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            speed_mps=speed_mps,
            bearing_deg=bearing_deg,
            accuracy_m=NAN,
            vehicle_class=VehicleClass.OTHER,
            vehicle_id=self._id(name),
        )
        self._add(after_ms, POSITIONS, record, f"drives at {speed_mps:.0f} m/s" if speed_mps else "stands")

    def detection(self, after_ms: int, name: str, kind: str) -> None:
        """Let a camera see something at the place."""
        record = CameraDetection(
            at_ms=self._start_ms + after_ms,
            latitude_deg=self._at[0],
            longitude_deg=self._at[1],
            confidence=round(float(self.rng.uniform(*CONFIDENCE)), 3),
            speed_mps=NAN,
            bearing_deg=NAN,
            box_left=NAN,
            box_top=NAN,
            box_right=NAN,
            box_bottom=NAN,
            camera_id=self._id(name),
            kind=kind,
            model_version=MODEL_VERSION,
        )
        self._add(after_ms, DETECTIONS, record, f"sees {kind} ({record.confidence:.0%})")

    def reading(
        self, after_ms: int, name: str, quantity: str, value: float, measure_unit: str, *, away_m: float = 0.0,
        bearing_deg: float = 0.0,
    ) -> None:  # fmt: skip
        """Let a sensor at the place, or `away_m` from it along a bearing, measure something."""
        latitude_deg, longitude_deg = _moved(*self._at, bearing_deg, away_m)
        record = SensorReading(
            at_ms=self._start_ms + after_ms,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            value=value,
            sensor_id=self._id(name),
            quantity=quantity,
            measure_unit=measure_unit,
        )
        shown = f"{value:g}" if measure_unit == "1" else f"{value:g} {measure_unit}"
        self._add(after_ms, READINGS, record, f"measures {quantity} {shown}")

    def _id(self, name: str) -> str:
        return f"{EXERCISE}{self._name}:{name}"

    def _add(self, after_ms: int, topic: str, record: Record, words: str) -> None:
        key = next(getattr(record, name) for name in ("vehicle_id", "camera_id", "sensor_id") if hasattr(record, name))
        self.cues.append(Cue(after_ms, Sent(topic, key, record), words))


def _crash(scene: _Scene) -> None:
    """Two vehicles brake to a stand beside each other; a microphone hears it and two cameras see it."""
    bearing_deg = float(scene.rng.uniform(0.0, 360.0))
    for number in (1, 2):
        speed_mps = round(float(scene.rng.uniform(*FROM_MPS)), 1)
        stands_m = APART_M * (number - 1)
        starts_ms = 300 * number
        scene.position(starts_ms, f"vehicle-{number}", stands_m + speed_mps * 3.0, bearing_deg, speed_mps)
        scene.position(starts_ms + REPORT_MS, f"vehicle-{number}", stands_m, bearing_deg, 0.0)
        scene.position(starts_ms + 2 * REPORT_MS, f"vehicle-{number}", stands_m, bearing_deg, 0.0)
    scene.reading(500, "microphone-1", "sound_level", 64.0, "dB")
    scene.reading(3_800, "microphone-1", "sound_level", 113.0, "dB")
    for number in (1, 2):
        for frame in range(3):
            scene.detection(4_500 + 1_000 * frame + 300 * number, f"camera-{number}", "crash")


def _fire(scene: _Scene) -> None:
    """A panel gives the alarm, a sensor measures smoke and heat, and a camera sees smoke and then flames."""
    scene.reading(200, "panel-1", "fire_alarm", 0.0, "1")
    scene.reading(300, "sensor-1", "smoke_obscuration", 0.2, "%/m")
    scene.reading(400, "sensor-1", "temperature", 28.0, "Cel")
    scene.reading(2_000, "panel-1", "fire_alarm", 1.0, "1")
    scene.reading(3_000, "sensor-1", "smoke_obscuration", 12.0, "%/m")
    scene.reading(6_000, "sensor-1", "temperature", 84.0, "Cel")
    for frame in range(3):
        scene.detection(3_500 + 1_000 * frame, "camera-1", "smoke")
        scene.detection(6_500 + 1_000 * frame, "camera-1", "fire")


def _person_down(scene: _Scene) -> None:
    """Three cameras see somebody who lies on the ground."""
    _seen_by_three(scene, "person_down")


def _person_in_water(scene: _Scene) -> None:
    """Three cameras see somebody in the water."""
    _seen_by_three(scene, "person_in_water")


def _seen_by_three(scene: _Scene, kind: str) -> None:
    for number in (1, 2, 3):
        for frame in range(5):
            scene.detection(1_000 + 1_000 * frame + 300 * number, f"camera-{number}", kind)


def _gas_leak(scene: _Scene) -> None:
    """Three sensors measure methane that rises."""
    for number in (1, 2, 3):
        for step, level in enumerate((0.5, 12.0, 24.0, 28.0)):
            around = {"away_m": 8.0, "bearing_deg": 120.0 * number}
            scene.reading(500 + 2_000 * step + 200 * number, f"sensor-{number}", "ch4", level, "%LEL", **around)


def _explosion(scene: _Scene) -> None:
    """Seven microphones hear one bang, each when its sound comes by."""
    for number in range(1, 8):
        away_m = 80.0 + 40.0 * number
        level_db = round(LOUD_DB - 20 * math.log10(away_m / 10), 1)
        around = {"away_m": away_m, "bearing_deg": 360.0 / 7 * number * 2}
        scene.reading(500, f"microphone-{number}", "sound_level", 64.0, "dB", **around)
        heard_ms = 3_000 + round(away_m / SOUND_MPS * 1000)
        scene.reading(heard_ms, f"microphone-{number}", "sound_level", level_db, "dB", **around)


SCRIPTS: Final[Mapping[str, Callable[[_Scene], None]]] = {
    "crash": _crash,
    "fire": _fire,
    "explosion": _explosion,
    "gas_leak": _gas_leak,
    "person_down": _person_down,
    "person_in_water": _person_in_water,
}
"""Incident kind -> what happens."""


def exercise(
    kind: str, latitude_deg: float, longitude_deg: float, start_ms: int, seed: int, city: City
) -> tuple[Cue, ...]:
    """Return the records of an exercise in the order in which they are sent, a function of the arguments.

    kind: one of SCRIPTS. start_ms: event time of its beginning. Raises UsageError for a place outside the city.
    """
    scene = _Scene(kind, latitude_deg, longitude_deg, start_ms, seed)
    SCRIPTS[kind](scene)
    for cue in scene.cues:
        record = cue.sent.record
        assert not isinstance(record, Heartbeat)
        inside = city.south_deg <= record.latitude_deg <= city.north_deg
        if not (inside and city.west_deg <= record.longitude_deg <= city.east_deg):
            raise UsageError(
                f"{latitude_deg:.5f},{longitude_deg:.5f} is outside {city.name}, which reaches from "
                f"{city.south_deg:g},{city.west_deg:g} to {city.north_deg:g},{city.east_deg:g}"
            )
    return tuple(sorted(scene.cues, key=lambda cue: cue.after_ms))


def _moved(latitude_deg: float, longitude_deg: float, bearing_deg: float, by_m: float) -> tuple[float, float]:
    """Return a place `by_m` metres further along a bearing, on a flat Earth."""
    angle = math.radians(bearing_deg)
    north_deg = math.degrees(by_m * math.cos(angle) / EARTH_RADIUS_M)
    east_deg = math.degrees(by_m * math.sin(angle) / (EARTH_RADIUS_M * math.cos(math.radians(latitude_deg))))
    return latitude_deg + north_deg, longitude_deg + east_deg
