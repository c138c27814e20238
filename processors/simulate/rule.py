"""What the simulator is asked for, and what it answers: the rule, one sent record, one interval."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from schemas.records import CameraDetection, Heartbeat, SensorReading, Truth, VehiclePosition

TICK_MS: Final = 250
POSITIONS: Final = "vehicle.positions.v1"
DETECTIONS: Final = "camera.detections.v1"
READINGS: Final = "sensor.readings.v1"

Record = VehiclePosition | CameraDetection | SensorReading | Heartbeat
Span = tuple[float, float]
"""Lowest and highest value of a uniform distribution."""


@dataclass(frozen=True, slots=True)
class SimulationRule:
    """How large and how hard the simulated city is; docs/simulator.md explains every default.

    A Span is the lowest and highest value of a uniform distribution. Shares are probabilities, 0 to 1.
    """

    vehicles: int = 1500
    transit_share: float = 0.4
    position_every_s: Span = (5.0, 10.0)
    gps_noise_m: float = 8.0
    speed_noise_mps: float = 0.3
    red_light_every_s: float = 120.0
    red_light_s: Span = (10.0, 40.0)

    camera_miss: float = 0.12
    false_detection: float = 0.05
    false_pair: float = 0.15
    background_per_camera_s: float = 0.05
    camera_sees_s: Span = (45.0, 120.0)
    heartbeat_every_s: Span = (30.0, 60.0)
    reading_every_s: float = 60.0
    unusual_every_s: Span = (1.0, 5.0)

    latency_s: Span = (0.05, 0.8)
    fast_clock: float = 0.02
    fast_clock_s: Span = (1.0, 20.0)
    far_ahead: float = 0.1
    far_ahead_s: float = 60.0
    outages_per_hour: float = 0.5
    outage_s: Span = (30.0, 110.0)
    lost_outage: float = 0.2
    lost_outage_s: Span = (60.0, 300.0)
    late: float = 0.005
    late_s: Span = (5.0, 115.0)
    duplicate: float = 0.01
    duplicate_after_s: Span = (0.5, 30.0)

    crashes_per_hour: float = 60.0
    fires_per_hour: float = 60.0
    opening: int = 3
    watched: float = 0.8
    corroborated: float = 0.8
    crash_lasts_s: Span = (300.0, 900.0)
    fire_lasts_s: Span = (300.0, 720.0)
    apart_m: float = 400.0
    apart_s: float = 300.0
    quiet_end_s: float = 20.0

    difficulty: float = 1.0
    scenes_per_hour: Mapping[str, float] = field(default_factory=dict, hash=False)
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """One record as it arrives at a topic; the key is the device's id."""

    topic: str
    key: str
    record: Record


@dataclass(frozen=True, slots=True)
class Interval:
    """What arrives between two ticks: `sent` in arrival order, and what truly happened."""

    tick_ms: int
    sent: tuple[Sent, ...]
    truths: tuple[Truth, ...]


def random_stream(seed: int, *concern: int) -> np.random.Generator:
    """Return the random numbers of one concern: independent of how much any other concern draws."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *concern))))
