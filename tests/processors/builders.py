"""Small builders: a city of one street, records with sensible values, logs of one partition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from processors.city import Bounds, City, Device, Line, Stop, Zone, pattern_along
from processors.domain import Domain
from processors.ingest import IngestRule
from processors.outcome import Outcome
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from processors.zones import circle
from schemas.codec import local_codec
from schemas.records import CameraDetection, Heartbeat, SensorReading, Tick, VehicleClass, VehiclePosition

T0_MS: Final = 1_790_000_000_000
"""A tick's time, a whole number of every block and checkpoint span."""

STREET_DEG: Final = 21.0
"""Latitude of the only street, which line L1 runs along from west to east."""
LANE_DEG: Final = 21.01
"""Latitude of the lane for buses alone, from west to east too."""
METRE_DEG: Final = 1.0 / 111_194.93
"""One metre of latitude."""

CODEC: Final = local_codec()
NAN: Final = float("nan")


def small_city() -> City:
    """A line along a street with a stop at each end of it, two cameras, three sensors (one on a camera's pole).

    Taxis may not stop within 100 m of a place on the street; a kilometre north of it runs a lane for buses alone.
    """
    longitude_deg = np.array([105.80, 105.81, 105.82])
    pattern = pattern_along(0, np.full(3, STREET_DEG), longitude_deg, {0: "S1", 2: "S2"})
    lane = pattern_along(0, np.full(2, LANE_DEG), np.array([105.80, 105.82]), {})
    return City(
        name="Small",
        version="1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=Bounds(20.9, 105.7, 21.1, 105.9),
        lines=(
            Line("L1", "Line 1", "bus", "", (), (pattern,)),
            Line("R1", "Rapid 1", "brt", "", (), (lane,), exclusive_lane=True),
        ),
        stops=(Stop("S1", "West", STREET_DEG, 105.80), Stop("S2", "East", STREET_DEG, 105.82)),
        cameras={f"cam-{n}": Device(f"cam-{n}", "camera", STREET_DEG, 105.80 + n / 1000) for n in range(4)},
        sensors={
            f"sen-{n}": Device(
                f"sen-{n}", "sensor", STREET_DEG, 105.80 + n / 1000, ("sound_level",), "cam-1" if n == 1 else ""
            )
            for n in range(4)
        },
        zones=(Zone("Z1", "No taxis", "no_stopping", circle(STREET_DEG, 105.8055, 100.0), ("TAXI",)),),
        speed_limits_kmh={"BUS": 50.0, "TAXI": 60.0},
    )


CITY: Final = small_city()


def position(vehicle_id: str = "bus-1", at_ms: int = T0_MS, **fields: Any) -> VehiclePosition:
    """A position in the middle of the street, away from stops; `east_m` and `north_m` move it."""
    values: dict[str, Any] = {
        "speed_mps": 10.0,
        "bearing_deg": 90.0,
        "accuracy_m": NAN,
        "vehicle_class": VehicleClass.BUS,
        **_moved(fields),
    }
    return VehiclePosition(vehicle_id=vehicle_id, at_ms=at_ms, **values)


def detection(camera_id: str = "cam-1", at_ms: int = T0_MS, **fields: Any) -> CameraDetection:
    """A strong crash detection without a place of its own."""
    values: dict[str, Any] = {
        "latitude_deg": NAN,
        "longitude_deg": NAN,
        "confidence": 0.75,
        "speed_mps": NAN,
        "bearing_deg": NAN,
        "box_left": NAN,
        "box_top": NAN,
        "box_right": NAN,
        "box_bottom": NAN,
        "kind": "crash",
        **fields,
    }
    return CameraDetection(camera_id=camera_id, at_ms=at_ms, **values)


def reading(sensor_id: str = "sen-2", at_ms: int = T0_MS, **fields: Any) -> SensorReading:
    """A quiet sound level without a place of its own."""
    values: dict[str, Any] = {
        "latitude_deg": NAN,
        "longitude_deg": NAN,
        "value": 60.0,
        "quantity": "sound_level",
        "measure_unit": "dB",
        **fields,
    }
    return SensorReading(sensor_id=sensor_id, at_ms=at_ms, **values)


def heartbeat(device_id: str = "cam-1", at_ms: int = T0_MS) -> Heartbeat:
    """A heartbeat."""
    return Heartbeat(device_id=device_id, at_ms=at_ms)


def tick(at_ms: int) -> Tick:
    """A tick."""
    return Tick(at_ms=at_ms)


def device_of(record: Any) -> str:
    """The device that a record is from."""
    for name in ("vehicle_id", "camera_id", "sensor_id", "device_id"):
        if hasattr(record, name):
            return str(getattr(record, name))
    raise TypeError(f"{record} is from no device")


def log_of(records: Iterable[Any], first_offset: int = 0) -> list[RawRecord]:
    """Encode records (or take bytes as they are) into a log of one partition."""
    return [
        RawRecord(offset, None, record if record is None or isinstance(record, bytes) else CODEC.encode(record))
        for offset, record in enumerate(records, start=first_offset)
    ]


def engine(
    domain: Domain,
    *,
    topic: str = "vehicle.positions.v1",
    partition: int = 0,
    partitions: int = 1,
    rule: IngestRule | None = None,
    city: City = CITY,
) -> PartitionEngine:
    """A fresh engine."""
    return PartitionEngine(topic, partition, partitions, domain, CODEC, city, rule or IngestRule())


def cut(log: Sequence[RawRecord], at: Iterable[int]) -> list[Sequence[RawRecord]]:
    """Cut a log into polls at those indexes."""
    bounds = [0, *sorted({index % (len(log) + 1) for index in at}), len(log)]
    return [log[start:end] for start, end in pairwise(bounds)]


@dataclass(slots=True)
class Run:
    """Everything that an engine put out over several pushes."""

    outcomes: list[Outcome]

    @property
    def blocks(self) -> list[Any]:
        return [block for outcome in self.outcomes for block in outcome.blocks]

    @property
    def frames(self) -> list[Any]:
        return [frame for outcome in self.outcomes for frame in outcome.frames]

    @property
    def rejected(self) -> list[Any]:
        return [rejected for outcome in self.outcomes for rejected in outcome.rejected]

    @property
    def forwarded(self) -> list[Any]:
        return [forwarded for outcome in self.outcomes for forwarded in outcome.forwarded]

    @property
    def observations(self) -> list[Any]:
        return [observation for block in self.blocks for observation in block.observations]

    @property
    def standing(self) -> dict[str, Any]:
        """Observations that were not withdrawn again, by id."""
        standing: dict[str, Any] = {}
        for observation in self.observations:
            if observation.withdrawn:
                del standing[observation.observation_id]
            else:
                assert observation.observation_id not in standing
                standing[observation.observation_id] = observation
        return standing


def run(machine: PartitionEngine, *polls: Sequence[RawRecord]) -> Run:
    """Push polls one after the other."""
    return Run([machine.push(poll) for poll in polls])


def _moved(fields: dict[str, Any]) -> dict[str, Any]:
    north_m, east_m = fields.pop("north_m", 0.0), fields.pop("east_m", 0.0)
    east_deg = METRE_DEG / np.cos(np.radians(STREET_DEG))
    place = {"latitude_deg": STREET_DEG + north_m * METRE_DEG, "longitude_deg": 105.805 + float(east_m * east_deg)}
    return {**place, **fields}
