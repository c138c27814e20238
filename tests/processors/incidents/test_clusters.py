"""The pure function, and the incremental evaluator held against it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.incidents import at_rest
from processors.incidents.cells import CellIndex, component
from processors.incidents.claim_parts import ClaimParts
from processors.incidents.clusters import Cluster, canonical, conclude, distance_m, firm_linked, gather
from processors.incidents.conditions import Conditions
from processors.incidents.leftovers import Leftovers
from processors.incidents.parties import Told
from processors.incidents.rule_model import Rule
from processors.incidents.standing import StandingClaims
from schemas.records import Observation
from tests.processors.incidents.builders import CITY, CRASH, FIRE, LANGUAGE, LATITUDE_DEG, T0_MS, claim, judged_plainly

RULES = [CRASH, FIRE]
KINDS = ("camera_crash", "impact_sound", "hard_stop", "stationary_vehicle", "camera_smoke", "fire_alarm")
STREET_KINDS = ("stationary_vehicle", "hard_stop", "moved_on", "right_way", "noise_high", "explosion_located")


def ids(clusters: Sequence[Cluster]) -> list[list[str]]:
    return [[one.device_id for one in cluster.members] for cluster in clusters]


def test_conclude_joins_the_nearest_cluster() -> None:
    west, east = claim("camera_smoke", "W", 0, x_m=0), claim("camera_smoke", "E", 1, x_m=300)
    between = claim("heat", "M", 2, x_m=190)
    assert ids(conclude([between, east, west], FIRE)) == [["W"], ["E", "M"]]


def test_conclude_starts_anew_after_quiet_and_after_long() -> None:
    assert len(conclude([claim("heat", "A", 0), claim("smoke", "B", 300)], FIRE)) == 1
    assert len(conclude([claim("heat", "A", 0), claim("smoke", "B", 300.001)], FIRE)) == 2
    short = FIRE.model_copy(update={"within": FIRE.within.model_copy(update={"lasts_s": 300})})
    steady = [claim("heat", f"A{at}", at) for at in range(0, 601, 100)]
    assert ids(conclude(steady, short)) == [["A0", "A100", "A200", "A300"], ["A400", "A500", "A600"]]


def test_conclude_does_not_let_passing_claims_prolong() -> None:
    crash = claim("camera_crash", "CAM", 100)
    stops = [claim("hard_stop", f"V{at}", at) for at in (30, 50, 390, 401)]
    assert ids(conclude([crash, *stops], CRASH)) == [["V30"], ["V50", "CAM", "V390"], ["V401"]]


def test_conclude_gathers_passing_claims_around_their_first() -> None:
    claims = [claim("hard_stop", "A", 0), claim("hard_stop", "B", 40, x_m=30), claim("hard_stop", "C", 61, x_m=30)]
    assert ids(conclude(claims, CRASH)) == [["A", "B"], ["C"]]


def test_distance_is_the_same_both_ways() -> None:
    a, b = claim("heat", "A", 0, x_m=123.4, y_m=-56.7), claim("heat", "B", 0, x_m=-999.9, y_m=801.3)
    assert distance_m(a, b) == distance_m(b, a)
    assert abs(distance_m(a, b) - 1413.4) < 1


claims_of_a_few_minutes = st.lists(
    st.builds(
        lambda kind, device, at_s, x, y: claim(kind, f"{kind}-{device}", at_s / 4, x_m=x * 20, y_m=y * 20),
        st.sampled_from(KINDS),
        st.integers(0, 4),
        st.integers(0, 4 * 1500),
        st.integers(-40, 40),
        st.integers(-3, 3),
    ),
    max_size=40,
    unique_by=lambda one: one.observation_id,
)


claims_around_a_scene = st.lists(
    st.builds(
        lambda kind, device, at_s, x: claim(kind, f"{device}", at_s, x_m=x * 25, score=0.9),
        st.sampled_from(("camera_crash", "hard_stop", "stationary_vehicle", "hard_stop", "stationary_vehicle")),
        st.integers(0, 4),
        st.one_of(st.integers(0, 15), st.integers(0, 90).map(lambda tens: tens * 10)),
        st.integers(-9, 9),
    ),
    min_size=10,
    max_size=40,
    unique_by=lambda one: one.observation_id,
)


claims_of_a_street = st.lists(
    st.builds(
        lambda kind, device, at_s, x, way: replace(
            claim(kind, f"B{device}", at_s, x_m=x * 25, score=0.9),
            line_id="09A",
            direction_id=way,
            line_offset_m=max(-1.0, x * 30.0 + 100),
            subject=("", "Z-1", "Z-2")[device % 3],
            vehicle_class=("BUS", "TAXI", "UNKNOWN", "BUS")[device % 4],
        ),
        st.sampled_from(
            ("stationary_vehicle", "hard_stop", "moved_on", "right_way", "noise_high", "explosion_located")
        ),
        st.integers(0, 4),
        st.one_of(st.integers(40, 80), st.integers(0, 100).map(lambda tens: tens * 10)),
        st.integers(-6, 6),
        st.integers(-1, 1),
    ),
    min_size=5,
    max_size=40,
    unique_by=lambda one: one.observation_id,
)


@given(claims_of_a_few_minutes, st.randoms(), st.sampled_from(RULES))
def test_conclude_depends_on_the_set_alone(claims: list[Observation], random: object, rule: Rule) -> None:
    shuffled = list(claims)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert conclude(shuffled, rule) == conclude(claims, rule)


@given(claims_of_a_few_minutes, st.sampled_from(RULES), st.data())
def test_a_whole_cluster_leaves_without_moving_the_others(
    claims: list[Observation], rule: Rule, data: st.DataObject
) -> None:
    clusters = conclude(claims, rule)
    if clusters:
        gone = data.draw(st.sampled_from(clusters))
        rest = [one for one in claims if one not in gone.members]
        assert conclude(rest, rule) == [cluster for cluster in clusters if cluster is not gone]


@given(claims_of_a_few_minutes)
def test_a_component_is_all_that_links_reach(claims: list[Observation]) -> None:
    index = CellIndex(2 * FIRE.within.reach_m, FIRE.within.quiet_s, LATITUDE_DEG + 1)
    for one in claims:
        index.add(one)
    for one in claims:
        reached = {one.observation_id}
        todo = [one]
        while todo:
            at = todo.pop()
            fresh = [c for c in claims if c.observation_id not in reached and firm_linked(at, c, FIRE)]
            reached |= {each.observation_id for each in fresh}
            todo += fresh
        assert component([index], [one], lambda a, b: firm_linked(a, b, FIRE)).keys() == reached


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.tuples(claims_of_a_few_minutes, st.sampled_from(RULES)),
        st.tuples(claims_around_a_scene, st.just(CRASH)),
        st.tuples(claims_of_a_street, st.sampled_from(LANGUAGE.rules)),
    ),
    st.data(),
)
def test_incremental_clusters_equal_the_whole_set(drawn: tuple[list[Observation], Rule], data: st.DataObject) -> None:
    """Any order of arrival, withdrawals, repeats and claims made again; at any tick."""
    claims, rule = drawn
    conditions, tick_ms, steps_left = Conditions(rule, CITY), T0_MS, 3
    standing: dict[str, Observation] = {}
    claimed: list[Observation] = []
    waiting = list(data.draw(st.permutations(claims)))
    incremental = StandingClaims(rule, conditions, LATITUDE_DEG + 1)
    before: dict[str, Told] = {}
    while waiting or steps_left:
        steps_left -= not waiting
        tick_ms += data.draw(st.sampled_from([0, 1, 60, 120, 300])) * 1000
        step = [waiting.pop() for _ in range(min(len(waiting), data.draw(st.integers(1, 5))))]
        claimed += step
        again = st.lists(st.sampled_from(claimed), max_size=2) if claimed else st.just([])
        step += data.draw(again)
        step += [replace(one, withdrawn=True) for one in data.draw(again)]
        for one in step:
            if one.withdrawn:
                standing.pop(one.observation_id, None)
            elif conditions.weigh(one) or conditions.end(one):
                standing[one.observation_id] = one
        region = incremental.apply(step, T0_MS, tick_ms)
        assert dict(incremental.standing) == standing
        evidence = {name: one for name, one in standing.items() if conditions.weigh(one)}
        whole = conclude(evidence.values(), rule)
        assert {tuple(incremental.members_of(name)) for name in evidence} == {cluster.members for cluster in whole}
        judged = [
            (cluster, verdict)
            for cluster in whole
            if (verdict := judged_plainly(cluster, rule, standing.values(), tick_ms)) is not None
        ]
        assert [(each.cluster, each.verdict) for each in incremental.told()] == judged
        now = {each.last_id: each for each in incremental.told()}
        assert sorted(now) == sorted({each.last_id for name in standing if (each := incremental.told_of(name))})
        told = {} if region is None else {each.last_id: each for each in region.told}
        touched = frozenset() if region is None else region.touched
        assert told.items() <= now.items()
        assert {name: each for name, each in now.items() if name not in told}.items() <= before.items()
        assert all(each.evidence_ids <= touched for name, each in before.items() if now.get(name) != each)
        before = now


claims_with_endings = st.lists(
    st.builds(
        lambda kind, device, at_s, x: claim(kind, f"{device}", at_s, x_m=x * 25, score=0.9),
        st.sampled_from(
            ("camera_crash", "hard_stop", "stationary_vehicle", "hard_stop", "stationary_vehicle", "moved_on")
        ),
        st.integers(0, 4),
        st.one_of(st.integers(0, 60), st.integers(0, 90).map(lambda tens: tens * 10)),
        st.integers(-9, 9),
    ),
    min_size=10,
    max_size=40,
    unique_by=lambda one: one.observation_id,
)


def resting_at_once(rule: Rule, lateness_ms: int, awake_ms: int) -> StandingClaims:
    """Claims that rest as soon as they are so old, however few there are."""
    claims = StandingClaims(rule, Conditions(rule, CITY), LATITUDE_DEG + 1, lateness_ms)
    claims.parts._part_claims = 1
    claims._rest.left_awake_ms = claims._rest.ended_awake_ms = awake_ms
    return claims


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.tuples(claims_with_endings, st.just(CRASH)), st.tuples(claims_of_a_street, st.sampled_from(LANGUAGE.rules))
    ),
    st.sampled_from([0, 20_000, 75_000]),
    st.data(),
)
def test_what_nothing_late_can_change_may_go_and_rests_before_it_goes(
    drawn: tuple[list[Observation], Rule], awake_ms: int, data: st.DataObject
) -> None:
    """Claims come and are taken back up to 60 s late; the incidents are those of evaluators that forget nothing."""
    claims, rule = drawn
    lateness_ms = 60_000
    thrifty, plain = resting_at_once(rule, lateness_ms, awake_ms), StandingClaims(rule, Conditions(rule, CITY), 22.03)
    log: list[tuple[int, Observation]] = []
    for one in claims:
        late_ms = sorted(data.draw(st.lists(st.integers(0, lateness_ms), min_size=1, max_size=2)))
        log += [(one.at_ms + each, replace(one, withdrawn=bool(gone))) for gone, each in enumerate(late_ms)]
    stored: dict[str, bytes] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(at_rest, "REST_FEWEST", 1)
        patch.setattr(at_rest, "REST_EVERY_MS", 1_000)
        for tick_ms in range(T0_MS, T0_MS + 1_700_000, 10_000):
            due = [one for at_ms, one in log if tick_ms - 10_000 < at_ms <= tick_ms]
            due = [one for one in due if one.at_ms >= tick_ms - lateness_ms]
            for each in (thrifty, plain):
                each.apply(due, T0_MS - 1, tick_ms)
                each.forget(T0_MS - 1)
            stored |= thrifty.seal(f"claims/{tick_ms}")
            assert thrifty.told() == plain.told()
            assert thrifty.standing.items() <= plain.standing.items()
            kept = ClaimParts(part_claims=1).restore(thrifty.parts.state(), stored)
            assert canonical(kept) == canonical(thrifty.standing.values())
            assert {one.observation_id: one for one in thrifty.standing.values()} == dict(thrifty.standing)
    clusters = [thrifty.members_of(one) for one in thrifty.standing if thrifty.told_of(one) is None]
    assert all(any(not rule.is_passing(one.kind) for one in members) for members in clusters if members)


passing_claims_of_one_junction = st.lists(
    st.builds(
        lambda device, at_s, x, y: claim("hard_stop", f"V-{device}", at_s, x_m=x * 10, y_m=y * 10),
        st.integers(0, 30),
        st.integers(0, 240),
        st.integers(-9, 9),
        st.integers(-4, 4),
    ),
    min_size=10,
    max_size=40,
    unique_by=lambda one: one.observation_id,
)


@settings(max_examples=150, deadline=None)
@given(passing_claims_of_one_junction, st.data())
def test_leftovers_are_gathered_whatever_comes_and_goes_when(claims: list[Observation], data: st.DataObject) -> None:
    left = Leftovers(CRASH, LATITUDE_DEG + 1)
    there: dict[str, Observation] = {}
    for step in data.draw(st.lists(st.lists(st.sampled_from(claims), max_size=8), max_size=12)) if claims else []:
        for one in step:
            if there.pop(one.observation_id, None) is None:
                there[one.observation_id] = one
                left.add(one)
            else:
                left.remove(one)
        left.settle()
        groups = {tuple(group.members) for name in there if (group := left.group_of(name)) is not None}
        assert groups == {cluster.members for cluster in gather(canonical(there.values()), CRASH)}


@pytest.mark.parametrize("side", [-1, 1])
def test_of_two_groups_equally_near_the_first_takes_a_claim(side: int) -> None:
    middle = replace(claim("hard_stop", "M", 2), longitude_deg=105.75)
    first = replace(claim("hard_stop", "A", 0), longitude_deg=105.75 + side * 2**-12)
    second = replace(claim("hard_stop", "B", 1), longitude_deg=105.75 - side * 2**-12)
    assert distance_m(middle, first) == distance_m(middle, second)
    for order in permutations((first, middle, second)):
        left = Leftovers(CRASH, LATITUDE_DEG + 1)
        for one in order:
            left.add(one)
            left.settle()
        group = left.group_of(middle.observation_id)
        assert group is not None
        assert group.members == [first, middle]


def gather_plainly(left: list[Observation], rule: Rule) -> list[list[str]]:
    """Compare every claim with the first claims of all groups."""
    passing = rule.passing
    assert passing is not None
    groups: list[list[Observation]] = []
    for one in left:
        able = [group for group in groups if one.at_ms - group[0].at_ms <= passing.quiet_s * 1000]
        near = [group for group in able if distance_m(one, group[0]) <= passing.reach_m]
        if near:
            min(near, key=lambda group: distance_m(one, group[0])).append(one)
        else:
            groups.append([one])
    return [[one.observation_id for one in group] for group in groups]


@given(claims_of_a_few_minutes)
def test_gather_compares_with_every_group_that_is_near(claims: list[Observation]) -> None:
    left = [one for one in canonical(claims) if CRASH.is_passing(one.kind)]
    found = [[one.observation_id for one in cluster.members] for cluster in gather(left, CRASH)]
    assert found == gather_plainly(left, CRASH)
