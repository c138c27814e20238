"""Sensors: noise around everyday levels once a minute, and what a crash or a fire does to those near it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import FloatArray, IntArray
from processors.simulate.delivery import Channel, Outbox, phases_ms
from processors.simulate.estate import Estate
from processors.simulate.heartbeats import Heartbeats
from processors.simulate.rule import READINGS, SimulationRule
from processors.simulate.scenes.scene import Bias, Change, Course, Felt, Trouble, rise
from processors.simulate.script import FIRE_FELT_M, SOUND_HEARD_M, Crash, Fire, Scene
from processors.simulate.weather import MEAN_CEL, temperature_cel
from schemas.records import SensorReading

UNITS: Final = {
    "sound_level": "dB",
    "smoke_obscuration": "%/m",
    "temperature": "Cel",
    "fire_alarm": "1",
    "pm2_5": "ug/m3",
    "pm10": "ug/m3",
    "no2": "ug/m3",
    "co": "ppm",
    "ch4": "%LEL",
    "water_level": "m",
    "gunshot_confidence": "1",
}
"""The quantities that are simulated and their units; others stay silent."""

REFUSED_MS: Final = 30_000
"""What is further ahead is from the future (docs/thresholds.md#ingest)."""
SOUND_MPS: Final = 343.0
STREET_DB: Final = (65.0, 4.0)
HORN_SHARE: Final = 0.005
HORN_DB: Final = (78.0, 92.0)
IMPACT_AT_10_M_DB: Final = (120.0, 2.0)
ECHO_DB: Final = (14.0, 24.0)
"""How much quieter the second after an impact is, and the one after that again."""

SMOKE_PERCENT_PER_M: Final = (0.2, 0.06)
SMOKE_PEAK_PERCENT_PER_M: Final = (8.0, 25.0)
SMOKE_HALF_AFTER_S: Final = (8.0, 20.0)
SMOKE_RISE_S: Final = 3.0
HEAT_PEAK_CEL: Final = (70.0, 140.0)
HEAT_HALF_AFTER_S: Final = (15.0, 40.0)
HEAT_RISE_S: Final = 6.0
ALARM_AFTER_S: Final = (4.0, 14.0)
USUAL: Final = {
    "pm2_5": (38.0, 9.5),
    "pm10": (70.0, 17.5),
    "no2": (40.0, 8.0),
    "co": (2.0, 0.5),
    "ch4": (0.5, 0.15),
    "water_level": (0.1, 0.02),
    "gunshot_confidence": (0.05, 0.02),
    "sound_level": STREET_DB,
    "smoke_obscuration": SMOKE_PERCENT_PER_M,
    "temperature": (MEAN_CEL, 0.4),
}
"""Mean and standard deviation of what is measured every minute; of other quantities 0."""


@dataclass(slots=True)
class _Effect:
    """An unusual course of one gauge: read every `every_ms` until it ends; `level` gives the value at a time."""

    gauge: int
    next_ms: float
    every_ms: float
    until_ms: float
    level: Course


@dataclass(frozen=True, slots=True)
class _Sensation:
    """An unusual course with the random numbers of its scene; spread: of the noise on it."""

    effect: _Effect
    rng: np.random.Generator
    spread: float


class Sensors:
    """All sensors of a city; a gauge is one quantity of one sensor."""

    def __init__(
        self, estate: Estate, streams: Sequence[np.random.Generator], start_ms: int, rule: SimulationRule,
        outbox: Outbox,
    ) -> None:  # fmt: skip
        """streams: the random numbers of everyday readings, of scenes, of heartbeats, of delivery."""
        self._estate, self._rule = estate, rule
        self._everyday, self._feeling, beating, delivery = streams
        gauges = [
            (row, quantity)
            for row, device in enumerate(estate.devices)
            for quantity in device.quantities
            if quantity in UNITS
        ]
        self._sensor = np.array([row for row, _ in gauges], np.int64)
        self._quantity = [quantity for _, quantity in gauges]
        self._mean = np.array([USUAL.get(quantity, (0.0, 0.0))[0] for quantity in self._quantity])
        self._spread = np.array([USUAL.get(quantity, (0.0, 0.0))[1] for quantity in self._quantity])
        self._sound = np.array([quantity == "sound_level" for quantity in self._quantity], np.bool_)
        self._heat = np.array([quantity == "temperature" for quantity in self._quantity], np.bool_)
        every_s = np.full(len(gauges), rule.reading_every_s)
        self._next_ms = phases_ms(len(gauges), start_ms, every_s, self._everyday)
        self._channel = Channel(READINGS, estate.device_ids, start_ms, delivery, rule, outbox)
        self._heartbeats = Heartbeats(estate.device_ids, self._channel, beating, start_ms, rule)
        self._effects: list[_Effect] = []
        self._sensations: list[_Sensation] = []
        self._biases: dict[int, list[Bias]] = {}
        self._wanted = np.array([quantity not in rule.leave_out for quantity in self._quantity], np.bool_)
        self._hour = 0.0

    def feel(self, felt: Felt, rng: np.random.Generator) -> None:
        """Let a sensor measure something unusual; rng: the scene's."""
        for gauge in self._gauges(felt.sensor, felt.quantity):
            effect = _Effect(gauge, felt.from_ms, felt.every_ms, felt.until_ms, felt.level)
            self._sensations.append(_Sensation(effect, rng, felt.spread))
        if felt.until_ms - felt.from_ms > felt.every_ms:
            self.bias(Bias(felt.sensor, felt.quantity, felt.from_ms, felt.until_ms, Change.IS, felt.level))

    def bias(self, bias: Bias) -> None:
        """Let what a sensor measures every minute be changed for a while."""
        for gauge in self._gauges(bias.sensor, bias.quantity):
            self._biases.setdefault(gauge, []).append(bias)

    def refused_clocks(self) -> list[int]:
        """Return the sensors whose clocks are so fast from the beginning that what they send is refused."""
        rows: list[int] = np.flatnonzero(self._channel.ahead_ms > REFUSED_MS).tolist()
        return rows

    def suffer(self, trouble: Trouble) -> None:
        """Let a sensor fall silent."""
        self._channel.quiet_ms[trouble.device] = round(trouble.until_ms)

    def begin(self, scene: Scene) -> None:
        """Let the sensors near a scene hear or feel it."""
        if isinstance(scene, Crash):
            self._hear(scene)
        else:
            self._feel(scene)

    def step(self, tick_ms: int, local_hour: float) -> None:
        """Send everything measured before a tick; local_hour: time of day, 0 <= local_hour < 24."""
        self._hour = local_hour
        self._heartbeats.step(tick_ms)
        rows = np.flatnonzero(self._next_ms < tick_ms)
        at_ms = self._next_ms[rows].astype(np.int64)
        self._next_ms[rows] += self._rule.reading_every_s * 1000 + self._everyday.uniform(-500.0, 500.0, len(rows))
        values = self._biased(rows, at_ms, self._usual(rows, self._everyday))
        self._send(rows[self._wanted[rows]], at_ms[self._wanted[rows]], values[self._wanted[rows]])
        unusual = [sample for effect in self._effects for sample in _samples(effect, tick_ms)]
        self._effects = [effect for effect in self._effects if effect.next_ms < effect.until_ms]
        gauges = np.array([gauge for gauge, _, _ in unusual], np.int64)
        noise = self._usual(gauges, self._feeling) - self._mean[gauges]
        values = np.array([value for _, _, value in unusual]) + np.where(self._sound[gauges], 0.0, noise)
        self._send(gauges, np.array([at for _, at, _ in unusual], np.int64), np.maximum(values, 0.0))

        self._sense(tick_ms)

    def _sense(self, tick_ms: int) -> None:
        for one in self._sensations:
            if one.effect.next_ms < tick_ms:
                samples = _samples(one.effect, tick_ms)
                noise = one.rng.normal(0.0, 1.0, len(samples)) * one.spread
                values = np.maximum(np.array([value for _, _, value in samples]) + noise, 0.0)
                times = np.array([at for _, at, _ in samples], np.int64)
                self._send(np.full(len(samples), one.effect.gauge), times, values, one.rng)
        self._sensations = [one for one in self._sensations if one.effect.next_ms < one.effect.until_ms]

    def _biased(self, gauges: IntArray, at_ms: IntArray, values: FloatArray) -> FloatArray:
        for place, gauge in enumerate(gauges.tolist()):
            if gauge not in self._biases:
                continue
            now_ms = float(at_ms[place])
            self._biases[gauge] = [one for one in self._biases[gauge] if one.until_ms > now_ms]
            for bias in self._biases[gauge]:
                if bias.from_ms <= now_ms and bias.change is not Change.STUCK:
                    values[place] = _changed(bias, now_ms, float(values[place]))
        return values

    def _as_stuck(self, gauges: IntArray, at_ms: IntArray, values: FloatArray) -> FloatArray:
        """Return what is sent: a stuck gauge says the same of whatever it should measure."""
        told = values.copy()
        for place, gauge in enumerate(gauges.tolist()):
            now_ms = float(at_ms[place])
            for bias in self._biases.get(gauge, ()):
                if bias.change is Change.STUCK and bias.from_ms <= now_ms < bias.until_ms:
                    told[place] = bias.course(now_ms)
        return told

    def _hear(self, crash: Crash) -> None:
        truth, rng = crash.truth, self._feeling
        for sensor in self._estate.near(truth.latitude_deg, truth.longitude_deg, SOUND_HEARD_M):
            away_m = self._estate.distance_m(sensor, truth.latitude_deg, truth.longitude_deg)
            peak_db = rng.normal(*IMPACT_AT_10_M_DB) - 20 * np.log10(max(away_m, 10.0) / 10)
            heard_ms = truth.at_ms + away_m / SOUND_MPS * 1000
            echoes_db = np.maximum(peak_db - np.cumsum([0.0, *rng.uniform(*ECHO_DB, 2)]), STREET_DB[0])

            def level(at_ms: float, heard_ms: float = heard_ms, echoes_db: FloatArray = echoes_db) -> float:
                return float(echoes_db[min(round((at_ms - heard_ms) / 1000), len(echoes_db) - 1)])

            for gauge in self._gauges(sensor, "sound_level"):
                self._effects.append(_Effect(gauge, heard_ms, 1000.0, heard_ms + 2500, level))

    def _feel(self, fire: Fire) -> None:
        truth, rng = fire.truth, self._feeling
        for sensor in self._estate.near(truth.latitude_deg, truth.longitude_deg, FIRE_FELT_M):
            every_ms = rng.uniform(*self._rule.unusual_every_s) * 1000
            courses: tuple[tuple[str, float, Course], ...] = (
                ("smoke_obscuration", rng.uniform(0.0, every_ms), _smoke(truth.at_ms, rng)),
                ("temperature", rng.uniform(0.0, every_ms), _heat(truth.at_ms, rng)),
                ("fire_alarm", rng.uniform(*ALARM_AFTER_S) * 1000, lambda _: 1.0),
            )
            for quantity, after_ms, level in courses:
                for gauge in self._gauges(sensor, quantity):
                    self._effects.append(_Effect(gauge, truth.at_ms + after_ms, every_ms, fire.ends_ms, level))
                    self._next_ms[gauge] = fire.ends_ms + rng.uniform(0.0, every_ms)

    def _gauges(self, sensor: int, quantity: str) -> list[int]:
        return [gauge for gauge in np.flatnonzero(self._sensor == sensor).tolist() if self._quantity[gauge] == quantity]

    def _expected(self, gauges: IntArray) -> FloatArray:
        swing = temperature_cel(self._hour) - MEAN_CEL
        return np.asarray(self._mean[gauges] + np.where(self._heat[gauges], swing, 0.0))

    def _usual(self, gauges: IntArray, rng: np.random.Generator) -> FloatArray:
        values = self._expected(gauges) + rng.normal(0.0, 1.0, len(gauges)) * self._spread[gauges]
        horn = self._sound[gauges] & (rng.random(len(gauges)) < HORN_SHARE)
        return np.maximum(np.where(horn, rng.uniform(*HORN_DB, len(gauges)), values), 0.0)

    def _send(
        self, gauges: IntArray, at_ms: IntArray, values: FloatArray, travel: np.random.Generator | None = None
    ) -> None:
        sensors = self._sensor[gauges]
        values = self._as_stuck(gauges, at_ms, values)
        stamps = at_ms + self._channel.ahead_ms[sensors]
        records = [
            self._reading(gauge, stamp, value)
            for gauge, stamp, value in zip(gauges.tolist(), stamps.tolist(), values.tolist(), strict=True)
        ]
        self._channel.send(sensors, at_ms, records, travel)

    def _reading(self, gauge: int, at_ms: int, value: float) -> SensorReading:
        device = self._estate.devices[int(self._sensor[gauge])]
        quantity = self._quantity[gauge]
        return SensorReading(
            at_ms=at_ms,
            latitude_deg=device.latitude_deg,
            longitude_deg=device.longitude_deg,
            value=round(value, 2),
            sensor_id=device.device_id,
            quantity=quantity,
            measure_unit=UNITS[quantity],
            host_camera_id=device.host_camera_id,
        )


def _samples(effect: _Effect, tick_ms: int) -> list[tuple[int, int, float]]:
    """Gauge, true time and value of the readings before a tick."""
    samples = []
    while effect.next_ms < min(tick_ms, effect.until_ms):
        samples.append((effect.gauge, int(effect.next_ms), effect.level(effect.next_ms)))
        effect.next_ms += effect.every_ms
    return samples


def _smoke(at_ms: int, rng: np.random.Generator) -> Course:
    peak = rng.uniform(*SMOKE_PEAK_PERCENT_PER_M)
    return rise(SMOKE_PERCENT_PER_M[0], peak, at_ms + rng.uniform(*SMOKE_HALF_AFTER_S) * 1000, SMOKE_RISE_S * 1000)


def _heat(at_ms: int, rng: np.random.Generator) -> Course:
    peak = rng.uniform(*HEAT_PEAK_CEL)
    return rise(MEAN_CEL, peak, at_ms + rng.uniform(*HEAT_HALF_AFTER_S) * 1000, HEAT_RISE_S * 1000)


def _changed(bias: Bias, at_ms: float, value: float) -> float:
    level = bias.course(at_ms)
    if bias.change is Change.IS:
        return level
    return max(value * level if bias.change is Change.TIMES else value + level, 0.0)
