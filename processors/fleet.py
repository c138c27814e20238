"""Fleet: what the positions of one vehicle say: it stopped hard, it stands where vehicles do not stop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from processors.batches import BoolArray, FloatArray, HashArray, IntArray, PositionBatch
from processors.city import City
from processors.domain import Domain, Findings, Rows, domain_of
from processors.geo import EARTH_RADIUS_M
from processors.key_blocks import SlotArray
from processors.position_rows import PositionRows
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.tracks import Track, degrees_e7
from schemas.codec import Codec
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import DeviceKind


@dataclass(frozen=True, slots=True)
class FleetRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    run_gap_ms: int = 120_000
    stopped_mps: float = 1.5
    braking_from_mps: float = 8.0
    braking_gap_ms: int = 15_000
    own_line_m: float = 40.0
    standing_radius_m: float = 25.0


FLEET_RULE: Final = FleetRule()
STANDING_REPORTS: Final = 4

NO_STOP: Final = 0
AT_STOP: Final = 1
SERVING_STOP: Final = 2
"""At a stop of the own line."""


@dataclass(frozen=True, slots=True)
class PositionForm:
    """Vehicle positions."""

    rule: FleetRule
    record: str = "VehiclePosition"
    table: str = "positions"
    device_field: str = "vehicle_id"
    rows: PositionRows = field(default_factory=PositionRows, compare=False)

    @property
    def remembered(self) -> dict[str, Any]:
        """Return the columns that detectors need."""
        return {
            "latitude_e7": np.int32,
            "longitude_e7": np.int32,
            "speed_mps": np.float32,
            "stop": np.uint8,
            "line_id": DictionaryArray,
        }

    @property
    def whole_ms(self) -> int:
        """Return 0: no record needs the whole history."""
        return 0

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[PositionBatch]:
        """Return n positions as rows."""
        return self.rows.of_singles(records, codec, keys, city)

    def slots(self, batch: PositionBatch, keys: Dictionary) -> SlotArray:
        """Return the vehicles' numbers, which the batch already has."""
        return np.asarray(batch.vehicle_id.numbers, np.int32)

    def ties(self, batch: PositionBatch) -> HashArray:
        """Return zeros: a vehicle is at one place at a time."""
        return np.zeros(len(batch), np.uint64)

    def needs_whole(self, batch: PositionBatch) -> BoolArray:
        """Return no row: both detectors look at most four records back."""
        return np.zeros(len(batch), bool)

    def place(self, batch: PositionBatch, city: City) -> tuple[Columns, Columns]:
        """Locate n positions."""
        located = city.locate(batch.latitude_deg, batch.longitude_deg, batch.line_id, batch.direction_id)
        at_stop = located.stop_id.numbers != 0
        on_own_line = located.on_told_line & (located.cross_track_m <= self.rule.own_line_m)
        unknown = np.isnan(batch.speed_mps)
        speed_mm_s = np.rint(np.where(unknown, 0.0, batch.speed_mps.astype(np.float64)) * 1000.0)
        rows: Columns = {
            "source_offset": batch.offset,
            "source_index": batch.index,
            "at_ms": batch.at_ms,
            "vehicle_id": batch.vehicle_id,
            "vehicle_class": batch.vehicle_class,
            "latitude_deg": batch.latitude_deg,
            "longitude_deg": batch.longitude_deg,
            "unit_code": located.unit_code,
            "speed_mm_s": np.where(unknown, -1, speed_mm_s).astype(np.int32),
            "bearing_deg": batch.bearing_deg,
            "line_id": batch.line_id,
            "trip_id": batch.trip_id,
            "matched_line_id": located.matched_line_id,
            "direction_id": np.where(located.direction_id >= 0, located.direction_id, batch.direction_id),
            "line_offset_m": located.line_offset_m,
            "cross_track_m": located.cross_track_m,
            "stop_id": located.stop_id,
            "cell": located.cell,
        }
        remembered: Columns = {
            "latitude_e7": degrees_e7(batch.latitude_deg),
            "longitude_e7": degrees_e7(batch.longitude_deg),
            "speed_mps": batch.speed_mps,
            "stop": np.where(at_stop, np.where(on_own_line, SERVING_STOP, AT_STOP), NO_STOP).astype(np.uint8),
            "line_id": batch.line_id,
        }
        return rows, remembered

    def candidates(self, batch: PositionBatch, remembered: Columns) -> BoolArray:
        """Return the slow ones, and those of unknown speed, that do not serve a stop."""
        slow = ~(batch.speed_mps > self.rule.stopped_mps)
        return np.asarray(slow & (np.asarray(remembered["stop"]) != SERVING_STOP))

    def detect(self, track: Track) -> Findings:
        """Return hard stops and standing vehicles among the anchors."""
        stops, stop_score = hard_stops(track, self.rule)
        stands, stand_score = stationary_vehicles(track, self.rule)
        return Findings(
            row=np.concatenate([stops, stands]),
            kind=("hard_stop",) * len(stops) + ("stationary_vehicle",) * len(stands),
            score=np.concatenate([stop_score, stand_score]),
        )


