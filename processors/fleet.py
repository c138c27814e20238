"""Fleet: what the positions of one vehicle say. What is claimed is the matter of processors/detect."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from processors.batches import BoolArray, HashArray, IntArray, PositionBatch
from processors.city import City
from processors.detect.bus_lane import BusLaneRule, bus_lane
from processors.detect.findings import of_kind, together
from processors.detect.four_reports import FourReportsRule, gone, stopped_vehicles
from processors.detect.hard_stop import HardStopRule, hard_stops
from processors.detect.lookback import Lookback, look_back
from processors.detect.off_route import OffRouteRule, off_route
from processors.detect.open_door import OpenDoorRule, open_doors
from processors.detect.slow_progress import SlowProgressRule, slow_progress
from processors.detect.sos import SosRule, sos
from processors.detect.speeding import SpeedingRule, speeding
from processors.detect.stationary import StationaryRule, moved_on, stationary_vehicles
from processors.detect.stop_passage import stop_passages
from processors.detect.wrong_way import WrongWayRule, wrong_way
from processors.domain import Domain, Findings, Rows, domain_of
from processors.implied import Implied
from processors.key_blocks import SlotArray
from processors.marks import (
    AGAINST,
    AT_STOP,
    DOOR,
    FAST,
    FORBIDDEN,
    IN_LANE,
    LASTING,
    MOVING,
    ODD_STOP,
    OFF_LINE,
    OWN_STOP,
    SLOW,
    SOS,
    STOPPED,
    MarkRule,
    marked,
)
from processors.position_rows import PositionRows
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.tracks import Track, degrees_e7
from processors.vehicle_words import VehicleWords
from processors.watches.sections import sections_of
from processors.watches.silent_devices import silence_of
from processors.watches.silent_vehicles import SILENT_VEHICLE, SILENT_VEHICLE_IN_FRAMES
from schemas.codec import Codec
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import DeviceKind


@dataclass(frozen=True, slots=True)
class FleetRule:
    """The thresholds of all detectors; their sources are in docs/thresholds.md#fleet."""

    marks: MarkRule = field(default_factory=MarkRule)
    hard_stop: HardStopRule = field(default_factory=HardStopRule)
    stationary: StationaryRule = field(default_factory=StationaryRule)
    speeding: SpeedingRule = field(default_factory=SpeedingRule)
    off_route: OffRouteRule = field(default_factory=OffRouteRule)
    open_door: OpenDoorRule = field(default_factory=OpenDoorRule)
    sos: SosRule = field(default_factory=SosRule)
    wrong_way: WrongWayRule = field(default_factory=WrongWayRule)
    bus_lane: BusLaneRule = field(default_factory=BusLaneRule)
    slow_progress: SlowProgressRule = field(default_factory=SlowProgressRule)
    four_reports: FourReportsRule | None = None
    """given, Linear Road's rule says who stands and who has moved on"""

    def in_city(self, city: City) -> "FleetRule":
        """Return the rule as a city's settings want it."""
        return replace(self, four_reports=FourReportsRule()) if city.stopped_by_linear_road else self


FLEET_RULE: Final = FleetRule()


