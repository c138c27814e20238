"""The writer: one row frame is one insert that carries the source offsets it covers as its deduplication token."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.columns import UTF8, unpack
from schemas.records import RowFrame
from schemas.tables import TABLES, Table
from sinks.clickhouse.connection import connect, errors_of, is_final, quoted_database
from sinks.clickhouse.ddl import SOURCE
from sinks.clickhouse.migrations import ADDED, Added
from sinks.contract import FrameRefused, WriteResult

LAST_MS: Final = 10_413_791_999_999
"""The end of the year 2299, the last that DateTime64 takes."""

SETTINGS: Final = {
    "async_insert": 0,  # an asynchronous insert would be answered before it is stored
    "deduplicate_insert": "enable",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_partitions_per_insert_block": 0,  # recorded input may hold more than 100 days in a frame
}
"""Sent with every insert, because a profile of the server may say otherwise."""

_ONE_BLOCK: Final = 1 << 40  # rows: a frame is never cut, because a token names one block

Columns = dict[str, npt.NDArray[Any]]

LATER: Final = frozenset((step.table, step.column) for step in ADDED if isinstance(step, Added))
"""Columns that a frame may lack: one that waited in Kafka while its worker was updated has none of them."""


class Writer:
    """Writes row frames into one database, from one thread; it connects again by itself after an error."""

    def __init__(self, url: str, database: str) -> None:
        """Take clickhouse://user:password@host:port and a database that `migrate` made. Raises UsageError."""
        self._url = url
        self._database = quoted_database(database)
        self._client = connect(url, database)

    def write(self, frame: RowFrame) -> WriteResult:
        """Store a frame; one that is stored already changes nothing.

        Raises FrameRefused for a frame that fits no table (a bug), Retryable for a server that is down, slow, hung or
        refusing for now.
        """
        table = TABLES.get(frame.table)
        if table is None:
            raise FrameRefused(f"{token_of(frame)}: there is no table {frame.table!r}; tables: {', '.join(TABLES)}")
        columns = _checked(frame, table)
        if frame.rows:
            with errors_of(self._url, FrameRefused, is_final):
                self._insert(frame, table, columns)
        return WriteResult(frame.table, frame.rows)

    def close(self) -> None:
        """Close the connection; a later write opens it again."""
        self._client.disconnect()

    def _insert(self, frame: RowFrame, table: Table, columns: Columns) -> None:
        names = ", ".join(columns)
        listed = any(column.dtype == "list" for column in table.columns)
        values = _as_lists(table, columns) if listed else list(columns.values())
        settings = {
            **SETTINGS,
            "insert_deduplication_token": token_of(frame),
            "insert_block_size": _ONE_BLOCK,
            "use_numpy": not listed,  # clickhouse-driver's numpy columns know no arrays
        }
        self._client.execute(
            f"INSERT INTO {self._database}.{table.name} ({names}) VALUES", values, columnar=True, settings=settings
        )


def token_of(frame: RowFrame) -> str:
    """Return the deduplication token: table, topic, partition, first and last source offset."""
    return f"{frame.table}/{frame.source_topic}/{frame.source_partition}/{frame.first_offset}/{frame.last_offset}"


def _checked(frame: RowFrame, table: Table) -> Columns:
    """Return the frame's columns, n values each, and those the sink adds. Raises FrameRefused with every mistake."""
    wanted = {column.name: UTF8 if column.dtype == "list" else column.dtype for column in table.columns}
    given = {column.name: column.dtype for column in frame.columns}
    wanted = {name: dtype for name, dtype in wanted.items() if name in given or (table.name, name) not in LATER}
    mistakes = [
        f"{name} is {given.get(name, 'absent')} instead of {wanted.get(name, 'absent')}"
        for name in sorted(wanted.keys() | given.keys())
        if wanted.get(name) != given.get(name)
    ]
    if len(given) != len(frame.columns):
        mistakes.append("a column comes twice")
    if mistakes:
        raise _refused(frame, mistakes)
    try:
        columns: Columns = unpack(frame.columns)
    except ValueError as error:  # UnicodeDecodeError is one
        raise _refused(frame, [str(error)]) from error
    mistakes = [
        f"{name} has {len(values)} values instead of {frame.rows}"
        for name, values in columns.items()
        if len(values) != frame.rows
    ]
    mistakes += [
        f"{column.name} leaves the years 1970 to 2299"
        for column in table.columns
        if column.name in columns and column.stored_as.startswith("DateTime64") and not _in_range(columns[column.name])
    ]
    if mistakes:
        raise _refused(frame, mistakes)
    topic, partition = SOURCE
    columns[topic.name] = np.full(frame.rows, frame.source_topic, dtype=object)
    columns[partition.name] = np.full(frame.rows, frame.source_partition, dtype=partition.dtype)
    return columns


def _in_range(at_ms: npt.NDArray[Any]) -> bool:
    return len(at_ms) == 0 or bool(at_ms.min() >= 0 and at_ms.max() <= LAST_MS)


def _refused(frame: RowFrame, mistakes: list[str]) -> FrameRefused:
    return FrameRefused(f"{token_of(frame)}: {'; '.join(mistakes)}")


def _as_lists(table: Table, columns: Columns) -> list[list[Any]]:
    lists = {column.name for column in table.columns if column.dtype == "list"}
    return [
        [text.split("\n") if text else [] for text in values] if name in lists else values.tolist()
        for name, values in columns.items()
    ]
