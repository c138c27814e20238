"""The `status` event: how fast this worker goes and how far it is behind, in a few numbers."""

import time
from typing import Final

import msgspec

from streams.health import Health

OVER_S: Final = 2.0
"""As long as a block of rows, so that rows show as a flow."""


class StatusEvent(msgspec.Struct, frozen=True):
    """The body of a `status` event.

    at_ms: event time, the newest tick concluded here or met in rows; 0 = none yet. records_per_s: by topic.
    lag: records not read yet. sink_waiting: why ClickHouse takes no rows, None = it does.
    """

    at_ms: int
    ready: bool
    run: str
    records_per_s: dict[str, float]
    lag: int
    sink_delay_s: float | None
    sink_waiting: str | None


class StatusEvents:
    """Makes the event from the worker's counters."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._before: tuple[float, dict[str, int]] = (time.monotonic(), {})
        self._rates: dict[str, float] = {}

    def body(self, clock_ms: int) -> bytes:
        """Return the event's body. clock_ms: the newest tick met elsewhere."""
        status = self._health.status()
        self._count({topic: sum(fates.values()) for topic, fates in status.records.items()})
        return msgspec.json.encode(
            StatusEvent(
                at_ms=max(clock_ms, status.merged_tick_ms or 0),
                ready=status.ready,
                run=status.run,
                records_per_s=self._rates,
                lag=sum(one.lag for one in status.sources),
                sink_delay_s=status.sink_delay_s,
                sink_waiting=status.sink_waiting,
            )
        )

    def _count(self, totals: dict[str, int]) -> None:
        now_s, (before_s, before) = time.monotonic(), self._before
        if now_s - before_s < OVER_S * 0.9:
            return
        gone_s = now_s - before_s
        self._rates = {topic: round((total - before.get(topic, total)) / gone_s, 1) for topic, total in totals.items()}
        self._before = (now_s, totals)
