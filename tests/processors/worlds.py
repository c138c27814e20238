"""Worlds for properties: what devices say and when it arrives. Hypothesis draws seeds and shapes."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from processors.camera import camera_domain
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.ingest import IngestRule
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from schemas.records import Switch, VehicleClass
from tests.processors.builders import NAN, T0_MS, detection, heartbeat, log_of, position, reading, tick

TICK_MS: Final = 10_000
SPAN_MS: Final = 1_300_000
RULE: Final = IngestRule(lateness_ms=60_000, future_ms=30_000, block_rows=5, block_ms=20_000, checkpoint_ms=30_000)
"""Short bounds, so that a world of 20 minutes outlives its own history."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A record (or garbage) and when it arrives."""

    record: Any
    arrival_ms: int


Chance = random.Random


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name, domain and records."""

    name: str
    domain: Callable[[], Domain]
    taken: tuple[str, ...]
    record: Callable[[Chance, int], Any]
    """A record of that time."""


def _position(chance: Chance, at_ms: int) -> Any:
    stands = chance.random() < 0.7
    vehicle_id = chance.choice(["bus-1", "bus-2", "taxi-3"])
    taxi = vehicle_id == "taxi-3"
    return position(
        vehicle_id,
        at_ms,
        speed_mps=chance.choice([NAN, 0.0, 1.0, 1.5] if stands else [2.5, 5.0, 8.0, 14.0, 20.0]),
        east_m=chance.choice([0.0, 10.0, 20.0] if stands else [47.0, 75.0, -520.0]),
        north_m=chance.choice([0.0, 0.0, 0.0, 45.0, 75.0]),
        bearing_deg=chance.choice([90.0, 270.0]),
        line_id="" if taxi else chance.choice(["", "L1", "L1"]),
        vehicle_class=VehicleClass.TAXI if taxi else VehicleClass.BUS,
        door=chance.choice(list(Switch)),
        sos=chance.choice([Switch.OFF, Switch.OFF, Switch.ON]),
    )


def _detection(chance: Chance, at_ms: int) -> Any:
    if chance.random() < 0.1:
        return heartbeat(chance.choice(["cam-1", "cam-2"]), at_ms)
    return detection(
        chance.choice(["cam-1", "cam-2"]),
        at_ms,
        kind=chance.choice(["crash", "crash", "smoke", "loitering"]),
        track_id=chance.choice(["", "a", "b"]),
        confidence=chance.choice([0.25, 0.5, 0.75, 1.0]),
        snapshot_url=chance.choice(["", "https://example.org/1.jpg"]),
    )


def _reading(chance: Chance, at_ms: int) -> Any:
    if chance.random() < 0.1:
        return heartbeat(chance.choice(["sen-1", "sen-2"]), at_ms)
    return reading(
        chance.choice(["sen-1", "sen-2"]),
        at_ms,
        quantity=chance.choice(["sound_level", "sound_level", "temperature"]),
        measure_unit=chance.choice(["dB", "dB", "Cel"]),
        value=chance.choice([20.0, 57.0, 94.5, 95.0, 120.0]),
        host_camera_id=chance.choice(["", "cam-3"]),
    )


TOPICS: Final = (
    Topic("vehicle.positions.v1", fleet_domain, ("VehiclePosition",), _position),
    Topic("camera.detections.v1", camera_domain, ("CameraDetection", "Heartbeat"), _detection),
    Topic("sensor.readings.v1", sensor_domain, ("SensorReading", "Heartbeat"), _reading),
)
topics: Final = st.sampled_from(TOPICS)


def records(topic: Topic, most: int = 120) -> st.SearchStrategy[list[Any]]:
    """Up to `most` records in three bursts over the span: neighbours matter, and history runs out between them."""

    def drawn(seed: int, count: int, width_s: int) -> list[Any]:
        chance = Chance(seed)
        starts = [chance.choice([0, 300_000, 1_000_000]) for _ in range(count)]
        return [topic.record(chance, T0_MS + start + chance.randint(0, width_s) * 1000) for start in starts]

    return st.builds(drawn, st.integers(0, 1 << 32), st.integers(1, most), st.sampled_from([10, 60, 180]))


def arrivals(topic: Topic, most: int = 120) -> st.SearchStrategy[list[Sent]]:
    """What arrives on a topic: in time, early, within the bounds of RULE, just outside of them, and copies."""

    def drawn(originals: list[Any], seed: int, disorder: float) -> list[Sent]:
        chance = Chance(seed)
        sent = []
        for one in originals:
            late_s = chance.choice([-40, -30, 2, 7, 30, 59, 60, 70]) if chance.random() < disorder else 0
            sent.append(Sent(one, one.at_ms + late_s * 1000))
            if chance.random() < 0.1:
                sent.append(Sent(one, one.at_ms + (late_s + chance.randint(0, 20)) * 1000))
        return sent

    return st.builds(drawn, records(topic, most), st.integers(0, 1 << 32), st.sampled_from([0.0, 0.1, 0.6]))


def distinct(several: Sequence[Any]) -> list[Any]:
    """The records without rivals: the first of every identity."""
    first: dict[tuple[Any, ...], Any] = {}
    for one in several:
        identity = [type(one), one.at_ms]
        for name in ("vehicle_id", "camera_id", "kind", "track_id", "sensor_id", "quantity", "device_id"):
            identity.append(getattr(one, name, None))
        first.setdefault(tuple(identity), one)
    return list(first.values())


def timeline(arrived: Sequence[Sent]) -> list[Any]:
    """Records and ticks in the order of arrival, from a first tick before everything to one after everything."""
    ticks = [Sent(tick(at_ms), at_ms) for at_ms in range(T0_MS - 60_000, T0_MS + SPAN_MS + 1, TICK_MS)]
    return [one.record for one in sorted([*arrived, *ticks], key=lambda one: one.arrival_ms)]


def timeline_log(arrived: Sequence[Sent]) -> list[RawRecord]:
    """The same as a log of one partition."""
    return log_of(timeline(arrived))
