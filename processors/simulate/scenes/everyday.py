"""Everyday life that looks like an incident and is none: queues at lights, people who stop, crowds at markets."""

from dataclasses import dataclass
from typing import Final

from processors.simulate.rule import Span
from processors.simulate.scenes.scene import Call, Scene, Sight
from processors.simulate.scenes.stage import Stage

MARKET_HOURS: Final = ((6.0, 9.0), (16.5, 19.0))
MARKET_WITHIN_M: Final = 150.0
MARKET_S: Final = (300.0, 1_500.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """A camera rightly sees what is over soon. per_camera_hour: how often; for_s: for how long; every_s: its looks."""

    feeds: str
    claim: str
    object_class: str
    per_camera_hour: float
    for_s: Span
    every_s: float


MOMENTS: Final = (
    Moment("stopped_vehicle", "stopped_vehicle", "car", 0.1, (8.0, 45.0), 2.0),
    Moment("illegal_parking", "illegal_parking", "car", 0.1, (10.0, 90.0), 5.0),
    Moment("encroachment", "encroachment", "table", 0.05, (10.0, 60.0), 5.0),
    Moment("street_vending", "street_vending", "cart", 0.05, (10.0, 60.0), 5.0),
    Moment("abandoned_object", "abandoned_object", "backpack", 0.05, (5.0, 40.0), 5.0),
    Moment("person_down", "person_down", "person", 0.05, (1.0, 3.0), 1.0),
    Moment("fight", "fight", "person", 0.05, (1.0, 2.5), 1.0),
    Moment("wrong_way", "wrong_way", "motorcycle", 0.03, (0.5, 1.5), 1.0),
    Moment("debris", "debris", "object", 0.02, (2.0, 10.0), 2.0),
    Moment("flood", "flood", "water", 0.02, (5.0, 30.0), 5.0),
    Moment("crowd", "crowd", "person", 0.03, (5.0, 25.0), 5.0),
)
"""Queues at red lights, halts to let somebody out, stalls that are carried past, bags put down, shoes tied."""


def moment(stage: Stage, call: Call, what: Moment) -> Scene | None:
    """Let a random camera see something that is over soon."""
    camera = int(call.rng.integers(len(stage.cameras)))
    until_ms = call.at_ms + call.lasts_ms(what.for_s)
    sight = Sight(camera, what.claim, what.object_class, call.at_ms, until_ms, what.every_s * 1000, false_too=False)
    return Scene(call.kind, call.rng, sights=(sight,))


def market_crowd(stage: Stage, call: Call) -> Scene | None:
    """Let a market be crowded at its hours."""
    rows = stage.cameras_near_venues(("market",), MARKET_WITHIN_M)
    if not len(rows) or not any(first <= call.hour < last for first, last in MARKET_HOURS):
        return None
    until_ms = call.at_ms + call.lasts_ms(MARKET_S)
    sight = Sight(int(call.rng.choice(rows)), "crowd", "person", call.at_ms, until_ms, 5_000.0, false_too=False)
    return Scene(call.kind, call.rng, sights=(sight,))
