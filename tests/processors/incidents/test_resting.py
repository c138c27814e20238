"""Claims at rest, held against a plain list of units."""

from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.incidents import resting
from processors.incidents.clusters import distance_m
from processors.incidents.resting import RestingClaims, Unit
from schemas.records import Observation
from tests.processors.incidents.builders import claim

REACH_M = 120.0

units_of_a_street = st.lists(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(-40, 40), st.integers(-40, 40)), min_size=1, max_size=4
    ),
    max_size=12,
)  # fmt: skip


def units_from(drawn: list[list[tuple[int, int, int]]]) -> list[Unit]:
    """Each claim by a device of its own; the claims of a unit in order, in parts of a hundred seconds."""
    units: list[Unit] = []
    for number, places in enumerate(drawn):
        claims = [
            claim("hard_stop", f"V{number}-{place}", at_s, x_m=10 * x, y_m=10 * y)
            for place, (at_s, x, y) in enumerate(sorted(places))
        ]
        units.append([(one, f"claims/{at_s // 100}") for one, (at_s, _, _) in zip(claims, sorted(places), strict=True)])
    return units


def names(units: list[Unit]) -> set[str]:
    return {one.observation_id for unit in units for one, _ in unit}


@given(units_of_a_street, st.integers(1, 5), st.data())
def test_what_rests_comes_back_whole_and_as_it_was(
    drawn: list[list[tuple[int, int, int]]], most: int, data: st.DataObject
) -> None:
    units = units_from(drawn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resting, "MOST", most)
        patch.setattr(resting, "BLOCK", 2)
        rest = RestingClaims()
        for cut in range(0, len(units), 3):
            rest.put(units[cut : cut + 3])
        left = list(units)
        while left:
            assert len(rest) == sum(map(len, left))
            assert {one.observation_id: one for one in rest} == {one.observation_id: one for u in left for one, _ in u}
            one, part = data.draw(st.sampled_from(data.draw(st.sampled_from(left))))
            assert rest.get(one.observation_id) == one
            assert rest.first_ms() is not None
            how = data.draw(st.sampled_from(["name", "part", "around", "before"]))
            taken = taken_out(rest, how, one, part)
            assert all(unit in left for unit in taken)
            must = [unit for unit in left if has_to_come(unit, how, one, part)]
            assert names(must) <= names(taken)
            if how in ("part", "before"):
                assert names(taken) == names(must)
            left = [unit for unit in left if unit not in taken]
        assert rest.first_ms() is None


def taken_out(rest: RestingClaims, how: str, one: Observation, part: str) -> list[Unit]:
    if how == "name":
        return rest.take_named(one)
    if how == "part":
        return rest.take_part(part)
    if how == "before":
        return rest.take_before(one.at_ms + 1)
    return rest.take_around(one, REACH_M, one.at_ms - 30_000, one.at_ms + 30_000)


def has_to_come(unit: Unit, how: str, one: Observation, part: str) -> bool:
    if how == "name":
        return one.observation_id in names([unit])
    if how == "part":
        return any(own == part for _, own in unit)
    if how == "before":
        return unit[-1][0].at_ms <= one.at_ms
    return any(
        abs(other.at_ms - one.at_ms) <= 30_000 and distance_m(other, one) <= REACH_M for other, _ in unit
    )  # fmt: skip


def test_what_belongs_to_a_subject_is_found_wherever_it_is() -> None:
    near, far = claim("moved_on", "B1", 10), claim("moved_on", "B1", 20, x_m=40_000)
    other = claim("moved_on", "B2", 10)
    rest = RestingClaims(attrgetter("device_id"))
    rest.put([[(one, "claims/1")] for one in (near, far, other)])
    assert rest.take_around(replace(near, at_ms=near.at_ms + 1), 1.0, near.at_ms, far.at_ms) == [
        [(near, "claims/1")],
        [(far, "claims/1")],
    ]
    assert list(rest) == [other]


def test_a_claim_at_rest_takes_less_than_a_hundred_bytes() -> None:
    rest = RestingClaims()
    claims = [
        claim("hard_stop", f"taxi-{n:06d}", n / 300, x_m=n * 37 % 20_011, y_m=n * 91 % 20_011) for n in range(4096)
    ]
    rest.put([[(one, "claims/1")] for one in claims])
    (shelf,) = rest._shelves
    columns = (
        shelf.at_ms,
        shelf.square,
        shelf.by_square,
        shelf.name,
        shelf.part,
        shelf.unit,
        shelf.here,
        shelf.latest_ms,
    )
    assert sum(map(len, shelf.pieces)) + sum(column.nbytes for column in columns) < 100 * len(claims)
