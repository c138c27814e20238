import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import key_blocks as module
from processors.key_blocks import BLOCK, KeyBlocks

DTYPE = np.dtype([("order", np.uint32), ("number", np.int64)])


class Pair:
    """Blocks and what they should hold, by slot."""

    def __init__(self, slots: int) -> None:
        self.blocks = KeyBlocks(DTYPE)
        self.blocks.make_room(slots)
        self.lists: dict[int, list[int]] = defaultdict(list)
        self.next = 1

    def add(self, counts: dict[int, int], *, one_each: bool = False) -> None:
        slots = np.array(list(counts), dtype=np.int32)
        rows = np.zeros(sum(counts.values()), DTYPE)
        rows["order"] = rows["number"] = np.arange(self.next, self.next + len(rows))
        self.next += len(rows)
        many = None if one_each else np.array(list(counts.values()), dtype=np.int64)
        position = self.blocks.append(slots, many, rows.view(self.blocks.rows.dtype))
        assert self.told(position) == rows["number"].tolist()
        given = iter(rows["number"].tolist())
        for slot, count in counts.items():
            self.lists[slot] += [next(given) for _ in range(count)]

    def told(self, position: np.ndarray) -> list[int]:
        numbers: list[int] = self.blocks.rows.take(position).view(DTYPE)["number"].tolist()
        return numbers

    def check(self, slots: list[int], depth: int = BLOCK) -> None:
        position, owner = self.blocks.all(np.array(slots, dtype=np.int32))
        assert self.told(position) == [number for slot in slots for number in self.lists[slot]]
        assert owner.tolist() == [index for index, slot in enumerate(slots) for _ in self.lists[slot]]
        position, there = self.blocks.newest(np.array(slots, dtype=np.int32), depth)
        for row, slot in enumerate(slots):
            assert self.told(position[row][there[row]]) == self.lists[slot][-depth:]
            assert there[row].tolist() == sorted(there[row].tolist()), "the newest stand last"

    def drop_before(self, slots: list[int], order: int) -> None:
        self.blocks.drop_before(np.array(slots, dtype=np.int32), order)
        for slot in slots:
            position, _ = self.blocks.all(np.array([slot], dtype=np.int32))
            kept, before = self.told(position), self.lists[slot]
            older = sum(number < order for number in kept)
            assert kept == before[len(before) - len(kept) :], "only the oldest go"
            assert older >= BLOCK or len(kept) == len(before), "only older ones, and not the last of them"
            assert older < 3 * BLOCK, "what is older goes, but for a little"
            self.lists[slot] = kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([0, 1000]))
def test_blocks_hold_what_lists_hold(seed: int, few: int) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", few)
        pair, slots = Pair(12), list(range(12))
        for _ in range(60):
            some = chance.sample(slots, chance.randint(0, len(slots)))
            step = chance.random()
            if step < 0.4:
                pair.add(dict.fromkeys(some, 1), one_each=True)
            elif step < 0.7:
                pair.add({slot: chance.randint(1, 3 * BLOCK) for slot in some})
            elif step < 0.85:
                pair.drop_before(some, chance.randint(0, pair.next + 5))
            elif step < 0.9:
                gone = some[:2]
                pair.blocks.drop(np.array(gone, dtype=np.int32))
                pair.lists.update({slot: [] for slot in gone})
            pair.check(some, chance.randint(1, BLOCK))
        pair.check(slots)


def test_blocks_are_used_again() -> None:
    pair = Pair(100)
    for _ in range(400):
        pair.add(dict.fromkeys(range(100), 1), one_each=True)
        pair.drop_before(list(range(100)), pair.next - 1000)
    assert len(pair.blocks.rows) < 7000, "of 40,000 rows ten of each slot are new, and a little more is kept"


def test_slots_are_renumbered() -> None:
    pair = Pair(5)
    pair.add({0: 4, 2: 9, 4: 1})
    pair.blocks.keep_slots(np.array([2, 4, 1], dtype=np.int32))
    pair.lists = defaultdict(list, {0: pair.lists[2], 1: pair.lists[4]})
    pair.check([0, 1, 2])
    pair.add({0: 7, 2: 1})
    pair.check([2, 1, 0])
