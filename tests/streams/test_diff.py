from dataclasses import replace
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer
from rich.console import Console

from schemas.codec import local_codec
from schemas.errors import UsageError
from schemas.records import AffectedLine, Change, IncidentChange, IncidentState
from streams import topics
from streams.admin import ensure_topics
from streams.cli import cli
from streams.diff import Comparison, Diff, FieldChange, compare, diff_runs, standing_at
from streams.diff_view import render_diff
from streams.registry import load_codec
from streams.settings import Settings
from tests.streams.incidents import AT_MS, change, incident, part_of

LATER_MS = AT_MS + 60_000


def test_state_is_as_of_the_end_and_opened_within() -> None:
    opened = incident()
    confirmed = replace(opened, revision=2, state=IncidentState.CONFIRMED)
    changes = [
        change(opened),
        replace(change(confirmed, Change.CONFIRMED), tick_ms=LATER_MS),
        change(incident("i-early", tick_ms=AT_MS - 1)),
        change(incident("i-guess", provisional=True)),
    ]
    assert standing_at(changes, AT_MS, LATER_MS - 1) == [changes[0]]
    assert standing_at(changes, AT_MS, LATER_MS) == [changes[1]]
    assert [one.incident.incident_id for one in standing_at(changes, 0, LATER_MS)] == ["i-1", "i-early"]
    assert standing_at(changes, AT_MS + 1, LATER_MS) == []


def test_same_incidents_differ_in_nothing() -> None:
    one = replace(incident(), radius_m=float("nan"))
    other = replace(one, rules_version="r2", city_version="c2", replaces=("i-guess",), radius_m=float("nan"))
    assert compare([change(one)], [change(other)]) == Comparison((), (), ())


def test_added_lost_and_changed_are_told_apart() -> None:
    found = compare(
        [change(incident("i-1")), change(incident("i-2", evidence=("o-2",)))],
        [change(incident("i-1", score=0.7)), change(incident("i-3", evidence=("o-3",)))],
    )
    assert [one.incident_id for one in found.added] == ["i-3"]
    assert [one.incident_id for one in found.lost] == ["i-2"]
    (both,) = found.changed
    assert (both.incident_id_a, both.incident_id_b, both.kind, both.fields) == ("i-1", "i-1", "crash", ("score",))
    assert both.changes == (FieldChange("score", 0.5, 0.7),)
    assert [*both.evidence_added, *both.evidence_lost, *both.evidence_changed] == []


def test_other_ids_are_matched_by_kind_and_largest_shared_evidence() -> None:
    before = [change(incident("a-1", evidence=("o-1", "o-2", "o-3")))]
    after = [
        change(incident("b-1", evidence=("o-1",))),
        change(incident("b-2", evidence=("o-2", "o-3", "o-4"))),
        change(incident("b-3", kind="fire", evidence=("o-1", "o-2", "o-3"))),
    ]
    found = compare(before, after)
    assert [one.incident_id for one in found.added] == ["b-1", "b-3"]
    assert not found.lost
    (both,) = found.changed
    assert (both.incident_id_a, both.incident_id_b) == ("a-1", "b-2")
    assert both.fields == ("incident_id", "evidence")
    assert [part.observation_id for part in both.evidence_added] == ["o-4"]
    assert [part.observation_id for part in both.evidence_lost] == ["o-1"]


FIVE = [change(incident(f"i-{n}", evidence=(f"o-{n}", f"o-{n + 1}"))) for n in range(5)]


@given(st.permutations(FIVE), st.integers(0, 5))
def test_difference_is_the_mirror_of_its_reverse(after: list[IncidentChange], keep: int) -> None:
    there, back = compare(FIVE, after[:keep]), compare(after[:keep], FIVE)
    assert {one.incident_id for one in there.lost} == {one.incident_id for one in back.added}
    assert len(there.lost) == 5 - keep
    assert not there.added
    assert not there.changed


@pytest.mark.stack
def test_two_runs_on_a_real_kafka(stack: Settings) -> None:
    codec = local_codec()
    opened = incident()
    confirmed = replace(opened, revision=2, state=IncidentState.CONFIRMED)
    plans = {
        "diff-a": [change(opened), change(opened), change(confirmed, Change.CONFIRMED)],
        "diff-b": [change(opened), change(confirmed, Change.CONFIRMED), change(incident("i-2", evidence=("o-9",)))],
        "diff-c": [change(opened), change(replace(opened, score=0.1))],
    }
    for run, changes in plans.items():
        settings = stack.with_run(run, run)
        ensure_topics(settings)
        producer = KafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers)
        for one in changes:
            producer.send(settings.topic(topics.CHANGES), codec.encode(one)).get(10)
        producer.close()

    same = diff_runs(stack, "diff-a", "diff-a", 0, LATER_MS, codec)
    assert same.empty
    assert same.compared == 1
    other = diff_runs(stack, "diff-a", "diff-b", 0, LATER_MS, codec)
    assert (other.added, other.lost, other.changed, other.conflicts) == (1, 0, 0, 0)
    contradicting = diff_runs(stack, "diff-a", "diff-c", 0, LATER_MS, codec)
    assert (contradicting.changed, contradicting.conflicts) == (1, 1)
    assert (contradicting.conflicting[0].run, contradicting.conflicting[0].revision) == ("diff-c", 1)
    with pytest.raises(UsageError, match="no run 'nowhere'"):
        diff_runs(stack, "diff-a", "nowhere", 0, LATER_MS, codec)


