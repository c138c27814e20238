"""Device files: CSV with a header, GeoJSON points, or YAML like a city package's devices, as registrations.

Names of columns are guessed generously; whatever is refused is named with its line and reason.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import yaml

from processors.ingest import device_mistake
from schemas.records import DeviceKind, DeviceRegistration, VehicleClass

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "device_id": (
        "device_id", "camera_id", "sensor_id", "vehicle_id", "stream_id", "id", "device", "camera", "sensor", "vehicle",
        "deviceid", "cameraid", "sensorid", "vehicleid", "code",
    ),
    "kind": ("kind", "device_kind", "device_type", "type"),
    "latitude_deg": ("lat", "latitude", "latitude_deg", "lat_deg", "y"),
    "longitude_deg": ("lon", "lng", "long", "longitude", "longitude_deg", "lon_deg", "x"),
    "name": ("name", "label", "title", "description"),
    "owner": ("owner", "owner_id", "agency", "agency_id", "unit", "unit_code"),
    "quantities": ("quantities", "quantity", "measures"),
    "host_camera_id": ("host_camera_id", "host_camera", "host"),
    "vehicle_class": ("vehicle_class", "class", "vehicle_type", "mode"),
    "line_id": ("line_id", "line", "route_id", "route"),
    "operator_id": ("operator_id", "operator"),
    "retired": ("retired", "removed"),
    "bearing_deg": ("bearing_deg", "bearing", "azimuth", "heading"),
    "view_deg": ("view_deg", "view", "field_of_view", "fov", "fov_deg"),
    "range_m": ("range_m", "range"),
    "third_party": ("third_party",),
    "qualified_until": ("qualified_until",),
}  # fmt: skip
"""Field of a registration -> names that a column of it may have, the surest first; case and punctuation don't count."""

UNKNOWN_BEARING_DEG: Final = -1
FARTHEST_M: Final = 10_000
QUALIFY: Final = "`cityops estate qualify`"

DEEPEST: Final = 20
"""Lists and mappings in each other, in YAML."""

_KIND_OF_ID: Final = {"camera": DeviceKind.CAMERA, "sensor": DeviceKind.SENSOR, "vehicle": DeviceKind.VEHICLE}
_YES: Final = frozenset({"1", "true", "yes", "y"})
_NO: Final = frozenset({"", "0", "false", "no", "n"})
_YAML_START: Final = re.compile(r"(---|#|-\s|\[|\{|devices\s*:)")
_FEATURES: Final = re.compile(r'"features"\s*:\s*\[')

Row = Mapping[str, Any]
"""What a line says, by the names it uses: text from CSV, any plain value from the others."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A registration and the line (counted from 1) that says it."""

    line: int
    registration: DeviceRegistration


@dataclass(frozen=True, slots=True)
class Refused:
    """A line (counted from 1; 1 for the file as a whole) that is not a registration, and why."""

    line: int
    reason: str


def read_placement(
    lines: Iterable[str], *, registered_at_ms: int = 0, default_kind: DeviceKind | None = None
) -> tuple[tuple[Listed, ...], tuple[Refused, ...]]:
    """Return the devices that a file lists, as registered at a time, and what of it is refused.

    default_kind: of lines that do not tell; without it the name of the id's column, a quantity or a vehicle class does.
    Every entry is in one of the two, in the order of the file; a device listed twice is refused the second time.
    Whether a place lies in the city is not asked here (processors.registrations.registration_mistakes).
    """
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines).removeprefix("\ufeff")
    listed: dict[str, Listed] = {}
    refused: list[Refused] = []
    try:
        for line, row in _rows(text):
            found = _registration(row, registered_at_ms, default_kind)
            if isinstance(found, DeviceRegistration) and found.device_id in listed:
                found = f"{found.device_id} is already on line {listed[found.device_id].line}"
            if isinstance(found, str):
                refused.append(Refused(line, found))
            else:
                listed[found.device_id] = Listed(line, found)
    except _Unreadable as error:
        refused.append(Refused(error.line, str(error)))
    except RecursionError:
        refused.append(Refused(1, "is nested too deeply"))
    return tuple(listed.values()), tuple(refused)


