"""Words of several dictionaries by the numbers of one: each is looked up once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.dictionary import Dictionary, DictionaryArray

NumberArray = npt.NDArray[np.int32]


class OwnWords:
    """A dictionary and what is known of others: which of their words has which number in it."""

    def __init__(self, cut: Callable[[bytes], bytes] | None = None) -> None:
        """cut: what is kept of a word; None = all of it."""
        self.dictionary = Dictionary()
        self._cut = cut
        self._known: dict[str, tuple[Dictionary, NumberArray]] = {}

    def numbers(self, source: str, told: Any) -> NumberArray:
        """Return texts (n,) as numbers. source: tells apart who uses another dictionary each."""
        if not isinstance(told, DictionaryArray):
            return self.dictionary.numbers([text.encode() for text in told.tolist()])
        dictionary, own = self._known.get(source, (None, np.zeros(0, np.int32)))
        if dictionary is not told.dictionary or len(own) < len(told.dictionary):
            have = own if dictionary is told.dictionary else own[:0]
            own = np.pad(have, (0, len(told.dictionary) - len(have)), constant_values=-1)
            self._known[source] = told.dictionary, own
        numbers = own[told.numbers]
        if (numbers < 0).any():
            new = np.unique(told.numbers[numbers < 0])
            words = told.dictionary.words[new]
            own[new] = self.dictionary.numbers(words if self._cut is None else list(map(self._cut, words.tolist())))
            numbers = own[told.numbers]
        return numbers

    def keep(self, numbers: NumberArray) -> None:
        """Keep only those words (m,), which get the numbers 0 to m - 1."""
        self.dictionary = Dictionary.of_distinct(self.dictionary.words[numbers])
        self._known = {}
