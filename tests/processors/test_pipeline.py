"""The whole pure flow, from the log to incidents: what must not change anything, changes nothing (design, promise 1).

One simulated minute of Hanoi, with an operator who decides about its incidents, is the log. It is cut, spread over
partitions, repeated and shuffled.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from processors.actions import action_domain, new_action
from processors.camera import camera_domain
from processors.city import City, load_city
from processors.domain import Domain
from processors.fleet import fleet_domain
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rules import load_rules
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from processors.sensors import sensor_domain
from processors.simulate import Simulation, SimulationRule
from schemas.codec import local_codec
from schemas.columns import unpack
from schemas.ids import shard_of
from schemas.records import (
    Decision,
    Incident,
    IncidentChange,
    IncidentState,
    ObservationBlock,
    Rejected,
    RowFrame,
    Tick,
)
from streams.settings import PROJECT

CODEC = local_codec()
DOMAINS: dict[str, Callable[[], Domain]] = {
    "vehicle.positions.v1": fleet_domain,
    "camera.detections.v1": camera_domain,
    "sensor.readings.v1": sensor_domain,
    "operator.actions.v1": action_domain,
}
ACTIONS = "operator.actions.v1"
START_MS = 1_795_364_000_000
STEPS = 260
AFTER_MS = (5_000, 60_000, 400_000)
"""Ticks after the last record, so that everything resolves."""
EVERYTHING_ELSE = {"incident_id", "revision", "tick_ms", "due_trips"}
OF_ARRIVAL = {"camera_clock_off", "camera_well", "camera_clock"}
"""Claims and incidents of clocks: that one is off shows in when its records come, so order alone may change these."""


@dataclass(frozen=True)
class Item:
    """One record: when it arrives (index of its interval), where and what."""

    step: int
    topic: str
    device: str
    value: bytes


@dataclass
class Result:
    """What came out."""

    changes: list[IncidentChange]
    observations: dict[str, tuple[Any, ...]]
    rows: dict[str, list[tuple[Any, ...]]]
    rejects: list[tuple[str, str, bytes | None]]

    def final(self) -> list[dict[str, Any]]:
        """Return the incidents as they ended, up to ids and revision numbers."""
        latest: dict[str, Incident] = {}
        for change in self.changes:
            latest[change.incident.incident_id] = change.incident
        standing = [one for one in latest.values() if one.state is not IncidentState.WITHDRAWN]
        fields = [name for name in Incident.__slots__ if name not in EVERYTHING_ELSE]
        return sorted(({name: getattr(one, name) for name in fields} for one in standing), key=repr)


@cache
def hanoi() -> City:
    return load_city(PROJECT / "cities" / "hanoi")


@cache
def devices() -> tuple[tuple[Item, ...], tuple[int, ...]]:
    """Return what devices send, in arrival order, and the ticks that close the intervals."""
    rule = SimulationRule(vehicles=120, fast_clock=0.05)
    simulation = Simulation(hanoi(), 3, START_MS, rule, START_MS + STEPS * 250)
    items, ticks = [], []
    for step in range(STEPS):
        interval = simulation.step()
        items += [Item(step, sent.topic, sent.key, CODEC.encode(sent.record)) for sent in interval.sent]
        ticks.append(interval.tick_ms)
    return tuple(items), (*ticks, *(ticks[-1] + after for after in AFTER_MS))


@cache
def bare() -> Result:
    """What comes of it while nobody decides anything."""
    return run(devices()[0])


@cache
def log() -> tuple[Item, ...]:
    """Return the same with decisions about most incidents, each at the same moment or up to 20 s later."""
    ticks, chance = devices()[1][:STEPS], random.Random(5)
    opened = {change.incident.incident_id: change.tick_ms for change in reversed(bare().changes)}
    acted = []
    for number, (name, tick_ms) in enumerate(sorted(opened.items(), key=lambda one: one[1])):
        step = min(STEPS - 1, bisect_left(ticks, tick_ms) + chance.randrange(80))
        decision = (*Decision, None)[number % (len(Decision) + 1)]
        if decision is not None:
            assignee = "Đội 7" if decision is Decision.ASSIGN else ""
            one = new_action(name, decision, "Lan", "seen", ticks[step] - 100, assignee)
            acted.append(Item(step, ACTIONS, name, CODEC.encode(one)))
    return (*devices()[0], *acted)


def run(items: Iterable[Item], partitions: int = 4, cuts: random.Random | None = None) -> Result:
    """Feed the log through all engines and the correlator."""
    ticks = devices()[1]
    counts = {topic: 1 if topic == ACTIONS else partitions for topic in DOMAINS}
    engines = {
        (topic, partition): PartitionEngine(
            topic, partition, counts[topic], build(), CODEC, hanoi(), IngestRule(block_ms=30_000)
        )
        for topic, build in DOMAINS.items()
        for partition in range(counts[topic])
    }
    logs: dict[tuple[str, int], list[RawRecord]] = {source: [] for source in engines}
    waiting = sorted(items, key=lambda one: one.step)
    position = 0
    for step, tick_ms in enumerate(ticks):
        while position < len(waiting) and waiting[position].step <= step:
            item = waiting[position]
            source = (item.topic, shard_of(item.device) % counts[item.topic])
            logs[source].append(RawRecord(len(logs[source]), item.device.encode(), item.value))
            position += 1
        for own in logs.values():
            own.append(RawRecord(len(own), b"tick", CODEC.encode(Tick(at_ms=tick_ms))))
    blocks: list[ObservationBlock] = []
    result = Result([], {}, {}, [])
    for source, engine in engines.items():
        for piece in _pieces(logs[source], cuts):
            outcome = engine.push(piece)
            blocks += outcome.blocks
            _note(result, outcome.frames, outcome.rejected)
    correlator = IncidentEngine(
        load_rules(PROJECT / "cities" / "hanoi" / "rules"),
        hanoi(),
        list(engines),
        CorrelationRule(provisional_after_ms=0),
    )
    if cuts is not None:
        blocks = _interleaved(blocks, cuts)
    result.changes += correlator.push(list(enumerate(blocks))).changes
    for block in blocks:
        for one in block.observations:
            claim = replace(one, source_offset=0, source_partition=0)
            if one.withdrawn:
                result.observations.pop(one.observation_id, None)
            else:
                result.observations[one.observation_id] = tuple(getattr(claim, name) for name in claim.__slots__)
    return result


def _pieces(records: list[RawRecord], cuts: random.Random | None) -> Iterable[list[RawRecord]]:
    at = 0
    while at < len(records):
        size = len(records) if cuts is None else cuts.choice((1, 2, 7, 50, 1000))
        yield records[at : at + size]
        at += size


def _interleaved(blocks: list[ObservationBlock], chance: random.Random) -> list[ObservationBlock]:
    """Mix the partitions' blocks, each partition's in its own order, some of them repeated."""
    queues: dict[tuple[str, int], list[ObservationBlock]] = {}
    for block in blocks:
        queues.setdefault((block.source_topic, block.source_partition), []).append(block)
    for queue in queues.values():
        queue.reverse()
    mixed: list[ObservationBlock] = []
    while queues:
        source = chance.choice(sorted(queues))
        mixed.append(queues[source].pop())
        if chance.random() < 0.1:
            mixed.append(mixed[-1])
        if not queues[source]:
            del queues[source]
    return mixed


def _note(result: Result, frames: Iterable[RowFrame], rejected: Iterable[Rejected]) -> None:
    for frame in frames:
        columns = unpack(frame.columns)
        columns.pop("source_offset")
        result.rows.setdefault(frame.table, []).extend(
            zip(
                *(["nan" if value != value else value for value in one.tolist()] for one in columns.values()),
                strict=True,
            )
        )
    result.rejects += [(one.source_topic, one.reason, one.value) for one in rejected]


def assert_same(one: Result, other: Result) -> None:
    """Assert that two results are the same: revisions byte for byte, rows, rejects and observations as sets."""
    assert [CODEC.encode(change) for change in one.changes] == [CODEC.encode(change) for change in other.changes]
    assert one.observations == other.observations
    assert {table: sorted(rows, key=repr) for table, rows in one.rows.items()} == {
        table: sorted(rows, key=repr) for table, rows in other.rows.items()
    }
    assert sorted(one.rejects, key=repr) == sorted(other.rejects, key=repr)


@cache
def reference() -> Result:
    return run(log())


def test_the_minute_has_something_to_tell() -> None:
    kinds = {change.incident.kind for change in reference().changes}
    assert {"crash", "fire", "camera_silent", "sensor_fault"} <= kinds
    assert len(reference().changes) > 20
    assert {"duplicates", "rejected", "observations", "positions", "actions"} <= set(reference().rows)
    acted = [change.incident for change in reference().changes if change.incident.actions]
    assert {one.decision for incident in acted for one in incident.actions} == set(Decision)
    assert IncidentState.DISMISSED in {incident.state for incident in acted}


@pytest.mark.parametrize("partitions", [1, 2, 16, 64])
def test_the_number_of_partitions_changes_nothing(partitions: int) -> None:
    assert_same(run(log(), partitions), reference())


@pytest.mark.parametrize("seed", range(2))
def test_how_polls_cut_and_partitions_interleave_changes_nothing(seed: int) -> None:
    assert_same(run(log(), cuts=random.Random(seed)), reference())


@pytest.mark.parametrize("seed", range(2))
def test_duplicates_are_only_counted(seed: int) -> None:
    chance = random.Random(seed)
    last = len(devices()[1]) - 1
    refused = {value for _, _, value in reference().rejects}  # what came from the future is in time the second time
    again = [
        replace(item, step=min(last, item.step + chance.randrange(200)))
        for item in log()
        if (item.topic == ACTIONS or chance.random() < 0.2) and item.value not in refused
    ]
    repeated = run([*log(), *again])
    assert [CODEC.encode(one) for one in repeated.changes] == [CODEC.encode(one) for one in reference().changes]
    assert repeated.observations == reference().observations
    assert len(repeated.rows["duplicates"]) > len(reference().rows["duplicates"])
    assert sorted(repeated.rows["positions"], key=repr) == sorted(reference().rows["positions"], key=repr)


@pytest.mark.parametrize("seed", range(2))
def test_late_forwarding_and_shuffles_leave_the_same_final_incidents(seed: int) -> None:
    """Up to ids, which decisions name: nobody decides anything here."""
    chance = random.Random(seed)
    last = STEPS - 1
    refused = {value for _, _, value in bare().rejects}  # what came from the future would be in time when it came later
    late = [
        item
        if item.value in refused
        else replace(item, step=min(last, item.step + chance.choice((0, 0, 0, 1, 10, 80, 200))))
        for item in devices()[0]
    ]
    chance.shuffle(late)
    shuffled = run(late)
    assert _but_clocks(shuffled.observations) == _but_clocks(bare().observations)
    assert [one for one in shuffled.final() if one["kind"] not in OF_ARRIVAL] == [
        one for one in bare().final() if one["kind"] not in OF_ARRIVAL
    ]


def _but_clocks(observations: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    return {name: one for name, one in observations.items() if not OF_ARRIVAL.intersection(one)}
