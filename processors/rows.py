"""Rows for ClickHouse: buffered per table, cut into frames that the log alone decides."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.batches import TextArray
from schemas.columns import Packable, pack
from schemas.dictionary import Dictionary, DictionaryArray, joined
from schemas.records import RowFrame
from schemas.tables import TABLES, Table, TableColumn

FRAME_BYTES: Final = 6_000_000
"""A frame with more packed bytes is split: the topic takes 16 MiB, and a stopped ticker makes long intervals."""

MOST_WORDS: Final = 16_384

TEXT_DTYPES: Final = ("utf8", "list")

NAMES: Final = {table: dict.fromkeys(column.name for column in TABLES[table].columns) for table in TABLES}

Columns = Mapping[str, Packable]


def texts(items: Sequence[str]) -> TextArray:
    """Return n strings as an object array (n,)."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


class OwnTexts:
    """Texts by the numbers of one dictionary, as long as that is small. What it keeps only saves time."""

    def __init__(self) -> None:
        """Know none."""
        self._words = Dictionary()

    def array(self, words: Sequence[bytes]) -> DictionaryArray:
        """Return n texts, UTF-8 that does not end in NUL."""
        if len(self._words) > MOST_WORDS:
            self._words = Dictionary()
        return DictionaryArray(self._words.numbers(words), self._words)


class RowBuffer:
    """Rows of one source partition that no frame carries yet.

    first_offset: the first source offset that the next frames cover.
    """

    def __init__(self, source_topic: str, source_partition: int, first_offset: int) -> None:
        self.rows = 0
        self.first_offset = first_offset
        self._source_topic = source_topic
        self._source_partition = source_partition
        self._pieces: dict[str, list[Columns]] = {name: [] for name in TABLES}

    def add(self, table: str, columns: Columns) -> None:
        """Buffer n rows: an array (n,) for every column of TABLES[table]; text by dictionary or as objects.

        Raises ValueError when the names differ from the table's.
        """
        names = NAMES[table]
        if columns.keys() != names.keys():
            raise ValueError(f"{table} wants the columns {list(names)}, not {sorted(columns)}")
        rows = len(columns["source_offset"])
        if rows:
            self._pieces[table].append({name: columns[name] for name in names})
            self.rows += rows

    def cut(self, tick_ms: int, last_offset: int) -> tuple[RowFrame, ...]:
        """Empty the buffer into frames that cover `first_offset` to `last_offset`, in the order of TABLES.

        One frame a table, or several with adjoining offset ranges where one would be too long to send.
        """
        frames: list[RowFrame] = []
        for name, pieces in self._pieces.items():
            if pieces:
                columns = _joined(TABLES[name], pieces)
                frames.extend(self._frames(name, columns, tick_ms, self.first_offset, last_offset))
                pieces.clear()
        self.rows = 0
        self.first_offset = last_offset + 1
        return tuple(frames)

    def _frames(self, table: str, columns: Columns, tick_ms: int, first: int, last: int) -> list[RowFrame]:
        packed = pack(columns)
        split = (
            _split_offset(columns)
            if sum(len(c.values) + len(c.ends) + len(c.dictionary) for c in packed) > FRAME_BYTES
            else None
        )
        if split is None:
            frame = RowFrame(
                tick_ms=tick_ms,
                first_offset=first,
                last_offset=last,
                source_partition=self._source_partition,
                rows=len(columns["source_offset"]),
                source_topic=self._source_topic,
                table=table,
                columns=packed,
            )
            return [frame]
        low = _offsets(columns) < split
        return [
            *self._frames(table, _taken(columns, low), tick_ms, first, split - 1),
            *self._frames(table, _taken(columns, ~low), tick_ms, split, last),
        ]


def _joined(table: Table, pieces: list[Columns]) -> Columns:
    return {column.name: _end_to_end(column, [piece[column.name] for piece in pieces]) for column in table.columns}


def _end_to_end(column: TableColumn, pieces: list[Packable]) -> Packable:
    by_dictionary = [piece for piece in pieces if isinstance(piece, DictionaryArray)]
    if len(by_dictionary) == len(pieces):
        return joined(by_dictionary)
    arrays = [piece.texts() if isinstance(piece, DictionaryArray) else piece for piece in pieces]
    dtype = object if column.dtype in TEXT_DTYPES else np.dtype(column.dtype)
    return np.concatenate(arrays).astype(dtype, copy=False)


def _split_offset(columns: Columns) -> int | None:
    """Return an offset with rows below and at or above it, near the middle; None when all rows share one offset."""
    offsets = np.sort(_offsets(columns))
    distinct = offsets[np.flatnonzero(np.diff(offsets)) + 1]
    if not len(distinct):
        return None
    return int(distinct[np.searchsorted(distinct, offsets[len(offsets) // 2]).clip(0, len(distinct) - 1)])


def _offsets(columns: Columns) -> npt.NDArray[np.int64]:
    return np.asarray(columns["source_offset"])


def _taken(columns: Columns, rows: npt.NDArray[np.bool_]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}
