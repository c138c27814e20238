"""A stretch: intervals that one push closes one after the other, decided together.

What a record says by itself does not depend on the interval in which it came, and what is claimed of a key depends on
the records of that key alone. So only a key with records in several intervals keeps these from being decided at once.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from processors.batches import IntArray
from processors.ingest import Interval
from processors.key_blocks import SlotArray
from processors.outcome import Forwarded, Refusal
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.watches.contract import NEVER_MS
from schemas.records import Observation, OperatorAction, PublishedRules


@dataclass(slots=True)
class Closing:
    """An interval that a tick closes, what came in it in log order, and what is found of that.

    offset: of the tick. schema_id (n,): of the n records. rows: by table, in the order in which they are to be stored.
    """

    interval: Interval
    offset: int
    records: list[RawRecord]
    schema_id: IntArray
    rows: list[tuple[str, Columns]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    forwarded: list[Forwarded] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    actions: list[OperatorAction] = field(default_factory=list)
    revoked: tuple[str, ...] = ()
    published: tuple[PublishedRules, ...] = ()

    @property
    def schema_ids(self) -> set[int]:
        """Return the distinct schema ids."""
        ids = self.schema_id
        return {int(ids[0])} if len(ids) and (ids == ids[0]).all() else set(ids.tolist())


class Stretch:
    """k intervals in their order; whoever has a number has that of its interval, 0 to k - 1.

    tick_ms, after_ms (k,): the ticks that close them and those before; NEVER_MS before the first one.
    """

    def __init__(self, closings: Sequence[Closing]) -> None:
        """closings: at least one."""
        self.closings = closings
        self.tick_ms: IntArray = np.array([one.interval.tick_ms for one in closings], np.int64)
        before = [one.interval.after_ms for one in closings]
        self.after_ms: IntArray = np.array([NEVER_MS if one is None else one for one in before], np.int64)
        self._ends = [one.offset for one in closings]

    def at(self, offset: int) -> Closing:
        """Return the interval in which a record came."""
        return self.closings[bisect_left(self._ends, offset)]

    def refuse(self, refusal: Refusal) -> None:
        """Note a refusal for the interval in which its record came."""
        self.at(refusal.raw.offset).refused.append(refusal)

    def numbers(self, offset: IntArray) -> IntArray:
        """Return the numbers (n,) of the intervals in which n records came."""
        if len(self.closings) == 1:
            return np.zeros(len(offset), np.int64)
        return np.searchsorted(self._ends, offset)

    def store(self, table: str, columns: Columns, number: IntArray) -> None:
        """Note n rows of a table, each for its interval; number (n,) ascending."""
        for closing, rows in self._cut(number):
            whole = rows.stop - rows.start == len(number)
            closing.rows.append((table, columns if whole else {name: one[rows] for name, one in columns.items()}))

    def groups(self, slot: SlotArray, number: IntArray, keys: int) -> list[slice]:
        """Return runs of n rows, as long as can be, in which no key has rows of several intervals.

        slot (n,): the numbers of the rows' keys, below `keys`. number (n,) ascending.
        """
        rows = len(slot)
        if not rows or number[0] == number[-1]:
            return [slice(0, rows)] if rows else []
        last = np.empty(keys, np.int64)  # only what is written is read
        last[slot] = number
        if (last[slot] == number).all():
            return [slice(0, rows)]
        last[slot] = -1
        starts = [0]
        begun = 0
        for place, (_, some) in enumerate(self._cut(number)):
            if int(last[slot[some]].max()) >= begun:
                starts.append(some.start)
                begun = place
            last[slot[some]] = place
        return [slice(start, end) for start, end in zip(starts, [*starts[1:], rows], strict=True)]

    def _cut(self, number: IntArray) -> Iterator[tuple[Closing, slice]]:
        """Yield the intervals that have rows, each with its own."""
        if len(self.closings) == 1:
            ends = [len(number)]
        else:
            ends = np.searchsorted(number, np.arange(len(self.closings)), side="right").tolist()
        start = 0
        for closing, end in zip(self.closings, ends, strict=True):
            if end > start:
                yield closing, slice(start, end)
            start = end
