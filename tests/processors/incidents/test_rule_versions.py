"""Rule sets that take over while incidents stand: when, what becomes of these, and that nothing else decides."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rule_versions import RuleVersions, in_force
from processors.incidents.rules import RuleSet, read_rule_files, rules_of, version_of
from schemas.records import Change, Decision, IncidentChange, IncidentState, ObservationBlock, PublishedRules, RuleFile
from tests.processors.incidents.builders import (
    ACTIONS,
    CITY,
    PROJECT,
    SOURCES,
    T0_MS,
    Run,
    action,
    block,
    blocks_at,
    claim,
)
from tests.processors.incidents.test_engine_properties import (
    EARLY,
    LATENESS_S,
    LENGTH_S,
    ORDERED,
    STEP_S,
    Arrival,
    arrivals,
    drawn_actions,
    encoded,
    held_back,
    last_revisions,
    log_of,
    stalls,
)

FOLDER = {one.name: one for one in read_rule_files(PROJECT / "cities" / "hanoi" / "rules")}
BOTH = (FOLDER["crash.yaml"], FOLDER["fire.yaml"])
RULES = rules_of(BOTH)


LATE = replace(ORDERED, lateness_ms=LATENESS_S * 1000)
"""What no late record can change any more is forgotten early."""


def edited(file: RuleFile, *changes: tuple[str, str]) -> RuleFile:
    text = file.text
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return replace(file, text=text)


STRICT = edited(FOLDER["fire.yaml"], ("score: 0.25", "score: 0.55"), ("score: 0.4\n", "score: 0.56\n"))
PATIENT = edited(FOLDER["fire.yaml"], ("resolve_after_s: 300", "resolve_after_s: 400"))
MUTING = edited(
    FOLDER["crash.yaml"],
    ("resolve_after_s:", "mutes: [{rules: [fire], kinds: [heat], distance_m: 500, apart_s: 60}]\nresolve_after_s:"),
)
SETS = ((FOLDER["crash.yaml"], STRICT), (PATIENT,), (FOLDER["fire.yaml"],), (MUTING, FOLDER["fire.yaml"]), BOTH)


def published(
    files: Sequence[RuleFile], valid_from_s: float, at_s: float | None = None
) -> PublishedRules:  # fmt: skip
    at_ms = T0_MS + round((valid_from_s if at_s is None else at_s) * 1000)
    valid_from_ms = T0_MS + round(valid_from_s * 1000)
    return PublishedRules(
        at_ms=at_ms, valid_from_ms=valid_from_ms, version=version_of(files), publisher="Lan", files=tuple(files)
    )


def with_published(
    blocks: Sequence[ObservationBlock], brought: Sequence[tuple[int, PublishedRules]]
) -> list[ObservationBlock]:
    """The blocks, with each set in that of its tick (s) on the topic of actions."""
    found = []
    for one in blocks:
        own = [each for tick_s, each in brought if tick_s * 1000 + T0_MS == one.tick_ms]
        on_actions = (one.source_topic, one.source_partition) == ACTIONS
        found.append(replace(one, published=tuple(own)) if on_actions and own else one)
    return found


def fresh(rule: CorrelationRule = ORDERED, rules: RuleSet = RULES) -> Run:
    run = Run(rule, rules)
    run.engine = IncidentEngine(rules, CITY, SOURCES, rule)
    return run


def publishing(tick_s: float, one: PublishedRules) -> list[ObservationBlock]:
    return with_published(blocks_at(tick_s), [(int(tick_s), one)])


# --- which set is in force ------------------------------------------------------------------------------------------


def test_the_latest_time_that_has_come_decides_then_the_latest_publication() -> None:
    first, second, again = (published(files, at_s, 0) for files, at_s in zip(SETS[:3], (10, 20, 20), strict=True))
    again = replace(again, at_ms=again.at_ms + 1)
    every = [second, again, first]
    found = [in_force(every, T0_MS + at_s * 1000) for at_s in (9, 10, 19, 20, 99)]
    assert found == [None, first, first, again, again]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 9)), max_size=6), st.data())
def test_order_and_repeats_of_what_the_log_brings_do_not_matter(
    drawn: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    every = [published(SETS[number], valid_s, min(at_s, valid_s)) for number, valid_s, at_s in drawn]
    brought = {one: data.draw(st.integers(0, 9)) for one in range(len(every))}
    versions = RuleVersions()
    for tick_s in range(12):
        versions.take([every[one] for one in brought if brought[one] in (tick_s, tick_s - 2)])
        versions.switch(T0_MS + tick_s * 1000)
        known = [every[one] for one in brought if brought[one] <= tick_s]
        assert versions.current == in_force(known, T0_MS + tick_s * 1000)


# --- what becomes of incidents --------------------------------------------------------------------------------------


def test_what_stands_is_judged_by_the_new_rules_at_the_first_tick_of_their_time() -> None:
    """The set comes at second 4 and is valid from 6.5 on: the tick of 6 is the old one's, that of 7 the new one's."""
    run = fresh()
    smoke = claim("camera_smoke", "CAM-1", 1, score=0.6)
    run.push(blocks_at(2, [smoke]))
    run.push(publishing(4, published((FOLDER["crash.yaml"], STRICT), 6.5, 3)))
    run.push(blocks_at(6, [claim("camera_smoke", "CAM-2", 5, x_m=900, score=0.6)]))
    assert [one.incident.rules_version for one in run.changes] == [RULES.version] * 2
    changes = run.push(blocks_at(7))
    strict = version_of((FOLDER["crash.yaml"], STRICT))
    assert run.engine.rules_version == strict
    assert {one.change for one in changes} >= {Change.WITHDRAWN}
    assert {last.state for last in last_revisions(run.changes).values()} == {IncidentState.WITHDRAWN}
    assert run.push(blocks_at(8, [claim("camera_smoke", "CAM-3", 7.5, x_m=-900, score=0.6)])) == []


def test_incidents_go_on_and_name_the_version_that_made_each_revision() -> None:
    run = fresh()
    run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]))
    run.push(publishing(4, published((PATIENT,), 4)))
    run.push(blocks_at(6, [claim("fire_alarm", "P-1", 5, x_m=20)]))
    run.push(publishing(8, published((STRICT,), 8)))
    run.push(blocks_at(10, [replace(claim("fire_alarm", "P-1", 5, x_m=20), withdrawn=True)]))
    made = [(one.incident.revision, one.incident.rules_version) for one in run.changes]
    patient, strict = version_of((PATIENT,)), version_of((STRICT,))
    assert made == [(1, RULES.version), (2, patient), (3, patient), (4, strict), (5, strict)]
    assert run.changes[1].reasons == run.changes[3].reasons == ("the rules changed",)
    assert len({one.incident.incident_id for one in run.changes}) == 1


def test_a_rule_that_is_gone_closes_its_incidents_and_says_why() -> None:
    run = fresh()
    run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]))
    (change,) = run.push(publishing(4, published((FOLDER["crash.yaml"],), 4)))
    assert (change.change, change.incident.state, change.incident.revision) == (Change.CLOSED, IncidentState.CLOSED, 2)
    assert change.reasons == ("the rules in force from now on have no rule fire",)
    assert change.incident.rules_version == version_of((FOLDER["crash.yaml"],))
    assert run.engine.open_incidents() == ()
    assert run.push(blocks_at(6, [claim("heat", "P-1", 5)])) == []


def test_a_rule_that_is_gone_after_a_restart_closes_its_incidents_too() -> None:
    """The folder was changed while the engine was down; another set takes over with the very next tick."""
    run = Run(CorrelationRule(provisional_after_ms=0, checkpoint_ms=1_000), RULES)
    run.push([*blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]), *blocks_at(3)])
    last = run.checkpoints[-1]
    for brought in ((), ((4, published(BOTH[:1], 4)),)):
        again = IncidentEngine(rules_of(BOTH[:1]), CITY, SOURCES, CorrelationRule(provisional_after_ms=0))
        again.restore(last.new_parts, last.live, last.next_offset, last.tick_ms)
        blocks = with_published(blocks_at(4), brought)
        (change,) = again.push(list(enumerate(blocks, start=last.next_offset))).changes
        assert (change.change, change.incident.incident_id) == (Change.CLOSED, run.changes[0].incident.incident_id)


def test_a_new_rule_weighs_claims_from_its_first_tick_on() -> None:
    run = fresh(rules=rules_of(BOTH[:1]))
    run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]))
    run.push(publishing(4, published(BOTH, 4)))
    assert run.changes == []
    (change,) = run.push(blocks_at(6, [claim("camera_smoke", "CAM-1", 5)]))
    assert (change.incident.kind, len(change.incident.evidence)) == ("fire", 1)


def test_decisions_of_operators_outlive_a_switch() -> None:
    run = fresh()
    (opened,) = run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]))
    name = opened.incident.incident_id
    run.push(blocks_at(3, actions=[action(Decision.DISMISS, name, 2.5)]))
    run.push(publishing(4, published((PATIENT,), 4)))
    (stands,) = run.engine.open_incidents()
    assert (stands.incident_id, stands.state, len(stands.actions)) == (name, IncidentState.DISMISSED, 1)


def test_what_new_rules_mute_counts_no_more_and_what_they_do_not_mute_again() -> None:
    """A crash takes the heat of its engine for itself, under one set and not under the next."""
    run = fresh()
    crash = [claim("camera_crash", "CAM-1", 1), claim("camera_crash", "CAM-2", 2, x_m=10)]
    run.push(blocks_at(3, [*crash, claim("heat", "P-1", 2, x_m=30)]))
    assert {one.kind for one in run.engine.open_incidents()} == {"crash", "fire"}
    run.push(publishing(4, published(SETS[3], 4)))
    assert {one.kind for one in run.engine.open_incidents()} == {"crash"}
    run.push(publishing(6, published(BOTH, 6)))
    assert {one.kind for one in run.engine.open_incidents()} == {"crash", "fire"}


def test_the_set_in_force_published_again_changes_nothing() -> None:
    run = fresh()
    run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]))
    assert run.push(publishing(4, published(BOTH, 4))) == []
    assert run.push(publishing(6, published(BOTH, 4))) == []


def test_rules_that_are_kept_stay_whatever_is_published() -> None:
    run = fresh()
    run.engine = IncidentEngine(RULES, CITY, SOURCES, ORDERED, published=None)
    run.push(publishing(4, published(BOTH[:1], 4)))
    run.push(blocks_at(6, [claim("camera_smoke", "CAM-1", 5)]))
    assert [one.incident.rules_version for one in run.changes] == [RULES.version]


def test_a_log_that_begins_later_begins_with_what_was_published_before() -> None:
    before = published(BOTH[:1], -600)
    run = fresh()
    run.engine = IncidentEngine(RULES, CITY, SOURCES, ORDERED, published=[before])
    assert run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)])) == []
    assert run.engine.rules_version == before.version


# --- for any log ----------------------------------------------------------------------------------------------------


@st.composite
def publications(draw: st.DrawFn, until_s: int) -> list[tuple[int, PublishedRules]]:
    """Up to four sets, each brought by a tick before, at or after its time; some brought twice."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        tick_s = draw(st.integers(1, until_s // STEP_S)) * STEP_S
        valid_s = max(0, tick_s + draw(st.sampled_from([-25, -1, 0, 3, 60, 200])))
        one = published(draw(st.sampled_from(SETS)), valid_s, min(valid_s, tick_s))
        found.append((tick_s, one))
        if draw(st.booleans()):
            found.append((min(tick_s + draw(st.integers(0, 20)) * STEP_S, until_s), one))
    return found


