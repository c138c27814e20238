"""Routing: who is told of which revision of an incident."""

from dataclasses import replace
from typing import Any

import jsonschema
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processors.alerts import AlertFilter, Router, alert_bytes, alert_schema, example_bytes, filter_of, matches
from processors.alerts.retries import FIRST_WAIT_S, LONGEST_WAIT_S, Answer, answer_of, wait_s
from schemas.records import (
    AffectedLine,
    Change,
    Decision,
    Evidence,
    Incident,
    IncidentChange,
    IncidentState,
    OperatorAction,
    Severity,
    Subscription,
)

T = 1_772_409_600_000


def line(line_id: str) -> AffectedLine:
    return AffectedLine(distance_m=12.0, direction_id=0, line_id=line_id, line_name=f"Tuyến {line_id}")


def incident(**changes: Any) -> Incident:
    evidence = Evidence(
        at_ms=T, latitude_deg=21.0, longitude_deg=105.8, score=0.9, weight=0.7, distance_m=3.0,
        observation_id="o-1", kind="camera_crash", device_id="CAM-1", witness_id="CAM-1",
    )  # fmt: skip
    base = Incident(
        opened_at_ms=T, last_evidence_at_ms=T, tick_ms=T + 250, latitude_deg=21.0, longitude_deg=105.8,
        radius_m=5.0, score=0.6, revision=1, witnesses=1, state=IncidentState.SUSPECTED, severity=Severity.MODERATE,
        incident_id="i-1", kind="crash", rule_id="crash", rules_version="r1", city_version="c1", unit_code="00001",
        unit_name="phường Láng", place="near Láng", lines=(line("09"),), evidence=(evidence,),
    )  # fmt: skip
    return replace(base, **changes)


def step(change: Change, revision: int, **changes: Any) -> IncidentChange:
    tick_ms = T + 250 * revision
    return IncidentChange(
        tick_ms=tick_ms, change=change, reasons=("because",), incident=incident(revision=revision, **changes)
    )


def subscription(**changes: Any) -> Subscription:
    base = Subscription(created_at_ms=T, subscription_id="s-1", url="https://example.org/", secret_ref="file:s-1")
    return replace(base, **changes)


def told(changes: list[IncidentChange], *subscriptions: Subscription) -> list[tuple[str, int]]:
    router = Router()
    found = [one for change in changes for one in router.route(change, subscriptions)]
    return [(one.subscription_id, one.revision) for one in found]


STORY = [
    step(Change.OPENED, 1),
    step(Change.CHANGED, 2),
    step(Change.CONFIRMED, 3, state=IncidentState.CONFIRMED, severity=Severity.SEVERE),
    step(Change.CHANGED, 4, state=IncidentState.CONFIRMED, severity=Severity.SEVERE),
    step(Change.CHANGED, 5, state=IncidentState.CONFIRMED, severity=Severity.SEVERE, lines=(line("09"), line("16"))),
    step(Change.RESOLVED, 6, state=IncidentState.RESOLVED, severity=Severity.SEVERE, lines=(line("09"), line("16"))),
    step(Change.CLOSED, 7, state=IncidentState.CLOSED, severity=Severity.SEVERE, lines=(line("09"), line("16"))),
]


def test_a_subscriber_hears_of_every_step_and_of_new_lines_but_not_of_mere_evidence() -> None:
    assert told(STORY, subscription()) == [("s-1", 1), ("s-1", 3), ("s-1", 5), ("s-1", 6), ("s-1", 7)]


def test_an_incident_that_grows_severe_is_told_from_then_on() -> None:
    assert told(STORY, subscription(min_severity=Severity.SEVERE)) == [("s-1", 3), ("s-1", 5), ("s-1", 6), ("s-1", 7)]


def test_an_incident_that_reaches_a_line_is_told_from_then_on() -> None:
    assert told(STORY, subscription(line_ids=("16",))) == [("s-1", 5), ("s-1", 6), ("s-1", 7)]


def test_who_was_told_is_told_the_end_even_when_it_no_longer_matches() -> None:
    story = [STORY[0], step(Change.WITHDRAWN, 2, state=IncidentState.WITHDRAWN, lines=())]
    assert told(story, subscription(line_ids=("09",))) == [("s-1", 1), ("s-1", 2)]


def test_an_operator_s_verdict_is_told_even_where_it_changes_no_state() -> None:
    confirmed = {"state": IncidentState.CONFIRMED, "severity": Severity.SEVERE}
    seen, sure = (
        OperatorAction(at_ms=T, decision=decision, action_id=f"a-{decision}", incident_id="i-1", operator="Lan")
        for decision in (Decision.ACKNOWLEDGE, Decision.CONFIRM)
    )
    story = [
        step(Change.OPENED, 1, **confirmed),
        step(Change.CHANGED, 2, **confirmed, actions=(seen,)),
        step(Change.CHANGED, 3, **confirmed, actions=(seen, sure)),
        step(Change.CHANGED, 4, **confirmed, actions=(seen, sure)),
    ]
    assert told(story, subscription()) == [("s-1", 1), ("s-1", 3)]
    again = Router()
    for one in Router().route(story[2], [subscription()]):
        again.remember(one)
    assert again.route(story[3], [subscription()]) == []


