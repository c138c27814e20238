# ruff: noqa: S608 (statements are made of names from schemas/tables.py, never of input)
"""The statements that make the tables, derived from schemas/tables.py; docs/clickhouse.md describes the result.

A plain MergeTree recognises a repeated block by its token within `non_replicated_deduplication_window`, and so does
every target of a view: without a window of its own a target counts a resent block twice.
"""

from collections.abc import Iterable
from typing import Final

from schemas.ids import EXERCISE
from schemas.tables import DEVICE_LOG, INCIDENT_LOG, OBSERVATIONS, POSITIONS, TABLES, Table, TableColumn

WINDOW: Final = 10_000
"""Tokens a table remembers: over an hour of blocks of four partitions, and a restart repeats seconds."""

MINUTES: Final = "minute_aggregates"
STATES: Final = "incident_states"
TO_MINUTES: Final = "positions_to_minutes"
TO_STATES: Final = "incident_log_to_states"

SOURCE: Final = (
    TableColumn("source_topic", "utf8", "LowCardinality(String)"),
    TableColumn("source_partition", "<i4", "Int32"),
)
"""What the sink adds to a frame's columns."""

AGED: Final = {
    **{table.name: table.time_column for table in TABLES.values() if table.ages},
    MINUTES: "minute",
    STATES: INCIDENT_LOG.time_column,
}
"""Every table whose rows are forgotten -> the column that ages them."""

_DAILY: Final = f"SETTINGS non_replicated_deduplication_window = {WINDOW}, ttl_only_drop_parts = 1"
_QUANTILES: Final = "quantilesDDIf(0.01, 0.5, 0.85, 0.95)"  # a t-digest would depend on the order of the frames
_STATE: Final = _QUANTILES.replace("If(", "IfState(")
_MERGED: Final = f"{_QUANTILES.replace('If(', 'IfMerge(')}(a.speed_quantiles_mm_s)"

_MINUTES_TABLE: Final = f"""
CREATE TABLE IF NOT EXISTS {MINUTES} (
    dimension LowCardinality(String),
    key String,
    minute DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    positions SimpleAggregateFunction(sum, UInt64),
    vehicles AggregateFunction(uniqExact, String),
    speeds SimpleAggregateFunction(sum, UInt64),
    speed_sum_mm_s SimpleAggregateFunction(sum, Int64),
    speed_min_mm_s SimpleAggregateFunction(min, Nullable(Int32)),
    speed_max_mm_s SimpleAggregateFunction(max, Nullable(Int32)),
    speed_quantiles_mm_s AggregateFunction({_QUANTILES}, Int32, UInt8)
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(minute)
ORDER BY (dimension, key, minute)
{_DAILY}"""

# toStartOfMinute gives a DateTime, which ends in 2106: minutes are cut from the milliseconds instead.
_MINUTES_QUERY: Final = f"""
SELECT
    dimension,
    key,
    minute,
    count() AS positions,
    uniqExactState(vehicle_id) AS vehicles,
    countIf(speed_mm_s >= 0) AS speeds,
    sumIf(toInt64(speed_mm_s), speed_mm_s >= 0) AS speed_sum_mm_s,
    min(known_mm_s) AS speed_min_mm_s,
    max(known_mm_s) AS speed_max_mm_s,
    {_STATE}(speed_mm_s, speed_mm_s >= 0) AS speed_quantiles_mm_s
FROM (
    SELECT
        vehicle_id,
        speed_mm_s,
        if(speed_mm_s >= 0, speed_mm_s, NULL) AS known_mm_s,
        fromUnixTimestamp64Milli(intDiv(toUnixTimestamp64Milli(at_ms), 60000) * 60000, 'UTC') AS minute,
        ['line', 'unit', 'cell'] AS dimensions,
        [
            toString(line_id),
            toString(unit_code),
            if(cell = 0, '', trim(LEADING '0' FROM lower(hex(cell))))
        ] AS keys
    FROM {POSITIONS.name}
)
ARRAY JOIN dimensions AS dimension, keys AS key
WHERE key != ''
GROUP BY dimension, key, minute"""

_MINUTES_VIEW: Final = f"""
CREATE VIEW IF NOT EXISTS minutes AS
SELECT
    dimension,
    key,
    minute,
    sum(a.positions) AS positions,
    uniqExactMerge(a.vehicles) AS vehicles,
    sum(a.speeds) AS speeds,
    sum(a.speed_sum_mm_s) AS speed_sum_mm_s,
    if(speeds = 0, NULL, speed_sum_mm_s / speeds / 1000) AS speed_mean_mps,
    min(a.speed_min_mm_s) / 1000 AS speed_min_mps,
    max(a.speed_max_mm_s) / 1000 AS speed_max_mps,
    if(speeds = 0, NULL, {_MERGED}[1] / 1000) AS speed_p50_mps,
    if(speeds = 0, NULL, {_MERGED}[2] / 1000) AS speed_p85_mps,
    if(speeds = 0, NULL, {_MERGED}[3] / 1000) AS speed_p95_mps
FROM {MINUTES} AS a
GROUP BY dimension, key, minute"""

