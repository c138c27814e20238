"""Gas: methane or carbon monoxide gets out beside a sensor that measures it."""

from typing import Final

from processors.simulate.scenes.scene import Call, Felt, Scene, rise
from processors.simulate.scenes.stage import Stage, shifted

LASTS_S: Final = (300.0, 900.0)
REACH_M: Final = 40.0
OFF_SENSOR_M: Final = 8.0
PEAK: Final = {"ch4": (15.0, 45.0), "co": (80.0, 300.0)}
"""%LEL and ppm."""
USUAL: Final = {"ch4": 0.5, "co": 2.0}
SPREAD: Final = {"ch4": 0.3, "co": 1.0}
HALF_AFTER_S: Final = (10.0, 40.0)
RISE_MS: Final = 5_000.0


def gas_leak(stage: Stage, call: Call) -> Scene | None:
    """Gas gets out; what is near measures it every few seconds, methane two times in three."""
    quantity = "ch4" if call.rng.random() < 2 / 3 else "co"
    rows = stage.sensors_of(quantity)
    row = stage.free_sensor(call, rows)
    if row is None:
        return None
    ends_ms = call.at_ms + call.lasts_ms(LASTS_S)
    device = stage.sensors.devices[row]
    north_m, east_m = call.rng.uniform(-OFF_SENSOR_M, OFF_SENSOR_M, 2).tolist()
    place = shifted(device.latitude_deg, device.longitude_deg, north_m, east_m)
    felt = []
    for sensor in stage.sensors.near(*place, REACH_M):
        if quantity in stage.sensors.devices[sensor].quantities:
            every_ms = call.rng.uniform(*stage.rule.unusual_every_s) * 1000
            course = rise(USUAL[quantity], call.rng.uniform(*PEAK[quantity]), call.after_ms(HALF_AFTER_S), RISE_MS)
            from_ms = call.at_ms + call.rng.uniform(0.0, every_ms)
            felt.append(Felt(sensor, quantity, from_ms, ends_ms, every_ms, course, SPREAD[quantity]))
    return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms), felt=tuple(felt))
