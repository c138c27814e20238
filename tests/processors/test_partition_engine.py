"""Properties of the partition engine; the oracle is tests/processors/oracle.py."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from processors.camera import DetectionForm
from processors.checkpoint import Checkpoint
from processors.city import load_city
from processors.domain import KEY_SEPARATOR
from processors.fleet import PositionForm, fleet_domain
from processors.history import Part
from processors.ingest import IngestRule
from processors.outcome import Forwarded
from processors.partition_engine import REACH_MS, PartitionEngine
from processors.records_in import RawRecord
from processors.sensors import ReadingForm
from schemas.columns import unpack
from schemas.ids import shard_of
from schemas.records import Tick
from tests.processors import worlds
from tests.processors.builders import (
    CODEC,
    T0_MS,
    Run,
    cut,
    device_of,
    engine,
    log_of,
    position,
    run,
    tick,
)
from tests.processors.oracle import claim_of, expect
from tests.processors.worlds import RULE, Topic, arrivals, distinct, timeline, timeline_log

quick = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

OF_ARRIVAL = {"camera_clock_off", "camera_well"}
"""Whether a clock is off shows in when its records come: of all claims these alone depend on their order."""


def machine(topic: Topic, partition: int = 0, partitions: int = 1) -> PartitionEngine:
    return engine(topic.domain(), topic=topic.name, partition=partition, partitions=partitions, rule=RULE)


def stored(runs: Sequence[Run]) -> dict[str, list[dict[str, Any]]]:
    """The rows of all frames by table."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in runs:
        for frame in one.frames:
            columns = {name: values.tolist() for name, values in unpack(frame.columns).items()}
            assert all(len(values) == frame.rows for values in columns.values())
            assert all(frame.first_offset <= offset <= frame.last_offset for offset in columns["source_offset"])
            rows[frame.table] += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return rows


def offsets(rows: dict[str, list[dict[str, Any]]], *tables: str) -> list[int]:
    return sorted(row["source_offset"] for table in tables for row in rows[table])


def without_source(rows: dict[str, list[dict[str, Any]]], *, but: Sequence[str] = ()) -> dict[str, Counter[str]]:
    """Rows by table as multisets, without offsets and the columns named."""
    left_out = {"source_offset", *but}
    return {
        table: Counter(repr({name: value for name, value in row.items() if name not in left_out}) for row in found)
        for table, found in rows.items()
        if found
    }


USED = ("positions", "detections", "readings", "heartbeats")


