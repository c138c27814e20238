"""The vehicles that are in one scene only: they report as all others do, and seldom once they have parked."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.geo import EARTH_RADIUS_M
from processors.simulate.delivery import Channel, Outbox
from processors.simulate.rule import POSITIONS, SimulationRule
from processors.simulate.scenes.scene import Drive
from processors.simulate.vehicles import Fixes, accuracy_m, positions

METRE_DEG = float(np.degrees(1 / EARTH_RADIUS_M))
PARKED_EVERY_MS: Final = 900_000.0
"""Circular 09/2015/TT-BGTVT, article 4: at most 15 min while parked."""
PARKED_REPORTS: Final = 5
"""Who parked is forgotten after so many reports, an hour later: what follows is always the same."""


@dataclass(slots=True)
class _Driver:
    drive: Drive
    channel: Channel
    every_s: float
    next_ms: float
    rng: np.random.Generator
    parked: int = 0
    """how often it has reported that it is parked"""


class Drivers:
    """All such vehicles under way."""

    def __init__(self, start_ms: int, rule: SimulationRule, outbox: Outbox) -> None:
        self._start_ms, self._rule, self._outbox = start_ms, rule, outbox
        self._drivers: list[_Driver] = []

    def begin(self, drive: Drive, rng: np.random.Generator) -> None:
        """Put a vehicle on the road; rng: the scene's."""
        from_ms = max(self._start_ms, int(drive.at_ms[0]))
        channel = Channel(POSITIONS, [drive.vehicle_id], from_ms, rng, self._rule, self._outbox)
        every_s = float(rng.uniform(*self._rule.position_every_s))
        self._drivers.append(_Driver(drive, channel, every_s, from_ms + rng.uniform(0.0, every_s) * 1000, rng))

    def step(self, tick_ms: int) -> None:
        """Send the fixes that fall before a tick; a vehicle that has parked for an hour is forgotten."""
        for driver in self._drivers:
            if driver.next_ms < tick_ms:
                self._fix(driver)
        self._drivers = [one for one in self._drivers if one.parked < PARKED_REPORTS]

    def _fix(self, driver: _Driver) -> None:
        drive, at_ms = driver.drive, int(driver.next_ms)
        driver.next_ms += driver.every_s * 1000 + driver.rng.uniform(-100.0, 100.0)
        if driver.next_ms > drive.at_ms[-1]:
            driver.next_ms, driver.parked = at_ms + PARKED_EVERY_MS, driver.parked + 1
        times = np.array([at_ms - 500.0, at_ms, at_ms + 500.0])
        latitude_deg = np.interp(times, drive.at_ms, drive.latitude_deg)
        longitude_deg = np.interp(times, drive.at_ms, drive.longitude_deg)
        north_m = (latitude_deg[2] - latitude_deg[0]) / METRE_DEG
        east_m = (longitude_deg[2] - longitude_deg[0]) / METRE_DEG * np.cos(np.radians(latitude_deg[1]))
        speed_mps, bearing_deg = np.hypot(north_m, east_m), np.degrees(np.arctan2(east_m, north_m)) % 360
        fixes = Fixes(latitude_deg[1:2], longitude_deg[1:2], np.array([speed_mps]), np.array([bearing_deg]))
        records = positions(
            [at_ms + int(driver.channel.ahead_ms[0])],
            fixes.measured(driver.rng, self._rule),
            [drive.vehicle_class],
            [False],
            [-1],
            [drive.vehicle_id],
            [""],
            accuracy_m(self._rule),
            parked=[driver.parked > 0],
        )
        driver.channel.send(np.array([0]), np.array([at_ms]), records)
