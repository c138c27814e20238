"""On the real stack: the evaluation's pure flow gives its incidents, explanations are complete, backtests agree."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from processors.city import City
from processors.evaluation.pipeline import Concluder, Observers
from processors.explain import explain, recomputed
from processors.incidents.rules import load_rules
from processors.score import score
from schemas.codec import HEADER_BYTES, Codec
from schemas.records import IncidentChange, Truth
from streams import topics
from streams.cli import cli
from streams.explaining import blocks_since, correlation_rule, is_published, merged_sources
from streams.feed import TICK_MS, closing_ticks
from streams.log_facts import read_changes
from streams.reading import reading
from streams.settings import Settings
from tests.streams.commands import FinishedDemo
from tests.streams.conftest import ORIGINAL_S
from tests.streams.running import PARTITIONS, read_outputs, simulated

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

OFTEN = {"crashes_per_hour": 400.0, "fires_per_hour": 400.0}


@pytest.fixture
def command(stack_with_registry: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Run commands on the tests' stack."""
    stack = stack_with_registry
    monkeypatch.setenv("CITYOPS_HOME", str(stack.home))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.kafka_bootstrap_servers)
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", stack.schema_registry_url)
    monkeypatch.setenv("CLICKHOUSE_URL", stack.clickhouse_url)
    return CliRunner()


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def changes_of(settings: Settings, codec: Codec) -> list[IncidentChange]:
    with reading(settings) as log:
        facts, twice = read_changes(codec, log, {}, log.end([topics.CHANGES]))
    assert not twice
    return [fact.change for fact in facts]


def test_pure_flow_gives_the_incidents_of_the_stack(original: Settings, codec: Codec, city: City) -> None:
    simulation = simulated(city, 21, ORIGINAL_S, vehicles=200, quiet_end_s=10.0, **OFTEN)
    observers = Observers(city, codec, PARTITIONS)
    concluder = Concluder(load_rules(original.city / "rules"), city, observers.sources)
    changes: list[IncidentChange] = []
    tick_ms = 0
    for _ in range(int(ORIGINAL_S * 1000) // TICK_MS):
        interval = simulation.step()
        tick_ms = interval.tick_ms
        observers.take(interval.sent)
        changes += concluder.take(observers.tick(tick_ms))
    for after in range(1, closing_ticks(original.block_ms) + 1):
        changes += concluder.take(observers.tick(tick_ms + after * TICK_MS))
    pure = {
        (one.incident.incident_id, one.incident.revision): codec.encode(one)[HEADER_BYTES:] for one in changes
    }  # fmt: skip
    assert len(pure) > 20
    assert pure == read_outputs(original, codec).changes


def test_every_incident_of_a_demo_is_explained_completely(
    minutes_of_the_city: FinishedDemo, codec: Codec, city: City
) -> None:
    settings = minutes_of_the_city.settings
    rules, rule = load_rules(settings.city / "rules"), correlation_rule(settings)
    with reading(settings) as log:
        found = explain(blocks_since(log, codec, {}), rules, city, merged_sources(settings), rule)
    published: dict[str, list[IncidentChange]] = {}
    for change in changes_of(settings, codec):
        if not change.incident.provisional:
            published.setdefault(change.incident.incident_id, []).append(change)
    assert len(published) > 5
    assert found.keys() == published.keys()
    for name, own in published.items():
        assert is_published(found[name], own, codec)
        for one in found[name]:
            again = recomputed(one, rules, city, rule.horizon_ms)
            assert again is not None
            now = one.change.incident
            again = replace(again, revision=now.revision, tick_ms=now.tick_ms, merged_into=now.merged_into)
            assert replace(again, due_trips=now.due_trips, replaces=now.replaces) == now


def test_explain_command_tells_claims_and_stories(
    command: CliRunner, minutes_of_the_city: FinishedDemo, codec: Codec
) -> None:
    settings = minutes_of_the_city.settings
    crashes = [one.incident for one in changes_of(settings, codec) if one.incident.kind == "crash"]
    one = next(one for one in crashes if not one.provisional)
    arguments = ["rules", "explain", one.incident_id, "--run", settings.run]
    (first,) = told(command.invoke(cli, [*arguments, "--revision", "1", "--json"]))
    assert first["change"]["incident"]["incident_id"] == one.incident_id
    evidence = [claim for claim in first["claims"] if claim["part"] == "evidence"]
    assert evidence
    assert all(claim["stories"] and claim["weight"] > 0 for claim in evidence)
    shown = command.invoke(cli, arguments, env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"{one.incident_id}, rule crash of" in shown.output
    wrong = command.invoke(cli, [*arguments, "--revision", "99"])
    assert "no revision 99" in str(wrong.exception)


def test_backtest_against_truth_scores_both_and_finds_a_rule_written_just_now(
    command: CliRunner, original: Settings, codec: Codec, tmp_path: Path
) -> None:
    other = tmp_path / "rules"
    shutil.copytree(original.city / "rules", other)
    crash = (other / "crash.yaml").read_text()
    (other / "crash.yaml").write_text(crash.replace("camera_crash: 0.7", "camera_crash: 0.1"))
    (other / "seen_by_two.yaml").write_text(
        """\
id: seen_by_two
kind: seen_by_two
evidence: {camera_fire: 0.5, camera_smoke: 0.5}
within: {distance_m: 200, quiet_s: 300, lasts_s: 3600}
suspected: {score: 0.1}
confirmed: {score: 0.5, witnesses: 2}
resolve_after_s: 300
severity: {suspected: MINOR, confirmed: MODERATE}
"""
    )
    found = told(command.invoke(cli, ["rules", "backtest", "--rules", str(other), "--run", original.run, "--json"]))
    assert found["against"] == "truth"
    kinds = {one["kind"]: one for one in found["kinds"]}
    with reading(original) as log:
        truths = [codec.read(one.value or b"", Truth) for one in log.read(topics.TRUTH, {}, log.end([topics.TRUTH]))]
    scored = score(truths, changes_of(original, codec))["crash"]
    assert (kinds["crash"]["truths"], kinds["crash"]["live"]["detected"]) == (scored.truth, scored.detected)
    assert kinds["crash"]["live"]["false"] == scored.false
    assert kinds["crash"]["other"]["detected"] < scored.detected
    assert kinds["seen_by_two"]["other"]["false"] > 0
    assert kinds["seen_by_two"]["live"]["false"] == 0
