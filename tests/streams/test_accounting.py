from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from processors.rows import RowBuffer, texts
from schemas.codec import local_codec
from schemas.records import (
    Change,
    Observation,
    ObservationBlock,
    Rejected,
    RowFrame,
    Tick,
    VehiclePosition,
)
from schemas.tables import TABLES
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.writer import Writer
from streams import topics
from streams.accounting import Accounts, Entries, account, judge
from streams.admin import ensure_topics
from streams.latency import change_latencies_ms, measure_latency
from streams.log_facts import WHOLE, ChangeFact, FrameFact, InputPart, LogFacts, Place
from streams.reading import reading
from streams.settings import Settings
from tests.streams.incidents import AT_MS, change, incident

POSITIONS = topics.POSITIONS.name
READINGS = topics.READINGS.name
Rows = Mapping[tuple[str, str, int], Sequence[int | tuple[int, int]]]
"""(table, topic, partition) -> stored offsets, of rows of frames with the row."""


def part(
    records: Sequence[int] = (),
    ticks: Sequence[int] = (),
    begin: int = 0,
    after_s: float = 0.0,
    rows: Mapping[int, int] | None = None,
) -> InputPart:
    offset = np.array(sorted([*records, *ticks]), dtype=np.int64)
    return InputPart(
        begin=begin,
        decided=max(ticks, default=begin - 1) + 1,
        first_tick_ms=0,
        last_tick_ms=0,
        offset=offset,
        appended_ms=offset * 100 + int(after_s * 1000),
        is_tick=np.isin(offset, list(ticks)),
        rows=np.array([1 if rows is None else rows.get(one, 1) for one in offset.tolist()], dtype=np.int64),
    )


def facts_of(
    inputs: Mapping[tuple[str, int], InputPart],
    rejects: Mapping[Place, str] | None = None,
    frames: Sequence[FrameFact] = (),
    unlike: int = 0,
) -> LogFacts:
    empty = {(topic.name, number): part() for topic in topics.INPUTS for number in range(topic.partitions)}
    return LogFacts(
        inputs={**empty, **inputs},
        rejects=rejects or {},
        frames=frames,
        unlike=unlike,
        standing={},
        sources={},
        told_ms={},
        changes=(),
        contradictions=(),
    )


def judged(facts: LogFacts, rows: Rows) -> Accounts:
    def stored(table: str, topic: str, partition: int) -> Entries:
        told = rows.get((table, topic, partition), ())
        pairs = sorted(one if isinstance(one, tuple) else (one, WHOLE) for one in told)
        return Entries(*np.array(pairs, dtype=np.int64).reshape(-1, 2).T)

    return judge(facts, stored)


def test_every_account_is_counted_and_balances() -> None:
    facts = facts_of(
        {(POSITIONS, 1): part([0, 1, 3, 4, 5], ticks=[2, 6])},
        rejects={Place(POSITIONS, 1, 3): "late"},
    )
    rows = {
        ("positions", POSITIONS, 1): [0, 1],
        ("rejected", POSITIONS, 1): [3],
        ("duplicates", POSITIONS, 1): [4],
        ("forwarded", POSITIONS, 1): [5],
    }
    accounts = judged(facts, rows)
    assert accounts.balances, accounts.reasons
    topic = accounts.topics[POSITIONS]
    assert (topic.records, topic.used, topic.duplicate, topic.rejected, topic.forwarded) == (5, 2, 1, 1, 1)
    assert (topic.waiting, topic.ticks, topic.missing, topic.several) == (0, 2, 0, 0)
    assert accounts.rejected == {"late": 1}


def test_heartbeats_count_as_used() -> None:
    facts = facts_of({(READINGS, 0): part([0, 1], ticks=[2])})
    accounts = judged(facts, {("readings", READINGS, 0): [0], ("heartbeats", READINGS, 0): [1]})
    assert accounts.balances
    assert accounts.topics[READINGS].used == 2


def test_record_behind_the_last_tick_waits() -> None:
    accounts = judged(facts_of({(POSITIONS, 0): part([0, 2], ticks=[1])}), {("positions", POSITIONS, 0): [0]})
    assert accounts.balances
    assert (accounts.topics[POSITIONS].records, accounts.topics[POSITIONS].waiting) == (1, 1)


