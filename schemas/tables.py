"""The only list of ClickHouse tables that row frames fill: columns, how they travel and how they are stored.

A frame carries the columns below; the sink adds source_topic and source_partition, which are constant in a frame.
A list of strings travels as one text joined by newlines.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: numpy dtype in a frame ('utf8' and 'list' = text) and ClickHouse type.

    default: what rows have that were made before the column was; None = ClickHouse's own, 0 or empty.
    """

    name: str
    dtype: str
    stored_as: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns, its sorting key, the time column that cuts it into days, and whether old days go."""

    name: str
    columns: tuple[TableColumn, ...]
    order_by: tuple[str, ...]
    time_column: str
    ages: bool = True


_TIME: Final = "DateTime64(3, 'UTC')"
_LOW: Final = "LowCardinality(String)"


def _columns(*columns: tuple[str, ...]) -> tuple[TableColumn, ...]:
    offset = TableColumn("source_offset", "<i8", "Int64")
    return (offset, *(TableColumn(*column) for column in columns))


_INDEX: Final = ("source_index", "<i4", "Int32")
"""Row within a frame of the source topic; 0 = a record of its own."""

_PLACE: Final = (
    ("latitude_deg", "<f8", "Float64"),
    ("longitude_deg", "<f8", "Float64"),
    ("unit_code", "utf8", _LOW),
)

POSITIONS: Final = Table(
    "positions",
    _columns(
        _INDEX,
        ("at_ms", "<i8", _TIME),
        ("vehicle_id", "utf8", "String"),
        ("vehicle_class", "utf8", _LOW),
        *_PLACE,
        ("speed_mm_s", "<i4", "Int32"),  # -1 = unknown
        ("bearing_deg", "<f4", "Float32"),  # NaN = unknown
        ("line_id", "utf8", _LOW),  # as the device told it
        ("trip_id", "utf8", "String"),
        ("matched_line_id", "utf8", _LOW),  # the nearest line found by its place
        ("direction_id", "|i1", "Int8"),
        ("line_offset_m", "<f4", "Float32"),
        ("cross_track_m", "<f4", "Float32"),
        ("stop_id", "utf8", _LOW),
        ("cell", "<u8", "UInt64"),  # H3, resolution 9
    ),
    ("vehicle_id", "at_ms"),
    "at_ms",
)
DETECTIONS: Final = Table(
    "detections",
    _columns(
        ("at_ms", "<i8", _TIME),
        ("camera_id", "utf8", "String"),
        ("kind", "utf8", _LOW),
        ("track_id", "utf8", "String"),
        ("object_class", "utf8", _LOW),
        ("confidence", "<f4", "Float32"),
        *_PLACE,
        ("model_version", "utf8", _LOW),
        ("snapshot_url", "utf8", "String"),
        ("clip_url", "utf8", "String"),
    ),
    ("camera_id", "at_ms"),
    "at_ms",
)
READINGS: Final = Table(
    "readings",
    _columns(
        ("at_ms", "<i8", _TIME),
        ("sensor_id", "utf8", "String"),
        ("quantity", "utf8", _LOW),
        ("measure_unit", "utf8", _LOW),
        ("value", "<f8", "Float64"),
        *_PLACE,
        ("host_camera_id", "utf8", "String"),
    ),
    ("quantity", "sensor_id", "at_ms"),
    "at_ms",
)
HEARTBEATS: Final = Table(
    "heartbeats",
    _columns(("at_ms", "<i8", _TIME), ("device_id", "utf8", "String"), ("firmware_version", "utf8", _LOW)),
    ("device_id", "at_ms"),
    "at_ms",
)
DUPLICATES: Final = Table(
    "duplicates",
    _columns(_INDEX, ("at_ms", "<i8", _TIME), ("tick_ms", "<i8", _TIME), ("device_id", "utf8", "String")),
    ("source_topic", "source_partition", "source_offset"),
    "tick_ms",
)
FORWARDED: Final = Table(
    "forwarded",
    _columns(("tick_ms", "<i8", _TIME), ("device_id", "utf8", "String"), ("to_partition", "<i4", "Int32")),
    ("source_topic", "source_partition", "source_offset"),
    "tick_ms",
)
REJECTED: Final = Table(
    "rejected",
    _columns(
        (*_INDEX, "-1"),  # -1 = the whole record
        ("tick_ms", "<i8", _TIME),
        ("reason", "utf8", _LOW),
        ("errors", "list", "Array(String)"),
    ),
    ("reason", "tick_ms"),
    "tick_ms",
)
OBSERVATIONS: Final = Table(
    "observations",
    _columns(
        ("at_ms", "<i8", _TIME),
        ("tick_ms", "<i8", _TIME),
        ("observation_id", "utf8", "String"),
        ("kind", "utf8", _LOW),
        ("score", "<f4", "Float32"),
        ("withdrawn", "|u1", "UInt8"),
        *_PLACE,
        ("device_id", "utf8", "String"),
        ("witness_id", "utf8", "String"),
        ("line_id", "utf8", _LOW),
        ("direction_id", "|i1", "Int8", "-1"),  # -1 = none
        ("value", "<f8", "Float64"),  # in the unit that docs/observations.md gives for the kind
        ("subject", "utf8", "String"),
    ),
    ("kind", "at_ms"),
    "at_ms",
)
INCIDENT_LOG: Final = Table(
    "incident_log",
    _columns(
        ("tick_ms", "<i8", _TIME),
        ("incident_id", "utf8", "String"),
        ("revision", "<i4", "Int32"),
        ("change", "utf8", _LOW),
        ("kind", "utf8", _LOW),
        ("state", "utf8", _LOW),
        ("severity", "utf8", _LOW),
        ("provisional", "|u1", "UInt8"),
        ("opened_at_ms", "<i8", _TIME),
        ("last_evidence_at_ms", "<i8", _TIME),
        *_PLACE,
        ("unit_name", "utf8", _LOW),
        ("place", "utf8", "String"),
        ("score", "<f4", "Float32"),
        ("witnesses", "<i4", "Int32"),
        ("line_ids", "list", "Array(String)"),
        ("stop_ids", "list", "Array(String)"),
        ("evidence_ids", "list", "Array(String)"),
        ("evidence_kinds", "list", "Array(String)"),
        ("replaces", "list", "Array(String)"),
        ("merged_into", "utf8", "String"),
        ("reasons", "list", "Array(String)"),
        ("rule_id", "utf8", _LOW),
        ("rules_version", "utf8", _LOW),
        ("exercise", "|u1", "UInt8"),
        ("decision", "utf8", _LOW),  # CONFIRM or DISMISS, an operator's last word; empty = none
        ("decided_by", "utf8", "String"),
        ("acknowledged_by", "utf8", "String"),
        ("action_ids", "list", "Array(String)"),
        ("assigned_to", "utf8", "String"),
    ),
    ("incident_id", "revision"),
    "tick_ms",
)

DEVICE_LOG: Final = Table(
    "device_log",
    _columns(
        ("tick_ms", "<i8", _TIME),
        ("registered_at_ms", "<i8", _TIME),
        ("content_hash", "<u8", "UInt64"),  # decides between two of one moment
        ("device_id", "utf8", "String"),
        ("kind", "utf8", _LOW),
        ("retired", "|u1", "UInt8"),
        *_PLACE,
        ("name", "utf8", "String"),
        ("owner", "utf8", _LOW),
        ("host_camera_id", "utf8", "String"),
        ("vehicle_class", "utf8", _LOW),
        ("line_id", "utf8", _LOW),
        ("operator_id", "utf8", _LOW),
        ("quantities", "list", "Array(String)"),
    ),
    ("device_id", "registered_at_ms"),
    "tick_ms",
    ages=False,
)

ACTIONS: Final = Table(
    "actions",
    _columns(
        ("at_ms", "<i8", _TIME),
        ("action_id", "utf8", "String"),
        ("incident_id", "utf8", "String"),
        ("decision", "utf8", _LOW),
        ("operator", "utf8", "String"),
        ("note", "utf8", "String"),
        ("assignee", "utf8", "String"),
    ),
    ("incident_id", "at_ms"),
    "at_ms",
)

TABLES: Final = {
    table.name: table
    for table in (
        POSITIONS,
        DETECTIONS,
        READINGS,
        HEARTBEATS,
        DUPLICATES,
        FORWARDED,
        REJECTED,
        OBSERVATIONS,
        INCIDENT_LOG,
        DEVICE_LOG,
        ACTIONS,
    )
}
