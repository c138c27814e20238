"""The writer: one row frame is one insert that carries the source offsets it covers as its deduplication token."""

from typing import Final

import numpy as np

from schemas.records import RowFrame
from schemas.tables import TABLES, Table
from sinks.clickhouse.connection import connect, errors_of, is_final, quoted_database
from sinks.clickhouse.ddl import SOURCE
from sinks.clickhouse.migrations import ADDED, Added
from sinks.clickhouse.native import Block, BlockClient, NativeColumn, constant, encode
from sinks.contract import FrameRefused, WriteResult

SETTINGS: Final = {
    "async_insert": 0,  # an asynchronous insert would be answered before it is stored
    "deduplicate_insert": "enable",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "send_profile_events": 0,  # they cost more to read than an insert to send
    "max_partitions_per_insert_block": 0,  # recorded input may hold more than 100 days in a frame
}
"""Sent with every insert, because a profile of the server may say otherwise."""

LATER: Final = frozenset((step.table, step.column) for step in ADDED if isinstance(step, Added))
"""Columns that a frame may lack: one that waited in Kafka while its worker was updated has none of them."""


class Writer:
    """Writes row frames into one database, from one thread; it connects again by itself after an error."""

    def __init__(self, url: str, database: str) -> None:
        """Take clickhouse://user:password@host:port and a database that `migrate` made. Raises UsageError."""
        self._url = url
        self._database = quoted_database(database)
        self._client = connect(url, database, BlockClient)

    def write(self, frame: RowFrame) -> WriteResult:
        """Store a frame; one that is stored already changes nothing.

        Raises FrameRefused for a frame that fits no table (a bug), Retryable for a server that is down, slow, hung or
        refusing for now.
        """
        table = TABLES.get(frame.table)
        if table is None:
            raise FrameRefused(f"{token_of(frame)}: there is no table {frame.table!r}; tables: {', '.join(TABLES)}")
        columns = _encoded(frame, table)
        if frame.rows:
            with errors_of(self._url, FrameRefused, is_final):
                self._insert(frame, table, columns)
        return WriteResult(frame.table, frame.rows)

    def close(self) -> None:
        """Close the connection; a later write opens it again."""
        self._client.disconnect()

    def _insert(self, frame: RowFrame, table: Table, columns: tuple[NativeColumn, ...]) -> None:
        settings = {**SETTINGS, "insert_deduplication_token": token_of(frame)}
        self._client.insert(f"{self._database}.{table.name}", Block(columns, frame.rows), settings)


def token_of(frame: RowFrame) -> str:
    """Return the deduplication token: table, topic, partition, first and last source offset."""
    return f"{frame.table}/{frame.source_topic}/{frame.source_partition}/{frame.first_offset}/{frame.last_offset}"


def _encoded(frame: RowFrame, table: Table) -> tuple[NativeColumn, ...]:
    """Return the frame's columns, n values each, and those the sink adds. Raises FrameRefused with every mistake."""
    wanted = {column.name: column for column in table.columns}
    given = {column.name: column for column in frame.columns}
    mistakes = ["a column comes twice"] if len(given) != len(frame.columns) else []
    mistakes += [f"{name} is absent" for name in wanted if name not in given and (table.name, name) not in LATER]
    mistakes += [f"there is no column {name}" for name in given if name not in wanted]
    columns = []
    for name, column in given.items():
        if name in wanted:
            try:
                columns.append(encode(column, wanted[name], frame.rows))
            except ValueError as error:  # UnicodeDecodeError is one
                mistakes.append(f"{name} {error}")
    if mistakes:
        raise FrameRefused(f"{token_of(frame)}: {'; '.join(mistakes)}")
    topic, partition = SOURCE
    numbers = np.full(frame.rows, frame.source_partition, partition.dtype)
    return (
        *columns,
        constant(topic.name, frame.source_topic, frame.rows),
        NativeColumn(partition.name, partition.stored_as, (numbers.tobytes(),)),
    )