@dataclass(frozen=True, slots=True)
class FrameForm(PositionForm):
    """Vehicle frames: positions, many to a record."""

    record: str = "VehicleFrame"

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[PositionBatch]:
        """Return n positions as rows."""
        return self.rows.of_frames(records, codec, keys, city)


def hard_stops(track: Track, rule: FleetRule) -> tuple[IntArray, FloatArray]:
    """Return the rows where a vehicle that ran a moment ago stands, away from a stop of its own line, and the scores.

    The score rises with the mean deceleration from 0.3 at 0 to 0.9 at 6 m/s² and more.
    speed_mps NaN = unknown, never a finding. Source: docs/thresholds.md#fleet.
    """
    speed_mps = track.columns["speed_mps"]
    row = np.flatnonzero(track.anchor & (speed_mps <= rule.stopped_mps) & (track.columns["stop"] != SERVING_STOP))
    row = row[_follows(track, row, 1)]
    gap_ms = track.at_ms[row] - track.at_ms[row - 1]
    hard = (speed_mps[row - 1] >= rule.braking_from_mps) & (gap_ms <= rule.braking_gap_ms)
    row, gap_ms = row[hard], gap_ms[hard]
    lost_mps = speed_mps[row - 1].astype(np.float64) - speed_mps[row]
    return row, np.minimum(0.9, 0.3 + 0.1 * lost_mps * 1000.0 / gap_ms)


def stationary_vehicles(track: Track, rule: FleetRule) -> tuple[IntArray, FloatArray]:
    """Return the rows where a vehicle reports for the fourth time from one position away from stops, and the scores.

    Once a run: the report before the four, if it is at most `run_gap_ms` older, is from elsewhere. The score is 0.6
    when there is such a report (the vehicle came and stopped), 0.5 otherwise. A speed that is known must be low.
    Source: docs/thresholds.md#fleet.
    """
    first = STANDING_REPORTS - 1
    slow = ~(track.columns["speed_mps"] > rule.stopped_mps)
    row = np.flatnonzero(track.anchor & slow & (track.columns["stop"] == NO_STOP))
    row = row[_follows(track, row, first)]
    for back in range(first):
        later, earlier = row - back, row - back - 1
        run = (track.at_ms[later] - track.at_ms[earlier] <= rule.run_gap_ms) & slow[earlier]
        row = row[run & (_distance_m(track, later, row - first) <= rule.standing_radius_m)]
    came = _follows(track, row, first + 1)
    before = np.maximum(row - first - 1, 0)
    came &= track.at_ms[row - first] - track.at_ms[before] <= rule.run_gap_ms
    stood = came & (_distance_m(track, before, row - first) <= rule.standing_radius_m)
    return row[~stood], np.where(came, 0.6, 0.5)[~stood]


def frame_domain(rule: FleetRule = FLEET_RULE) -> Domain:
    """Return what vehicle.frames.v1 is made of."""
    return domain_of(FrameForm(rule), devices=DeviceKind.VEHICLE)


def fleet_domain(rule: FleetRule = FLEET_RULE) -> Domain:
    """Return what vehicle.positions.v1 is made of."""
    return domain_of(PositionForm(rule), devices=DeviceKind.VEHICLE)


def _follows(track: Track, row: IntArray, back: int) -> BoolArray:
    """Tell which rows have at least `back` rows of the same vehicle before them."""
    return np.asarray((row >= back) & (track.slot[np.maximum(row - back, 0)] == track.slot[row]))


def _distance_m(track: Track, row: IntArray, other: IntArray) -> FloatArray:
    """Return flat-Earth distances in metres of near points, by arithmetic that no batch boundary can change."""
    latitude_e7, longitude_e7 = track.columns["latitude_e7"], track.columns["longitude_e7"]
    north = np.radians((latitude_e7[row] - latitude_e7[other]) * 1e-7)
    east = np.radians((longitude_e7[row] - longitude_e7[other]) * 1e-7)
    east *= _cosine(np.radians(latitude_e7[other] * 1e-7))
    return np.asarray(EARTH_RADIUS_M * np.sqrt(north * north + east * east))


def _cosine(angle: FloatArray) -> FloatArray:
    """Return the cosine of -pi/2 to pi/2 within 1e-6 by its series: numpy's own may differ by a bit along an array."""
    square = angle * angle
    series = 1.0 - square / 90.0
    for divisor in (56.0, 30.0, 12.0, 2.0):
        series = 1.0 - square / divisor * series
    return series