@dataclass(frozen=True, slots=True)
class PositionForm:
    """Vehicle positions."""

    rule: FleetRule
    record: str = "VehiclePosition"
    table: str = "positions"
    device_field: str = "vehicle_id"
    rows: PositionRows = field(default_factory=PositionRows, compare=False)
    implied: Implied = field(default_factory=Implied, compare=False)
    words: VehicleWords = field(default_factory=VehicleWords, compare=False)

    @property
    def remembered(self) -> dict[str, Any]:
        """Return the columns that detectors need."""
        return {
            "latitude_e7": np.int32,
            "longitude_e7": np.int32,
            "speed_cm_s": np.uint16,
            "marks": np.uint16,
            "along_m": np.uint16,
            "word": DictionaryArray,
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
        """Return no row: no detector looks more than five records back."""
        return np.zeros(len(batch), bool)

    def place(self, batch: PositionBatch, city: City) -> tuple[Columns, Columns]:
        """Locate n positions and say what each says by itself."""
        directed = self.implied.with_direction(batch, city)
        located = city.locate(batch.latitude_deg, batch.longitude_deg, batch.line_id, directed.direction_id)
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
            "direction_id": np.where(located.direction_id >= 0, located.direction_id, directed.direction_id),
            "line_offset_m": located.line_offset_m,
            "cross_track_m": located.cross_track_m,
            "stop_id": located.stop_id,
            "cell": located.cell,
        }
        known = self.implied.with_class(directed, located, city)
        found = marked(known, located, city, self.rule.marks)
        remembered: Columns = {
            "latitude_e7": degrees_e7(batch.latitude_deg),
            "longitude_e7": degrees_e7(batch.longitude_deg),
            "speed_cm_s": found.speed_cm_s,
            "marks": found.marks,
            "along_m": found.along_m,
            "word": self.words.of(known, found, city),
        }
        return rows, remembered

    def candidates(self, batch: PositionBatch, remembered: Columns) -> BoolArray:
        """Return those whose marks, with those of the two records before them, may be the edge of something."""
        marks, recent = np.asarray(remembered["marks"]), np.asarray(remembered["recent"])
        before = recent.astype(np.uint16)
        earlier = (recent >> np.uint32(16)).astype(np.uint16)
        both = before & earlier
        lasting = (marks | before | earlier) & LASTING != 0
        braked = (marks & (STOPPED | OWN_STOP) == STOPPED) & (before & MOVING != 0)
        stands = (marks & both & STOPPED != 0) & (marks & (AT_STOP | FORBIDDEN) != AT_STOP)
        matters = (before & earlier & AT_STOP == 0) | ((before | earlier) & FORBIDDEN != 0)
        stood = ((before | earlier) & MOVING == 0) & matters
        passes = (marks & OWN_STOP != 0) & (
            (marks & STOPPED == 0) | ((marks ^ before) & (OWN_STOP | ODD_STOP | STOPPED) != 0)
        )
        found = lasting | braked | stands | stood | passes | (marks & both & SLOW != 0)
        if self.rule.four_reports is not None:
            found |= marks & before & AT_STOP == 0  # any of them may be from the position of the three before
        return np.asarray(found)

    def detect(self, track: Track) -> Findings:
        """Return what is claimed at the anchors."""
        rule, row = self.rule, np.flatnonzero(track.anchor)
        marks = track.columns["marks"]
        found = [
            hard_stops(track, row, rule.hard_stop),
            stop_passages(track, row),
            *self._standing(track, row),
        ]
        of_three = marks[row], marks[np.maximum(row - 1, 0)], marks[np.maximum(row - 2, 0)]
        lasting = row[(of_three[0] | of_three[1] | of_three[2]) & LASTING != 0]
        if len(lasting):
            found += self._lasting(track, look_back(track, lasting))
        slow = row[of_three[0] & of_three[1] & of_three[2] & SLOW != 0]
        if len(slow):
            found.append(slow_progress(track, look_back(track, slow), rule.slow_progress))
        return together(found)

    def _standing(self, track: Track, row: IntArray) -> Iterator[Findings]:
        """Yield who stands, and who has moved on."""
        rule, four_reports = self.rule.stationary, self.rule.four_reports
        stands = stationary_vehicles(track, row, rule)
        if four_reports is None:
            yield stands
            yield moved_on(track, row, rule)
            return
        yield of_kind(stands, "forbidden_stop")
        yield stopped_vehicles(track, row, four_reports)
        yield gone(track, row, four_reports)

    def _lasting(self, track: Track, look: Lookback) -> Iterator[Findings]:
        """Yield what begins and ends at records of which some have marks of what lasts."""
        rule = self.rule
        detectors: dict[int, Callable[[Lookback], Findings]] = {
            FAST: lambda some: speeding(track, some, rule.speeding),
            OFF_LINE: lambda some: off_route(track, some, rule.off_route),
            DOOR: lambda some: open_doors(some, rule.open_door),
            SOS: lambda some: sos(some, rule.sos),
            AGAINST: lambda some: wrong_way(some, rule.wrong_way),
            IN_LANE: lambda some: bus_lane(track, some, rule.bus_lane),
        }
        recent = look.recent
        for mark, detector in detectors.items():
            some = (recent & mark).nonzero()[0]
            if len(some):
                yield detector(look.take(some))


@dataclass(frozen=True, slots=True)
class FrameForm(PositionForm):
    """Vehicle frames: positions, many to a record."""

    record: str = "VehicleFrame"

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[PositionBatch]:
        """Return n positions as rows."""
        return self.rows.of_frames(records, codec, keys, city)


def frame_domain(rule: FleetRule = FLEET_RULE) -> Domain:
    """Return what vehicle.frames.v1 is made of."""
    watches = (silence_of(SILENT_VEHICLE_IN_FRAMES), sections_of("VehicleFrame"))
    domain = domain_of(FrameForm(rule), devices=DeviceKind.VEHICLE, watches=watches)
    return replace(domain, in_city=partial(_in_city, frame_domain, rule))


def fleet_domain(rule: FleetRule = FLEET_RULE) -> Domain:
    """Return what vehicle.positions.v1 is made of."""
    watches = (silence_of(SILENT_VEHICLE), sections_of("VehiclePosition"))
    domain = domain_of(PositionForm(rule), devices=DeviceKind.VEHICLE, watches=watches)
    return replace(domain, in_city=partial(_in_city, fleet_domain, rule))


def _in_city(build: Callable[[FleetRule], Domain], rule: FleetRule, city: City) -> Domain:
    return build(rule.in_city(city))
