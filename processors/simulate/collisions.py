"""The vehicles of scripted crashes: they drive up, brake hard, stand in the way, and are towed."""

from dataclasses import dataclass

import numpy as np

from processors.batches import FloatArray, IntArray
from processors.simulate.delivery import Channel, Outbox, phases_ms
from processors.simulate.paths import Paths
from processors.simulate.rule import POSITIONS, SimulationRule, random_stream
from processors.simulate.script import LEAD_MS, Crash, CrashVehicle
from processors.simulate.vehicles import Fixes, accuracy_m, positions


@dataclass(frozen=True, slots=True, eq=False)
class _Wreck:
    crash: Crash
    channel: Channel
    every_s: FloatArray
    fix_ms: FloatArray
    rng: np.random.Generator


class Collisions:
    """All crashes under way; each has random numbers of its own."""

    def __init__(self, paths: Paths, seed: int, start_ms: int, rule: SimulationRule, outbox: Outbox) -> None:
        self._paths, self._seed, self._start_ms = paths, seed, start_ms
        self._rule, self._outbox = rule, outbox
        self._wrecks: list[_Wreck] = []

    def begin(self, crash: Crash) -> None:
        """Put the vehicles of a crash on the road, at most LEAD_MS before it."""
        rng = random_stream(self._seed, 5, crash.number)
        from_ms = max(self._start_ms, crash.truth.at_ms - LEAD_MS)
        device_ids = [vehicle.vehicle_id for vehicle in crash.vehicles]
        channel = Channel(POSITIONS, device_ids, from_ms, rng, self._rule, self._outbox)
        every_s = rng.uniform(*self._rule.position_every_s, len(crash.vehicles))
        fix_ms = phases_ms(len(crash.vehicles), from_ms, every_s, rng)
        self._wrecks.append(_Wreck(crash, channel, every_s, fix_ms, rng))

    def step(self, tick_ms: int) -> None:
        """Send the fixes that fall before a tick; vehicles are off once their crash has ended."""
        for wreck in self._wrecks:
            rows = np.flatnonzero(wreck.fix_ms < tick_ms)
            if len(rows):
                self._fix(wreck, rows)
        self._wrecks = [wreck for wreck in self._wrecks if wreck.crash.ends_ms > tick_ms]

    def _fix(self, wreck: _Wreck, rows: IntArray) -> None:
        at_ms = wreck.fix_ms[rows].astype(np.int64)
        wreck.fix_ms[rows] += wreck.every_s[rows] * 1000 + wreck.rng.uniform(-100.0, 100.0, len(rows))
        vehicles = [wreck.crash.vehicles[row] for row in rows.tolist()]
        moved = [whereabouts(vehicle, at) for vehicle, at in zip(vehicles, at_ms.tolist(), strict=True)]
        path = np.array([vehicle.path for vehicle in vehicles])
        place = self._paths.place(path, np.array([offset_m for offset_m, _ in moved]))
        fixes = Fixes(place[0], place[1], np.array([speed_mps for _, speed_mps in moved]), place[2])
        records = positions(
            (at_ms + wreck.channel.ahead_ms[rows]).tolist(),
            fixes.measured(wreck.rng, self._rule),
            [vehicle.vehicle_class for vehicle in vehicles],
            [False] * len(vehicles),
            [vehicle.direction_id for vehicle in vehicles],
            [vehicle.vehicle_id for vehicle in vehicles],
            [vehicle.line_id for vehicle in vehicles],
            accuracy_m(self._rule),
            parked=(wreck.fix_ms[rows] > wreck.crash.ends_ms).tolist(),
        )
        wreck.channel.send(rows, at_ms, records)


def whereabouts(vehicle: CrashVehicle, at_ms: int) -> tuple[float, float]:
    """Return offset_m along its path and speed_mps: even speed, then even braking to a stand at the crash."""
    before_s = max(vehicle.stands_ms - at_ms, 0) / 1000
    braking_s = vehicle.speed_mps / vehicle.braking_mps2
    if before_s <= braking_s:
        return vehicle.offset_m - vehicle.braking_mps2 * before_s**2 / 2, vehicle.braking_mps2 * before_s
    braking_m = vehicle.speed_mps * braking_s / 2
    offset_m = vehicle.offset_m - braking_m - vehicle.speed_mps * (before_s - braking_s)
    return (offset_m, vehicle.speed_mps) if offset_m > 0 else (0.0, 0.0)
