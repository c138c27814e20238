"""Coverage: cones over a straight street see exactly so many metres of it."""

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.areas import power_diagram
from processors.city import Bounds, City, Line, Unit, Venue, load_city, pattern_along
from processors.coverage import UNKNOWN_RANGE_M, Views, cover, plane_of, seen_by, views_of, works
from processors.coverage_map import colour_of, coverage_svg
from processors.enrolment import of_package
from schemas.records import DeviceKind, DeviceRegistration

HANOI = Path(__file__).parents[2] / "cities" / "hanoi"
NOW_MS = 1_790_000_000_000
SOUTH_DEG, WEST_DEG = 20.9, 105.7
MIDDLE_DEG = 21.0
PLANE = Bounds(SOUTH_DEG, WEST_DEG, 21.1, 105.9).plane()


def place(east_m: float, north_m: float) -> tuple[float, float]:
    """A place so far from the west end of the street."""
    return PLANE.degrees(-500.0 + east_m, north_m)


def city(*venues: Venue) -> City:
    """One street of a kilometre from west to east, which two lines run along and one of them back."""
    ends = np.array([place(0, 0), place(1_000, 0)]).T
    there = pattern_along(0, ends[0], ends[1], {})
    back = pattern_along(1, ends[0][::-1].copy(), ends[1][::-1].copy(), {})
    return City(
        name="Street",
        version="1",
        time_zone="UTC",
        bounds=Bounds(SOUTH_DEG, WEST_DEG, 21.1, 105.9),
        lines=(Line("A", "A", "bus", "", (), (there, back)), Line("B", "B", "bus", "", (), (there,))),
        venues=venues,
    )


def camera(east_m: float, north_m: float = 0.0, **fields: Any) -> DeviceRegistration:
    latitude_deg, longitude_deg = place(east_m, north_m)
    values = {"device_id": f"cam-{east_m}-{north_m}", **fields}
    return DeviceRegistration(
        registered_at_ms=0, latitude_deg=latitude_deg, longitude_deg=longitude_deg, kind=DeviceKind.CAMERA, **values
    )


def seen_m(*cameras: DeviceRegistration) -> float:
    return cover(city(), cameras).whole.street_seen_m


def test_a_street_of_several_lines_counts_once() -> None:
    whole = cover(city(), []).whole
    assert whole.street_m == pytest.approx(1_000)
    assert (whole.street_seen_m, whole.street_share) == (0, 0)


@pytest.mark.parametrize(
    ("view", "metres"),
    [
        ({"bearing_deg": 90, "view_deg": 60, "range_m": 100}, 100),  # along the street, eastwards
        ({"bearing_deg": 270, "view_deg": 60, "range_m": 100}, 100),
        ({"bearing_deg": 0, "view_deg": 60, "range_m": 100}, 0),  # across it: only the pole's own point
        ({"bearing_deg": 0, "view_deg": 180, "range_m": 100}, 200),  # an edge on the street sees it
        ({"bearing_deg": 0, "view_deg": 360, "range_m": 100}, 200),
        ({"range_m": 100}, 200),  # nobody told where it looks
        ({}, 2 * UNKNOWN_RANGE_M),
        ({"bearing_deg": 90, "view_deg": 60}, UNKNOWN_RANGE_M),
    ],
)
def test_a_camera_at_the_street_sees_so_many_metres(view: dict[str, int], metres: float) -> None:
    assert seen_m(camera(500, **view)) == pytest.approx(metres, abs=0.5)


def test_a_cone_from_the_side_sees_what_it_cuts_out_of_the_street() -> None:
    aside = camera(500, -100, bearing_deg=0, view_deg=90, range_m=1_000)
    assert seen_m(aside) == pytest.approx(200, abs=5.0)  # 100 m to either side of the foot, in steps of 5 m
    short = camera(500, -100, bearing_deg=0, view_deg=90, range_m=110)
    assert seen_m(short) == pytest.approx(2 * math.sqrt(110**2 - 100**2), abs=5.0)
    assert seen_m(camera(500, -100, bearing_deg=180, view_deg=90, range_m=1_000)) == 0


def test_what_several_cameras_see_counts_once() -> None:
    east, west = camera(500, bearing_deg=90, view_deg=40, range_m=100), camera(560, range_m=100)
    assert seen_m(east, west) == pytest.approx(200, abs=0.5)  # 460 to 660


