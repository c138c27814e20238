"""Columns on the wire: numpy arrays as packed little-endian bytes, strings as UTF-8 with ends or by dictionary.

Row frames (rows.v1) and checkpoints share this form. A dictionary column has a dtype of two parts, such as "<u2:|S16":
the numbers in `values` are of the first, the words they stand for in `dictionary` of the second, padded with NUL.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.dictionary import Dictionary, DictionaryArray, IndexArray
from schemas.records import Column

UTF8 = "utf8"

_BY_DICTIONARY = re.compile(r"(\|u1|<u[248]):\|S[1-9][0-9]*")

Packable = npt.NDArray[np.generic] | DictionaryArray


def pack(columns: Mapping[str, Packable]) -> tuple[Column, ...]:
    """Pack columns of equal length n; an array of dtype object holds n strings."""
    return tuple(_pack_one(name, values) for name, values in columns.items())


def unpack(columns: Sequence[Column]) -> dict[str, Any]:
    """Return the arrays that were packed; strings come back as they were sent, as objects or by dictionary."""
    return {column.name: _unpack_one(column) for column in columns}


def coded(column: Column) -> tuple[list[bytes], IndexArray]:
    """Return a text column as m distinct words, UTF-8, and the number (n,) of each text's word, unsigned.

    Raises ValueError for a column that is damaged.
    """
    if column.dtype == UTF8:
        number: dict[str, int] = {}
        numbers = [number.setdefault(text, len(number)) for text in _unpack_one(column).tolist()]
        return [word.encode() for word in number], np.array(numbers, np.min_scalar_type(max(len(number) - 1, 0)))
    if not _BY_DICTIONARY.fullmatch(column.dtype):
        raise ValueError(f"is {column.dtype}, which is no text")
    numbers_dtype, _, words_dtype = column.dtype.partition(":")
    words: list[bytes] = np.frombuffer(column.dictionary, np.dtype(words_dtype)).tolist()
    if not column.dictionary.isascii():
        for word in words:
            word.decode()
    coded_as = np.frombuffer(column.values, np.dtype(numbers_dtype))
    if len(coded_as) and coded_as.max() >= len(words):
        raise ValueError(f"has a word {coded_as.max()} in a dictionary of {len(words)}")
    return words, coded_as


def is_text(dtype: str) -> bool:
    """Tell whether a column's dtype on the wire is one of those that hold texts."""
    return dtype == UTF8 or ":" in dtype


def _pack_one(name: str, values: Packable) -> Column:
    if isinstance(values, DictionaryArray):
        numbers, words = values.compact()
        little = _little(numbers)
        dtype = f"{little.dtype.str}:{words.dtype.str}"
        return Column(name=name, dtype=dtype, values=little.tobytes(), dictionary=words.tobytes())
    if values.dtype == object:
        items = values.tolist()
        joined = "".join(items)
        lengths = map(len, items) if joined.isascii() else (len(text.encode()) for text in items)
        ends = np.cumsum(np.fromiter(lengths, np.int64, len(items)), dtype="<u4")
        return Column(name=name, dtype=UTF8, values=joined.encode(), ends=ends.tobytes())
    little = _little(values)
    return Column(name=name, dtype=little.dtype.str, values=little.tobytes())


def _little(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers as they stand on the wire; the same array where they already do."""
    if sys.byteorder == "little" and values.dtype.isnative:
        return values
    return values.astype(values.dtype.newbyteorder("<"))


def _unpack_one(column: Column) -> Packable:
    if ":" in column.dtype:
        numbers, _, words = column.dtype.partition(":")
        dictionary = Dictionary.of_distinct(np.frombuffer(column.dictionary, dtype=np.dtype(words)))
        return DictionaryArray(np.frombuffer(column.values, dtype=np.dtype(numbers)), dictionary)
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
