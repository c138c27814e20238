"""Vehicles that are in one scene only: how they get there, stand, and leave."""

import math
from typing import Final

import numpy as np

from processors.batches import FloatArray
from processors.simulate.scenes.scene import Call, Drive
from processors.simulate.scenes.stage import Stage, shifted
from schemas.records import VehicleClass

STEP_M: Final = 10.0
BRAKING_M: Final = 40.0
APPROACH_MPS: Final = 8.0
COMES_S: Final = 60.0
LEAVES_S: Final = 45.0
STREET_CLASSES: Final = (VehicleClass.TAXI, VehicleClass.RIDE_HAILING)


def vehicle_id(call: Call, vehicle_class: VehicleClass) -> str:
    """Return an id that only this scene's vehicle has."""
    return f"{vehicle_class.value.lower().replace('_', '-')}-{call.kind.replace('_', '-')}-{call.number:05d}"


def along(stage: Stage, call: Call, path: int, from_m: float, to_m: float, speed_mps: float) -> Drive:
    """Return a taxi that drives a stretch of a path at an even speed from the scene's beginning on."""
    offset_m = np.append(np.arange(from_m, to_m, STEP_M), to_m)
    latitude_deg, longitude_deg, _ = stage.paths.place(np.full(len(offset_m), path), offset_m)
    at_ms = call.at_ms + (offset_m - from_m) / speed_mps * 1000
    vehicle_class = STREET_CLASSES[int(call.rng.integers(len(STREET_CLASSES)))]
    return Drive(vehicle_id(call, vehicle_class), vehicle_class, at_ms, latitude_deg, longitude_deg)


def standing(stage: Stage, call: Call, path: int, offset_m: float, ends_ms: float) -> Drive:
    """Return a taxi that comes along a path, stands from the scene's beginning to its end, and drives on."""
    come_m, leave_m = APPROACH_MPS * COMES_S, APPROACH_MPS * LEAVES_S
    steps_m = np.array([-come_m, -BRAKING_M, 0.0, 0.0, BRAKING_M, leave_m])
    offsets_m = np.clip(offset_m + steps_m, 0.0, stage.paths.length_m[path])
    latitude_deg, longitude_deg, _ = stage.paths.place(np.full(len(offsets_m), path), offsets_m)
    vehicle_class = STREET_CLASSES[int(call.rng.integers(len(STREET_CLASSES)))]
    times = _stops_ms(call.at_ms, ends_ms)
    return Drive(vehicle_id(call, vehicle_class), vehicle_class, times, latitude_deg, longitude_deg)


def standing_at(call: Call, place: tuple[float, float], ends_ms: float, vehicle_class: VehicleClass) -> Drive:
    """Return a vehicle that comes straight from somewhere, stands at a place until the end, and leaves."""
    bearing = float(call.rng.uniform(0.0, 2 * math.pi))
    away_m = (-APPROACH_MPS * COMES_S, -BRAKING_M, 0.0, 0.0, BRAKING_M, APPROACH_MPS * LEAVES_S)
    places = np.array([shifted(*place, m * math.cos(bearing), m * math.sin(bearing)) for m in away_m])
    return Drive(vehicle_id(call, vehicle_class), vehicle_class, _stops_ms(call.at_ms, ends_ms), *places.T)


def _stops_ms(at_ms: float, ends_ms: float) -> FloatArray:
    brakes_s = 2 * BRAKING_M / APPROACH_MPS
    return np.array([
        at_ms - (COMES_S + brakes_s / 2) * 1000, at_ms - brakes_s * 1000, at_ms,
        ends_ms, ends_ms + brakes_s * 1000, ends_ms + (LEAVES_S + brakes_s / 2) * 1000,
    ])  # fmt: skip
