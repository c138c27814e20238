"""Turns of the event loop: slices of the right size, whatever a record costs."""

import time

from hypothesis import given
from hypothesis import strategies as st

from streams.turns import FEWEST, FIRST, MOST, TURN_S, Turns


@given(
    count=st.integers(0, 20_000),
    costs_s=st.lists(st.floats(1e-7, 1e-2), min_size=1, max_size=5),
)
def test_slices_are_all_the_records_in_order_and_within_bounds(count: int, costs_s: list[float]) -> None:
    turns, records = Turns(), range(count)
    taken: list[int] = []
    for number, some in enumerate(turns.of(records)):
        assert 0 < len(some) <= MOST
        taken += some
        turns.took(len(some), len(some) * costs_s[number % len(costs_s)])
        assert FEWEST <= turns.size <= MOST
    assert taken == list(records)


def test_size_follows_the_time_at_once_down_and_step_by_step_up() -> None:
    turns = Turns()
    turns.took(FIRST, FIRST * 0.001)  # a tick a record, a millisecond each
    assert turns.size == 10
    for expected in (20, 40, 80):
        turns.took(turns.size, 0.0)
        assert turns.size == expected
    turns.took(80, 1000 * TURN_S)
    assert turns.size == FEWEST


def test_work_is_measured_and_not_waiting() -> None:
    turns = Turns()
    with turns.timed(FIRST):
        time.sleep(3 * TURN_S)
    assert turns.size == 2 * FIRST
