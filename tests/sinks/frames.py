"""Small builders of row frames; every column of a table has a value that stands for unknown."""

from typing import Any

import numpy as np

from schemas.columns import Packable, pack
from schemas.dictionary import dictionary_array
from schemas.records import RowFrame
from schemas.tables import TABLES

TOPIC = "vehicle.positions.v1"
NOON_MS = 1_795_262_400_000
"""2026-11-21 12:00:00 UTC."""


def frame(
    table: str,
    rows: int,
    *,
    first_offset: int = 0,
    last_offset: int | None = None,
    partition: int = 0,
    topic: str = TOPIC,
    by_dictionary: bool = False,
    **columns: Any,
) -> RowFrame:
    """A frame of `rows` rows; columns not given are unknown, offsets count up from first_offset."""
    full: dict[str, Packable] = {
        name: dictionary_array(values) if by_dictionary and values.dtype == object else values
        for name, values in full_columns(table, rows, first_offset, columns).items()
    }
    return RowFrame(
        tick_ms=NOON_MS,
        first_offset=first_offset,
        last_offset=first_offset + rows if last_offset is None else last_offset,
        source_partition=partition,
        rows=rows,
        source_topic=topic,
        table=table,
        columns=pack(full),
    )


def full_columns(table: str, rows: int, first_offset: int, given: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """All columns of a table: those given, offsets that count up, noon, and empty, zero or NaN for the others."""
    made: dict[str, np.ndarray[Any, Any]] = {}
    for column in TABLES[table].columns:
        text = column.dtype in ("utf8", "list")
        dtype = np.dtype(object) if text else np.dtype(column.dtype)
        if column.name in given:
            values = np.empty(rows, dtype)
            values[:] = given[column.name]
        elif column.name == "source_offset":
            values = np.arange(first_offset, first_offset + rows, dtype=dtype)
        elif column.stored_as.startswith("DateTime64"):
            values = np.full(rows, NOON_MS, dtype)
        else:
            values = np.full(rows, "" if text else np.nan if dtype.kind == "f" else 0, dtype)
        made[column.name] = values
    return made
