"""Firm clusters followed change by change, held against the pure function of the whole set."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import canonical, distance_m, hold, order_of
from processors.incidents.holding import Holding
from processors.incidents.rule_model import Rule
from schemas.records import Observation
from tests.processors.incidents.builders import FIRE, LATITUDE_DEG, claim

RULE = FIRE.model_copy(
    update={"within": FIRE.within.model_copy(update={"distance_m": 100, "quiet_s": 20, "lasts_s": 60})}
)


class Held:
    """The clusters that stand, as who uses a Holding keeps them."""

    def __init__(self, rule: Rule) -> None:
        within = rule.within
        self.rule = rule
        self.firm = CellIndex(2 * within.reach_m, within.quiet_s, LATITUDE_DEG)
        self.anchors = CellIndex(within.reach_m, within.lasts_s + within.quiet_s, LATITUDE_DEG)
        self.clusters: dict[str, tuple[Observation, ...]] = {}
        self.looked_at = 0

    def change(self, gone: Iterable[Observation], come: Iterable[Observation]) -> None:
        anchor_of = {one.observation_id: anchor for anchor, members in self.clusters.items() for one in members}
        for one in gone:
            self.firm.remove(one)
        for one in come:
            self.firm.add(one)
        before = dict(self.clusters)
        holding = Holding(
            self.rule, self.firm, self.anchors, self.anchors.empty(), anchor_of.get, lambda name: before.get(name, ())
        )
        followed = holding.follow(gone, come)
        self.looked_at = sum(map(len, followed.values()))
        for anchor_id, members in followed.items():
            old = self.clusters.pop(anchor_id, ())
            if old:
                self.anchors.remove(old[0])
            if members:
                self.clusters[anchor_id] = tuple(members)
                self.anchors.add(members[0])


PLACES = st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 3))


@settings(max_examples=300, deadline=None)
@given(
    places=st.lists(PLACES, min_size=1, max_size=40, unique=True),
    turns=st.lists(st.sets(st.integers(0, 39), max_size=6), min_size=1, max_size=12),
)
def test_any_change_leads_to_the_clusters_of_the_whole_set(
    places: list[tuple[int, int, int]], turns: list[set[int]]
) -> None:
    """Claims 12 m and 2 s apart come and go in any order, so that many are equally near to two anchors."""
    claims = [claim("heat", f"S{x}-{at}-{y}", 2 * at, x_m=12.0 * x, y_m=30.0 * y) for x, at, y in places]
    held, standing = Held(RULE), dict[int, Observation]()
    for turn in turns:
        chosen = {number % len(claims) for number in turn}
        gone = [standing.pop(number) for number in sorted(chosen) if number in standing]
        names = {one.observation_id for one in gone}
        come = [claims[number] for number in sorted(chosen) if claims[number].observation_id not in names]
        standing |= {number: claims[number] for number in chosen if claims[number] in come}
        held.change(gone, come)
        expected = hold(canonical(standing.values()), RULE)
        found = sorted(held.clusters.values(), key=lambda members: order_of(members[0]))
        assert found == sorted((one.members for one in expected), key=lambda members: order_of(members[0]))


def test_a_claim_that_another_of_its_id_replaces_stays_in_its_cluster() -> None:
    first, second = claim("heat", "A", 0), claim("heat", "B", 5, x_m=40)
    held = Held(RULE)
    held.change([], [first, second])
    again = claim("heat", "A", 0)
    held.change([first], [again])
    assert list(held.clusters.values()) == [(again, second)]
    assert held.clusters[again.observation_id][0] is again


def test_one_more_claim_in_a_jammed_city_costs_a_look_around_it() -> None:
    """2,000 claims, each linked to its neighbours, so that links reach from one end to the other."""
    street = [claim("heat", f"S{number}", number % 7, x_m=60.0 * number) for number in range(2_000)]
    held = Held(RULE)
    held.change([], street)
    newest = claim("heat", "N", 15, x_m=60_000)
    held.change([], [newest])
    assert sum(map(len, held.clusters.values())) == 2_001
    assert held.looked_at <= 5
    near = [one for one in street if distance_m(one, newest) <= 200]
    (home,) = (members for members in held.clusters.values() if newest in members)
    assert set(home) - {newest} <= set(near)


@pytest.mark.parametrize("late_s", [1, 19, 21])
def test_a_late_claim_opens_a_cluster_to_those_after_it(late_s: int) -> None:
    """A cluster is silent for 30 s: nobody joins it any more, unless one comes in between, 20 s from both at most."""
    anchor, after = claim("heat", "A", 0), claim("heat", "B", 30, x_m=10)
    held = Held(RULE)
    held.change([], [anchor, after])
    assert len(held.clusters) == 2
    held.change([], [claim("heat", "L", late_s, x_m=5)])
    assert len(held.clusters) == (1 if late_s == 19 else 2)
