"""Trouble with the devices themselves: sensors that stick, drift or fall silent; cameras silent or tampered with."""

from collections.abc import Sequence
from typing import Final

from processors.simulate.estate import Estate
from processors.simulate.rule import random_stream
from processors.simulate.scenes.scene import (
    Ailment,
    Bias,
    Call,
    Change,
    Course,
    Scene,
    Sight,
    Trouble,
    constant,
    louder,
)
from processors.simulate.scenes.stage import Stage

STUCK_S: Final = (3_600.0, 10_800.0)
DRIFT_S: Final = (10_800.0, 21_600.0)
SILENT_S: Final = (1_200.0, 3_600.0)
WAYS: Final = ("stuck", "drift", "silent")
WAY_SHARES: Final = (0.5, 0.25, 0.25)
STICKS: Final = ("pm2_5", "pm10", "no2", "co", "sound_level", "temperature", "water_level")
STUCK_AT: Final = {
    "pm2_5": (25.0, 50.0), "pm10": (50.0, 90.0), "no2": (30.0, 60.0), "co": (1.0, 3.0), "sound_level": (60.0, 70.0),
    "temperature": (24.0, 30.0), "water_level": (0.05, 0.2),
}  # fmt: skip
DRIFTS: Final = {"pm2_5": (60.0, 120.0), "pm10": (100.0, 200.0), "no2": (60.0, 120.0)}
"""How much too high it gets, in the quantity's unit."""
DRIFT_RAMP_MS: Final = 3_600_000.0
NEIGHBOUR_M: Final = 2_500.0
NEIGHBOURS: Final = 3
"""Who drifts has so many neighbours as near as bad air reaches: without them it might as well be the air."""
CAMERA_SILENT_S: Final = (900.0, 2_700.0)
TAMPERED_S: Final = (600.0, 2_400.0)
TAMPERINGS: Final = ("frozen", "covered", "moved")
TAMPERING_SEEN_S: Final = (5.0, 20.0)
TAMPERING_EVERY_MS: Final = 10_000.0
CLOCK_S: Final = (1_800.0, 5_400.0)
SLOW_S: Final = (60.0, 1_800.0)
FAST_S: Final = (60.0, 600.0)
FAST_SHARE: Final = 0.3
CLOCKS: Final = 21
"""The concern of clocks that are wrong from the beginning."""
ALWAYS_MS: Final = 10 * 365 * 86_400_000


def sensor_fault(stage: Stage, call: Call) -> Scene | None:
    """A sensor says the same value again and again, drifts away from its neighbours, or falls silent."""
    way = WAYS[int(call.rng.choice(len(WAYS), p=WAY_SHARES))]
    rows = stage.neighboured(NEIGHBOUR_M, NEIGHBOURS, *DRIFTS) if way == "drift" else stage.sensors_of(*STICKS)
    row = stage.free_sensor(call, rows)
    if row is None:
        return None
    device = stage.sensors.devices[row]
    ends_ms = call.at_ms + call.lasts_ms({"stuck": STUCK_S, "drift": DRIFT_S, "silent": SILENT_S}[way])
    truth = stage.truth(call, device.latitude_deg, device.longitude_deg, ends_ms)
    if way == "silent":
        trouble = Trouble(False, row, Ailment.SILENT, call.at_ms, ends_ms)
        return Scene(call.kind, call.rng, truth, troubles=(trouble,))
    course = _stuck if way == "stuck" else _drifting
    change, names = (Change.STUCK, STUCK_AT) if way == "stuck" else (Change.ADD, DRIFTS)
    biases = tuple(
        Bias(row, name, call.at_ms, ends_ms, change, course(name, call, ends_ms))
        for name in device.quantities
        if name in names
    )
    return Scene(call.kind, call.rng, truth, biases=biases)


def _stuck(quantity: str, call: Call, ends_ms: float) -> Course:
    return constant(round(float(call.rng.uniform(*STUCK_AT[quantity])), 2))


def _drifting(quantity: str, call: Call, ends_ms: float) -> Course:
    return louder(float(call.rng.uniform(*DRIFTS[quantity])), call.at_ms, ends_ms, DRIFT_RAMP_MS)


def camera_silent(stage: Stage, call: Call) -> Scene | None:
    """A camera sends nothing any more, heartbeats neither."""
    return _camera(stage, call, call.lasts_ms(CAMERA_SILENT_S), Ailment.SILENT)


def camera_tampered(stage: Stage, call: Call) -> Scene | None:
    """A camera is covered, turned away or its picture stands still: it says so, and sees nothing else."""
    scene = _camera(stage, call, call.lasts_ms(TAMPERED_S), Ailment.BLIND)
    if scene is None:
        return None
    trouble = scene.troubles[0]
    kind = TAMPERINGS[int(call.rng.integers(len(TAMPERINGS)))]
    from_ms = call.after_ms(TAMPERING_SEEN_S)
    sight = Sight(trouble.device, kind, "", from_ms, trouble.until_ms, TAMPERING_EVERY_MS)
    return Scene(call.kind, call.rng, scene.truth, sights=(sight,), troubles=scene.troubles)


def camera_clock(stage: Stage, call: Call) -> Scene | None:
    """The clock of a camera is wrong: slow by 1 to 30 min, three times in ten fast by 1 to 10."""
    fast = call.rng.random() < FAST_SHARE
    off_s = float(call.rng.uniform(*FAST_S)) if fast else -float(call.rng.uniform(*SLOW_S))
    return _camera(stage, call, call.lasts_ms(CLOCK_S), Ailment.CLOCK, round(off_s * 1000))


def clocks_ahead(stage: Stage, rows: Sequence[int], seed: int, start_ms: int) -> list[Scene]:
    """Return the truths of cameras whose clocks are fast from the beginning to the end: part of the difficulty."""
    return _always(stage, "camera_clock", stage.cameras, rows, seed, start_ms)


def clocks_refused(stage: Stage, rows: Sequence[int], seed: int, start_ms: int) -> list[Scene]:
    """Return the truths of sensors of which nothing is accepted, as their clocks are too fast: out of order."""
    return _always(stage, "sensor_fault", stage.sensors, rows, seed, start_ms)


def _always(stage: Stage, kind: str, estate: Estate, rows: Sequence[int], seed: int, start_ms: int) -> list[Scene]:
    scenes = []
    for number, row in enumerate(rows):
        rng = random_stream(seed, CLOCKS, number)
        device, ends_ms = estate.devices[row], start_ms + ALWAYS_MS
        call = Call(kind, start_ms + number, 0.0, number, seed, rng)
        truth = stage.truth(call, device.latitude_deg, device.longitude_deg, ends_ms)
        scenes.append(Scene(call.kind, rng, truth))
    return scenes


def _camera(stage: Stage, call: Call, lasts_ms: int, ailment: Ailment, ahead_ms: int = 0) -> Scene | None:
    latitude_deg = stage.cameras.latitude_deg
    row = stage.free(call, stage.all_cameras, latitude_deg, stage.cameras.longitude_deg)
    if row is None:
        return None
    device = stage.cameras.devices[row]
    truth = stage.truth(call, device.latitude_deg, device.longitude_deg, call.at_ms + lasts_ms)
    trouble = Trouble(True, row, ailment, call.at_ms, call.at_ms + lasts_ms, ahead_ms)
    return Scene(call.kind, call.rng, truth, troubles=(trouble,))