class _Unreadable(Exception):
    """The rest of a file cannot be read."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _rows(text: str) -> Iterator[tuple[int, Row]]:
    start = text.lstrip()
    if not start:
        raise _Unreadable(1, "the file is empty")
    if start.startswith("{") and '"Feature' in text:
        return _geojson_rows(text)
    if _YAML_START.match(start):
        return _yaml_rows(text)
    return _csv_rows(text)


def _csv_rows(text: str) -> Iterator[tuple[int, Row]]:
    head = text.lstrip().splitlines()[0]
    delimiter = max(",;\t|", key=head.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    header: list[str] = []
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = cells
                _check_header(line, header)
            elif len(cells) > len(header):
                yield line, {"": f"has {len(cells)} columns, the header has {len(header)}"}
            else:
                yield line, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise _Unreadable(before + 1, f"is not CSV: {error}") from error


def _check_header(line: int, header: Sequence[str]) -> None:
    told = {_plain(name) for name in header}
    if not told & set(COLUMNS["device_id"]):
        raise _Unreadable(
            line, f"the header has no column for the id: call it device_id, not {', '.join(header)[:100]}"
        )


def _geojson_rows(text: str) -> Iterator[tuple[int, Row]]:
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise _Unreadable(getattr(error, "lineno", 1), f"is not JSON: {error}") from error
    features = whole.get("features") if whole.get("type") == "FeatureCollection" else [whole]
    if not isinstance(features, list):
        raise _Unreadable(1, "is not a GeoJSON FeatureCollection")
    lines = _feature_lines(text, len(features))
    for line, feature in zip(lines, features, strict=True):
        yield line, _feature_row(feature)


def _feature_lines(text: str, count: int) -> list[int]:
    """Return the lines on which features begin; all 1 where they cannot be told."""
    match = _FEATURES.search(text)
    decoder, lines = json.JSONDecoder(), []
    at, line, counted = match.end() if match else len(text), 1, 0
    for _ in range(count if match else 0):
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        line, counted = line + text.count("\n", counted, at), at
        lines.append(line)
        try:
            _, at = decoder.raw_decode(text, at)
        except ValueError:
            break
    return lines if len(lines) == count else [1] * count


def _feature_row(feature: Any) -> Row:
    if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
        return {"": "is not a GeoJSON feature"}
    geometry = feature.get("geometry")
    row = {**({"id": feature["id"]} if "id" in feature else {}), **(feature.get("properties") or {})}
    if geometry is None:
        return row
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        return {"": "is not a point: give every device one place"}
    match geometry.get("coordinates"):
        case [longitude_deg, latitude_deg, *_]:
            place = {name for field in ("latitude_deg", "longitude_deg") for name in COLUMNS[field]}
            told = {name: value for name, value in row.items() if _plain(name) not in place}
            return {**told, "latitude_deg": latitude_deg, "longitude_deg": longitude_deg}
    return {"": "has no coordinates"}


def _yaml_rows(text: str) -> Iterator[tuple[int, Row]]:
    try:
        _check_depth(text)
        loader = yaml.CSafeLoader(text)
        node = loader.get_single_node()
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == "devices"), None)
        if not isinstance(node, yaml.SequenceNode):
            raise _Unreadable(1, "is not a list of devices: begin with `devices:` and one `- {id: ..., ...}` for each")
        for item in node.value:
            content = loader.construct_document(item)
            yield item.start_mark.line + 1, content if isinstance(content, dict) else {"": "is not a device"}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Unreadable(mark.line + 1 if mark else 1, f"is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:  # control characters; a date that is none
        raise _Unreadable(1, f"is not YAML: {error}") from error


def _check_depth(text: str) -> None:
    """Refuse nesting so deep that libyaml's tree would overflow the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _Unreadable(1, "is nested too deeply")


def _registration(row: Row, registered_at_ms: int, default_kind: DeviceKind | None) -> DeviceRegistration | str:
    """Return what a row registers, or why it does not."""
    if "" in row:
        return str(row[""])
    told = {_plain(str(name)): value for name, value in row.items()}
    try:
        id_column, device_id = _device_id(told)
        if mistake := device_mistake(device_id):
            return mistake
        kind = _kind(told, id_column, default_kind)
        retired = _flag("retired", told)
        latitude_deg, longitude_deg = _number("latitude_deg", told), _number("longitude_deg", told)
        if mistake := _place_mistake(kind, retired, latitude_deg, longitude_deg):
            return f"{device_id}: {mistake}"
        return DeviceRegistration(
            registered_at_ms=registered_at_ms,
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            qualified_until_ms=_qualified_until_ms(kind, told),
            bearing_deg=_bearing_deg(told),
            view_deg=_whole("view_deg", told, 360) or 0,
            range_m=_whole("range_m", told, FARTHEST_M) or 0,
            retired=retired,
            kind=kind,
            vehicle_class=_vehicle_class(told),
            device_id=device_id,
            name=_text("name", told),
            owner=_text("owner", told),
            host_camera_id=_text("host_camera_id", told),
            line_id=_text("line_id", told),
            operator_id=_text("operator_id", told),
            quantities=_quantities(told),
        )
    except ValueError as error:
        return str(error)


