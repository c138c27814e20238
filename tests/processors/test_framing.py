import math
import re
import string
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.frame_columns import DTYPES, LAYOUTS, UNKNOWN, Layout, read, written
from processors.framing import (
    DICTIONARIES,
    FRAME_BYTES,
    Framer,
    FramingRule,
    frame_of,
    frames_of,
    key_of,
    positions_of,
    row_of,
    words_of,
)
from schemas.codec import local_codec
from schemas.ids import shard_of
from schemas.records import Switch, VehicleClass, VehicleFrame, VehiclePosition

NAN = float("nan")
T0_MS = 1_772_434_800_000

words = st.text(string.ascii_letters + "đ1-", max_size=6)
singles = st.floats(width=32)
positions = st.builds(
    VehiclePosition,
    at_ms=st.integers(-(2**63), 2**63 - 1),
    latitude_deg=st.floats(),
    longitude_deg=st.floats(),
    speed_mps=singles,
    bearing_deg=singles,
    accuracy_m=singles,
    vehicle_class=st.sampled_from(VehicleClass),
    ignition=st.sampled_from(Switch),
    door=st.sampled_from(Switch),
    sos=st.sampled_from(Switch),
    direction_id=st.integers(-128, 127),
    vehicle_id=words,
    line_id=words,
    trip_id=words,
    operator_id=words,
)


def position(vehicle_id: str = "bus-1", **told: float | str) -> VehiclePosition:
    start = VehiclePosition(
        at_ms=T0_MS, latitude_deg=21.0, longitude_deg=105.8, speed_mps=NAN, bearing_deg=NAN, accuracy_m=NAN,
        vehicle_id=vehicle_id,
    )  # fmt: skip
    return replace(start, **told)  # type: ignore[arg-type]


def wide(frame: VehicleFrame) -> VehicleFrame:
    """Return a frame with every column in its own type, as gateways wrote them before there were narrower ones."""
    told: dict[str, Any] = {
        name: read(name, [content], [frame.rows], [frame.base_ms]).tobytes()
        for name in DTYPES
        if (content := getattr(frame, name))
    }
    return replace(frame, base_ms=0, **told)


def same(one: object, other: object) -> bool:
    """Tell whether two records are equal, unknown numbers too."""
    names = [field.name for field in fields(one)]  # type: ignore[arg-type]
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all(a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)) for a, b in pairs)


@settings(max_examples=60)
@given(st.lists(positions, min_size=1, max_size=20))
def test_a_frame_holds_what_it_was_made_of_also_through_avro(told: list[VehiclePosition]) -> None:
    codec = local_codec()
    frame = codec.read(codec.encode(frame_of(told, "gw-1")), VehicleFrame)
    back = positions_of(frame)
    assert frame.rows == len(back) == len(told)
    assert all(same(one, other) for one, other in zip(back, positions_of(wide(frame)), strict=True))
    assert all(same(one, other) for one, other in zip(told, back, strict=True))
    assert (key_of(frame), frame.gateway_id) == (told[0].vehicle_id, "gw-1")
    for row, one in enumerate(told):
        (alone,) = positions_of(row_of(frame, row))
        assert same(alone, one)


def test_the_bytes_are_those_of_the_documentation() -> None:
    frame = frame_of(
        [
            position("bus-1", speed_mps=8.5, line_id="01", vehicle_class=VehicleClass.BUS),
            position("taxi-9", at_ms=T0_MS + 1, direction_id=300),
            position("bus-1", at_ms=T0_MS + 2, line_id="01", vehicle_class=VehicleClass.BUS),
        ]
    )
    assert (frame.base_ms, frame.at_ms) == (T0_MS, b"".join(step.to_bytes(2, "little") for step in range(3)))
    assert frame.latitude_deg == (210_000_000).to_bytes(4, "little") * 3
    assert frame.vehicle_class == bytes([1, 0, 1])
    assert (frame.vehicle_words, frame.vehicle_width) == (b"bus-1\0taxi-9", 6)
    assert (words_of(frame, "vehicle"), frame.vehicle_index) == (
        ("bus-1", "taxi-9"),
        bytes([0, 1, 0]),
    )
    assert (words_of(frame, "line"), frame.line_index) == (("01",), bytes([0, 255, 0]))
    assert np.frombuffer(frame.speed_mps, "<u2").tolist() == [8500, 65535, 65535]
    assert np.frombuffer(frame.direction_id, "i1").tolist() == [-1, 127, -1]
    empty = ("accuracy_m", "ignition", "door", "sos", "trip_index", "operator_index")
    assert {name for name in DTYPES if getattr(frame, name) == b""} == set(empty)


