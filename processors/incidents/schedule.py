"""Which evaluators take their turn of a tick: those that something concerns, and those that time alone concerns."""

import heapq
from collections.abc import Iterable


class Schedule:
    """When each of n evaluators wants its turn though nothing comes; one heap for all of them."""

    def __init__(self, count: int) -> None:
        self._wanted_ms: list[int | None] = [None] * count
        self._heap: list[tuple[int, int]] = []

    def want(self, number: int, at_ms: int | None) -> None:
        """Take note of when an evaluator wants its next turn; None = when something comes."""
        if at_ms != self._wanted_ms[number]:
            self._wanted_ms[number] = at_ms
            if at_ms is not None:
                heapq.heappush(self._heap, (at_ms, number))

    def due(self, tick_ms: int) -> Iterable[int]:
        """Take out and return the evaluators that want their turn at a tick or did before."""
        found = []
        while self._heap and self._heap[0][0] <= tick_ms:
            at_ms, number = heapq.heappop(self._heap)
            if self._wanted_ms[number] == at_ms:
                self._wanted_ms[number] = None
                found.append(number)
        return found
