"""Replay on the real stack: the middle of a log gives what it gave, other rules something else; nothing is touched."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import ObservationBlock
from sinks.clickhouse.queries import count_rows, query
from streams import topics
from streams.admin import describe
from streams.cli import cli
from streams.diff import diff_runs
from streams.reading import reading
from streams.replay import LONG_BLOCK_MS, ReplayOptions, run_replay
from streams.replays import State, drop_replay, list_replays
from streams.report import Scope, build_report
from streams.session import alone
from streams.settings import Settings
from streams.span import Span
from streams.workers import Offsets
from tests.streams.running import START_MS, read_outputs

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

FROM_MS = START_MS + 36_000
TO_MS = START_MS + 58_000
WARM_UP_S = 24.0
SPEED = 10.0
QUIET = Console(quiet=True)


def replay(original: Settings, into: str, rules: Path | None = None, speed: float = 0.0) -> Span:
    return run_replay(original, ReplayOptions(FROM_MS, TO_MS, into, WARM_UP_S, rules, speed), QUIET)


def standing(settings: Settings) -> dict[str, object]:
    """Everything a replay must leave alone: ends of topics, commits of the group, rows."""
    offsets = Offsets(settings)
    ends = {topic.name: offsets.ends(topic) for topic in topics.CATALOGUE}
    offsets.close()
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": settings.group})
    parts = [
        TopicPartition(settings.topic(topic), partition)
        for topic in topics.CATALOGUE
        for partition in range(topic.partitions)
    ]
    commits = [one.offset for one in consumer.committed(parts, timeout=10)]
    consumer.close()
    return {**ends, "commits": commits, "rows": count_rows(settings.clickhouse_url, settings.database)}


@pytest.fixture(scope="module")
def replayed(original: Settings) -> tuple[Settings, Span, dict[str, object]]:
    before = standing(original)
    span = replay(original, "replayed")
    return original.with_run("replayed", "original"), span, before


def test_replay_of_the_middle_of_a_log_gives_a_diff_of_zeros(
    original: Settings, replayed: tuple[Settings, Span, dict[str, object]], codec: Codec
) -> None:
    _, span, _ = replayed
    assert all(part.begin > 0 for part in span.parts)
    assert span.block_ms == LONG_BLOCK_MS > original.block_ms

    diff = diff_runs(original, "original", "replayed", span.from_ms, span.to_ms, codec)

    assert diff.compared > 0
    assert (diff.added, diff.lost, diff.changed, diff.conflicts) == (0, 0, 0, 0), diff.items


def test_replay_accounts_for_every_record_of_its_span(
    replayed: tuple[Settings, Span, dict[str, object]], codec: Codec
) -> None:
    settings, span, _ = replayed
    offsets = Offsets(settings)
    end = {(topic.name, part): at for topic in topics.CATALOGUE for part, at in offsets.ends(topic).items()}
    offsets.close()
    begin = {(part.topic, part.partition): part.begin for part in span.parts}
    end |= {(part.topic, part.partition): part.end for part in span.parts}

    report = build_report(settings, codec, Scope(begin, end), seed=None, scored=False)

    assert report.balances, report.reasons


def test_replay_leaves_the_original_untouched(
    original: Settings, replayed: tuple[Settings, Span, dict[str, object]]
) -> None:
    _, _, before = replayed
    assert standing(original) == before


def test_paced_replay_takes_its_time_and_gives_the_same(
    original: Settings, replayed: tuple[Settings, Span, dict[str, object]], codec: Codec
) -> None:
    replay(original, "paced", speed=SPEED)

    paced = original.with_run("paced", "original")
    appended_s: dict[int, float] = {}
    with reading(paced) as log:
        for message in log.read(topics.OBSERVATIONS, {}, log.end([topics.OBSERVATIONS])):
            tick_ms = codec.read(message.value or b"", ObservationBlock).tick_ms
            appended_s.setdefault(tick_ms, message.appended_ms / 1000)
    took_s = appended_s[TO_MS] - appended_s[FROM_MS]
    assert took_s > 0.9 * (TO_MS - FROM_MS) / 1000 / SPEED
    with_pace, without = read_outputs(paced, codec), read_outputs(replayed[0], codec)
    assert with_pace.changes == without.changes != {}
    assert (with_pace.blocks, with_pace.tables) == (without.blocks, without.tables)


def test_replays_are_listed_shown_and_dropped(
    original: Settings, replayed: tuple[Settings, Span, dict[str, object]]
) -> None:
    listed = {one["name"]: one for one in json.loads(said(original, "list", "--json"))}
    one = listed["replayed"]
    assert (one["state"], one["from_ms"], one["to_ms"], one["records"]) == (
        "finished", FROM_MS, TO_MS, replayed[1].records,
    )  # fmt: skip
    assert one["facts"]["source_run"] == "original"
    assert one["facts"]["incidents"] > 0
    assert one["rows"] > 0
    assert "2026-03-02" in said(original, "list")
    assert "read from original in Hà Nội, warm-up 24 s, speed max" in said(original, "show", "replayed")

    with alone(original.with_run("replayed", "original")):
        assert {one.name: one.state for one in list_replays(original.home)}["replayed"] is State.UNDER_WAY
        with pytest.raises(UsageError, match="replayed is under way"):
            drop_replay(original, "replayed")
    with pytest.raises(UsageError, match="live run is never dropped"):
        drop_replay(original, "live")
    with pytest.raises(UsageError, match="no replay 'original'"):  # a run, but no replay
        drop_replay(original, "original")

    before = standing(original)
    assert "nobody is there to ask" in str(command(original, "drop", "replayed").exception)
    assert "dropped replayed" in said(original, "drop", "replayed", "--yes")
    assert "replayed" not in {one.name for one in list_replays(original.home)}
    assert not list(original.home.glob("*/*replayed*"))
    with pytest.raises(UsageError):
        query(original.clickhouse_url, "cityops_replayed", "SELECT 1 FROM positions")
    assert all(not state.spans for state in describe(original.with_run("replayed", "replayed")))
    assert standing(original) == before


def test_replay_never_takes_the_name_of_a_run_with_input(original: Settings) -> None:
    live = replace(original, run="", source_run="")
    with pytest.raises(UsageError, match="original is a run with input of its own"):
        run_replay(live, ReplayOptions(FROM_MS, TO_MS, "original", WARM_UP_S, None), QUIET)


def command(original: Settings, *arguments: str) -> Result:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": original.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": original.schema_registry_url,
        "CLICKHOUSE_URL": original.clickhouse_url,
        "CITYOPS_HOME": str(original.home),
        "COLUMNS": "120",
    }
    return CliRunner(env=env).invoke(cli, ["replay", *arguments])


def said(original: Settings, *arguments: str) -> str:
    result = command(original, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_replay_with_one_threshold_changed_gives_another_answer(
    original: Settings, codec: Codec, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(original.city / "rules", rules)
    fire = rules / "fire.yaml"
    text = fire.read_text(encoding="utf-8")
    assert text.count("score: 0.4") == 1
    fire.write_text(text.replace("score: 0.4", "score: 0.99"), encoding="utf-8")

    span = replay(original, "stricter", rules)

    diff = diff_runs(original, "original", "stricter", span.from_ms, span.to_ms, codec)
    assert not diff.empty
    assert {one.kind for one in diff.items.changed} == {"fire"}
    assert diff.lost == diff.added == 0
