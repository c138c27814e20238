"""Shelves: older blocks of rows, packed by column. A late record may still meet them, and nothing else ever does.

Told as the difference to the row before, most bytes of a row are nought: of 26 bytes of a position some 11 are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cramjam
import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray
from processors.key_blocks import BLOCK, Cut, RowArray, SlotArray

BytesArray = npt.NDArray[np.uint8]

NONE: Final = -1
LEVEL: Final = 1
"""Of zstd: higher ones take longer and save nothing here."""
AS_IT_IS: Final = "content_hash"
"""The column in which a row says nothing about the next."""
MOSTLY_PERCENT: Final = 90
"""When so many blocks of a shelf have served, the others are packed anew."""


@dataclass(slots=True)
class _Shelf:
    """m blocks; those of one slot stand in their order. slot, until_ms, rows: packed.

    begin_ms: what the orders in `rows` count from. until_ms: of each block, the last time of the block that follows it:
    no record that is still to come need be compared with it when all of them are later. gone: slots taken out.
    """

    begin_ms: int
    slot: bytes
    until_ms: bytes
    rows: bytes
    mostly_ms: int
    latest_ms: int
    gone: list[SlotArray] = field(default_factory=list)


class Shelves:
    """Blocks that were cut off at the oldest end of their slots, in the order in which they were cut.

    dtype: of a row. A row's `order` counts from a `begin_ms`, which may be another one whenever it is given.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._shelves: dict[int, _Shelf] = {}
        self._next = 1  # 0 is before the first shelf, and not NONE
        self._late_ms = np.iinfo(np.int64).min
        self._last: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        """Nothing of a slot stands on a later shelf than this."""

    def make_room(self, slots: int) -> None:
        """Make room for slots up to that number."""
        more = slots - len(self._last)
        if more > 0:
            self._last = np.concatenate([self._last, np.full(more, NONE, np.int32)])

    def put(self, cut: Cut, begin_ms: int) -> None:
        """Put blocks on a new shelf."""
        if len(cut.slot):
            self._last[cut.slot] = self._next
            self._set(self._next, cut.slot, begin_ms + cut.follows.astype(np.int64), cut.rows, begin_ms)
            self._next += 1

    def may_hold(self, slot: SlotArray) -> BoolArray:
        """Tell of which slots (n,) anything may be there."""
        return np.asarray(self._last[slot] >= next(iter(self._shelves), self._next))

    def take(self, slot: SlotArray, begin_ms: int) -> tuple[SlotArray, RowArray]:
        """Take the blocks of slots off the last shelf that may hold any: slot (m,) and rows (m * BLOCK,)."""
        number = int(self._last[slot].max())
        slot = slot[self._last[slot] == number]
        self._last[slot] = number - 1
        shelf = self._shelves.get(number)
        if shelf is None:
            return slot[:0], np.zeros(0, f"V{self._dtype.itemsize}")
        whose = _unsqueezed(shelf.slot, np.dtype(np.int32))
        block = np.flatnonzero(self._marked(slot)[whose] & self._matter(shelf, whose))
        shelf.gone.append(slot)
        return whose[block], self._rows(shelf, block, begin_ms)

    def forget(self, slot: SlotArray) -> None:
        """Let go of all that is there of slots."""
        self._last[slot] = NONE

    def drop_before(self, late_ms: int) -> None:
        """Let go of the blocks that no record from `late_ms` on need be compared with."""
        self._late_ms = late_ms
        for number, shelf in list(self._shelves.items()):
            if shelf.latest_ms < late_ms:
                del self._shelves[number]
            elif shelf.mostly_ms < late_ms:
                self._pack_anew(number, np.arange(len(self._last), dtype=np.int32))

    def keep_slots(self, kept: SlotArray) -> None:
        """Renumber: slot i is from now on what kept[i] was; nothing is there of the other slots."""
        place = np.full(len(self._last), NONE, np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        for number in list(self._shelves):
            self._pack_anew(number, place)
        self._last = self._last[kept]

    def all_rows(self) -> list[RowArray]:
        """Return the rows of all shelves, their orders as they are packed."""
        return [_unpacked_rows(shelf.rows, self._dtype) for shelf in self._shelves.values()]

    def change_rows(self, rows: Sequence[RowArray]) -> None:
        """Put rows in the place of what `all_rows` returned."""
        for shelf, own in zip(self._shelves.values(), rows, strict=True):
            shelf.rows = _packed_rows(own, self._dtype)

    def _pack_anew(self, number: int, place: SlotArray) -> None:
        """Keep what matters, under the new numbers of slots, NONE = nothing of it."""
        shelf = self._shelves[number]
        whose = _unsqueezed(shelf.slot, np.dtype(np.int32))
        block = np.flatnonzero(self._matter(shelf, whose) & (place[whose] != NONE))
        if not len(block):
            del self._shelves[number]
            return
        until_ms = _unsqueezed(shelf.until_ms, np.dtype(np.int64))[block]
        rows = self._rows(shelf, block, shelf.begin_ms)
        self._set(number, place[whose[block]], until_ms, rows, shelf.begin_ms)

    def _set(self, number: int, slot: SlotArray, until_ms: IntArray, rows: RowArray, begin_ms: int) -> None:
        mostly_ms = int(np.percentile(until_ms, MOSTLY_PERCENT, method="higher"))
        latest_ms = int(until_ms.max())
        packed = _squeezed(slot), _squeezed(until_ms), _packed_rows(rows, self._dtype)
        self._shelves[number] = _Shelf(begin_ms, *packed, mostly_ms, latest_ms)

    def _matter(self, shelf: _Shelf, whose: SlotArray) -> BoolArray:
        """Tell which blocks (m,) of a shelf still matter: not taken out, not forgotten, not served."""
        until_ms = _unsqueezed(shelf.until_ms, np.dtype(np.int64))
        there = (self._last[whose] != NONE) & (until_ms >= self._late_ms)
        if shelf.gone:
            there &= ~self._marked(np.concatenate(shelf.gone))[whose]
        return np.asarray(there)

    def _marked(self, slot: SlotArray) -> BoolArray:
        marked = np.zeros(len(self._last), bool)
        marked[slot] = True
        return marked

    def _rows(self, shelf: _Shelf, block: IntArray, begin_ms: int) -> RowArray:
        """Return the rows of some blocks; their orders count from `begin_ms`."""
        if not len(block):
            return np.zeros(0, f"V{self._dtype.itemsize}")
        rows = _unpacked_rows(shelf.rows, self._dtype).reshape(-1, BLOCK)[block].ravel()
        if begin_ms != shelf.begin_ms:
            order = rows.view(self._dtype)["order"]
            order[:] = np.maximum(order.astype(np.int64) + (shelf.begin_ms - begin_ms), 0)
        return rows


def _planes(values: npt.NDArray[Any]) -> BytesArray:
    """Return numbers (n,) of k bytes as (k, n) bytes, the differences to the one before with the sign in the last bit.

    Differences that do not fit wrap around, and come back right.
    """
    signed = values.view(f"i{values.itemsize}")
    step = np.diff(signed, prepend=signed.dtype.type(0))
    told = np.ascontiguousarray((step << 1) ^ (step >> (8 * values.itemsize - 1)))
    return told.view(np.uint8).reshape(len(values), values.itemsize).T


def _numbers(planes: BytesArray, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the numbers (n,) of their planes."""
    told = np.ascontiguousarray(planes.T).view(f"u{dtype.itemsize}")[:, 0]
    step = (told >> 1).view(f"i{dtype.itemsize}") ^ -(told & 1).view(f"i{dtype.itemsize}")
    return np.cumsum(step, dtype=step.dtype).view(dtype)


def _squeezed(values: npt.NDArray[Any]) -> bytes:
    return bytes(cramjam.zstd.compress(_planes(values).tobytes(), LEVEL))


def _unsqueezed(packed: bytes, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    planes = np.frombuffer(memoryview(cramjam.zstd.decompress(packed)), np.uint8)
    return _numbers(planes.reshape(dtype.itemsize, -1), dtype)


def _packed_rows(rows: RowArray, dtype: np.dtype[Any]) -> bytes:
    told = rows.view(dtype)
    planes = np.empty((dtype.itemsize, len(rows)), np.uint8)
    for name, (column, start) in _columns(dtype):
        values = np.ascontiguousarray(told[name])
        as_bytes = values.view(np.uint8).reshape(len(rows), -1).T if name == AS_IT_IS else _planes(values)
        planes[start : start + column.itemsize] = as_bytes
    return bytes(cramjam.zstd.compress(planes.tobytes(), LEVEL))


def _unpacked_rows(packed: bytes, dtype: np.dtype[Any]) -> RowArray:
    planes = np.frombuffer(memoryview(cramjam.zstd.decompress(packed)), np.uint8).reshape(dtype.itemsize, -1)
    rows = np.empty(planes.shape[1], dtype)
    for name, (column, start) in _columns(dtype):
        own = planes[start : start + column.itemsize]
        as_they_are = np.ascontiguousarray(own.T).view(column)[:, 0]
        rows[name] = as_they_are if name == AS_IT_IS else _numbers(own, column)
    return rows.view(f"V{dtype.itemsize}")


def _columns(dtype: np.dtype[Any]) -> list[tuple[str, tuple[np.dtype[Any], int]]]:
    """Return name, dtype and first byte of every column of a row."""
    assert dtype.fields is not None
    return [(name, (column, start)) for name, (column, start, *_) in dtype.fields.items()]
