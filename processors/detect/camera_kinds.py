"""What cameras' analytics claim: its names, and how often and how long a thing is seen before it is an observation."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """When detections of one kind become the observation `camera_<name>`; sources: docs/thresholds.md#camera.

    A look is an instant in which the thing was seen with at least that confidence. A claim stands at a look that is
    the last of `looks` within `within_ms`, the first of which is `spans_ms` before it or more; a pause longer than
    `within_ms` ends it. It is made once it has stood for `lasts_ms`: for each of these times, once while it stands.
    also: other names of the kind. by_track: each track is a thing of its own; otherwise all tracks are one thing.
    """

    name: str
    also: tuple[str, ...] = ()
    looks: int = 2
    within_ms: int = 10_000
    spans_ms: int = 1_500
    lasts_ms: tuple[int, ...] = (0,)
    by_track: bool = False
    confidence: float = 0.5

    @property
    def reach_ms(self) -> int:
        """How far back of a look any look may count."""
        pauses = 1 if self.looks == 1 and self.lasts_ms == (0,) else 3
        return max(self.lasts_ms) + pauses * self.within_ms


MINUTE_MS: Final = 60_000

CLAIM_RULES: Final = (
    ClaimRule("crash", ("accident", "collision", "traffic_accident", "vehicle_crash")),
    ClaimRule("smoke"),
    ClaimRule("fire", ("flame", "flames")),
    ClaimRule("crowd", ("crowding", "crowd_density", "gathering"), within_ms=30_000, lasts_ms=(30_000,)),
    ClaimRule("crowd_surge", ("surge",), looks=3, within_ms=30_000, spans_ms=5_000),
    ClaimRule("fight", ("fighting", "violence"), looks=3, spans_ms=3_000, lasts_ms=(0, 10_000)),
    ClaimRule(
        "person_down",
        ("fall", "fallen", "fallen_person", "man_down"),
        looks=3,
        spans_ms=4_000,
        lasts_ms=(0, 10_000),
    ),
    ClaimRule("person_in_water", ("drowning", "person_in_river"), lasts_ms=(0, 10_000)),
    ClaimRule(
        "abandoned_object",
        ("abandoned", "left_object", "left_luggage", "unattended_object", "unattended_baggage"),
        within_ms=30_000,
        lasts_ms=(MINUTE_MS, 4 * MINUTE_MS),
        by_track=True,
    ),
    ClaimRule(
        "illegal_parking",
        ("illegally_parked", "parking_violation"),
        within_ms=MINUTE_MS,
        lasts_ms=(3 * MINUTE_MS,),
        by_track=True,
    ),
    ClaimRule(
        "encroachment", ("sidewalk_encroachment",), within_ms=MINUTE_MS, lasts_ms=(2 * MINUTE_MS,), by_track=True
    ),
    ClaimRule(
        "street_vending", ("vending", "street_vendor"), within_ms=MINUTE_MS, lasts_ms=(2 * MINUTE_MS,), by_track=True
    ),
    ClaimRule("wrong_way", ("wrong_direction", "wrongway"), by_track=True),
    ClaimRule("debris", ("road_debris", "spilled_load"), within_ms=MINUTE_MS, lasts_ms=(20_000, 2 * MINUTE_MS)),
    ClaimRule("flood", ("flooding", "waterlogging"), within_ms=MINUTE_MS, lasts_ms=(MINUTE_MS,)),
    ClaimRule("stopped_vehicle", ("vehicle_stopped",), within_ms=30_000, lasts_ms=(90_000,), by_track=True),
    ClaimRule("lane_intruder", ("bus_lane_intruder", "bus_lane_violation"), by_track=True),
    ClaimRule("platform_crowd", ("platform_crowding",), within_ms=30_000, lasts_ms=(30_000,)),
    ClaimRule("frozen", ("video_frozen", "video_freeze"), within_ms=MINUTE_MS, lasts_ms=(30_000, 3 * MINUTE_MS)),
    ClaimRule("covered", ("camera_covered", "occluded_lens"), within_ms=MINUTE_MS, lasts_ms=(30_000, 3 * MINUTE_MS)),
    ClaimRule("moved", ("camera_moved", "scene_changed"), within_ms=MINUTE_MS, lasts_ms=(30_000, 3 * MINUTE_MS)),
    ClaimRule("well", ("camera_well", "camera_restored"), looks=1, within_ms=5 * MINUTE_MS, spans_ms=0),
)
"""A detection's claim is its index here."""

NO_CLAIM: Final = -1
NAMES: Final[Mapping[str, int]] = {
    name: index for index, rule in enumerate(CLAIM_RULES) for name in (rule.name, *rule.also)
}
"""Every name of every kind -> its claim."""


@lru_cache(maxsize=4096)
def claim_of(kind: str) -> int:
    """Return the claim of a detection's kind, however it is written (`Wrong-Way`), NO_CLAIM for an everyday one."""
    return NAMES.get(kind.strip().lower().replace("-", "_").replace(" ", "_"), NO_CLAIM)
