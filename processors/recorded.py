"""Recorded positions: lines of a CSV file become vehicle positions or are refused by line number.

One physical line is one row: a quoted field that does not end on its line is a refusal, so a stray quote can never
swallow the lines behind it. docs/recorded-input.md describes what is understood.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import numpy as np

from processors.batches import IntArray
from schemas.errors import UsageError
from schemas.records import VehicleClass, VehiclePosition

LINE_LIMIT: Final = 65_536
"""Characters; a longer line is refused (a Kafka message holds about a million)."""


class SpeedUnit(StrEnum):
    """Units a recorded speed may have."""

    MPS = "m/s"
    KMH = "km/h"
    MPH = "mph"
    KNOTS = "knots"


NEAR_TICK_MS: Final = 10_000
NEAR_MS: Final = 60_000
FAR_TICK_MS: Final = 60_000
FAR_MS: Final = 40 * 60_000
"""Longer than the lateness bound and the correlation horizon of 30 minutes together."""

MPS_IN: Final = {SpeedUnit.MPS: 1.0, SpeedUnit.KMH: 1 / 3.6, SpeedUnit.MPH: 0.44704, SpeedUnit.KNOTS: 1852 / 3600}
"""Metres per second in one of each unit."""

UNKNOWN: Final = frozenset({"", "nan", "null", "none", "na", "n/a", "-"})
"""What people write for "not known", in lower case."""

COMMON_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "vehicle_id": ("vehicle_id", "vehicle", "vehicleid", "vehicle_ref", "bus_id", "device_id", "id"),
    "at": ("timestamp", "at", "at_ms", "time", "datetime", "date_time", "recorded_at", "gps_time", "event_time"),
    "lat": ("latitude", "lat", "latitude_deg", "y"),
    "lon": ("longitude", "lon", "lng", "long", "longitude_deg", "x"),
    "speed": ("speed", "speed_mps", "speed_kmh", "speed_kph", "speed_mph", "speed_knots", "velocity"),
    "bearing": ("bearing", "heading", "bearing_deg", "course", "azimuth"),
    "line": ("route_id", "line_id", "route", "line", "route_short_name"),
    "trip": ("trip_id", "trip"),
    "direction": ("direction_id",),
    "class": ("vehicle_class",),
}
"""Field -> header names taken for it when --map does not say, the likeliest first."""

REQUIRED: Final = ("vehicle_id", "at", "lat", "lon")

_UNIT_IN_NAME: Final = {
    "mps": SpeedUnit.MPS,
    "ms": SpeedUnit.MPS,
    "kmh": SpeedUnit.KMH,
    "kph": SpeedUnit.KMH,
    "mph": SpeedUnit.MPH,
    "kn": SpeedUnit.KNOTS,
    "knots": SpeedUnit.KNOTS,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NO_TIME: Final = "at {!r} is not a time: write ISO 8601, or epoch seconds or milliseconds"
_SECONDS: Final = range(10**9, 10**10)
_MILLISECONDS: Final = range(10**12, 10**13)
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_DIGITS_OF_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)")
_YEAR_LAST: Final = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read: its delimiter, its header, and field -> index of the column that holds it."""

    delimiter: str
    header: tuple[str, ...]
    columns: Mapping[str, int]

    def named(self) -> dict[str, str]:
        """Return field -> column name."""
        return {name: self.header[index] for name, index in self.columns.items()}


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """A position and the line it was read from."""

    position: VehiclePosition
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is no position: where it stands, everything wrong with it, and its text."""

    path: str
    line: int
    errors: tuple[str, ...]
    text: str


def parse_map(text: str) -> dict[str, str]:
    """Read `vehicle_id=bus,at=time,...` into field -> column name.

    Raises UsageError when a part is not FIELD=COLUMN, or a field is unknown or named twice.
    """
    given: dict[str, str] = {}
    for part in next(csv.reader([text], skipinitialspace=True), []):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or name not in COMMON_NAMES:
            raise UsageError(f"--map has {part!r}: write FIELD=COLUMN with FIELD one of {', '.join(COMMON_NAMES)}")
        if name in given:
            raise UsageError(f"--map names {name} twice")
        given[name] = column
    return given


def layout_of(path: str, header_line: str, given: Mapping[str, str]) -> Layout:
    """Decide from the header and --map (field -> column name) where everything stands.

    Fields that `given` does not name are guessed by COMMON_NAMES. Raises UsageError, listing the file's columns.
    """
    delimiter = max(",;\t|", key=header_line.count)
    try:
        header = tuple(name.strip() for name in _split(header_line, delimiter))
    except csv.Error as error:
        raise UsageError(f"the first line of {path} is no header: {error}") from error
    found = {name: _index_of(name, header, given.get(name), path) for name in COMMON_NAMES}
    columns = {name: index for name, index in found.items() if index is not None}
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        wanted = ",".join(f"{name}=COLUMN" for name in missing)
        raise UsageError(f"add {wanted} to --map: {path} has the columns {_listed(header)}")
    return Layout(delimiter, header, columns)


def parse_unit(text: str) -> SpeedUnit | None:
    """Return the unit that --speed-unit names (`m/s`, `km/h`, `kmh`, `mph`, `kn`, ...); None for an empty text."""
    if not text:
        return None
    unit = _UNIT_IN_NAME.get(re.sub(r"[\s/_]", "", text.lower()))
    if unit is None:
        raise UsageError(f"--speed-unit {text!r} is not one of {', '.join(SpeedUnit)}")
    return unit


def unit_by_name(layout: Layout) -> SpeedUnit | None:
    """Return the unit that the speed column's name ends with (`speed_kmh`), or None."""
    return _UNIT_IN_NAME.get(layout.named().get("speed", "").lower().rpartition("_")[2])


