"""CSV: a line becomes a record or is refused by its number.

One physical line is one row: a quoted field that does not end on its line is a refusal, so a stray quote can never
swallow the lines behind it. docs/sources.md describes what is understood.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

from processors.sources.contract import (
    TEXT_LIMIT,
    Found,
    InputRecord,
    Item,
    ReadOptions,
    RecordName,
    Refused,
    SpeedUnit,
)
from processors.sources.csv_columns import MPS_IN, Layout, layout_of, split, unit_by_name
from processors.sources.soundness import found
from processors.sources.times import read_time
from schemas.records import CameraDetection, Heartbeat, SensorReading, VehicleClass, VehiclePosition

LINE_LIMIT: Final = 65_536
"""Characters; a longer line is refused."""

UNKNOWN: Final = frozenset({"", "nan", "null", "none", "na", "n/a", "-"})
"""What people write for "not known", in lower case."""


class CsvReader:
    """Reads the lines behind one header."""

    def __init__(self, path: str, header_line: str, options: ReadOptions) -> None:
        """Decide which column is what. Raises UsageError, listing the file's columns."""
        self.layout: Layout = layout_of(path, header_line, options.columns, options.record)
        told = options.speed_unit or unit_by_name(self.layout)
        self.speed_unit, self.unit_is_told = told or SpeedUnit.MPS, told is not None
        self._zone = options.zone

    def read(self, message: bytes, path: str, line: int) -> Iterator[Item]:
        """Read one line: a record, a refusal, or nothing if it is blank."""
        try:
            text = message.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            told = message.decode("utf-8", "replace").rstrip("\r\n")
            yield Refused(path, line, ("not UTF-8",), told[:TEXT_LIMIT])
            return
        if text.strip():
            yield self._row(text, path, line)

    def _row(self, text: str, path: str, line: int) -> Found | Refused:
        if len(text) > LINE_LIMIT:
            return Refused(path, line, (f"{len(text)} characters, more than {LINE_LIMIT}",), text[:TEXT_LIMIT])
        try:
            cells = [cell.strip() for cell in split(text, self.layout.delimiter)]
        except csv.Error as error:
            return Refused(path, line, (f"not CSV: {error}",), text)
        width = len(self.layout.header)
        if len(cells) < width or any(cells[width:]):
            return Refused(path, line, (f"{len(cells)} fields where the header has {width}",), text)
        row = _Row(self.layout, cells)
        record = self._record(row)
        return Refused(path, line, tuple(row.errors), text) if row.errors else found(record, path, line, text)

    def _record(self, row: "_Row") -> InputRecord:
        """Return the record of a row; it only counts where the row then has no errors."""
        match self.layout.record:
            case RecordName.POSITION:
                return self._position(row)
            case RecordName.DETECTION:
                return self._detection(row)
            case RecordName.READING:
                return self._reading(row)
            case RecordName.HEARTBEAT:
                return Heartbeat(
                    device_id=row.needed("device_id"), at_ms=self._at(row), firmware_version=row.text("firmware")
                )

    def _position(self, row: "_Row") -> VehiclePosition:
        return VehiclePosition(
            vehicle_id=row.needed("vehicle_id"),
            at_ms=self._at(row),
            latitude_deg=row.number("lat", required=True),
            longitude_deg=row.number("lon", required=True),
            speed_mps=row.number("speed") * MPS_IN[self.speed_unit],
            bearing_deg=row.number("bearing"),
            accuracy_m=math.nan,
            vehicle_class=_class(row),
            direction_id=_direction(row),
            line_id=row.text("line"),
            trip_id=row.text("trip"),
        )

    def _detection(self, row: "_Row") -> CameraDetection:
        return CameraDetection(
            camera_id=row.needed("camera_id"),
            at_ms=self._at(row),
            kind=row.needed("kind"),
            confidence=row.number("confidence", required=True),
            latitude_deg=row.number("lat"),
            longitude_deg=row.number("lon"),
            speed_mps=math.nan,
            bearing_deg=math.nan,
            box_left=math.nan,
            box_top=math.nan,
            box_right=math.nan,
            box_bottom=math.nan,
            track_id=row.text("track"),
            object_class=row.text("object"),
            model_version=row.text("model"),
            snapshot_url=row.text("snapshot"),
        )

    def _reading(self, row: "_Row") -> SensorReading:
        return SensorReading(
            sensor_id=row.needed("sensor_id"),
            at_ms=self._at(row),
            quantity=row.needed("quantity"),
            value=row.number("value", required=True),
            measure_unit=row.text("unit"),
            latitude_deg=row.number("lat"),
            longitude_deg=row.number("lon"),
        )

    def _at(self, row: "_Row") -> int:
        text = row.cell("at")
        try:
            return read_time(text, self._zone)
        except ValueError as error:
            row.errors.append(str(error) if text else "no at")
            return 0


class _Row:
    """The cells of one line, and what is wrong with them."""

    def __init__(self, layout: Layout, cells: Sequence[str]) -> None:
        self._columns, self._cells = layout.columns, cells
        self.errors: list[str] = []

    def cell(self, name: str) -> str:
        """Return a cell as it stands, "" where there is no such column."""
        index = self._columns.get(name)
        return "" if index is None else self._cells[index]

    def text(self, name: str) -> str:
        """Return a text, "" = not known."""
        text = self.cell(name)
        return "" if text.lower() in UNKNOWN else text

    def needed(self, name: str) -> str:
        """Return a text; that it is not known is an error."""
        text = self.text(name)
        if not text:
            self.errors.append(f"no {name}")
        return text

    def number(self, name: str, *, required: bool = False) -> float:
        """Return a number; NaN when it is unknown, infinite or no number (and then `errors` may tell)."""
        text = self.text(name)
        if not text:
            if required:
                self.errors.append(f"no {name}")
            return math.nan
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in text:
            self.errors.append(f"{name} {text[:40]!r} is not a number")
            return math.nan
        return value


def _direction(row: _Row) -> int:
    text = row.text("direction")
    if text in ("", "-1"):
        return -1
    if text in ("0", "1"):
        return int(text)
    row.errors.append(f"direction {text[:40]!r} is not 0 or 1")
    return -1


def _class(row: _Row) -> VehicleClass:
    text = row.text("class")
    if not text:
        return VehicleClass.UNKNOWN
    try:
        return VehicleClass(re.sub(r"[\s-]+", "_", text).upper())
    except ValueError:
        row.errors.append(f"class {text[:40]!r} is not one of {', '.join(VehicleClass)}")
        return VehicleClass.UNKNOWN
