"""How much an engine takes at once, so that nobody else on the event loop waits long.

A detection must not wait for the end of a backlog of positions, nor for ten minutes of ticks of a quiet partition. An
interval costs about as much whether it holds one record or a thousand, so a number of records says little: the size
follows the time that the last one took. Results do not depend on how records are cut.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

TURN_S: Final = 0.01
FEWEST, FIRST, MOST = 8, 64, 2_500
"""Records: however slow, at first, and however fast."""
GROWTH: Final = 2.0

T = TypeVar("T")


class Turns:
    """The turns of one engine."""

    def __init__(self) -> None:
        self.size = FIRST

    def of(self, records: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield n records in slices, each of the size that is right when it is taken."""
        start = 0
        while start < len(records):
            some = records[start : start + self.size]
            start += len(some)
            yield some

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Measure the work on `count` > 0 records."""
        began_s = time.thread_time()
        yield
        self.took(count, time.thread_time() - began_s)

    def took(self, count: int, work_s: float) -> None:
        """Choose the next size from the time that `count` records took."""
        right = count * TURN_S / max(work_s, 1e-6)
        self.size = int(min(max(FEWEST, min(right, self.size * GROWTH)), MOST))
