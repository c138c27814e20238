"""What operators decide, as literal timelines, and exercises beside the real thing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.incidents.engine import CorrelationRule
from schemas.records import Change, Decision, IncidentChange, IncidentState, Severity
from tests.processors.incidents.builders import (
    ACTIONS,
    DETECTIONS,
    POSITIONS,
    READINGS,
    T0_MS,
    Run,
    action,
    block,
    claim,
)

ACKNOWLEDGE, CONFIRM, DISMISS, ASSIGN, RESOLVE, COMMENT = Decision
SUSPECTED, CONFIRMED, RESOLVED, CLOSED, DISMISSED = (
    IncidentState.SUSPECTED,
    IncidentState.CONFIRMED,
    IncidentState.RESOLVED,
    IncidentState.CLOSED,
    IncidentState.DISMISSED,
)


def crash_seen() -> tuple[Run, str]:
    """A crash that one camera claims at 10 s, and its id."""
    run = Run()
    (opened,) = run.story(claim("camera_crash", "CAM-1", 10), until_s=15)
    return run, opened.incident.incident_id


def told(changes: list[IncidentChange]) -> list[tuple[Change, IncidentState, tuple[str, ...]]]:
    return [(one.change, one.incident.state, one.reasons) for one in changes]


# --- decisions --------------------------------------------------------------------------------------------------------


def test_an_acknowledged_incident_says_by_whom_and_stays_as_it_is() -> None:
    run, name = crash_seen()
    seen = action(ACKNOWLEDGE, name, 18, "Minh")
    (change,) = run.tick(20, actions=[seen])
    assert told([change]) == [(Change.CHANGED, SUSPECTED, ("acknowledged by Minh",))]
    assert (change.incident.revision, change.incident.actions) == (2, (seen,))
    assert change.incident.severity is Severity.MODERATE


def test_an_operator_confirms_what_evidence_alone_does_not() -> None:
    run, name = crash_seen()
    (change,) = run.tick(20, actions=[action(CONFIRM, name, 19, note="seen on CAM-1")])
    assert told([change]) == [(Change.CONFIRMED, CONFIRMED, ("confirmed by Lan: seen on CAM-1",))]
    assert change.incident.severity is Severity.SEVERE
    (more,) = run.tick(21, [claim("hard_stop", "TX-1", 13, y_m=80)])
    assert told([more]) == [
        (Change.CHANGED, CONFIRMED, ("new evidence: hard stop by TX-1 80 m away, 3 s after the crash",))
    ]


def test_a_confirmed_incident_is_resolved_and_closed_in_its_time() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(CONFIRM, name, 19)])
    (resolved,) = run.tick(320)
    assert (resolved.incident.state, resolved.incident.severity) == (RESOLVED, Severity.SEVERE)
    (closed,) = run.tick(1815)
    assert closed.incident.state is CLOSED


def test_a_dismissed_incident_stays_dismissed_whatever_else_is_claimed() -> None:
    run, name = crash_seen()
    (gone,) = run.tick(20, actions=[action(DISMISS, name, 19, note="fireworks")])
    assert told([gone]) == [(Change.DISMISSED, DISMISSED, ("dismissed by Lan: fireworks",))]
    assert gone.incident.due_trips == ()
    (more,) = run.tick(30, [claim("impact_sound", "MIC-1", 12)])
    assert (more.change, more.incident.state) == (Change.CHANGED, DISMISSED)
    assert more.reasons == ("new evidence: impact sound by sensor MIC-1 0 m away, 2 s after the crash",)


def test_a_dismissed_incident_is_never_resolved_and_closes_at_the_horizon() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(DISMISS, name, 19)])
    assert run.tick(320) == []
    assert run.tick(1810) == []
    (closed,) = run.tick(1811)
    assert told([closed]) == [(Change.CLOSED, CLOSED, ("closed: no new evidence for 30 min",))]
    assert [one.decision for one in closed.incident.actions] == [DISMISS]
    assert run.engine.open_incidents() == ()


def test_the_last_word_counts() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(DISMISS, name, 19)])
    (again,) = run.tick(30, actions=[action(CONFIRM, name, 29, "Minh"), action(ACKNOWLEDGE, name, 29.5)])
    assert told([again]) == [(Change.CONFIRMED, CONFIRMED, ("confirmed by Minh", "acknowledged by Lan"))]
    (gone,) = run.tick(40, actions=[action(CONFIRM, name, 38), action(DISMISS, name, 39)])
    assert gone.incident.state is DISMISSED
    (back,) = run.tick(400, actions=[action(CONFIRM, name, 399)])
    assert told([back]) == [(Change.RESOLVED, RESOLVED, ("no new evidence for 5 min", "confirmed by Lan"))]


def test_an_operator_resolves_and_later_evidence_opens_it_again() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(CONFIRM, name, 11)])
    (over,) = run.tick(30, actions=[action(RESOLVE, name, 12, "Minh", "towed away")])
    assert told([over]) == [(Change.RESOLVED, RESOLVED, ("resolved by Minh: towed away",))]
    assert (over.incident.severity, over.incident.due_trips) == (Severity.SEVERE, ())
    (late,) = run.tick(40, [claim("impact_sound", "MIC-1", 11)])
    assert (late.change, late.incident.state) == (Change.CHANGED, RESOLVED)  # it was over when that was heard
    (again,) = run.tick(50, [claim("hard_stop", "TX-1", 13, y_m=80)])
    assert (again.change, again.incident.state, again.reasons[0]) == (Change.CHANGED, CONFIRMED, "evidence again")
    (gone,) = run.tick(60, [claim("hard_stop", "TX-1", 13, y_m=80, withdrawn=True)])
    assert (gone.change, gone.incident.state) == (Change.RESOLVED, RESOLVED)
    assert gone.reasons[0] == "resolved by Minh: towed away"
    (closed,) = run.tick(1900)
    assert closed.incident.state is CLOSED


def test_a_resolved_incident_is_open_again_when_an_operator_confirms_it() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(RESOLVE, name, 19)])
    (back,) = run.tick(30, actions=[action(CONFIRM, name, 29)])
    assert told([back]) == [(Change.CHANGED, CONFIRMED, ("confirmed by Lan",))]
    (over,) = run.tick(310)
    assert over.reasons == ("no new evidence for 5 min",)


def test_who_resolves_takes_a_dismissal_back() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(DISMISS, name, 11)])
    (over,) = run.tick(30, actions=[action(RESOLVE, name, 12)])
    assert told([over]) == [(Change.RESOLVED, RESOLVED, ("resolved by Lan",))]
    (again,) = run.tick(40, [claim("hard_stop", "TX-1", 13, y_m=80)])
    assert (again.incident.state, again.reasons[0]) == (CONFIRMED, "evidence again")


def test_the_record_says_whom_it_is_assigned_to_last() -> None:
    run, name = crash_seen()
    (one,) = run.tick(20, actions=[action(ASSIGN, name, 19, assignee="Traffic police", note="call back")])
    assert told([one]) == [(Change.CHANGED, SUSPECTED, ("assigned to Traffic police by Lan: call back",))]
    (other,) = run.tick(30, actions=[action(ASSIGN, name, 29, assignee="Ward 7"), action(CONFIRM, name, 28)])
    assert (one.incident.assigned_to, other.incident.assigned_to) == ("Traffic police", "Ward 7")
    assert (other.incident.state, len(other.incident.actions)) == (CONFIRMED, 3)


def test_a_comment_stands_with_the_incident_and_changes_nothing_else() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(DISMISS, name, 19)])
    (said,) = run.tick(30, actions=[action(COMMENT, name, 29, note="film crew until noon")])
    assert told([said]) == [(Change.CHANGED, DISMISSED, ("comment by Lan: film crew until noon",))]
    assert said.incident.actions[1].note == "film crew until noon"


SOME_ACTIONS = st.lists(
    st.tuples(st.sampled_from(Decision), st.integers(11, 40), st.sampled_from(["Lan", "Minh"])), unique=True, max_size=6
)


@settings(max_examples=30, deadline=None)
@given(SOME_ACTIONS, st.data())
def test_neither_order_nor_repetition_of_a_ticks_actions_matters(
    drawn: list[tuple[Decision, int, str]], data: st.DataObject
) -> None:
    _, name = crash_seen()
    actions = [action(what, name, at_s, who, assignee=who * (what is ASSIGN)) for what, at_s, who in drawn]
    mixed = data.draw(st.permutations([*actions, *data.draw(st.permutations(actions))[:2]]))
    plain, other = crash_seen()[0], crash_seen()[0]
    assert plain.tick(50, actions=actions) == other.tick(50, actions=mixed)
    late = action(COMMENT, name, 60, note="the same again")
    assert plain.tick(70, actions=[late]) == other.tick(70, actions=[*mixed, late])


def test_an_action_that_comes_again_says_nothing() -> None:
    run, name = crash_seen()
    twice = action(ACKNOWLEDGE, name, 18)
    assert len(run.tick(20, actions=[twice])) == 1
    assert run.tick(30, actions=[twice]) == []


def test_an_action_may_come_before_its_incident_is_known() -> None:
    _, name = crash_seen()
    run = Run()
    assert run.tick(5, actions=[action(DISMISS, name, 4, note="exercise of the ward")]) == []
    (opened,) = run.tick(10.25, [claim("camera_crash", "CAM-1", 10)])
    assert told([opened]) == [
        (Change.OPENED, DISMISSED, ("dismissed by Lan: exercise of the ward", "evidence: crash by camera CAM-1"))
    ]


def test_an_action_waits_for_its_incident_as_long_as_evidence_counts() -> None:
    _, name = crash_seen()
    run = Run()
    run.tick(5, actions=[action(CONFIRM, name, 4)])
    for tick_s in (900, 1800, 1806):
        run.tick(tick_s)
    (opened,) = run.tick(1807, [claim("camera_crash", "CAM-1", 10)])
    assert (opened.incident.state, opened.incident.actions) == (RESOLVED, ())


def test_an_action_about_nothing_or_about_the_closed_changes_nothing() -> None:
    run, name = crash_seen()
    run.tick(1900)
    assert run.tick(1910, actions=[action(CONFIRM, name, 1909), action(DISMISS, "i-0000", 1909)]) == []


def test_evidence_taken_back_withdraws_even_the_confirmed_and_it_returns_as_decided() -> None:
    run, name = crash_seen()
    run.tick(20, actions=[action(CONFIRM, name, 19)])
    (gone,) = run.tick(25, [claim("camera_crash", "CAM-1", 10, withdrawn=True)])
    assert gone.incident.state is IncidentState.WITHDRAWN
    (back,) = run.tick(30, [claim("camera_crash", "CAM-1", 10)])
    assert (back.change, back.incident.incident_id, back.incident.state) == (Change.OPENED, name, CONFIRMED)


# --- following --------------------------------------------------------------------------------------------------------


def test_an_action_about_a_provisional_incident_is_about_the_ordered_one() -> None:
    """Vehicles stall at 0.25 s; smoke is published early; somebody dismisses that while the stall lasts."""
    smoke = claim("camera_smoke", "CAM-1", 1.1)
    others = [
        block(source, step / 4, [smoke] if source == DETECTIONS and step == 5 else ())
        for step in range(1, 17)
        for source in (DETECTIONS, READINGS, ACTIONS)
    ]
    early = Run(CorrelationRule())
    (published,) = early.push([block(POSITIONS, 0.25), *others])
    name = published.incident.incident_id
    assert name.startswith("p-")
    late = [block(source, 4.25) for source in (DETECTIONS, READINGS)]
    assert early.push([*late, block(ACTIONS, 4.25, actions=[action(DISMISS, name, 4.2, note="a barbecue")])]) == []
    opened, ended, gone = early.push([block(POSITIONS, step / 4) for step in range(2, 18)])
    assert (opened.incident.state, opened.incident.replaces) == (SUSPECTED, (name,))
    assert (ended.incident.incident_id, ended.incident.merged_into) == (name, opened.incident.incident_id)
    assert told([gone]) == [(Change.DISMISSED, DISMISSED, ("dismissed by Lan: a barbecue",))]
    assert gone.incident.incident_id == opened.incident.incident_id
    much_later = action(CONFIRM, name, 200)
    (back,) = early.tick(201, actions=[much_later])
    assert back.incident.actions[1] == much_later
    orders = [action(ASSIGN, name, 202, assignee="Fire and rescue"), action(RESOLVE, name, 203)]
    (over,) = early.tick(204, actions=orders)
    assert (over.incident.incident_id, over.incident.state) == (opened.incident.incident_id, RESOLVED)
    assert over.incident.assigned_to == "Fire and rescue"


def merged() -> tuple[Run, IncidentChange, IncidentChange]:
    """Two fires 390 m apart, the second one dismissed; smoke between them, seen before both, makes them one."""
    run = Run()
    first, second = run.story(claim("heat", "P-1", 10), claim("heat", "P-2", 20, x_m=390), until_s=25)
    assert first.incident.incident_id < second.incident.incident_id  # of equals the lower id goes on
    run.tick(30, actions=[action(DISMISS, second.incident.incident_id, 29, note="a grill")])
    return run, first, second


def test_the_actions_of_a_merged_incident_follow_it_and_come_back_with_it() -> None:
    run, first, second = merged()
    between = claim("camera_smoke", "CAM-2", 5, x_m=195)
    both, gone = run.tick(40, [between])
    assert (both.incident.incident_id, both.incident.state) == (first.incident.incident_id, DISMISSED)
    assert both.reasons[0] == "dismissed by Lan: a grill"
    assert (gone.incident.incident_id, gone.incident.merged_into) == (
        second.incident.incident_id, first.incident.incident_id,
    )  # fmt: skip
    (seen,) = run.tick(45, actions=[action(ACKNOWLEDGE, second.incident.incident_id, 44)])
    assert (seen.incident.incident_id, len(seen.incident.actions)) == (first.incident.incident_id, 2)

    split = run.tick(50, [claim("camera_smoke", "CAM-2", 5, x_m=195, withdrawn=True)])
    latest = {one.incident.incident_id: one for one in split}
    alone, again = latest[first.incident.incident_id], latest[second.incident.incident_id]
    assert (alone.incident.state, alone.incident.actions) == (SUSPECTED, ())
    assert "no longer about this incident: dismissed by Lan: a grill" in alone.reasons
    assert (again.change, again.incident.state, len(again.incident.actions)) == (Change.OPENED, DISMISSED, 2)


# --- exercises --------------------------------------------------------------------------------------------------------


def test_an_exercise_beside_a_real_alarm_confirms_nothing_and_mutes_nothing() -> None:
    run = Run()
    changes = run.story(claim("fire_alarm", "P-1", 10), claim("camera_smoke", "exercise:CAM-9", 12, x_m=20), until_s=20)
    real, drill = changes
    assert (real.incident.exercise, real.incident.state, real.incident.witnesses) == (False, SUSPECTED, 1)
    assert real.reasons == ("suspected: fire alarm by sensor P-1",)
    assert (drill.incident.exercise, drill.incident.state, drill.incident.witnesses) == (True, SUSPECTED, 1)
    assert drill.reasons == ("EXERCISE: suspected: smoke by camera exercise:CAM-9",)
    assert real.incident.incident_id != drill.incident.incident_id
    assert {one.exercise for one in run.engine.open_incidents()} == {False, True}


def test_an_exercise_lives_like_a_real_incident() -> None:
    run = Run()
    smoke = claim("camera_smoke", "exercise:CAM-9", 10)
    (opened,) = run.story(smoke, until_s=15)
    name = opened.incident.incident_id
    (gone,) = run.tick(20, actions=[action(DISMISS, name, 19, note="over")])
    (back,) = run.tick(21, [claim("camera_smoke", "exercise:CAM-9", 10, withdrawn=True)])
    assert gone.reasons == ("EXERCISE: dismissed by Lan: over",)
    assert back.incident.state is IncidentState.WITHDRAWN
    assert back.reasons == ("EXERCISE: evidence withdrawn: smoke by camera exercise:CAM-9",)
    assert {one.incident.exercise for one in run.changes} == {True}


def test_an_exercise_is_published_early_too_and_marked() -> None:
    run = Run(CorrelationRule())
    smoke = claim("camera_smoke", "exercise:CAM-9", 1.1)
    blocks = [
        block(source, step / 4, [smoke] if source == DETECTIONS and step == 5 else ())
        for step in range(1, 17)
        for source in (DETECTIONS, READINGS, ACTIONS)
    ]
    (early,) = run.push([block(POSITIONS, 0.25), *blocks])
    assert (early.incident.provisional, early.incident.exercise) == (True, True)
    assert early.reasons[0].startswith("EXERCISE: ")
    assert early.tick_ms == T0_MS + 2_500
