"""Inserts of whole columns: a block of the native protocol made of a frame's own bytes.

clickhouse-driver keeps the connection, the settings and what the server answers. Its columns cost 2 us a row, because
they look at every value of a text; here numbers are sent as they came, and a text by dictionary once a word.
"""

import math
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from clickhouse_driver import Client, defines
from clickhouse_driver.block import BlockInfo
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.result import QueryInfo
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str, write_binary_uint8

from schemas.columns import coded, is_text
from schemas.dictionary import IndexArray
from schemas.records import Column
from schemas.tables import TableColumn
from sinks.contract import FrameRefused

LOW_CARDINALITY: Final = "LowCardinality(String)"
TEXTS: Final = ("utf8", "list")
TRUSTED_S: Final = 1.0
"""So soon after an insert began its connection is used again without asking the server whether it is still there."""
LAST_MS: Final = 10_413_791_999_999
"""The end of the year 2299, the last that DateTime64 takes."""

_VERSION: Final = (1).to_bytes(8, "little")
_KEYS_FOLLOW: Final = 1 << 9 | 1 << 10
"""A dictionary of the block's own comes with it, and replaces the one before."""

Piece = bytes | list[bytes]
"""Bytes as they are, or strings, each of which is sent behind its length."""


@dataclass(frozen=True, slots=True)
class NativeColumn:
    """One column of n rows, encoded: what is sent for it, piece by piece."""

    name: str
    stored_as: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """n rows of a table, column by column."""

    columns: tuple[NativeColumn, ...]
    rows: int


def encode(column: Column, stored: TableColumn, rows: int) -> NativeColumn:
    """Encode a frame's column of n rows as a table stores it. Raises ValueError that says what is wrong with it."""
    if stored.dtype not in TEXTS:
        return NativeColumn(stored.name, stored.stored_as, (_numbers(column, stored, rows),))
    if not is_text(column.dtype):
        raise ValueError(f"is {column.dtype} instead of a text")
    words, numbers = coded(column)
    _check_length(len(numbers), rows)
    if stored.stored_as == LOW_CARDINALITY:
        pieces = _low_cardinality(words, numbers)
    elif stored.dtype == "list":
        pieces = _lists(words, numbers)
    else:
        pieces = (np.array(words, dtype=object)[numbers].tolist(),)
    return NativeColumn(stored.name, stored.stored_as, pieces)


def constant(name: str, text: str, rows: int) -> NativeColumn:
    """Encode one text, of low cardinality, for n rows."""
    return NativeColumn(name, LOW_CARDINALITY, _low_cardinality([text.encode()], np.zeros(rows, np.uint8)))


def _numbers(column: Column, stored: TableColumn, rows: int) -> bytes:
    if column.dtype != stored.dtype:
        raise ValueError(f"is {column.dtype} instead of {stored.dtype}")
    values = np.frombuffer(column.values, stored.dtype)
    _check_length(len(values), rows)
    if stored.stored_as.startswith("DateTime64") and rows and (values.min() < 0 or values.max() > LAST_MS):
        raise ValueError("leaves the years 1970 to 2299")
    return column.values


def _check_length(length: int, rows: int) -> None:
    if length != rows:
        raise ValueError(f"has {length} values instead of {rows}")


def _low_cardinality(words: list[bytes], numbers: IndexArray) -> tuple[Piece, ...]:
    kind = {1: 0, 2: 1, 4: 2, 8: 3}[numbers.dtype.itemsize]
    return (
        _VERSION + (_KEYS_FOLLOW | kind).to_bytes(8, "little") + len(words).to_bytes(8, "little"),
        words,
        len(numbers).to_bytes(8, "little") + numbers.tobytes(),
    )


def _lists(words: list[bytes], numbers: IndexArray) -> tuple[Piece, ...]:
    lists = [word.split(b"\n") if word else [] for word in words]
    chosen = [lists[number] for number in numbers.tolist()]
    ends = np.cumsum([len(one) for one in chosen], dtype="<u8")
    return (ends.tobytes(), [item for one in chosen for item in one])


class BlockClient(Client):  # type: ignore[misc]  # clickhouse-driver has no types
    """clickhouse-driver's client, which can also insert a block of encoded columns."""

    _used_s = -math.inf

    def insert(self, table: str, block: Block, settings: dict[str, Any]) -> None:
        """Insert a block of at least one row. Raises the driver's errors, and FrameRefused for other types."""
        names = ", ".join(column.name for column in block.columns)
        self.execute(f"INSERT INTO {table} ({names}) VALUES", [block], settings=settings)

    def establish_connection(self, settings: dict[str, Any] | None) -> None:
        """Get the connection ready for a query: the driver pings before each, which takes as long as a small insert."""
        now_s = time.monotonic()
        if now_s - self._used_s < TRUSTED_S and self.connection.connected:
            self.make_query_settings(settings)
            self.connection.check_query_execution()
            self.last_query = QueryInfo()
        else:
            super().establish_connection(settings)
        self._used_s = now_s

    def send_data(self, sample_block: Any, data: Any, types_check: bool = False, columnar: bool = False) -> int:
        """Send the block and the empty one that ends it; `execute` calls this when the server asks for the rows."""
        (block,) = data
        given = [(column.name, column.stored_as) for column in block.columns]
        other = [
            f"{name} is {held} instead of {stored_as}"
            for (name, stored_as), (_, held) in zip(given, sample_block.columns_with_types, strict=True)
            if held != stored_as
        ]
        if other:
            raise FrameRefused(f"ClickHouse has other columns: {'; '.join(other)}")
        self._send(block)
        self._send(Block((), 0))
        return int(block.rows)

    def _send(self, block: Block) -> None:
        connection = self.connection
        revision = connection.server_info.used_revision
        write_varint(ClientPacketTypes.DATA, connection.fout)
        if revision >= defines.DBMS_MIN_REVISION_WITH_TEMPORARY_TABLES:
            write_binary_str("", connection.fout)
        stream = connection.block_out
        out = stream.fout  # compresses where the address says so
        if revision >= defines.DBMS_MIN_REVISION_WITH_BLOCK_INFO:
            BlockInfo().write(out)
        write_varint(len(block.columns), out)
        write_varint(block.rows, out)
        for column in block.columns:
            write_binary_str(column.name, out)
            write_binary_str(column.stored_as, out)
            if revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION:
                write_binary_uint8(0, out)
            for piece in column.pieces:
                out.write(piece) if isinstance(piece, bytes) else out.write_strings(piece)
        stream.finalize()
