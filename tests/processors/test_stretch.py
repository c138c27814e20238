"""Intervals that one push closes are decided together where they can: nobody may see a difference."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.fleet import frame_domain
from processors.framing import FramingRule, frames_of
from processors.ingest import IngestRule, Interval
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from processors.stretch import Closing, Stretch
from schemas.records import DeviceKind, DeviceRegistration, VehicleClass
from tests.processors.builders import METRE_DEG, STREET_DEG, T0_MS, cut, device_of, engine, log_of, tick
from tests.processors.test_partition_engine import Store, assert_same, run_with_store
from tests.processors.worlds import TOPICS, Topic

TICK_MS: Final = 250
TICKS: Final = 48
RULE: Final = IngestRule(lateness_ms=2_000, future_ms=1_000, block_rows=30, block_ms=1_500, checkpoint_ms=2_000)
KINDS: Final = {"vehicle_id": DeviceKind.VEHICLE, "camera_id": DeviceKind.CAMERA, "sensor_id": DeviceKind.SENSOR}


def arrived(topic: Topic, seed: int, devices: int, count: int) -> list[tuple[int, Any]]:
    """Records of many devices and when each came: late and early ones, copies, rivals, garbage, registrations."""
    chance, found = random.Random(seed), []
    for _ in range(count):
        at_ms = T0_MS + chance.randrange(TICKS * TICK_MS)
        record = topic.record(chance, at_ms)
        name = next(name for name in ("vehicle_id", "camera_id", "sensor_id", "device_id") if hasattr(record, name))
        record = replace(record, **{name: f"{device_of(record)}-{chance.randrange(devices)}"})
        if name != "device_id" and chance.random() < 0.9:
            east_deg = chance.choice([0.0, 0.0, 200.0, 90_000.0]) * METRE_DEG
            record = replace(record, latitude_deg=STREET_DEG, longitude_deg=105.805 + east_deg)
        came_ms = at_ms + chance.choice([0, 0, 0, 0, 100, 900, 2_300, -900, -1_500])
        found.append((came_ms, record))
        if chance.random() < 0.15:
            found.append((came_ms + chance.randrange(1_000), record))
        if name in KINDS and chance.random() < 0.05:
            kind = KINDS[name]
            classes = VehicleClass.TAXI if kind is DeviceKind.VEHICLE else VehicleClass.UNKNOWN
            registration = DeviceRegistration(
                device_id=device_of(record), registered_at_ms=at_ms, latitude_deg=STREET_DEG, longitude_deg=105.81,
                kind=kind, vehicle_class=classes,
            )  # fmt: skip
            found.append((came_ms + chance.randrange(1_000), registration))
        if chance.random() < 0.03:
            found.append((came_ms, chance.choice([b"", b"\0\0\0\0\x63x", None])))
    return found


def in_intervals(came: Sequence[tuple[int, Any]], frames: bool) -> list[RawRecord]:
    """The log, a tick every 250 ms; if wanted, with the positions of an interval in frames."""
    log: list[Any] = []
    for number in range(-2, TICKS + 8):
        start, end = T0_MS + (number - 1) * TICK_MS, T0_MS + number * TICK_MS
        some = [record for at_ms, record in sorted(came, key=lambda one: one[0]) if start < at_ms <= end]
        told = [one for one in some if frames and hasattr(one, "vehicle_id")]
        log += [one for one in some if one not in told]
        log += [*frames_of(told, FramingRule(rows=4)), tick(end)]
    return log_of(log)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([*TOPICS, replace(TOPICS[0], name="vehicle.frames.v1", domain=frame_domain)]),
    st.integers(0, 1 << 32),
    st.sampled_from([1, 5, 200]),
    st.integers(1, 150),
    st.lists(st.integers(0, 999), max_size=12),
)
def test_intervals_of_one_push_are_decided_as_if_each_came_alone(
    topic: Topic, seed: int, devices: int, count: int, cuts: list[int]
) -> None:
    log = in_intervals(arrived(topic, seed, devices, count), topic.name == "vehicle.frames.v1")

    def machine() -> PartitionEngine:
        return engine(topic.domain(), topic=topic.name, partition=1, partitions=2, rule=RULE)

    stores = [Store({}) for _ in range(3)]
    together = run_with_store(machine(), [log], stores[0])
    alone = run_with_store(machine(), [[one] for one in log], stores[1])
    somehow = run_with_store(machine(), cut(log, cuts), stores[2])
    assert_same(together, alone)
    assert_same(somehow, alone)
    assert stores[0].parts == stores[1].parts == stores[2].parts
    counts = [one.counts for one in alone.outcomes]
    (whole,) = together.outcomes
    assert whole.counts.used == sum(one.used for one in counts)
    assert whole.counts.duplicate == sum(one.duplicate for one in counts)
    assert whole.counts.forwarded == sum(one.forwarded for one in counts)


def stretch(*ends: int) -> Stretch:
    """Intervals whose ticks stand at those offsets, a second apart."""
    intervals = [Interval(number * 1_000, (number + 1) * 1_000) for number in range(len(ends))]
    nothing = np.zeros(0, np.int64)
    return Stretch([Closing(one, end, [], nothing) for one, end in zip(intervals, ends, strict=True)])


def groups(slot: list[int], number: list[int], intervals: int) -> list[tuple[int, int]]:
    found = stretch(*range(10, 10 * intervals + 1, 10)).groups(
        np.array(slot, np.int32), np.array(number, np.int64), max(slot, default=0) + 1
    )
    return [(one.start, one.stop) for one in found]


def test_records_belong_to_the_interval_of_the_next_tick() -> None:
    several = stretch(3, 7, 8)
    assert several.numbers(np.array([0, 2, 4, 6])).tolist() == [0, 0, 1, 1]
    assert [several.at(offset).offset for offset in (0, 2, 4, 6)] == [3, 3, 7, 7]


def test_groups_are_cut_where_a_key_comes_again_in_another_interval() -> None:
    assert groups([], [], 2) == []
    assert groups([5, 5, 6], [1, 1, 1], 2) == [(0, 3)]
    assert groups([5, 5, 6, 7], [0, 0, 1, 2], 3) == [(0, 4)]
    assert groups([5, 6, 5, 7], [0, 1, 2, 2], 3) == [(0, 2), (2, 4)]
    assert groups([5, 6, 6, 5], [0, 1, 2, 3], 4) == [(0, 2), (2, 4)]
    assert groups([1, 2, 1, 2, 1], [0, 0, 2, 2, 3], 4) == [(0, 2), (2, 4), (4, 5)]


def test_rows_are_stored_for_the_interval_in_which_they_came() -> None:
    several = stretch(3, 7, 8)
    several.store("actions", {"at_ms": np.arange(4)}, np.array([0, 0, 2, 2]))
    told = [[(table, rows["at_ms"].tolist()) for table, rows in one.rows] for one in several.closings]
    assert told == [[("actions", [0, 1])], [], [("actions", [2, 3])]]
