"""Silent cameras and sensors: which records they are heard by, and how long one may be silent."""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.city import City
from processors.rows import Columns
from processors.watches.contract import WatchMaker
from processors.watches.silence import SilenceWatch
from processors.watches.silence_rule import SilenceRule


def _always(columns: Columns) -> npt.NDArray[np.uint8]:
    return np.ones(len(np.asarray(columns["latitude_e7"])), np.uint8)


SILENT_CAMERA: Final = SilenceRule(
    silent="silent_camera",
    heard="camera_heard",
    limits_ms=(300_000,),
    records={"CameraDetection": "camera_id", "Heartbeat": "device_id"},
    beat="Heartbeat",
    watched=_always,
)
SILENT_SENSOR: Final = SilenceRule(
    silent="silent_sensor",
    heard="sensor_heard",
    limits_ms=(300_000,),
    records={"SensorReading": "sensor_id", "Heartbeat": "device_id"},
    beat="Heartbeat",
    watched=_always,
)


def silence_of(rule: SilenceRule) -> WatchMaker:
    """Return what makes a watch over the devices that a rule judges."""

    def make(city: City) -> SilenceWatch:
        return SilenceWatch(rule)

    return make
