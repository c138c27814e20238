"""What any record needs before it can be sent at all: a device, a time that can be stored, texts that are not books.

Everything else about a record is the engine's to judge.
"""

from dataclasses import fields
from typing import Final

from processors.sources.contract import TEXT_LIMIT, Found, InputRecord, Refused, device_of
from schemas.records import CameraDetection, Heartbeat, SensorReading, VehiclePosition

TEXT_CHARACTERS: Final = 4096
"""The engine takes less; this keeps any record far below what a Kafka message may hold."""

LARGEST: Final = 3.4e38
"""The largest number that a 32-bit float holds, rounded down."""

WHOLE_NUMBERS: Final = {"at_ms": range(-(2**62), 2**62), "direction_id": range(-(2**31), 2**31)}
"""What the whole numbers of a record can be in Avro."""

_NAMES: Final = {
    record: tuple(item.name for item in fields(record))
    for record in (VehiclePosition, CameraDetection, SensorReading, Heartbeat)
}


def found(record: InputRecord, path: str, line: int, text: str) -> Found | Refused:
    """Return the record with its origin, or a refusal with `text` where it could not even be sent."""
    mistakes = mistakes_of(record)
    return Refused(path, line, mistakes, text[:TEXT_LIMIT]) if mistakes else Found(record, path, line)


def mistakes_of(record: InputRecord) -> tuple[str, ...]:
    """Return what keeps a record from being sent, in words. NaN is sound: it means unknown, and the engine judges."""
    wrong = []
    for name in _NAMES[type(record)]:
        value = getattr(record, name)
        if isinstance(value, str):
            if len(value) > TEXT_CHARACTERS:
                wrong.append(f"{name} has {len(value)} characters, more than {TEXT_CHARACTERS}")
            elif not value.isascii() and not _encodes(value):
                wrong.append(f"{name} is not text that can be written as UTF-8")
        elif isinstance(value, float) and abs(value) > LARGEST:
            wrong.append(f"{name} {value:g} is not a number")
        elif isinstance(value, int) and value not in WHOLE_NUMBERS[name]:
            wrong.append(f"{name} {value} is out of range")
    if not device_of(record).strip():
        wrong.append("no id of the device")
    return tuple(wrong)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
