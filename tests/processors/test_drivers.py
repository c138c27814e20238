"""Vehicles of one scene: how they report while they drive, and once they have parked."""

from itertools import pairwise

import numpy as np

from processors.simulate.delivery import Outbox
from processors.simulate.drivers import Drivers
from processors.simulate.rule import SimulationRule
from processors.simulate.scenes.scene import Drive
from schemas.records import Switch, VehicleClass, VehiclePosition

START_MS = 1_795_395_600_000
FLAWLESS = SimulationRule(
    gps_noise_m=0.0, latency_s=(0.0, 0.0), fast_clock=0.0, outages_per_hour=0.0, late=0.0, duplicate=0.0
)


def test_who_has_parked_reports_every_quarter_of_an_hour_with_its_engine_off_and_is_forgotten_after_one() -> None:
    outbox = Outbox()
    drivers = Drivers(START_MS, FLAWLESS, outbox)
    ends_ms = START_MS + 60_000
    at_ms = np.array([START_MS, ends_ms], np.float64)
    drive = Drive("taxi-1", VehicleClass.TAXI, at_ms, np.array([21.0, 21.004]), np.array([105.8, 105.8]))
    drivers.begin(drive, np.random.default_rng(1))
    told: list[VehiclePosition] = []
    for tick_ms in range(START_MS, START_MS + 3 * 3_600_000, 250):
        drivers.step(tick_ms)
        told += [one.record for one in outbox.take(tick_ms) if isinstance(one.record, VehiclePosition)]
    on = [one for one in told if one.ignition is Switch.ON]
    off = [one for one in told if one.ignition is Switch.OFF]
    assert all(later.at_ms - one.at_ms < 10_200 for one, later in pairwise([*on, off[0]]))
    assert ends_ms - 10_200 < off[0].at_ms <= ends_ms
    assert [later.at_ms - one.at_ms for one, later in pairwise(off)] == [900_000] * 4
    assert {(one.latitude_deg, one.speed_mps < 1.5) for one in off[1:]} == {(21.004, True)}
