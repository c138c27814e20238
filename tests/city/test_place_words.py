import gc

import numpy as np

from processors.place_words import NOWHERE, Words
from schemas.dictionary import Dictionary, DictionaryArray, dictionary_array

WORDS = Words(["32", "BRT01", "đường"])


def test_array_gives_ids_and_nothing_is_number_0() -> None:
    array = WORDS.array(np.array([2, NOWHERE, 0]))
    assert array.tolist() == ["đường", "", "32"]
    assert (array.numbers == 0).tolist() == [False, True, False]


def test_places_of_words_known_and_unknown() -> None:
    assert WORDS.places(dictionary_array(["BRT01", "", "999", "32", "đường"])).tolist() == [1, -1, -1, 0, 2]


def test_places_follow_a_dictionary_that_grows() -> None:
    dictionary = Dictionary([b"?", b"32"])
    assert WORDS.places(DictionaryArray(np.array([1, 0]), dictionary)).tolist() == [0, -1]
    dictionary.numbers([b"BRT01", b"!"])
    assert WORDS.places(DictionaryArray(np.array([2, 1, 3]), dictionary)).tolist() == [1, 0, -1]


def test_dictionaries_are_not_kept_alive() -> None:
    words = Words(["a"])
    words.places(dictionary_array(["a"]))
    gc.collect()
    assert len(words._known) == 0
