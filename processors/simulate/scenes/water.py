"""Water: streets under water, by a gauge and by what cameras see."""

from typing import Final

import numpy as np

from processors.simulate.scenes.scene import Call, Felt, Scene, rise
from processors.simulate.scenes.sighted import Claim, sights_of
from processors.simulate.scenes.stage import SEEN_WITHIN_M, Stage, shifted

LASTS_S: Final = (1_800.0, 5_400.0)
OFF_GAUGE_M: Final = 20.0
REACH_M: Final = 100.0
USUAL_M: Final = 0.1
PEAK_M: Final = (0.6, 1.2)
HALF_AFTER_S: Final = (60.0, 300.0)
RISE_MS: Final = 60_000.0
EVERY_S: Final = (15.0, 30.0)
SPREAD_M: Final = 0.02
SEEN: Final = (Claim("flood", "water", (60.0, 240.0), 5.0),)


def flood(stage: Stage, call: Call) -> Scene | None:
    """A street at a water gauge is flooded; cameras that look at it see it."""
    rows = [row for row in stage.sensors_of("water_level").tolist() if _watched(stage, row)]
    row = stage.free_sensor(call, np.array(rows, np.int64))
    if row is None:
        return None
    ends_ms = call.at_ms + call.lasts_ms(LASTS_S)
    device = stage.sensors.devices[row]
    off_m = call.rng.uniform(-OFF_GAUGE_M, OFF_GAUGE_M, 2).tolist()
    place = shifted(device.latitude_deg, device.longitude_deg, *off_m)
    felt = []
    for sensor in stage.sensors.near(*place, REACH_M):
        if "water_level" in stage.sensors.devices[sensor].quantities:
            every_ms = call.rng.uniform(*EVERY_S) * 1000
            course = rise(USUAL_M, call.rng.uniform(*PEAK_M), call.after_ms(HALF_AFTER_S), RISE_MS)
            felt.append(Felt(sensor, "water_level", call.at_ms + every_ms, ends_ms, every_ms, course, SPREAD_M))
    sights = sights_of(stage, call, place, SEEN, ends_ms)
    return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms), sights=sights, felt=tuple(felt))


def _watched(stage: Stage, row: int) -> bool:
    device = stage.sensors.devices[row]
    return bool(stage.cameras.near(device.latitude_deg, device.longitude_deg, SEEN_WITHIN_M - OFF_GAUGE_M))
