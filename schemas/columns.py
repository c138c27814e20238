"""Columns on the wire: numpy arrays as packed little-endian bytes, strings as UTF-8 with ends.

Row frames (rows.v1) and checkpoints share this form.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.records import Column

UTF8 = "utf8"


def pack(columns: Mapping[str, npt.NDArray[np.generic]]) -> tuple[Column, ...]:
    """Pack columns of equal length n; an array of dtype object holds n strings."""
    return tuple(_pack_one(name, values) for name, values in columns.items())


def unpack(columns: Sequence[Column]) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays that were packed; strings come back as object arrays."""
    return {column.name: _unpack_one(column) for column in columns}


def _pack_one(name: str, values: npt.NDArray[np.generic]) -> Column:
    if values.dtype == object:
        items = values.tolist()
        joined = "".join(items)
        lengths = map(len, items) if joined.isascii() else (len(text.encode()) for text in items)
        ends = np.cumsum(np.fromiter(lengths, np.int64, len(items)), dtype="<u4")
        return Column(name=name, dtype=UTF8, values=joined.encode(), ends=ends.tobytes())
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return Column(name=name, dtype=little.dtype.str, values=little.tobytes())


def _unpack_one(column: Column) -> npt.NDArray[np.generic]:
    if column.dtype != UTF8:
        return np.frombuffer(column.values, dtype=np.dtype(column.dtype))
    ends = np.frombuffer(column.ends, dtype="<u4").tolist()
    starts = [0, *ends][:-1]
    texts = np.empty(len(ends), dtype=object)
    if not column.values:
        texts[:] = ""
    elif column.values.isascii():
        joined = column.values.decode()
        texts[:] = [joined[start:end] for start, end in zip(starts, ends, strict=True)]
    else:
        texts[:] = [column.values[start:end].decode() for start, end in zip(starts, ends, strict=True)]
    return texts
