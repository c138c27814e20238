"""The simulator: the same again for the same seed, and as hard as docs/simulator.md says."""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from processors.city import Bounds, City, load_city
from processors.geo import haversine_m
from processors.simulate import Interval, Simulation, SimulationRule
from processors.simulate.delivery import clocks_ahead_ms
from processors.simulate.estate import Estate
from processors.simulate.paths import build_paths
from processors.simulate.rule import DETECTIONS, POSITIONS, READINGS, TICK_MS, random_stream
from processors.simulate.script import CAMERA_SEES_M, FIRE_FELT_M, SOUND_HEARD_M, Script
from processors.simulate.vehicles import traffic_at
from schemas.codec import local_codec
from schemas.dictionary import dictionary_array
from schemas.errors import UsageError
from schemas.records import CameraDetection, Heartbeat, SensorReading, Switch, Truth, VehicleClass, VehiclePosition
from tests.processors.simulated_city import METRE_NORTH_DEG, SOUTH_DEG, build_city

PROJECT = Path(__file__).parents[2]
START_MS = 1_790_043_000_000  # 10:30 in Hanoi: traffic in between rush hours
CITY = build_city()
FEW = SimulationRule(vehicles=40)
FLAWLESS = replace(
    FEW, outages_per_hour=0.0, late=0.0, duplicate=0.0, fast_clock=0.0, false_detection=0.0, latency_s=(0.0, 0.0)
)
SEEING = replace(FLAWLESS, vehicles=0, false_detection=0.05, background_per_camera_s=0.0)
CLAIMS = ("crash", "smoke", "fire")


