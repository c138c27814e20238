"""The pace of a replay: ticks that are not due yet wait, and the records behind them. Waiting only: no result sees it.

Until the beginning of the span (the warm-up) everything is due at once.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from faust.types import TP

from schemas.codec import Codec, schema_id_of
from schemas.errors import Rejected
from schemas.records import Tick
from streams.span import Span

TICK_BYTES: Final = 64
"""No tick is longer."""


class Pace:
    """The clock of one worker of a paced replay. clock: monotonic, in seconds."""

    def __init__(self, span: Span, codec: Codec, clock: Callable[[], float] = time.monotonic) -> None:
        self._span = span
        self._codec = codec
        self._clock = clock
        self._arrived: set[TP] = set()
        self._began_s: float | None = None

    def due(self, tp: TP, found: Sequence[Any]) -> int:
        """Return how many of n messages of a partition may be handed on now: all before the first tick not due."""
        for number, message in enumerate(found):
            at_ms = self._tick_ms(message.value)
            if at_ms is not None and not self._is_due(tp, at_ms):
                return number
        return len(found)

    def start_over(self) -> None:
        """Partitions were assigned anew: the clock begins where they go on."""
        self._arrived.clear()
        self._began_s = None

    def _is_due(self, tp: TP, at_ms: int) -> bool:
        if at_ms < self._span.from_ms:
            return True
        now_s = self._clock()
        after_s = (min(at_ms, self._span.to_ms) - self._span.from_ms) / 1000 / self._span.speed
        if tp not in self._arrived or self._began_s is None:
            # each partition that leaves its warm-up sets the clock back to its own time: it waits for the slowest
            self._arrived.add(tp)
            own_s = now_s - after_s
            self._began_s = own_s if self._began_s is None else max(self._began_s, own_s)
            return True  # of a topic that is younger than the span too: without it nothing at all could be concluded
        return now_s >= self._began_s + after_s

    def _tick_ms(self, value: bytes | None) -> int | None:
        """Return the time of a tick; None for any other message."""
        if value is None or len(value) > TICK_BYTES:
            return None
        schema_id = schema_id_of(value)
        if schema_id is None or self._codec.name_of(schema_id) != Tick.__name__:
            return None
        try:
            at_ms: int = self._codec.decode(value)[1]["at_ms"]
        except Rejected:
            return None
        return at_ms
