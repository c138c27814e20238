"""Dictionary-coded text: what Arrow calls a dictionary array and pandas a categorical."""

import itertools
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.integer[Any]]
BytesArray = npt.NDArray[np.bytes_]
"""dtype S, every item the UTF-8 bytes of a text."""


WORD_BYTES: Final = 8
_ODD: Final = tuple(np.uint64(secrets.randbits(64) | 1) for _ in range(64))
"""Multipliers of the hash, another for each eight bytes; chosen by chance so that nobody can make ids collide.

They decide where a word is found, never which number it has.
"""

_ODDS: Final = np.array(_ODD)
FEW: Final = 128
"""Up to so many words it is faster to look at all bytes of all of them than at one column after the other."""


class Dictionary:
    """Distinct words (UTF-8 bytes that do not end in NUL), numbered from 0 in the order they first came.

    It only grows: a number never changes its meaning, so arrays of numbers can share one dictionary.
    An open-addressing hash table over the words' bytes, so that whole arrays are looked up at once.
    """

    def __init__(self, words: Sequence[bytes] | BytesArray = ()) -> None:
        """Number the words from 0; a repeated one keeps its first number."""
        self._bytes = np.zeros((0, 1), np.uint64)
        self._count = 0
        self._table = np.zeros(0, np.int32)
        self._placed = 0
        if len(words):
            self.numbers(words)

    @classmethod
    def of_distinct(cls, words: BytesArray) -> "Dictionary":
        """Number words (m,) that are known to be distinct, without looking."""
        dictionary = cls()
        dictionary._bytes, dictionary._count = dictionary._as_integers(words), len(words)
        return dictionary

    def __len__(self) -> int:
        """Return m, how many words there are."""
        return self._count

    @property
    def words(self) -> BytesArray:
        """The words (m,) by number."""
        room: BytesArray = self._bytes.view(f"S{WORD_BYTES * self._bytes.shape[1]}")[:, 0]
        return room[: self._count]

    def word(self, number: int) -> str:
        """Return one word as text."""
        word: bytes = self.words[number]
        return word.decode()

    def numbers(self, words: Sequence[bytes] | BytesArray) -> npt.NDArray[np.int32]:
        """Return the numbers (n,) of n words; new ones are added in the order in which they come."""
        if not len(words):
            return np.zeros(0, np.int32)
        wanted = self._as_integers(words)
        number = self._look_up(wanted)
        missing = (number < 0).nonzero()[0]
        while len(missing):
            fresh, before = wanted[missing], self._count
            _, first = np.unique(_hashed(fresh), return_index=True)
            self._append(fresh[np.sort(first)])
            if len(first) == len(fresh):  # usual, and nothing needs to be looked up again
                number[missing] = np.arange(before, self._count, dtype=np.int32)
                break
            number[missing] = self._look_up(fresh)
            missing = missing[number[missing] < 0]  # of words of one hash only the first was added
        return number

    def find(self, word: bytes) -> int | None:
        """Return the number of a word, None when it is not there; nothing is added."""
        number = int(self._look_up(self._as_integers([word]))[0])
        return None if number < 0 else number

    def _as_integers(self, words: Sequence[bytes] | BytesArray) -> npt.NDArray[np.uint64]:
        """Return the bytes of n words as (n, k), all as wide as the words that are kept."""
        array = np.asarray(words, dtype=np.bytes_)
        if array.itemsize > WORD_BYTES * self._bytes.shape[1]:
            array = narrowed(array)
        width = -(-array.itemsize // WORD_BYTES)
        have = self._bytes.shape[1]
        if width > have:
            wider = np.zeros((len(self._bytes), width), np.uint64)
            wider[:, :have] = self._bytes
            self._bytes = wider
        padded = np.ascontiguousarray(array, dtype=f"S{WORD_BYTES * max(width, have)}")
        return padded.view(np.uint64).reshape(len(padded), max(width, have))

    def _look_up(self, wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return the numbers (n,) of n words, -1 = absent."""
        if not self._count:
            return np.full(len(wanted), -1, np.int32)
        if self._placed < self._count:
            self._place_new()
        last = len(self._table) - 1
        place = (_hashed(wanted) & np.uint64(last)).astype(np.int64)
        number = self._table[place]
        astray = ((number >= 0) & self._differ(number, wanted)).nonzero()[0]
        while len(astray):
            place[astray] = (place[astray] + 1) & last
            number[astray] = found = self._table[place[astray]]
            astray = astray[(found >= 0) & self._differ(found, wanted[astray])]
        return number

    def _differ(self, number: npt.NDArray[np.int32], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Say which (n,) of the words of those numbers are not the n wanted ones."""
        if len(number) <= FEW:
            return np.asarray((self._bytes[number] != wanted).any(axis=1))
        differ: npt.NDArray[np.bool_] = self._bytes[number, 0] != wanted[:, 0]
        for column in range(1, wanted.shape[1]):
            differ |= self._bytes[number, column] != wanted[:, column]
        return differ

    def _append(self, fresh: npt.NDArray[np.uint64]) -> None:
        """Number distinct new words; the table learns of them when one is looked up."""
        total = self._count + len(fresh)
        if total > len(self._bytes):
            room = np.zeros((2 * total, self._bytes.shape[1]), np.uint64)
            room[: self._count] = self._bytes[: self._count]
            self._bytes = room
        self._bytes[self._count : total] = fresh
        self._count = total

    def _place_new(self) -> None:
        """Put new words into the table: of several that want one free place the last wins, the others look further."""
        if 2 * self._count > len(self._table):
            self._table = np.full(max(4 << self._count.bit_length(), 64), -1, np.int32)
            self._placed = 0
        numbers = np.arange(self._placed, self._count, dtype=np.int32)
        self._placed, last = self._count, len(self._table) - 1
        place = (_hashed(self._bytes[numbers]) & np.uint64(last)).astype(np.int64)
        while len(numbers):
            free = self._table[place] < 0
            self._table[place[free]] = numbers[free]
            left = self._table[place] != numbers
            numbers, place = numbers[left], (place[left] + 1) & last


@dataclass(frozen=True, slots=True, eq=False)
class DictionaryArray:
    """n texts as numbers (n,) of words of a dictionary."""

    numbers: IndexArray
    dictionary: Dictionary

    def __len__(self) -> int:
        """Return n."""
        return len(self.numbers)

    def __getitem__(self, rows: npt.NDArray[Any] | slice) -> "DictionaryArray":
        """Return those rows (indices or a mask), in that order."""
        return DictionaryArray(self.numbers[rows], self.dictionary)

    def words(self) -> BytesArray:
        """Return the texts (n,) as UTF-8 bytes."""
        found: BytesArray = self.dictionary.words[self.numbers]
        return found

    def text(self, row: int) -> str:
        """Return one text."""
        return self.dictionary.word(int(self.numbers[row]))

    def texts(self) -> npt.NDArray[np.object_]:
        """Return the texts (n,) as str; for few rows, it is slow."""
        if len(self.numbers) <= FEW:
            texts = np.empty(len(self.numbers), dtype=object)
            texts[:] = [word.decode() for word in self.words().tolist()]
            return texts
        used, inverse = np.unique(self.numbers, return_inverse=True)
        decoded = np.array([self.dictionary.word(number) for number in used.tolist()], dtype=object)
        return decoded[inverse] if len(used) else np.empty(0, dtype=object)

    def tolist(self) -> list[str]:
        """Return the texts as a list of str."""
        texts: list[str] = self.texts().tolist()
        return texts

    def compact(self) -> tuple[IndexArray, BytesArray]:
        """Return the words that occur (m,), in the order they first do, and the texts as numbers (n,) of them.

        The narrowest unsigned dtype is taken. What is returned depends on the texts alone.
        """
        words, rows = self.dictionary.words, np.arange(len(self.numbers), dtype=np.int32)
        first = np.empty(len(words), np.int32)  # only what is written is read: a large dictionary costs nothing
        first[self.numbers[::-1]] = rows[::-1]  # of several rows of one word the first is written last
        used = self.numbers[first[self.numbers] == rows]
        place = np.empty(len(words), np.min_scalar_type(max(len(used) - 1, 0)))
        place[used] = np.arange(len(used))
        return place[self.numbers], narrowed(words[used])


def storable(word: bytes) -> bytes:
    """Return a word without NUL, which no sound text has and no dictionary keeps; it is no sounder than before."""
    return word.replace(b"\0", b"\x01")


def narrowed(words: BytesArray) -> BytesArray:
    """Return words (m,) in items no wider than the longest needs, in steps of eight bytes."""
    width = -(-words.itemsize // WORD_BYTES)
    wide = np.ascontiguousarray(words, dtype=f"S{WORD_BYTES * width}").view(np.uint64).reshape(len(words), width)
    filled = np.flatnonzero(wide.any(axis=0))
    return words.astype(f"S{WORD_BYTES * (int(filled[-1]) + 1 if len(filled) else 1)}")


def _hashed(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a hash (n,) of the bytes (n, k) of n words that zeros at their end do not change."""
    if len(words) <= FEW and words.shape[1] <= len(_ODD):
        each = (words ^ (words >> np.uint64(31))) * _ODDS[: words.shape[1]]
        mixed: npt.NDArray[np.uint64] = each.sum(axis=1, dtype=np.uint64)
        return mixed ^ (mixed >> np.uint64(29))
    mixed = np.zeros(len(words), np.uint64)
    for column, odd in zip(words.T, itertools.cycle(_ODD)):
        mixed += (column ^ (column >> np.uint64(31))) * odd
    return mixed ^ (mixed >> np.uint64(29))


def dictionary_array(texts: Iterable[str]) -> DictionaryArray:
    """Return texts that do not end in NUL as a dictionary array over a dictionary of their own."""
    number: dict[str, int] = {}
    numbers = np.array([number.setdefault(text, len(number)) for text in texts], np.int32)
    return DictionaryArray(numbers, Dictionary.of_distinct(np.array([text.encode() for text in number], np.bytes_)))


def joined(pieces: Sequence[DictionaryArray]) -> DictionaryArray:
    """Return at least one array end to end; those that share a dictionary are joined by number."""
    dictionary = pieces[0].dictionary
    if all(piece.dictionary is dictionary for piece in pieces):
        return DictionaryArray(np.concatenate([piece.numbers for piece in pieces]), dictionary)
    common = Dictionary()
    numbers = []
    for piece in pieces:
        number, words = piece.compact()
        numbers.append(common.numbers(words)[number])
    return DictionaryArray(np.concatenate(numbers), common)