@cache
def run(
    rule: SimulationRule = FEW, seconds: int = 60, seed: int = 7, start_ms: int = START_MS, until_s: int | None = None
) -> tuple[Interval, ...]:
    until_ms = None if until_s is None else start_ms + until_s * 1000
    simulation = Simulation(CITY, seed, start_ms, rule, until_ms)
    return tuple(simulation.step() for _ in range(seconds * 1000 // TICK_MS))


def truths_of(intervals: Sequence[Interval]) -> list[Truth]:
    return [truth for interval in intervals for truth in interval.truths]


def scripted(rule: SimulationRule = FEW, seconds: int = 1800, seed: int = 7) -> list[Truth]:
    script = Script(CITY, build_paths(CITY), seed, START_MS, rule, None)
    return [scene.truth for scene in script.until(START_MS + seconds * 1000)]


def positions_of(intervals: Sequence[Interval]) -> list[VehiclePosition]:
    return [s.record for i in intervals for s in i.sent if isinstance(s.record, VehiclePosition)]


def detections_of(intervals: Sequence[Interval]) -> list[CameraDetection]:
    return [s.record for i in intervals for s in i.sent if isinstance(s.record, CameraDetection)]


def readings_of(intervals: Sequence[Interval]) -> list[SensorReading]:
    return [s.record for i in intervals for s in i.sent if isinstance(s.record, SensorReading)]


def tracks_of(positions: Sequence[VehiclePosition]) -> dict[str, list[VehiclePosition]]:
    tracks = defaultdict(list)
    for position in positions:
        tracks[position.vehicle_id].append(position)
    return {name: sorted(track, key=lambda position: position.at_ms) for name, track in tracks.items()}


def encoded(intervals: Sequence[Interval]) -> list[bytes]:
    codec = local_codec()
    return [
        b"".join(
            [
                *(s.topic.encode() + s.key.encode() + codec.encode(s.record) for s in interval.sent),
                *map(codec.encode, interval.truths),
            ]
        )
        for interval in intervals
    ]


def near(truth: Truth, device_id: str, within_m: float) -> bool:
    device = CITY.cameras.get(device_id) or CITY.sensors[device_id]
    away_m = haversine_m(truth.latitude_deg, truth.longitude_deg, device.latitude_deg, device.longitude_deg)
    return bool(away_m <= within_m)


def test_simulation_repeats_itself_byte_for_byte() -> None:
    again = Simulation(CITY, 7, START_MS, FEW, None)
    assert encoded(run()) == encoded([again.step() for _ in range(len(run()))])


def test_simulation_differs_by_seed() -> None:
    assert encoded(run()) != encoded(run(seed=8))
    assert truths_of(run()) != truths_of(run(seed=8))


def test_simulation_ticks_every_250_ms_from_start() -> None:
    assert [interval.tick_ms for interval in run()] == [START_MS + 250 * k for k in range(1, 241)]


def test_simulation_truths_do_not_depend_on_anything_else() -> None:
    plain = truths_of(run(seconds=120))
    assert truths_of(run(replace(FEW, vehicles=200), seconds=120)) == plain
    assert truths_of(run(replace(FLAWLESS, background_per_camera_s=1.0), seconds=120)) == plain
    assert truths_of(run(seconds=120, until_s=110)) == [t for t in plain if t.at_ms <= START_MS + 90_000]


def test_simulation_sends_nothing_from_before_its_start_or_before_it_was_made() -> None:
    for interval in run(replace(FEW, fast_clock=0.0)):
        for sent in interval.sent:
            assert START_MS <= sent.record.at_ms < interval.tick_ms


def test_simulation_keys_and_topics_are_those_of_the_devices() -> None:
    for sent in itertools.chain.from_iterable(interval.sent for interval in run()):
        record = sent.record
        if isinstance(record, VehiclePosition):
            assert (sent.topic, sent.key) == (POSITIONS, record.vehicle_id)
        elif isinstance(record, CameraDetection):
            assert (sent.topic, sent.key) == (DETECTIONS, record.camera_id)
        elif isinstance(record, SensorReading):
            assert (sent.topic, sent.key) == (READINGS, record.sensor_id)
        else:
            assert (sent.topic, sent.key) == (DETECTIONS if sent.key in CITY.cameras else READINGS, record.device_id)


def test_simulation_needs_a_line_to_drive_on() -> None:
    empty = City(name="empty", version="1", time_zone="UTC", bounds=_bounds())
    with pytest.raises(UsageError, match="the city package empty has no lines"):
        Simulation(empty, 1, START_MS, FEW, None)


def test_simulation_of_a_city_without_devices_still_has_crashes() -> None:
    bare = City(name="bare", version="1", time_zone="UTC", bounds=_bounds(), lines=CITY.lines)
    simulation = Simulation(bare, 1, START_MS, FEW, None)
    intervals = [simulation.step() for _ in range(160)]
    assert [truth.kind for truth in truths_of(intervals)] == ["crash"] * 3
    assert {sent.topic for interval in intervals for sent in interval.sent} == {POSITIONS}


@pytest.mark.parametrize("seed", range(5))
def test_script_opens_with_three_crashes_and_three_fires(seed: int) -> None:
    truths = truths_of(run(seed=seed, until_s=60))
    opening = truths[:6]
    assert [truth.kind for truth in opening] == ["crash", "fire"] * 3
    assert 8_000 <= opening[0].at_ms - START_MS <= 10_000
    assert all(truth.at_ms <= START_MS + 40_000 for truth in truths)


def test_script_is_what_the_simulation_publishes() -> None:
    assert truths_of(run(seconds=120)) == scripted(seconds=120)


def test_script_goes_on_at_the_rates_of_the_rule() -> None:
    rule = replace(FEW, vehicles=0, crash_lasts_s=(10.0, 20.0), fire_lasts_s=(10.0, 20.0), apart_s=0.0)
    truths = scripted(rule, seconds=3600)
    for kind in ("crash", "fire"):
        count = sum(truth.kind == kind for truth in truths) - 3
        assert abs(count - 60) < 4 * 60**0.5


def test_script_keeps_truths_apart_in_space_or_time() -> None:
    truths = scripted()
    assert len(truths) > 20
    for one, other in itertools.combinations(truths, 2):
        away_m = haversine_m(one.latitude_deg, one.longitude_deg, other.latitude_deg, other.longitude_deg)
        assert away_m >= 400 or abs(one.at_ms - other.at_ms) >= 300_000


def test_truths_name_the_lines_within_150_m() -> None:
    for truth in scripted():
        lines = {line.line_id for line in CITY.near_lines(truth.latitude_deg, truth.longitude_deg, 150.0)}
        assert set(truth.line_ids) == lines
        assert lines or truth.kind == "fire"


def test_truths_can_be_encoded_and_have_distinct_ids() -> None:
    truths = scripted()
    codec = local_codec()
    assert [codec.read(codec.encode(truth), Truth) for truth in truths] == truths
    assert len({truth.truth_id for truth in truths}) == len(truths)


def test_every_crash_has_two_vehicles_that_brake_to_a_stand_beside_each_other() -> None:
    intervals = run(FLAWLESS, seconds=100)
    wrecked = {n: t for n, t in tracks_of(positions_of(intervals)).items() if int(n[-5:]) >= 90_000}
    crashes = [t for t in truths_of(intervals) if t.kind == "crash" and t.at_ms < START_MS + 60_000]
    assert len(crashes) >= 3
    for truth in crashes:
        standing = [name for name, track in wrecked.items() if _distance_m(truth, track[-1]) < 60]
        assert len(standing) == 2
        for name in standing:
            before = [fix for fix in wrecked[name] if fix.at_ms < truth.at_ms - 2_500]
            after = [fix for fix in wrecked[name] if fix.at_ms > truth.at_ms + 1_000]
            assert all(fix.speed_mps > 5 for fix in before)
            assert after
            assert all(fix.speed_mps < 1.5 for fix in after)


def test_crashes_are_seen_and_heard_by_what_is_near() -> None:
    intervals = run(FLAWLESS, seconds=100)
    claims = [d for d in detections_of(intervals) if d.kind == "crash"]
    loud = [r for r in readings_of(intervals) if r.quantity == "sound_level" and r.value > 92]
    crashes = [t for t in truths_of(intervals) if t.kind == "crash" and t.at_ms < START_MS + 60_000]
    seen = 0
    for truth in crashes:
        for camera_id in sorted(name for name in CITY.cameras if near(truth, name, CAMERA_SEES_M))[:1]:
            frames = [d.at_ms for d in claims if d.camera_id == camera_id]
            assert truth.at_ms < min(frames) < truth.at_ms + 10_000
            seen += 1
        for name, device in CITY.sensors.items():
            if "sound_level" in device.quantities and near(truth, name, SOUND_HEARD_M):
                heard = [r for r in loud if r.sensor_id == name and 0 <= r.at_ms - truth.at_ms < 500]
                assert len(heard) == 1
    assert seen
    assert all(any(near(t, d.camera_id, CAMERA_SEES_M) for t in truths_of(intervals)) for d in claims)


def test_fires_are_felt_and_seen_by_what_is_near() -> None:
    intervals = run(FLAWLESS, seconds=100)
    fires = [t for t in truths_of(intervals) if t.kind == "fire" and t.at_ms < START_MS + 40_000]
    assert len(fires) == 3
    thresholds = {"fire_alarm": 1.0, "smoke_obscuration": 5.0, "temperature": 57.0}
    for truth in fires:
        for name, device in CITY.sensors.items():
            for quantity in set(device.quantities) & set(thresholds) if near(truth, name, FIRE_FELT_M) else ():
                mine = [r for r in readings_of(intervals) if r.sensor_id == name and r.quantity == quantity]
                high = [r.at_ms for r in mine if r.value >= thresholds[quantity]]
                assert truth.at_ms < min(high) < truth.at_ms + 60_000
        cameras = [name for name in CITY.cameras if near(truth, name, CAMERA_SEES_M)]
        kinds = {d.kind for d in detections_of(intervals) if d.camera_id in cameras} & set(CLAIMS)
        assert kinds == ({"smoke", "fire"} if cameras else set())


def test_some_fires_have_one_witness_and_most_have_more() -> None:
    fires = [t for t in scripted() if t.kind == "fire"]
    alone = [t for t in fires if not any(near(t, name, CAMERA_SEES_M) for name in CITY.cameras)]
    assert 0 < len(alone) < len(fires) / 2


def test_cameras_miss_the_share_of_frames_the_rule_says() -> None:
    frames = defaultdict(list)
    for detection in detections_of(run(SEEING, seconds=1800)):
        if detection.kind in CLAIMS:
            frames[detection.camera_id, detection.track_id].append(detection.at_ms)
    gaps = np.concatenate([np.diff(sorted(times)) for times in frames.values() if len(times) > 2])
    missed = np.rint(gaps / 1000).sum() - len(gaps)
    assert missed / (missed + len(gaps)) == pytest.approx(0.12, abs=0.03)


def test_cameras_claim_falsely_the_share_the_rule_says() -> None:
    intervals = run(SEEING, seconds=1800)
    kinds = {"crash": ("crash",), "smoke": ("fire",), "fire": ("fire",)}
    claims = [d for d in detections_of(intervals) if d.kind in CLAIMS]
    false = [
        d
        for d in claims
        if not any(
            truth.kind in kinds[d.kind] and truth.at_ms <= d.at_ms and near(truth, d.camera_id, CAMERA_SEES_M)
            for truth in truths_of(intervals)
        )
    ]
    assert len(claims) > 1_500
    assert len(false) / len(claims) == pytest.approx(0.05, abs=0.02)
    episodes = defaultdict(list)
    for detection in false:
        episodes[detection.camera_id, detection.track_id].append(detection)
    assert {len(frames) for frames in episodes.values()} == {1, 2}
    assert sum(len(frames) == 1 for frames in episodes.values()) > len(episodes) * 0.7


def test_gps_noise_is_8_m_north_and_east() -> None:
    on_line = [p for p in positions_of(run(replace(FLAWLESS, vehicles=100), seconds=300)) if p.line_id == "01"]
    north_m = np.array([(p.latitude_deg - SOUTH_DEG) / METRE_NORTH_DEG - 3_000 for p in on_line])
    assert len(north_m) > 100
    assert north_m.std() == pytest.approx(8.0, rel=0.2)
    assert abs(north_m.mean()) < 3


def test_vehicles_report_every_5_to_10_s_and_never_jump() -> None:
    tracks = tracks_of(positions_of(run(replace(FLAWLESS, vehicles=150, gps_noise_m=0.0), seconds=600)))
    assert len(tracks) > 150
    for track in tracks.values():
        for one, other in itertools.pairwise(track):
            gap_s = (other.at_ms - one.at_ms) / 1000
            assert 4.85 <= gap_s <= 10.15
            assert _distance_m(one, other) <= 18.5 * gap_s + 10


def test_fleet_has_every_class_and_the_size_of_the_rule() -> None:
    positions = positions_of(run(replace(FLAWLESS, vehicles=300)))
    vehicles = {p.vehicle_id: p.vehicle_class for p in positions if int(p.vehicle_id[-5:]) < 90_000}
    assert len(vehicles) == 300
    assert set(vehicles.values()) == set(VehicleClass) - {VehicleClass.UNKNOWN, VehicleClass.OTHER, VehicleClass.BRT}
    assert all(bool(p.line_id) == (p.vehicle_class in (VehicleClass.BUS, VehicleClass.METRO)) for p in positions)


def test_buses_are_spread_by_headway_and_open_doors_at_stops() -> None:
    intervals = run(replace(FLAWLESS, vehicles=300, gps_noise_m=0.0), seconds=120)
    buses = [p for p in positions_of(intervals) if p.line_id == "01" and int(p.vehicle_id[-5:]) < 90_000]
    first = {name: track[0] for name, track in tracks_of(buses).items()}
    assert len({p.direction_id for p in first.values()}) == 2
    spots = sorted(
        p.longitude_deg if p.direction_id == 0 else 2 * (CITY.east_deg - 0.01) - p.longitude_deg for p in first.values()
    )
    gaps = np.diff(spots)
    assert gaps.max() < 2.5 * np.median(gaps)
    boarding = [p for p in buses if p.door is Switch.ON]
    assert boarding
    for position in boarding:
        assert position.speed_mps < 2
        assert CITY.near_stops(position.latitude_deg, position.longitude_deg, 5.0)


def test_vehicles_are_slower_in_the_rush_hour() -> None:
    night_ms = START_MS - 8 * 3_600_000
    speeds = [
        np.mean([p.speed_mps for p in positions_of(run(replace(FLAWLESS, vehicles=200), start_ms=at_ms))])
        for at_ms in (night_ms, START_MS + 6 * 3_600_000 + 1_800_000)
    ]
    assert speeds[0] > 1.2 * speeds[1]
    assert traffic_at(17) == 0.55
    assert traffic_at(23.5) == 1.0


def test_devices_send_again_late_and_after_outages_within_two_minutes() -> None:
    rule = replace(FEW, vehicles=400, fast_clock=0.0)
    arrivals: dict[tuple[str, int], list[int]] = defaultdict(list)
    for interval in run(rule, seconds=400):
        for sent in interval.sent:
            if sent.topic == POSITIONS:
                arrivals[sent.key, sent.record.at_ms].append(interval.tick_ms)
    first_after_s = np.array([(min(ticks) - at_ms) / 1000 for (_, at_ms), ticks in arrivals.items()])
    repeated = np.mean([len(ticks) > 1 for ticks in arrivals.values()])
    assert repeated == pytest.approx(0.01, abs=0.004)
    assert max(len(ticks) for ticks in arrivals.values()) == 2
    assert all(max(ticks) - min(ticks) <= 30_250 for ticks in arrivals.values())
    assert first_after_s.max() <= 120
    assert 0.005 < np.mean(first_after_s > 5) < 0.03
    assert np.mean(first_after_s < 1.1) > 0.97


def test_outages_leave_gaps_and_lose_some_records() -> None:
    rule = replace(FLAWLESS, vehicles=400, outages_per_hour=2.0)
    tracks = tracks_of(positions_of(run(rule, seconds=600)))
    gaps_s = np.concatenate([np.diff([fix.at_ms for fix in track]) for track in tracks.values()]) / 1000
    assert (gaps_s > 50).sum() > 5
    assert gaps_s.max() < 320


def test_clocks_are_fast_on_two_devices_in_a_hundred() -> None:
    ahead_ms = clocks_ahead_ms(100_000, random_stream(1), SimulationRule())
    fast_ms = ahead_ms[ahead_ms > 0]
    assert len(fast_ms) / len(ahead_ms) == pytest.approx(0.02, abs=0.002)
    assert (fast_ms == 60_000).mean() == pytest.approx(0.1, abs=0.03)
    assert ahead_ms.min() == 0
    assert ((fast_ms == 60_000) | ((fast_ms >= 1_000) & (fast_ms <= 20_000))).all()


def test_sensors_are_quiet_once_a_minute_and_noisy_within_bounds() -> None:
    intervals = run(replace(FLAWLESS, crashes_per_hour=0.0, fires_per_hour=0.0), seconds=600)
    assert truths_of(intervals) == []
    values = defaultdict(list)
    for reading in readings_of(intervals):
        values[reading.quantity].append(reading.value)
    counts = {quantity: len(found) for quantity, found in values.items()}
    assert counts["sound_level"] == pytest.approx(10 * 21, rel=0.1)
    assert set(values["fire_alarm"]) == {0.0}
    assert max(values["smoke_obscuration"]) < 1
    assert 64 < np.median(values["sound_level"]) < 66
    assert max(values["sound_level"]) < 95
    assert all(20 < value < 35 for value in values["temperature"])
    assert set(values) == {"sound_level", "fire_alarm", "smoke_obscuration", "temperature", "pm2_5", "pm10"}


def test_sensors_mounted_on_cameras_say_so() -> None:
    for reading in readings_of(run()):
        assert reading.host_camera_id == CITY.sensors[reading.sensor_id].host_camera_id


def test_heartbeats_of_every_device_come_every_30_to_60_s() -> None:
    beats = defaultdict(list)
    for interval in run(FLAWLESS, seconds=200):
        for sent in interval.sent:
            if isinstance(sent.record, Heartbeat):
                beats[sent.key].append(sent.record.at_ms)
    assert set(beats) == set(CITY.cameras) | set(CITY.sensors)
    for times in beats.values():
        assert all(29_999 <= gap <= 60_001 for gap in np.diff(times))


def _bounds() -> Bounds:
    return Bounds(CITY.south_deg, CITY.west_deg, CITY.north_deg, CITY.east_deg)


def _distance_m(one: Truth | VehiclePosition, other: VehiclePosition) -> float:
    return float(haversine_m(one.latitude_deg, one.longitude_deg, other.latitude_deg, other.longitude_deg))


@cache
def hanoi() -> City:
    return load_city(PROJECT / "cities" / "hanoi")


@cache
def a_minute_in_hanoi() -> tuple[Interval, ...]:
    simulation = Simulation(hanoi(), 7, START_MS, SimulationRule(), START_MS + 60_000)
    return tuple(simulation.step() for _ in range(240))


def test_hanoi_sends_its_1500_vehicles_positions_inside_its_bounds() -> None:
    positions = positions_of(a_minute_in_hanoi())
    # 1 / (5 to 10 s) is 0.139 a second on average.
    assert len(positions) == pytest.approx(1500 * 60 * 0.139, rel=0.05)
    city = hanoi()
    assert all(city.south_deg < p.latitude_deg < city.north_deg for p in positions)
    assert all(city.west_deg < p.longitude_deg < city.east_deg for p in positions)
    assert {p.vehicle_class for p in positions} == set(VehicleClass) - {VehicleClass.UNKNOWN, VehicleClass.OTHER}


def test_hanoi_vehicles_of_a_line_are_on_it() -> None:
    served = [p for p in positions_of(a_minute_in_hanoi()) if p.line_id and p.direction_id >= 0]
    located = hanoi().locate(
        np.array([p.latitude_deg for p in served]),
        np.array([p.longitude_deg for p in served]),
        dictionary_array(p.line_id for p in served),
        np.array([p.direction_id for p in served], np.int8),
    )
    assert located.matched_line_id.tolist() == [p.line_id for p in served]
    assert located.on_told_line.all()
    assert np.median(located.cross_track_m) < 8
    assert located.cross_track_m.max() < 50


def test_hanoi_has_three_crashes_and_three_fires_in_a_minute_most_of_them_watched() -> None:
    truths = truths_of(a_minute_in_hanoi())
    assert sum(truth.kind == "crash" for truth in truths) >= 3
    assert sum(truth.kind == "fire" for truth in truths) >= 3
    assert all(truth.at_ms <= START_MS + 40_000 for truth in truths)
    watched = [truth for truth in truths if Estate(hanoi().cameras).near(truth.latitude_deg, truth.longitude_deg, 120)]
    assert len(watched) >= len(truths) / 2


def test_docs_list_every_setting_with_its_default() -> None:
    text = (PROJECT / "docs" / "simulator.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE)
    assert listed == [(item.name, str(getattr(SimulationRule(), item.name))) for item in fields(SimulationRule)]
