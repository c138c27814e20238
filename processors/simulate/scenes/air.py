"""Air: hours of dust and exhaust over a part of the city."""

from typing import Final

from processors.simulate.scenes.scene import Bias, Call, Change, Scene, swell
from processors.simulate.scenes.stage import Apart, Stage

LASTS_S: Final = (10_800.0, 21_600.0)
REACH_M: Final = 2_500.0
RAMP_MS: Final = 1_200_000.0
APART: Final = Apart(2 * REACH_M, 4 * 3_600.0)
"""Episodes whose areas overlap are one, and so are those between which the air was not good again for hours."""
TIMES: Final = {"pm2_5": (3.5, 6.0), "pm10": (3.0, 5.0), "no2": (1.5, 2.5)}
"""How many times what is usual, drawn once for an episode and quantity."""


def air_quality(stage: Stage, call: Call) -> Scene | None:
    """An episode: every sensor within 2.5 km of its middle measures several times as much for hours."""
    row = stage.free_sensor(call, stage.sensors_of("pm2_5"), APART)
    if row is None:
        return None
    ends_ms = call.at_ms + call.lasts_ms(LASTS_S)
    device = stage.sensors.devices[row]
    place = device.latitude_deg, device.longitude_deg
    times = {quantity: float(call.rng.uniform(*span)) for quantity, span in TIMES.items()}
    biases = tuple(
        Bias(sensor, name, call.at_ms, ends_ms, Change.TIMES, swell(times[name], call.at_ms, ends_ms, RAMP_MS))
        for sensor in stage.sensors.near(*place, REACH_M)
        for name in stage.sensors.devices[sensor].quantities
        if name in times
    )
    return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms), biases=biases)
