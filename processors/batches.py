"""Batches: the records of one input partition between two ticks, as numpy columns in log order."""

from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from schemas.dictionary import DictionaryArray

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
HashArray = npt.NDArray[np.uint64]
BoolArray = npt.NDArray[np.bool_]
SmallArray = npt.NDArray[np.int8]
TextArray = npt.NDArray[np.object_]
"""dtype object, every item a str; empty = unknown."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Columns of equal length n, whatever their names; subclasses name them."""

    def __len__(self) -> int:
        """Return n."""
        return len(getattr(self, _names(type(self))[0]))

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """Return those rows (indices or a mask), in that order."""
        return type(self)(*[getattr(self, name)[rows] for name in _names(type(self))])

    def columns(self) -> dict[str, Any]:
        """Return the columns by name."""
        return {name: getattr(self, name) for name in _names(type(self))}


_NAMES: Final[dict[type[Any], tuple[str, ...]]] = {}


def _names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a batch's columns; dataclasses look for them anew each time."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(item.name for item in fields(kind))
    return _NAMES[kind]


@dataclass(frozen=True, slots=True)
class PositionBatch(Batch):
    """n positions in log order; an empty word = unknown."""

    offset: IntArray
    index: npt.NDArray[np.int32]
    """within its frame, 0 for a position by itself"""
    at_ms: IntArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    speed_mps: Float32Array
    bearing_deg: Float32Array
    accuracy_m: Float32Array
    content_hash: HashArray
    """of everything it says but the vehicle, equal however it was sent"""
    direction_id: SmallArray
    ignition: npt.NDArray[np.uint8]
    """index into Switch, as are door and sos"""
    door: npt.NDArray[np.uint8]
    sos: npt.NDArray[np.uint8]
    vehicle_class: DictionaryArray
    vehicle_id: DictionaryArray
    line_id: DictionaryArray
    trip_id: DictionaryArray
    operator_id: DictionaryArray


@dataclass(frozen=True, slots=True)
class DetectionBatch(Batch):
    """n camera detections in log order; place is the object's, or the camera's where the message had none."""

    offset: IntArray
    at_ms: IntArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    confidence: Float32Array
    content_hash: HashArray
    camera_id: TextArray
    kind: TextArray
    track_id: TextArray
    object_class: TextArray
    model_version: TextArray
    snapshot_url: TextArray
    clip_url: TextArray


@dataclass(frozen=True, slots=True)
class ReadingBatch(Batch):
    """n sensor readings in log order; place is the reading's, or the sensor's where the message had none."""

    offset: IntArray
    at_ms: IntArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    value: FloatArray
    content_hash: HashArray
    sensor_id: TextArray
    quantity: TextArray
    measure_unit: TextArray
    host_camera_id: TextArray


@dataclass(frozen=True, slots=True)
class HeartbeatBatch(Batch):
    """n heartbeats in log order."""

    offset: IntArray
    at_ms: IntArray
    content_hash: HashArray
    device_id: TextArray
    firmware_version: TextArray
