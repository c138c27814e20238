"""How far from its truth, and how long after it, an incident of each kind may open. docs/simulator.md tells why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where and when an opening counts as the detection of a truth.

    within_m: of its place. before_s: it may open so long before the truth: fast clocks put evidence early. after_s:
    so long after it, or after its end if the kind is `lasting`. by_line: it is about a line of the truth, wherever.
    """

    within_m: float = 200.0
    after_s: float = 120.0
    before_s: float = 30.0
    lasting: bool = False
    by_line: bool = False


MOMENT: Final = Bounds()
LASTING: Final = Bounds(lasting=True)

BOUNDS: Final[Mapping[str, Bounds]] = {
    "crash": MOMENT,
    "fire": MOMENT,
    "explosion": MOMENT,
    "gunshot": MOMENT,
    "gas_leak": MOMENT,
    "person_in_water": MOMENT,
    "person_down": MOMENT,
    "fight": MOMENT,
    "flood": Bounds(300.0, lasting=True),
    "crowd": LASTING,
    "abandoned_object": LASTING,
    "illegal_parking": LASTING,
    "encroachment": LASTING,
    "street_vending": LASTING,
    "debris": LASTING,
    "stopped_vehicle": LASTING,
    "crowded_platform": LASTING,
    "forbidden_stop": Bounds(250.0, lasting=True),
    "breakdown": Bounds(300.0, lasting=True),
    "stopped_train": Bounds(300.0, lasting=True),
    "congestion": Bounds(1_000.0, 10 * MINUTE_S, lasting=True),
    "wrong_way": Bounds(1_500.0, lasting=True),
    "off_route": Bounds(2_500.0, lasting=True),
    "speeding": Bounds(3_000.0, lasting=True),
    "door_open": Bounds(1_000.0, lasting=True),
    "bus_lane_intruder": Bounds(3_000.0, lasting=True),
    "sos": Bounds(500.0),
    "silent_vehicle": Bounds(1_000.0, lasting=True),
    "bunching": Bounds(5_000.0, 5 * MINUTE_S, 15 * MINUTE_S, lasting=True, by_line=True),
    "service_gap": Bounds(5_000.0, 5 * MINUTE_S, 2 * MINUTE_S, lasting=True, by_line=True),
    "delay": Bounds(5_000.0, 15 * MINUTE_S, lasting=True, by_line=True),
    "air_quality": Bounds(5_000.0, 60 * MINUTE_S, lasting=True),
    "noise": Bounds(300.0, 60 * MINUTE_S, lasting=True),
    "sensor_fault": Bounds(100.0, 60 * MINUTE_S, lasting=True),
    "camera_silent": Bounds(100.0, lasting=True),
    "camera_tampered": Bounds(100.0, lasting=True),
    "camera_clock": Bounds(100.0, 10 * MINUTE_S, lasting=True),
}
"""Other kinds: MOMENT."""

FOLLOWS: Final[Mapping[str, frozenset[str]]] = {
    "stopped_vehicle": frozenset({"crash", "breakdown", "debris", "forbidden_stop", "congestion", "delay"}),
    "breakdown": frozenset({"crash", "congestion", "stopped_vehicle"}),
    "forbidden_stop": frozenset({"crash", "stopped_vehicle"}),
    "congestion": frozenset({"crash", "breakdown", "stopped_vehicle", "debris", "flood"}),
    "camera_silent": frozenset({"camera_clock"}),
    "delay": frozenset({
        "breakdown", "stopped_train", "congestion", "bunching", "service_gap", "off_route", "wrong_way"
    }),
    "bunching": frozenset({"delay", "breakdown", "congestion", "service_gap", "wrong_way"}),
    "service_gap": frozenset({
        "delay", "breakdown", "bunching", "congestion", "off_route", "wrong_way", "silent_vehicle"
    }),
}  # fmt: skip
"""Kind -> kinds of truths that bring it about: an incident of it near one of those, or on its line, is not false."""

FOLLOWS_M: Final = 1_000.0
FOLLOWS_S: Final = 30 * MINUTE_S
"""How far from such a truth, and how long after its end, what follows from it may open."""

TOLD_S: Final[Mapping[str, float]] = {
    "explosion": 10.0,
    "gunshot": 15.0,
    "person_in_water": 15.0,
    "person_down": 15.0,
    "fight": 15.0,
    "fire": 20.0,
    "sos": 20.0,
    "door_open": 30.0,
    "crowd": 30.0,
    "bus_lane_intruder": 40.0,
    "debris": 40.0,
    "wrong_way": 40.0,
    "off_route": 45.0,
    "gas_leak": 50.0,
    "speeding": 50.0,
    "camera_tampered": 90.0,
    "crowded_platform": 100.0,
    "crash": 120.0,
    "stopped_vehicle": 120.0,
    "abandoned_object": 150.0,
    "stopped_train": 180.0,
    "street_vending": 200.0,
    "encroachment": 200.0,
    "flood": 240.0,
    "camera_clock": 240.0,
    "congestion": 240.0,
    "breakdown": 270.0,
    "illegal_parking": 270.0,
    "forbidden_stop": 270.0,
    "service_gap": 10 * MINUTE_S,
    "camera_silent": 10 * MINUTE_S,
    "silent_vehicle": 21 * MINUTE_S,
    "bunching": 20 * MINUTE_S,
    "delay": 21 * MINUTE_S,
    "noise": 60 * MINUTE_S,
    "sensor_fault": 60 * MINUTE_S,
    "air_quality": 130 * MINUTE_S,
}
"""Kind -> how long it usually takes until an incident tells of it, rounded up: what the rule waits for, and the way of
the records. With less time left a truth is not judged. Other kinds: as long as one of theirs may take.
"""


def told_s(kind: str) -> float:
    """Return how long after its truth an incident of a kind may need to show, at most usually."""
    return TOLD_S.get(kind, BOUNDS.get(kind, MOMENT).after_s)