_VEHICLES_VIEW: Final = f"""
CREATE VIEW IF NOT EXISTS vehicles AS
SELECT
    vehicle_id,
    argMax(p.vehicle_class, p.at_ms) AS vehicle_class,
    argMax(p.line_id, p.at_ms) AS line_id,
    min(p.at_ms) AS first_seen_at_ms,
    max(p.at_ms) AS last_seen_at_ms,
    count() AS positions
FROM {POSITIONS.name} AS p
GROUP BY vehicle_id"""


REAL_MINUTES: Final = (
    f"CREATE OR REPLACE MATERIALIZED VIEW {TO_MINUTES} TO {MINUTES} AS "
    + _MINUTES_QUERY.replace("\n)\nARRAY JOIN", f"\n    WHERE NOT startsWith(vehicle_id, '{EXERCISE}')\n)\nARRAY JOIN"),
)
"""Leaves vehicles that take part in an exercise out of the minutes.

Replaced in one step, not by ALTER ... MODIFY QUERY: after that a view gives its target other tokens until the server
restarts, so that a block resent across the restart would count twice (ClickHouse 26.9; the sink's contract tests it).
"""

_TOLD: Final = (
    "kind retired latitude_deg longitude_deg unit_code name owner host_camera_id vehicle_class line_id operator_id "
    "quantities"
)
_NEWEST: Final = ",\n    ".join(
    f"argMax(d.{name}, (d.registered_at_ms, d.content_hash)) AS {name}" for name in _TOLD.split()
)

DEVICES: Final = (
    f"""
CREATE VIEW IF NOT EXISTS devices AS
SELECT
    device_id,
    max(d.registered_at_ms) AS registered_at_ms,
    {_NEWEST}
FROM {DEVICE_LOG.name} AS d
GROUP BY device_id""",
)
"""The registry as it stands: of every device the registration that counts."""

PLACES_A_DEGREE: Final = 2_224
"""Squares of 50 m in a degree of latitude, and in one of longitude at the equator."""

REPEAT_PLACES: Final = (
    f"""
CREATE VIEW IF NOT EXISTS repeat_places AS
SELECT
    toMonday(i.opened_at_ms) AS week,
    i.kind AS kind,
    count() AS incidents,
    uniqExact(toDate(i.opened_at_ms)) AS days,
    avg(i.latitude_deg) AS latitude_deg,
    avg(i.longitude_deg) AS longitude_deg,
    argMax(i.place, i.opened_at_ms) AS place,
    argMax(i.unit_code, i.opened_at_ms) AS unit_code,
    min(i.opened_at_ms) AS first_opened_at_ms,
    max(i.opened_at_ms) AS last_opened_at_ms
FROM incidents AS i
WHERE i.exercise = 0 AND i.provisional = 0 AND i.state NOT IN ('DISMISSED', 'WITHDRAWN') AND i.decision != 'DISMISS'
GROUP BY
    week,
    kind,
    round(i.latitude_deg * {PLACES_A_DEGREE}),
    round(i.longitude_deg * {PLACES_A_DEGREE} * cos(radians(round(i.latitude_deg))))
HAVING incidents > 1""",
)
"""Where the same comes back within a week: squares of some 50 m with two incidents of a kind or more."""

LINE_HOURS: Final = (
    f"""
CREATE VIEW IF NOT EXISTS line_hours AS
SELECT
    toStartOfHour(o.at_ms - toIntervalMillisecond(o.kind = 'headway_adherence')) AS hour,
    o.line_id AS line_id,
    o.direction_id AS direction_id,
    sumIf(1 - 2 * o.withdrawn, o.kind = 'stop_passage') AS passages,
    sumIf(1 - 2 * o.withdrawn, o.kind = 'running_late') AS late,
    sumIf(1 - 2 * o.withdrawn, o.kind = 'bunched') AS bunched,
    sumIf(1 - 2 * o.withdrawn, o.kind = 'gap') AS gaps,
    if(passages > 0, 1 - late / passages, nan) AS on_time_share,
    sumIf(o.value * (1 - 2 * o.withdrawn), o.kind = 'headway_adherence')
        / sumIf(1 - 2 * o.withdrawn, o.kind = 'headway_adherence') AS headway_adherence
FROM {OBSERVATIONS.name} AS o
WHERE o.kind IN ('stop_passage', 'running_late', 'bunched', 'gap', 'headway_adherence')
    AND o.line_id != '' AND NOT startsWith(o.device_id, '{EXERCISE}')
GROUP BY hour, line_id, direction_id""",
)
"""Punctuality and headways of each line and direction by the hour; an adherence is of the hour before its time."""


