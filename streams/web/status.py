"""The `status` event: how fast this worker goes and how far it is behind, in a few numbers."""

import time
from typing import Final

import msgspec

from streams.health import Health, Status

OVER_S: Final = 2.0
"""As long as a block of rows, so that rows show as a flow."""


class StatusEvent(msgspec.Struct, frozen=True):
    """The body of a `status` event.

    event_time_ms: the newest tick concluded here or met in rows, None = none yet. rates: records/s by topic.
    lag: records not read yet. sink_delay_s: event time between detection and ClickHouse, None = unknown.
    troubles: what the worker waits for or fails at, a sentence each.
    """

    event_time_ms: int | None
    run: str
    rates: dict[str, float]
    lag: int
    sink_delay_s: float | None
    troubles: list[str]


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
                event_time_ms=max(clock_ms, status.merged_tick_ms or 0) or None,
                run=status.run,
                rates=self._rates,
                lag=sum(one.lag for one in status.sources),
                sink_delay_s=status.sink_delay_s,
                troubles=self._troubles(status),
            )
        )

    def _troubles(self, status: Status) -> list[str]:
        waits = [] if status.sink_waiting is None else [f"ClickHouse takes no rows: {status.sink_waiting}"]
        return [*self._health.unready(), *waits]

    def _count(self, totals: dict[str, int]) -> None:
        now_s, (before_s, before) = time.monotonic(), self._before
        if now_s - before_s < OVER_S * 0.9:
            return
        gone_s = now_s - before_s
        self._rates = {topic: round((total - before.get(topic, total)) / gone_s, 1) for topic, total in totals.items()}
        self._before = (now_s, totals)
