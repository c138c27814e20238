"""Sounds: explosions and gunshots that microphones hear one after the other, fireworks, and noise."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.simulate.difficulty import OUTLIER_SHARE, TIMING_NOISE_S, UNHEARD_SHARE
from processors.simulate.scenes.scene import Bias, Call, Change, Felt, Scene, constant, louder
from processors.simulate.scenes.stage import Stage, shifted
from processors.simulate.weather import sound_mps

HEARD_M: Final = 600.0
LEAST_HEARD_BY: Final = 6
PLACE_OFF_M: Final = 250.0
PLACE_TRIES: Final = 40
ECHO_LATER_S: Final = (0.05, 0.4)
INSTANT_S: Final = (1.0, 2.0)
NOISE_S: Final = (2_700.0, 5_400.0)
NOISE_DB: Final = (16.0, 26.0)
NOISE_REACH_M: Final = 120.0
NOISE_RAMP_MS: Final = 120_000.0


@dataclass(frozen=True, slots=True)
class Bang:
    """A sound: its level at 10 m and how much a classifier takes it for a gunshot, mean and standard deviation."""

    at_10_m_db: tuple[float, float]
    gunshot: tuple[float, float]
    heard_m: float = HEARD_M


EXPLOSION: Final = Bang((150.0, 5.0), (0.25, 0.1))
GUNSHOT: Final = Bang((138.0, 3.0), (0.82, 0.1))
FIREWORK: Final = Bang((122.0, 5.0), (0.35, 0.15), 250.0)
SHOTS: Final = (1, 4)
SHOT_EVERY_S: Final = (0.4, 2.0)
FIREWORKS: Final = (6, 30)
FIREWORK_EVERY_S: Final = (0.5, 5.0)


def explosion(stage: Stage, call: Call) -> Scene | None:
    """One bang where six microphones or more are in reach."""
    place = _amid_microphones(stage, call)
    if place is None:
        return None
    truth = stage.truth(call, *place, call.at_ms + call.lasts_ms(INSTANT_S))
    return Scene(call.kind, call.rng, truth, felt=heard(stage, call, place, EXPLOSION, float(call.at_ms)))


def gunshot(stage: Stage, call: Call) -> Scene | None:
    """One to four shots from one place."""
    place = _amid_microphones(stage, call)
    if place is None:
        return None
    times = call.at_ms + np.cumsum([0.0, *call.rng.uniform(*SHOT_EVERY_S, int(call.rng.integers(*SHOTS)))]) * 1000
    truth = stage.truth(call, *place, float(times[-1]) + 1000.0)
    felt = tuple(one for at_ms in times.tolist() for one in heard(stage, call, place, GUNSHOT, at_ms))
    return Scene(call.kind, call.rng, truth, felt=felt)


def fireworks(stage: Stage, call: Call) -> Scene | None:
    """Everyday life: fireworks or firecrackers, many small bangs from about one place."""
    place = _amid_microphones(stage, call)
    if place is None:
        return None
    count = int(call.rng.integers(*FIREWORKS))
    times = call.at_ms + np.cumsum(call.rng.uniform(*FIREWORK_EVERY_S, count)) * 1000
    felt = tuple(
        one
        for at_ms in times.tolist()
        for one in heard(stage, call, shifted(*place, *call.rng.normal(0.0, 15.0, 2).tolist()), FIREWORK, at_ms)
    )
    return Scene(call.kind, call.rng, felt=felt)


def backfire(stage: Stage, call: Call) -> Scene | None:
    """Everyday life: a bang in the street that the nearest microphones hear alone."""
    rows = stage.sensors_of("sound_level", "gunshot_confidence")
    if not len(rows):
        return None
    device = stage.sensors.devices[int(call.rng.choice(rows))]
    place = shifted(device.latitude_deg, device.longitude_deg, *call.rng.uniform(-30.0, 30.0, 2).tolist())
    bang = Bang((112.0, 5.0), (0.3, 0.15), 60.0)
    return Scene(call.kind, call.rng, felt=heard(stage, call, place, bang, float(call.at_ms)))


def noise(stage: Stage, call: Call) -> Scene | None:
    """Something roars for an hour."""
    row = stage.free_sensor(call, stage.sensors_of("sound_level"))
    if row is None:
        return None
    ends_ms = call.at_ms + call.lasts_ms(NOISE_S)
    device = stage.sensors.devices[row]
    place, louder_db = (device.latitude_deg, device.longitude_deg), float(call.rng.uniform(*NOISE_DB))
    biases = tuple(
        Bias(
            sensor,
            "sound_level",
            call.at_ms,
            ends_ms,
            Change.ADD,
            louder(louder_db, call.at_ms, ends_ms, NOISE_RAMP_MS),
        )
        for sensor in stage.sensors.near(*place, NOISE_REACH_M)
    )
    return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms), biases=biases)


def heard(stage: Stage, call: Call, place: tuple[float, float], bang: Bang, at_ms: float) -> tuple[Felt, ...]:
    """Return what microphones say of a bang: when each hears it, how loud, and how much it is like a gunshot.

    Sound takes its time; of the microphones in reach some notice nothing, and some tell the time of an echo.
    """
    rng, times = call.rng, stage.rule.difficulty
    loud_db, felt = float(rng.normal(*bang.at_10_m_db)), []
    for sensor in stage.sensors.near(*place, bang.heard_m):
        away_m = stage.sensors.distance_m(sensor, *place)
        level_db = loud_db - 20 * math.log10(max(away_m, 10.0) / 10) + float(rng.normal(0.0, 1.5))
        like_shot = min(max(float(rng.normal(*bang.gunshot)), 0.0), 0.99)
        late_s = abs(float(rng.uniform(*ECHO_LATER_S))) if rng.random() < OUTLIER_SHARE * times else 0.0
        noise_s = float(rng.normal(0.0, TIMING_NOISE_S * times))
        noticed = rng.random() >= UNHEARD_SHARE * times
        heard_ms = round(at_ms + (away_m / sound_mps(call.hour) + late_s + noise_s) * 1000)
        for quantity, value in (("sound_level", level_db), ("gunshot_confidence", like_shot)):
            if noticed and quantity in stage.sensors.devices[sensor].quantities:
                felt.append(Felt(sensor, quantity, heard_ms, heard_ms + 1.0, 1_000.0, constant(value)))
    return tuple(felt)


def _amid_microphones(stage: Stage, call: Call) -> tuple[float, float] | None:
    """Return a free place in reach of six microphones, None where there is none."""
    rows = stage.dense_microphones(HEARD_M, LEAST_HEARD_BY)
    microphones = frozenset(stage.sensors_of("sound_level").tolist())
    for _ in range(PLACE_TRIES):
        row = stage.free_sensor(call, rows)
        if row is None:
            return None
        device = stage.sensors.devices[row]
        north_m, east_m = call.rng.uniform(-PLACE_OFF_M, PLACE_OFF_M, 2).tolist()
        place = shifted(device.latitude_deg, device.longitude_deg, north_m, east_m)
        if len(microphones.intersection(stage.sensors.near(*place, HEARD_M))) >= LEAST_HEARD_BY:
            return place
    return None
