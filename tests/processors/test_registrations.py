"""Registrations in the log of an input partition: what they change, from when, and what they cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.camera import camera_domain
from processors.checkpoint import Checkpoint
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from schemas.ids import shard_of
from schemas.records import DeviceKind, DeviceRegistration, VehicleClass
from tests.processors.builders import (
    CITY,
    CODEC,
    NAN,
    T0_MS,
    Run,
    detection,
    engine,
    log_of,
    position,
    reading,
    run,
    tick,
)
from tests.processors.test_partition_engine import stored

CAMERAS, READINGS = "camera.detections.v1", "sensor.readings.v1"
STEP_MS = 10_000
RULE = IngestRule(checkpoint_ms=STEP_MS, block_ms=STEP_MS)
PART_BYTES = 500_000


def registered(device_id: str = "new-1", at_ms: int = T0_MS, **fields: Any) -> DeviceRegistration:
    """A camera in the city; its place tells which registration of it counts."""
    values: dict[str, Any] = {
        "latitude_deg": 21.01, "longitude_deg": 105.81, "kind": DeviceKind.CAMERA, **fields,
    }  # fmt: skip
    return DeviceRegistration(device_id=device_id, registered_at_ms=at_ms, **values)


def cameras(**options: Any) -> PartitionEngine:
    return engine(camera_domain(), topic=CAMERAS, rule=RULE, **options)


def seen(device_id: str = "new-1", step: int = 0) -> Any:
    return detection(device_id, T0_MS + step)


def places(outcome: Run) -> list[float]:
    return [row["latitude_deg"] for row in stored([outcome])["detections"]]


def test_a_device_is_placed_from_the_tick_of_its_registration_on() -> None:
    log = log_of([tick(T0_MS), seen(step=1), tick(T0_MS + STEP_MS), seen(step=2), registered(), seen(step=3),
                  tick(T0_MS + 2 * STEP_MS)])  # fmt: skip
    outcome = run(cameras(), log)
    assert [(one.source_offset, one.reason) for one in outcome.rejected] == [(1, "unplaced")]
    assert places(outcome) == [21.01, 21.01]
    (row,) = stored([outcome])["device_log"]
    assert (row["source_offset"], row["device_id"], row["tick_ms"]) == (4, "new-1", T0_MS + 2 * STEP_MS)
    assert outcome.outcomes[0].counts.registrations == 1


def test_the_later_registration_counts_whatever_comes_last() -> None:
    late, early = registered(at_ms=T0_MS + 5), registered(at_ms=T0_MS, latitude_deg=21.05)
    log = log_of([tick(T0_MS), late, tick(T0_MS + STEP_MS), early, tick(T0_MS + 2 * STEP_MS), seen(),
                  tick(T0_MS + 3 * STEP_MS)])  # fmt: skip
    outcome = run(cameras(), log)
    assert places(outcome) == [21.01]
    assert len(stored([outcome])["device_log"]) == 2


def test_a_retired_device_loses_its_place_but_not_those_its_records_tell() -> None:
    gone = registered("cam-1", retired=True)
    told = detection("cam-1", T0_MS + 1, latitude_deg=21.02, longitude_deg=105.81)
    log = log_of([tick(T0_MS), gone, seen("cam-1"), told, tick(T0_MS + STEP_MS),
                  registered("cam-1", at_ms=T0_MS + 9), seen("cam-1", 2), tick(T0_MS + 2 * STEP_MS)])  # fmt: skip
    outcome = run(cameras(), log)
    assert [(one.source_offset, one.reason) for one in outcome.rejected] == [(2, "unplaced")]
    assert places(outcome) == [21.02, 21.01]


def test_a_revoked_device_is_named_once_and_nothing_it_says_counts() -> None:
    gone = registered("cam-1", retired=True, revoked=True)
    told = detection("cam-1", T0_MS + 1, latitude_deg=21.02, longitude_deg=105.81)
    log = log_of([tick(T0_MS), gone, seen("cam-1"), told, tick(T0_MS + STEP_MS),
                  replace(gone, registered_at_ms=T0_MS + 1), tick(T0_MS + 2 * STEP_MS),
                  registered("cam-1", at_ms=T0_MS + 9), seen("cam-1", 2), tick(T0_MS + 3 * STEP_MS)])  # fmt: skip
    outcome = run(cameras(), log)
    assert [(one.source_offset, one.reason) for one in outcome.rejected] == [(2, "unplaced"), (3, "unplaced")]
    assert outcome.rejected[1].errors == ("the camera is revoked",)
    assert [block.revoked for block in outcome.blocks] == [(), ("cam-1",), (), ()]
    assert places(outcome) == [21.01]


def test_revoked_and_taken_back_within_an_interval_is_not_revoked() -> None:
    gone, back = registered("cam-1", revoked=True), registered("cam-1", at_ms=T0_MS + 9)
    outcome = run(cameras(), log_of([tick(T0_MS), gone, seen("cam-1"), back, tick(T0_MS + STEP_MS)]))
    assert [block.revoked for block in outcome.blocks] == [(), ()]
    assert places(outcome) == [21.01]


def test_a_registration_of_another_shard_is_forwarded() -> None:
    partition = 1 - shard_of("new-1") % 2
    log = log_of([tick(T0_MS), registered(), tick(T0_MS + STEP_MS)])
    outcome = run(cameras(partition=partition, partitions=2), log)
    (forwarded,) = outcome.forwarded
    assert (forwarded.to_partition, forwarded.key, forwarded.record) == (1 - partition, b"new-1", log[1])
    assert [row["source_offset"] for row in stored([outcome])["forwarded"]] == [1]
    assert not stored([outcome])["device_log"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (registered(latitude_deg=95.0), "out_of_range"),
        (registered(latitude_deg=10.0), "out_of_city"),
        (registered(latitude_deg=NAN), "not_finite"),
        (registered(longitude_deg=float("inf")), "not_finite"),
        (registered(""), "bad_id"),
        (registered(" new-1"), "bad_id"),
        (registered("x" * 65), "bad_id"),
        (registered(kind=DeviceKind.SENSOR), "wrong_record"),
        (registered(at_ms=-1), "out_of_range"),
        (registered(bearing_deg=360), "out_of_range"),
        (registered(range_m=-5), "out_of_range"),
        (registered(qualified_until_ms=-1), "out_of_range"),
        (registered(name="a\nb"), "out_of_range"),
        (registered(owner="x" * 300), "out_of_range"),
        (registered(quantities=("pm2_5",) * 33), "out_of_range"),
        (registered(quantities=("pm\n2_5",)), "out_of_range"),
    ],
)
def test_what_is_wrong_with_a_registration_is_said(wrong: DeviceRegistration, reason: str) -> None:
    outcome = run(cameras(), log_of([tick(T0_MS), wrong, seen(), tick(T0_MS + STEP_MS)]))
    assert [(one.source_offset, one.reason) for one in outcome.rejected] == [(1, reason), (2, "unplaced")]
    assert not stored([outcome])["device_log"]


def test_a_device_without_a_place_stays_unplaced_and_is_registered() -> None:
    moves = registered(latitude_deg=NAN, longitude_deg=NAN)
    outcome = run(cameras(), log_of([tick(T0_MS), moves, seen(), tick(T0_MS + STEP_MS)]))
    assert [one.reason for one in outcome.rejected] == ["unplaced"]
    assert [row["unit_code"] for row in stored([outcome])["device_log"]] == [""]


def test_positions_are_filled_in_where_they_do_not_tell() -> None:
    bus = registered("bus-1", kind=DeviceKind.VEHICLE, vehicle_class=VehicleClass.BRT, line_id="L1", latitude_deg=NAN,
                     longitude_deg=NAN)  # fmt: skip
    silent = position("bus-1", T0_MS, vehicle_class=VehicleClass.UNKNOWN)
    told = position("bus-1", T0_MS + 1, vehicle_class=VehicleClass.TAXI, line_id="L9")
    other = position("bus-2", T0_MS, vehicle_class=VehicleClass.UNKNOWN)
    machine = engine(fleet_domain(), rule=RULE)
    rows = stored([run(machine, log_of([tick(T0_MS), silent, told, other, bus, tick(T0_MS + STEP_MS)]))])
    filled = [(row["vehicle_class"], row["line_id"]) for row in rows["positions"]]
    assert filled == [("BRT", "L1"), ("TAXI", "L9"), ("UNKNOWN", "")]


def test_a_sensor_on_a_camera_is_no_witness_of_its_own() -> None:
    sensor = registered("mic-9", kind=DeviceKind.SENSOR, quantities=("sound_level",), host_camera_id="cam-9")
    machine = engine(sensor_domain(), topic=READINGS, rule=RULE)
    log = log_of([tick(T0_MS), sensor, reading("mic-9", T0_MS, value=120.0), tick(T0_MS + STEP_MS)])
    (observation,) = run(machine, log).observations
    assert (observation.device_id, observation.witness_id) == ("mic-9", "cam-9")


def test_what_was_registered_before_the_log_begins_holds_and_is_kept() -> None:
    first = PartitionEngine(CAMERAS, 0, 1, camera_domain(), CODEC, CITY, RULE, [registered()])
    outcome = run(first, log_of([tick(T0_MS), seen(), tick(T0_MS + STEP_MS)]))
    assert places(outcome) == [21.01]
    checkpoint = outcome.outcomes[0].checkpoint
    assert checkpoint is not None
    again = cameras()
    again.restore(checkpoint.new_parts, checkpoint.live, checkpoint.next_offset, checkpoint.tick_ms)
    went_on = run(again, log_of([seen(step=1), tick(T0_MS + 2 * STEP_MS)], checkpoint.next_offset))
    assert places(went_on) == [21.01]


def test_a_checkpoint_writes_the_devices_that_changed_in_small_parts() -> None:
    many = [registered(f"camera-{n:05d}", name="x" * 20, owner="a ward of the city") for n in range(10_000)]
    machine = cameras()
    whole = machine.push(log_of([*many, tick(T0_MS)])).checkpoint
    assert whole is not None
    assert len(whole.new_parts) == 256
    assert sum(map(len, whole.new_parts.values())) / len(many) * 1_000_000 / 256 < PART_BYTES
    quiet = machine.push(log_of([tick(T0_MS + STEP_MS)], 10_001)).checkpoint
    assert quiet is not None
    assert (quiet.new_parts, quiet.live, quiet.dropped) == ({}, whole.live, ())
    changed = machine.push(log_of([replace(many[7], registered_at_ms=T0_MS + 1), tick(T0_MS + 2 * STEP_MS)], 10_002))
    assert changed.checkpoint is not None
    assert (len(changed.checkpoint.new_parts), len(changed.checkpoint.dropped)) == (1, 1)
    assert len(changed.checkpoint.live) == 256


entries = st.lists(
    st.one_of(
        st.builds(
            registered,
            st.sampled_from(["new-1", "new-2", "cam-1"]),
            st.integers(T0_MS, T0_MS + 3),
            latitude_deg=st.sampled_from([21.01, 21.02, 21.03, 10.0]),
            retired=st.booleans(),
            revoked=st.booleans(),
        ),
        st.builds(seen, st.sampled_from(["new-1", "new-2", "cam-1"]), st.integers(0, 40)),
    ),
    max_size=12,
)
intervals = st.lists(entries, min_size=1, max_size=8)


def logged(parts: Sequence[Sequence[Any]]) -> list[RawRecord]:
    """The log of intervals, each closed by its tick."""
    return log_of([record for number, part in enumerate(parts) for record in (*part, tick(T0_MS + number * STEP_MS))])


def facts(outcome: Run) -> list[Any]:
    """What follows from a log, whatever the offsets."""
    rows = stored([outcome])
    return [
        Counter((row["camera_id"], row["at_ms"], row["latitude_deg"]) for row in rows["detections"]),
        Counter((row["device_id"], row["registered_at_ms"], row["content_hash"]) for row in rows["device_log"]),
        {(one.device_id, one.at_ms, one.latitude_deg) for one in outcome.standing.values()},
        [block.revoked for block in outcome.blocks],
    ]


@settings(deadline=None, max_examples=25)
@given(intervals, st.randoms(use_true_random=False))
def test_order_and_repeats_within_an_interval_change_nothing(parts: list[list[Any]], chance: Any) -> None:
    shuffled = []
    for part in parts:
        more = [*part, *part[: chance.randrange(len(part) + 1)]]
        chance.shuffle(more)
        shuffled.append(more)
    assert facts(run(cameras(), logged(shuffled))) == facts(run(cameras(), logged(parts)))


@settings(deadline=None, max_examples=25)
@given(intervals, st.data())
def test_an_engine_restored_at_any_checkpoint_goes_on_as_if_it_had_never_stopped(
    parts: list[list[Any]], data: st.DataObject
) -> None:
    log = logged(parts)
    ticks = [offset for offset, raw in enumerate(log) if CODEC.decode(raw.value)[0] == "Tick"]
    stop = data.draw(st.sampled_from(ticks)) + 1
    kept: dict[str, bytes] = {}
    last: Checkpoint | None = None
    first = cameras()
    for raw in log[:stop]:
        checkpoint = first.push([raw]).checkpoint
        if checkpoint is not None:
            kept |= checkpoint.new_parts
            last = checkpoint
    assert last is not None
    again = cameras()
    again.restore({name: kept[name] for name in last.live}, last.live, last.next_offset, last.tick_ms)
    whole, rest = run(cameras(), log), run(again, log[stop:])
    assert rest.blocks == [block for block in whole.blocks if block.tick_ms > last.tick_ms]
    assert rest.frames == [frame for frame in whole.frames if frame.first_offset >= last.next_offset]
    assert rest.rejected == [one for one in whole.rejected if one.source_offset >= last.next_offset]


def test_a_topic_without_devices_takes_no_registrations_and_none_of_another_format() -> None:
    domain = Domain(camera_domain().forms)
    outcome = run(engine(domain, topic=CAMERAS), log_of([registered(), tick(T0_MS)]))
    assert [one.reason for one in outcome.rejected] == ["wrong_record"]
    part = msgspec.msgpack.encode((9, (), ()))
    with pytest.raises(ValueError, match="has format 9, this version reads 1"):
        cameras().restore({"DeviceRegistration/0/0": part}, ("DeviceRegistration/0/0",), 1, T0_MS)
