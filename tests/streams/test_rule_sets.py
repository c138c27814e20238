"""Rule sets published while workers run: checked first, in force from one event time on, for replays too."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from processors.city import City
from processors.incidents.rules import load_rules
from processors.publications import publication
from schemas.codec import Codec
from schemas.records import IncidentChange, IncidentState, PublishedRules, RuleFile
from sinks.clickhouse.queries import query
from streams import topics
from streams.cli import cli
from streams.diff import diff_runs
from streams.explaining import explain_incident
from streams.log_facts import read_changes
from streams.reading import reading
from streams.replay import ReplayOptions, run_replay
from streams.rule_sets import load_begun_with, versions_of
from streams.settings import Settings
from streams.workers import Offsets, WorkerProcess, free_port
from tests.streams.commands import cityops, finished
from tests.streams.running import (
    READY_S,
    START_MS,
    Outputs,
    PacedFeed,
    balance,
    make_ready,
    merged_s,
    read_outputs,
    run_settings,
    simulated,
    wait_until,
    work_off,
)

STACK = pytest.mark.stack
pytestmark = pytest.mark.timeout(240)

LOG_S = 24.0
SPEED = 6.0
PUBLISHED_S, VALID_S, KILLED_S = 9.0, 14.0, 16.5
TO_S = 21.0
SEED = 11
"""Two buses run bunched from 5 s on, a crash is confirmed at 11 s, a fire at 20 s."""
OFTEN = {"crashes_per_hour": 1500.0, "fires_per_hour": 1500.0, "quiet_end_s": 4.0}
PROJECT = Path(__file__).resolve().parents[2]
HANOI = PROJECT / "cities" / "hanoi" / "rules"
FILE = RuleFile(name="fire.yaml", text=(HANOI / "fire.yaml").read_text(encoding="utf-8"))


# --- without a server -----------------------------------------------------------------------------------------------


def test_a_set_with_a_mistake_is_not_published(tmp_path: Path) -> None:
    (tmp_path / "fire.yaml").write_text(FILE.text.replace("smoke: 0.6", "smok: 0.6"), encoding="utf-8")
    result = CliRunner().invoke(cli, ["rules", "publish", str(tmp_path)])
    assert result.exit_code != 0
    assert "fire.yaml line 10: smok is not a known kind of observation; did you mean smoke?" in str(result.exception)


def test_versions_tell_what_is_over_in_force_and_to_come() -> None:
    folder = load_rules(HANOI)
    sets = [publication([FILE], "Lan", "", 0, valid_ms) for valid_ms in (30, 10, 20)]
    told = {now_ms: [one.state for one in versions_of(folder, sets, now_ms)] for now_ms in (9, 10, 25, 30)}
    assert told == {
        9: ["in force", "to come", "to come", "to come"],
        10: ["over", "in force", "to come", "to come"],
        25: ["over", "over", "in force", "to come"],
        30: ["over", "over", "over", "in force"],
    }


# --- on the stack ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Switched:
    """One log with a publication: by two workers, of whom the one that concludes is killed, and by one undisturbed."""

    pair: Settings
    alone: Settings
    folder: Path
    answer: dict[str, Any]


def concluding(workers: list[WorkerProcess]) -> WorkerProcess | None:
    """Return the worker that concludes incidents; None = neither says so now."""
    for worker in workers:
        status = worker.status()
        if status is not None and any(one.topic == topics.OBSERVATIONS.name for one in status.sources):
            return worker
    return None


def has_partitions(worker: WorkerProcess) -> bool:
    status = worker.status()
    return status is not None and bool(status.sources)


def reached_s(workers: list[WorkerProcess]) -> float:
    return max(merged_s(worker.status()) for worker in workers)


def is_drained(settings: Settings, workers: list[WorkerProcess]) -> bool:
    """Tell whether two workers have worked off all there is, between them."""
    told = [status for worker in workers if (status := worker.status()) is not None]
    reached = {(one.topic, one.partition): one.next_offset for status in told for one in status.sources}
    offsets = Offsets(settings)
    try:
        read = (*topics.INPUTS, topics.OBSERVATIONS, topics.ROWS)
        return all(
            reached.get((topic.name, partition), 0) >= end
            for topic in read
            for partition, end in offsets.ends(topic).items()
        )
    finally:
        offsets.close()


def other_rules(folder: Path) -> Path:
    """Hanoi's rules without bunching, and with crashes that are minor while suspected."""
    shutil.copytree(HANOI, folder, ignore=shutil.ignore_patterns("cases", "bunching.yaml"))
    crash = folder / "crash.yaml"
    text = crash.read_text(encoding="utf-8")
    assert "suspected: MODERATE" in text
    crash.write_text(text.replace("suspected: MODERATE", "suspected: MINOR"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def switched(
    stack_with_registry: Settings, codec: Codec, city: City, tmp_path_factory: pytest.TempPathFactory
) -> Switched:
    folder = other_rules(tmp_path_factory.mktemp("published") / "rules")
    pair = run_settings(stack_with_registry, "ruled", block_ms=4000)
    alone = run_settings(stack_with_registry, "ruled-alone", "ruled", block_ms=4000)
    make_ready(pair)
    both = [pair, replace(pair, web_port=free_port(), worker_id="ruled-second")]
    with (
        ExitStack() as ends,
        PacedFeed(pair, codec, simulated(city, SEED, LOG_S, vehicles=120, **OFTEN), LOG_S, SPEED) as log,
    ):
        workers = []
        for settings in both:
            workers.append(WorkerProcess(settings))
            ends.callback(workers[-1].stop)
            workers[-1].wait_ready(READY_S)
        log.allow(PUBLISHED_S)
        wait_until(lambda: reached_s(workers) >= PUBLISHED_S - 1, READY_S, "the pair stands still")
        wait_until(lambda: all(map(has_partitions, workers)), READY_S, "one of them has all partitions")
        valid_from = str(START_MS + int(VALID_S * 1000))
        publish = ("rules", "publish", str(folder), "--run", "ruled", "--from", valid_from, "--operator", "Lan")
        answer = json.loads(finished(cityops(*publish, "--json", stack=stack_with_registry), READY_S))
        log.allow(KILLED_S + 2)
        wait_until(lambda: reached_s(workers) >= KILLED_S, READY_S, "the pair does not reach the switch")
        killed = concluding(workers)
        assert killed is not None
        killed.kill()
        killed.revive()
        log.finish()
        wait_until(lambda: is_drained(pair, workers), READY_S, "the pair does not work everything off")
    work_off(alone)
    return Switched(pair, alone, folder, answer)


@pytest.fixture(scope="module")
def outputs(switched: Switched, codec: Codec) -> Outputs:
    return read_outputs(switched.pair, codec)


def changes_of(settings: Settings, codec: Codec) -> list[IncidentChange]:
    with reading(settings) as log:
        facts, contradictions = read_changes(codec, log, {}, log.end([topics.CHANGES]))
    assert contradictions == []
    return [fact.change for fact in facts]


@STACK
def test_all_workers_switch_at_one_event_time(switched: Switched, outputs: Outputs, codec: Codec) -> None:
    """Two workers, of whom one was killed after the switch, one over the whole log, and the time itself agree."""
    other, valid_ms = load_rules(switched.folder).version, START_MS + int(VALID_S * 1000)
    assert (switched.answer["version"], switched.answer["valid_from_ms"]) == (other, valid_ms)
    assert (switched.answer["changed"], switched.answer["gone"]) == (["crash"], ["bunching"])
    assert outputs.unlike == []
    assert outputs.repeated > 0
    alone = read_outputs(switched.alone, codec)
    assert outputs.changes == alone.changes
    assert outputs.incidents == alone.incidents
    made: dict[bool, set[str]] = {False: set(), True: set()}
    for change in changes_of(switched.pair, codec):
        made[change.tick_ms >= valid_ms].add(change.incident.rules_version)
    assert made == {False: {load_rules(HANOI).version}, True: {other}}


@STACK
def test_a_rule_that_is_gone_ends_its_incidents_with_the_switch(switched: Switched, codec: Codec) -> None:
    valid_ms = START_MS + int(VALID_S * 1000)
    bunched = [one for one in changes_of(switched.pair, codec) if one.incident.kind == "bunching"]
    ended = [one for one in bunched if one.tick_ms >= valid_ms]
    assert ended
    assert {one.tick_ms for one in ended} == {valid_ms}
    assert {one.incident.state for one in ended} == {IncidentState.CLOSED}
    assert {one.reasons for one in ended} == {("the rules in force from now on have no rule bunching",)}


@STACK
def test_publications_are_accounted_for_and_listed(switched: Switched, codec: Codec) -> None:
    accounts = balance(switched.pair, codec)
    assert accounts.topics[topics.ACTIONS.name].used == 1
    row = query(
        switched.pair.clickhouse_url,
        switched.pair.database,
        "SELECT action_id, decision, operator FROM actions",
    ).rows
    assert row == ((switched.answer["version"], "PUBLISH_RULES", "Lan"),)
    listed = json.loads(
        finished(cityops("rules", "versions", "--run", "ruled", "--json", stack=switched.pair), READY_S)
    )
    assert [(one["version"], one["state"]) for one in listed] == [
        (load_rules(HANOI).version, "over"),
        (switched.answer["version"], "in force"),
    ]


@STACK
def test_incidents_of_both_sets_can_be_explained(switched: Switched, city: City, codec: Codec) -> None:
    """One goes on across the switch, under two versions; that of a rule that is gone ends with it."""
    valid_ms = START_MS + int(VALID_S * 1000)
    versions: dict[str, set[str]] = {}
    latest = {}
    for change in changes_of(switched.pair, codec):
        versions.setdefault(change.incident.incident_id, set()).add(change.incident.rules_version)
        latest[change.incident.incident_id] = change.incident
    across = next(name for name, made in versions.items() if len(made) == 2 and latest[name].kind == "crash")
    gone = next(name for name, one in latest.items() if one.kind == "bunching" and one.tick_ms == valid_ms)
    for name in (across, gone):
        found = explain_incident(switched.pair, codec, city, load_rules(HANOI), latest[name])
        assert [one.change.incident.revision for one in found] == list(range(1, latest[name].revision + 1))


@STACK
def test_a_replay_switches_where_the_log_did(switched: Switched, codec: Codec) -> None:
    """From the middle, after the publication: it begins with the set that was published before."""
    from_ms, to_ms = START_MS + int((VALID_S + 2) * 1000), START_MS + int(TO_S * 1000)
    run_replay(switched.pair, ReplayOptions(from_ms, to_ms, "ruled-again", 6.0, None), Console(quiet=True))
    begun_with: tuple[PublishedRules, ...] | None = load_begun_with(switched.pair.home, "ruled-again")
    assert begun_with is not None
    assert [one.version for one in begun_with] == [switched.answer["version"]]
    again = changes_of(switched.pair.with_run("ruled-again", "ruled"), codec)
    valid_ms = START_MS + int(VALID_S * 1000)
    made = {one.incident.rules_version for one in again if one.tick_ms >= valid_ms}
    assert made == {switched.answer["version"]}
    assert not any(one.incident.kind == "bunching" for one in again if one.tick_ms > valid_ms)
    diff = diff_runs(switched.pair, "ruled", "ruled-again", from_ms, to_ms, codec)
    assert (diff.added, diff.lost, diff.changed) == (0, 0, 0), diff.items
