"""Reading back: counts and offsets for the independent accounting, and small queries for the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import UsageError
from schemas.tables import TABLES
from sinks.clickhouse.connection import connect, errors_of, is_somebodys


@dataclass(frozen=True, slots=True)
class StoredOffsets:
    """Source partition int32 (n,) and offset int64 (n,) of every stored row, sorted; a row each, so they may repeat.

    index: int64 (n,), the row within a frame of positions; -1 = the whole record, as in every table without such rows.
    """

    partition: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query returned: the names of its columns and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(
    url: str,
    database: str,
    sql: str,
    parameters: Mapping[str, str | int | float | datetime | tuple[str, ...]] | None = None,
) -> Answer:
    """Run one SELECT, with %(name)s for parameters; times are aware datetimes in UTC.

    Raises UsageError for a query, database or login the server refuses, Retryable when it does not answer now.
    """
    with errors_of(url, UsageError, is_somebodys), connect(url, database) as client:
        rows, columns = client.execute(
            sql, dict(parameters) if parameters else None, with_column_types=True, settings={"readonly": 2}
        )
    return Answer(tuple(name for name, _ in columns), tuple(rows))


def count_rows(url: str, database: str) -> dict[str, int]:
    """Return how many rows every table that frames fill holds. Raises what `query` raises."""
    counts = " UNION ALL ".join(f"SELECT '{name}', count() FROM {name}" for name in TABLES)  # noqa: S608
    held = {name: int(count) for name, count in query(url, database, counts).rows}
    return {name: held[name] for name in TABLES}


def stored_offsets(url: str, database: str, table: str, source_topic: str) -> StoredOffsets:
    """Return the source offsets of the rows a table holds from one topic. Raises what `query` raises."""
    if table not in TABLES:
        raise UsageError(f"there is no table {table!r}; tables: {', '.join(TABLES)}")
    index = "source_index" if any(one.name == "source_index" for one in TABLES[table].columns) else "toInt32(-1)"
    told = f"source_partition, source_offset, {index} AS place"
    with errors_of(url, UsageError, is_somebodys), connect(url, database) as client:
        columns = client.execute(
            f"SELECT {told} FROM {table} WHERE source_topic = %(topic)s ORDER BY ALL",  # noqa: S608
            {"topic": source_topic},
            columnar=True,
            settings={"use_numpy": True},
        )
    if not columns:
        return StoredOffsets(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))
    partition, offset, place = columns
    return StoredOffsets(np.asarray(partition, np.int32), np.asarray(offset, np.int64), np.asarray(place, np.int64))
