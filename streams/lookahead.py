"""How far the input partitions of a worker may run apart in event time while it works off a backlog.

What is ahead waits in the merge, in every checkpoint, and once more for the incidents that are told early. Detections
and readings, being few, would else be read to their end long before the positions of the same time. What happens now is
told early all the same when the slowest partition is not farther behind than this.
"""

from collections.abc import Iterable
from typing import Final

from faust.types import TP

AHEAD_MS: Final = 120_000
"""More than a restart of a worker leaves behind: after it, what happens now is told at once."""
POLL_MS: Final = 15_000
"""Of event time in one poll, about: ten minutes of a quiet partition are few records."""
FEWEST: Final = 64
"""Records of a poll at least, and while nothing is known."""


class Lookahead:
    """The last tick of each partition, and which have more to read."""

    def __init__(self) -> None:
        self._tick_ms: dict[TP, int] = {}
        self._unread: set[TP] = set()
        self._partitions: frozenset[TP] = frozenset()
        self._begun: set[TP] = set()
        """Those that were given records and have told no tick yet: everyone else waits for their first."""
        self._per_ms: dict[TP, float] = {}
        """Records a millisecond of event time."""

    def start_over(self, partitions: Iterable[TP]) -> None:
        """Forget all: partitions are assigned anew."""
        self._partitions = frozenset(partitions)
        self._begun.clear()
        self._tick_ms.clear()
        self._unread.clear()
        self._per_ms.clear()

    def reached(self, tp: TP, tick_ms: int | None, records: int, *, more: bool) -> None:
        """Note the last tick of a partition, None = before the first; `records`: of the poll that led to it.

        more: there are records behind it. Nobody waits for a partition with nothing more to read, or with trouble.
        """
        if tick_ms is not None or not more:
            self._begun.discard(tp)
        before_ms = self._tick_ms.get(tp)
        if tick_ms is not None:
            self._tick_ms[tp] = tick_ms
        if tick_ms is not None and before_ms is not None and tick_ms > before_ms:
            self._per_ms[tp] = records / (tick_ms - before_ms)
        if more and tick_ms is not None:
            self._unread.add(tp)
        else:
            self._unread.discard(tp)

    def given(self, tp: TP) -> None:
        """Note that there are records of a partition to work on."""
        if tp in self._partitions and tp not in self._tick_ms:
            self._begun.add(tp)

    def runs_ahead(self, tp: TP) -> bool:
        """Tell whether a partition should wait for the slowest of those that have more to read."""
        tick_ms = self._tick_ms.get(tp)
        if tick_ms is None:
            return False
        slowest_ms = min((self._tick_ms[one] for one in self._unread), default=tick_ms)
        return bool(self._begun) or tick_ms > slowest_ms + AHEAD_MS

    def most(self, tp: TP) -> int:
        """Return how many records of a partition make one poll at most."""
        per_ms = self._per_ms.get(tp)
        return FEWEST if per_ms is None else max(FEWEST, round(per_ms * POLL_MS))