def _device_id(told: Row) -> tuple[str, str]:
    """Return the column that holds the id, and the id."""
    for name in COLUMNS["device_id"]:
        if name in told and _plain_text(told[name]):
            return name, _plain_text(told[name])
    raise ValueError("has no id")


def _kind(told: Row, id_column: str, default_kind: DeviceKind | None) -> DeviceKind:
    text = _text("kind", told).upper()
    if text in DeviceKind.__members__:
        return DeviceKind[text]
    if text and "kind" in told:  # a column called type may say anything
        raise ValueError(f"kind {text.lower()!r} is none: use camera, sensor or vehicle")
    if default_kind is not None:
        return default_kind
    for word, kind in _KIND_OF_ID.items():
        if id_column.startswith(word):
            return kind
    if _quantities(told):
        return DeviceKind.SENSOR
    if _vehicle_class(told) is not VehicleClass.UNKNOWN:
        return DeviceKind.VEHICLE
    raise ValueError("does not tell its kind: give a column kind (camera, sensor, vehicle) or --kind")


def _place_mistake(kind: DeviceKind, retired: bool, latitude_deg: float, longitude_deg: float) -> str:
    if math.isnan(latitude_deg) and math.isnan(longitude_deg):
        return "" if retired or kind is DeviceKind.VEHICLE else "has no place (columns lat and lon)"
    if not (abs(latitude_deg) <= 90.0 and abs(longitude_deg) <= 180.0):
        return f"lat {latitude_deg:g}, lon {longitude_deg:g} is not a place on Earth"
    return ""


def _vehicle_class(told: Row) -> VehicleClass:
    text = re.sub(r"[\s-]+", "_", _text("vehicle_class", told).upper())
    if text and text not in VehicleClass.__members__:
        raise ValueError(f"vehicle_class {text!r} is none of {', '.join(VehicleClass)}")
    return VehicleClass[text] if text else VehicleClass.UNKNOWN


def _quantities(told: Row) -> tuple[str, ...]:
    value = _told("quantities", told)
    items = [str(item) for item in value] if isinstance(value, list) else re.split(r"[\s;,|]+", _plain_text(value))
    return tuple(item for item in items if item)


def _flag(field: str, told: Row) -> bool:
    text = _text(field, told).lower()
    if text not in _YES | _NO:
        raise ValueError(f"{field} must be true or false, is {text!r}")
    return text in _YES


def _number(field: str, told: Row) -> float:
    """Return a number, NaN for none; a comma may stand for the point."""
    text = _text(field, told)
    if not text:
        return math.nan
    unit = "metres" if field.endswith("_m") else "degrees"
    try:
        number = float(text if "." in text else text.replace(",", "."))
    except ValueError:
        raise ValueError(f"{field} must be a number of {unit}, is {text!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{field} must be a number of {unit}, is {text!r}")
    return number


def _bearing_deg(told: Row) -> int:
    bearing_deg = _whole("bearing_deg", told, 360)
    return UNKNOWN_BEARING_DEG if bearing_deg is None else bearing_deg % 360


def _whole(field: str, told: Row, most: int) -> int | None:
    """Return a number from 0 to `most`, rounded; None for none."""
    number = _number(field, told)
    if math.isnan(number):
        return None
    if not 0 <= number <= most:
        raise ValueError(f"{field} must be from 0 to {most}, is {number:g}")
    return round(number)


def _qualified_until_ms(kind: DeviceKind, told: Row) -> int:
    """Return when the last day (UTC) of a third party's qualification ends; 0 = the device is the city's own."""
    text = _text("qualified_until", told)
    if not text:
        if kind is DeviceKind.CAMERA and _flag("third_party", told):
            raise ValueError(f"is a third party's and not qualified: {QUALIFY} judges it")
        return 0
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"qualified_until must be a day such as 2027-06-30, is {text!r}") from None
    return int(datetime.combine(day, time.max, UTC).timestamp() * 1000)


def _text(field: str, told: Row) -> str:
    return _plain_text(_told(field, told))


def _told(field: str, told: Row) -> Any:
    return next((told[name] for name in COLUMNS[field] if name in told), None)


def _plain_text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
