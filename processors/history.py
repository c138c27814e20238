"""History: the used records of one record type that may still matter, as columns.

What counts is a function of the retained records alone. Three views of them are kept for speed and rebuilt from the
sealed parts on a restart: `_last`, the newest records of every key; `_levels`, all records in runs sorted by key,
merged now and then; `_tail`, the records in log order that no part holds yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, HashArray, IntArray
from schemas import columns as wire
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import Column

Columns = dict[str, npt.NDArray[Any]]
SlotArray = npt.NDArray[np.int32]
"""Numbers of keys in the dictionary of a history."""

DEPTH: Final = 5
"""Newest records of a key that are at hand; no detector looks further back from a record that is in order."""

EMPTY_MS: Final = np.iinfo(np.int64).min
FAN_IN: Final = 16
"""Runs of one level that are merged into one of the next."""
LEVELS: Final = 3
PART_FORMAT: Final = 2

_IDENTITY: Final[Mapping[str, Any]] = {"at_ms": np.int64, "tie": np.uint64, "content_hash": np.uint64}


class Verdict(IntEnum):
    """What becomes of a record: exactly one of them is used for every identity (key, at_ms, tie)."""

    USED = 0
    DUPLICATE = 1
    CONFLICT = 2


@dataclass(frozen=True, slots=True)
class Entries:
    """n records by identity, in log order.

    slot: stands for the key, that is for what the record is about (History.keys).
    tie: tells records of one key and time apart, 0 where there can be one only.
    """

    slot: SlotArray
    at_ms: IntArray
    tie: HashArray
    content_hash: HashArray

    def take(self, rows: npt.NDArray[Any]) -> "Entries":
        """Return those rows."""
        return Entries(self.slot[rows], self.at_ms[rows], self.tie[rows], self.content_hash[rows])


@dataclass(frozen=True, slots=True)
class Track:
    """n records of some keys, sorted by (slot, at_ms, tie); the slots number the keys.

    columns: those that the history remembers and `offset` (-1 = from an earlier interval).
    anchor: rows whose findings are asked for; enough records precede each of them.
    """

    slot: IntArray
    at_ms: IntArray
    tie: HashArray
    columns: Columns
    anchor: BoolArray

    def __len__(self) -> int:
        """Return n."""
        return len(self.slot)


class Part(msgspec.Struct, frozen=True):
    """One sealed piece of history on the wire."""

    format: int
    record: str
    columns: tuple[Column, ...]


class History:
    """The retained records of one record type in one partition.

    dtypes: the columns that detectors need, by name (object = text).
    whole_ms: how far back of a record that needs the whole history of its key any record may count.
    """

    def __init__(self, record: str, dtypes: Mapping[str, Any], whole_ms: int = 0) -> None:
        self.record = record
        self.keys = Dictionary()
        """The keys; slots are numbers in it. Only `seal` puts another one in its place."""
        self.live: dict[str, int] = {}
        """Sealed parts that are still needed, oldest first: name -> the latest at_ms in it."""
        self._dtypes = {**_IDENTITY, **dtypes}
        self._whole_ms = whole_ms
        self._last = {name: np.zeros((0, DEPTH), dtype) for name, dtype in self._dtypes.items()}
        self._levels: list[list[Columns]] = [[] for _ in range(LEVELS)]
        self._tail: list[Columns] = []

    def key_of(self, slot: int) -> str:
        """Return the key that a track's slot stands for."""
        return self.keys.word(slot)

    def _make_room(self) -> None:
        """Make room for every key."""
        room = len(self._last["at_ms"])
        if len(self.keys) > room:
            more = max(1024, 2 * len(self.keys)) - room
            self._last = {
                name: np.concatenate([values, np.full((more, DEPTH), _blank(name, values), values.dtype)])
                for name, values in self._last.items()
            }

    def judge(self, entries: Entries) -> npt.NDArray[np.int8]:
        """Return the Verdict (n,) of records that came in one interval.

        Known from an earlier interval: equal content is a duplicate, other content a conflict. Otherwise, the first
        of those with the lowest content hash is used, the others of equal content are duplicates, the rest conflicts.
        """
        self._make_room()
        known, known_hash = self._look_up(entries)
        same = np.where(known_hash == entries.content_hash, Verdict.DUPLICATE, Verdict.CONFLICT)
        verdict = np.where(known, same, Verdict.USED).astype(np.int8)
        new = entries.take(np.flatnonzero(~known))
        order = np.lexsort((new.content_hash, new.tie, new.at_ms, new.slot))
        repeats = _equal_neighbours(new.slot[order], new.at_ms[order], new.tie[order])
        if repeats.any():
            first = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(order))))
            hashes = new.content_hash[order]
            same = np.where(hashes == hashes[first], Verdict.DUPLICATE, Verdict.CONFLICT)
            verdict[np.flatnonzero(~known)[order]] = np.where(repeats, same, Verdict.USED)
        return verdict

    def extend(
        self, entries: Entries, columns: Columns, offset: IntArray, whole: BoolArray, candidate: BoolArray
    ) -> tuple[Track, Track]:
        """Remember n used records of one interval; return the tracks before and after that detectors have to compare.

        whole: records whose findings need the whole history of their key, not only its newest records.
        candidate: records at which something may be claimed.
        After: every touched key with a candidate or a late record; anchors are the new records and what follows them.
        Before: the same without the new records, for the keys where anything can follow them.
        """
        self._make_room()
        new = {"at_ms": entries.at_ms, "tie": entries.tie, "content_hash": entries.content_hash, **columns}
        self._tail.append({"slot": entries.slot, **new})
        order = np.lexsort((entries.tie, entries.at_ms, entries.slot))
        slot, new = entries.slot[order].astype(np.int64), _taken(new, order)
        starts = np.flatnonzero(np.diff(slot, prepend=-1))
        touched, first_ms = slot[starts], new["at_ms"][starts]
        wanted = (first_ms <= self._last["at_ms"][touched, -1]) | np.logical_or.reduceat(whole[order], starts)
        old_slot, old = self._gathered(touched[wanted])
        near_slot, near = self._newest(touched[~wanted])
        before = _track(old_slot, {**old, "offset": np.full(len(old_slot), -1)}, touched, first_ms)
        both = _stacked([old, near, new], self._dtypes)
        both["offset"] = np.concatenate([np.full(len(old_slot) + len(near_slot), -1), offset[order]])
        after = _track(np.concatenate([old_slot, near_slot, slot]), both, touched, first_ms)
        self._keep_newest(after)
        self._add_run({"slot": slot, **new})
        return before, after

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Return what came since the last call as a new part, if it still matters, and drop what no longer does.

        first_offset: the first offset since the last call; horizon_ms: what is older cannot matter.
        late_ms: no record that is still to come is older.
        """
        parts = {}
        tail, self._tail = _stacked(self._tail, {"slot": np.int64, **self._dtypes}), []
        if (tail["at_ms"] >= horizon_ms).any():
            name = f"{self.record}/{first_offset}"
            key = _canonical(tail.pop("slot"), self.keys)
            parts[name] = msgspec.msgpack.encode(Part(PART_FORMAT, self.record, wire.pack({"key": key, **tail})))
            self.live[name] = int(tail["at_ms"].max())
        self._forget(horizon_ms)
        return parts

    def load(self, parts: Sequence[tuple[str, bytes]], late_ms: int) -> None:
        """Take back sealed parts by name, the oldest first; late_ms as it was for the last `seal`.

        Raises ValueError when one has another format.
        """
        self.live = dict.fromkeys((name for name, _ in parts), EMPTY_MS)
        # Backwards: the newest records of a key then come first, and hardly any other has to be sorted in.
        for name, content in reversed(parts):
            part = msgspec.msgpack.decode(content, type=Part)
            if part.format != PART_FORMAT:
                raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
            unpacked = wire.unpack(part.columns)
            self.live[name] = int(unpacked["at_ms"].max())
            key = unpacked["key"]
            slot = self.keys.numbers(key.dictionary.words)[key.numbers]
            self._make_room()
            columns = {column: unpacked[column].astype(dtype, copy=False) for column, dtype in self._dtypes.items()}
            order = np.argsort(slot)
            run = {"slot": slot[order], **_taken(columns, order)}
            self._add_run(run)
            self._add_newest(_taken(run, run["at_ms"] >= self._last["at_ms"][run["slot"], 0]))

    def _add_newest(self, run: Columns) -> None:
        """Put records sorted by slot among the newest of their keys, where they belong there."""
        touched = run["slot"][np.flatnonzero(np.diff(run["slot"], prepend=-1))]
        near_slot, near = self._newest(touched)
        slot = np.concatenate([near_slot, run["slot"]])
        self._keep_newest(_track(slot, _stacked([near, run], self._dtypes), touched, np.zeros(len(touched), np.int64)))

    def _forget(self, horizon_ms: int) -> None:
        self.live = {name: latest_ms for name, latest_ms in self.live.items() if latest_ms >= horizon_ms}
        for runs in self._levels:
            runs[:] = [run for run in runs if (run["at_ms"] >= horizon_ms).any()]
        self._make_room()
        alive = self._last["at_ms"][: len(self.keys), -1] >= horizon_ms
        if len(self.keys) > 2 * np.count_nonzero(alive) + 1024:
            self._renumber(alive)

    def _look_up(self, entries: Entries) -> tuple[BoolArray, HashArray]:
        """Return which records are known by identity (n,), and the content hashes of the known ones."""
        last_ms = self._last["at_ms"][entries.slot]
        hits = (last_ms == entries.at_ms[:, None]) & (self._last["tie"][entries.slot] == entries.tie[:, None])
        known = hits.any(axis=1)
        known_hash: HashArray = self._last["content_hash"][entries.slot, hits.argmax(axis=1)]
        deep = np.flatnonzero(~known & (entries.at_ms <= last_ms[:, 0]))
        slot, old = self._gathered(np.unique(entries.slot[deep]))
        near = np.isin(old["at_ms"], entries.at_ms[deep])
        identities = zip(slot[near].tolist(), old["at_ms"][near].tolist(), old["tie"][near].tolist(), strict=True)
        hashes = dict(zip(identities, old["content_hash"][near].tolist(), strict=True))
        for row in deep.tolist():
            found = hashes.get((int(entries.slot[row]), int(entries.at_ms[row]), int(entries.tie[row])))
            if found is not None:
                known[row], known_hash[row] = True, found
        return known, known_hash

    def _newest(self, slots: IntArray) -> tuple[IntArray, Columns]:
        filled = self._last["at_ms"][slots] != EMPTY_MS
        columns = {name: values[slots][filled] for name, values in self._last.items()}
        return np.repeat(slots, filled.sum(axis=1)), columns

    def _gathered(self, slots: IntArray) -> tuple[IntArray, Columns]:
        """Return all retained records of those slots (ascending)."""
        pieces: list[Columns] = []
        for run in (run for runs in self._levels for run in runs) if len(slots) else ():
            low = np.searchsorted(run["slot"], slots, "left")
            counts = np.searchsorted(run["slot"], slots, "right") - low
            total = int(counts.sum())
            if total:
                skipped = np.repeat(low - np.cumsum(counts) + counts, counts)
                pieces.append(_taken(run, skipped + np.arange(total)))
        found = _stacked(pieces, {"slot": np.int64, **self._dtypes})
        return found.pop("slot"), found

    def _keep_newest(self, track: Track) -> None:
        if not len(track):
            return
        ends = np.append(np.flatnonzero(np.diff(track.slot)), len(track) - 1)
        rank = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(track))
        rows = np.flatnonzero(rank < DEPTH)
        for name, values in self._last.items():
            values[track.slot[rows], DEPTH - 1 - rank[rows]] = track.columns[name][rows]

    def _add_run(self, run: Columns) -> None:
        """Add records sorted by slot; the last level is not merged, so that no merge takes long."""
        for level, runs in enumerate(self._levels):
            runs.append(run)
            if len(runs) < FAN_IN or level == LEVELS - 1:
                return
            merged = _stacked(runs, {"slot": np.int64, **self._dtypes})
            run = _taken(merged, np.argsort(merged["slot"]))
            runs.clear()

    def _renumber(self, alive: BoolArray) -> None:
        """Forget keys that have nothing retained, so that invented ids do not fill the memory."""
        kept = np.flatnonzero(alive)
        number = np.full(len(alive), -1)
        number[kept] = np.arange(len(kept))
        self.keys = Dictionary.of_distinct(self.keys.words[kept])
        self._last = {name: values[kept] for name, values in self._last.items()}
        for runs in self._levels:
            runs[:] = [_renumbered(run, number) for run in runs]


def _track(slot: IntArray, columns: Columns, touched: IntArray, first_ms: IntArray) -> Track:
    """Sort records of touched slots; the anchors of a slot are those not before its first new record."""
    order = np.lexsort((columns["tie"], columns["at_ms"], slot))
    slot, columns = slot[order], _taken(columns, order)
    anchor = columns["at_ms"] >= first_ms[np.searchsorted(touched, slot)]
    return Track(slot, columns["at_ms"], columns["tie"], columns, anchor)


def _stacked(pieces: Sequence[Columns], dtypes: Mapping[str, Any]) -> Columns:
    return {
        name: np.concatenate([np.zeros(0, dtype), *(piece[name] for piece in pieces)]) for name, dtype in dtypes.items()
    }


def _taken(columns: Columns, rows: npt.NDArray[Any]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def _renumbered(run: Columns, number: IntArray) -> Columns:
    slot = number[run["slot"]]
    kept = slot >= 0
    return {**_taken(run, kept), "slot": slot[kept]}


def _equal_neighbours(*columns: npt.NDArray[Any]) -> BoolArray:
    """Tell for each row whether it equals the one before it in every column."""
    equal = np.zeros(len(columns[0]), bool)
    equal[1:] = np.logical_and.reduce([values[1:] == values[:-1] for values in columns])
    return equal


def _canonical(numbers: npt.NDArray[Any], dictionary: Dictionary) -> DictionaryArray:
    """Return texts over a dictionary of their own, in the order in which they first come: a function of the texts."""
    words, n = dictionary.words, len(numbers)
    first = np.full(len(words), n)
    first[numbers[::-1]] = np.arange(n)[::-1]
    used = np.flatnonzero(first < n)
    used = used[np.argsort(first[used])]
    place = np.zeros(len(words), np.int32)
    place[used] = np.arange(len(used))
    width = max(1, int(np.char.str_len(words[used]).max(initial=0)))
    return DictionaryArray(place[numbers], Dictionary.of_distinct(words[used].astype(f"S{width}")))


def _blank(name: str, values: npt.NDArray[Any]) -> Any:
    return EMPTY_MS if name == "at_ms" else "" if values.dtype == object else 0
