"""Packing: what a history remembers of a record as a few bytes, with texts by number."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import HashArray
from processors.key_blocks import RowArray
from processors.rows import Columns
from schemas.dictionary import Dictionary, DictionaryArray

TIE: Final = "tie"
"""The column that tells records of one key and time apart; not every record type has it."""

MARKS: Final = "marks"
"""The column of what a record says by itself, as bits; not every record type has it."""

SPARE: Final = 1024
"""Words that nobody tells any more and that are kept at least, so that few of them cause no work."""


class Packing:
    """How rows of some columns are packed. Besides the columns a row has `order` and `content_hash`, 4 bytes each.

    dtypes: the columns by name; DictionaryArray = text.
    """

    def __init__(self, dtypes: Mapping[str, Any]) -> None:
        self._words = {name: Dictionary() for name, dtype in dtypes.items() if dtype is DictionaryArray}
        self._others: dict[str, tuple[Dictionary, npt.NDArray[np.int32]]] = {}
        """The dictionary in which a text was last told, and its words' numbers in the own one, -1 = not looked up."""
        self._limits = dict.fromkeys(self._words, SPARE)
        self._dtypes = {name: np.int32 if name in self._words else dtype for name, dtype in dtypes.items()}
        self.dtype = np.dtype([("order", np.uint32), ("content_hash", np.uint32), *self._dtypes.items()])
        self.has_tie: Final = TIE in dtypes
        self.has_marks: Final = MARKS in dtypes

    def pack(self, content_hash: HashArray, tie: HashArray, columns: Columns) -> RowArray:
        """Return n rows; `order` is to be set, of the content hash the lower half is kept."""
        packed = np.empty(len(content_hash), self.dtype)
        packed["content_hash"] = content_hash.astype(np.uint32)
        for name in self._dtypes:
            values = tie if name == TIE else columns[name]
            packed[name] = self._numbers(name, values) if isinstance(values, DictionaryArray) else values
        return packed.view(f"V{self.dtype.itemsize}")

    def columns(self, rows: RowArray) -> dict[str, npt.NDArray[Any]]:
        """Return the columns of n rows that are no texts, and `content_hash`."""
        fields = rows.view(self.dtype)
        names = ("content_hash", *(name for name in self._dtypes if name not in self._words))
        return {name: np.ascontiguousarray(fields[name]) for name in names}

    def texts(self, rows: RowArray) -> dict[str, DictionaryArray]:
        """Return the texts of n rows."""
        fields = rows.view(self.dtype)
        return {name: DictionaryArray(fields[name], words) for name, words in self._words.items()}

    def order(self, rows: RowArray) -> npt.NDArray[np.uint32]:
        """Return the `order` of n rows, to read and to write."""
        order: npt.NDArray[np.uint32] = rows.view(self.dtype)["order"]
        return order

    def marks(self, rows: RowArray) -> npt.NDArray[np.uint16]:
        """Return the marks of n rows."""
        marks: npt.NDArray[np.uint16] = rows.view(self.dtype)[MARKS]
        return marks

    @property
    def has_many_words(self) -> bool:
        """Whether there may be words that nobody tells any more."""
        return any(len(words) > self._limits[name] for name, words in self._words.items())

    def forget_words(self, pieces: Sequence[RowArray]) -> None:
        """Drop the words that none of all the rows tells any more, so that invented ones do not fill the memory."""
        for name, dictionary in list(self._words.items()):
            if len(dictionary) > self._limits[name]:
                numbers = [rows.view(self.dtype)[name] for rows in pieces]
                place, words = DictionaryArray(np.concatenate(numbers), dictionary).compact()
                ends = np.cumsum([len(own) for own in numbers])
                for own, new in zip(numbers, np.split(place, ends[:-1]), strict=True):
                    own[:] = new
                self._words[name] = Dictionary.of_distinct(words)
                self._others.pop(name, None)
                self._limits[name] = 2 * len(words) + SPARE

    def _numbers(self, name: str, told: DictionaryArray) -> npt.NDArray[np.int32]:
        """Return texts (n,) as numbers of the own dictionary; a word of the other one is looked up once."""
        dictionary, own = self._others.get(name, (None, np.zeros(0, np.int32)))
        if dictionary is not told.dictionary or len(own) < len(told.dictionary):
            have = own if dictionary is told.dictionary else own[:0]
            own = np.pad(have, (0, len(told.dictionary) - len(have)), constant_values=-1)
            self._others[name] = told.dictionary, own
        numbers = own[told.numbers]
        if (numbers < 0).any():
            new = np.unique(told.numbers[numbers < 0])
            own[new] = self._words[name].numbers(told.dictionary.words[new])
            numbers = own[told.numbers]
        return numbers
