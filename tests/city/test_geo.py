import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.geo import EARTH_RADIUS_M, Plane, Segments, first_of_group, haversine_m, spread


def test_haversine_quarter_of_the_globe_and_one_degree() -> None:
    assert float(haversine_m(0.0, 0.0, 0.0, 90.0)) == pytest.approx(EARTH_RADIUS_M * math.pi / 2)
    assert float(haversine_m(20.0, 105.0, 21.0, 105.0)) == pytest.approx(EARTH_RADIUS_M * math.pi / 180)
    assert float(haversine_m(21.0, 105.8, 21.0, 105.8)) == 0.0


@given(st.floats(20.5, 21.4), st.floats(105.3, 106.0), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_plane_distances_agree_with_the_sphere(
    latitude_deg: float, longitude_deg: float, north_deg: float, east_deg: float
) -> None:
    plane = Plane(20.965, 105.655)
    x_m, y_m = plane.xy(
        np.array([latitude_deg, latitude_deg + north_deg]), np.array([longitude_deg, longitude_deg + east_deg])
    )
    flat_m = math.hypot(x_m[1] - x_m[0], y_m[1] - y_m[0])
    sphere_m = float(haversine_m(latitude_deg, longitude_deg, latitude_deg + north_deg, longitude_deg + east_deg))
    assert flat_m == pytest.approx(sphere_m, rel=0.004, abs=0.01)


def test_plane_there_and_back() -> None:
    plane = Plane(21.0, 105.8)
    x_m, y_m = plane.xy(21.03, 105.85)
    assert plane.degrees(float(x_m), float(y_m)) == pytest.approx((21.03, 105.85))


@pytest.mark.parametrize(
    ("x_m", "y_m", "distance_m", "share"),
    [(5.0, 3.0, 3.0, 0.5), (-3.0, 4.0, 5.0, 0.0), (13.0, -4.0, 5.0, 1.0), (10.0, 0.0, 0.0, 1.0)],
)
def test_project_on_a_segment_of_ten_metres(x_m: float, y_m: float, distance_m: float, share: float) -> None:
    segment = Segments(np.array([0.0]), np.array([0.0]), np.array([10.0]), np.array([0.0]))
    away_m, passed = segment.project(np.array([0]), np.array([x_m]), np.array([y_m]))
    assert (float(away_m[0]), float(passed[0])) == pytest.approx((distance_m, share))


def test_project_on_a_point() -> None:
    point = Segments(np.array([1.0]), np.array([1.0]), np.array([0.0]), np.array([0.0]))
    away_m, passed = point.project(np.array([0]), np.array([4.0]), np.array([5.0]))
    assert (float(away_m[0]), float(passed[0])) == (5.0, 0.0)


def test_a_point_among_points_is_projected_on_as_one_among_segments() -> None:
    x_m, y_m = np.array([1.1, 7.3, 5.0]), np.array([2.2, -4.1, 0.0])
    to_x_m, to_y_m = np.array([0.0, 0.0, 3.0]), np.zeros(3)
    points, mixed = Segments(x_m[:2], y_m[:2], to_x_m[:2], to_y_m[:2]), Segments(x_m, y_m, to_x_m, to_y_m)
    assert (points.are_points, mixed.are_points) == (True, False)
    items, at = np.array([0, 1, 1]), (np.array([3.7, 3.7, -0.3]), np.array([0.1, 0.1, 9.9]))
    for one, other in zip(points.project(items, *at), mixed.project(items, *at), strict=True):
        assert one.tolist() == other.tolist()


def test_spread_lists_ranges() -> None:
    rows, items = spread(np.array([7, 0, 3]), np.array([2, 0, 3]))
    assert rows.tolist() == [0, 0, 2, 2, 2]
    assert items.tolist() == [7, 8, 3, 4, 5]


def test_first_of_group_takes_the_first_of_equals() -> None:
    values = np.array([2.0, 1.0, 5.0, 4.0, 4.0])
    assert first_of_group(values, np.array([0, 0, 1, 1, 1]), np.array([2, 3])).tolist() == [1, 3]