def test_what_lies_before_the_scope_is_nobodys_business() -> None:
    facts = facts_of({(POSITIONS, 0): part([10], ticks=[11], begin=10)}, rejects={Place(POSITIONS, 0, 4): "late"})
    accounts = judged(facts, {("positions", POSITIONS, 0): [3, 10], ("rejected", POSITIONS, 0): [4]})
    assert accounts.balances, accounts.reasons
    assert accounts.rejected == {}


@pytest.mark.parametrize(
    ("rows", "reason", "wrong"),
    [
        ({("positions", POSITIONS, 0): [0]}, "1 records of vehicle.positions.v1 are in no account", 1),
        ({("positions", POSITIONS, 0): [0, 1, 1]}, "in more than one account", 1),
        ({("positions", POSITIONS, 0): [0, 1], ("duplicates", POSITIONS, 0): [0]}, "in more than one account", 0),
        ({("positions", POSITIONS, 0): [0, 1, 2]}, "stand at offsets without a record: 2", None),
        (
            {("positions", POSITIONS, 0): [0], ("rejected", POSITIONS, 0): [1]},
            "but not in records.rejected.v1: 1",
            None,
        ),
    ],
)
def test_what_does_not_add_up_is_told(rows: Rows, reason: str, wrong: int | None) -> None:
    accounts = judged(facts_of({(POSITIONS, 0): part([0, 1], ticks=[2])}), rows)
    assert not accounts.balances
    assert reason in "; ".join(accounts.reasons)
    assert accounts.topics[POSITIONS].wrong == (() if wrong is None else (Place(POSITIONS, 0, wrong),))


def test_reject_that_clickhouse_does_not_hold_is_told() -> None:
    facts = facts_of({(POSITIONS, 0): part([0], ticks=[1])}, rejects={Place(POSITIONS, 0, 0): "late"})
    accounts = judged(facts, {("positions", POSITIONS, 0): [0]})
    assert "rejected in records.rejected.v1 but not in ClickHouse: 0" in "; ".join(accounts.reasons)


def test_rows_stored_are_held_against_the_frames() -> None:
    frames = [FrameFact("positions", POSITIONS, 0, 0, 9, 2), FrameFact("positions", POSITIONS, 0, 10, 19, 1)]
    facts = facts_of({(POSITIONS, 0): part([0, 1, 12], ticks=[19])}, frames=frames)
    accounts = judged(facts, {("positions", POSITIONS, 0): [0, 1, 12]})
    assert accounts.balances
    assert (accounts.tables["positions"].written, accounts.tables["positions"].stored) == (3, 3)
    assert list(accounts.tables) == list(TABLES)
    lacking = judged(facts, {("positions", POSITIONS, 0): [0, 1]})
    assert "positions: rows.v1 says 3 rows, ClickHouse holds 2" in lacking.reasons


def test_frames_that_overlap_or_contradict_are_told() -> None:
    frames = [FrameFact("positions", POSITIONS, 0, 0, 9, 1), FrameFact("positions", POSITIONS, 0, 5, 19, 1)]
    facts = facts_of({(POSITIONS, 0): part([0, 12], ticks=[19])}, frames=frames, unlike=1)
    told = "; ".join(judged(facts, {("positions", POSITIONS, 0): [0, 12]}).reasons)
    assert "cover the same offsets twice" in told
    assert "1 row frames were repeated with other content" in told


EACH = st.sampled_from(["positions", "duplicates", "rejected"])
FATES = st.one_of(st.sampled_from(["rejected", "forwarded"]), st.lists(EACH, min_size=1, max_size=3))
"""Of a record as a whole, or of each of its rows."""


