"""What lies near single points: the answer is that of measuring every segment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import nearby
from processors.geo import Segments
from processors.nearby import Nearby

LENGTH = st.floats(-900.0, 900.0)
SEGMENTS = st.lists(st.tuples(LENGTH, LENGTH, LENGTH | st.just(0.0), LENGTH | st.just(0.0)), max_size=30)
ON_A_BORDER = st.integers(-4, 4).map(lambda side: side * nearby.SIDE_M)


def segments(sides: list[tuple[float, float, float, float]]) -> Segments:
    columns = np.array(sides, np.float64).reshape(-1, 4).T
    return Segments(*np.ascontiguousarray(columns))


@settings(max_examples=200, deadline=None)
@given(SEGMENTS, st.lists(st.tuples(LENGTH | ON_A_BORDER, LENGTH | ON_A_BORDER, st.floats(1.0, 500.0)), min_size=1))
def test_what_is_near_is_what_measuring_every_segment_finds(
    sides: list[tuple[float, float, float, float]], asked: list[tuple[float, float, float]]
) -> None:
    every = segments(sides)
    around = Nearby(every)
    for x_m, y_m, reach_m in asked:
        distance_m, share = every.project(np.arange(len(sides)), x_m, y_m)
        near = distance_m <= reach_m
        items, found_m, passed = around.within(x_m, y_m, reach_m)
        assert items.tolist() == np.flatnonzero(near).tolist()
        assert found_m.tolist() == distance_m[near].tolist()
        assert passed.tolist() == share[near].tolist()


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "MOST_KEPT", 3)
    around = Nearby(segments([(0.0, 0.0, 100.0, 0.0)]))
    for step in range(50):
        items, _, _ = around.within(step * nearby.SIDE_M, 10.0, 150.0)
        assert items.tolist() == ([0] if step == 0 or step * nearby.SIDE_M <= 250 else [])
        assert len(around._kept) <= 3