def read_lines(
    path: str, lines: Iterable[tuple[int, bytes]], layout: Layout, unit: SpeedUnit, zone: tzinfo | None
) -> Iterator[RecordedRow | Refused]:
    """Read numbered lines behind the header; blank ones give nothing, every other one a row or a refusal.

    unit: of the speed column. zone: where times without an offset were written; None = such times are refused.
    """
    for number, raw in lines:
        try:
            text = raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            yield Refused(path, number, ("not UTF-8",), raw.decode("utf-8", "replace").rstrip("\r\n")[:LINE_LIMIT])
            continue
        if not text.strip():
            continue
        position, errors = _position(text, layout, MPS_IN[unit], zone)
        if position is None:
            yield Refused(path, number, errors, text[:LINE_LIMIT])
        else:
            yield RecordedRow(position, path, number)


def read_time(text: str, zone: tzinfo | None) -> int:
    """Return epoch milliseconds of ISO 8601, epoch seconds or milliseconds, or another form with one meaning.

    zone: for times without an offset; None = they are refused. Raises ValueError with the reason in words.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text) and not _DIGITS_OF_TIME.fullmatch(text):
        return _epoch_ms(text)
    moment = _moment(text)
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(f"at {text!r} has no offset from UTC: give --time-zone")
        moment = _in_zone(moment, zone, text)
    return (moment - _EPOCH) // _MILLISECOND


def tick_times(at_ms: IntArray) -> IntArray:
    """Return the ticks (strictly increasing, epoch ms) that recorded positions at those times need.

    Every 10 s from a position until a minute after it, then every minute until 40 minutes after it, so that all it
    can lead to is resolved and closed; none where the recording is silent for longer. A tick stands behind every
    position of its own time or before.
    """
    near = np.unique(-(-at_ms // NEAR_TICK_MS))[:, None] + np.arange(NEAR_MS // NEAR_TICK_MS + 1)
    far = np.unique(-(-at_ms // FAR_TICK_MS))[:, None] + np.arange(FAR_MS // FAR_TICK_MS + 1)
    return np.union1d(near * NEAR_TICK_MS, far * FAR_TICK_MS)


def _epoch_ms(text: str) -> int:
    value = float(text)
    if int(value) in _SECONDS:
        return round(value * 1000)
    if int(value) in _MILLISECONDS:
        return int(value)
    raise ValueError(f"at {text!r} is neither epoch seconds nor milliseconds (2001 to 2286)")


def _moment(text: str) -> datetime:
    """Read a date and time of day; naive when the text has no offset."""
    if digits := _DIGITS_OF_TIME.fullmatch(text):
        text = "{}-{}-{}T{}:{}:{}".format(*digits.groups())
    if _YEAR_LAST.match(text):
        raise ValueError(f"at {text!r} could be day or month first: write the year first")
    plain = re.sub(r"\s*(UTC|GMT)$", "+00:00", text)
    plain = re.sub(r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3", plain)
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", plain):
        raise ValueError(f"at {text!r} has no time of day")
    try:
        return datetime.fromisoformat(plain)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)  # RFC 5322, with the month's name
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(_NO_TIME.format(text[:60])) from error


def _in_zone(moment: datetime, zone: tzinfo, text: str) -> datetime:
    """Place a local time; one that the clock skipped or showed twice has no single meaning and is refused."""
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment
    what = "was skipped" if skipped else "came twice"
    raise ValueError(f"at {text!r} {what} when the clocks of {zone} changed: write it with its offset")


def _position(
    text: str, layout: Layout, mps_in_unit: float, zone: tzinfo | None
) -> tuple[VehiclePosition | None, tuple[str, ...]]:
    """Return the position of a line, or None and everything wrong with it."""
    if len(text) > LINE_LIMIT:
        return None, (f"{len(text)} characters, more than {LINE_LIMIT}",)
    try:
        cells = [cell.strip() for cell in _split(text, layout.delimiter)]
    except csv.Error as error:
        return None, (f"not CSV: {error}",)
    if len(cells) < len(layout.header) or any(cells[len(layout.header) :]):
        return None, (f"{len(cells)} fields where the header has {len(layout.header)}",)
    errors: list[str] = []
    column = layout.columns
    vehicle_id = cells[column["vehicle_id"]]
    if vehicle_id.lower() in UNKNOWN:
        errors.append("no vehicle_id")
    latitude_deg = _number(cells, column["lat"], "lat", errors, required=True)
    longitude_deg = _number(cells, column["lon"], "lon", errors, required=True)
    speed = _number(cells, column.get("speed"), "speed", errors)
    bearing_deg = _number(cells, column.get("bearing"), "bearing", errors)
    direction_id = _direction(cells, column.get("direction"), errors)
    vehicle_class = _class(cells, column.get("class"), errors)
    at_ms = 0
    try:
        at_ms = read_time(cells[column["at"]], zone)
    except ValueError as error:
        errors.append(str(error) if cells[column["at"]] else "no at")
    if errors:
        return None, tuple(errors)
    return VehiclePosition(
        at_ms=at_ms,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        speed_mps=speed * mps_in_unit,
        bearing_deg=bearing_deg,
        accuracy_m=math.nan,
        vehicle_class=vehicle_class,
        direction_id=direction_id,
        vehicle_id=vehicle_id,
        line_id=_text(cells, column.get("line")),
        trip_id=_text(cells, column.get("trip")),
    ), ()


def _split(text: str, delimiter: str) -> Sequence[str]:
    return next(csv.reader([text], delimiter=delimiter, strict=True), [])


def _number(cells: Sequence[str], index: int | None, name: str, errors: list[str], required: bool = False) -> float:
    """Return the number in a cell; NaN when it is unknown, infinite or no number (and then `errors` may tell)."""
    if index is None:
        return math.nan
    text = cells[index]
    if text.lower() in UNKNOWN:
        if required:
            errors.append(f"no {name}")
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        errors.append(f"{name} {text[:40]!r} is not a number")
        return math.nan
    return value


def _direction(cells: Sequence[str], index: int | None, errors: list[str]) -> int:
    text = _text(cells, index)
    if text in ("", "-1"):
        return -1
    if text in ("0", "1"):
        return int(text)
    errors.append(f"direction {text[:40]!r} is not 0 or 1")
    return -1


def _class(cells: Sequence[str], index: int | None, errors: list[str]) -> VehicleClass:
    text = _text(cells, index)
    if not text:
        return VehicleClass.UNKNOWN
    try:
        return VehicleClass(re.sub(r"[\s-]+", "_", text).upper())
    except ValueError:
        errors.append(f"class {text[:40]!r} is not one of {', '.join(VehicleClass)}")
        return VehicleClass.UNKNOWN


def _text(cells: Sequence[str], index: int | None) -> str:
    if index is None or cells[index].lower() in UNKNOWN:
        return ""
    return cells[index]


def _index_of(name: str, header: Sequence[str], column: str | None, path: str) -> int | None:
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
    return next((lowered.index(common) for common in COMMON_NAMES[name] if lowered.count(common) == 1), None)


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(title[:40] for title in header[:40])
    return f"{shown}, ..." if len(header) > 40 else shown
