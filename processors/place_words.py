"""The ids of a city's places as a dictionary, and the places that a device's words name."""

from collections.abc import Iterable
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from processors.batches import IntArray
from schemas.dictionary import Dictionary, DictionaryArray

NOWHERE: Final = -1
"""The index of no place."""


class Words:
    """The ids of m places; "" stands for none of them and is number 0 of their dictionary."""

    def __init__(self, ids: Iterable[str]) -> None:
        """Number the ids."""
        words = [b"", *(text.encode() for text in ids)]
        self._dictionary = Dictionary()
        self._numbers = self._dictionary.numbers(words)
        self._index = {word: index for index, word in enumerate(words[1:])}
        self._known: WeakKeyDictionary[Dictionary, npt.NDArray[np.int64]] = WeakKeyDictionary()
        """What is known of other dictionaries: the place that each of their words names."""

    def array(self, index: IntArray) -> DictionaryArray:
        """Return the ids of n places by index, "" for NOWHERE."""
        return DictionaryArray(self._numbers[index + 1], self._dictionary)

    def places(self, texts: DictionaryArray) -> IntArray:
        """Return the places (n,) that n texts name, NOWHERE where there is no such place."""
        known = self._known.get(texts.dictionary)
        have = 0 if known is None else len(known)
        if known is None or have < len(texts.dictionary):
            fresh = texts.dictionary.words[have:].tolist()
            found = np.array([self._index.get(word, NOWHERE) for word in fresh], np.int64)
            known = found if known is None else np.concatenate([known, found])
            self._known[texts.dictionary] = known
        places: IntArray = known[texts.numbers]
        return places