@settings(max_examples=15, deadline=None)
@given(arrivals(), st.data())
def test_restarts_and_interleavings_leave_no_trace_of_a_switch(arrived: list[Arrival], data: st.DataObject) -> None:
    """Every block is a place to die at: the next worker goes on from the newest checkpoint, with the city's folder."""
    plain = fresh()
    until_s = LENGTH_S
    plain.push(log_of(arrived, until_s))
    acted = drawn_actions(data, plain.changes, until_s)
    blocks = with_published(log_of(arrived, until_s, acted), data.draw(publications(until_s)))
    rule = data.draw(st.sampled_from([ORDERED, LATE]))
    straight, disturbed, restarted = fresh(rule), fresh(rule), fresh(rule)
    straight.push(blocks)
    disturbed.push(held_back(blocks, data.draw(stalls())))
    assert encoded(disturbed.changes) == encoded(straight.changes)

    cut = data.draw(st.integers(1, len(blocks) - 1))
    restarted.push(blocks[:cut])
    made: list[IncidentChange] = list(restarted.changes)
    again, start = IncidentEngine(RULES, CITY, SOURCES, rule), 0
    if restarted.checkpoints:
        last = restarted.checkpoints[-1]
        again.restore(stored(restarted), last.live, last.next_offset, last.tick_ms)
        start = last.next_offset
    repeated = again.push(list(enumerate(blocks[start:], start=start))).changes
    known = {(one.incident.incident_id, one.incident.revision): one for one in made}
    for one in repeated:
        assert known.setdefault((one.incident.incident_id, one.incident.revision), one) == one
    assert encoded(known.values()) == encoded(straight.changes)


