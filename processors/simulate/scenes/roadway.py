"""The roadway: debris, vehicles that stand or drive against the traffic, intruders on the bus lane, congestion."""

from typing import Final

import numpy as np

from processors.simulate.orders import Jam
from processors.simulate.scenes.drives import along, standing
from processors.simulate.scenes.scene import Call, Drive, Scene, Sight
from processors.simulate.scenes.sighted import Claim, Sighted, on_street, sights_of
from processors.simulate.scenes.stage import SEEN_WITHIN_M, Stage

DEBRIS: Final = Sighted((Claim("debris", "object", (2.0, 8.0), 2.0),), (300.0, 1800.0), on_street)
STOPPED: Final = (Claim("stopped_vehicle", "car", (8.0, 25.0), 2.0),)
STOPPED_S: Final = (300.0, 1500.0)
WRONG_WAY: Final = (Claim("wrong_way", "motorcycle", (0.5, 2.0), 1.0),)
WRONG_WAY_SEEN_S: Final = (8.0, 25.0)
WRONG_WAY_BUS_S: Final = (60.0, 120.0)
WRONG_WAY_MPS: Final = (4.0, 11.0)
ON_ROAD_M: Final = 1_000.0
"""A bus that drives back has come so far at least, and is so far from the end."""
INTRUDER_MPS: Final = (7.0, 11.0)
INTRUDER_M: Final = (1_000.0, 2_500.0)
JAM_S: Final = (900.0, 1_500.0)
JAM_MPS: Final = (0.8, 1.6)
JAM_RADIUS_M: Final = 450.0
JAM_TRIES: Final = 12
SAME_DIRECTION_DEG: Final = 60.0


def stopped_vehicle(stage: Stage, call: Call) -> Scene | None:
    """A vehicle stands on the road; every second one is a taxi whose device tells it too."""
    ends_ms = call.at_ms + call.lasts_ms(STOPPED_S)
    taxi = call.rng.random() < 0.5
    spots = stage.spots
    row = stage.on_street(call)
    if row is None:
        return None
    place = float(spots.latitude_deg[row]), float(spots.longitude_deg[row])
    drives: tuple[Drive, ...] = ()
    if taxi:
        drives = (standing(stage, call, int(spots.path[row]), float(spots.offset_m[row]), ends_ms),)
    truth = stage.truth(call, *place, ends_ms)
    return Scene(call.kind, call.rng, truth, sights=sights_of(stage, call, place, STOPPED, ends_ms), drives=drives)


def wrong_way(stage: Stage, call: Call) -> Scene | None:
    """Somebody drives against the traffic: by turns a bus on its line, and a motorcycle that cameras see."""
    return _wrong_bus(stage, call) if call.number % 2 == 0 else _wrong_motorcycle(stage, call)


def _wrong_motorcycle(stage: Stage, call: Call) -> Scene | None:
    ends_ms = call.at_ms + call.lasts_ms(WRONG_WAY_SEEN_S)
    spots, speed_mps = stage.spots, round(float(call.rng.uniform(*WRONG_WAY_MPS)), 1)
    row = stage.on_street(call)
    if row is None:
        return None
    place = float(spots.latitude_deg[row]), float(spots.longitude_deg[row])
    bearing_deg = round(float(spots.bearing_deg[row] + 180.0) % 360.0, 1)
    sights = sights_of(stage, call, place, WRONG_WAY, ends_ms, speed_mps, bearing_deg)
    return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms), sights=sights)


def _wrong_bus(stage: Stage, call: Call) -> Scene | None:
    fleet, ends_ms = stage.fleet, call.at_ms + call.lasts_ms(WRONG_WAY_BUS_S)
    for row in stage.some_buses(call):
        path, offset_m, _ = fleet.along(row)
        if not ON_ROAD_M < offset_m < stage.paths.length_m[path] - ON_ROAD_M or fleet.hold_ms[row] > call.at_ms:
            continue
        latitude_deg, longitude_deg, _ = fleet.place(row)
        fleet.orders.reverse_ms[row] = ends_ms
        fleet.orders.occupy(row, ends_ms + 60_000)
        place = latitude_deg, longitude_deg
        sights = sights_of(stage, call, place, WRONG_WAY, min(ends_ms, call.at_ms + call.lasts_ms((10.0, 20.0))))
        return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms), sights=sights)
    return None


def bus_lane_intruder(stage: Stage, call: Call) -> Scene | None:
    """A taxi drives along an exclusive lane; cameras that it passes see it."""
    lanes = [one for one in stage.paths.patterns.tolist() if stage.paths.line_id[one] in stage.exclusive_lines]
    spots = stage.watched(lanes)
    row = stage.free(call, np.arange(len(spots.path)), spots.latitude_deg, spots.longitude_deg)
    if row is None:
        return None
    path, from_m = int(spots.path[row]), float(spots.offset_m[row])
    speed_mps = float(call.rng.uniform(*INTRUDER_MPS))
    to_m = min(from_m + float(call.rng.uniform(*INTRUDER_M)), float(stage.paths.length_m[path]))
    drive = along(stage, call, path, from_m, to_m, speed_mps)
    sights = []
    for camera in range(len(stage.cameras)):
        near_m = stage.cameras.distances_m(camera, drive.latitude_deg, drive.longitude_deg)
        seen_ms = drive.at_ms[near_m <= SEEN_WITHIN_M / 2]
        if len(seen_ms):
            sights.append(Sight(camera, "lane_intruder", "car", float(seen_ms[0]), float(seen_ms[-1]) + 1000.0, 1000.0))
    ends_ms = float(drive.at_ms[-1])
    truth = stage.truth(
        call, float(spots.latitude_deg[row]), float(spots.longitude_deg[row]), ends_ms, (stage.paths.line_id[path],)
    )
    return Scene(call.kind, call.rng, truth, sights=tuple(sights), drives=(drive,))


def congestion(stage: Stage, call: Call) -> Scene | None:
    """All vehicles of one direction crawl around a place on a road that many lines share."""
    spots, ends_ms = stage.all_spots, call.at_ms + call.lasts_ms(JAM_S)
    found = [stage.free(call, np.arange(len(spots.path)), spots.latitude_deg, spots.longitude_deg)
             for _ in range(JAM_TRIES)]  # fmt: skip
    crawl_mps = float(call.rng.uniform(*JAM_MPS))
    jams = []
    for row in found:
        if row is not None:
            here = float(spots.latitude_deg[row]), float(spots.longitude_deg[row])
            from_m, to_m = stage.stretch(*here, float(spots.bearing_deg[row]), JAM_RADIUS_M, SAME_DIRECTION_DEG)
            jams.append((int((to_m > from_m).sum()), here, Jam(from_m, to_m, crawl_mps, ends_ms)))
    if not jams:
        return None
    _, place, jam = max(jams, key=lambda one: one[0])
    stage.fleet.orders.block(jam)
    return Scene(call.kind, call.rng, stage.truth(call, *place, ends_ms))
