"""Sensors: what the readings of one sensor say: a quantity has just risen over its threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, FloatArray, HashArray, ReadingBatch
from processors.city import City
from processors.domain import KEY_SEPARATOR, Domain, Findings, Rows, domain_of
from processors.heartbeat import HEARTBEAT_FORM
from processors.ingest import read_messages, read_readings
from processors.key_blocks import SlotArray
from processors.records_in import RawRecord
from processors.rows import Columns, OwnTexts
from processors.tracks import Track, degrees_e7
from processors.watches.hour_rules import HourRule
from processors.watches.hours import hours_of
from processors.watches.levels import NO_LEVEL, LevelRule, levels_of
from processors.watches.silent_devices import SILENT_SENSOR, silence_of
from schemas.codec import Codec
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import DeviceKind


@dataclass(frozen=True, slots=True)
class EdgeRule:
    """A threshold of one quantity; its source is in docs/thresholds.md#sensors.

    The score rises from `score` at the threshold to `top_score` at `top` and above. memory_ms: how long a reading says
    what was before the next one, 0 = each is of a moment of its own.
    """

    quantity: str
    measure_unit: str
    threshold: float
    top: float
    score: float
    top_score: float
    kind: str
    memory_ms: int = 300_000


@dataclass(frozen=True, slots=True)
class SensorRule:
    """Thresholds; levels: those with a hysteresis."""

    edges: tuple[EdgeRule, ...] = (
        EdgeRule("sound_level", "dB", 95.0, 115.0, 0.5, 0.9, "impact_sound"),
        EdgeRule("smoke_obscuration", "%/m", 5.0, 15.0, 0.6, 0.9, "smoke"),
        EdgeRule("temperature", "Cel", 57.0, 87.0, 0.6, 0.9, "heat"),
        EdgeRule("fire_alarm", "1", 1.0, 1.0, 0.7, 0.7, "fire_alarm"),
        EdgeRule("gunshot_confidence", "1", 0.5, 1.0, 0.5, 0.9, "gunshot_sound", memory_ms=0),
    )
    levels: tuple[LevelRule, ...] = (
        LevelRule("ch4", "%LEL", 10.0, 5.0, 50.0, 0.6, 0.9, "gas", "gas_clear"),
        LevelRule("co", "ppm", 70.0, 35.0, 400.0, 0.6, 0.9, "gas", "gas_clear"),
        LevelRule("water_level", "m", 0.3, 0.2, 1.0, 0.6, 0.9, "water_high", "water_normal"),
    )


SENSOR_RULE: Final = SensorRule()
NO_EDGE: Final = -1


@dataclass(frozen=True, slots=True)
class ReadingForm:
    """Sensor readings. One sensor and quantity has one history."""

    rule: SensorRule
    record: str = "SensorReading"
    table: str = "readings"
    device_field: str = "sensor_id"
    witnesses: OwnTexts = field(default_factory=OwnTexts, compare=False)

    @property
    def remembered(self) -> dict[str, Any]:
        """Return the columns that detectors need."""
        return {
            "latitude_e7": np.int32,
            "longitude_e7": np.int32,
            "value": np.float64,
            "edge": np.int8,
            "level": np.int8,
            "witness_id": DictionaryArray,
        }

    @property
    def whole_ms(self) -> int:
        """Return 0: no record needs the whole history."""
        return 0

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[ReadingBatch]:
        """Return n readings as columns."""
        return read_messages(
            records,
            codec,
            self.device_field,
            "device",
            lambda messages, mistakes: read_readings(messages, city, mistakes),
        )

    def slots(self, batch: ReadingBatch, keys: Dictionary) -> SlotArray:
        """Return the numbers of sensor and quantity."""
        pairs = zip(batch.sensor_id.tolist(), batch.quantity.tolist(), strict=True)
        return keys.numbers([f"{sensor_id}{KEY_SEPARATOR}{quantity}".encode() for sensor_id, quantity in pairs])

    def ties(self, batch: ReadingBatch) -> HashArray:
        """Return zeros: a quantity has one value at a time."""
        return np.zeros(len(batch), np.uint64)

    def needs_whole(self, batch: ReadingBatch) -> BoolArray:
        """Return no row: the detector looks one record back."""
        return np.zeros(len(batch), bool)

    def place(self, batch: ReadingBatch, city: City) -> tuple[Columns, Columns]:
        """Find the units of n readings, and what their sensors are independent of."""
        edges = {(edge.quantity, edge.measure_unit): index for index, edge in enumerate(self.rule.edges)}
        levels = {(level.quantity, level.measure_unit): index for index, level in enumerate(self.rule.levels)}
        measured = list(zip(batch.quantity.tolist(), batch.measure_unit.tolist(), strict=True))
        hosts = zip(batch.sensor_id.tolist(), batch.host_camera_id.tolist(), strict=True)
        rows: Columns = {
            "source_offset": batch.offset,
            "at_ms": batch.at_ms,
            "sensor_id": batch.sensor_id,
            "quantity": batch.quantity,
            "measure_unit": batch.measure_unit,
            "value": batch.value,
            "latitude_deg": batch.latitude_deg,
            "longitude_deg": batch.longitude_deg,
            "unit_code": city.locate_units(batch.latitude_deg, batch.longitude_deg),
            "host_camera_id": batch.host_camera_id,
        }
        remembered: Columns = {
            "latitude_e7": degrees_e7(batch.latitude_deg),
            "longitude_e7": degrees_e7(batch.longitude_deg),
            "value": batch.value,
            "edge": np.array([edges.get(pair, NO_EDGE) for pair in measured], dtype=np.int8),
            "level": np.array([levels.get(pair, NO_LEVEL) for pair in measured], dtype=np.int8),
            "witness_id": self.witnesses.array([witness(sensor_id, host, city).encode() for sensor_id, host in hosts]),
        }
        return rows, remembered

    def candidates(self, batch: ReadingBatch, remembered: Columns) -> BoolArray:
        """Return the readings at or above their threshold."""
        return self._above(np.asarray(remembered["edge"]), batch.value)

    def detect(self, track: Track) -> Findings:
        """Return the readings at or above their threshold whose predecessor was below it, or longer ago than counts.

        A reading in another unit than the threshold's is never a finding and counts as below. NaN never occurs here.
        Source: docs/thresholds.md#sensors.
        """
        edge, value = track.columns["edge"], track.columns["value"]
        rules = self.rule.edges
        above = self._above(edge, value)
        risen = above.copy()
        memory_ms = np.array([*(rule.memory_ms for rule in rules), 0])[edge[1:]]
        recent = (np.diff(track.at_ms) <= memory_ms) & (np.diff(track.slot) == 0)
        risen[1:] &= ~(recent & above[:-1])
        row = np.flatnonzero(risen & track.anchor)
        found = [rules[index] for index in edge[row].tolist()]
        score = [_score(rule, reading) for rule, reading in zip(found, value[row].tolist(), strict=True)]
        return Findings(row, tuple(rule.kind for rule in found), np.array(score, dtype=np.float64))

    def _above(self, edge: npt.NDArray[np.int8], value: FloatArray) -> BoolArray:
        limit = np.array([rule.threshold for rule in self.rule.edges] + [np.inf])  # NO_EDGE = -1 takes the last
        return np.asarray((edge != NO_EDGE) & (value >= limit[edge]))


def witness(sensor_id: str, host_camera_id: str, city: City) -> str:
    """Return what a sensor is independent of: the camera whose pole it shares, told or registered, else itself."""
    registered = city.sensors.get(sensor_id)
    return host_camera_id or (registered.host_camera_id if registered is not None else "") or sensor_id


def sensor_domain(rule: SensorRule = SENSOR_RULE) -> Domain:
    """Return what sensor.readings.v1 is made of."""
    watches = (silence_of(SILENT_SENSOR), levels_of(rule.levels), hours_of(HourRule()))
    return domain_of(ReadingForm(rule), HEARTBEAT_FORM, devices=DeviceKind.SENSOR, watches=watches)


def _score(rule: EdgeRule, value: float) -> float:
    span = rule.top - rule.threshold
    share = min(1.0, (value - rule.threshold) / span) if span > 0 else 1.0
    return rule.score + (rule.top_score - rule.score) * share
