"""Dictionaries: numbers as if every word had been looked up by itself, in the order of the words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import dictionary
from schemas.columns import pack, unpack
from schemas.dictionary import FEW, Dictionary, DictionaryArray, dictionary_array, joined

WORDS = st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12), max_size=60)


@given(st.lists(WORDS, max_size=6))
def test_numbers_are_those_of_words_taken_one_by_one(batches: list[list[str]]) -> None:
    dictionary, plain = Dictionary(), dict[bytes, int]()
    for batch in batches:
        words = [word.encode() for word in batch]
        assert dictionary.numbers(words).tolist() == [plain.setdefault(word, len(plain)) for word in words]
    assert dictionary.words.tolist() == list(plain)
    assert all(dictionary.find(word) == number for word, number in plain.items())
    assert dictionary.find(b"\x01never seen") is None
    assert len(dictionary) == len(plain)


def test_many_words_grow_the_table_and_keep_their_numbers() -> None:
    words = np.array([f"30F-{number}".encode() for number in range(50_000)])
    dictionary = Dictionary(words[:10])
    assert dictionary.numbers(words).tolist() == list(range(50_000))
    assert dictionary.numbers(words[::-1]).tolist() == list(range(49_999, -1, -1))
    longer = b"a name longer than any before it"
    assert dictionary.numbers([longer, words[7]]).tolist() == [50_000, 7]
    assert dictionary.word(50_000) == longer.decode()


@pytest.mark.parametrize("width", [3, 20, 900])
def test_few_words_are_found_as_many_are(width: int) -> None:
    words = [str(number).encode() * (width // 3) for number in range(100, 100 + 3 * FEW)]
    many = Dictionary(words)
    assert [many.numbers(words[at : at + FEW // 3]).tolist() for at in (0, 5, 2 * FEW)] == [
        list(range(at, at + FEW // 3)) for at in (0, 5, 2 * FEW)
    ]
    few = Dictionary()
    for at in range(0, len(words), 16):
        few.numbers(words[at : at + 16])
    assert few.numbers(words).tolist() == list(range(len(words)))
    assert few.find(b"absent") is None


def test_words_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "_hashed", lambda words: np.zeros(len(words), np.uint64))
    found = Dictionary()
    assert found.numbers([b"a", b"b", b"a", b"c"]).tolist() == [0, 1, 0, 2]
    assert found.numbers([b"d", b"c", b"d", b"b"]).tolist() == [3, 2, 3, 1]
    assert found.words.tolist() == [b"a", b"b", b"c", b"d"]


@given(WORDS)
def test_texts_survive_the_wire(texts: list[str]) -> None:
    array = dictionary_array(texts)
    assert array.tolist() == texts
    (column,) = pack({"a": array})
    back = unpack([column])["a"]
    assert isinstance(back, DictionaryArray)
    assert back.tolist() == texts
    assert sorted(back.dictionary.words.tolist()) == sorted({text.encode() for text in texts})


@given(WORDS, WORDS)
def test_arrays_of_one_and_of_two_dictionaries_are_joined(first: list[str], second: list[str]) -> None:
    one, other = dictionary_array(first), dictionary_array(second)
    assert joined([one, other]).tolist() == first + second
    both = dictionary_array(first + second)
    assert joined([both[: len(first)], both[len(first) :]]).tolist() == first + second
    assert both[np.arange(len(both)) % 2 == 0].tolist() == (first + second)[::2]
