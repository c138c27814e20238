"""Which column of a CSV file is what: told by --map, or guessed from common names."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from processors.sources.contract import RecordName, SpeedUnit
from schemas.errors import UsageError

MPS_IN: Final = {SpeedUnit.MPS: 1.0, SpeedUnit.KMH: 1 / 3.6, SpeedUnit.MPH: 0.44704, SpeedUnit.KNOTS: 1852 / 3600}
"""Metres per second in one of each unit."""

_AT: Final = ("timestamp", "at", "at_ms", "time", "datetime", "date_time", "recorded_at", "gps_time", "event_time")
_LAT: Final = ("latitude", "lat", "latitude_deg", "y")
_LON: Final = ("longitude", "lon", "lng", "long", "longitude_deg", "x")

COMMON_NAMES: Final[Mapping[RecordName, Mapping[str, tuple[str, ...]]]] = {
    RecordName.POSITION: {
        "vehicle_id": ("vehicle_id", "vehicle", "vehicleid", "vehicle_ref", "bus_id", "device_id", "id"),
        "at": _AT,
        "lat": _LAT,
        "lon": _LON,
        "speed": ("speed", "speed_mps", "speed_kmh", "speed_kph", "speed_mph", "speed_knots", "velocity"),
        "bearing": ("bearing", "heading", "bearing_deg", "course", "azimuth"),
        "line": ("route_id", "line_id", "route", "line", "route_short_name"),
        "trip": ("trip_id", "trip"),
        "direction": ("direction_id",),
        "class": ("vehicle_class",),
    },
    RecordName.DETECTION: {
        "camera_id": ("camera_id", "camera", "cameraid"),
        "at": _AT,
        "kind": ("kind", "event", "event_type", "type"),
        "confidence": ("confidence", "score"),
        "lat": _LAT,
        "lon": _LON,
        "track": ("track_id", "track", "object_id"),
        "object": ("object_class", "label", "object"),
        "model": ("model_version", "model"),
        "snapshot": ("snapshot_url", "snapshot"),
    },
    RecordName.READING: {
        "sensor_id": ("sensor_id", "sensor", "sensorid"),
        "at": _AT,
        "quantity": ("quantity", "parameter", "measurement"),
        "value": ("value", "reading"),
        "unit": ("measure_unit", "unit"),
        "lat": _LAT,
        "lon": _LON,
    },
    RecordName.HEARTBEAT: {
        "device_id": ("device_id", "device", "id"),
        "at": _AT,
        "firmware": ("firmware_version", "firmware"),
    },
}
"""Record -> field -> header names taken for it when --map does not say, the likeliest first."""

REQUIRED: Final[Mapping[RecordName, tuple[str, ...]]] = {
    RecordName.POSITION: ("vehicle_id", "at", "lat", "lon"),
    RecordName.DETECTION: ("camera_id", "at", "kind", "confidence"),
    RecordName.READING: ("sensor_id", "at", "quantity", "value"),
    RecordName.HEARTBEAT: ("device_id", "at"),
}

_TELLING: Final = {
    RecordName.DETECTION: ("camera_id", "kind"),
    RecordName.READING: ("sensor_id", "quantity"),
}
"""Records that a header tells by these fields; every other header is one of positions."""

_FIELDS: Final = tuple(dict.fromkeys(name for names in COMMON_NAMES.values() for name in names))
_UNIT_IN_NAME: Final = {
    "mps": SpeedUnit.MPS,
    "ms": SpeedUnit.MPS,
    "kmh": SpeedUnit.KMH,
    "kph": SpeedUnit.KMH,
    "mph": SpeedUnit.MPH,
    "kn": SpeedUnit.KNOTS,
    "knots": SpeedUnit.KNOTS,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read: its record, delimiter and header, and field -> index of the column that holds it."""

    record: RecordName
    delimiter: str
    header: tuple[str, ...]
    columns: Mapping[str, int]

    def named(self) -> dict[str, str]:
        """Return field -> column name."""
        return {name: self.header[index] for name, index in self.columns.items()}


