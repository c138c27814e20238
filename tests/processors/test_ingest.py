import math
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.camera import camera_domain
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.ingest import IngestRule, one_line
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from schemas.codec import HEADER_BYTES, schema_text
from schemas.columns import unpack
from schemas.errors import Rejected
from schemas.ids import shard_of
from tests.processors.builders import (
    CODEC,
    NAN,
    T0_MS,
    detection,
    engine,
    heartbeat,
    log_of,
    position,
    reading,
    run,
    tick,
)
from tests.processors.worlds import TOPICS, Topic

DOMAINS: dict[str, Callable[[], Domain]] = {
    "VehiclePosition": fleet_domain,
    "CameraDetection": camera_domain,
    "SensorReading": sensor_domain,
}


def refusal(record: Any, rule: IngestRule | None = None) -> tuple[str, tuple[str, ...]]:
    """What a record is rejected for between the ticks T0 and T0 + 1 s; ("", ()) if it is used."""
    domain = DOMAINS.get(type(record).__name__, fleet_domain)
    outcome = run(engine(domain(), rule=rule), log_of([tick(T0_MS), record, tick(T0_MS + 1000)])).outcomes[0]
    assert outcome.counts.used + len(outcome.rejected) == 1
    return (outcome.rejected[0].reason, outcome.rejected[0].errors) if outcome.rejected else ("", ())


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "null_value"),
        (b"", "not_avro"),
        (b"{}", "not_avro"),
        (CODEC.encode(position())[:-1], "not_avro"),
        (CODEC.encode(position()) + b"x", "not_avro"),
        (b"\0\0\0\xff\xff" + b"x" * 50, "unknown_schema_id"),
        (CODEC.encode(heartbeat()), "wrong_record"),
        (position(""), "bad_id"),
        (position("x" * 65), "bad_id"),
        (position("x" * 1_000_000), "bad_id"),
        (position(" bus-1"), "bad_id"),
        (position("bus\n1"), "bad_id"),
        (position(line_id="L\x1f1"), "bad_id"),
        (position(trip_id="t" * 257), "bad_id"),
        (position(latitude_deg=NAN), "not_finite"),
        (position(longitude_deg=math.inf), "not_finite"),
        (position(latitude_deg=91.0), "out_of_range"),
        (position(longitude_deg=-180.5), "out_of_range"),
        (position(speed_mps=-1.0), "out_of_range"),
        (position(speed_mps=70.5), "out_of_range"),
        (position(speed_mps=math.inf), "out_of_range"),
        (position(bearing_deg=360.5), "out_of_range"),
        (position(direction_id=2_000_000_000), "out_of_range"),
        (position(at_ms=-1), "out_of_range"),
        (position(at_ms=4_102_444_800_000), "out_of_range"),
        (position(latitude_deg=0.0, longitude_deg=0.005), "null_island"),
        (position(latitude_deg=10.8), "out_of_city"),
        (position(at_ms=T0_MS + 31_001), "future"),
        (position(at_ms=4_000_000_000_000), "future"),
        (position(at_ms=T0_MS - 600_001), "late"),
        (position(at_ms=0), "late"),
        (detection("cam-99"), "unplaced"),
        (detection("cam-99", latitude_deg=21.0), "unplaced"),
        (detection(confidence=NAN), "out_of_range"),
        (detection(confidence=1.5), "out_of_range"),
        (detection(latitude_deg=math.inf, longitude_deg=105.8), "not_finite"),
        (detection(snapshot_url="u" * 2049), "out_of_range"),
        (detection(object_class="a\tb"), "out_of_range"),
        (detection(kind="crash\x1fsmoke"), "bad_id"),
        (reading("sen-99"), "unplaced"),
        (reading(value=NAN), "out_of_range"),
        (reading(value=math.inf), "out_of_range"),
        (reading(latitude_deg=0.0, longitude_deg=0.0), "null_island"),
    ],
)
def test_a_wrong_record_is_rejected(record: Any, reason: str) -> None:
    found, errors = refusal(record)
    assert found == reason
    assert errors
    assert all(text and "\n" not in text and len(text) < 300 for text in errors)


