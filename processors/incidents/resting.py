"""Resting claims: standing claims that nothing is likely to concern any more, packed.

An object with all that finds it takes more than a kilobyte, and a city's traffic claims hundreds a second that have to
stand for ten minutes only because a late record might still join them. Here one takes some 80 bytes. Units (claims
that belong together) come in by the batch and are taken out whole, as they were, before anything is asked of them.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import cos, floor, radians
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray
from processors.incidents.cells import SubjectOf
from processors.incidents.clusters import METRES_PER_DEG
from schemas.records import Observation

Unit = Sequence[tuple[Observation, str]]
"""Claims that belong together, in canonical order, each with the name of the checkpoint part that holds it."""

BLOCK: Final = 128
"""Claims that are packed into one piece."""
MOST: Final = 1 << 15
"""Claims of a shelf at most: units and parts are numbered in 16 bits."""
SLOT_MS: Final = 60_000
"""Of event time: what is asked for is of about a minute."""
SMALL: Final = 512
"""Claims of a shelf that is worth being joined with another one."""
SQUARES_PER_DEG: Final = 1_000
"""Squares of a hundred metres; their numbers are kept modulo 65,536."""
MARGIN_DEG: Final = 1e-6

_FIELDS: Final = tuple(item.name for item in fields(Observation))
_VALUES: Final = attrgetter(*_FIELDS)


@dataclass(slots=True, eq=False)
class _Shelf:
    """Units of one batch, by the time of their newest claims. Columns of n claims; those of a unit are together.

    slot: of the newest claims of all its units. pieces: the claims themselves, BLOCK in each. at_ms: since begin_ms.
    square: of each claim, ascending (`_squares`), and by_square: whose it is. latest_ms: of u units the newest claim.
    left: how many claims are still here.
    """

    slot: int
    pieces: list[bytes]
    begin_ms: int
    end_ms: int
    at_ms: npt.NDArray[np.uint32]
    square: npt.NDArray[np.uint32]
    by_square: npt.NDArray[np.uint16]
    name: npt.NDArray[np.uint32]
    part: npt.NDArray[np.uint16]
    unit: npt.NDArray[np.uint16]
    here: BoolArray
    latest_ms: IntArray
    parts: tuple[str, ...]
    left: int
    first: int = 0

    def units(self, rows: IntArray) -> IntArray:
        """Return the units of some claims that are still here."""
        return np.unique(self.unit[rows[self.here[rows]]])


class RestingClaims:
    """Units that rest. `take_...` gives them back and forgets them."""

    def __init__(self, subject_of: SubjectOf | None = None) -> None:
        """subject_of: what belongs together wherever it is, as for CellIndex."""
        self._subject_of = subject_of
        self._shelves: list[_Shelf] = []
        self._count = 0
        self._newest_ms = 0

    def __len__(self) -> int:
        """Return how many claims rest."""
        return self._count

    def __iter__(self) -> Iterator[Observation]:
        """Yield all of them."""
        for shelf in self._shelves:
            yield from (one for one, _ in self._claims(shelf, np.flatnonzero(shelf.here)))

    def get(self, name: str) -> Observation | None:
        """Return the claim of an id; None = it does not rest here."""
        for shelf, rows in self._named(name):
            for one, _ in self._claims(shelf, rows):
                if one.observation_id == name:
                    return one
        return None

    def put(self, units: Sequence[Unit]) -> None:
        """Let units rest."""
        by_slot: dict[int, list[Unit]] = {}
        for unit in units:
            by_slot.setdefault(unit[-1][0].at_ms // SLOT_MS, []).append(unit)
        for slot in sorted(by_slot):
            self._put_in_slot(slot, by_slot[slot])

    def take_named(self, one: Observation) -> list[Unit]:
        """Take out the unit of an observation's id and time, and seldom another one."""
        if one.at_ms > self._newest_ms:
            return []
        found = self._named(one.observation_id, one.at_ms)
        return [unit for shelf, rows in found for unit in self._take(shelf, shelf.units(rows))]

    def take_part(self, part: str) -> list[Unit]:
        """Take out the units with a claim of a checkpoint part."""
        found: list[Unit] = []
        for shelf in list(self._shelves):
            if part in shelf.parts:
                found += self._take(shelf, shelf.units(np.flatnonzero(shelf.part == shelf.parts.index(part))))
        return found

    def take_around(self, one: Observation, reach_m: float, from_ms: int, until_ms: int) -> list[Unit]:
        """Take out the units with a claim up to `reach_m` from an observation that is of that time, and some others."""
        if from_ms > self._newest_ms:
            return []
        found: list[Unit] = []
        first, last = (np.array(each, np.uint32) for each in self._squares_around(one, reach_m))
        for shelf in [each for each in self._shelves if each.begin_ms <= until_ms and each.end_ms >= from_ms]:
            starts = np.searchsorted(shelf.square, first).tolist()
            ends = np.searchsorted(shelf.square, last, side="right").tolist()
            spans = [shelf.by_square[start:end] for start, end in zip(starts, ends, strict=True) if start < end]
            if not spans:
                continue
            rows = np.concatenate(spans).astype(np.int64)
            at_ms = shelf.begin_ms + shelf.at_ms[rows].astype(np.int64)
            rows = rows[(at_ms >= from_ms) & (at_ms <= until_ms)]
            found += self._take(shelf, shelf.units(rows)) if len(rows) else []
        return found

    def take_before(self, until_ms: int) -> list[Unit]:
        """Take out the units whose newest claims are of before a time."""
        found: list[Unit] = []
        for shelf in list(self._shelves):
            end = int(np.searchsorted(shelf.latest_ms, until_ms))
            if end > shelf.first:
                due, shelf.first = np.arange(shelf.first, end), end
                rows = np.flatnonzero((shelf.unit >= due[0]) & (shelf.unit <= due[-1]))
                found += self._take(shelf, shelf.units(rows))
        return found

    def first_ms(self) -> int | None:
        """Return a time up to the newest claim of the unit that `take_before` gives first; None = nothing rests."""
        return min((int(shelf.latest_ms[shelf.first]) for shelf in self._shelves), default=None)

    def _put_in_slot(self, slot: int, units: list[Unit]) -> None:
        """Put units on shelves; small shelves of the slot become one, as each is looked through."""
        if sum(map(len, units)) < SMALL:
            for shelf in [each for each in self._shelves if each.slot == slot and each.left < SMALL]:
                units += self._take(shelf, shelf.units(np.arange(len(shelf.unit))))
        some: list[Unit] = []
        count = 0
        for unit in sorted(units, key=lambda unit: unit[-1][0].at_ms):
            if count + len(unit) > MOST:
                self._put(slot, some)
                some, count = [], 0
            some.append(unit)
            count += len(unit)
        self._put(slot, some)

    def _put(self, slot: int, units: Sequence[Unit]) -> None:
        if not units:
            return
        claims = [one for unit in units for one, _ in unit]
        keys = [key for unit in units for _, key in unit]
        parts = tuple(dict.fromkeys(keys))
        number = {part: at for at, part in enumerate(parts)}
        at_ms = np.array([one.at_ms for one in claims], np.int64)
        square = self._squares(claims)
        by_square = np.argsort(square, kind="stable")
        self._shelves.append(
            _Shelf(
                slot=slot,
                pieces=[_packed(claims[start : start + BLOCK]) for start in range(0, len(claims), BLOCK)],
                begin_ms=int(at_ms.min()),
                end_ms=int(at_ms.max()),
                at_ms=(at_ms - at_ms.min()).astype(np.uint32),
                square=square[by_square],
                by_square=by_square.astype(np.uint16),
                name=np.array([hash(one.observation_id) & 0xFFFF_FFFF for one in claims], np.uint32),
                part=np.array([number[key] for key in keys], np.uint16),
                unit=np.repeat(np.arange(len(units), dtype=np.uint16), [len(unit) for unit in units]),
                here=np.ones(len(claims), bool),
                latest_ms=np.array([unit[-1][0].at_ms for unit in units], np.int64),
                parts=parts,
                left=len(claims),
            )
        )
        self._count += len(claims)
        self._newest_ms = max(self._newest_ms, int(at_ms.max()))

    def _take(self, shelf: _Shelf, units: IntArray) -> list[Unit]:
        """Take units out of a shelf."""
        if not len(units):
            return []
        rows = np.flatnonzero(np.isin(shelf.unit, units))
        found: dict[int, list[tuple[Observation, str]]] = {}
        for unit, claim in zip(shelf.unit[rows].tolist(), self._claims(shelf, rows), strict=True):
            found.setdefault(unit, []).append(claim)
        shelf.here[rows] = False
        shelf.left -= len(rows)
        self._count -= len(rows)
        if not shelf.left:
            self._shelves.remove(shelf)
        return list(found.values())

    def _claims(self, shelf: _Shelf, rows: IntArray) -> Iterator[tuple[Observation, str]]:
        """Yield claims of a shelf by ascending rows, with their parts."""
        number, piece = -1, []
        for row, part in zip(rows.tolist(), shelf.part[rows].tolist(), strict=True):
            if row // BLOCK != number:
                number = row // BLOCK
                piece = _unpacked(shelf.pieces[number])
            yield Observation(**dict(zip(_FIELDS, piece[row % BLOCK], strict=True))), shelf.parts[part]

    def _named(self, name: str, at_ms: int | None = None) -> Iterator[tuple[_Shelf, IntArray]]:
        """Yield where claims are that have the hash of an id, of a time where that is known."""
        if at_ms is not None and at_ms > self._newest_ms:
            return
        upper = np.uint32(hash(name) & 0xFFFF_FFFF)
        for shelf in list(self._shelves):
            if at_ms is None or shelf.begin_ms <= at_ms <= shelf.end_ms:
                rows = np.flatnonzero((shelf.name == upper) & shelf.here)
                if len(rows):
                    yield shelf, rows

    def _squares(self, claims: Sequence[Observation]) -> npt.NDArray[np.uint32]:
        """Return of n claims the square, row before column, or of a subject the hash."""
        if self._subject_of is not None:
            return np.array([hash(subject) & 0xFFFF_FFFF for subject in map(self._subject_of, claims)], np.uint32)
        places_deg = np.array([(one.latitude_deg, one.longitude_deg) for one in claims])
        rows, columns = np.floor(places_deg * SQUARES_PER_DEG).astype(np.int64).T
        squares: npt.NDArray[np.uint32] = ((rows & 0xFFFF) << 16 | (columns & 0xFFFF)).astype(np.uint32)
        return squares

    def _squares_around(self, one: Observation, reach_m: float) -> tuple[list[int], list[int]]:
        """Return the first and the last square of each row of what is up to `reach_m` from a claim."""
        if self._subject_of is not None:
            only = [hash(self._subject_of(one)) & 0xFFFF_FFFF]
            return only, only
        north_deg = reach_m / METRES_PER_DEG + MARGIN_DEG
        east_deg = north_deg / max(cos(radians(abs(one.latitude_deg) + north_deg)), 0.01)
        south, north = (floor((one.latitude_deg + side * north_deg) * SQUARES_PER_DEG) for side in (-1, 1))
        west, east = (floor((one.longitude_deg + side * east_deg) * SQUARES_PER_DEG) for side in (-1, 1))
        first, last = [], []
        for row in range(south, min(north, south + 0xFFFF) + 1):
            begin = (row & 0xFFFF) << 16
            if (west & 0xFFFF) <= (east & 0xFFFF) and east - west < 0x1_0000:
                columns = [(west & 0xFFFF, east & 0xFFFF)]
            else:  # around the end of the numbers
                columns = [(0, east & 0xFFFF), (west & 0xFFFF, 0xFFFF)] if east - west < 0x1_0000 else [(0, 0xFFFF)]
            first += [begin | low for low, _ in columns]
            last += [begin | high for _, high in columns]
        return first, last


def _packed(claims: Sequence[Observation]) -> bytes:
    """Return claims as bytes, value by value: what is alike lies together."""
    return zlib.compress(msgspec.msgpack.encode(list(zip(*map(_VALUES, claims), strict=True))), 1)


def _unpacked(piece: bytes) -> list[tuple[Any, ...]]:
    """Return the values of claims, each a tuple in the order of the fields."""
    return list(zip(*msgspec.msgpack.decode(zlib.decompress(piece)), strict=True))