def parse_map(text: str) -> dict[str, str]:
    """Read `vehicle_id=bus,at=time,...` into field -> column name.

    Raises UsageError when a part is not FIELD=COLUMN, or a field is unknown or named twice.
    """
    given: dict[str, str] = {}
    for part in next(csv.reader([text], skipinitialspace=True), []):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or name not in _FIELDS:
            raise UsageError(f"--map has {part!r}: write FIELD=COLUMN with FIELD one of {', '.join(_FIELDS)}")
        if name in given:
            raise UsageError(f"--map names {name} twice")
        given[name] = column
    return given


def parse_unit(text: str) -> SpeedUnit | None:
    """Return the unit that --speed-unit names (`m/s`, `km/h`, `kmh`, `mph`, `kn`, ...); None for an empty text."""
    if not text:
        return None
    unit = _UNIT_IN_NAME.get(re.sub(r"[\s/_]", "", text.lower()))
    if unit is None:
        raise UsageError(f"--speed-unit {text!r} is not one of {', '.join(SpeedUnit)}")
    return unit


def layout_of(path: str, header_line: str, given: Mapping[str, str], record: RecordName | None = None) -> Layout:
    """Decide from the header and --map (field -> column name) where everything stands.

    record: what a line is; None = told by the columns. Fields that `given` does not name are guessed by COMMON_NAMES.
    Raises UsageError, listing the file's columns.
    """
    delimiter = max(",;\t|", key=header_line.count)
    try:
        header = tuple(name.strip() for name in split(header_line, delimiter))
    except csv.Error as error:
        raise UsageError(f"the first line of {path} is no header: {error}") from error
    record = record or _record_told(header, given)
    names = COMMON_NAMES[record]
    if foreign := [name for name in given if name not in names]:
        raise UsageError(f"--map names {foreign[0]}, which a {record} does not have: it has {', '.join(names)}")
    found = {name: _index_of(names[name], name, header, given.get(name), path) for name in names}
    columns = {name: index for name, index in found.items() if index is not None}
    missing = [name for name in REQUIRED[record] if name not in columns]
    if missing:
        wanted = ",".join(f"{name}=COLUMN" for name in missing)
        raise UsageError(f"add {wanted} to --map: {path} has the columns {_listed(header)}")
    return Layout(record, delimiter, header, columns)


def unit_by_name(layout: Layout) -> SpeedUnit | None:
    """Return the unit that the speed column's name ends with (`speed_kmh`, `Speed (km/h)`), or None."""
    words = re.split(r"[\s_()\[\]]+", layout.named().get("speed", "").lower().rstrip(" )]"))
    return _UNIT_IN_NAME.get(words[-1].replace("/", ""))


def split(text: str, delimiter: str) -> Sequence[str]:
    """Return the cells of one line. Raises csv.Error for a quoted field that does not end on it."""
    return next(csv.reader([text], delimiter=delimiter, strict=True), [])


def _record_told(header: Sequence[str], given: Mapping[str, str]) -> RecordName:
    lowered = {title.lower() for title in header}
    for record, fields in _TELLING.items():
        if all(field in given or field in lowered for field in fields):
            return record
    return RecordName.POSITION


def _index_of(common: Sequence[str], name: str, header: Sequence[str], column: str | None, path: str) -> int | None:
    """Return where a field stands: by the name given, or the first common name the header has."""
    if column is not None:
        exact = [index for index, title in enumerate(header) if title == column]
        loose = [index for index, title in enumerate(header) if title.lower() == column.lower()]
        matches = exact or loose
        if len(matches) != 1:
            problem = "has no column" if not matches else f"has {len(matches)} columns"
            raise UsageError(f"--map says {name}={column}, but {path} {problem} {column!r}: it has {_listed(header)}")
        return matches[0]
    lowered = [title.lower() for title in header]
    return next((lowered.index(title) for title in common if lowered.count(title) == 1), None)


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(title[:40] for title in header[:40])
    return f"{shown}, ..." if len(header) > 40 else shown