@pytest.mark.parametrize(
    "record",
    [
        position(),
        position("Xe buýt số 9"),
        position("x" * 64),
        position(speed_mps=NAN, bearing_deg=NAN),
        position(speed_mps=70.0, bearing_deg=360.0),
        position(speed_mps=0.0, bearing_deg=0.0, direction_id=1),
        position(at_ms=T0_MS + 31_000),
        position(at_ms=T0_MS - 600_000),
        detection("cam-99", latitude_deg=21.0, longitude_deg=105.8),
        detection(confidence=0.0, kind="never seen before", snapshot_url="u" * 2048),
        reading("sen-99", latitude_deg=21.0, longitude_deg=105.8, quantity="", value=-1e300),
    ],
)
def test_an_unusual_record_is_used(record: Any) -> None:
    assert refusal(record) == ("", ())


def test_every_mistake_is_told_and_the_first_reason_counts() -> None:
    reason, errors = refusal(
        position(" bus", speed_mps=-3.0, bearing_deg=400.0, latitude_deg=48.0, at_ms=T0_MS - 700_000)
    )
    assert reason == "bad_id"
    assert errors == (
        "the id of the device has control characters or white space at its ends: ' bus'",
        "speed_mps -3 is outside 0 to 70",
        "bearing_deg 400 is outside 0 to 360",
        "(48.00000, 105.80500) is outside Small",
        "at_ms 1789999300000 is 700000 ms before the tick 1790000000000",
    )


def test_nothing_is_late_before_the_first_tick() -> None:
    outcome = run(engine(fleet_domain()), log_of([position(at_ms=5), tick(T0_MS)])).outcomes[0]
    assert outcome.counts.used == 1


def test_a_reject_carries_the_record_as_it_came() -> None:
    raw = RawRecord(7, b"key", b"value", (("trace", b"1"), ("empty", None)))
    rejected = run(engine(fleet_domain()), [raw, *log_of([tick(T0_MS)], 8)]).rejected[0]
    assert (rejected.source_offset, rejected.key, rejected.value, rejected.tick_ms) == (7, b"key", b"value", T0_MS)
    assert [(header.name, header.value) for header in rejected.headers] == [("trace", b"1"), ("empty", None)]


def test_equal_content_under_another_schema_id_is_a_duplicate() -> None:
    value = CODEC.encode(position())
    CODEC.learn(99, schema_text("VehiclePosition"))
    other_id = value[:1] + (99).to_bytes(4, "big") + value[HEADER_BYTES:]
    counts = run(engine(fleet_domain()), log_of([value, other_id, tick(T0_MS)])).outcomes[0].counts
    assert (counts.used, counts.duplicate) == (1, 1)


def test_a_record_of_another_partition_is_forwarded_whatever_else_is_wrong_with_it() -> None:
    wrong = position("bus-1", speed_mps=-1.0, at_ms=T0_MS - 900_000)
    right = shard_of("bus-1") % 4
    here = (right + 1) % 4
    outcome = run(
        engine(fleet_domain(), partition=here, partitions=4), log_of([tick(T0_MS), wrong, tick(T0_MS + 2000)])
    )
    (forwarded,) = outcome.forwarded
    assert (forwarded.to_partition, forwarded.key, forwarded.record.value) == (right, b"bus-1", CODEC.encode(wrong))
    assert outcome.rejected == []
    (frame,) = [frame for frame in outcome.frames if frame.table == "forwarded"]
    assert unpack(frame.columns)["to_partition"].tolist() == [right]
    assert outcome.outcomes[0].counts.forwarded == 1


def test_an_unsound_id_has_no_right_partition_and_is_rejected_where_it_stands() -> None:
    for partition in range(4):
        outcome = run(engine(fleet_domain(), partition=partition, partitions=4), log_of([position(""), tick(T0_MS)]))
        assert [one.reason for one in outcome.rejected] == ["bad_id"]


