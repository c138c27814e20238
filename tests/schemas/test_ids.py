import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import SHARDS, content_id, murmur2, murmur2_of_words, shard_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ],
)
def test_murmur2_is_kafkas(key: str, signed: int) -> None:
    assert murmur2(key.encode()) == signed % 2**32


@given(st.text(max_size=40), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
def test_shard_modulo_partitions_is_kafkas_partition(device_id: str, partitions: int) -> None:
    kafkas = (murmur2(device_id.encode()) & 0x7FFFFFFF) % partitions
    assert shard_of(device_id) % partitions == kafkas
    assert 0 <= shard_of(device_id) < SHARDS


def test_content_id_depends_on_the_parts_alone() -> None:
    assert content_id("o", "crash", "c-1", 250) == content_id("o", "crash", "c-1", 250)
    assert content_id("o", "crash", "c-1", 250) != content_id("o", "crash", "c-12", 50)
    assert content_id("o", "a", "b") != content_id("o", "ab")
    assert content_id("o", "a").startswith("o-")


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30), min_size=1))
def test_murmur2_of_many_words_is_that_of_each(words: list[str]) -> None:
    keys = [word.encode() for word in words]
    assert murmur2_of_words(np.array(keys, np.bytes_)).tolist() == [murmur2(key) for key in keys]
