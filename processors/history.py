"""History: the used records of one record type that may still matter, packed, by key and in the order of their time.

What counts is a function of the retained records alone; how they are held is not. Sealed parts bring them back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, HashArray, IntArray
from processors.key_blocks import BLOCK, KeyBlocks, RowArray, SlotArray
from processors.packing import SPARE, TIE, Packing
from processors.retained import Retained, equal_neighbours, joined, starts_of
from processors.rows import Columns
from processors.shelves import Shelves
from processors.tracks import Track
from schemas import columns as wire
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import Column

DEPTH: Final = 5
"""Newest records of a key that are at hand; no detector looks further back from a record that is in order."""
assert DEPTH <= BLOCK

EMPTY_MS: Final = np.iinfo(np.int64).min
PART_FORMAT: Final = 3
SWEEP_MS: Final = 8_000
"""How often `seal` looks at every key for records that no longer matter, or that hardly ever will."""
AT_HAND_MS: Final = 60_000
"""Few records come later than that: what is older may be packed."""
FEW_BLOCKS: Final = 16_384
"""So many are not worth packing: two megabytes."""
LOADED_ROWS: Final = 1 << 18
"""Rows that are sorted at once when parts are loaded."""


class Verdict(IntEnum):
    """What becomes of a record: exactly one of them is used for every identity (key, at_ms, tie)."""

    USED = 0
    DUPLICATE = 1
    CONFLICT = 2


@dataclass(frozen=True, slots=True)
class Entries:
    """n records by identity, in log order.

    slot: stands for the key, that is for what the record is about: its number in History.keys.
    tie: tells records of one key and time apart, 0 where there can be one only.
    """

    slot: SlotArray
    at_ms: IntArray
    tie: HashArray
    content_hash: HashArray

    def take(self, rows: npt.NDArray[Any]) -> "Entries":
        """Return those rows."""
        return Entries(self.slot[rows], self.at_ms[rows], self.tie[rows], self.content_hash[rows])


class Part(msgspec.Struct, frozen=True):
    """One sealed piece of history on the wire."""

    format: int
    record: str
    columns: tuple[Column, ...]


class History:
    """The retained records of one record type in one partition.

    dtypes: the columns that detectors need, by name; DictionaryArray = text; `tie` where records can have one.
    whole_ms: how far back of a record that needs the whole history of its key any record may count.
    few_blocks: up to so many blocks of records nothing is packed away.
    """

    def __init__(self, record: str, dtypes: Mapping[str, Any], whole_ms: int = 0, few_blocks: int = FEW_BLOCKS) -> None:
        self.record = record
        self.keys = Dictionary()
        """The keys; slots are numbers in it. Only `seal` puts another one in its place."""
        self.live: dict[str, int] = {}
        """Sealed parts that are still needed, oldest first: name -> the latest at_ms in it."""
        self._whole_ms = whole_ms
        self._packing = Packing(dtypes)
        self._blocks = KeyBlocks(self._packing.dtype)
        self._shelves = None if whole_ms or self._packing.has_tie else Shelves(self._packing.dtype)
        """Older rows of keys whose newer ones are in blocks; ties and whole histories would want them all the time."""
        self._few_blocks = few_blocks
        self._asked = np.zeros(0, bool)
        """Keys of which somebody wanted all rows since the last sweep: they stay at hand."""
        self._begin_ms = EMPTY_MS
        """Where `order`, the time in a row, begins; it moves so that whoever may still come fits in."""
        self._newest_ms = np.zeros(0, np.int64)
        self._mark = np.zeros(0, np.int32)
        self._recent = np.zeros(0, np.uint32)
        """The marks of the newest record of each key, and in the upper half those of the one before it."""
        self._tail: list[tuple[SlotArray, IntArray, RowArray]] = []
        """The records that no part holds yet, in log order."""
        self._swept_ms = EMPTY_MS

    def key_of(self, slot: int) -> str:
        """Return the key that a track's slot stands for."""
        return self.keys.word(slot)

    def judge(self, entries: Entries) -> npt.NDArray[np.int8]:
        """Return the Verdict (n,) of records that came in one interval.

        Known from an earlier interval: equal content is a duplicate, other content a conflict. Otherwise, the first
        of those with the lowest content hash is used, the others of equal content are duplicates, the rest conflicts.
        """
        self._make_room()
        verdict = np.full(len(entries.slot), Verdict.USED, np.int8)
        behind = np.flatnonzero(entries.at_ms <= self._newest_ms[entries.slot])
        if len(behind):
            verdict[behind] = self._known(entries.take(behind))
        often = np.flatnonzero((verdict == Verdict.USED) & ~self._alone(entries.slot))
        if len(often):
            new = entries.take(often)
            order = np.lexsort((new.content_hash, new.tie, new.at_ms, new.slot))
            repeats = equal_neighbours(new.slot[order], new.at_ms[order], new.tie[order])
            first = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(order))))
            hashes = new.content_hash[order]
            same = np.where(hashes == hashes[first], Verdict.DUPLICATE, Verdict.CONFLICT)
            verdict[often[order]] = np.where(repeats, same, Verdict.USED)
        return verdict

    def recent(self, slot: SlotArray) -> Columns:
        """Return, where records have marks, those of the newest two records of n keys as "recent", uint32 (n,).

        The newer one's are the lower half. By them a form can tell at which records in order nothing can be claimed.
        """
        self._make_room()
        return {"recent": self._recent[slot]} if self._packing.has_marks else {}

    def extend(
        self, entries: Entries, columns: Columns, offset: IntArray, whole: BoolArray, candidate: BoolArray
    ) -> tuple[Track, Track]:
        """Remember n used records of one interval; return the tracks before and after that detectors have to compare.

        whole: records whose findings need the whole history of their key, not only its newest records.
        candidate: records at which something may be claimed; where they have marks this counts of those in order only.
        After: the keys with a candidate or a late record; anchors are the new records and what follows them.
        Before: the same without the new records, for the keys where anything follows them.
        """
        self._make_room()
        self._move_begin(entries.at_ms)
        rows = self._packing.pack(entries.content_hash, entries.tie, columns)
        self._packing.order(rows)[:] = self._order(entries.at_ms)
        self._tail.append((entries.slot, entries.at_ms, rows))
        plain = (entries.at_ms > self._newest_ms[entries.slot]) & self._alone(entries.slot) & ~whole
        row = np.flatnonzero(plain)
        asked = np.flatnonzero(plain & candidate)
        after = [self._in_order(entries.take(asked), rows.take(asked), offset[asked])]
        before = Retained(entries.slot[:0], entries.at_ms[:0], rows[:0], offset[:0], whole[:0])
        slot, in_order = entries.slot[row], rows.take(row)
        self._blocks.append(slot, None, in_order)
        self._newest_ms[slot] = entries.at_ms[row]
        if self._packing.has_marks:
            newer = self._packing.marks(in_order)
            self._recent[slot] = self._recent[slot] << np.uint32(16) | newer
        if len(row) < len(rows):
            odd = np.flatnonzero(~plain)
            odd = odd[np.lexsort((entries.tie[odd], entries.at_ms[odd], entries.slot[odd]))]
            wanted: BoolArray = candidate[odd] | self._packing.has_marks
            before, changed = self._inserted(entries.take(odd), rows[odd], offset[odd], whole[odd], wanted)
            after.append(changed)
        return self._track([before]), self._track(after)

    def newest(self) -> Track:
        """Return the records of the newest time of every key, several where ties tell them apart; none is an anchor."""
        self._make_room()
        slot = np.flatnonzero(self._newest_ms[: len(self.keys)] != EMPTY_MS).astype(np.int32)
        if self._packing.has_tie:
            rows = self._kept(slot)
            return self._track([rows.take(rows.at_ms == self._newest_ms[rows.slot])])
        position, _ = self._blocks.newest(slot, 1)
        return self._track([self._retained(slot, position[:, 0])])

    def retained(self, slot: SlotArray) -> Track:
        """Return all records that are retained of m distinct keys, slot by slot; none is an anchor."""
        rows = self._kept(slot)
        tie = (rows.row.view(self._packing.dtype)[TIE],) if self._packing.has_tie else ()
        return self._track([rows.take(np.lexsort((*tie, rows.at_ms, rows.slot)))])

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Return what came since the last call as a new part, if it still matters, and drop what no longer does.

        first_offset: the first offset since the last call; horizon_ms: what is older cannot matter.
        late_ms: no record that is still to come is older.
        """
        parts = {}
        tail, self._tail = self._tail, []
        latest_ms = max((int(at_ms.max()) for _, at_ms, _ in tail if len(at_ms)), default=EMPTY_MS)
        if latest_ms >= horizon_ms and tail:
            name = f"{self.record}/{first_offset}"
            slot, at_ms, rows = (np.concatenate(pieces) for pieces in zip(*tail, strict=True))
            parts[name] = self._part(slot, at_ms, rows)
            self.live[name] = latest_ms
        self.live = {name: latest_ms for name, latest_ms in self.live.items() if latest_ms >= horizon_ms}
        self._forget(horizon_ms, late_ms)
        return parts

    def load(self, parts: Sequence[tuple[str, bytes]], late_ms: int) -> None:
        """Take back sealed parts by name, the oldest first; late_ms as it was for the last `seal`.

        Raises ValueError when one has another format.
        """
        pieces: list[tuple[SlotArray, IntArray, RowArray]] = []
        for name, content in parts:
            part = msgspec.msgpack.decode(content, type=Part)
            if part.format != PART_FORMAT:
                raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
            columns = wire.unpack(part.columns)
            key, at_ms = columns["key"], columns["at_ms"]
            self.live[name] = int(at_ms.max())
            slot = self.keys.numbers(key.dictionary.words)[key.numbers]
            tie = columns.get(TIE, np.zeros(0, np.uint64))
            self._make_room()
            pieces.append((slot, at_ms, self._packing.pack(columns["content_hash"], tie, columns)))
            if sum(len(slot) for slot, _, _ in pieces) >= LOADED_ROWS:
                self._take_back(pieces, late_ms)
        if pieces:
            self._take_back(pieces, late_ms)

    def _take_back(self, pieces: list[tuple[SlotArray, IntArray, RowArray]], late_ms: int) -> None:
        slot, at_ms, rows = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        pieces.clear()
        self._move_begin(at_ms)
        self._packing.order(rows)[:] = self._order(at_ms)
        order = self._by_time(slot, rows)
        starts = starts_of(slot[order])
        self._bring_back(slot[order][starts], at_ms[order][starts])
        self._add(slot[order], at_ms[order], rows[order], starts)
        self._drop_before(slot[order][starts], late_ms)
        self._put_away()

    def _in_order(self, entries: Entries, rows: RowArray, offset: IntArray) -> Retained:
        """Return n rows that are alone and newest of their slots, each behind the newest that is retained of its."""
        position, there = self._blocks.newest(entries.slot, DEPTH)
        newest = self._blocks.rows.take(position)
        table = np.concatenate([newest, rows[:, None]], axis=1)
        there = np.pad(there, ((0, 0), (0, 1)), constant_values=True).ravel()
        offsets, at_ms = np.full(table.shape, -1), np.empty(table.shape, np.int64)
        at_ms[:, :-1] = self._times(newest.ravel()).reshape(len(rows), DEPTH)
        at_ms[:, -1], offsets[:, -1] = entries.at_ms, offset
        columns = (
            np.repeat(entries.slot, DEPTH + 1),
            at_ms.ravel(),
            table.ravel(),
            offsets.ravel(),
            offsets.ravel() >= 0,
        )
        return Retained(*columns if there.all() else (column[there] for column in columns))

    def _inserted(
        self, entries: Entries, rows: RowArray, offset: IntArray, whole: BoolArray, candidate: BoolArray
    ) -> tuple[Retained, Retained]:
        """Remember sorted rows of which a slot may have several, and late ones; return what to compare, as `extend`."""
        slot, starts = entries.slot, starts_of(entries.slot)
        touched, first_ms = slot[starts], entries.at_ms[starts]
        late = first_ms <= self._newest_ms[touched]
        in_whole = np.logical_or.reduceat(whole, starts)
        deep = late | in_whole
        self._bring_back(touched[deep], np.where(in_whole, EMPTY_MS, first_ms)[deep])
        asked = deep | np.logical_or.reduceat(candidate, starts)
        position, owner = self._blocks.all(touched[deep])
        old = self._retained(touched[deep][owner], position)
        near = touched[asked & ~deep]
        position, there = self._blocks.newest(near, DEPTH)
        near_rows = self._retained(np.repeat(near, DEPTH)[there.ravel()], position[there])
        wanted = asked[np.searchsorted(touched, slot)]
        new = Retained(slot[wanted], entries.at_ms[wanted], rows[wanted], offset[wanted], wanted[wanted])
        follows = old.take(late[deep][owner])
        self._add(slot, entries.at_ms, rows, starts)
        return self._compared([follows], touched, first_ms), self._compared([old, near_rows, new], touched, first_ms)

    def _kept(self, slot: SlotArray) -> Retained:
        self._make_room()
        self._asked[slot] = True
        self._bring_back(slot, np.full(len(slot), EMPTY_MS))
        position, owner = self._blocks.all(slot)
        return self._retained(slot[owner], position)

    def _retained(self, slot: SlotArray, position: IntArray) -> Retained:
        """Return the retained rows of slots in those positions."""
        row = self._blocks.rows.take(position)
        return Retained(slot, self._times(row), row, np.full(len(row), -1), np.zeros(len(row), bool))

    def _compared(self, pieces: Sequence[Retained], touched: SlotArray, first_ms: IntArray) -> Retained:
        """Return rows by slot and time, as anchors those not before the first new one of their slot."""
        rows = joined(pieces)
        tie = (rows.row.view(self._packing.dtype)[TIE],) if self._packing.has_tie else ()
        rows = rows.take(np.lexsort((*tie, rows.at_ms, rows.slot)))
        return replace(rows, anchor=rows.at_ms >= first_ms[np.searchsorted(touched, rows.slot)])

    def _add(self, slot: SlotArray, at_ms: IntArray, rows: RowArray, starts: IntArray) -> None:
        """Add sorted rows, and put those that are late where they belong. starts: the first row of each slot."""
        touched, ends = slot[starts], np.append(starts[1:], len(slot))
        late = touched[at_ms[starts] <= self._newest_ms[touched]]
        self._blocks.append(touched, ends - starts, rows)
        if len(late):
            position, owner = self._blocks.all(late)
            found = self._blocks.rows.take(position)
            self._blocks.rows[position] = found[self._by_time(owner, found)]
        self._newest_ms[touched] = np.maximum(self._newest_ms[touched], at_ms[ends - 1])
        if self._packing.has_marks:
            position, there = self._blocks.newest(touched, 2)
            marks = self._packing.marks(self._blocks.rows.take(position.ravel())).reshape(-1, 2) * there
            self._recent[touched] = marks[:, 0].astype(np.uint32) << np.uint32(16) | marks[:, 1]

    def _known(self, entries: Entries) -> npt.NDArray[np.int8]:
        """Return the Verdict (n,) of records by those of earlier intervals alone."""
        self._bring_back(entries.slot, entries.at_ms)
        slot, owner = np.unique(entries.slot, return_inverse=True)
        position, whose = self._blocks.all(slot)
        found = self._blocks.rows.take(position).view(self._packing.dtype)
        order, same_hash = self._order(entries.at_ms), entries.content_hash.astype(np.uint32)
        place = whose << 32 | found["order"]
        wanted = owner << 32 | order
        index = np.searchsorted(place, wanted)
        verdict = np.full(len(wanted), Verdict.USED, np.int8)
        left = np.flatnonzero(entries.at_ms >= self._begin_ms)
        while True:
            left = left[index[left] < len(place)]
            left = left[place[index[left]] == wanted[left]]
            if not len(left):
                return verdict
            rows = found[index[left]]
            same = np.where(rows["content_hash"] == same_hash[left], Verdict.DUPLICATE, Verdict.CONFLICT)
            hit = rows[TIE] == entries.tie[left] if self._packing.has_tie else np.ones(len(left), bool)
            verdict[left[hit]] = same[hit]
            left = left[~hit]
            index[left] += 1

    def _alone(self, slot: SlotArray) -> BoolArray:
        """Tell which rows (n,) are the only ones of their slot."""
        number = np.arange(len(slot), dtype=np.int32)
        self._mark[slot] = number
        last: BoolArray = self._mark[slot] == number
        if last.all():
            return last
        self._mark[slot[~last]] = -1
        return np.asarray(self._mark[slot] >= 0)

    def _by_time(self, slot: npt.NDArray[np.integer[Any]], rows: RowArray) -> IntArray:
        """Return the order of rows by slot, time and tie."""
        order = self._packing.order(rows)
        if self._packing.has_tie:
            return np.lexsort((rows.view(self._packing.dtype)[TIE], order, slot))
        return np.argsort(slot.astype(np.int64) << 32 | order)

    def _track(self, pieces: Sequence[Retained]) -> Track:
        rows = joined(pieces)
        columns, texts = self._packing.columns(rows.row), self._packing.texts(rows.row)
        return Track(rows.slot, rows.at_ms, columns, texts, rows.offset, rows.anchor)

    def _part(self, slot: SlotArray, at_ms: IntArray, rows: RowArray) -> bytes:
        columns = {"at_ms": at_ms, **self._packing.columns(rows)}
        texts = {"key": DictionaryArray(slot, self.keys), **self._packing.texts(rows)}
        return msgspec.msgpack.encode(Part(PART_FORMAT, self.record, wire.pack(columns) + wire.pack(texts)))

    def _order(self, at_ms: IntArray) -> npt.NDArray[np.uint32]:
        return np.maximum(at_ms - self._begin_ms, 0).astype(np.uint32)

    def _times(self, rows: RowArray) -> IntArray:
        return self._packing.order(rows).astype(np.int64) + self._begin_ms

    def _move_begin(self, at_ms: IntArray) -> None:
        """Let 24 days before the latest time have room, and as many after it.

        What is older is older than any lateness bound: it need not be told apart once its interval is over.
        """
        latest_ms = int(at_ms.max(initial=EMPTY_MS))
        if latest_ms == EMPTY_MS or latest_ms - self._begin_ms < 1 << 32:
            return
        begin_ms = latest_ms - (1 << 31)
        if self._begin_ms != EMPTY_MS:
            order = self._packing.order(self._blocks.rows)
            by = np.uint32(min(begin_ms - self._begin_ms, (1 << 32) - 1))
            order[:] = np.maximum(order, by) - by
        self._begin_ms = begin_ms

    def _make_room(self) -> None:
        more = len(self.keys) - len(self._newest_ms)
        if more > 0:
            more += len(self.keys) // 8
            self._newest_ms = np.concatenate([self._newest_ms, np.full(more, EMPTY_MS)])
            self._mark = np.zeros(len(self._newest_ms), np.int32)
            self._recent = np.concatenate([self._recent, np.zeros(more, np.uint32)])
            self._asked = np.concatenate([self._asked, np.zeros(more, bool)])
            self._blocks.make_room(len(self._newest_ms))
            if self._shelves is not None:
                self._shelves.make_room(len(self._newest_ms))

    def _forget(self, horizon_ms: int, late_ms: int) -> None:
        self._make_room()
        newest_ms = self._newest_ms[: len(self.keys)]
        dead = np.flatnonzero((newest_ms < horizon_ms) & (newest_ms != EMPTY_MS)).astype(np.int32)
        self._blocks.drop(dead)
        newest_ms[dead] = EMPTY_MS
        self._recent[dead] = 0
        if self._shelves is not None:
            self._shelves.forget(dead)
        if late_ms - self._swept_ms >= SWEEP_MS:
            self._swept_ms = late_ms
            self._drop_before(np.flatnonzero(newest_ms != EMPTY_MS).astype(np.int32), late_ms)
            self._put_away()
            self._asked[:] = False
        alive = newest_ms != EMPTY_MS
        if len(self.keys) > 2 * np.count_nonzero(alive) + SPARE:
            kept = np.flatnonzero(alive).astype(np.int32)
            self.keys = Dictionary.of_distinct(self.keys.words[kept])
            self._blocks.keep_slots(kept)
            self._newest_ms = self._newest_ms[kept]
            self._mark = self._mark[kept]
            self._recent = self._recent[kept]
            self._asked = self._asked[kept]
            if self._shelves is not None:
                self._shelves.keep_slots(kept)
        self._forget_words()

    def _drop_before(self, slot: SlotArray, late_ms: int) -> None:
        order = late_ms - self._whole_ms - self._begin_ms
        if order > 0:
            self._blocks.drop_before(slot, order)
            if self._shelves is not None:
                self._shelves.drop_before(late_ms)

    def _put_away(self) -> None:
        """Pack what hardly any record that is still to come will be compared with."""
        if self._shelves is None or self._blocks.used <= self._few_blocks:
            return
        newest_ms = self._newest_ms[: len(self.keys)]
        order = int(newest_ms.max()) - AT_HAND_MS - self._begin_ms
        if order > 0:
            slot = np.flatnonzero((newest_ms != EMPTY_MS) & ~self._asked[: len(self.keys)]).astype(np.int32)
            self._shelves.put(self._blocks.cut_before(slot, order), self._begin_ms)

    def _bring_back(self, slot: SlotArray, at_ms: IntArray) -> None:
        """Have at hand what records (n,) may be compared with: all rows from their time on, and BLOCK before it."""
        shelves = self._shelves
        if shelves is None:
            return
        left = np.flatnonzero(shelves.may_hold(slot))
        while len(left):
            last_ms = self._times(self._blocks.rows.take(self._blocks.oldest_full(slot[left])))
            left = left[at_ms[left] <= last_ms]
            if len(left):
                found, rows = shelves.take(np.unique(slot[left]), self._begin_ms)
                if len(found):
                    self._blocks.put_before(found, rows)
                left = left[shelves.may_hold(slot[left])]

    def _forget_words(self) -> None:
        if self._packing.has_many_words:
            away = [] if self._shelves is None else self._shelves.all_rows()
            self._packing.forget_words([self._blocks.rows, *away])
            if self._shelves is not None:
                self._shelves.change_rows(away)