def test_what_operators_tell_each_other_is_not_told_to_subscribers() -> None:
    said = tuple(
        OperatorAction(
            at_ms=T, decision=decision, action_id=f"a-{decision}", incident_id="i-1", operator="Lan", note="n"
        )
        for decision in Decision
    )
    body = msgspec.json.decode(alert_bytes(step(Change.OPENED, 1, actions=said)))
    named = [one["decision"] for one in body["data"]["decisions"]]
    assert named == ["ACKNOWLEDGE", "CONFIRM", "DISMISS", "RESOLVE"]


def test_an_incident_that_is_over_is_no_news() -> None:
    assert told(STORY[5:], subscription()) == []


def test_a_subscription_counts_from_its_beginning_to_its_end() -> None:
    late = subscription(created_at_ms=STORY[2].tick_ms)
    assert told(STORY, late) == [("s-1", 3), ("s-1", 5), ("s-1", 6), ("s-1", 7)]
    assert told(STORY, subscription(removed_at_ms=STORY[2].tick_ms)) == [("s-1", 1)]


def test_filters() -> None:
    one = incident()
    assert matches(AlertFilter(), one)
    assert matches(AlertFilter(kinds=frozenset({"crash"}), unit_codes=frozenset({"00001"})), one)
    assert not matches(AlertFilter(kinds=frozenset({"fire"})), one)
    assert not matches(AlertFilter(unit_codes=frozenset({"00002"})), one)
    assert not matches(AlertFilter(line_ids=frozenset({"16"})), one)
    assert not matches(filter_of(subscription(min_severity=Severity.EXTREME)), one)
    assert matches(AlertFilter(), incident(exercise=True))
    assert not matches(filter_of(subscription(exercises=False)), incident(exercise=True))


@given(st.integers(0, len(STORY)), st.integers(0, len(STORY)))
def test_a_restart_tells_the_same_under_the_same_ids(durable: int, read_again_from: int) -> None:
    """Some notifications were durable, then everything from some change on is read again."""
    router = Router()
    before = [(change, router.route(change, [subscription()])) for change in STORY]
    again = Router()
    for _, sent in before[:durable]:
        for one in sent:
            again.remember(one)
    repeated = [
        one for change in STORY[min(read_again_from, durable) :] for one in again.route(change, [subscription()])
    ]
    all_told = {one.notification_id: one.payload for _, sent in before for one in sent}
    kept = {one.notification_id: one.payload for _, sent in before[:durable] for one in sent}
    kept |= {one.notification_id: one.payload for one in repeated}
    assert kept == all_told


def test_the_body_is_the_same_at_every_attempt_and_says_what_happened() -> None:
    (one,) = Router().route(STORY[0], [subscription()])
    assert one.payload == alert_bytes(STORY[0])
    body = msgspec.json.decode(one.payload)
    assert body["type"] == "incident.opened"
    assert body["timestamp"] == "2026-03-02T00:00:00.250000Z"
    assert body["data"]["place"]["words"] == "near Láng"
    assert body["data"]["lines"] == [{"line_id": "09", "name": "Tuyến 09", "direction_id": 0, "distance_m": 12.0}]
    assert body["data"]["exercise"] is False


def test_what_an_answer_means() -> None:
    assert [answer_of(code) for code in (200, 204)] == [Answer.TAKEN, Answer.TAKEN]
    assert [answer_of(code) for code in (0, 408, 429, 500, 503)] == [Answer.DOWN] * 5
    assert [answer_of(code) for code in (301, 400, 401, 404)] == [Answer.REFUSED] * 4
    assert answer_of(410) is Answer.GONE


def test_waits_double_up_to_five_minutes_and_honour_what_the_receiver_asks() -> None:
    waits = [wait_s(failures, "n-1", None) for failures in range(1, 12)]
    assert FIRST_WAIT_S * 0.8 <= waits[0] <= FIRST_WAIT_S
    assert all(LONGEST_WAIT_S * 0.8 <= one <= LONGEST_WAIT_S for one in waits[6:])
    assert wait_s(1, "n-1", 60.0) == 60.0
    assert wait_s(1, "n-1", 86_400.0) == LONGEST_WAIT_S
    assert wait_s(3, "n-1", None) != wait_s(3, "n-2", None)


def test_a_withdrawn_incident_that_begins_anew_is_told_anew() -> None:
    story = [STORY[0], step(Change.WITHDRAWN, 2, state=IncidentState.WITHDRAWN), step(Change.OPENED, 3)]
    assert told(story, subscription()) == [("s-1", 1), ("s-1", 2), ("s-1", 3)]
    elsewhere = [*story[:2], step(Change.OPENED, 3, lines=(line("16"),))]
    assert told(elsewhere, subscription(line_ids=("09",))) == [("s-1", 1), ("s-1", 2)]


def test_ended_incidents_are_forgotten_after_an_hour_and_others_kept() -> None:
    router = Router()
    for change in STORY:
        router.route(change, [subscription()])
    going_on = replace(STORY[0], incident=incident(incident_id="i-2"))
    router.route(going_on, [subscription()])
    assert set(router.told) == {("s-1", "i-1"), ("s-1", "i-2")}
    later = replace(STORY[0], tick_ms=T + 2 * 3_600_000, incident=incident(incident_id="i-3"))
    router.route(later, [subscription()])
    assert set(router.told) == {("s-1", "i-2"), ("s-1", "i-3")}


def test_a_test_of_a_receiver_has_the_form_of_an_alert() -> None:
    body = msgspec.json.decode(example_bytes(T))
    jsonschema.Draft202012Validator(alert_schema()).validate(body)
    assert (body["type"], body["data"]["exercise"]) == ("test", True)
