import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.area_squares import index_areas
from processors.areas import Areas, PowerDiagram, polygons, power_diagram
from processors.batches import FloatArray
from processors.city_files import read_package
from processors.squares import Squares, squares_of
from tests.city.builders import HANOI, SHARED

SQUARES = Squares(-2_000.0, -1_500.0, 100.0, 41, 33)
CORNERS = np.arange(-24, 25) * 100.0


def points() -> tuple[FloatArray, FloatArray]:
    """Points in and around the squares, many of them on their corners and a hair beside."""
    chance = np.random.default_rng(7)
    grid_x_m, grid_y_m = (side.ravel() for side in np.meshgrid(CORNERS, CORNERS))
    return (
        np.concatenate([chance.uniform(-3_000, 3_000, 3_000), grid_x_m, np.nextafter(grid_x_m, -9e9)]),
        np.concatenate([chance.uniform(-3_000, 3_000, 3_000), grid_y_m, np.nextafter(grid_y_m, -9e9)]),
    )


def assert_same(areas: Areas, squares: Squares, x_m: FloatArray, y_m: FloatArray) -> None:
    square, _ = squares.places(x_m, y_m)
    assert index_areas(areas, squares).containing(x_m, y_m, square).tolist() == areas.containing(x_m, y_m).tolist()


metres = st.integers(-25, 25).map(lambda number: number * 100.0)
corners = st.lists(st.tuples(metres, metres), min_size=3, max_size=9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(metres, metres, st.floats(1e3, 4e6)), min_size=1, max_size=12),
    st.sampled_from([0.3, 1.0, 3.0, 50.0]),
    st.none() | corners,
)
def test_squares_of_a_power_diagram_say_what_it_says(
    centres: list[tuple[float, float, float]], reach: float, outline: list[tuple[float, float]] | None
) -> None:
    x_m, y_m, area_m2 = np.array(centres).T
    bound = None if outline is None or flat(outline) else polygons([(0, *np.array(outline).T)])
    assert_same(power_diagram(x_m, y_m, area_m2, reach, bound), SQUARES, *points())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), corners), min_size=1, max_size=6))
def test_squares_of_polygons_say_what_they_say(rings: list[tuple[int, list[tuple[float, float]]]]) -> None:
    sound = [(area, *np.array(ring).T) for area, ring in rings if not flat(ring)]
    if sound:
        assert_same(polygons(sound), SQUARES, *points())


def flat(ring: list[tuple[float, float]]) -> bool:
    return len({y_m for _, y_m in ring}) == 1


def test_an_empty_diagram_fills_no_square() -> None:
    assert_same(power_diagram(np.empty(0), np.empty(0), np.empty(0), 3.0), SQUARES, *points())


@pytest.mark.parametrize("official", [False, True])
def test_squares_of_hanoi_say_what_its_units_say(official: bool) -> None:
    units = SHARED / "hanoi_units_2025" / "units.geojson" if official else None
    if units is not None and not units.exists():
        pytest.skip("the official boundaries (../shared/data/hanoi_units_2025) are not here")
    package = read_package(HANOI, units=units)
    plane, chance = package.bounds.plane(), np.random.default_rng(8)
    assert package.areas is not None
    assert isinstance(package.areas, PowerDiagram) != official
    x_m, y_m = plane.xy(chance.uniform(20.45, 21.48, 30_000), chance.uniform(105.19, 106.12, 30_000))
    assert_same(package.areas, squares_of(package.bounds, plane), x_m, y_m)