def test_table_says_what_changed_and_by_which_evidence() -> None:
    one = incident(evidence=("o-1", "o-2"), state=IncidentState.CONFIRMED)
    weaker = replace(one.evidence[0], weight=0.25)
    other = replace(
        incident(evidence=("o-1", "o-3"), score=0.25),
        evidence=(weaker, replace(part_of("o-3", "camera_smoke"), device_id="CAM-9", distance_m=91.0)),
        place="near Ba Đình",
    )
    items = compare(
        [change(one, reasons=["two witnesses"]), change(incident("i-lost", kind="fire", evidence=("o-8",)))],
        [change(other, reasons=["one witness"]), change(incident("i-new", kind="fire", evidence=("o-9",)))],
    )
    diff = Diff("live", "check", AT_MS, LATER_MS, 2, 1, 1, 1, 0, items, ())
    out = StringIO()
    console = Console(file=out, width=160, force_terminal=True, color_system="standard")
    console.print(render_diff(diff, ZoneInfo("Asia/Ho_Chi_Minh")))
    lines = out.getvalue()
    green, red, yellow = "\x1b[32m", "\x1b[31m", "\x1b[33m"
    for colour, words in (
        (green, "added"), (red, "lost"), (yellow, "changed"),
        (yellow, "state confirmed → suspected"), (yellow, "score 0.50 → 0.25"),
        (yellow, "place near Kim Mã stop → near Ba Đình"), (yellow, "because two witnesses → one witness"),
        (green, "+ camera_smoke CAM-9 91 m (score 0.90, weight 1.00)"), (red, "- hard_stop v-1 3 m"),
        (yellow, "hard_stop v-1 3 m: score 0.90, weight 1.00 → score 0.90, weight 0.25"),
        (yellow, "crash, 2023-11-15 05:13:20"), (green, "1 added"), (red, "1 lost"), (yellow, "1 changed"),
    ):  # fmt: skip
        line = next(line for line in reversed(lines.splitlines()) if words in line)
        assert line[: line.index(words)].rpartition("\x1b[")[2].startswith(colour[2:]), words


def test_no_difference_is_one_line_without_a_table() -> None:
    out = StringIO()
    nothing = Diff("live", "check", 0, 1, 12, 0, 0, 0, 0, Comparison((), (), ()), ())
    Console(file=out, width=160).print(render_diff(nothing, ZoneInfo("UTC")))
    assert out.getvalue() == "12 incidents of live against check: no difference: 0 added, 0 lost, 0 changed\n"


def passing(distance_m: float) -> AffectedLine:
    return AffectedLine(distance_m=distance_m, direction_id=0, line_id="09", line_name="Bờ Hồ")


def test_evidence_judged_alike_to_two_digits_tells_what_differs() -> None:
    one = incident(evidence=("o-1",))
    moved = replace(one, score=0.25, evidence=(replace(one.evidence[0], distance_m=3.2, score=0.9001),))
    (both,) = compare([change(one)], [change(moved)]).changed
    out = StringIO()
    diff = Diff("a", "b", 0, LATER_MS, 1, 0, 0, 1, 0, Comparison((), (), (both,)), ())
    Console(file=out, width=160).print(render_diff(diff, ZoneInfo("UTC")))
    assert "~ hard_stop v-1 3 m: other score, distance_m" in out.getvalue()


@pytest.mark.parametrize(
    ("field", "before", "after", "words"),
    [
        ("radius_m", 20.0, 20.001, "20.0 → 20.001"),
        ("stop_ids", ("s-1", "s-2"), ("s-2", "s-3"), "-s-1 +s-3"),
        ("opened_at_ms", AT_MS, AT_MS + 250, "05:13:20.000 → 05:13:20.250"),
        ("merged_into", "", "i-2", "nothing → i-2"),
        ("lines", (passing(31.5),), (passing(31.1),), "1 of 1 with other distance_m"),
    ],
)
def test_field_is_told_from_what_to_what(field: str, before: Any, after: Any, words: str) -> None:
    one, other = (replace(incident(), **{field: value}) for value in (before, after))
    (both,) = compare([change(one)], [change(other)]).changed
    diff = Diff("a", "b", 0, LATER_MS, 1, 0, 0, 1, 0, Comparison((), (), (both,)), ())
    out = StringIO()
    Console(file=out, width=160).print(render_diff(diff, ZoneInfo("Asia/Ho_Chi_Minh")))
    assert f"{field} {words}" in out.getvalue()


@pytest.mark.stack
def test_exit_status_is_for_scripts(stack_with_registry: Settings) -> None:
    settings = replace(stack_with_registry, run="", source_run="")
    codec = load_codec(settings)
    for run, one in (("exit-a", incident()), ("exit-b", incident(score=0.9))):
        own = settings.with_run(run, run)
        ensure_topics(own, (topics.CHANGES,))
        producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
        producer.send(own.topic(topics.CHANGES), codec.encode(change(one))).get(10)
        producer.close()
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CITYOPS_HOME": str(settings.home),
    }

    def status(*arguments: str) -> int:
        return CliRunner(env=env).invoke(cli, ["replay", "diff", *arguments]).exit_code

    assert status("exit-a", "exit-a", "--exit-code") == 0
    assert status("exit-a", "exit-b") == 0
    assert status("exit-a", "exit-b", "--json", "--exit-code") == 1