def stored(run: Run) -> dict[str, bytes]:
    """What the topic of checkpoints holds: all parts written, but those dropped."""
    parts: dict[str, bytes] = {}
    for one in run.checkpoints:
        parts = {name: value for name, value in (parts | one.new_parts).items() if name not in one.dropped}
        assert set(one.live) <= parts.keys()
    return parts


@settings(max_examples=15, deadline=None)
@given(arrivals(), st.data())
def test_provisional_incidents_end_also_when_the_rules_change_in_a_stall(
    arrived: list[Arrival], data: st.DataObject
) -> None:
    until_s = LENGTH_S + 400
    blocks = held_back(with_published(log_of(arrived, until_s), data.draw(publications(LENGTH_S))), data.draw(stalls()))
    run = fresh(EARLY)
    run.push(blocks)
    last = last_revisions(run.changes)
    assert all(one.state is IncidentState.WITHDRAWN for one in last.values() if one.provisional)
    revisions: dict[str, int] = {}
    for change in run.changes:
        one = change.incident
        assert one.revision == revisions.get(one.incident_id, 0) + 1
        revisions[one.incident_id] = one.revision


def test_a_provisional_incident_from_before_the_first_tick_ends_though_the_rules_change_with_it() -> None:
    run = fresh(EARLY)
    smoke = claim("camera_smoke", "CAM-1", 1)
    first = with_published(blocks_at(10, [smoke]), [(10, published((PATIENT,), 10))])
    fast = [one for tick_s in (10, 20, 30) for one in (first if tick_s == 10 else blocks_at(tick_s))]
    stalled = SOURCES[0]
    (early,) = run.push([one for one in fast if (one.source_topic, one.source_partition) != stalled])
    assert early.incident.provisional
    run.push([one for one in fast if (one.source_topic, one.source_partition) == stalled])
    last = last_revisions(run.changes)
    assert last[early.incident.incident_id].state is IncidentState.WITHDRAWN
    assert last[last[early.incident.incident_id].merged_into].rules_version == version_of((PATIENT,))


@pytest.mark.parametrize("tick_s", [4, 40])
def test_one_that_comes_after_its_time_counts_from_the_tick_that_brings_it(tick_s: int) -> None:
    run = fresh()
    run.push(blocks_at(2, [claim("camera_smoke", "CAM-1", 1)]))
    run.push([each for at_s in range(3, tick_s) for each in blocks_at(at_s)])
    assert len(run.changes) == 1
    late = published(BOTH[:1], 3)
    (change,) = run.push([*publishing(tick_s, late), block(ACTIONS, tick_s + 1)])
    assert change.tick_ms == T0_MS + tick_s * 1000
