"""Positions read as columns: the same batch from single messages, from frames and one by one, whatever they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.batches import PositionBatch
from processors.domain import Mistakes
from processors.fleet import fleet_domain, frame_domain
from processors.frames_in import FramePositions, frame_mistakes
from processors.framing import FramingRule, frame_of, frames_of, key_of
from processors.ingest import IngestRule, shards_of
from processors.outcome import Outcome
from processors.partition_engine import PartitionEngine
from processors.position_rows import shards_of_words
from processors.positions_in import SinglePositions
from processors.records_in import RawRecord
from schemas.codec import Codec, schema_text
from schemas.columns import unpack
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.ids import shard_of
from schemas.records import Switch, VehicleClass, VehicleFrame, VehiclePosition
from tests.processors.builders import CITY, CODEC, NAN, T0_MS, log_of, position, tick

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
FLOAT = st.one_of(st.floats(width=32), st.integers(0, 70_000).map(lambda number: float(np.float32(number / 1000))))
PLACE = st.one_of(st.floats(), st.integers(-1_800_000_000, 1_800_000_000).map(lambda number: number / 1e7))
POSITIONS = st.builds(
    VehiclePosition,
    at_ms=st.one_of(st.integers(T0_MS - 60_000, T0_MS + 60_000), st.integers(-(2**63), 2**63 - 1)),
    latitude_deg=PLACE,
    longitude_deg=PLACE,
    speed_mps=FLOAT,
    bearing_deg=FLOAT,
    accuracy_m=FLOAT,
    vehicle_class=st.sampled_from(VehicleClass),
    ignition=st.sampled_from(Switch),
    door=st.sampled_from(Switch),
    sos=st.sampled_from(Switch),
    direction_id=st.sampled_from([-1, 0, 1, 2, -70]),
    vehicle_id=st.one_of(st.sampled_from(["29B-1", "29B-2", "đường-3", ""]), TEXT),
    line_id=st.one_of(st.just(""), TEXT),
    trip_id=st.one_of(st.just(""), TEXT),
    operator_id=st.one_of(st.just(""), TEXT),
)


def plainly(batch: PositionBatch) -> list[dict[str, Any]]:
    """The rows of a batch but for where they stood, NaN as a text so that equal rows are equal."""
    columns = {name: column.tolist() for name, column in batch.columns().items() if name not in ("offset", "index")}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [{name: "NaN" if value != value else value for name, value in row.items()} for row in rows]


def singly(positions: list[VehiclePosition], codec: Codec = CODEC) -> PositionBatch:
    log = [RawRecord(offset, None, CODEC.encode(one)) for offset, one in enumerate(positions)]
    return SinglePositions().read(log, codec, Dictionary())[0]


class StrangerCodec(Codec):
    """Knows the same schemas but trusts no layout, so that every message is decoded by itself."""

    def ids_as_ours(self, name: str) -> list[int]:
        return []


@given(st.lists(POSITIONS, max_size=8))
def test_the_byte_matrix_reads_what_a_decoder_reads(positions: list[VehiclePosition]) -> None:
    ids = {name: CODEC.ids_of(name)[0] for name in ("VehiclePosition", "VehicleFrame")}
    stranger = StrangerCodec(ids, {number: schema_text(name) for name, number in ids.items()})
    assert plainly(singly(positions)) == plainly(singly(positions, stranger))


@given(st.lists(POSITIONS, min_size=1, max_size=8))
def test_frames_say_what_single_messages_say(positions: list[VehiclePosition]) -> None:
    frames = [frame_of([one]) for one in positions]
    log = [RawRecord(offset, None, CODEC.encode(one)) for offset, one in enumerate(frames)]
    keys = Dictionary()
    batch, record, unread = FramePositions().read(log, CODEC, keys, shards_of_words(keys), Mistakes())
    assert unread.by_record == {}
    assert record.tolist() == list(range(len(positions)))
    bounded = [replace(one, direction_id=max(-128, one.direction_id)) for one in positions]
    assert plainly(batch) == plainly(singly(bounded))


def test_a_cached_tail_does_not_hide_bytes_left_over() -> None:
    reader, keys = SinglePositions(), Dictionary()
    good = CODEC.encode(position())
    reader.read([RawRecord(0, None, good)], CODEC, keys)
    for wrong in (good + b"\0", good + b"\0\0\0", good[:-1], good[:-2]):
        batch, record, unread = reader.read([RawRecord(1, None, wrong), RawRecord(2, None, good)], CODEC, keys)
        assert (record.tolist(), list(unread.by_record)) == ([1], [0])
        assert len(batch) == 1


def same_shard(count: int) -> list[str]:
    """Ids of vehicles of shard 5."""
    return [name for name in (f"v-{number}" for number in range(100_000)) if shard_of(name) == 5][:count]


def drive(ids: list[str], seconds: int = 60) -> list[VehiclePosition]:
    """A minute of vehicles that drive, brake hard and stand."""
    return [
        position(name, T0_MS + second * 1000 + number, east_m=min(second, 30) * 12.0, north_m=float(number),
                 speed_mps=12.0 if second < 30 else 0.3, line_id="L1" if number % 2 else "")
        for second in range(0, seconds, 5)
        for number, name in enumerate(ids)
    ]  # fmt: skip


def observed(domain: Any, topic: str, records: list[Any]) -> Outcome:
    engine = PartitionEngine(topic, 5, 64, domain, CODEC, CITY, IngestRule())
    return engine.push(log_of(records))


def intervals(positions: list[VehiclePosition]) -> list[list[VehiclePosition]]:
    ends = range(T0_MS + 250, T0_MS + 61_000, 250)
    return [[one for one in positions if end - 250 <= one.at_ms < end] for end in ends]


def test_single_and_framed_lead_to_the_same_observations_and_rows() -> None:
    positions = drive(same_shard(6))
    single: list[Any] = [tick(T0_MS)]
    framed: list[Any] = [tick(T0_MS)]
    for number, interval in enumerate(intervals(positions)):
        end = tick(T0_MS + 250 * (number + 1))
        single += [*interval, end]
        framed += [*frames_of(interval, FramingRule(rows=4)), end]
    one = observed(fleet_domain(), "vehicle.positions.v1", single)
    other = observed(frame_domain(), "vehicle.frames.v1", framed)
    claims = [
        [replace(claim, source_offset=0, source_topic="") for block in outcome.blocks for claim in block.observations]
        for outcome in (one, other)
    ]
    assert {claim.kind for claim in claims[0]} == {"hard_stop", "stationary_vehicle"}
    assert claims[0] == claims[1]
    assert one.counts.positions == other.counts.positions == len(positions)
    assert rows_of(one) == rows_of(other)


def rows_of(outcome: Outcome) -> list[tuple[Any, ...]]:
    rows = []
    for frame in outcome.frames:
        columns = {
            name: column.tolist()
            for name, column in unpack(frame.columns).items()
            if name not in ("source_offset", "source_index")
        }
        rows += [tuple(str(value) for value in row) for row in zip(*columns.values(), strict=True)]
    return rows


def refused(frame: VehicleFrame) -> list[str]:
    outcome = observed(frame_domain(), "vehicle.frames.v1", [tick(T0_MS), frame, tick(T0_MS + 250)])
    (reject,) = outcome.rejected
    assert (reject.source_index, outcome.counts.used) == (-1, 0)
    assert reject.value == CODEC.encode(frame)
    return list(reject.errors)


def test_a_malformed_frame_is_refused_whole_with_every_reason() -> None:
    good = frame_of(drive(same_shard(3))[:3])
    assert refused(replace(good, at_ms=good.at_ms[:-1], line_index=good.line_index + b"\0")) == [
        "at_ms has 5 bytes instead of 24 or 12 or 6",
        "line_index has 4 bytes instead of 12 or 6 or 3",
    ]
    assert refused(replace(good, vehicle_index=np.array([0, 1, 3], "<u4").tobytes())) == [
        "vehicle_index points to 3, there are 3 words"
    ]
    assert refused(replace(good, line_index=np.array([0, -2, 0], "<i4").tobytes())) == [
        "line_index points to -2, there are 1 words"
    ]
    assert refused(replace(good, rows=0)) == ["rows is 0, a frame has 1 to 65536"]
    assert refused(replace(good, rows=70_000)) == ["rows is 70000, a frame has 1 to 65536"]


INDEX = st.integers(-3, 4)


@given(st.lists(st.tuples(INDEX, INDEX, INDEX, INDEX), min_size=1, max_size=4))
def test_frames_looked_at_at_once_are_refused_as_each_by_itself(indices: list[tuple[int, ...]]) -> None:
    good = frame_of([position("29B-1", T0_MS + second, line_id="L1", trip_id="T1") for second in range(3)])
    log = []
    for offset, (vehicle, line, trip, width) in enumerate(indices):
        frame = replace(
            good,
            vehicle_index=np.array([0, vehicle % 2**32, 1], "<u4").tobytes(),
            line_index=np.array([line, 0, -1], "<i4").tobytes(),
            trip_index=np.array([trip, -1, -1], "<i4").tobytes() if trip else b"",
            operator_width=max(width, 0),
            operator_words=b"ab" if width else b"",
        )
        log.append(RawRecord(offset, None, CODEC.encode(frame)))
    keys = Dictionary()
    _, record, unread = FramePositions().read(log, CODEC, keys, shards_of_words(keys), Mistakes())
    alone = {one.offset: frame_mistakes(CODEC.decode(one.value)[1]) for one in log}
    assert {number: list(errors) for number, (_, errors) in unread.by_record.items()} == {
        number: errors for number, errors in alone.items() if errors
    }
    assert record.tolist() == [number for number, errors in alone.items() if not errors for _ in range(3)]


def test_a_frame_that_mixes_shards_is_refused_whole() -> None:
    one, other = same_shard(1)[0], next(f"w-{number}" for number in range(999) if shard_of(f"w-{number}") == 6)
    assert refused(frame_of([position(one), position(other)])) == [
        "the vehicles of a frame share a shard, these are of 5, 6"
    ]


def test_a_bad_position_in_a_good_frame_is_refused_alone() -> None:
    ids = same_shard(4)
    positions = [position(name) for name in ids]
    positions[2] = replace(positions[2], latitude_deg=NAN, speed_mps=99.0)
    frame = frame_of(positions)
    outcome = observed(frame_domain(), "vehicle.frames.v1", [tick(T0_MS), frame, tick(T0_MS + 250)])
    (reject,) = outcome.rejected
    assert (reject.source_offset, reject.source_index, outcome.counts.used) == (1, 2, 3)
    assert reject.errors == ("latitude_deg is not a number", "speed_mps 99 is outside 0 to 70")
    assert reject.key == ids[2].encode()
    name, fields = CODEC.decode(reject.value)
    assert name == "VehicleFrame"
    row = VehicleFrame(**fields)
    assert (row.rows, key_of(row)) == (1, ids[2])
    assert row.latitude_deg == frame.latitude_deg[16:24]
    assert (row.longitude_deg, row.base_ms) == (frame.longitude_deg[8:12], frame.base_ms)


def test_a_frame_of_another_partition_goes_there_whole() -> None:
    engine = PartitionEngine("vehicle.frames.v1", 6, 64, frame_domain(), CODEC, CITY, IngestRule())
    positions = [position(same_shard(2)[0]), position(same_shard(2)[1], speed_mps=99.0)]
    outcome = engine.push(log_of([tick(T0_MS), frame_of(positions), tick(T0_MS + 2000)]))
    (forwarded,) = outcome.forwarded
    assert (forwarded.to_partition, forwarded.key) == (5, same_shard(1)[0].encode())
    assert (outcome.rejected, outcome.counts.forwarded) == ((), 2)
    (table,) = [frame for frame in outcome.frames if frame.table == "forwarded"]
    assert table.rows == 2


@pytest.mark.parametrize("words", [("a\0", "a"), ("x" * 200, "y")])
def test_texts_that_no_dictionary_can_hold_stay_unsound(words: tuple[str, str]) -> None:
    batch = singly([position(word) for word in words])
    assert isinstance(batch.vehicle_id, DictionaryArray)
    assert batch.vehicle_id.text(1) == words[1]
    assert shards_of_words(batch.vehicle_id.dictionary).of(batch.vehicle_id.numbers).tolist()[0] == -1


@given(st.lists(TEXT.map(lambda text: text.replace("\0", "")), min_size=1))
def test_shards_of_many_ids_are_those_of_each(words: list[str]) -> None:
    found = shards_of_words(Dictionary()).follows(np.array([word.encode() for word in words], np.bytes_))
    assert np.asarray(found).tolist() == shards_of(words).tolist()


def test_a_hash_is_the_same_in_every_process() -> None:
    (value,) = singly([position("29B-1", T0_MS, line_id="L1", trip_id="t")]).content_hash.tolist()
    assert value == HASH


HASH = 2894222425074502681
