"""Silent devices: which records a camera, a sensor and a vehicle are heard by, and how long one may be silent."""

from typing import Final

import numpy as np

from processors.batches import BoolArray
from processors.city import City
from processors.rows import Columns
from processors.watches.contract import WatchMaker
from processors.watches.silence import SilenceRule, SilenceWatch
from schemas.records import Switch

MOVING_MPS: Final = 1.5
IGNITION_OFF: Final = list(Switch).index(Switch.OFF)


def _always(columns: Columns) -> BoolArray:
    return np.ones(len(np.asarray(columns["latitude_e7"])), bool)


def _moves(columns: Columns) -> BoolArray:
    """Tell which positions are of a vehicle that moves: only those have to be followed by another one soon."""
    moves = np.asarray(columns["speed_mps"]) > MOVING_MPS
    return np.asarray(moves & (np.asarray(columns["ignition"]) != IGNITION_OFF))


SILENT_CAMERA: Final = SilenceRule(
    silent="silent_camera",
    heard="camera_heard",
    limit_ms=300_000,
    records={"CameraDetection": "camera_id", "Heartbeat": "device_id"},
    beat="Heartbeat",
    watched=_always,
)
SILENT_SENSOR: Final = SilenceRule(
    silent="silent_sensor",
    heard="sensor_heard",
    limit_ms=300_000,
    records={"SensorReading": "sensor_id", "Heartbeat": "device_id"},
    beat="Heartbeat",
    watched=_always,
)
SILENT_VEHICLE: Final = SilenceRule(
    silent="silent_vehicle",
    heard="vehicle_heard",
    limit_ms=600_000,
    records={"VehiclePosition": "vehicle_id"},
    beat="",
    watched=_moves,
)
SILENT_VEHICLE_IN_FRAMES: Final = SilenceRule(
    silent="silent_vehicle",
    heard="vehicle_heard",
    limit_ms=600_000,
    records={"VehicleFrame": "vehicle_id"},
    beat="",
    watched=_moves,
)


def silence_of(rule: SilenceRule) -> WatchMaker:
    """Return what makes a watch over the devices that a rule judges."""

    def make(city: City) -> SilenceWatch:
        return SilenceWatch(rule)

    return make
