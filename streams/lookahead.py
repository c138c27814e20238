"""How far the input partitions of a worker may run apart in event time while it works off a backlog.

What is ahead waits in the merge, in every checkpoint, and once more for the incidents that are told early. Detections
and readings, being few, would else be read to their end long before the positions of the same time. What happens now is
told early all the same when the slowest partition is not farther behind than this.
"""

from typing import Final

from faust.types import TP

AHEAD_MS: Final = 60_000


class Lookahead:
    """The last tick of each partition, and which have more to read."""

    def __init__(self) -> None:
        self._tick_ms: dict[TP, int] = {}
        self._unread: set[TP] = set()

    def start_over(self) -> None:
        """Forget all partitions: they are assigned anew."""
        self._tick_ms.clear()
        self._unread.clear()

    def reached(self, tp: TP, tick_ms: int | None, *, more: bool) -> None:
        """Note the last tick of a partition, None = before the first; more: there are records behind it.

        Nobody waits for a partition that has nothing more to read, or that has trouble.
        """
        if tick_ms is not None:
            self._tick_ms[tp] = tick_ms
        if more and tick_ms is not None:
            self._unread.add(tp)
        else:
            self._unread.discard(tp)

    def runs_ahead(self, tp: TP) -> bool:
        """Tell whether a partition should wait for the slowest of those that have more to read."""
        tick_ms = self._tick_ms.get(tp)
        slowest_ms = min((self._tick_ms[one] for one in self._unread), default=None)
        return tick_ms is not None and slowest_ms is not None and tick_ms > slowest_ms + AHEAD_MS
