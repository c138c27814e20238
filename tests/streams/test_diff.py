from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from schemas.codec import local_codec
from schemas.errors import UsageError
from schemas.records import Change, IncidentChange, IncidentState
from streams import topics
from streams.admin import ensure_topics
from streams.diff import Comparison, FieldChange, compare, diff_runs, standing_at
from streams.settings import Settings
from tests.streams.incidents import AT_MS, change, incident

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
    assert both.evidence_added == both.evidence_lost == both.evidence_changed == ()


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
