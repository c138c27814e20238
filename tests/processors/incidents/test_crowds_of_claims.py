"""Stories that ask for a number of claims and nothing else, held against their plain definition."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.incidents.clusters import Cluster, canonical, distance_m
from processors.incidents.crowds import Crowd, Nearness, Track
from processors.incidents.rule_model import Rule, Story
from schemas.records import Observation
from tests.processors.incidents.builders import HANOI_RULES, claim, judged_plainly

CONGESTION = next(rule for rule in HANOI_RULES.rules if rule.id == "congestion")
CLAIMS = st.tuples(
    st.integers(0, 12),
    st.integers(0, 1_000),
    st.integers(0, 80),
    st.integers(-1, 1),
    st.sampled_from(["", "09A", "32"]),
)


def plainly_told(claims: list[Observation], rule: Rule) -> set[str]:
    """Ids of the claims near one near which enough witnesses claim."""
    told: set[str] = set()
    for story in (*rule.suspected.any_of, *rule.confirmed.any_of):
        ((_, count),) = story.claims.items()
        for centre in claims:
            near = [one for one in claims if is_near(one, centre, story)]
            if len({one.witness_id for one in near}) >= count:
                told |= {one.observation_id for one in near}
    return told


def is_near(one: Observation, other: Observation, story: Story) -> bool:
    reach_m = story.distance_m or 0.0
    if abs(one.at_ms - other.at_ms) > story.apart_s * 1000:
        return False
    same_way = one.line_id == other.line_id != "" and one.direction_id == other.direction_id >= 0
    if story.along and same_way and min(one.line_offset_m, other.line_offset_m) >= 0:
        return abs(one.line_offset_m - other.line_offset_m) <= reach_m
    return distance_m(one, other) <= reach_m


@settings(max_examples=200, deadline=None)
@given(made=st.lists(CLAIMS, min_size=2, max_size=25, unique=True))
def test_a_jam_is_told_of_by_whoever_is_near_enough_of_them(made: list[tuple[int, int, int, int, str]]) -> None:
    claims = canonical(
        replace(
            claim("slow_progress", f"B{device}", 15.0 * at, x_m=float(x), score=0.9),
            observation_id=f"o-{number:02d}",
            direction_id=way,
            line_id=line_id,
            line_offset_m=float(x) if x % 3 else -1.0,
        )
        for number, (device, x, at, way, line_id) in enumerate(made)
    )
    verdict = judged_plainly(Cluster(tuple(claims)), CONGESTION, claims, claims[-1].at_ms + 1_000)
    expected = plainly_told(claims, CONGESTION)
    found = {one.observation_id for one in verdict.evidence} if verdict is not None else set()
    assert found == expected


@settings(max_examples=200, deadline=None)
@given(
    made=st.lists(CLAIMS, min_size=2, max_size=25, unique=True),
    looks=st.lists(st.sets(st.integers(0, 24)), min_size=1, max_size=6),
    data=st.data(),
)
def test_what_a_crowd_kept_changes_nothing_of_what_it_tells(
    made: list[tuple[int, int, int, int, str]], looks: list[set[int]], data: st.DataObject
) -> None:
    claims = [
        replace(claim("slow_progress", f"B{device}", 15.0 * at, x_m=float(x)), observation_id=f"o-{number:02d}")
        for number, (device, x, at, _, _) in enumerate(made)
    ]
    nearness = Nearness(data.draw(st.sampled_from([100.0, 400.0])), along=False, same_direction=False)
    kept = Crowd(nearness, 300_000, 3)
    for gone in looks:
        some = canonical(one for number, one in enumerate(claims) if number not in gone)
        told = kept.part(Track(some))
        assert list(told) == list(Crowd(nearness, 300_000, 3).part(Track(some)))
        around = {one.observation_id: _around(one, some, nearness) for one in some}
        enough = {name for name, near in around.items() if len({one.witness_id for one in near}) >= 3}
        expected = [one for one in some if any(each.observation_id in enough for each in around[one.observation_id])]
        assert list(told) == expected


def _around(centre: Observation, claims: list[Observation], nearness: Nearness) -> list[Observation]:
    return [one for one in claims if abs(one.at_ms - centre.at_ms) <= 300_000 and nearness.holds(one, centre)]


def test_a_crowd_that_only_grows_tells_each_time_what_a_new_one_would() -> None:
    nearness = Nearness(120.0, along=True, same_direction=False)
    chance = random.Random(5)
    kept, claims = Crowd(nearness, 60_000, 4), list[Observation]()
    parts = set()
    for number in range(300):
        one = claim("slow_progress", f"B{number % 40}", chance.uniform(0, 900), x_m=chance.uniform(0, 3_000))
        claims.append(replace(one, observation_id=f"o-{number}"))
        track = Track(canonical(claims))
        told = kept.part(track)
        assert list(told) == list(Crowd(nearness, 60_000, 4).part(track))
        parts.add(len(told) * 4 // len(claims))
    assert len(parts) >= 3


@pytest.mark.parametrize(("witnesses", "known"), [(2, False), (3, True)])
def test_one_who_claims_twice_is_one(witnesses: int, known: bool) -> None:
    claims = [claim("slow_progress", f"B{number}", 10.0 * number, x_m=50.0 * number) for number in range(witnesses)]
    claims.append(claim("slow_progress", "B0", 40.0, x_m=20))
    verdict = judged_plainly(Cluster(tuple(canonical(claims))), CONGESTION, claims, claims[-1].at_ms)
    assert (verdict is not None) == known
