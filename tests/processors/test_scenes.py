"""Scenes: what each kind does to cameras, sensors and vehicles, and that kinds leave each other alone."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from processors.city import City, load_city
from processors.geo import haversine_m
from processors.score_bounds import TOLD_S
from processors.simulate import LIVE_SCENES, Interval, Simulation, SimulationRule
from processors.simulate.difficulty import hardened
from processors.simulate.rule import TICK_MS
from processors.simulate.scenes import SCENE_KINDS
from processors.simulate.weather import sound_mps
from schemas.codec import local_codec
from schemas.errors import UsageError
from schemas.records import CameraDetection, Heartbeat, SensorReading, Switch, Truth, VehiclePosition

PROJECT = Path(__file__).parents[2]
QUANTITIES = (
    "ch4",
    "co",
    "fire_alarm",
    "gunshot_confidence",
    "no2",
    "pm10",
    "pm2_5",
    "smoke_obscuration",
    "sound_level",
    "temperature",
    "water_level",
)
START_MS = 1_790_043_000_000  # 10:30 in Hanoi
NOTHING_ELSE = SimulationRule(
    vehicles=0,
    crashes_per_hour=0.0,
    fires_per_hour=0.0,
    background_per_camera_s=0.0,
    outages_per_hour=0.0,
    late=0.0,
    duplicate=0.0,
    fast_clock=0.0,
    camera_miss=0.0,
    false_detection=0.0,
    latency_s=(0.0, 0.0),
    gps_noise_m=0.0,
    speed_noise_mps=0.0,
)


@cache
def hanoi() -> City:
    return load_city(PROJECT / "cities" / "hanoi")


ON_ROADS = (
    "breakdown",
    "congestion",
    "delay",
    "door_open",
    "off_route",
    "silent_vehicle",
    "sos",
    "speeding",
    "stopped_train",
    "wrong_way",
)
LONG = ("air_quality", "noise")


@cache
def roads() -> tuple[Interval, ...]:
    """One scene of each kind that happens to vehicles on the road, in eleven minutes."""
    rates = dict.fromkeys(ON_ROADS, 0.01)
    rule = replace(NOTHING_ELSE, vehicles=900, scenes_per_hour=rates, leave_out=(*QUANTITIES, "heartbeats"))
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    return tuple(simulation.step() for _ in range(660 * 1000 // TICK_MS))


@cache
def quiet() -> tuple[Interval, ...]:
    """One scene of every other kind, in eight minutes."""
    kinds = [one.name for one in SCENE_KINDS if one.name not in (*ON_ROADS, *LONG, "bunching", "service_gap")]
    rule = replace(NOTHING_ELSE, scenes_per_hour=dict.fromkeys(kinds, 0.01))
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    return tuple(simulation.step() for _ in range(480 * 1000 // TICK_MS))


@cache
def long() -> tuple[Interval, ...]:
    """Noise and bad air in half an hour, and nothing but the sensors that measure it."""
    left_out = ("heartbeats", *(one for one in QUANTITIES if one not in ("pm2_5", "sound_level")))
    rule = replace(NOTHING_ELSE, scenes_per_hour=dict.fromkeys(LONG, 0.01), leave_out=left_out)
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    return tuple(simulation.step() for _ in range(1800 * 1000 // TICK_MS))


def play(kind: str) -> tuple[Interval, ...]:
    return roads() if kind in ON_ROADS else long() if kind in LONG else quiet()


def the_truth(kind: str) -> Truth:
    found = [truth for interval in play(kind) for truth in interval.truths if truth.kind == kind]
    assert len(found) == 1
    return found[0]


def detections_of(intervals: Sequence[Interval], kind: str) -> list[CameraDetection]:
    records = [sent.record for one in intervals for sent in one.sent]
    return [one for one in records if isinstance(one, CameraDetection) and one.kind == kind]


def readings_of(intervals: Sequence[Interval], quantity: str) -> list[SensorReading]:
    records = [sent.record for one in intervals for sent in one.sent]
    return [one for one in records if isinstance(one, SensorReading) and one.quantity == quantity]


def positions_of(intervals: Sequence[Interval]) -> dict[str, list[VehiclePosition]]:
    tracks: dict[str, list[VehiclePosition]] = {}
    for one in intervals:
        for sent in one.sent:
            if isinstance(sent.record, VehiclePosition):
                tracks.setdefault(sent.record.vehicle_id, []).append(sent.record)
    return tracks


def away_m(truth: Truth, latitude_deg: float, longitude_deg: float) -> float:
    return float(haversine_m(truth.latitude_deg, truth.longitude_deg, latitude_deg, longitude_deg))


def nearest(truth: Truth, tracks: dict[str, list[VehiclePosition]]) -> list[VehiclePosition]:
    """The track that is nearest to a truth at its time."""

    def off(track: list[VehiclePosition]) -> float:
        fix = min(track, key=lambda one: abs(one.at_ms - truth.at_ms))
        return away_m(truth, fix.latitude_deg, fix.longitude_deg)

    return min(tracks.values(), key=off)


SEEN = {
    "crowd": "crowd",
    "fight": "fight",
    "person_down": "person_down",
    "abandoned_object": "abandoned_object",
    "illegal_parking": "illegal_parking",
    "encroachment": "encroachment",
    "street_vending": "street_vending",
    "debris": "debris",
    "stopped_vehicle": "stopped_vehicle",
    "person_in_water": "person_in_water",
    "crowded_platform": "platform_crowd",
    "flood": "flood",
    "bus_lane_intruder": "lane_intruder",
}


@pytest.mark.parametrize("kind", sorted(SEEN))
def test_cameras_near_a_scene_claim_it_while_it_lasts(kind: str) -> None:
    truth = the_truth(kind)
    reach_m = 2_700.0 if kind == "bus_lane_intruder" else 121.0
    claims = [
        one.at_ms
        for one in detections_of(play(kind), SEEN[kind])
        for camera in [hanoi().cameras[one.camera_id]]
        if away_m(truth, camera.latitude_deg, camera.longitude_deg) <= reach_m
    ]
    assert len(claims) >= 3
    assert min(claims) >= truth.at_ms
    assert max(claims) <= truth.ends_at_ms + 1_000


def test_a_person_in_water_is_in_water() -> None:
    truth = the_truth("person_in_water")
    assert "water" in {zone.kind for zone in hanoi().zones_at(truth.latitude_deg, truth.longitude_deg)}


@pytest.mark.parametrize("kind", ["explosion", "gunshot"])
def test_microphones_hear_a_bang_when_its_sound_reaches_them(kind: str) -> None:
    intervals = play(kind)
    truth = the_truth(kind)
    level = [
        one
        for one in readings_of(intervals, "sound_level")
        if one.value > 93 and -20 <= one.at_ms - truth.at_ms < 2_500
        if away_m(truth, one.latitude_deg, one.longitude_deg) <= 600.0
    ]
    first: dict[str, SensorReading] = {}
    for one in level:
        first.setdefault(one.sensor_id, one)
    late_ms = [
        one.at_ms - truth.at_ms - away_m(truth, one.latitude_deg, one.longitude_deg) / sound_mps(10.53) * 1000
        for one in first.values()
    ]
    assert len(late_ms) >= 5
    in_time = [late for late in late_ms if abs(late) < 20.0]
    assert len(in_time) >= 0.6 * len(late_ms)
    heard = {(one.sensor_id, one.at_ms) for one in level}
    sure = [one.value for one in readings_of(intervals, "gunshot_confidence") if (one.sensor_id, one.at_ms) in heard]
    assert (np.median(sure) > 0.6) == (kind == "gunshot")


def test_the_speed_of_sound_follows_the_temperature() -> None:
    assert sound_mps(14.0) == pytest.approx(331.3 * (1 + 31.0 / 273.15) ** 0.5)
    assert sound_mps(2.0) < sound_mps(14.0)


def test_gas_rises_at_a_sensor_that_measures_it() -> None:
    intervals = play("gas_leak")
    truth = the_truth("gas_leak")
    high = [
        one
        for quantity, limit in (("ch4", 10.0), ("co", 50.0))
        for one in readings_of(intervals, quantity)
        if one.value > limit
    ]
    assert high
    assert min(one.at_ms for one in high) > truth.at_ms
    assert all(away_m(truth, one.latitude_deg, one.longitude_deg) < 41.0 for one in high)


def test_water_rises_in_a_flood() -> None:
    intervals = play("flood")
    truth = the_truth("flood")
    high = [one for one in readings_of(intervals, "water_level") if one.value > 0.4]
    assert high
    assert all(away_m(truth, one.latitude_deg, one.longitude_deg) <= 101.0 for one in high)


def test_noise_raises_the_level_for_long() -> None:
    intervals = play("noise")
    truth = the_truth("noise")
    here = [
        one.value
        for one in readings_of(intervals, "sound_level")
        if away_m(truth, one.latitude_deg, one.longitude_deg) < 60 and one.at_ms > truth.at_ms + 300_000
    ]
    elsewhere = [
        one.value
        for one in readings_of(intervals, "sound_level")
        if away_m(truth, one.latitude_deg, one.longitude_deg) > 500
    ]
    assert np.median(here) > np.median(elsewhere) + 12
    assert truth.ends_at_ms - truth.at_ms >= 2_700_000


def test_bad_air_is_bad_at_every_sensor_around() -> None:
    intervals = play("air_quality")
    truth = the_truth("air_quality")
    late = [one for one in readings_of(intervals, "pm2_5") if one.at_ms > truth.at_ms + 1_250_000]
    near = [one.value for one in late if away_m(truth, one.latitude_deg, one.longitude_deg) < 2_400]
    far = [one.value for one in late if away_m(truth, one.latitude_deg, one.longitude_deg) > 2_600]
    assert np.median(near) > 3 * np.median(far)


def test_episodes_of_bad_air_are_as_far_apart_as_their_areas_are_wide() -> None:
    rule = replace(
        NOTHING_ELSE, opening=0, scenes_per_hour={"air_quality": 240.0}, leave_out=(*QUANTITIES, "heartbeats")
    )
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    truths = [truth for _ in range(1_800 * 1000 // TICK_MS) for truth in simulation.step().truths]
    assert len(truths) > 5
    for one, other in itertools.combinations(truths, 2):
        assert away_m(one, other.latitude_deg, other.longitude_deg) >= 5_000.0


def test_a_stuck_sensor_says_the_same_whatever_happens_around_it() -> None:
    others = tuple(name for name in QUANTITIES if name != "sound_level")
    rates = {"sensor_fault": 300.0, "noise": 300.0}
    rule = replace(NOTHING_ELSE, opening=0, scenes_per_hour=rates, leave_out=(*others, "heartbeats"))
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    intervals = [simulation.step() for _ in range(600 * 1000 // TICK_MS)]
    truths = [truth for one in intervals for truth in one.truths]
    roars = [truth for truth in truths if truth.kind == "noise"]
    shared = 0
    for fault in (truth for truth in truths if truth.kind == "sensor_fault"):
        noises = [one for one in roars if away_m(fault, one.latitude_deg, one.longitude_deg) < 120]
        since_ms = min((one.at_ms for one in noises if one.at_ms > fault.at_ms), default=None)
        by_sensor: dict[str, list[float]] = {}
        for one in readings_of(intervals, "sound_level"):
            if since_ms and one.at_ms > since_ms and not away_m(fault, one.latitude_deg, one.longitude_deg):
                by_sensor.setdefault(one.sensor_id, []).append(one.value)
        shared += any(len(values) > 2 and len(set(values)) == 1 for values in by_sensor.values())
    assert shared


def test_a_faulty_sensor_sticks_drifts_or_falls_silent() -> None:
    ways = set()
    rule = replace(NOTHING_ELSE, opening=0, scenes_per_hour={"sensor_fault": 120.0})
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    intervals = [simulation.step() for _ in range(900 * 1000 // TICK_MS)]
    truths = [truth for one in intervals for truth in one.truths]
    assert len(truths) > 10
    truths = [one for one in truths if one.at_ms < START_MS + 500_000]
    records = [sent.record for one in intervals for sent in one.sent]
    for truth in truths:
        name = next(
            one.device_id
            for one in hanoi().sensors.values()
            if (one.latitude_deg, one.longitude_deg) == (truth.latitude_deg, truth.longitude_deg)
        )
        own = [one for one in records if isinstance(one, SensorReading) and one.sensor_id == name]
        later = [one.value for one in own if truth.at_ms < one.at_ms < truth.ends_at_ms]
        beats = [one for one in records if isinstance(one, Heartbeat) and one.device_id == name]
        if not [one for one in beats if truth.at_ms + 60_000 < one.at_ms < truth.ends_at_ms]:
            ways.add("silent")
        elif len(later) > 3 and len(set(later)) == len({one.quantity for one in own}):
            ways.add("stuck")
        else:
            ways.add("other")
    assert ways >= {"silent", "stuck"}


def test_a_silent_camera_has_no_heartbeat_a_tampered_one_says_so() -> None:
    truth = the_truth("camera_silent")
    alive = {
        sent.key
        for one in play("camera_silent")
        for sent in one.sent
        if isinstance(sent.record, Heartbeat) and one.tick_ms > truth.at_ms + 1_000
    }
    dead = [hanoi().cameras[name] for name in hanoi().cameras.keys() - alive]
    assert [away_m(truth, one.latitude_deg, one.longitude_deg) for one in dead] == [0.0]
    tampered = the_truth("camera_tampered")
    own = [
        one
        for kind in ("frozen", "covered", "moved")
        for one in detections_of(play("camera_tampered"), kind)
        if one.at_ms > tampered.at_ms
    ]
    assert len({(one.camera_id, one.kind) for one in own}) == 1
    assert len(own) > 20


def test_a_wrong_clock_stamps_heartbeats_and_is_put_right() -> None:
    intervals = play("camera_clock")
    truth = the_truth("camera_clock")
    off_s = {
        sent.key: (sent.record.at_ms - one.tick_ms) / 1000
        for one in intervals
        for sent in one.sent
        if isinstance(sent.record, Heartbeat) and one.tick_ms > truth.at_ms + 60_000
    }
    wrong = [name for name, off in off_s.items() if abs(off) > 30]
    assert len(wrong) == 1
    camera = hanoi().cameras[wrong[0]]
    assert away_m(truth, camera.latitude_deg, camera.longitude_deg) == 0.0


def test_cameras_that_are_5_s_fast_from_the_start_are_true() -> None:
    rule = replace(NOTHING_ELSE, fast_clock=0.2, opening=0, scenes_per_hour={"camera_clock": 0.01})
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    intervals = [simulation.step() for _ in range(61 * 4)]
    fast = {
        sent.key
        for one in intervals
        for sent in one.sent
        if isinstance(sent.record, Heartbeat)
        and sent.record.at_ms > one.tick_ms + 4_750
        and sent.key in hanoi().cameras
    }
    truths = [truth for one in intervals for truth in one.truths if truth.at_ms < START_MS + 1_000]
    assert len(fast) == len(truths) > 30
    places = {(hanoi().cameras[name].latitude_deg, hanoi().cameras[name].longitude_deg) for name in fast}
    assert {(truth.latitude_deg, truth.longitude_deg) for truth in truths} == places
    assert len({truth.truth_id for truth in truths}) == len(truths)


def test_sensors_of_which_nothing_is_accepted_are_out_of_order_from_the_start() -> None:
    rates = {"sensor_fault": 0.01}
    rule = replace(NOTHING_ELSE, fast_clock=0.5, far_ahead=0.3, opening=0, scenes_per_hour=rates)
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    intervals = [simulation.step() for _ in range(61 * 4)]
    refused = {
        sent.key
        for one in intervals
        for sent in one.sent
        if isinstance(sent.record, Heartbeat)
        and sent.record.at_ms > one.tick_ms + 30_000
        and sent.key in hanoi().sensors
    }
    truths = [truth for one in intervals for truth in one.truths if truth.at_ms < START_MS + 1_000]
    assert {truth.kind for truth in truths} == {"sensor_fault"}
    assert len(refused) == len(truths) > 30


def test_a_bus_that_breaks_down_stands_between_stops() -> None:
    intervals = play("breakdown")
    truth = the_truth("breakdown")
    track = nearest(truth, positions_of(intervals))
    after = [one for one in track if truth.at_ms + 20_000 < one.at_ms < truth.ends_at_ms]
    assert len(after) > 20
    assert all(one.speed_mps < 0.5 and one.door is Switch.OFF for one in after)
    assert after[0].line_id == truth.line_ids[0]


def test_who_speeds_drives_above_73_km_h() -> None:
    intervals = play("speeding")
    truth = the_truth("speeding")
    fast = [one for track in positions_of(intervals).values() for one in track if one.speed_mps > 20.4]
    assert len(fast) >= 3
    assert {one.vehicle_id for one in fast} == {fast[0].vehicle_id}
    assert all(truth.at_ms < one.at_ms < truth.ends_at_ms + 5_000 for one in fast)


def test_sos_and_open_doors_show_in_the_records() -> None:
    truth = the_truth("sos")
    fixes = [one for track in positions_of(play("sos")).values() for one in track]
    pressed = [one for one in fixes if one.sos is Switch.ON]
    assert len({one.vehicle_id for one in pressed}) == 1
    assert all(truth.at_ms <= one.at_ms <= truth.ends_at_ms for one in pressed)
    moving = [one for one in fixes if one.door is Switch.ON and one.speed_mps > 4]
    assert len(moving) >= 2
    assert len({one.vehicle_id for one in moving}) == 1


def test_a_detour_leaves_the_line_by_180_m_and_comes_back() -> None:
    intervals = play("off_route")
    truth = the_truth("off_route")
    own = nearest(truth, {n: t for n, t in positions_of(intervals).items() if t[0].line_id == truth.line_ids[0]})
    course = next(line for line in hanoi().lines if line.line_id == truth.line_ids[0]).patterns

    def off(fix: VehiclePosition) -> float:
        near = hanoi().near_lines(fix.latitude_deg, fix.longitude_deg, 600.0)
        return min((one.distance_m for one in near if one.line_id == truth.line_ids[0]), default=600.0)

    middle = [off(one) for one in own if truth.at_ms + 50_000 < one.at_ms < truth.ends_at_ms - 50_000]
    assert course
    assert np.median(middle) > 60
    assert max(off(one) for one in own if one.at_ms < truth.at_ms) < 10
    assert max(off(one) for one in own if one.at_ms > truth.ends_at_ms + 5_000) < 10


def test_wrong_way_turns_bearing_and_course() -> None:
    intervals = play("wrong_way")
    truth = the_truth("wrong_way")
    track = nearest(truth, positions_of(intervals))
    before = [one for one in track if one.at_ms < truth.at_ms][-1]
    during = [one for one in track if truth.at_ms + 1_000 < one.at_ms < truth.ends_at_ms - 1_000]
    assert len(during) >= 3
    assert all(one.direction_id == before.direction_id for one in during)
    turn_deg = abs((during[0].bearing_deg - before.bearing_deg + 180) % 360 - 180)
    assert turn_deg > 130


def test_a_forbidden_stop_stands_in_a_zone_for_its_class() -> None:
    intervals = play("forbidden_stop")
    truth = the_truth("forbidden_stop")
    track = nearest(truth, positions_of(intervals))
    standing = [one for one in track if one.speed_mps < 0.5]
    zones = hanoi().zones_at(truth.latitude_deg, truth.longitude_deg)
    assert any(zone.kind == "no_stopping" and zone.concerns(track[0].vehicle_class) for zone in zones)
    assert len(standing) > 5
    assert all(away_m(truth, one.latitude_deg, one.longitude_deg) < 5 for one in standing)


def test_a_silent_vehicle_says_nothing() -> None:
    intervals = play("silent_vehicle")
    truth = the_truth("silent_vehicle")
    last = {name: max(one.at_ms for one in track) for name, track in positions_of(intervals).items()}
    quiet = [name for name, at_ms in last.items() if at_ms < START_MS + 600_000 and name < "taxi-f"]
    assert len(quiet) == 1
    assert last[quiet[0]] <= truth.at_ms


def test_vehicles_crawl_in_congestion() -> None:
    intervals = play("congestion")
    truth = the_truth("congestion")
    slow = {
        name
        for name, track in positions_of(intervals).items()
        if sum(
            0.3 < one.speed_mps < 1.8 and away_m(truth, one.latitude_deg, one.longitude_deg) < 520 for one in track
        ) > 10
    }  # fmt: skip
    assert len(slow) >= 3


def test_buses_bunch_and_gaps_open_where_trips_are_left_out() -> None:
    rule = replace(NOTHING_ELSE, vehicles=450, scenes_per_hour={"bunching": 30.0, "service_gap": 30.0})
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    intervals = [simulation.step() for _ in range(1500 * 1000 // TICK_MS)]
    truths = [truth for one in intervals for truth in one.truths]
    assert {truth.kind for truth in truths} == {"bunching", "service_gap"}
    assert all(len(truth.line_ids) == 1 and truth.ends_at_ms > truth.at_ms + 600_000 for truth in truths)
    tracks = positions_of(intervals)
    for truth in [one for one in truths if one.kind == "bunching"]:
        near = [
            name
            for name, track in tracks.items()
            for fix in [min(track, key=lambda one: abs(one.at_ms - truth.at_ms))]
            if fix.line_id == truth.line_ids[0] and away_m(truth, fix.latitude_deg, fix.longitude_deg) < 250
        ]
        assert len(near) >= 2


def test_kinds_leave_each_other_alone() -> None:
    def sent(rates: dict[str, float]) -> tuple[list[Truth], list[bytes]]:
        simulation = Simulation(hanoi(), 9, START_MS, replace(NOTHING_ELSE, scenes_per_hour=rates), None)
        intervals = [simulation.step() for _ in range(130 * 1000 // TICK_MS)]
        codec = local_codec()
        records = [one.record for interval in intervals for one in interval.sent]
        kept = [
            one for one in records if getattr(one, "kind", getattr(one, "quantity", "")) in ("fight", "sound_level")
        ]
        return [truth for one in intervals for truth in one.truths if truth.kind == "fight"], [*map(codec.encode, kept)]

    alone = sent({"fight": 30.0})
    assert alone[0]
    assert sent({"fight": 30.0, "crowd": 30.0, "gas_leak": 30.0, "camera_silent": 30.0}) == alone


def test_scenes_are_those_of_the_table_and_no_others() -> None:
    assert len({one.name for one in SCENE_KINDS}) == len(SCENE_KINDS) == 35
    assert LIVE_SCENES["air_quality"] == 0
    with pytest.raises(UsageError, match="there are no scenes of kind tornado; there are abandoned_object, air_"):
        Simulation(hanoi(), 1, START_MS, SimulationRule(scenes_per_hour={"tornado": 1.0}), None)


def test_difficulty_scales_what_makes_evidence_worse() -> None:
    assert hardened(SimulationRule()) == SimulationRule()
    twice = hardened(SimulationRule(difficulty=2.0))
    assert (twice.camera_miss, twice.false_detection, twice.gps_noise_m) == (0.24, 0.1, 16.0)
    assert (twice.fast_clock, twice.outages_per_hour, twice.late) == (0.04, 1.0, 0.01)
    easy = hardened(SimulationRule(difficulty=0.0))
    assert (easy.camera_miss, easy.false_detection, easy.gps_noise_m, easy.fast_clock) == (0.0, 0.0, 0.0, 0.0)


def test_what_is_left_out_is_not_sent() -> None:
    rule = replace(NOTHING_ELSE, background_per_camera_s=0.05, leave_out=("detections", "heartbeats", "sound_level"))
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    records = [sent.record for _ in range(240) for sent in simulation.step().sent]
    assert records
    assert all(isinstance(one, SensorReading) and one.quantity != "sound_level" for one in records)


def kinds_begun(for_s: int) -> list[str]:
    rule = SimulationRule(vehicles=500, scenes_per_hour=LIVE_SCENES)
    simulation = Simulation(hanoi(), 3, START_MS, rule, START_MS + for_s * 1000)
    truths = [truth for _ in range(45 * 4) for truth in simulation.step().truths]
    return [truth.kind for truth in truths if truth.at_ms > START_MS + 1_000]


def test_a_minute_shows_everything_that_is_told_within_a_minute() -> None:
    begun = kinds_begun(60)
    assert [kind for kind in begun if kind in ("crash", "fire")] == ["crash", "fire"] * 3
    assert set(begun) == {kind for kind in ("crash", *LIVE_SCENES, "fire") if TOLD_S[kind] <= 50 or kind == "crash"}


def test_five_minutes_begin_with_all_that_is_told_within_five() -> None:
    begun = set(kinds_begun(300))
    assert begun == {kind for kind in ("crash", *LIVE_SCENES, "fire") if TOLD_S[kind] <= 270}
    assert len(begun) == 29


def test_docs_list_every_kind_with_its_rate() -> None:
    text = (PROJECT / "docs" / "simulator.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([a-z_]+(?:, [a-z_]+)*) \| (\d+) \|", text, re.MULTILINE)
    assert {name: float(rate) for names, rate in listed for name in names.split(", ")} == LIVE_SCENES