def test_a_camera_without_a_place_of_its_own_stands_where_it_is_registered() -> None:
    outcome = run(engine(camera_domain()), log_of([detection("cam-3"), tick(T0_MS)]))
    (frame,) = outcome.frames
    columns = unpack(frame.columns)
    assert columns["longitude_deg"].tolist() == [105.803]


def test_a_position_is_stored_with_what_it_passes() -> None:
    outcome = run(engine(fleet_domain()), log_of([position(line_id="L1", speed_mps=12.3456), tick(T0_MS)]))
    (frame,) = outcome.frames
    row = {name: values.tolist()[0] for name, values in unpack(frame.columns).items()}
    assert (row["speed_mm_s"], row["matched_line_id"], row["line_id"], row["stop_id"]) == (12346, "L1", "L1", "")
    assert row["cross_track_m"] == pytest.approx(0.0, abs=0.1)
    assert row["vehicle_class"] == "BUS"


def test_an_unknown_speed_is_stored_as_minus_one() -> None:
    outcome = run(engine(fleet_domain()), log_of([position(speed_mps=NAN), tick(T0_MS)]))
    assert unpack(outcome.frames[0].columns)["speed_mm_s"].tolist() == [-1]


def test_one_line_leaves_nothing_that_parts_a_list() -> None:
    assert one_line("a\nb\r\tc\u2028d\ud800") == "a b  c d?"


def mutated(value: bytes, places: list[tuple[int, int]]) -> bytes:
    changed = bytearray(value)
    for place, byte in places:
        changed[place % len(changed)] = byte
    return bytes(changed)


def is_tick(value: bytes | None) -> bool:
    try:
        return CODEC.decode(value)[0] == "Tick"
    except Rejected:
        return False


def garbage(topic: Topic) -> st.SearchStrategy[bytes | None]:
    valid = st.builds(
        lambda seed, at_ms: CODEC.encode(topic.record(Random(seed), at_ms)),
        st.integers(0, 1 << 32),
        st.sampled_from([T0_MS, 0, 4_070_908_800_000, -(1 << 63), (1 << 63) - 1]),
    )
    header = st.integers(0, 20).map(lambda schema_id: b"\0" + schema_id.to_bytes(4, "big"))
    return st.one_of(
        st.none(),
        st.binary(max_size=60),
        st.builds(lambda start, rest: start + rest, header, st.binary(max_size=80)),
        st.builds(mutated, valid, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)),
        valid,
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_garbage_never_raises_and_is_always_accounted_for(data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(TOPICS))
    values = [value for value in data.draw(st.lists(garbage(topic), max_size=40)) if not is_tick(value)]
    log = log_of([*values, tick(T0_MS), *values, tick(T0_MS + 250), tick(T0_MS + 4000)])
    outcome = run(engine(topic.domain(), topic=topic.name, partition=1, partitions=2), log)
    rows = [
        (offset, frame.table)
        for frame in outcome.frames
        for offset in unpack(frame.columns)["source_offset"].tolist()
        if frame.table != "observations"
    ]
    accounted = Counter(offset for offset, _ in rows)
    assert accounted == Counter(raw.offset for raw in log if not is_tick(raw.value))
    assert {one.source_offset for one in outcome.rejected} == {offset for offset, table in rows if table == "rejected"}
    for frame in outcome.frames:
        CODEC.decode(CODEC.encode(frame))


def test_a_900_kb_message_and_a_million_character_id_are_accounted_for() -> None:
    records = [position("v" * 1_000_000), position(operator_id="o" * 900_000), b"\0" * 900_000, position("bus-2")]
    outcome = run(engine(fleet_domain()), log_of([*records, tick(T0_MS)]))
    assert [one.reason for one in outcome.rejected] == ["bad_id", "unknown_schema_id"]
    assert outcome.outcomes[0].counts.used == 2
    assert max(sum(len(column.values) for column in frame.columns) for frame in outcome.frames) < 10_000
