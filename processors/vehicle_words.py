"""Vehicle words: what a position says in words, as one text a position, so that a history keeps it in four bytes.

The class and the line; where a mark tells more, what it is about: the stop and the trip, the zone, the limit, the
usual speed. There are few different ones, so each is put together once.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray, PositionBatch
from processors.city import City
from processors.marks import FAST, FORBIDDEN, OWN_STOP, SLOW, Marked
from processors.streets import CLASSES
from schemas.dictionary import Dictionary, DictionaryArray, IndexArray

SEPARATOR: Final = "\x1f"
"""No sound id holds a control character."""

TELLING: Final = OWN_STOP | FORBIDDEN | FAST | SLOW
"""Marks of which words tell what they are about: a stop and a trip, a zone, a limit, a way and its usual speed."""

CLASS_NUMBERS: Final = 16
"""Room for the numbers of classes."""
assert len(CLASSES) <= CLASS_NUMBERS

MOST_WORDS: Final = 1 << 18
"""Different ones that are kept; then they are put together anew."""

WordArray = npt.NDArray[np.int32]
"""Numbers of words."""


@dataclass(frozen=True, slots=True)
class VehicleWord:
    """What one position says in words; "" and 0 = nothing."""

    vehicle_class: str = ""
    line_id: str = ""
    stop_id: str = ""
    trip_id: str = ""
    zone_id: str = ""
    limit_kmh: int = 0
    way: str = ""
    """line/direction, its own or that of the street"""
    normal_cm_s: int = 0
    """the usual speed there"""

    def text(self) -> str:
        """Return it as one text."""
        parts = (self.vehicle_class, self.line_id, self.stop_id, self.trip_id, self.zone_id)
        numbers = (str(self.limit_kmh or ""), self.way, str(self.normal_cm_s or ""))
        return SEPARATOR.join((*parts, *numbers)).rstrip(SEPARATOR)


@lru_cache(maxsize=4_096)
def read_word(text: str) -> VehicleWord:
    """Return what a text says."""
    kind, line, stop, trip, zone, limit, way, normal = [*text.split(SEPARATOR), *[""] * 7][:8]
    return VehicleWord(kind, line, stop, trip, zone, int(limit or 0), way, int(normal or 0))


def read_words(told: DictionaryArray, row: IntArray) -> list[VehicleWord]:
    """Return what those rows (n,) of texts say."""
    return [read_word(word.decode()) for word in told[row].words().tolist()]


class VehicleWords:
    """Puts words together. What it keeps only saves time."""

    def __init__(self) -> None:
        """Start with none."""
        self._start_over(DictionaryArray(np.zeros(0, np.int32), Dictionary()), DictionaryArray(
            np.zeros(0, np.int32), Dictionary()), None)  # fmt: skip

    def _start_over(self, line_id: DictionaryArray, trip_id: DictionaryArray, city: City | None) -> None:
        self._lines, self._trips = line_id.dictionary, trip_id.dictionary
        self._streets = None if city is None else city.streets
        self._keys, self._words = Dictionary(), Dictionary()
        self._told: WordArray = np.zeros(0, np.int32)
        """The words of keys, by the keys' numbers."""
        self._plain: WordArray = np.zeros(0, np.int32)
        """Those of a line's number and a class, -1 = not put together yet."""

    def of(self, batch: PositionBatch, found: Marked, city: City) -> DictionaryArray:
        """Return the words (n,) of n positions with those marks."""
        known = self._lines is batch.line_id.dictionary and self._trips is batch.trip_id.dictionary
        if not known or self._streets is not city.streets or len(self._keys) > MOST_WORDS:
            self._start_over(batch.line_id, batch.trip_id, city)
        tells = (found.marks & TELLING) != 0
        plain = batch.line_id.numbers * CLASS_NUMBERS + batch.vehicle_class.numbers
        number = self._plain_words(plain, tells, batch, found, city)
        row = tells.nonzero()[0]
        if len(row):
            number[row] = self._told_words(row, batch, found, city)
        return DictionaryArray(number, self._words)

    def _plain_words(
        self, plain: IndexArray, tells: BoolArray, batch: PositionBatch, found: Marked, city: City
    ) -> WordArray:
        """Return the words (n,) of those that say no more than a line and a class, -1 where others alone say these."""
        more = len(self._lines) * CLASS_NUMBERS - len(self._plain)
        if more > 0:
            self._plain = np.pad(self._plain, (0, more), constant_values=-1)
        number: WordArray = self._plain.take(plain)
        new = ((number < 0) & ~tells).nonzero()[0]
        if len(new):
            place, first = np.unique(plain.take(new), return_index=True)
            self._plain[place] = self._put_together(new.take(first), batch, found, city)
            number = self._plain.take(plain)
        return number

    def _told_words(self, row: IntArray, batch: PositionBatch, found: Marked, city: City) -> WordArray:
        """Return the words (k,) of those rows, which say more."""
        stop, way, normal_cm_s = found.stop.take(row), found.way.take(row), found.normal_cm_s.take(row)
        key = np.empty((len(row), 2), np.uint64)
        key[:, 0] = batch.line_id.numbers.take(row).astype(np.uint64) << np.uint64(32)
        served = stop >= 0
        key[:, 0] |= np.where(served, batch.trip_id.numbers.take(row), 0).astype(np.uint64)
        place = np.where(served, stop + 1, normal_cm_s)  # who is slow is at no stop
        rest = batch.vehicle_class.numbers.take(row) | (way + 1) << 4 | place << 24 | (found.zone.take(row) + 1) << 42
        key[:, 1] = (rest | found.limit_kmh.take(row) << 52).astype(np.uint64)
        number = self._keys.numbers(key.view("S16")[:, 0])
        have = len(self._told)
        if len(self._keys) > have:
            new = (number >= have).nonzero()[0]
            _, first = np.unique(number.take(new), return_index=True)
            fresh = self._put_together(row.take(new.take(first)), batch, found, city)
            self._told = np.concatenate([self._told, fresh])
        return self._told.take(number)

    def _put_together(self, rows: IntArray, batch: PositionBatch, found: Marked, city: City) -> WordArray:
        """Put the words of some positions together."""
        return self._words.numbers([_word(row, batch, found, city).text().encode() for row in rows.tolist()])


def _word(row: int, batch: PositionBatch, found: Marked, city: City) -> VehicleWord:
    stop, zone, way = (int(column[row]) for column in (found.stop, found.zone, found.way))
    return VehicleWord(
        vehicle_class=str(CLASSES[int(batch.vehicle_class.numbers[row])]),
        line_id=batch.line_id.text(row),
        stop_id="" if stop < 0 else city.stops[stop].stop_id,
        trip_id="" if stop < 0 else batch.trip_id.text(row),
        zone_id="" if zone < 0 else city.streets.no_stopping.zones[zone].zone_id,
        limit_kmh=int(found.limit_kmh[row]),
        way="" if way < 0 else f"{city.lines[way >> 1].line_id}/{way & 1}",
        normal_cm_s=int(found.normal_cm_s[row]),
    )
