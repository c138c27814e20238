"""Replay on the real stack: the middle of a log gives what it gave, other rules something else; nothing is touched."""

import shutil
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

from schemas.codec import Codec
from sinks.clickhouse.queries import count_rows
from streams import topics
from streams.diff import diff_runs
from streams.replay import ReplayOptions, run_replay
from streams.report import Scope, build_report
from streams.settings import Settings
from streams.span import Span
from streams.workers import Offsets
from tests.streams.running import START_MS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

FROM_MS = START_MS + 36_000
TO_MS = START_MS + 58_000
WARM_UP_S = 24.0
QUIET = Console(quiet=True)


def replay(original: Settings, into: str, rules: Path | None = None) -> Span:
    return run_replay(original, ReplayOptions(FROM_MS, TO_MS, into, WARM_UP_S, rules), QUIET)


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
