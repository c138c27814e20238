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

    live_per_hour: in a live demo. early: known before it begins, as its vehicles must drive up; else it is made from
    what is on the road when it begins.
    """

    name: str
    live_per_hour: float
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


def _sighted(name: str, live_per_hour: float, how: Sighted) -> SceneKind:
    return SceneKind(name, live_per_hour, partial(make_sighted, how=how))


def _moment(what: Moment) -> EverydayKind:
    return EverydayKind(what.feeds + "_moment", what.feeds, partial(moment, what=what), 0.0, what.per_camera_hour)


SCENE_KINDS: Final = (
    SceneKind("service_gap", 4.0, transit.service_gap),
    SceneKind("bunching", 6.0, transit.bunching),
    SceneKind("delay", 6.0, transit.delay),
    SceneKind("breakdown", 6.0, transit.breakdown),
    SceneKind("congestion", 6.0, roadway.congestion),
    SceneKind("silent_vehicle", 6.0, transit.silent_vehicle),
    SceneKind("camera_silent", 6.0, trouble.camera_silent),
    SceneKind("stopped_train", 6.0, transit.stopped_train),
    _sighted("illegal_parking", 6.0, SIDEWALK["illegal_parking"]),
    _sighted("encroachment", 6.0, SIDEWALK["encroachment"]),
    _sighted("street_vending", 6.0, SIDEWALK["street_vending"]),
    SceneKind("flood", 4.0, water.flood),
    SceneKind("off_route", 8.0, transit.off_route),
    _sighted("abandoned_object", 6.0, SECURITY["abandoned_object"]),
    _sighted("crowd", 6.0, SECURITY["crowd"]),
    SceneKind("forbidden_stop", 10.0, transit.forbidden_stop, early=True),
    SceneKind("camera_tampered", 6.0, trouble.camera_tampered),
    SceneKind("camera_clock", 4.0, trouble.camera_clock),
    _sighted("crowded_platform", 6.0, transit.PLATFORM),
    SceneKind("stopped_vehicle", 8.0, roadway.stopped_vehicle, early=True),
    _sighted("debris", 8.0, roadway.DEBRIS),
    SceneKind("explosion", 6.0, acoustic.explosion),
    SceneKind("gunshot", 6.0, acoustic.gunshot),
    SceneKind("gas_leak", 6.0, gas.gas_leak),
    _sighted("person_in_water", 6.0, SECURITY["person_in_water"]),
    _sighted("person_down", 8.0, SECURITY["person_down"]),
    _sighted("fight", 8.0, SECURITY["fight"]),
    SceneKind("wrong_way", 8.0, roadway.wrong_way),
    SceneKind("bus_lane_intruder", 8.0, roadway.bus_lane_intruder),
    SceneKind("speeding", 10.0, transit.speeding),
    SceneKind("sos", 8.0, transit.sos),
    SceneKind("door_open", 8.0, transit.door_open),
    SceneKind("noise", 2.0, acoustic.noise),
    SceneKind("sensor_fault", 4.0, trouble.sensor_fault),
    SceneKind("air_quality", 0.0, air.air_quality),
)
"""Every incident kind but crash and fire, in the order of their first scenes: what takes long to notice comes first."""

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