def test_a_row_keeps_its_bytes() -> None:
    narrow = frame_of([position("a", line_id="1"), position("b", line_id="2", accuracy_m=3.0), position("c")])
    assert (row_of(narrow, 1).vehicle_index, row_of(narrow, 2).line_index) == (b"\0", b"\xff")
    frame = wide(narrow)
    odd = bytes.fromhex("0100c07f")  # a NaN with something in it
    frame = replace(frame, speed_mps=frame.speed_mps[:4] + odd + frame.speed_mps[8:])
    row = row_of(frame, 1)
    assert (row.rows, row.vehicle_words, row.line_words, row.trip_words) == (1, b"b", b"2", b"")
    assert (row.speed_mps, row.ignition, row.trip_index) == (odd, b"", b"")
    assert (row.vehicle_index, row.line_index) == (bytes(4), bytes(4))
    assert row_of(frame, 2).line_index == b"\xff" * 4


NEAR = {
    "latitude_deg": st.integers(-(2**31) - 2, 2**31 + 1).map(lambda number: number / 1e7),
    "speed_mps": st.integers(-1, 65_537).map(lambda number: np.float32(number / 1000)),
    "accuracy_m": st.integers(-1, 65_537).map(lambda number: np.float32(number / 100)),
    "at_ms": st.integers(-1, 70_000),
    "line_index": st.integers(-140, 40_000),
}


@pytest.mark.parametrize("name", NEAR)
@given(st.data())
def test_a_column_is_narrow_where_that_says_the_same_to_the_bit(name: str, data: st.DataObject) -> None:
    numbers = st.floats() if name.endswith("_deg") else st.floats(width=32) if name.endswith("s") else NEAR[name]
    told = data.draw(st.lists(NEAR[name], min_size=1, max_size=5))
    more = [] if name in ("at_ms", "line_index") else data.draw(st.lists(numbers, max_size=1))
    values = np.array([*told, *more], DTYPES[name])
    content = written(name, values)
    back = read(name, [content], [len(values)], [0])
    as_bits = f"u{values.itemsize}"
    assert back.dtype == values.dtype
    assert ((back.view(as_bits) == values.view(as_bits)) | (values != values)).all()
    assert np.array_equal(back, values, equal_nan=True)


def test_what_every_narrow_number_stands_for() -> None:
    speeds = read("speed_mps", [np.arange(65_536, dtype="<u2").tobytes()], [65_536], [0])
    assert speeds[:3].tolist() == [0.0, float(np.float32(0.001)), float(np.float32(0.002))]
    assert (float(speeds[65_534]), math.isnan(speeds[65_535])) == (float(np.float32(65.534)), True)
    assert read("latitude_deg", [(-210_000_001).to_bytes(4, "little", signed=True)], [1], [0]).tolist() == [-21.0000001]
    assert read("at_ms", [bytes([250, 0]), T0_MS.to_bytes(8, "little")], [1, 1], [T0_MS, 1]).tolist() == [
        T0_MS + 250,
        T0_MS + 1,
    ]
    assert written("speed_mps", np.array([8.5, math.nan], "<f4")) == bytes.fromhex("3421ffff")
    assert len(written("speed_mps", np.array([65.535], "<f4"))) == 4
    assert len(written("latitude_deg", np.array([-0.0], "<f8"))) == 8


