"""What every format keeps: a message becomes records, or is refused with reasons, or is left out and counted.

A message is what a source hands over at once: a line of a file, a whole file, the body of an HTTP answer or request, a
Kafka or MQTT message. Whoever fetched it passes its bytes and says where it came from; a reader is pure and never
raises for what stands in a message. Whether a record makes sense (its place, its time, a repeat) is not judged here:
the engine judges it like any other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from typing import Final, Protocol

from schemas.records import CameraDetection, Heartbeat, SensorReading, VehiclePosition

MESSAGE_LIMIT: Final = 1_048_576
"""Bytes; a longer line is refused (a Kafka message holds about as much)."""

TEXT_LIMIT: Final = 65_536
"""Characters of a refused message that are kept."""

InputRecord = VehiclePosition | CameraDetection | SensorReading | Heartbeat


class Format(StrEnum):
    """Formats that are read."""

    CSV = "csv"
    GTFS_RT = "gtfs-rt"
    DEEPSTREAM = "deepstream"
    FRIGATE = "frigate"
    UFMS = "ufms"
    JSONL = "jsonl"


class SpeedUnit(StrEnum):
    """Units a speed may have."""

    MPS = "m/s"
    KMH = "km/h"
    MPH = "mph"
    KNOTS = "knots"


class RecordName(StrEnum):
    """The records a source can hold, as --record and `record` in a JSON line name them."""

    POSITION = "position"
    DETECTION = "detection"
    READING = "reading"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True)
class Found:
    """A record and where it was read: the path (file, URL, topic) and the line or message, from 1."""

    record: InputRecord
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A message, or a part of one, that is no record: where it stands, everything wrong with it, and its text."""

    path: str
    line: int
    errors: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A message, or a part of one, that is sound but says nothing that is taken in; `reason` is counted."""

    path: str
    line: int
    reason: str


Item = Found | Refused | LeftOut


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How messages are to be read, where a format leaves it open.

    columns: field -> column name, of --map (csv). speed_unit: None = by the column's name, else m/s (csv). zone: of
    times without an offset; None = they are refused. record: what a line is when it does not say (csv, jsonl).
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    speed_unit: SpeedUnit | None = None
    zone: tzinfo | None = None
    record: RecordName | None = None


class Reader(Protocol):
    """Reads the messages of one format."""

    def read(self, message: bytes, path: str, line: int) -> Iterable[Item]:
        """Return what one message holds: several records are possible; a blank message holds nothing.

        Never raises for what stands in the message: that is a Refused.
        """
        ...


def device_of(record: InputRecord) -> str:
    """Return the id of the device, which is the record's key."""
    match record:
        case VehiclePosition():
            return record.vehicle_id
        case CameraDetection():
            return record.camera_id
        case SensorReading():
            return record.sensor_id
        case Heartbeat():
            return record.device_id