@given(st.lists(st.tuples(st.integers(1, 3), FATES), max_size=30), st.data())
def test_only_a_whole_account_balances(told: list[tuple[int, str | list[str]]], data: st.DataObject) -> None:
    rows: dict[tuple[str, str, int], list[int | tuple[int, int]]] = {}
    entries: list[tuple[str, tuple[int, int]]] = []
    sizes: dict[int, int] = {}
    for offset, (count, fate) in enumerate(told):
        sizes[offset] = count if isinstance(fate, str) else len(fate)
        times = count if fate == "forwarded" else 1  # a forwarded frame has a row for each of its positions
        whole = [(fate, WHOLE)] * times if isinstance(fate, str) else []
        of_record = whole or [(one, row) for row, one in enumerate(fate)]
        entries += [(table, (offset, row)) for table, row in of_record]
    for table, entry in entries:
        rows.setdefault((table, POSITIONS, 0), []).append(entry)
    rejects = {Place(POSITIONS, 0, *entry): "late" for table, entry in entries if table == "rejected"}
    facts = facts_of({(POSITIONS, 0): part(range(len(told)), ticks=[len(told)], rows=sizes)}, rejects)
    accounts = judged(facts, rows)
    assert accounts.balances, accounts.reasons
    topic = accounts.topics[POSITIONS]
    assert topic.records == topic.used + topic.duplicate + topic.rejected + topic.forwarded == sum(sizes.values())
    assert accounts.rejected.get("late", 0) == topic.rejected
    if entries:
        table, entry = data.draw(st.sampled_from(entries))
        rows[table, POSITIONS, 0].remove(entry)
        assert not judged(facts, rows).balances
        rows[table, POSITIONS, 0] += [entry, entry]
        assert judged(facts, rows).topics[POSITIONS].several > 0


def test_a_row_of_a_frame_in_no_account_or_beyond_its_end_is_told() -> None:
    facts = facts_of({(POSITIONS, 0): part([0, 1], ticks=[2], rows={0: 3})}, {Place(POSITIONS, 0, 0, 2): "late"})
    accounts = judged(facts, {("positions", POSITIONS, 0): [(0, 0), (1, 0)], ("rejected", POSITIONS, 0): [(0, 3)]})
    assert accounts.topics[POSITIONS].wrong == (Place(POSITIONS, 0, 0, 1), Place(POSITIONS, 0, 0, 2))
    assert accounts.reasons == (
        "rejected rows of vehicle.positions.v1/0 stand at offsets without a record: 0",
        "records of vehicle.positions.v1/0 rejected in ClickHouse but not in records.rejected.v1: 0/3",
        "records of vehicle.positions.v1/0 rejected in records.rejected.v1 but not in ClickHouse: 0/2",
        "2 records of vehicle.positions.v1 are in no account",
    )


def test_latency_runs_from_the_newest_new_evidence_to_the_change() -> None:
    inputs = {(POSITIONS, 0): part([10, 20, 30], ticks=[40])}
    sources = {name: Place(POSITIONS, 0, offset) for name, offset in (("o-1", 10), ("o-2", 20), ("o-3", 30))}
    first = incident(evidence=("o-1", "o-2"))
    second = incident(revision=2, evidence=("o-1", "o-2", "o-3"))
    changes = [
        ChangeFact(2_150, change(first)),
        ChangeFact(3_200, change(second, Change.CHANGED)),
        ChangeFact(9_000, change(replace(second, revision=3), Change.RESOLVED)),
        ChangeFact(9_500, change(replace(second, revision=4), Change.CHANGED)),
        ChangeFact(9_900, change(incident("i-2", evidence=("o-9",)))),
    ]
    told_ms = dict.fromkeys(sources, AT_MS)
    assert change_latencies_ms(changes, sources, told_ms, inputs).tolist() == [150, 200]
    latency = measure_latency(changes, sources, told_ms, inputs)
    assert (latency.changes, latency.p50) == (2, 175.0)
    assert measure_latency([], sources, told_ms, inputs).p99 is None


def test_what_a_rule_waited_for_is_no_latency() -> None:
    inputs = {(POSITIONS, 0): part([10, 20], ticks=[40])}
    sources = {"o-1": Place(POSITIONS, 0, 10), "o-2": Place(POSITIONS, 0, 20)}
    told_ms = {"o-1": AT_MS - 60_000, "o-2": AT_MS}
    waited = ChangeFact(62_000, change(incident("i-1", evidence=("o-1",))))
    at_once = ChangeFact(62_150, change(incident("i-1", revision=2, evidence=("o-1", "o-2")), Change.CHANGED))
    early = ChangeFact(62_300, change(incident("i-2", evidence=("o-1",), provisional=True)))
    assert change_latencies_ms([waited, at_once], sources, told_ms, inputs).tolist() == [60_150]
    assert change_latencies_ms([early], sources, told_ms, inputs).tolist() == [61_300]


# --- on a real Kafka and a real ClickHouse ---


def position(at_ms: int) -> VehiclePosition:
    nan = float("nan")
    return VehiclePosition(
        at_ms=at_ms,
        latitude_deg=21.0,
        longitude_deg=105.8,
        speed_mps=5,
        bearing_deg=nan,
        accuracy_m=nan,
        vehicle_id="v1",
    )