@dataclass
class Store:
    """What a checkpoint store holds; it takes exactly what a checkpoint lists."""

    parts: dict[str, bytes]
    last: Checkpoint | None = None

    def take(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            return
        assert not set(self.parts) & set(checkpoint.new_parts), "a part is written once"
        before = set(self.parts)
        self.parts = {name: part for name, part in {**self.parts, **checkpoint.new_parts}.items()
                      if name not in checkpoint.dropped}  # fmt: skip
        assert set(checkpoint.dropped) <= before
        assert set(self.parts) == set(checkpoint.live)
        self.last = checkpoint


def run_with_store(started: PartitionEngine, polls: Sequence[Sequence[RawRecord]], store: Store) -> Run:
    outcomes = []
    for poll in polls:
        outcome = started.push(poll)
        store.take(outcome.checkpoint)
        outcomes.append(outcome)
    return Run(outcomes)


def assert_same(one: Run, other: Run) -> None:
    assert one.blocks == other.blocks
    assert one.frames == other.frames
    assert one.rejected == other.rejected
    assert one.forwarded == other.forwarded


@quick
@given(st.data())
def test_engine_agrees_with_the_oracle(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    log = timeline_log(data.draw(arrivals(topic)))
    outcome = run(machine(topic), log)
    rows, expected = stored([outcome]), expect(log, topic.taken, RULE)
    assert offsets(rows, *USED) == sorted(expected.used)
    assert offsets(rows, "duplicates") == sorted(expected.duplicate)
    assert {one.source_offset: one.reason for one in outcome.rejected} == expected.rejected
    assert offsets(rows, "rejected") == sorted(expected.rejected)
    assert {claim_of(one) for one in outcome.standing.values()} == expected.claims
    assert len(rows["observations"]) == len(outcome.observations)
    counts = outcome.outcomes[0].counts
    assert counts.used + counts.duplicate + sum(counts.rejected.values()) + counts.ticks == len(log)


@quick
@given(st.data())
def test_poll_cuts_change_nothing(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    log = timeline_log(data.draw(arrivals(topic)))
    whole, pieces = Store({}), Store({})
    once = run_with_store(machine(topic), [log], whole)
    polls = cut(log, data.draw(st.lists(st.integers(0, 999), max_size=30)))
    assert_same(run_with_store(machine(topic), polls, pieces), once)
    assert whole.parts == pieces.parts
    assert whole.last is not None
    assert pieces.last is not None
    assert replace(whole.last, new_parts={}, dropped=()) == replace(pieces.last, new_parts={}, dropped=())


@quick
@given(st.data())
def test_a_restored_engine_goes_on_as_if_it_had_never_stopped(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    log = timeline_log(data.draw(arrivals(topic)))
    polls = cut(log, data.draw(st.lists(st.integers(0, 999), min_size=1, max_size=20)))
    before_stop = data.draw(st.integers(1, len(polls)))
    store = Store({})
    run_with_store(machine(topic), polls[:before_stop], store)
    assume(store.last is not None)
    assert store.last is not None
    stopped = store.last
    again = machine(topic)
    again.restore(store.parts, stopped.live, stopped.next_offset, stopped.tick_ms)
    assert (again.next_offset, again.tick_ms) == (stopped.next_offset, stopped.tick_ms)
    rest = log[stopped.next_offset :]
    went_on = run_with_store(again, cut(rest, data.draw(st.lists(st.integers(0, 999), max_size=5))), store)
    never = Store({})
    whole = run_with_store(machine(topic), [log], never)
    assert went_on.blocks == [block for block in whole.blocks if block.tick_ms > stopped.tick_ms]
    assert went_on.frames == [frame for frame in whole.frames if frame.first_offset >= stopped.next_offset]
    assert went_on.rejected == [one for one in whole.rejected if one.source_offset >= stopped.next_offset]
    assert store.parts == never.parts


@settings(quick, max_examples=15)
@given(st.data())
def test_what_is_no_candidate_would_not_have_been_claimed(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    log = timeline_log(data.draw(arrivals(topic)))
    chosen = run(machine(topic), log)
    with pytest.MonkeyPatch.context() as patch:
        for form in (PositionForm, DetectionForm, ReadingForm):
            patch.setattr(form, "candidates", lambda _form, batch, _remembered: np.ones(len(batch), bool))
        assert_same(run(machine(topic), log), chosen)


def by_partition(entries: Sequence[Any], partitions: int) -> list[list[RawRecord]]:
    """The log of every partition: its own devices' records and every tick."""
    return [
        log_of(
            one for one in entries
            if isinstance(one, Tick) or shard_of(device_of(one)) % partitions == partition
        )
        for partition in range(partitions)
    ]  # fmt: skip


@settings(quick, max_examples=15)
@given(st.data())
def test_partition_counts_change_nothing_but_partitions_and_offsets(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    entries = timeline(data.draw(arrivals(topic)))
    answers = []
    for partitions in (1, data.draw(st.sampled_from([2, 4, 8, 16, 32, 64]))):
        logs = by_partition(entries, partitions)
        runs = [run(machine(topic, partition, partitions), log) for partition, log in enumerate(logs)]
        assert not any(one.forwarded for one in runs)
        observed = {(observation.observation_id, observation.withdrawn, block.tick_ms, claim_of(observation))
                    for one in runs for block in one.blocks for observation in block.observations}  # fmt: skip
        answers.append((without_source(stored(runs)), observed))
    assert answers[0] == answers[1]


@quick
@given(st.data())
def test_injected_duplicates_are_only_counted(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    entries = timeline(data.draw(arrivals(topic)))
    plain = run(machine(topic), log_of(entries))
    used = offsets(stored([plain]), *USED)
    assume(used)
    crowded = list(entries)
    for where, later in data.draw(st.lists(st.tuples(st.integers(0, 999), st.integers(1, 15)), max_size=15)):
        original = entries[used[where % len(used)]]
        index = next(index for index, one in enumerate(crowded) if one is original)
        crowded.insert(min(index + later, len(crowded) - 1), original)
    copied = run(machine(topic), log_of(crowded))
    assume(copied.outcomes[0].counts.rejected == plain.outcomes[0].counts.rejected)  # a copy may come too late
    before, after = plain.outcomes[0].counts, copied.outcomes[0].counts
    assert replace(after, duplicate=before.duplicate) == before
    assert after.duplicate == before.duplicate + len(crowded) - len(entries)
    assert [claim_of(one) for one in copied.observations] == [claim_of(one) for one in plain.observations]
    some, others = without_source(stored([plain])), without_source(stored([copied]))
    assert all(some.get(table) == others.get(table) for table in {*some, *others} - {"duplicates"})


@quick
@given(st.data())
def test_order_within_the_lateness_bound_changes_nothing_in_the_end(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    records = distinct(data.draw(worlds.records(topic, 60)))
    chance = random.Random(data.draw(st.integers(0, 1 << 32)))
    delays = [[chance.randint(-30, 60) for _ in records] for _ in range(2)] + [[0] * len(records)]
    answers = []
    for delay_s in delays:
        sent = [worlds.Sent(one, one.at_ms + 1000 * late) for one, late in zip(records, delay_s, strict=True)]
        outcome = run(machine(topic), timeline_log(sent))
        rows = stored([outcome])
        assert outcome.outcomes[0].counts.used == len(records)
        used = {table: found for table, found in rows.items() if table in USED}
        standing = {name: claim_of(one) for name, one in outcome.standing.items() if one.kind not in OF_ARRIVAL}
        answers.append((without_source(used), standing))
    assert answers[0] == answers[1] == answers[2]


@settings(quick, max_examples=15)
@given(st.data())
def test_records_in_the_wrong_partition_are_forwarded_and_count_once(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    partitions = data.draw(st.sampled_from([2, 4]))
    chance = random.Random(data.draw(st.integers(0, 1 << 32)))
    records = distinct(data.draw(worlds.records(topic, 40)))
    sent = [worlds.Sent(one, one.at_ms) for one in records]
    right = [run(machine(topic, partition, partitions), log)
             for partition, log in enumerate(by_partition(timeline(sent), partitions))]  # fmt: skip
    machines = [machine(topic, partition, partitions) for partition in range(partitions)]
    runs: list[list[Any]] = [[] for _ in machines]
    queues: list[list[RawRecord]] = [[] for _ in machines]
    ends, astray = [0] * partitions, 0

    def append(partition: int, key: bytes | None, value: bytes | None) -> None:
        queues[partition].append(RawRecord(ends[partition], key, value))
        ends[partition] += 1

    for entry in timeline(sent):
        if not isinstance(entry, Tick):
            append(chance.randrange(partitions), None, CODEC.encode(entry))
            continue
        for partition in range(partitions):
            append(partition, None, CODEC.encode(entry))
        forwarded: list[Forwarded] = []
        for partition, each in enumerate(machines):
            outcome = each.push(queues[partition])
            queues[partition] = []
            runs[partition].append(outcome)
            forwarded += outcome.forwarded
        for one in forwarded:
            assert shard_of(one.key.decode()) % partitions == one.to_partition
            append(one.to_partition, one.key, one.record.value)
        astray += len(forwarded)
    strewn = [Run(outcomes) for outcomes in runs]
    rows = stored(strewn)
    assert (
        len(rows["forwarded"]) == astray == sum(outcome.counts.forwarded for one in strewn for outcome in one.outcomes)
    )
    assert not rows["rejected"]
    rows_right = stored(right)
    assert without_source({table: rows[table] for table in USED}) == without_source(
        {table: rows_right[table] for table in USED}
    )
    claims = [
        {name: claim_of(claim) for one in side for name, claim in one.standing.items()} for side in (right, strewn)
    ]
    assert claims[0] == claims[1]


@quick
@given(st.data())
def test_a_checkpoint_holds_what_still_matters_and_little_else(data: st.DataObject) -> None:
    topic = data.draw(worlds.topics)
    log = timeline_log(data.draw(arrivals(topic)))
    started, store, used = machine(topic), Store({}), set[tuple[int, str, int]]()
    for poll in cut(log, data.draw(st.lists(st.integers(0, 999), max_size=8))):
        outcome = run_with_store(started, [poll], store)
        rows = stored([outcome])
        used |= {(row["source_offset"], row[DEVICE[table]], row["at_ms"]) for table in USED for row in rows[table]}
        if outcome.outcomes[0].checkpoint is None:
            continue
        assert store.last is not None
        covered = {(device, at_ms) for offset, device, at_ms in used if offset < store.last.next_offset}
        horizon_ms = store.last.tick_ms - RULE.lateness_ms - REACH_MS
        held = [remembered(part) for name, part in store.parts.items() if name.partition("/")[0] in topic.taken]
        assert all(max(at_ms for _, at_ms in part) >= horizon_ms for part in held)
        matters = {one for one in covered if one[1] >= horizon_ms}
        sealed = set().union(*held)
        assert {one for one in sealed if one[1] >= horizon_ms} == matters


DEVICE = {"positions": "vehicle_id", "detections": "camera_id", "readings": "sensor_id", "heartbeats": "device_id"}


def remembered(part: bytes) -> set[tuple[str, int]]:
    columns = unpack(msgspec.msgpack.decode(part, type=Part).columns)
    devices = [key.partition(KEY_SEPARATOR)[0] for key in columns["key"].tolist()]
    return set(zip(devices, columns["at_ms"].tolist(), strict=True))


def test_rows_are_cut_by_count_or_time_and_checkpoints_only_with_a_cut() -> None:
    rule = IngestRule(block_rows=3, block_ms=1000, checkpoint_ms=2000)
    moments = [T0_MS + 250 * index for index in range(13)]
    crowded = {2: 3, 3: 1, 5: 2, 6: 1, 9: 1}  # positions before the tick of that number
    entries: list[Any] = []
    for index, at_ms in enumerate(moments):
        entries += [position(f"bus-{number}", at_ms) for number in range(crowded.get(index, 0))]
        entries.append(tick(at_ms))
    started = engine(fleet_domain(), rule=rule)
    told: list[tuple[int, ...]] = []
    for raw in log_of(entries):
        outcome = started.push([raw])
        for frame in outcome.frames:
            told.append((frame.tick_ms - T0_MS, frame.first_offset, frame.last_offset, frame.rows))
        if outcome.checkpoint is not None:
            assert outcome.checkpoint.next_offset == raw.offset + 1 == started.next_offset
            assert outcome.checkpoint.tick_ms == started.tick_ms
            told.append((outcome.checkpoint.tick_ms - T0_MS, outcome.checkpoint.next_offset))
    assert told == [
        (0, 1),  # the first tick begins a span
        (500, 1, 5, 3),  # enough rows
        (1000, 6, 8, 1),  # a new second
        (1500, 9, 13, 3),
        (2000, 16),  # nothing to write since, but a checkpoint is due
        (3000, 16, 20, 1),
    ]


def test_ticks_that_do_not_increase_close_nothing() -> None:
    log = log_of([
        tick(T0_MS), position(at_ms=T0_MS), tick(T0_MS), tick(T0_MS - 5000), tick(-1), tick(1 << 62),
        tick(T0_MS + 250),
    ])  # fmt: skip
    outcome = run(engine(fleet_domain()), log)
    assert [(block.tick_ms - T0_MS, len(block.observations)) for block in outcome.blocks] == [(0, 0), (250, 0)]
    assert (outcome.outcomes[0].counts.ticks, outcome.outcomes[0].counts.used) == (6, 1)


def test_what_waits_for_its_tick_is_not_counted_yet() -> None:
    started = engine(fleet_domain())
    first = started.push(log_of([tick(T0_MS), position(), b"garbage"]))
    assert (first.counts.used, sum(first.counts.rejected.values()), started.next_offset) == (0, 0, 1)
    second = started.push(log_of([tick(T0_MS + 250)], 3))
    assert (second.counts.used, second.counts.rejected, started.next_offset) == (1, {"not_avro": 1}, 4)


def test_offsets_must_increase() -> None:
    started = engine(fleet_domain())
    started.push(log_of([tick(T0_MS), position()]))
    with pytest.raises(ValueError, match="offset 1 came after 1"):
        started.push(log_of([position()], 1))


def test_partition_counts_must_divide_the_shards() -> None:
    with pytest.raises(ValueError, match="3 partitions"):
        engine(fleet_domain(), partitions=3)


def test_parts_of_another_topic_are_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        engine(fleet_domain()).restore({"SensorReading/0": b""}, ["SensorReading/0"], 1, T0_MS)


def test_observations_of_a_block_stand_in_the_order_of_time_and_id() -> None:
    fixes = [position(f"bus-{number}", T0_MS + at_s * 1000, speed_mps=speed_mps, east_m=float(at_s))
             for number in range(8) for at_s, speed_mps in ((0, 12.0), (5 + number % 2, 0.0))]  # fmt: skip
    block = run(engine(fleet_domain()), log_of([tick(T0_MS - 1000), *fixes, tick(T0_MS + 10_000)])).blocks[-1]
    order = [(one.at_ms, one.observation_id) for one in block.observations]
    assert len(order) == 8
    assert order == sorted(order)


def test_real_city_gives_the_same_rows_in_one_partition_and_in_eight() -> None:
    folder = Path(__file__).parents[2] / "cities" / "hanoi"
    city = load_city(folder)
    chance = random.Random(7)
    entries: list[Any] = [tick(T0_MS)]
    for index in range(400):
        line = chance.choice(["", *(line.line_id for line in city.lines)])
        place = {"latitude_deg": chance.uniform(20.95, 21.1), "longitude_deg": chance.uniform(105.75, 105.9)}
        entries.append(position(f"bus-{index % 50}", T0_MS + index * 1000, line_id=line, **place))
        if index % 10 == 9:
            entries.append(tick(T0_MS + index * 1000 + 500))
    entries.append(tick(T0_MS + 600_000))
    answers = []
    for partitions in (1, 8):
        runs = [run(engine(fleet_domain(), partition=partition, partitions=partitions, city=city), log)
                for partition, log in enumerate(by_partition(entries, partitions))]  # fmt: skip
        answers.append(without_source(stored(runs)))
    assert answers[0] == answers[1]
    assert sum(answers[0]["positions"].values()) == 400


def test_a_record_beyond_the_limit_is_parked_by_its_beginning() -> None:
    raw = [
        RawRecord(0, b"k", b"v" * 1_040_001, (("h", b"1"),)),
        RawRecord(1, b"k" * 1_040_001, None),
        RawRecord(2, b"k", b"v" * 1_039_000, (("h", b"1"),)),
        RawRecord(3, None, CODEC.encode(Tick(at_ms=T0_MS))),
    ]

    huge, long_key, whole = engine(fleet_domain()).push(raw).rejected

    assert (huge.reason, huge.key, huge.value, huge.headers) == ("out_of_range", b"k", b"v" * 65_536, ())
    assert huge.errors == ("1040011 bytes, at most 1040000 are taken; of key and value the first 65536 are kept",)
    assert (long_key.key, long_key.value) == (b"k" * 65_536, None)
    assert (whole.reason, len(whole.value or b""), len(whole.headers)) == ("not_avro", 1_039_000, 1)
