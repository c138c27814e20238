"""How a frame's columns are written: each in its own type or in a narrower one, told apart by the bytes of a row.

docs/frames.md describes the bytes. What a narrow column says is exact: a number n stands for n / per_unit, divided as
doubles and rounded to the column's own type, and a column is only made narrow where that gives the same value again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import IntArray

Values = npt.NDArray[Any]

DTYPES: Final = {
    "at_ms": "<i8",
    "latitude_deg": "<f8",
    "longitude_deg": "<f8",
    "speed_mps": "<f4",
    "bearing_deg": "<f4",
    "vehicle_class": "u1",
    "vehicle_index": "<u4",
    "line_index": "<i4",
    "direction_id": "i1",
    "accuracy_m": "<f4",
    "ignition": "u1",
    "door": "u1",
    "sos": "u1",
    "trip_index": "<i4",
    "operator_index": "<i4",
}
"""Column of a frame -> its own type, little-endian."""

UNKNOWN: Final = {
    "direction_id": -1, "accuracy_m": np.nan, "ignition": 0, "door": 0, "sos": 0,
    "trip_index": -1, "operator_index": -1,
}  # fmt: skip
"""Column that may be left empty -> what all its values are then."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to write a column: numbers of a type.

    per_unit: a number n stands for n / per_unit; 0 = for itself.
    unknown: the number that stands for NaN; -1 = there is none.
    """

    dtype: str
    per_unit: float = 0.0
    unknown: int = -1

    def read(self, content: bytes, own: npt.DTypeLike) -> Values:
        """Return the values (n,) in the column's own type."""
        numbers = np.frombuffer(content, self.dtype)
        if not self.per_unit:
            return numbers.astype(own, copy=False)
        values = (numbers / self.per_unit).astype(own, copy=False)
        if self.unknown >= 0:
            values[numbers == self.unknown] = np.nan
        return values

    def write(self, values: Values) -> bytes | None:
        """Return values (n,) of the column's own type; None = not all of them can be said so."""
        if not self.per_unit:
            numbers = values.astype(self.dtype)
            return numbers.tobytes() if numbers.dtype == values.dtype or (numbers == values).all() else None
        unknown = np.isnan(values) & (self.unknown >= 0)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.where(unknown, self.unknown, np.rint(values.astype(np.float64) * self.per_unit))
        ends = np.iinfo(self.dtype)
        if not ((rounded >= ends.min) & (rounded <= ends.max)).all():
            return None
        content = rounded.astype(self.dtype).tobytes()
        bits = f"u{values.itemsize}"
        again = self.read(content, values.dtype)
        return content if ((again.view(bits) == values.view(bits)) | unknown).all() else None


_E7: Final = (Layout("<i4", 1e7),)
_SIGNED: Final = (Layout("i1"), Layout("<i2"))
_NARROWER: Final[dict[str, tuple[Layout, ...]]] = {
    "at_ms": (Layout("<u2"), Layout("<u4")),
    "latitude_deg": _E7,
    "longitude_deg": _E7,
    "speed_mps": (Layout("<u2", 1000.0, 65_535),),
    "bearing_deg": (Layout("<u2", 100.0, 65_535),),
    "accuracy_m": (Layout("<u2", 100.0, 65_535),),
    "vehicle_index": (Layout("u1"), Layout("<u2")),
    "line_index": _SIGNED,
    "trip_index": _SIGNED,
    "operator_index": _SIGNED,
}

LAYOUTS: Final = {
    name: {np.dtype(layout.dtype).itemsize: layout for layout in (*_NARROWER.get(name, ()), Layout(own))}
    for name, own in DTYPES.items()
}
"""Column -> bytes of a row -> how it is written, the narrowest first. Times count from the frame's base_ms."""

_NATIVE: Final = {name: np.dtype(own).newbyteorder("=") for name, own in DTYPES.items()}


def widths_of(name: str) -> tuple[int, ...]:
    """Return how many bytes a row may have in a column; 0 = it may be left empty."""
    return (*((0,) if name in UNKNOWN else ()), *LAYOUTS[name])


def written(name: str, values: Values) -> bytes:
    """Return a column of values of its own type as narrow as they allow; empty where it may be and says nothing."""
    if name in UNKNOWN and bool(np.array_equal(values, np.full_like(values, UNKNOWN[name]), equal_nan=True)):
        return b""
    return next(content for layout in LAYOUTS[name].values() if (content := layout.write(values)) is not None)


def read(name: str, contents: Sequence[bytes], rows: Sequence[int], base_ms: Sequence[int]) -> Values:
    """Return one column of well-formed frames end to end, in its own type; all of each frame: bytes, rows and base."""
    widths = {len(content) // count for content, count in zip(contents, rows, strict=True)}
    if len(widths) == 1 and widths != {0}:
        values = LAYOUTS[name][widths.pop()].read(b"".join(contents), _NATIVE[name])
    else:
        pieces = [_one(name, content, count) for content, count in zip(contents, rows, strict=True)]
        values = np.concatenate(pieces) if pieces else np.zeros(0, _NATIVE[name])
    if name == "at_ms" and any(base_ms):
        values = values + np.repeat(_int64(base_ms), rows)
    return values


def _one(name: str, content: bytes, rows: int) -> Values:
    if not content:
        return np.full(rows, UNKNOWN[name], _NATIVE[name])
    return LAYOUTS[name][len(content) // rows].read(content, _NATIVE[name])


def _int64(numbers: Sequence[int]) -> IntArray:
    return np.array(numbers, np.int64)
