"""Watches: silences of devices as timelines, and as a function of the set of records and the tick."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.camera import camera_domain
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.ingest import IngestRule
from processors.sensors import sensor_domain
from schemas.records import Switch
from tests.processors.builders import (
    NAN,
    T0_MS,
    Run,
    cut,
    detection,
    engine,
    heartbeat,
    log_of,
    position,
    reading,
    run,
    tick,
)
from tests.processors.oracle import claim_of, expect
from tests.processors.test_partition_engine import Store, run_with_store

TOPIC = "sensor.readings.v1"
Told = tuple[bool, str, str, int]


def at(minutes: float) -> int:
    return T0_MS + round(minutes * 60_000)


def beat(minutes: float, device_id: str = "sen-2") -> Any:
    return heartbeat(device_id, at(minutes))


def measured(minutes: float, device_id: str = "sen-2", **fields: Any) -> Any:
    return reading(device_id, at(minutes), **fields)


def told(*entries: Any, domain: Domain | None = None, topic: str = TOPIC) -> list[Told]:
    """What is claimed, by tick, time, and withdrawals first; a number among the entries is a tick at that minute."""
    log = log_of([tick(at(entry)) if isinstance(entry, int | float) else entry for entry in entries])
    blocks = run(engine(domain or sensor_domain(), topic=topic), log).blocks
    found = [
        one for block in blocks for one in sorted(block.observations, key=lambda one: (one.at_ms, not one.withdrawn))
    ]
    return [(not one.withdrawn, one.kind, one.device_id, round((one.at_ms - T0_MS) / 1000)) for one in found]


def test_a_sensor_is_silent_five_minutes_after_its_last_heartbeat_until_it_is_heard_again() -> None:
    assert told(0, beat(0.5), 1, 5.49, 5.5, 20, beat(20), 21) == [
        (True, "silent_sensor", "sen-2", 330),
        (True, "sensor_heard", "sen-2", 1200),
    ]


def test_readings_count_like_heartbeats() -> None:
    assert told(0, beat(0.5), 1, measured(5), 9, 10) == [(True, "silent_sensor", "sen-2", 600)]


def test_a_quiet_camera_is_not_a_silent_one() -> None:
    alive = [one for minute in range(1, 20) for one in (beat(minute, "cam-1"), minute + 0.1)]
    entries = [0, detection("cam-1", at(0.5)), *alive, 24.0, 24.1]
    assert told(*entries, domain=camera_domain(), topic="camera.detections.v1") == [
        (True, "silent_camera", "cam-1", 1440)
    ]


def moving(minutes: float, speed_mps: float = 8.0, **fields: Any) -> Any:
    return position("bus-1", at(minutes), speed_mps=speed_mps, line_id="L1", **fields)


def test_a_vehicle_that_moved_is_silent_after_ten_minutes() -> None:
    log = log_of([tick(at(0)), moving(1, east_m=100.0), tick(at(2)), tick(at(11)), moving(14), tick(at(15))])
    silent, heard = run(engine(fleet_domain()), log).observations
    assert (silent.kind, silent.at_ms, silent.value) == ("silent_vehicle", at(11), 600.0)
    assert (silent.vehicle_class, silent.line_id, silent.witness_id) == ("BUS", "L1", "bus-1")
    assert (heard.kind, heard.at_ms, heard.value) == ("vehicle_heard", at(14), 780.0)


@pytest.mark.parametrize(
    "last",
    [{"speed_mps": 0.5}, {"ignition": Switch.OFF}, {"speed_mps": NAN}, {"speed_mps": 0.0, "ignition": Switch.OFF}],
)
def test_a_vehicle_that_rests_or_is_switched_off_may_be_silent(last: dict[str, Any]) -> None:
    assert told(0, moving(1), moving(3, **last), 4, 30, domain=fleet_domain()) == []


@pytest.mark.parametrize("speed_mps", [0.4, 1.5, NAN])
def test_a_vehicle_that_stood_with_its_ignition_on_is_silent_after_twenty_minutes(speed_mps: float) -> None:
    stood = moving(3, speed_mps, ignition=Switch.ON)
    assert told(0, moving(1), stood, 4, 22.9, 23, moving(40), 41, domain=fleet_domain()) == [
        (True, "silent_vehicle", "bus-1", 23 * 60),
        (True, "vehicle_heard", "bus-1", 40 * 60),
    ]
    assert told(0, moving(1), stood, 4, moving(22), 23, 31, domain=fleet_domain()) == []


def test_a_position_that_comes_late_decides_how_long_a_vehicle_may_be_silent() -> None:
    stands, rests = moving(3, 0.0, ignition=Switch.ON), moving(3.5, 0.0, ignition=Switch.OFF)
    assert told(0, moving(1), 11, stands, 11.1, 23, rests, 23.1, domain=fleet_domain()) == [
        (True, "silent_vehicle", "bus-1", 11 * 60),
        (False, "silent_vehicle", "bus-1", 11 * 60),
        (True, "silent_vehicle", "bus-1", 23 * 60),
    ]


def test_who_never_sent_a_heartbeat_is_not_judged() -> None:
    assert told(0, measured(0.5), 1, measured(20), 21, 30) == []


def test_who_is_not_registered_and_told_no_place_is_not_judged() -> None:
    place = {"latitude_deg": 21.0, "longitude_deg": 105.85}
    assert told(0, beat(0.5, "new"), 1, 10) == []
    assert told(0, beat(0.5, "new"), measured(1, "new", **place), 1, 7) == [(True, "silent_sensor", "new", 360)]


def test_a_late_record_that_fills_the_hole_takes_the_claim_back() -> None:
    assert told(0, beat(1), 2, 6, beat(5), 6.5, 9, 10) == [
        (True, "silent_sensor", "sen-2", 360),
        (False, "silent_sensor", "sen-2", 360),
        (True, "silent_sensor", "sen-2", 600),
    ]


def test_a_late_record_that_fills_a_part_of_the_hole_moves_the_claim() -> None:
    assert told(0, beat(1), 2, 9, beat(12), 13, beat(4), 14) == [
        (True, "silent_sensor", "sen-2", 360),
        (True, "sensor_heard", "sen-2", 720),
        (False, "silent_sensor", "sen-2", 360),
        (True, "silent_sensor", "sen-2", 540),
        (False, "sensor_heard", "sen-2", 720),
        (True, "sensor_heard", "sen-2", 720),
    ]


def test_a_late_record_before_the_first_one_opens_a_hole() -> None:
    assert told(0, beat(8), 8.5, beat(1), 9, 12) == [
        (True, "silent_sensor", "sen-2", 360),
        (True, "sensor_heard", "sen-2", 480),
    ]


def test_a_hole_between_two_ticks_is_told_at_once() -> None:
    assert told(0, beat(1), beat(9), beat(12), 13) == [
        (True, "silent_sensor", "sen-2", 360),
        (True, "sensor_heard", "sen-2", 540),
    ]


def test_how_long_it_was_silent_is_the_value_of_the_return() -> None:
    log = log_of([tick(at(0)), beat(1), tick(at(2)), beat(9), tick(at(10))])
    silent, heard = run(engine(sensor_domain(), topic=TOPIC), log).observations
    assert (silent.value, heard.value) == (300.0, 480.0)
    assert (silent.latitude_deg, silent.longitude_deg) == (21.0, 105.802)
    assert (silent.source_offset, heard.source_offset) == (4, 4)


def test_a_device_is_forgotten_a_day_after_it_was_heard() -> None:
    day = 1440.0
    claims = told(0, beat(1), 2, 6, *(60.0 * hour for hour in range(1, 24)), day - 1, beat(day - 1), day)
    assert [kind for _, kind, _, _ in claims] == ["silent_sensor", "sensor_heard"]
    later = told(0, beat(1), 2, 6, *(60.0 * hour for hour in range(1, 26)), beat(day + 61), day + 62)
    assert [kind for _, kind, _, _ in later] == ["silent_sensor"]


RULE = IngestRule(lateness_ms=600_000, future_ms=30_000, block_rows=5, block_ms=20_000, checkpoint_ms=45_000)
"""A lateness beyond the limit of silence: late records fill, part and open holes."""

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn_log(seed: int, count: int, disorder: float, places: bool = True) -> list[Any]:
    """Records of three devices over 50 minutes, some of them late, and ticks every 30 s."""
    chance = random.Random(seed)
    arrived: list[tuple[int, Any]] = []
    for _ in range(count):
        at_ms = T0_MS + chance.randrange(150) * 20_000
        device_id = chance.choice(["sen-1", "sen-2", "new"])
        told_place = device_id == "new" or (places and chance.random() < 0.2)
        place = {"latitude_deg": 21.0 + chance.randrange(3) / 100, "longitude_deg": 105.85} if told_place else {}
        one = heartbeat(device_id, at_ms) if chance.random() < 0.5 else reading(device_id, at_ms, **place)
        late_ms = chance.choice([-30, 0, 100, 300, 580]) * 1000 if chance.random() < disorder else 0
        arrived.append((at_ms + late_ms, one))
    ticks = [(at_ms, tick(at_ms)) for at_ms in range(T0_MS - 60_000, T0_MS + 3_700_000, 30_000)]
    return log_of(one for _, one in sorted([*arrived, *ticks], key=lambda entry: entry[0]))


logs = st.builds(drawn_log, st.integers(0, 1 << 32), st.integers(1, 60), st.sampled_from([0.0, 0.3, 0.8]))


@quick
@given(logs)
def test_silences_agree_with_the_oracle(log: list[Any]) -> None:
    outcome = run(engine(sensor_domain(), topic=TOPIC, rule=RULE), log)
    expected = expect(log, ("SensorReading", "Heartbeat"), RULE)
    assert {claim_of(one) for one in outcome.standing.values()} == expected.claims


@quick
@given(logs, st.lists(st.integers(0, 999), min_size=1, max_size=12), st.integers(1, 12))
def test_a_restored_watch_goes_on_as_if_it_had_never_stopped(log: list[Any], at: list[int], stop: int) -> None:
    polls = cut(log, at)
    store = Store({})
    run_with_store(engine(sensor_domain(), topic=TOPIC, rule=RULE), polls[:stop], store)
    if store.last is None:
        return
    stopped = store.last
    again = engine(sensor_domain(), topic=TOPIC, rule=RULE)
    again.restore(store.parts, stopped.live, stopped.next_offset, stopped.tick_ms)
    went_on = run_with_store(again, [log[stopped.next_offset :]], store)
    never = Store({})
    whole = run_with_store(engine(sensor_domain(), topic=TOPIC, rule=RULE), [log], never)
    assert went_on.blocks == [block for block in whole.blocks if block.tick_ms > stopped.tick_ms]
    assert store.parts == never.parts


def drawn_drive(seed: int, count: int, disorder: float) -> list[Any]:
    """Positions of two vehicles over 100 minutes that move, stand or rest, some of them late, and ticks every 30 s."""
    chance = random.Random(seed)
    arrived: list[tuple[int, Any]] = []
    for number in range(count):
        at_ms = T0_MS + chance.randrange(100) * 60_000 + number
        speed_mps, ignition = chance.choice([0.0, 1.5, 8.0, NAN]), chance.choice(list(Switch))
        one = position(f"bus-{chance.randrange(2)}", at_ms, speed_mps=speed_mps, ignition=ignition)
        late_ms = chance.choice([0, 100, 300, 580]) * 1000 if chance.random() < disorder else 0
        arrived.append((at_ms + late_ms, one))
    ticks = [(at_ms, tick(at_ms)) for at_ms in range(T0_MS - 60_000, T0_MS + 8_000_000, 30_000)]
    return log_of(one for _, one in sorted([*arrived, *ticks], key=lambda entry: entry[0]))


drives = st.builds(drawn_drive, st.integers(0, 1 << 32), st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.8]))


def silences_of(claims: Any) -> set[Any]:
    return {one for one in claims if one[0] in ("silent_vehicle", "vehicle_heard")}


@quick
@given(drives)
def test_silences_of_vehicles_that_move_stand_or_rest_agree_with_the_oracle(log: list[Any]) -> None:
    outcome = run(engine(fleet_domain(), rule=RULE), log)
    expected = expect(log, ("VehiclePosition",), RULE)
    assert silences_of(claim_of(one) for one in outcome.standing.values()) == silences_of(expected.claims)


@quick
@given(drives, st.lists(st.integers(0, 999), min_size=1, max_size=12), st.integers(1, 12))
def test_a_restored_watch_of_vehicles_goes_on_as_if_it_had_never_stopped(
    log: list[Any], at: list[int], stop: int
) -> None:
    polls = cut(log, at)
    store = Store({})
    run_with_store(engine(fleet_domain(), rule=RULE), polls[:stop], store)
    if store.last is None:
        return
    stopped = store.last
    again = engine(fleet_domain(), rule=RULE)
    again.restore(store.parts, stopped.live, stopped.next_offset, stopped.tick_ms)
    went_on = run_with_store(again, [log[stopped.next_offset :]], store)
    whole = run_with_store(engine(fleet_domain(), rule=RULE), [log], Store({}))
    assert went_on.blocks == [block for block in whole.blocks if block.tick_ms > stopped.tick_ms]


def silent_claims(outcome: Run) -> list[Any]:
    return [one for one in outcome.observations if one.kind == "silent_sensor"]


@pytest.mark.parametrize("seed", range(3))
def test_the_worlds_of_these_properties_have_silences_that_late_records_fill(seed: int) -> None:
    found = silent_claims(run(engine(sensor_domain(), topic=TOPIC, rule=RULE), drawn_log(seed, 60, 0.8)))
    assert sum(one.withdrawn for one in found) >= 2
    assert len(found) >= 10
