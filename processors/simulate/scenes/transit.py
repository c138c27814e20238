"""Public transport: what goes wrong with the vehicles of lines, and with taxis and coaches."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from processors.simulate.dispatch import is_planned
from processors.simulate.orders import Detour
from processors.simulate.rule import Span
from processors.simulate.scenes.drives import standing_at
from processors.simulate.scenes.scene import Call, Scene
from processors.simulate.scenes.sighted import Claim, Sighted
from processors.simulate.scenes.stage import BUSES, Stage, shifted
from processors.simulate.vehicles import HALT_WITHIN_M
from processors.zones import Zone
from schemas.records import Truth, VehicleClass

MEAN_MPS: Final = 4.0
HELD_MOST_S: Final = 1_800.0
BUNCHED_M: Final = 150.0
BUNCHED_S: Final = 900.0
GAP_OVER_S: Final = 480.0
"""A gap is the headway and 5 min; so much more than the headway is missing."""
GAP_NOTICED_S: Final = 300.0
DELAY_S: Final = (480.0, 780.0)
DELAY_SHOWS_S: Final = 900.0
DETOUR_S: Final = (240.0, 480.0)
DETOUR_M: Final = (180.0, 400.0)
BREAKDOWN_S: Final = (600.0, 1_200.0)
BETWEEN_M: Final = 120.0
"""A breakdown is so far from the stop before and the stop after at least."""
TRAIN_BETWEEN_M: Final = 250.0
TRAIN_S: Final = (420.0, 900.0)
SPEEDING_S: Final = (40.0, 90.0)
SPEEDING_MPS: Final = (20.5, 25.0)
ROAD_AHEAD_M: Final = 2_000.0
SOS_S: Final = (60.0, 300.0)
DOOR_S: Final = (30.0, 60.0)
DOOR_AHEAD_M: Final = 300.0
SILENT_S: Final = (1_500.0, 2_700.0)
FORBIDDEN_S: Final = (180.0, 900.0)
WITHIN_ZONE_SHARE: Final = 0.6
STREET: Final = frozenset({VehicleClass.TAXI, VehicleClass.RIDE_HAILING, VehicleClass.COACH, VehicleClass.RENTAL})
METRO: Final = frozenset({VehicleClass.METRO})

PLATFORM: Final = Sighted((Claim("platform_crowd", "person", (10.0, 40.0), 5.0),), (300.0, 1_200.0), Stage.at_station)


def bunching(stage: Stage, call: Call) -> Scene | None:
    """A bus is held at a stop until the one behind has caught up; then both go on together."""
    fleet = stage.fleet
    for row in stage.some_buses(call):
        behind = fleet.behind(row)
        if behind is None or not fleet.boarding(row, call.at_ms):
            continue
        follower, back_m = behind
        if not 2 * BUNCHED_M < back_m < HELD_MOST_S * MEAN_MPS or fleet.orders.busy_ms[follower] > call.at_ms:
            continue
        until_ms = call.at_ms + round((HELD_MOST_S + BUNCHED_S) * 1000)
        for one in (row, follower):
            fleet.orders.occupy(one, until_ms)
            fleet.orders.loose_ms[one] = until_ms
        fleet.wait(row, call.at_ms + round(HELD_MOST_S * 1000), doors_open=True)
        return Scene(call.kind, call.rng, then=_caught_up(stage, call, row, follower), until_ms=until_ms)
    return None


def _caught_up(stage: Stage, call: Call, row: int, follower: int) -> Callable[[int], Truth | None]:
    """Return what tells of the two when they are together."""

    def look(tick_ms: int) -> Truth | None:
        fleet = stage.fleet
        behind = fleet.behind(row)
        if behind is None or behind[0] != follower or behind[1] > BUNCHED_M:
            return None
        fleet.release(row, tick_ms)
        path, _, _ = fleet.along(row)
        latitude_deg, longitude_deg, _ = fleet.place(row)
        call.at_ms = tick_ms - 1
        ends_ms = tick_ms + BUNCHED_S * 1000
        return stage.truth(call, latitude_deg, longitude_deg, ends_ms, (stage.paths.line_id[path],))

    return look


def service_gap(stage: Stage, call: Call) -> Scene | None:
    """Trips are left out: at an end of a line nobody leaves until well over a headway and 5 min are missing."""
    fleet = stage.fleet
    dispatch = fleet.dispatch
    for number in call.rng.permutation(len(dispatch.services)).tolist():
        one = dispatch.services[number]
        if not is_planned(one.line, call.hour):
            continue
        path = int(call.rng.choice([p for p in stage.paths.patterns if stage.paths.line_id[p] == one.line.line_id]))
        before = [p for p in range(len(stage.paths.following)) if stage.paths.following[p] == path]
        stop = int(stage.paths.next_stop(np.array(before[:1]), stage.paths.length_m[before[:1]] - 1.0)[0])
        headway_ms = float(dispatch.headway_ms[one.first])
        if dispatch.left_ms[stop] < call.at_ms - 2 * headway_ms or dispatch.left_ms[stop] > call.at_ms + headway_ms:
            continue
        left_out = math.ceil(GAP_OVER_S * 1000 / headway_ms)
        last_ms = max(float(dispatch.left_ms[stop]), call.at_ms - headway_ms)
        dispatch.left_ms[stop] = last_ms + left_out * headway_ms
        call.at_ms = round(last_ms + headway_ms + GAP_NOTICED_S * 1000)
        ends_ms = dispatch.left_ms[stop] + headway_ms + stage.paths.length_m[path] / MEAN_MPS * 1000
        place = stage.paths.place(np.array([path]), np.array([0.0]))
        truth = stage.truth(call, float(place[0][0]), float(place[1][0]), ends_ms, (one.line.line_id,))
        return Scene(call.kind, call.rng, truth)
    return None


def delay(stage: Stage, call: Call) -> Scene | None:
    """A bus stands at a stop for minutes, doors open, and is late from there on."""
    lasts_ms = call.lasts_ms(DELAY_S)
    for row in stage.some_buses(call):
        path, offset_m, _ = stage.fleet.along(row)
        if stage.fleet.boarding(row, call.at_ms) and offset_m < stage.paths.length_m[path] * 0.7:
            stage.fleet.wait(row, call.at_ms + lasts_ms, doors_open=True)
            return _of_vehicle(stage, call, row, lasts_ms + round(DELAY_SHOWS_S * 1000))
    return None


def off_route(stage: Stage, call: Call) -> Scene | None:
    """A bus follows another street, beside its own, for some minutes."""
    lasts_ms, away_m = call.lasts_ms(DETOUR_S), float(call.rng.uniform(*DETOUR_M))
    side = 90.0 if call.rng.random() < 0.5 else -90.0
    for row in stage.some_buses(call):
        path, offset_m, _ = stage.fleet.along(row)
        if 500.0 < offset_m < stage.paths.length_m[path] - MEAN_MPS * lasts_ms / 1000 - 500.0:
            angle = math.radians(stage.fleet.place(row)[2] + side)
            north_m, east_m = away_m * math.cos(angle), away_m * math.sin(angle)
            detour = Detour(row, call.at_ms, call.at_ms + lasts_ms, north_m, east_m)
            stage.fleet.orders.detours.append(detour)
            return _of_vehicle(stage, call, row, lasts_ms)
    return None


def breakdown(stage: Stage, call: Call) -> Scene | None:
    """A bus stands between two stops."""
    return _stands(stage, call, BUSES, BREAKDOWN_S, BETWEEN_M)


def stopped_train(stage: Stage, call: Call) -> Scene | None:
    """A train stands between two stations."""
    return _stands(stage, call, METRO, TRAIN_S, TRAIN_BETWEEN_M)


def _stands(
    stage: Stage, call: Call, classes: frozenset[VehicleClass], lasts_s: Span, between_m: float
) -> Scene | None:
    lasts_ms = call.lasts_ms(lasts_s)
    for row in stage.some_vehicles(call, classes):
        path, offset_m, ahead_m = stage.fleet.along(row)
        stop_m = stage.paths.stop_m[stage.fleet.last_stop(row)] - stage.paths.start_m[path]
        passed_m = offset_m - stop_m if 0 <= stop_m <= offset_m + HALT_WITHIN_M else offset_m
        if ahead_m > between_m + 60.0 and passed_m > between_m and stage.fleet.hold_ms[row] <= call.at_ms:
            stage.fleet.wait(row, call.at_ms + lasts_ms, doors_open=False)
            return _of_vehicle(stage, call, row, lasts_ms)
    return None


def speeding(stage: Stage, call: Call) -> Scene | None:
    """A taxi, a ride, a coach or a rental car drives at 74 to 90 km/h."""
    lasts_ms = call.lasts_ms(SPEEDING_S)
    for row in stage.some_vehicles(call, STREET):
        if stage.fleet.along(row)[2] > ROAD_AHEAD_M + SPEEDING_MPS[1] * lasts_ms / 1000:
            stage.fleet.release(row, call.at_ms)
            stage.fleet.orders.pace_mps[row] = call.rng.uniform(*SPEEDING_MPS)
            stage.fleet.orders.pace_ms[row] = call.at_ms + lasts_ms
            return _of_vehicle(stage, call, row, lasts_ms)
    return None


def sos(stage: Stage, call: Call) -> Scene | None:
    """A driver presses the emergency button."""
    lasts_ms = call.lasts_ms(SOS_S)
    for row in stage.some_vehicles(call, STREET | BUSES)[:1]:
        stage.fleet.orders.sos_ms[row] = call.at_ms + lasts_ms
        return _of_vehicle(stage, call, row, lasts_ms)
    return None


def door_open(stage: Stage, call: Call) -> Scene | None:
    """A bus drives with a door open."""
    lasts_ms = call.lasts_ms(DOOR_S)
    for row in stage.some_buses(call):
        if stage.fleet.along(row)[2] > DOOR_AHEAD_M and stage.fleet.hold_ms[row] <= call.at_ms:
            stage.fleet.orders.doors_ms[row] = call.at_ms + lasts_ms
            return _of_vehicle(stage, call, row, lasts_ms)
    return None


def silent_vehicle(stage: Stage, call: Call) -> Scene | None:
    """The device of a vehicle on the road says nothing more for 25 to 45 min."""
    lasts_ms = call.lasts_ms(SILENT_S)
    for row in stage.some_vehicles(call, STREET | BUSES)[:1]:
        stage.fleet.channel.quiet_ms[row] = call.at_ms + lasts_ms
        return _of_vehicle(stage, call, row, lasts_ms)
    return None


def forbidden_stop(stage: Stage, call: Call) -> Scene | None:
    """A coach or a taxi waits for passengers where its class may not."""
    lasts_ms = call.lasts_ms(FORBIDDEN_S)
    zones = [zone for zone in stage.city.zones if zone.kind == "no_stopping" and zone.classes]
    if not zones:
        return None
    centres = np.array([_inside(zone, call) for zone in zones])
    number = stage.free(call, np.arange(len(zones)), centres[:, 0], centres[:, 1])
    if number is None:
        return None
    name = zones[number].classes[int(call.rng.integers(len(zones[number].classes)))]
    place = float(centres[number, 0]), float(centres[number, 1])
    drive = standing_at(call, place, call.at_ms + lasts_ms, VehicleClass(name))
    return Scene(call.kind, call.rng, stage.truth(call, *place, call.at_ms + lasts_ms), drives=(drive,))


def _inside(zone: Zone, call: Call) -> tuple[float, float]:
    """Return a place well inside a zone: between its middle and a corner."""
    latitude_deg, longitude_deg = np.mean(zone.corners, axis=0).tolist()
    corner = zone.corners[int(call.rng.integers(len(zone.corners)))]
    share = float(call.rng.uniform(0.0, WITHIN_ZONE_SHARE))
    return latitude_deg + share * (corner[0] - latitude_deg), longitude_deg + share * (corner[1] - longitude_deg)


def _of_vehicle(stage: Stage, call: Call, row: int, lasts_ms: int) -> Scene:
    """Return the scene of a vehicle that has its order: it is about its line, if it serves one."""
    stage.fleet.orders.occupy(row, call.at_ms + lasts_ms + 60_000)
    latitude_deg, longitude_deg, _ = stage.fleet.place(row)
    line_id = stage.paths.line_id[stage.fleet.along(row)[0]]
    lines = (line_id,) if line_id else None
    return Scene(call.kind, call.rng, stage.truth(call, latitude_deg, longitude_deg, call.at_ms + lasts_ms, lines))


def small_detour(stage: Stage, call: Call) -> Scene | None:
    """Everyday life: roadworks; a bus passes them on the road beside."""
    lasts_ms, away_m = call.lasts_ms((60.0, 150.0)), float(call.rng.uniform(20.0, 45.0))
    for row in stage.some_buses(call)[:1]:
        angle = math.radians(stage.fleet.place(row)[2] + 90.0)
        north_m, east_m = away_m * math.cos(angle), away_m * math.sin(angle)
        detour = Detour(row, call.at_ms, call.at_ms + lasts_ms, north_m, east_m)
        stage.fleet.orders.detours.append(detour)
        stage.fleet.orders.occupy(row, call.at_ms + lasts_ms)
        return Scene(call.kind, call.rng)
    return None


def taxi_rank(stage: Stage, call: Call) -> Scene | None:
    """Everyday life: a taxi waits for passengers at a station or market, where it may."""
    places = [one for one in stage.city.venues if one.kind in ("market", "hospital", "railway_station", "airport")]
    if not places:
        return None
    venue = places[int(call.rng.integers(len(places)))]
    away_m, angle = float(call.rng.uniform(30.0, 120.0)), float(call.rng.uniform(0.0, 2 * math.pi))
    place = shifted(venue.latitude_deg, venue.longitude_deg, away_m * math.cos(angle), away_m * math.sin(angle))
    if any(zone.kind == "no_stopping" for zone in stage.city.zones_at(*place)):
        return None
    drive = standing_at(call, place, call.at_ms + call.lasts_ms((240.0, 1_200.0)), VehicleClass.TAXI)
    return Scene(call.kind, call.rng, drives=(drive,))
