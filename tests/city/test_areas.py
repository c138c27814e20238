import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.areas import Areas, polygons, power_diagram
from processors.batches import FloatArray
from processors.city import load_city
from tests.city.builders import HANOI, SHARED


def ring(*corners: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    return np.array([x for x, _ in corners], np.float64), np.array([y for _, y in corners], np.float64)


def containing(areas: Areas, *points: tuple[float, float]) -> list[int]:
    return [int(index) for index in areas.containing(*ring(*points))]


def test_power_diagram_of_equal_areas_is_cut_in_the_middle() -> None:
    diagram = power_diagram(np.array([0.0, 1000.0]), np.zeros(2), np.array([1e6, 1e6]), reach=3.0)
    assert containing(diagram, (499.0, 0.0), (501.0, 0.0)) == [0, 1]


def test_power_diagram_moves_the_border_towards_the_smaller_area() -> None:
    # Border where x² - r1² = (x - d)² - r2², so x = (d² + r1² - r2²) / 2d.
    area_m2 = np.array([2e6, 0.5e6])
    border_m = (2000.0**2 + (area_m2[0] - area_m2[1]) / math.pi) / 4000.0
    diagram = power_diagram(np.array([0.0, 2000.0]), np.zeros(2), area_m2, reach=10.0)
    assert border_m == pytest.approx(1119.37, abs=0.01)
    assert containing(diagram, (border_m - 0.01, 0.0), (border_m + 0.01, 0.0)) == [0, 1]


def test_power_diagram_ends_at_its_reach_and_its_outline() -> None:
    area_m2 = np.array([math.pi * 100.0**2])
    assert containing(power_diagram(np.zeros(1), np.zeros(1), area_m2, 2.0), (199.9, 0.0), (200.1, 0.0)) == [0, -1]
    outline = polygons([(0, *ring((-50, -50), (50, -50), (50, 50), (-50, 50)))])
    bounded = power_diagram(np.zeros(1), np.zeros(1), area_m2, 2.0, outline)
    assert containing(bounded, (49.0, 0.0), (51.0, 0.0)) == [0, -1]


def test_power_diagram_of_nothing_contains_nothing() -> None:
    assert containing(power_diagram(np.empty(0), np.empty(0), np.empty(0), 3.0), (0.0, 0.0)) == [-1]


def test_polygons_know_holes_parts_and_the_first_of_two() -> None:
    square = ring((0, 0), (100, 0), (100, 100), (0, 100), (0, 0))
    hole = ring((40, 40), (60, 40), (60, 60), (40, 60))
    island = ring((200, 0), (210, 0), (205, 10))
    overlap = ring((90, 0), (150, 0), (150, 100), (90, 100))
    areas = polygons([(0, *square), (0, *hole), (0, *island), (1, *overlap)])
    points = ((10.0, 10.0), (50.0, 50.0), (205.0, 5.0), (95.0, 50.0), (120.0, 50.0), (170.0, 50.0), (50.0, -5.0))
    assert containing(areas, *points) == [0, -1, 0, 0, 1, -1, -1]


@given(st.floats(-120, 120), st.floats(-120, 120), st.integers(3, 24))
def test_polygons_agree_with_a_regular_polygon(x_m: float, y_m: float, corners: int) -> None:
    angles = [2 * math.pi * corner / corners for corner in range(corners)]
    shape = polygons([(0, *ring(*((100 * math.cos(a), 100 * math.sin(a)) for a in angles)))], strip_m=7.0)
    # Inside = nearer to the middle than every side along the side's normal.
    apothem_m = 100 * math.cos(math.pi / corners)
    reach_m = max(x_m * math.cos(a + math.pi / corners) + y_m * math.sin(a + math.pi / corners) for a in angles)
    if abs(reach_m - apothem_m) > 1e-6:
        assert containing(shape, (x_m, y_m)) == [0 if reach_m < apothem_m else -1]


def test_hanoi_units_agree_with_the_official_boundaries() -> None:
    official = SHARED / "hanoi_units_2025" / "units.geojson"
    if not official.exists():
        pytest.skip("the official boundaries (../shared/data/hanoi_units_2025) are not here")
    ours, theirs = load_city(HANOI), load_city(HANOI, units=official)
    assert {unit.unit_code: unit.area_km2 for unit in theirs.units} == pytest.approx(
        {unit.unit_code: unit.area_km2 for unit in ours.units}, rel=0.25
    )
    chance = np.random.default_rng(20251122)
    # Uniform over the area: uniform in longitude and in the sine of latitude.
    sine = np.sin(np.radians([ours.south_deg, ours.north_deg]))
    latitude_deg = np.degrees(np.arcsin(chance.uniform(sine[0], sine[1], 60_000)))
    longitude_deg = chance.uniform(ours.west_deg, ours.east_deg, 60_000)
    truth = theirs.locate_units(latitude_deg, longitude_deg)
    found = ours.locate_units(latitude_deg, longitude_deg)
    inside = truth != ""
    assert inside.sum() > 20_000
    assert (found[inside] == truth[inside]).mean() >= 0.80
    assert (found[~inside] != "").sum() < 0.08 * inside.sum()


def test_official_file_is_read_without_the_outline_of_the_whole() -> None:
    official = SHARED / "hanoi_units_2025" / "units.geojson"
    if not official.exists():
        pytest.skip("the official boundaries (../shared/data/hanoi_units_2025) are not here")
    assert len(json.loads(official.read_text(encoding="utf-8"))["features"]) == 127
    assert len(load_city(HANOI, units=official).units) == 126