def test_a_cone_northwards_reaches_over_the_turn_of_the_compass() -> None:
    venue = [Venue(name, name, "school", *place(east, 80)) for name, east in (("w", 480), ("e", 520), ("far", 700))]
    found = cover(city(*venue), [camera(500, bearing_deg=350, view_deg=60, range_m=100)])
    assert (found.whole.venues, found.whole.venues_seen) == (3, 2)
    assert found.whole.venue_share == pytest.approx(2 / 3)


def test_guessed_views_are_counted() -> None:
    told = camera(1, bearing_deg=0, view_deg=90, range_m=50)
    around = camera(2, view_deg=360, range_m=50)
    assert cover(city(), [told, around, camera(3), camera(4, range_m=50)]).guessed == 2


def test_retired_revoked_expired_and_homeless_cameras_do_not_work() -> None:
    assert works(camera(0), NOW_MS)
    assert works(camera(0, qualified_until_ms=NOW_MS + 1), NOW_MS)
    for fields in ({"retired": True}, {"revoked": True}, {"qualified_until_ms": NOW_MS}):
        assert not works(camera(0, **fields), NOW_MS)
    homeless = DeviceRegistration(
        registered_at_ms=0, latitude_deg=math.nan, longitude_deg=math.nan, kind=DeviceKind.CAMERA, device_id="c"
    )
    assert not works(homeless, NOW_MS)


def test_units_have_their_own_streets() -> None:
    x_m, y_m = np.array([-250.0, 250.0]), np.zeros(2)
    units = (Unit("w", "West", "ward", *place(250, 0), 1.0), Unit("e", "East", "commune", *place(750, 0), 1.0))
    one = city()
    both = City(
        name="Two", version="1", time_zone="UTC", bounds=Bounds(SOUTH_DEG, WEST_DEG, 21.1, 105.9), lines=one.lines,
        units=units, areas=power_diagram(x_m, y_m, np.full(2, 1e6), 3.0),
    )  # fmt: skip
    found = cover(both, [camera(450, range_m=100)])
    assert [(unit.name, unit.cameras) for unit in found.units] == [("West", 1), ("East", 0)]
    assert [unit.street_seen_m for unit in found.units] == [pytest.approx(150, abs=1), pytest.approx(50, abs=1)]
    assert [unit.street_share for unit in found.units] == [pytest.approx(0.3, abs=0.01), pytest.approx(0.1, abs=0.01)]


def test_the_map_says_of_every_unit_what_is_seen() -> None:
    hanoi = load_city(HANOI)
    one = next(iter(hanoi.cameras.values()))
    looks = of_package(one)
    found = cover(hanoi, [looks])
    picture = coverage_svg(hanoi, found, [looks])
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert picture.count("<title>") == len(hanoi.units)
    seen = max(found.units, key=lambda unit: unit.street_seen_m)
    assert f"{seen.name}: {seen.street_share:.1%}".replace("%", " %") in picture
    assert (colour_of(None), colour_of(0.8), colour_of(0.79), colour_of(0.0)) == (
        "#e4e4e4", "#2a7f3f", "#8bbf5a", "#d9603b",
    )  # fmt: skip


cameras = st.builds(
    camera,
    st.integers(-200, 1_200),
    st.integers(-400, 400),
    bearing_deg=st.integers(-1, 359),
    view_deg=st.integers(0, 360),
    range_m=st.integers(0, 600),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(cameras, max_size=5), st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), max_size=30))
def test_squares_change_nothing(ones: list[DeviceRegistration], points: list[tuple[float, float]]) -> None:
    one = city()
    assert plane_of(one) == PLANE
    views, _ = views_of(ones, one)
    x_m, y_m = np.array([x for x, _ in points]), np.array([y for _, y in points])
    alone = np.zeros(len(points), bool)
    for number in range(len(ones)):
        view = Views(*(column[number : number + 1] for column in (
            views.x_m, views.y_m, views.bearing_rad, views.half_rad, views.range_m
        )))  # fmt: skip
        for row in range(len(points)):
            alone[row] |= seen_by(view, x_m[row : row + 1], y_m[row : row + 1])[0]
    assert seen_by(views, x_m, y_m).tolist() == alone.tolist()
