"""Blocks: the rows of many keys in one pool, each key's in chained blocks, from its oldest row to its newest.

A row that is added costs one write. A key takes about half a block more than it needs, and blocks are used again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray

RowArray = npt.NDArray[np.void]
"""Rows as plain bytes: those of a structured dtype numpy moves ten times slower."""
SlotArray = npt.NDArray[np.int32]
"""Numbers of keys."""
BlockArray = npt.NDArray[np.int32]

BLOCK: Final = 5
"""Rows of a block. Fewer waste less at both ends of a key, more make shorter chains."""
FEW: Final = 32
"""Up to so many slots it is faster to follow chains one by one."""
NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Cut:
    """m full blocks of slots, those of one slot in their order.

    follows: the `order` of the last row of the block that follows each (m,). rows: (m * BLOCK,).
    """

    slot: SlotArray
    follows: npt.NDArray[np.uint32]
    rows: RowArray


class KeyBlocks:
    """Rows by slot. Positions are places in `rows`; they are good until the next change.

    dtype: of a row, with a field `order` that rises along the rows of a slot when `drop_before` is called.
    The rows of a slot have the order in which they were added; who wants another one writes them in place.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self.rows: RowArray = np.zeros(BLOCK, f"V{dtype.itemsize}")
        self._newer: BlockArray = np.zeros(1, np.int32)
        self._free: BlockArray = np.zeros(1, np.int32)
        self._free_blocks = 1
        self._head: BlockArray = np.zeros(0, np.int32)
        self._second: BlockArray = np.zeros(0, np.int32)
        """The full block before the head; it is never dropped."""
        self._oldest: BlockArray = np.zeros(0, np.int32)
        self._fill: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        """Rows in the head; BLOCK where there is none, so that the next row takes a new block."""

    @property
    def slots(self) -> int:
        """Return for how many slots there is room."""
        return len(self._head)

    def make_room(self, slots: int) -> None:
        """Make room for slots up to that number."""
        more = slots - self.slots
        if more > 0:
            nothing = np.full(more, NONE, np.int32)
            self._head = np.concatenate([self._head, nothing])
            self._second = np.concatenate([self._second, nothing])
            self._oldest = np.concatenate([self._oldest, nothing])
            self._fill = np.concatenate([self._fill, np.full(more, BLOCK, np.int8)])

    def append(self, slot: SlotArray, counts: IntArray | None, rows: RowArray) -> IntArray:
        """Add rows (n,) behind those of m distinct slots, `counts` (m,) of each (None: one); return their positions."""
        fill = self._fill[slot].astype(np.int64)
        added = np.ones(len(slot), np.int64) if counts is None else counts
        ends = fill + added
        more = (ends - 1) // BLOCK
        fresh = self._taken_blocks(int(more.sum()))
        first_fresh = np.cumsum(more) - more
        if counts is None:
            block, place = self._head[slot], fill
            grown = np.flatnonzero(more)
            block[grown], place[grown] = fresh, 0
        else:
            starts = np.cumsum(counts) - counts
            place = np.arange(len(rows)) + np.repeat(fill - starts, counts)
            ordinal = place // BLOCK
            place -= ordinal * BLOCK
            in_fresh = np.maximum(np.repeat(first_fresh, counts) + ordinal - 1, 0)
            block = np.where(ordinal > 0, _at(fresh, in_fresh), np.repeat(self._head[slot], counts))
        self._chain(slot, more, first_fresh, fresh)
        self._fill[slot] = (ends - 1) % BLOCK + 1
        position = block.astype(np.int64) * BLOCK + place
        np.put(self.rows, position, rows)
        return position

    def newest(self, slot: SlotArray, depth: int) -> tuple[IntArray, BoolArray]:
        """Return the positions (n, depth) of the newest rows of n slots, the newest last, and which there are."""
        place = self._fill[slot].astype(np.int64)[:, None] + np.arange(-depth, 0)
        earlier = place < 0
        block = np.where(earlier, self._second[slot][:, None], self._head[slot][:, None]).astype(np.int64)
        position = block * BLOCK + place + earlier * BLOCK
        return np.maximum(position, 0), block >= 0

    def all(self, slot: SlotArray) -> tuple[IntArray, IntArray]:
        """Return the positions (n,) of all rows of m distinct slots, slot by slot, and whose each is (0 to m - 1)."""
        owner, block = self._blocks(slot)
        rows = np.where(block == self._head[slot[owner]], self._fill[slot[owner]], BLOCK).astype(np.int64)
        before = np.cumsum(rows) - rows
        position = np.arange(int(rows.sum())) + np.repeat(block.astype(np.int64) * BLOCK - before, rows)
        return position, np.repeat(owner, rows)

    @property
    def used(self) -> int:
        """Return how many blocks hold rows."""
        return len(self._newer) - self._free_blocks

    def drop_before(self, slot: SlotArray, order: int) -> None:
        """Drop the oldest blocks of slots while the one that follows is full, of rows before `order`, and not the head.

        So only older rows are dropped, and BLOCK or more of the older ones stay.
        """
        for _, old, _ in self._oldest_before(slot, order):
            self._give_back(old)

    def cut_before(self, slot: SlotArray, order: int) -> Cut:
        """Drop what `drop_before` does, and return it."""
        found = [*self._oldest_before(slot, order)]
        slot, block, follows = (np.concatenate(pieces) for pieces in zip(*found, strict=True))
        by_slot = np.argsort(slot, kind="stable")
        slot, block, follows = slot[by_slot], block[by_slot], follows[by_slot]
        rows = self.rows.reshape(-1, BLOCK)[block].ravel()
        self._give_back(block)
        return Cut(slot, follows, rows)

    def put_before(self, slot: SlotArray, rows: RowArray) -> None:
        """Put full blocks (m * BLOCK rows) before the oldest of slots that have any; slot (m,) rises."""
        block = self._taken_blocks(len(slot))
        self.rows.reshape(-1, BLOCK)[block] = rows.reshape(-1, BLOCK)
        first = np.flatnonzero(np.diff(slot, prepend=NONE))
        self._newer[block[:-1]] = block[1:]
        self._newer[block[np.append(first[1:], len(slot)) - 1]] = self._oldest[slot[first]]
        self._oldest[slot[first]] = block[first]

    def oldest_full(self, slot: SlotArray) -> IntArray:
        """Return the positions (n,) of the last rows of the oldest blocks of slots that have more than one."""
        return self._oldest[slot].astype(np.int64) * BLOCK + BLOCK - 1

    def _oldest_before(
        self, slot: SlotArray, order: int
    ) -> Iterator[tuple[SlotArray, BlockArray, npt.NDArray[np.uint32]]]:
        """Unhang what `drop_before` drops, the oldest first: slots, blocks, and the last `order` of the next ones."""
        old = self._oldest[slot]
        slot, old = slot[old >= 0], old[old >= 0]
        while True:
            then = self._newer[old]
            last = self.rows.take(then.astype(np.int64) * BLOCK + BLOCK - 1).view(self._dtype)["order"]
            gone = (then >= 0) & (then != self._head[slot]) & (last < order)
            yield slot[gone], old[gone], last[gone]
            if not gone.any():
                return
            slot, old = slot[gone], then[gone]
            self._oldest[slot] = old

    def drop(self, slot: SlotArray) -> None:
        """Drop all rows of distinct slots."""
        self._give_back(self._blocks(slot)[1])
        self._head[slot] = self._second[slot] = self._oldest[slot] = NONE
        self._fill[slot] = BLOCK

    def keep_slots(self, kept: SlotArray) -> None:
        """Renumber: slot i is from now on what kept[i] was; the other slots must be empty."""
        self._head, self._second = self._head[kept], self._second[kept]
        self._oldest, self._fill = self._oldest[kept], self._fill[kept]

    def _blocks(self, slot: SlotArray) -> tuple[IntArray, BlockArray]:
        """Return whose (0 to m - 1) and which the blocks of m distinct slots are, slot by slot, the oldest first."""
        if len(slot) <= FEW:
            chains = [self._chain_of(oldest) for oldest in self._oldest[slot].tolist()]
            block = np.array([block for chain in chains for block in chain], np.int32)
            return np.repeat(np.arange(len(slot)), [len(chain) for chain in chains]), block
        owner, block = np.arange(len(slot)), self._oldest[slot]
        owners, blocks = [], []
        while len(owner):
            there = block >= 0
            owner, block = owner[there], block[there]
            owners.append(owner)
            blocks.append(block)
            block = self._newer[block]
        owner, block = np.concatenate(owners), np.concatenate(blocks)
        order = np.argsort(owner, kind="stable")
        return owner[order], block[order]

    def _chain_of(self, block: int) -> list[int]:
        chain = []
        while block >= 0:
            chain.append(block)
            block = self._newer.item(block)
        return chain

    def _chain(self, slot: SlotArray, more: IntArray, first_fresh: IntArray, fresh: BlockArray) -> None:
        """Hang the new blocks of slots, `more` (m,) of each, behind their old ones."""
        grown = np.flatnonzero(more)
        if not len(grown):
            return
        slot, first = slot[grown], first_fresh[grown]
        before = np.empty_like(fresh)
        before[1:] = fresh[:-1]
        before[first] = self._head[slot]
        new = before[first] < 0
        self._oldest[slot[new]] = fresh[first[new]]
        self._newer[before[before >= 0]] = fresh[before >= 0]
        self._newer[fresh[first + more[grown] - 1]] = NONE
        self._second[slot] = before[first + more[grown] - 1]
        self._head[slot] = fresh[first + more[grown] - 1]

    def _taken_blocks(self, wanted: int) -> BlockArray:
        """Take blocks from the free ones; where there are too few the pool grows by a thirty-second."""
        if wanted > self._free_blocks:
            blocks = len(self._newer)
            more = max(wanted - self._free_blocks, 1024, blocks // 32)
            # In place: a copy would need as much memory again.
            self.rows.resize((blocks + more) * BLOCK, refcheck=False)
            self._newer.resize(blocks + more, refcheck=False)
            new = np.arange(blocks, blocks + more, dtype=np.int32)[::-1]
            self._free = np.concatenate([new, self._free[: self._free_blocks]])
            self._free_blocks += more
        self._free_blocks -= wanted
        return self._free[self._free_blocks : self._free_blocks + wanted][::-1].copy()

    def _give_back(self, blocks: BlockArray) -> None:
        end = self._free_blocks + len(blocks)
        if end > len(self._free):
            self._free = np.concatenate([self._free, np.zeros(end, np.int32)])
        self._free[self._free_blocks : end] = blocks
        self._free_blocks = end


def _at(values: BlockArray, index: IntArray) -> BlockArray:
    return values[index] if len(values) else np.full(len(index), NONE, np.int32)
