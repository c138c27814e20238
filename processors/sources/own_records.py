"""JSON lines: the project's own records, one object a line, with the field names of schemas/records.py.

`record` names what a line is; otherwise --record does, or the id it carries. Also read is what `cityops sql --json`
prints of the tables positions, detections, readings and heartbeats.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from processors.sources.contract import InputRecord, Item, ReadOptions, RecordName
from processors.sources.json_messages import Time, read_objects
from processors.sources.soundness import found
from schemas.records import CameraDetection, Heartbeat, SensorReading, VehiclePosition
from schemas.tables import TABLES

RECORDS: Final[Mapping[RecordName, type[InputRecord]]] = {
    RecordName.POSITION: VehiclePosition,
    RecordName.DETECTION: CameraDetection,
    RecordName.READING: SensorReading,
    RecordName.HEARTBEAT: Heartbeat,
}

NEEDED: Final[Mapping[RecordName, tuple[str, ...]]] = {
    RecordName.POSITION: ("vehicle_id", "at_ms", "latitude_deg", "longitude_deg"),
    RecordName.DETECTION: ("camera_id", "at_ms", "kind", "confidence"),
    RecordName.READING: ("sensor_id", "at_ms", "quantity", "value"),
    RecordName.HEARTBEAT: ("device_id", "at_ms"),
}
"""What a line must tell; other numbers are NaN where it does not, texts empty, switches UNKNOWN."""

_UNKNOWN_MM_S: Final = -1
_SOURCE: Final = ("source_topic", "source_partition", "source_offset")
"""Columns of every table: where a row's record stood."""


def _model_of(name: RecordName) -> type[BaseModel]:
    """Make the model of a record's line: its fields, and the columns of its table that it may carry besides."""
    told: dict[str, Any] = {}
    for item in fields(RECORDS[name]):
        kind: Any = Time if item.name == "at_ms" else item.type
        if item.name in NEEDED[name]:
            told[item.name] = (kind, ...)
        elif kind is float:
            told[item.name] = (float | None, None)
        else:
            told[item.name] = (kind, Field(default="" if kind is str else item.default))
    if name is RecordName.POSITION:
        told["speed_mm_s"] = (int | None, None)
    for column in (*_SOURCE, *(column.name for column in TABLES[f"{name}s"].columns)):
        told.setdefault(column, (Any, None))
    return create_model(f"{name}", __config__=ConfigDict(extra="forbid", coerce_numbers_to_str=True), **told)


_MODELS: Final = {name: _model_of(name) for name in RecordName}
_ID_OF: Final = {NEEDED[name][0]: name for name in RecordName}
_NAMES: Final = {**{str(name): name for name in RecordName}, **{RECORDS[name].__name__: name for name in RecordName}}


class OwnRecordReader:
    """Reads own records."""

    def __init__(self, options: ReadOptions) -> None:
        """Keep what a line is that does not say."""
        self._usual = options.record

    def read(self, message: bytes, path: str, line: int) -> Iterator[Item]:
        """Return the record of a line."""
        return read_objects(message, path, line, self._record, _as_found)

    def _record(self, content: object) -> InputRecord:
        if not isinstance(content, dict):
            raise ValueError("a record is an object in curly brackets")
        told = {name: value for name, value in content.items() if name != "record"}
        stated = content.get("record")
        name = _NAMES.get(str(stated)) if stated is not None else self._usual or _by_id(told)
        if name is None:
            raise ValueError(f"record is one of {', '.join(RecordName)}: say so in the line or by --record")
        return _record_of(name, _MODELS[name].model_validate(told))


def _record_of(name: RecordName, told: BaseModel) -> InputRecord:
    record = RECORDS[name]
    values = {item.name: getattr(told, item.name) for item in fields(record)}
    speed_mm_s = getattr(told, "speed_mm_s", None)
    if speed_mm_s is not None and values["speed_mps"] is None and speed_mm_s != _UNKNOWN_MM_S:
        values["speed_mps"] = speed_mm_s / 1000
    unknown = {item.name: math.nan for item in fields(record) if item.type is float and values[item.name] is None}
    return record(**(values | unknown))


def _as_found(record: InputRecord, path: str, line: int, text: str) -> Iterator[Item]:
    yield found(record, path, line, text)


def _by_id(told: Mapping[str, Any]) -> RecordName | None:
    return next((name for field, name in _ID_OF.items() if field in told), None)
