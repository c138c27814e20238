"""Explanations are complete: the listed claims alone, under the rule, make the same revision."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.explain import Explanation, Part, explain, recomputed, story_in_words
from processors.incidents.rules import RuleSet
from schemas.records import Change, Decision, Incident, ObservationBlock
from tests.processors.incidents.builders import CITY, LANGUAGE, RULES, SOURCES, action, blocks_at, claim
from tests.processors.incidents.test_engine_properties import (
    HORIZON_MS,
    LENGTH_S,
    ORDERED,
    STREET_KINDS,
    UNTIL_S,
    Arrival,
    arrivals,
    drawn_actions,
    log_of,
)


def explained(blocks: Sequence[ObservationBlock], rules: RuleSet = RULES) -> dict[str, tuple[Explanation, ...]]:
    return explain(blocks, rules, CITY, SOURCES, ORDERED)


def assert_complete(found: dict[str, tuple[Explanation, ...]], rules: RuleSet) -> None:
    """Assert that recomputing from what each revision lists gives that revision."""
    for told in found.values():
        for one in told:
            again = recomputed(one, rules, CITY, HORIZON_MS)
            assert again is not None
            # A withdrawal takes an incident back as it was last published; merged_into says where it went.
            merged_into = one.change.incident.merged_into
            assert bare(replace(again, merged_into=merged_into)) == bare(one.change.incident)


def bare(one: Incident) -> Incident:
    """Return it without what it says of its past, or of the future as of its tick: no claim makes that."""
    return replace(one, revision=0, tick_ms=0, due_trips=(), replaces=())


@settings(max_examples=25, deadline=None)
@given(arrivals(), st.data())
def test_every_revision_follows_from_what_is_listed(arrived: list[Arrival], data: st.DataObject) -> None:
    changes = [one.change for told in explained(log_of(arrived, LENGTH_S)).values() for one in told]
    acted = drawn_actions(data, changes, LENGTH_S)
    assert_complete(explained(log_of(arrived, UNTIL_S, acted)), RULES)


@settings(max_examples=25, deadline=None)
@given(arrivals(kinds=STREET_KINDS))
def test_so_does_every_revision_under_rules_of_every_key(arrived: list[Arrival]) -> None:
    assert_complete(explained(log_of(arrived, UNTIL_S), LANGUAGE), LANGUAGE)


def timeline() -> list[ObservationBlock]:
    """A camera, then a hard stop in time, one that comes late, one beside it all, and the camera is taken back."""
    camera = claim("camera_crash", "CAM-1", 0)
    late = claim("hard_stop", "B-2", 5, x_m=20)
    blocks = [*blocks_at(1, [camera]), *blocks_at(4, [claim("hard_stop", "B-1", 3, x_m=10)])]
    blocks += [*blocks_at(30, [late, claim("hard_stop", "B-9", 29, x_m=180)]), *blocks_at(31, [])]
    return [*blocks, *blocks_at(60, [replace(camera, withdrawn=True)]), *blocks_at(70, [])]


def test_explanation_lists_claims_with_distance_age_weight_and_part() -> None:
    (told,) = explained(timeline()).values()
    assert [one.change.change for one in told[:3]] == [Change.OPENED, Change.CONFIRMED, Change.CHANGED]
    third = {one.observation.device_id: one for one in told[2].claims}
    assert {name: one.part for name, one in third.items()} == {
        "CAM-1": Part.EVIDENCE,
        "B-1": Part.EVIDENCE,
        "B-2": Part.EVIDENCE,
        "B-9": Part.BESIDE,
    }
    assert (third["CAM-1"].weight, third["B-1"].weight) == (0.7, 0.4)
    assert (third["CAM-1"].age_s, third["B-2"].age_s) == (30.0, 25.0)
    assert third["B-2"].late_s == 25.0
    assert third["B-2"].is_late
    assert not third["B-1"].is_late
    assert third["B-9"].distance_m == pytest.approx(165, abs=10)


def test_explanation_names_the_story_that_made_a_revision() -> None:
    (told,) = explained(timeline()).values()
    new = [[story.words for story in one.stories if story.new] for one in told[:3]]
    assert new == [
        ["1 camera_crash within 200 m and 20 s"],
        ["1 camera_crash and 1 hard_stop within 130 m and 20 s"],
        [],
    ]
    numbers = {story.number: story.level for story in told[1].stories if story.told}
    assert sorted(numbers.values()) == ["confirmed", "suspected"]
    camera = next(one for one in told[1].claims if one.observation.device_id == "CAM-1")
    assert camera.stories == tuple(sorted(numbers))


def test_withdrawn_claims_stay_listed() -> None:
    (told,) = explained(timeline()).values()
    last = told[-1]
    assert last.change.change is Change.WITHDRAWN
    parts = {one.observation.device_id: one.part for one in last.claims}
    assert parts == {"CAM-1": Part.WITHDRAWN, "B-1": Part.NO_MORE, "B-2": Part.NO_MORE, "B-9": Part.NO_MORE}
    assert not any(story.told for story in last.stories)


def test_decisions_of_operators_are_part_of_it() -> None:
    first = blocks_at(1, [claim("camera_crash", "CAM-1", 0)])
    ((name, _),) = explained(first).items()
    blocks = [*first, *blocks_at(5, [], [action(Decision.CONFIRM, name, 4)]), *blocks_at(6, [])]
    (told,) = explained(blocks).values()
    assert [one.change.incident.state for one in told] == ["SUSPECTED", "CONFIRMED"]
    again = recomputed(told[1], RULES, CITY, HORIZON_MS)
    assert again is not None
    assert (again.state, again.severity) == ("CONFIRMED", "SEVERE")


def test_one_incident_alone_can_be_asked_for() -> None:
    blocks = blocks_at(1, [claim("camera_crash", "CAM-1", 0), claim("camera_crash", "CAM-2", 0, x_m=900)])
    names = sorted(explained(blocks))
    assert len(names) == 2
    assert list(explain(blocks, RULES, CITY, SOURCES, ORDERED, names[0])) == [names[0]]
    assert explain(blocks, RULES, CITY, SOURCES, ORDERED, "i-none") == {}


def test_without_one_listed_claim_the_revision_is_another() -> None:
    (told,) = explained(timeline()).values()
    kept = tuple(one for one in told[1].claims if one.observation.device_id != "B-1")
    again = recomputed(replace(told[1], claims=kept), RULES, CITY, HORIZON_MS)
    assert again is not None
    assert (again.state, again.witnesses) == ("SUSPECTED", 1)


def test_stories_are_told_in_words() -> None:
    told = {story_in_words(story) for rule in LANGUAGE.rules for story in rule.stories}
    assert any("no moved_on for" in words for words in told)
    assert all(" within " in words for words in told)
