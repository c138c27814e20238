"""How records get from devices to topics: latency, fast clocks, outages, late forwarding, duplicates."""

import heapq
from collections.abc import Sequence

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.simulate.rule import Record, Sent, SimulationRule, Span

DRAIN_SPEEDUP = 50
"""A device that is back sends what it recorded this much faster than it recorded it."""


class Outbox:
    """Records on their way, taken out in the order in which they arrive."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, Sent]] = []
        self._count = 0

    def put(self, arrival_ms: int, sent: Sent) -> None:
        """Add a record; of two that arrive in the same millisecond the first put comes first."""
        heapq.heappush(self._queue, (arrival_ms, self._count, sent))
        self._count += 1

    def take(self, before_ms: int) -> tuple[Sent, ...]:
        """Take out what arrives before that time."""
        taken = []
        while self._queue and self._queue[0][0] < before_ms:
            taken.append(heapq.heappop(self._queue)[2])
        return tuple(taken)


class Channel:
    """The connections of n devices to one topic.

    ahead_ms: int64 (n,), how far each device's clock is fast; the device stamps its records with true time + ahead_ms.
    quiet_ms: int64 (n,), until when each device sends nothing at all and records nothing either.
    """

    def __init__(
        self,
        topic: str,
        device_ids: Sequence[str],
        start_ms: int,
        rng: np.random.Generator,
        rule: SimulationRule,
        outbox: Outbox,
    ) -> None:
        self._topic = topic
        self._device_ids = tuple(device_ids)
        self._rng, self._rule, self._outbox = rng, rule, outbox
        count = len(self._device_ids)
        self.ahead_ms: IntArray = clocks_ahead_ms(count, rng, rule)
        self._outage_ms = np.full(count, start_ms, np.int64)
        self._back_ms = np.full(count, start_ms, np.int64)
        self._lost = np.zeros(count, np.bool_)
        self.quiet_ms: IntArray = np.full(count, start_ms, np.int64)
        self._plan_outages(start_ms)

    def send(
        self,
        rows: IntArray,
        at_ms: IntArray,
        records: Sequence[Record],
        rng: np.random.Generator | None = None,
        made: BoolArray | None = None,
    ) -> None:
        """Put n records on their way.

        rows: int64 (n,), which device each comes from; at_ms: int64 (n,), the true time each was made;
        records: n, stamped with the device's own clock. rng: of a scene, so that what everybody else sends travels as
        it does without it. made: bool (n,), False = there is no such record after all, for the same reason.
        """
        if not len(rows):
            return
        if rng is None:
            self._plan_outages(int(at_ms.min()))
        chance = self._rng if rng is None else rng
        out = (self._outage_ms[rows] <= at_ms) & (at_ms < self._back_ms[rows])
        arrival_ms = self._arrivals(rows, at_ms, out, chance)
        again_ms = arrival_ms + _uniform_ms(chance, self._rule.duplicate_after_s, len(rows))
        repeated = chance.random(len(rows)) < self._rule.duplicate
        kept = ~(out & self._lost[rows]) & (at_ms >= self.quiet_ms[rows])
        kept = kept if made is None else kept & made
        for index in np.flatnonzero(kept).tolist():
            sent = Sent(self._topic, self._device_ids[rows[index]], records[index])
            self._outbox.put(int(arrival_ms[index]), sent)
            if repeated[index]:
                self._outbox.put(int(again_ms[index]), sent)

    def _arrivals(self, rows: IntArray, at_ms: IntArray, out: BoolArray, rng: np.random.Generator) -> IntArray:
        count = len(rows)
        late = rng.random(count) < self._rule.late
        delay_ms = np.where(
            late, _uniform_ms(rng, self._rule.late_s, count), _uniform_ms(rng, self._rule.latency_s, count)
        )
        drained_ms = self._back_ms[rows] + (at_ms - self._outage_ms[rows]) // DRAIN_SPEEDUP
        return np.where(out, drained_ms, at_ms + delay_ms)

    def _plan_outages(self, now_ms: int) -> None:
        """Give every device whose outage is over its next one."""
        if self._rule.outages_per_hour <= 0:
            self._outage_ms[:] = self._back_ms[:] = np.iinfo(np.int64).max
            return
        while len(over := np.flatnonzero(self._back_ms <= now_ms)):
            count = len(over)
            up_ms = self._rng.exponential(3_600_000 / self._rule.outages_per_hour, count).astype(np.int64)
            lost = self._rng.random(count) < self._rule.lost_outage
            down_ms = np.where(
                lost,
                _uniform_ms(self._rng, self._rule.lost_outage_s, count),
                _uniform_ms(self._rng, self._rule.outage_s, count),
            )
            self._outage_ms[over] = self._back_ms[over] + up_ms
            self._back_ms[over] = self._outage_ms[over] + down_ms
            self._lost[over] = lost


def clocks_ahead_ms(count: int, rng: np.random.Generator, rule: SimulationRule) -> IntArray:
    """Return by how much the clocks of so many devices are fast, int64 (count,): mostly 0."""
    fast = rng.random(count) < rule.fast_clock
    far = rng.random(count) < rule.far_ahead
    ahead_ms = _uniform_ms(rng, rule.fast_clock_s, count)
    return np.where(fast, np.where(far, round(rule.far_ahead_s * 1000), ahead_ms), 0).astype(np.int64)


def phases_ms(count: int, start_ms: int, every_s: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return when each of n devices reports first, float64 (n,): anywhere within its own period."""
    return start_ms + rng.random(count) * every_s * 1000


def _uniform_ms(rng: np.random.Generator, span_s: Span, count: int) -> IntArray:
    return (rng.uniform(*span_s, count) * 1000).astype(np.int64)
