"""The table of all kinds of scenes: how often, how long before, and who makes them. New kinds go to its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from processors.simulate.scenes import acoustic, air, gas, roadway, transit, trouble, water
from processors.simulate.scenes.everyday import MOMENTS, Moment, market_crowd, moment
from processors.simulate.scenes.scene import Call, Scene
from processors.simulate.scenes.security import SECURITY
from processors.simulate.scenes.sidewalk import SIDEWALK
from processors.simulate.scenes.sighted import Sighted, make_sighted
from processors.simulate.scenes.stage import Stage

Maker = Callable[[Stage, Call], Scene | None]


@dataclass(frozen=True, slots=True)
class SceneKind:
    """A kind of scene.

    live_per_hour: in a live demo. first_s: when the first one begins, after the start of a simulation that opens with
    one of each. early: known before it begins, as its vehicles must drive up; else it is made from what is on the road
    when it begins.
    """

    name: str
    live_per_hour: float
    first_s: float
    make: Maker
    early: bool = False


@dataclass(frozen=True, slots=True)
class EverydayKind:
    """Something of everyday life; it happens while scenes of the kind that it looks like, `feeds`, are played.

    per_hour: in the city; per_camera_hour: at each of its cameras besides.
    """

    name: str
    feeds: str
    make: Maker
    per_hour: float = 0.0
    per_camera_hour: float = 0.0
    early: bool = False


def _sighted(name: str, live_per_hour: float, first_s: float, how: Sighted) -> SceneKind:
    return SceneKind(name, live_per_hour, first_s, partial(make_sighted, how=how))


def _moment(what: Moment) -> EverydayKind:
    return EverydayKind(what.feeds + "_moment", what.feeds, partial(moment, what=what), 0.0, what.per_camera_hour)


SCENE_KINDS: Final = (
    SceneKind("service_gap", 4.0, 5.5, transit.service_gap),
    SceneKind("bunching", 6.0, 5.0, transit.bunching),
    SceneKind("delay", 6.0, 4.5, transit.delay),
    SceneKind("breakdown", 6.0, 7.0, transit.breakdown),
    SceneKind("congestion", 6.0, 7.5, roadway.congestion),
    SceneKind("silent_vehicle", 6.0, 64.0, transit.silent_vehicle),
    SceneKind("camera_silent", 6.0, 62.0, trouble.camera_silent),
    SceneKind("stopped_train", 6.0, 11.0, transit.stopped_train),
    _sighted("illegal_parking", 6.0, 6.5, SIDEWALK["illegal_parking"]),
    _sighted("encroachment", 6.0, 10.0, SIDEWALK["encroachment"]),
    _sighted("street_vending", 6.0, 10.5, SIDEWALK["street_vending"]),
    SceneKind("flood", 4.0, 8.5, water.flood),
    SceneKind("off_route", 8.0, 8.0, transit.off_route),
    _sighted("abandoned_object", 6.0, 11.5, SECURITY["abandoned_object"]),
    _sighted("crowd", 6.0, 22.0, SECURITY["crowd"]),
    SceneKind("forbidden_stop", 10.0, 6.0, transit.forbidden_stop, early=True),
    SceneKind("camera_tampered", 6.0, 13.0, trouble.camera_tampered),
    SceneKind("camera_clock", 4.0, 8.0, trouble.camera_clock),
    _sighted("crowded_platform", 6.0, 12.5, transit.PLATFORM),
    SceneKind("stopped_vehicle", 8.0, 12.0, roadway.stopped_vehicle, early=True),
    _sighted("debris", 8.0, 12.0, roadway.DEBRIS),
    SceneKind("explosion", 6.0, 37.0, acoustic.explosion),
    SceneKind("gunshot", 6.0, 33.0, acoustic.gunshot),
    SceneKind("gas_leak", 6.0, 6.0, gas.gas_leak),
    _sighted("person_in_water", 6.0, 31.0, SECURITY["person_in_water"]),
    _sighted("person_down", 8.0, 27.0, SECURITY["person_down"]),
    _sighted("fight", 8.0, 25.0, SECURITY["fight"]),
    SceneKind("wrong_way", 8.0, 10.0, roadway.wrong_way),
    SceneKind("bus_lane_intruder", 8.0, 15.0, roadway.bus_lane_intruder),
    SceneKind("speeding", 10.0, 4.0, transit.speeding),
    SceneKind("sos", 8.0, 17.0, transit.sos),
    SceneKind("door_open", 8.0, 20.0, transit.door_open),
    SceneKind("noise", 2.0, 3.5, acoustic.noise),
    SceneKind("sensor_fault", 4.0, 3.0, trouble.sensor_fault),
    SceneKind("air_quality", 0.0, 4.0, air.air_quality),
)
"""Every incident kind but crash and fire. An opening begins with what takes longest to be told (score_bounds.TOLD_S):

speeding first of what takes less than a minute, an explosion last, so that a minute shows them all; beside them at
twice the pace what takes minutes. What is silent must have been heard before.
"""

EVERYDAY_KINDS: Final = (
    *(_moment(what) for what in MOMENTS),
    EverydayKind("market_crowd", "crowd", market_crowd, 30.0),
    EverydayKind("fireworks", "gunshot", acoustic.fireworks, 1.0),
    EverydayKind("backfire", "explosion", acoustic.backfire, 6.0),
    EverydayKind("small_detour", "off_route", transit.small_detour, 20.0),
    EverydayKind("taxi_rank", "forbidden_stop", transit.taxi_rank, 30.0, early=True),
)

LIVE_SCENES: Final[Mapping[str, float]] = {one.name: one.live_per_hour for one in SCENE_KINDS}
"""Scenes per hour of a live demo."""
