import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.batches import FloatArray, IntArray
from processors.geo import Segments, points_as_segments
from processors.network import Bounds
from processors.squares import MOST_SQUARES, NearSegments, Squares, squares_of

SQUARES = Squares(-1_000.0, -1_000.0, 100.0, 20, 20)


def test_places_number_squares_row_by_row_and_parts_within_them() -> None:
    x_m = np.array([-1_000.0, -801.0, -1_000.0, 999.9, 1_000.0, -1_000.1, 0.0])
    y_m = np.array([-1_000.0, -1_000.0, -874.0, 999.9, 0.0, 0.0, 1_000.0])
    square, part = SQUARES.places(x_m, y_m)
    assert square.tolist() == [0, 1, 20, 399, 400, 400, 400]
    assert part.tolist() == [0, 3, 4, 15, 0, 0, 0]


def test_middles_lie_in_their_squares() -> None:
    number = np.arange(SQUARES.beyond)
    assert (SQUARES.places(*SQUARES.middles(number))[0] == number).all()


def test_squares_of_a_wide_rectangle_are_larger() -> None:
    bounds = Bounds(8.0, 102.0, 23.5, 109.5)
    squares = squares_of(bounds, bounds.plane())
    assert squares.square_m > 100.0
    assert squares.beyond <= MOST_SQUARES * 1.01
    corner = bounds.plane().xy(np.array([23.4999, 8.0001]), np.array([109.4999, 102.0001]))
    assert (squares.places(*corner)[0] < squares.beyond).all()


def first_nearest(segments: Segments, x_m: FloatArray, y_m: FloatArray, reach_m: float) -> list[tuple[int, str]]:
    """Measure every segment from every point."""
    found = []
    for px_m, py_m in zip(x_m, y_m, strict=True):
        away_m, share = segments.project(np.arange(len(segments.x_m)), np.array(px_m), np.array(py_m))
        best = int(np.argmin(away_m))
        near = away_m[best] <= reach_m
        found.append((best, f"{away_m[best].hex()} {share[best].hex()}") if near else (-1, ""))
    return found


def listed_nearest(near: NearSegments, squares: Squares, x_m: FloatArray, y_m: FloatArray) -> list[tuple[int, str]]:
    square, part = squares.places(x_m, y_m)
    block = near.blocks(square)
    row: IntArray = np.flatnonzero(block >= 0)
    found = near.nearest(row, block[row], part[row], x_m[row], y_m[row])
    answers = [(-1, "")] * len(x_m)
    for at, segment, away_m, share in zip(found.row, found.segment, found.distance_m, found.share, strict=True):
        answers[at] = (int(segment), f"{away_m.hex()} {share.hex()}")
    return answers


coordinate = st.integers(-26, 26).map(lambda number: number * 50.0) | st.floats(-1_300, 1_300)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), min_size=1, max_size=12),
    st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=30),
    st.sampled_from([20.0, 60.0, 250.0]),
)
def test_the_nearest_segment_within_reach_is_found_bit_by_bit(
    segments: list[tuple[float, float, float, float]], points: list[tuple[float, float]], reach_m: float
) -> None:
    x_m, y_m, to_x_m, to_y_m = np.array(segments).T
    some = Segments(x_m, y_m, to_x_m - x_m, to_y_m - y_m)
    px_m, py_m = np.ascontiguousarray(np.array(points).T)
    near = NearSegments(some, reach_m, SQUARES)
    assert listed_nearest(near, SQUARES, px_m, py_m) == first_nearest(some, px_m, py_m, reach_m)


def test_points_are_segments_of_no_length_and_equals_go_to_the_first() -> None:
    some = points_as_segments(np.array([0.0, 100.0, 0.0, 5_000.0]), np.array([0.0, 0.0, 0.0, 0.0]))
    near = NearSegments(some, 60.0, SQUARES)
    x_m, y_m = np.array([10.0, 60.0, 50.0, 100.0, 5_001.0]), np.array([0.0, 0.0, 0.0, 61.0, 0.0])
    assert [answer for answer, _ in listed_nearest(near, SQUARES, x_m, y_m)] == [0, 1, 0, -1, 3]


def test_nothing_is_near_in_an_empty_index() -> None:
    near = NearSegments(points_as_segments(np.empty(0), np.empty(0)), 60.0, SQUARES)
    assert near.blocks(np.array([0, 5, SQUARES.beyond])).tolist() == [-1, -1, -1]