def stored_columns(table: Table) -> tuple[TableColumn, ...]:
    """Return the columns of a table as ClickHouse has them: the frame's and what the sink adds."""
    return (*SOURCE, *table.columns)


def create_tables(left_out: Iterable[tuple[str, str]] = (), without: Iterable[str] = ()) -> tuple[str, ...]:
    """Return every statement of an empty database, in order, without some columns (table, column) and tables."""
    absent, later = frozenset(left_out), frozenset(without)
    return (
        *(_create_table(table, _present(table, absent)) for name, table in TABLES.items() if name not in later),
        _create_states(_present(INCIDENT_LOG, absent)),
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {TO_STATES} TO {STATES} AS {_states_query(absent)}",
        f"CREATE VIEW IF NOT EXISTS incidents AS {_incidents_query(absent)}",
        _MINUTES_TABLE,
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {TO_MINUTES} TO {MINUTES} AS {_MINUTES_QUERY}",
        _MINUTES_VIEW,
        _VEHICLES_VIEW,
    )


def add_table(table: Table, left_out: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """Return the statement that adds one table of schemas/tables.py, without the columns left out."""
    return (_create_table(table, _present(table, frozenset(left_out))),)


def add_column(table: Table, name: str, left_out: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
    """Return the statements that add one column of schemas/tables.py, without those left out, to tables and views."""
    absent = frozenset(left_out)
    column = next(column for column in table.columns if column.name == name)
    added = f"ADD COLUMN IF NOT EXISTS {_column(column)}"
    if table is not INCIDENT_LOG:
        return (f"ALTER TABLE {table.name} {added}",)
    return (
        f"ALTER TABLE {STATES} {added}",
        f"ALTER TABLE {table.name} {added}",
        f"ALTER TABLE {TO_STATES} MODIFY QUERY {_states_query(absent)}",
        f"CREATE OR REPLACE VIEW incidents AS {_incidents_query(absent)}",
    )


def age(table: str, ttl_days: int | None) -> str:
    """Return the statement that makes a table forget rows after so many days, or never."""
    if ttl_days is None:
        return f"ALTER TABLE {table} REMOVE TTL"
    return f"ALTER TABLE {table} MODIFY TTL {ttl_of(table, ttl_days)}"


def ttl_of(table: str, ttl_days: int) -> str:
    """Return the TTL expression of a table, as ClickHouse prints it back."""
    return f"toDateTime({AGED[table]}) + toIntervalDay({ttl_days})"


def _present(table: Table, absent: frozenset[tuple[str, str]]) -> tuple[TableColumn, ...]:
    return tuple(column for column in stored_columns(table) if (table.name, column.name) not in absent)


def _column(column: TableColumn) -> str:
    rising = column.stored_as.startswith("DateTime64") or column.name == "source_offset"
    default = "" if column.default is None else f" DEFAULT {column.default}"
    return f"{column.name} {column.stored_as}{default}{' CODEC(Delta, ZSTD)' if rising else ''}"


def _create_table(table: Table, columns: tuple[TableColumn, ...]) -> str:
    body = ",\n    ".join(_column(column) for column in columns)
    return f"""
CREATE TABLE IF NOT EXISTS {table.name} (
    {body}
) ENGINE = MergeTree
PARTITION BY toYYYYMMDD({table.time_column})
ORDER BY ({", ".join(table.order_by)})
{_DAILY}"""


def _create_states(columns: tuple[TableColumn, ...]) -> str:
    # Not partitioned: the revisions of an incident replace each other within a partition only.
    body = ",\n    ".join(_column(column) for column in columns)
    return f"""
CREATE TABLE IF NOT EXISTS {STATES} (
    {body}
) ENGINE = ReplacingMergeTree(revision)
ORDER BY incident_id
SETTINGS non_replicated_deduplication_window = {WINDOW}"""


def _states_query(absent: frozenset[tuple[str, str]]) -> str:
    return f"SELECT {_names(absent)} FROM {INCIDENT_LOG.name}"


def _incidents_query(absent: frozenset[tuple[str, str]]) -> str:
    return f"SELECT {_names(absent)} FROM {STATES} FINAL"


def _names(absent: frozenset[tuple[str, str]]) -> str:
    return ", ".join(column.name for column in _present(INCIDENT_LOG, absent))