@settings(max_examples=60)
@given(st.lists(st.tuples(words, st.integers(0, 400)), max_size=60), st.integers(1, 7), st.integers(0, 900))
def test_frames_are_of_one_shard_in_order_small_and_young(told: list[tuple[str, int]], rows: int, hold_ms: int) -> None:
    framer, now_ms = Framer(FramingRule(rows, hold_ms)), 0
    came: dict[str, int] = {}
    frames: list[VehicleFrame] = []
    given_in: dict[int, list[VehiclePosition]] = {}
    for number, (vehicle_id, after_ms) in enumerate(told):
        now_ms += after_ms
        due = framer.due(now_ms)
        frames += due
        one = position(vehicle_id, trip_id=str(number))
        came[one.trip_id] = now_ms
        given_in.setdefault(shard_of(vehicle_id), []).append(one)
        frames += framer.add(one, now_ms)
        left = sum(map(len, given_in.values())) - sum(frame.rows for frame in frames)
        assert framer.waiting == left
        waiting = set(came) - {held.trip_id for frame in frames for held in positions_of(frame)}
        assert all(now_ms - came[name] < max(hold_ms, 1) for name in waiting)
    frames += framer.close()
    assert framer.waiting == 0
    assert all(frame.rows <= rows for frame in frames)
    sent: dict[int, list[VehiclePosition]] = {}
    for frame in frames:
        (shard,) = {shard_of(vehicle_id) for vehicle_id in words_of(frame, "vehicle")}
        sent.setdefault(shard, []).extend(positions_of(frame))
    assert {shard: [one.trip_id for one in of] for shard, of in sent.items()} == {
        shard: [one.trip_id for one in of] for shard, of in given_in.items()
    }


def test_a_frame_is_closed_before_it_is_too_large_for_kafka() -> None:
    told = [position("bus-1", trip_id=f"{number:04}" + "x" * 996) for number in range(2000)]
    frames = list(frames_of(told, FramingRule(rows=5000)))
    sizes = [len(local_codec().encode(frame)) for frame in frames]
    assert sum(frame.rows for frame in frames) == 2000
    assert len(frames) == 3
    assert FRAME_BYTES * 0.9 < max(sizes) <= FRAME_BYTES


def test_what_is_too_large_for_a_float_is_refused_by_the_engine_not_here() -> None:
    (one,) = positions_of(frame_of([position(speed_mps=1e39)]))
    assert one.speed_mps == math.inf


@pytest.mark.parametrize("name", DTYPES)
def test_every_column_is_a_field(name: str) -> None:
    fields_of_frame = {field.name for field in fields(VehicleFrame)}
    assert name in fields_of_frame
    if name in DICTIONARIES:
        assert {f"{DICTIONARIES[name]}_words", f"{DICTIONARIES[name]}_width"} <= fields_of_frame


def test_the_page_tells_every_field_its_type_and_what_stands_for_unknown() -> None:
    page = (Path(__file__).parents[2] / "docs" / "frames.md").read_text(encoding="utf-8")
    own, narrow = page.split("**Narrow columns.**")
    rows = re.findall(r"^\| (`.+?`)( \*)? \| (.+?) \| (.*?) \|", own, re.MULTILINE)
    told = {name: (kind, bool(may_be_empty), value) for names, may_be_empty, kind, value in rows
            for name in re.findall(r"`(\w+)`", names)}  # fmt: skip
    assert set(told) == {field.name for field in fields(VehicleFrame)}
    for name, dtype in DTYPES.items():
        kind, may_be_empty, value = told[name]
        assert np.dtype(kind).newbyteorder("<") == np.dtype(dtype), name
        assert may_be_empty == (name in UNKNOWN), name
        if may_be_empty:
            assert np.array_equal(float(value), UNKNOWN[name], equal_nan=True), name
    classes = re.search(r"0 unknown, 1 bus.*?8 other", page)
    assert classes is not None
    said = [word.split(" ", 1)[1].upper().replace("-", "_") for word in classes[0].split(", ")]
    assert said == list(VehicleClass)
    assert [f"{number} {one.lower()}" for number, one in enumerate(Switch)] == ["0 unknown", "1 off", "2 on"]
    narrower = dict(re.findall(r"^\| (`[^|]+?`) \| (.+?) \|", narrow.split("##")[0], re.MULTILINE))
    said_narrow = {name: kinds for names, kinds in narrower.items() for name in re.findall(r"`(\w+)`", names)}
    assert said_narrow == {
        name: " or ".join(told_of(one) for width, one in layouts.items() if width != np.dtype(DTYPES[name]).itemsize)
        for name, layouts in LAYOUTS.items()
        if len(layouts) > 1
    }
    two = frame_of([position(line_id="1"), position(at_ms=T0_MS + 250)])
    assert f"`{two.at_ms.hex(' ')}`" in page
    assert f"`{two.line_index.hex(' ')}`" in page
    assert f"`{two.latitude_deg.hex(' ')}`" in page
    assert f"`{wide(two).at_ms.hex(' ')}`" in page


def told_of(layout: Layout) -> str:
    return np.dtype(layout.dtype).name + (f" / {layout.per_unit:.0f}" if layout.per_unit else "")