def frame_of(table: str, offsets: Sequence[int], first: int, last: int) -> RowFrame:
    """Return a frame with unknown content at given offsets of positions/0."""
    count = len(offsets)
    buffer = RowBuffer(POSITIONS, 0, first)
    columns = {
        column.name: texts([""] * count) if column.dtype in ("utf8", "list") else np.zeros(count, dtype=column.dtype)
        for column in TABLES[table].columns
    }
    if table == "rejected":
        columns["source_index"] = np.full(count, WHOLE, dtype=np.int32)
    buffer.add(table, columns | {"source_offset": np.array(offsets, dtype=np.int64)})
    (frame,) = buffer.cut(1_000, last)
    return frame


@pytest.fixture
def run(stack: Settings) -> Settings:
    settings = stack.with_run("accounting", "accounting")
    ensure_topics(settings)
    migrate(settings.clickhouse_url, settings.database, None)
    return settings


@pytest.mark.stack
def test_topics_and_tables_of_a_real_stack_are_accounted_for(run: Settings) -> None:
    codec = local_codec()
    producer = KafkaProducer(bootstrap_servers=run.kafka_bootstrap_servers)

    def send(topic: topics.Topic, value: bytes | None, key: bytes = b"v1") -> None:
        producer.send(run.topic(topic), value, key, partition=0).get(10)

    with reading(run) as log:
        begin = log.end()
    base = begin[POSITIONS, 0]
    tick = codec.encode(Tick(at_ms=1_000))
    for value in (codec.encode(position(900)), codec.encode(position(900)), b"garbage", tick[:-1], tick):
        send(topics.POSITIONS, value)
    send(topics.POSITIONS, None)
    send(topics.READINGS, codec.encode(Tick(at_ms=1_000)))
    observation = Observation(
        at_ms=900, latitude_deg=21.0, longitude_deg=105.8, score=1.0, source_offset=base, source_partition=0,
        source_topic=POSITIONS, observation_id="o-1", kind="hard_stop", device_id="v1", witness_id="v1",
    )  # fmt: skip
    block = ObservationBlock(tick_ms=1_000, source_partition=0, source_topic=POSITIONS, observations=(observation,))
    again = replace(block, tick_ms=2_000, observations=(replace(observation, observation_id="o-2"),))
    gone = replace(block, tick_ms=3_000, observations=(replace(observation, observation_id="o-2", withdrawn=True),))
    for one in (block, block, again, gone, block):
        send(topics.OBSERVATIONS, codec.encode(one))
    for offset, reason in ((base + 2, "not_avro"), (base + 3, "not_avro")):
        reject = Rejected(
            tick_ms=1_000, source_offset=offset, source_partition=0, source_topic=POSITIONS, reason=reason,
            key=b"v1", value=b"garbage",
        )  # fmt: skip
        send(topics.REJECTED, codec.encode(reject))
        send(topics.REJECTED, codec.encode(reject))
    frames = [
        frame_of("positions", [base], base, base + 4),
        frame_of("duplicates", [base + 1], base, base + 4),
        frame_of("rejected", [base + 2, base + 3], base, base + 4),
    ]
    writer = Writer(run.clickhouse_url, run.database)
    for frame in (*frames, frames[0]):
        send(topics.ROWS, codec.encode(frame))
        writer.write(frame)
    writer.close()
    send(topics.CHANGES, codec.encode(change(incident(evidence=("o-1",), tick_ms=1_000))))
    producer.close()

    with reading(run) as log:
        accounts, facts = account(run, codec, begin, log.end())
    assert accounts.balances, accounts.reasons
    topic = accounts.topics[POSITIONS]
    assert (topic.records, topic.used, topic.duplicate, topic.rejected, topic.waiting, topic.ticks) == (
        4,
        1,
        1,
        2,
        1,
        1,
    )
    assert accounts.topics[READINGS].ticks == 1
    assert accounts.rejected == {"not_avro": 2}
    assert (accounts.tables["positions"].written, accounts.tables["positions"].stored) == (1, 1)
    assert facts.standing == {"o-1": "hard_stop"}
    assert facts.sources["o-1"] == Place(POSITIONS, 0, base)
    (latency_ms,) = change_latencies_ms(facts.changes, facts.sources, facts.told_ms, facts.inputs).tolist()
    assert 0 <= latency_ms < 60_000
