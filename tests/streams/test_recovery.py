"""Recovery on the real stack: kill -9, rebalances and clean stops leave no trace in anything that comes out."""

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from processors.city import City
from schemas.codec import Codec
from schemas.records import Decision
from sinks.clickhouse.queries import query
from streams import topics
from streams.actions import submit
from streams.cli.incidents import read_incidents
from streams.reading import reading
from streams.settings import Settings
from streams.workers import WorkerProcess, environment
from tests.streams.running import (
    READY_S,
    Outputs,
    PacedFeed,
    balance,
    feed,
    finish,
    make_ready,
    merged_s,
    read_outputs,
    run_settings,
    simulated,
    wait_until,
    work_off,
    working,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LOG_S = 40.0
SPEED = 4.0
LEAD_S = 3.0
"""How far the log goes on beyond the point of a kill: it hits records in the works, and some are still to come."""
KILLS_AT = (0.2, 0.5, 0.8)
OFTEN = {"crashes_per_hour": 400.0, "fires_per_hour": 400.0, "quiet_end_s": 5.0}
STOPS_WITHIN_S = 3.0


class Killed:
    """A worker that is killed and comes back under the same id."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker = WorkerProcess(settings)

    def kill_at(self, at_s: float) -> float:
        """Kill it once it has concluded up to a second of the log, start it again, return where it was killed."""
        wait_until(lambda: merged_s(self.worker.status()) >= at_s, READY_S, f"it does not reach {at_s} s of the log")
        killed_at_s = merged_s(self.worker.status())
        self.worker.kill()
        self.worker = WorkerProcess(self.settings)
        return killed_at_s

    def stop(self) -> None:
        self.worker.stop()


@dataclass(frozen=True, slots=True)
class Recovered:
    """One log with decisions, worked off undisturbed, with three kills, and by two workers, one of whom goes."""

    calm: Settings
    rough: Settings
    pair: Settings
    killed_at_s: list[float]
    shared: bool
    """Whether both workers of the pair had partitions."""
    answer: dict[str, Any]
    """What `cityops incidents dismiss` said, right after the last kill."""


@pytest.fixture(scope="module")
def recovered(stack_with_registry: Settings, codec: Codec, city: City) -> Recovered:
    rough = run_settings(stack_with_registry, "rough", block_ms=4000)
    calm = run_settings(stack_with_registry, "calm", "rough", block_ms=4000)
    pair = run_settings(stack_with_registry, "pair", "rough", block_ms=4000)
    for settings in (rough, calm, pair):
        make_ready(settings)
    killed_at_s = []
    with (
        ExitStack() as ends,
        PacedFeed(rough, codec, simulated(city, 7, LOG_S, vehicles=250, **OFTEN), LOG_S, SPEED) as log,
    ):
        log.allow(KILLS_AT[0] * LOG_S + LEAD_S)
        killed = Killed(rough)
        ends.callback(killed.stop)
        first = ends.enter_context(working(pair))
        killed_at_s.append(killed.kill_at(KILLS_AT[0] * LOG_S))
        second = WorkerProcess(replace(pair, web_port=run_settings(pair, "pair").web_port, worker_id="pair-second"))
        ends.callback(second.stop)
        second.wait_ready(READY_S)
        log.allow(KILLS_AT[1] * LOG_S + LEAD_S)
        killed_at_s.append(killed.kill_at(KILLS_AT[1] * LOG_S))
        wait_until(
            lambda: max(merged_s(first.status()), merged_s(second.status())) >= KILLS_AT[1] * LOG_S,
            READY_S,
            "the pair stands still",
        )
        sources = [status.sources if (status := worker.status()) else [] for worker in (first, second)]
        log.allow(KILLS_AT[2] * LOG_S + LEAD_S)
        second.stop()
        killed_at_s.append(killed.kill_at(KILLS_AT[2] * LOG_S))
        dismissing = decide(rough, codec)
        ends.callback(dismissing.kill)
        wait_until(lambda: actions_sent(rough, codec) == 2, READY_S, "the command sends nothing")
        log.finish()
        answer, _ = dismissing.communicate(timeout=READY_S)
        finish(rough, killed.worker)
        finish(pair, first)
    work_off(calm)
    return Recovered(calm, rough, pair, killed_at_s, all(sources), json.loads(answer))


def decide(settings: Settings, codec: Codec) -> "subprocess.Popen[bytes]":
    """Acknowledge the first incident, and dismiss it by the command, which waits for the effect."""
    wait_until(lambda: bool(read_incidents(settings, codec)), READY_S, "the worker comes back without incidents")
    first = read_incidents(settings, codec)[0].incident_id
    submit(settings, codec, first, Decision.ACKNOWLEDGE, "Minh")
    command = ("incidents", "dismiss", first[:12], "--operator", "Lan", "--note", "fireworks")
    return subprocess.Popen(
        [sys.executable, "-c", "from streams.cli import main; main()", *command, "--wait", "60s", "--json"],
        env=environment(settings),
        stdout=subprocess.PIPE,
    )


def actions_sent(settings: Settings, codec: Codec) -> int:
    with reading(settings) as log:
        found = log.read(topics.ACTIONS, {}, log.end([topics.ACTIONS]))
        return sum(codec.decode(one.value)[0] == "OperatorAction" for one in found)


@pytest.fixture(scope="module")
def calm(recovered: Recovered, codec: Codec) -> Outputs:
    return read_outputs(recovered.calm, codec)


@pytest.fixture(scope="module")
def rough(recovered: Recovered, codec: Codec) -> Outputs:
    return read_outputs(recovered.rough, codec)


@pytest.fixture(scope="module")
def pair(recovered: Recovered, codec: Codec) -> Outputs:
    return read_outputs(recovered.pair, codec)


def assert_same(one: Outputs, other: Outputs) -> None:
    """Hold two runs against each other, byte for byte; repeats must repeat."""
    assert one.unlike == other.unlike == []
    assert list(one.changes) == list(other.changes)
    assert one.changes == other.changes
    assert one.incidents == other.incidents
    assert one.rejects == other.rejects
    assert one.blocks == other.blocks
    for name, rows in one.tables.items():
        assert rows == other.tables[name], name


def test_the_log_has_something_to_lose(calm: Outputs) -> None:
    assert calm.repeated == 0
    assert len(calm.changes) > len(calm.incidents) > 3
    assert len(calm.rejects) > 2
    for table in ("positions", "detections", "readings", "heartbeats", "duplicates", "observations", "minutes"):
        assert len(calm.tables[table]) > 5, table


def test_three_kills_hit_in_mid_work(recovered: Recovered, rough: Outputs) -> None:
    assert len(recovered.killed_at_s) == 3
    assert all(at * LOG_S <= killed_s < LOG_S for at, killed_s in zip(KILLS_AT, recovered.killed_at_s, strict=True))
    # Something was done twice, but only what came after the last checkpoints: starting over would repeat 150 %.
    assert 0 < rough.repeated < 0.5 * len(rough.blocks)


def test_three_kills_leave_no_trace(recovered: Recovered, codec: Codec, calm: Outputs, rough: Outputs) -> None:
    assert_same(calm, rough)
    assert balance(recovered.rough, codec) == balance(recovered.calm, codec)


def test_a_decision_is_folded_in_and_told(recovered: Recovered) -> None:
    incident, action = recovered.answer["incident"], recovered.answer["action"]
    assert (incident["state"], len(incident["actions"])) == ("DISMISSED", 2)
    assert action in incident["actions"]
    assert (action["operator"], action["note"]) == ("Lan", "fireworks")
    stored = recovered.calm.clickhouse_url, recovered.calm.database
    told = {reason for (reason,) in query(*stored, "SELECT arrayJoin(reasons) FROM incident_log").rows}
    assert {"dismissed by Lan: fireworks", "acknowledged by Minh"} <= told
    sql = "SELECT action_ids, decided_by, acknowledged_by FROM incidents WHERE incident_id = %(name)s"
    shown = query(*stored, sql, {"name": incident["incident_id"]}).rows
    assert shown == (([one["action_id"] for one in incident["actions"]], "Lan", "Minh"),)


def test_a_second_worker_that_comes_and_goes_leaves_no_trace(
    recovered: Recovered, codec: Codec, calm: Outputs, pair: Outputs
) -> None:
    assert recovered.shared
    assert_same(calm, pair)
    balance(recovered.pair, codec)


@pytest.fixture
def stopped(stack_with_registry: Settings, codec: Codec, city: City) -> Settings:
    settings = run_settings(stack_with_registry, "stopped")
    make_ready(settings)
    feed(settings, codec, simulated(city, 8, 10, vehicles=100), 10)
    return settings


def test_sigterm_ends_a_worker_in_three_seconds_and_the_next_goes_on(stopped: Settings, codec: Codec) -> None:
    with working(stopped) as worker:
        finish(stopped, worker)
        asked_at_s = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(10) == 0
        assert time.monotonic() - asked_at_s < STOPS_WITHIN_S
    before = read_outputs(stopped, codec)

    with working(stopped) as worker:
        status = worker.status()
        assert status is not None
        began = {(one.topic, one.partition): one.next_offset for one in status.sources}
        finish(stopped, worker)

    judged = {topic.name for topic in (*topics.INPUTS, topics.OBSERVATIONS)}
    assert all(offset > 0 for (topic, _), offset in began.items() if topic in judged)
    after = read_outputs(stopped, codec)
    assert_same(before, after)
    balance(stopped, codec)
