"""Closed hours: the last day of every gauge, hour by hour, and what was last said of it."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from processors.watches.air_index import DAY_HOURS
from schemas import columns as wire
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import Column

PART_FORMAT: Final = 2
FEW_HOURS: Final = 3
"""From so many hours on, a gauge has a usual number of readings."""
FULL_HOUR: Final = 60
NO_HOUR: Final = -1

HOUR: Final = np.dtype(
    [
        ("hour", "<i4"),
        ("level_milli", "<i8"),
        ("covered", "u1"),
        ("valid", "u1"),
        ("constant", "u1"),
        ("quarters", "u1"),
    ]
)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a gauge; covered: minutes with a reading; valid: there are enough; constant: all were equal.

    quarters: bits 0 to 3 for those in which it varied, 4 to 7 for those in which it did not; neither with few readings.
    """

    hour: int
    level_milli: int
    covered: int
    valid: bool
    constant: bool
    quarters: int = 0


class Part(msgspec.Struct, frozen=True):
    """Hours that were closed together, on the wire."""

    format: int
    columns: tuple[Column, ...]


class ClosedHours:
    """The hours of the last day by gauge; a gauge is a number in `keys`, which belong to whoever holds this."""

    def __init__(self) -> None:
        self._ring = np.zeros((0, DAY_HOURS), HOUR)
        self._state = np.zeros(0, np.uint8)

    def make_room(self, keys: int) -> None:
        """Make room for so many gauges."""
        more = keys - len(self._ring)
        if more > 0:
            more += keys // 8
            empty = np.zeros((more, DAY_HOURS), HOUR)
            empty["hour"] = NO_HOUR
            self._ring = np.concatenate([self._ring, empty])
            self._state = np.concatenate([self._state, np.zeros(more, np.uint8)])

    def before(self, key: int, hour: int) -> list[Hour]:
        """Return the hours of a gauge in the 23 before one, the newest first."""
        rows = [_hour(*row) for row in self._ring[key].tolist()]
        return sorted((row for row in rows if hour - DAY_HOURS < row.hour < hour), key=lambda row: -row.hour)

    def state(self, key: int) -> int:
        """Return what was last said of a gauge, as `put` was told."""
        return int(self._state[key])

    def put(self, key: int, hour: Hour, state: int) -> None:
        """Keep an hour, later than all before it, and what is said of the gauge since."""
        told = (hour.hour, hour.level_milli, hour.covered, hour.valid, hour.constant, hour.quarters)
        self._ring[key, hour.hour % DAY_HOURS] = told
        self._state[key] = state

    def forget(self, first_hour: int) -> npt.NDArray[np.int32]:
        """Forget what was said of gauges without an hour from `first_hour` on; return those that have one."""
        alive = (self._ring["hour"] >= first_hour).any(axis=1)
        self._state[~alive] = 0
        self._ring["hour"][~alive] = NO_HOUR
        return np.flatnonzero(alive).astype(np.int32)

    def keep(self, kept: npt.NDArray[np.int32]) -> None:
        """Renumber: gauge i is from now on what kept[i] was."""
        self._ring, self._state = self._ring[kept], self._state[kept]


def packed(rows: list[tuple[int, Hour, int]], keys: Dictionary) -> bytes:
    """Return hours that were closed, with gauge and state, on the wire."""
    hours: npt.NDArray[Any] = np.array(
        [(one.hour, one.level_milli, one.covered, one.valid, one.constant, one.quarters) for _, one, _ in rows], HOUR
    )
    columns: dict[str, wire.Packable] = {name: np.ascontiguousarray(hours[name]) for name in HOUR.names or ()}
    columns["state"] = np.array([state for _, _, state in rows], np.uint8)
    columns["key"] = DictionaryArray(np.array([key for key, _, _ in rows], np.int32), keys)
    return msgspec.msgpack.encode(Part(PART_FORMAT, wire.pack(columns)))


def unpacked(name: str, content: bytes) -> tuple[list[str], list[Hour], list[int]]:
    """Return the gauges, hours and states of a part. Raises ValueError when it has another format."""
    part = msgspec.msgpack.decode(content, type=Part)
    if part.format != PART_FORMAT:
        raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
    columns = wire.unpack(part.columns)
    told = zip(*(columns[name].tolist() for name in HOUR.names or ()), strict=True)
    return columns["key"].tolist(), [_hour(*row) for row in told], columns["state"].tolist()


def closed(hour: int, level_milli: int, covered: int, constant: bool, quarters: int, before: list[Hour]) -> Hour:
    """Return an hour with the verdict whether it has three quarters of the readings that are usual.

    Usual is the median of minutes with readings over the hours of the last day, this one among them; as long as there
    are fewer than three of them, all 60.
    """
    counts = sorted([covered, *(one.covered for one in before)])
    usual = counts[len(counts) // 2] if len(counts) >= FEW_HOURS else FULL_HOUR
    return Hour(hour, level_milli, covered, 4 * covered >= 3 * usual, constant, quarters)


def _hour(hour: int, level_milli: int, covered: int, valid: int, constant: int, quarters: int) -> Hour:
    return Hour(hour, level_milli, covered, bool(valid), bool(constant), quarters)
