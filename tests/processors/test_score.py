"""Incidents against the ground truth, on literal cases."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from processors.geo import EARTH_RADIUS_M
from processors.score import KindScore, detections, score
from processors.score_bounds import BOUNDS, FOLLOWS, TOLD_S, told_s
from processors.simulate.scenes import SCENE_KINDS
from schemas.records import AffectedLine, Change, Incident, IncidentChange, IncidentState, Severity, Truth

START_MS = 1_790_000_000_000
METRE_DEG = 57.29577951308232 / EARTH_RADIUS_M


def truth(name: str, at_s: float = 0.0, north_m: float = 0.0, kind: str = "crash") -> Truth:
    latitude_deg = 21.0 + north_m * METRE_DEG
    at_ms = START_MS + round(at_s * 1000)
    return Truth(at_ms=at_ms, latitude_deg=latitude_deg, longitude_deg=105.8, truth_id=name, kind=kind)


def change(
    name: str,
    at_s: float = 0.0,
    north_m: float = 0.0,
    kind: str = "crash",
    *,
    revision: int = 1,
    state: IncidentState = IncidentState.SUSPECTED,
    provisional: bool = False,
    replaces: tuple[str, ...] = (),
    merged_into: str = "",
) -> IncidentChange:
    tick_ms = START_MS + round(at_s * 1000)
    incident = Incident(
        opened_at_ms=tick_ms,
        last_evidence_at_ms=tick_ms,
        tick_ms=tick_ms,
        latitude_deg=21.0 + north_m * METRE_DEG,
        longitude_deg=105.8,
        radius_m=10.0,
        score=0.9,
        revision=revision,
        witnesses=1,
        provisional=provisional,
        state=state,
        severity=Severity.SEVERE,
        incident_id=name,
        kind=kind,
        rule_id=kind,
        rules_version="1",
        city_version="1",
        unit_code="",
        unit_name="",
        place="",
        merged_into=merged_into,
        replaces=replaces,
        evidence=(),
    )
    return IncidentChange(tick_ms=tick_ms, change=Change.OPENED, incident=incident)


def test_what_began_too_near_to_the_end_is_not_judged() -> None:
    fights = [truth("t1", 0, kind="fight"), truth("t2", 40, 900, "fight"), truth("t3", 50, -900, "fight")]
    seen = [change("i1", 8, kind="fight")]
    found = score(fights, seen, START_MS + 60_000)["fight"]  # a fight is told within 15 s
    assert (found.truth, found.detected, found.missed, found.not_judged) == (3, 1, 1, 1)
    all_seen = [*seen, change("i3", 59, -900, kind="fight")]
    assert score(fights, all_seen, START_MS + 60_000)["fight"] == KindScore(3, 2, 0, 8.5, not_judged=0)
    assert score(fights, seen)["fight"].missed == 2


def test_every_kind_has_a_time_within_which_it_is_told() -> None:
    assert TOLD_S.keys() == BOUNDS.keys()
    assert told_s("a_rule_of_ones_own") == 120
    for kind, seconds in TOLD_S.items():
        assert BOUNDS[kind].lasting or seconds <= BOUNDS[kind].after_s, kind


def test_score_finds_a_truth_and_times_it() -> None:
    changes = [change("i1", 3.25, 50), change("i1", 9, 500, revision=2, state=IncidentState.CONFIRMED)]
    assert score([truth("t1")], changes) == {"crash": KindScore(1, 1, 0, 3.25)}


def test_score_keeps_kinds_apart() -> None:
    found = score([truth("t1", kind="fire")], [change("i1", kind="crash")])
    assert found == {"crash": KindScore(0, 0, 1, None), "fire": KindScore(1, 0, 0, None)}


def lasting(name: str, kind: str, ends_s: float, lines: tuple[str, ...] = ()) -> Truth:
    return replace(truth(name, kind=kind), ends_at_ms=START_MS + round(ends_s * 1000), line_ids=lines)


def on_lines(one: IncidentChange, *lines: str) -> IncidentChange:
    near = tuple(AffectedLine(distance_m=1.0, direction_id=0, line_id=line, line_name=line) for line in lines)
    return replace(one, incident=replace(one.incident, lines=near))


def test_score_has_bounds_for_every_kind_that_is_played() -> None:
    assert set(BOUNDS) == {"crash", "fire"} | {one.name for one in SCENE_KINDS}
    assert set(FOLLOWS) <= set(BOUNDS)
    assert set().union(*FOLLOWS.values()) <= set(BOUNDS)


def test_score_takes_a_lasting_kind_until_two_minutes_after_its_end() -> None:
    parked = lasting("t1", "illegal_parking", 900.0)
    for at_s, detected in ((-30.25, 0), (600, 1), (1_020, 1), (1_020.25, 0)):
        assert score([parked], [change("i1", at_s, kind="illegal_parking")])["illegal_parking"].detected == detected


def test_score_explains_a_second_opening_of_a_lasting_truth() -> None:
    found = detections(
        [lasting("t1", "debris", 900.0)],
        [change("i1", 10, kind="debris"), change("i2", 500, 20, kind="debris"), change("i3", 500, 900, kind="debris")],
    )["debris"]
    assert (found.detected["t1"].case_id, found.explained, found.false) == ("i1", ("i2",), ("i3",))


def test_score_goes_by_line_where_the_kind_is_about_one() -> None:
    gap = lasting("t1", "service_gap", 1_800.0, ("BRT01",))
    far = change("i1", 900, 9_000, kind="service_gap")
    assert score([gap], [on_lines(far, "02", "BRT01")])["service_gap"] == KindScore(1, 1, 0, 900.0)
    assert score([gap], [on_lines(far, "02")])["service_gap"] == KindScore(1, 0, 1, None)
    assert score([gap], [change("i1", 900, 4_900, kind="service_gap")])["service_gap"].detected == 1
    assert score([gap], [change("i1", 900, 5_100, kind="service_gap")])["service_gap"].detected == 0


def test_score_does_not_call_false_what_follows_from_another_truth() -> None:
    crash = lasting("t1", "crash", 600.0)
    stands = change("i1", 400, 150, kind="stopped_vehicle")
    assert score([crash], [stands])["stopped_vehicle"] == KindScore(0, 0, 0, None)
    assert score([crash], [change("i1", 400, 150, kind="debris")])["debris"] == KindScore(0, 0, 1, None)
    assert score([crash], [change("i1", 2_401, 150, kind="stopped_vehicle")])["stopped_vehicle"].false == 1


def test_score_leaves_exercises_out() -> None:
    played = change("i2", 1.0)
    played = replace(played, incident=replace(played.incident, exercise=True))
    assert score([truth("t1")], [played]) == {"crash": KindScore(1, 0, 0, None)}
    assert score([], [played]) == {}


def test_score_of_nothing_is_empty() -> None:
    assert score([], []) == {}


def test_score_reaches_200_m() -> None:
    assert score([truth("t1")], [change("i1", 1, 199.9)])["crash"].detected == 1
    assert score([truth("t1")], [change("i1", 1, 200.1)])["crash"] == KindScore(1, 0, 1, None)


def test_score_reaches_from_30_s_before_to_120_s_after() -> None:
    for at_s, detected in ((-30.25, 0), (-30, 1), (0, 1), (120, 1), (120.25, 0)):
        assert score([truth("t1")], [change("i1", at_s)])["crash"].detected == detected, at_s


def test_score_gives_one_incident_to_one_truth() -> None:
    assert score([truth("t1"), truth("t2", north_m=50)], [change("i1", 1)])["crash"] == KindScore(2, 1, 0, 1.0)
    assert score([truth("t1")], [change("i1", 1), change("i2", 2, 10)])["crash"] == KindScore(1, 1, 1, 1.0)


def test_score_takes_the_nearest_incident_for_a_truth() -> None:
    found = score([truth("t1")], [change("far", 1, 100), change("near", 7, 10)])
    assert found["crash"] == KindScore(1, 1, 1, 7.0)


def test_score_detects_as_many_truths_as_possible() -> None:
    # "both" is nearest to t1, but t2 has no other; t1 can make do with "one".
    truths = [truth("t1", north_m=0), truth("t2", north_m=250)]
    changes = [change("both", 2, 60), change("one", 4, -150)]
    assert score(truths, changes)["crash"] == KindScore(2, 2, 0, 3.0)


def test_score_counts_provisional_and_ordered_once_at_the_earlier_tick() -> None:
    changes = [
        change("p1", 2, provisional=True),
        change("i1", 6, replaces=("p1",)),
        change("p1", 6, provisional=True, revision=2, state=IncidentState.WITHDRAWN),
    ]
    assert score([truth("t1")], changes)["crash"] == KindScore(1, 1, 0, 2.0)


def test_score_learns_of_a_replacement_from_a_later_revision() -> None:
    changes = [change("p1", 2, provisional=True), change("i1", 6), change("i1", 7, revision=2, replaces=("p1",))]
    assert score([truth("t1")], changes)["crash"] == KindScore(1, 1, 0, 2.0)


def test_score_counts_an_unreplaced_provisional_as_its_own() -> None:
    assert score([truth("t1")], [change("p1", 2, provisional=True)])["crash"] == KindScore(1, 1, 0, 2.0)
    assert score([], [change("p1", 2, provisional=True)])["crash"] == KindScore(0, 0, 1, None)


def test_score_does_not_call_a_merged_incident_false_when_its_target_matches() -> None:
    changes = [
        change("i1", 2),
        change("i2", 3, 150),
        change("i2", 5, 150, revision=2, state=IncidentState.CLOSED, merged_into="i1"),
    ]
    assert score([truth("t1")], changes)["crash"] == KindScore(1, 1, 0, 2.0)


def test_score_forgets_withdrawn_incidents() -> None:
    withdrawn = change("i1", 5, revision=2, state=IncidentState.WITHDRAWN)
    assert score([truth("t1")], [change("i1", 2), withdrawn])["crash"] == KindScore(1, 0, 0, None)
    assert score([], [change("i1", 2), withdrawn]) == {}


def test_score_counts_resolved_closed_and_dismissed_incidents() -> None:
    for state in (IncidentState.RESOLVED, IncidentState.CLOSED, IncidentState.DISMISSED):
        changes = [change("i1", 2), change("i1", 100, revision=2, state=state)]
        assert score([truth("t1")], changes)["crash"].detected == 1
        assert score([], changes)["crash"].false == 1


def test_score_survives_a_circle_of_merges() -> None:
    changes = [change("i1", 2, merged_into="i2"), change("i2", 3, merged_into="i1")]
    assert score([truth("t1")], changes)["crash"].detected == 1


def test_score_collapses_when_the_truth_is_shifted_by_ten_minutes() -> None:
    truths = [truth(f"t{i}", 20 * i, 1_000 * i) for i in range(6)]
    changes = [change(f"i{i}", 20 * i + 4, 1_000 * i + 20) for i in range(6)]
    assert score(truths, changes)["crash"] == KindScore(6, 6, 0, 4.0)
    shifted = [truth(f"t{i}", 20 * i + 600, 1_000 * i) for i in range(6)]
    assert score(shifted, changes)["crash"] == KindScore(6, 0, 6, None)


places = st.tuples(st.integers(0, 200), st.integers(0, 600))


@given(st.lists(places, max_size=6), st.lists(places, max_size=6), st.randoms(use_true_random=False))
def test_score_adds_up_and_ignores_order_and_repeats(
    truth_places: list[tuple[int, int]], incident_places: list[tuple[int, int]], random: Random
) -> None:
    truths = [truth(f"t{index}", at_s, north_m) for index, (at_s, north_m) in enumerate(truth_places)]
    changes = [change(f"i{index}", at_s, north_m) for index, (at_s, north_m) in enumerate(incident_places)]
    plain = score(truths, changes)
    mixed_truths, mixed_changes = truths * 2, changes * 2
    random.shuffle(mixed_truths)
    random.shuffle(mixed_changes)
    assert score(mixed_truths, mixed_changes) == plain
    for found in plain.values():
        assert found.detected + found.false == len(changes)
        assert found.detected <= found.truth == len(truths)
