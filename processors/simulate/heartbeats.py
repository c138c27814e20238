"""Heartbeats of cameras and sensors, each at a pace of its own."""

from collections.abc import Sequence

import numpy as np

from processors.simulate.delivery import Channel, phases_ms
from processors.simulate.rule import SimulationRule
from schemas.records import Heartbeat

FIRMWARES = ("1.4.2", "1.4.2", "1.5.0")


class Heartbeats:
    """The heartbeats of n devices that share a channel."""

    def __init__(
        self, device_ids: Sequence[str], channel: Channel, rng: np.random.Generator, start_ms: int, rule: SimulationRule
    ) -> None:
        self._device_ids, self._channel = device_ids, channel
        self._left_out = "heartbeats" in rule.leave_out
        self._every_s = rng.uniform(*rule.heartbeat_every_s, len(device_ids))
        self._next_ms = phases_ms(len(device_ids), start_ms, self._every_s, rng)

    def step(self, tick_ms: int) -> None:
        """Send the heartbeats that fall before a tick."""
        rows = np.flatnonzero(self._next_ms < tick_ms)
        at_ms = self._next_ms[rows].astype(np.int64)
        self._next_ms[rows] += self._every_s[rows] * 1000
        if self._left_out:
            return
        stamps = (at_ms + self._channel.ahead_ms[rows]).tolist()
        records = [
            Heartbeat(at_ms=stamp, device_id=self._device_ids[row], firmware_version=FIRMWARES[row % len(FIRMWARES)])
            for row, stamp in zip(rows.tolist(), stamps, strict=True)
        ]
        self._channel.send(rows, at_ms, records)
