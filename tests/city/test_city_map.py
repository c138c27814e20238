"""What a map is drawn from: the areas of units are those by which points are located."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.city import Bounds, City, load_city
from processors.city_map import encode_city
from processors.outlines import Ring, nested

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT.parent / "shared" / "data" / "hanoi_units_2025" / "units.geojson"


def square(west: float, south: float, side: float) -> Ring:
    return (
        np.array([west, west + side, west + side, west]),
        np.array([south, south, south + side, south + side]),
    )


def holds(ring: list[list[float]], longitude_deg: float, latitude_deg: float) -> bool:
    """Crossing parity, written plainly and apart from the code that is tested."""
    inside = False
    for (x, y), (to_x, to_y) in pairwise(ring):
        if (y > latitude_deg) != (to_y > latitude_deg):
            inside ^= longitude_deg < x + (latitude_deg - y) * (to_x - x) / (to_y - y)
    return inside


def drawn_at(features: list[dict[str, Any]], longitude_deg: float, latitude_deg: float) -> list[str]:
    """Return the codes of the units whose drawn areas contain a point."""
    found = []
    for feature in features:
        geometry = feature["geometry"]
        parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        if any(sum(holds(ring, longitude_deg, latitude_deg) for ring in part) % 2 for part in parts):
            found.append(feature["properties"]["unit_code"])
    return found


def units_given() -> list[Any]:
    reason = f"the official boundaries are not at {UNITS}"
    given = pytest.param((UNITS, 80), marks=pytest.mark.skipif(not UNITS.is_file(), reason=reason))
    return [(None, 1_500), given]


@pytest.mark.parametrize("given", units_given(), ids=["centres", "boundaries"])
def test_a_unit_is_drawn_where_points_are_located_in_it(given: tuple[Path | None, int]) -> None:
    units, points = given
    city = load_city(PROJECT / "cities" / "hanoi", units)
    features = json.loads(encode_city(city))["units"]["features"]
    assert len(features) == len(city.units)
    chance = np.random.default_rng(3)
    latitude_deg, longitude_deg = chance.uniform(20.55, 21.40, points), chance.uniform(105.28, 106.03, points)
    located = city.locate_units(latitude_deg, longitude_deg).tolist()
    assert len(set(located)) > 20
    for code, at_latitude, at_longitude in zip(located, latitude_deg, longitude_deg, strict=True):
        assert drawn_at(features, float(at_longitude), float(at_latitude)) == ([code] if code else [])


def test_rings_are_closed_and_coordinates_are_longitude_first() -> None:
    city = load_city(PROJECT / "cities" / "hanoi")
    told = json.loads(encode_city(city))
    for feature in told["units"]["features"]:
        for ring in feature["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]
            assert len(ring) >= 4
    stop, first = city.stops[0], told["stops"]["features"][0]
    assert first["properties"] == {"stop_id": stop.stop_id, "name": stop.name}
    assert first["geometry"]["coordinates"] == [
        pytest.approx(stop.longitude_deg, abs=1e-6),
        pytest.approx(stop.latitude_deg, abs=1e-6),
    ]


def test_lines_are_told_once_a_direction() -> None:
    city = load_city(PROJECT / "cities" / "hanoi")
    lines = json.loads(encode_city(city))["lines"]["features"]
    assert [(one["properties"]["line_id"], one["properties"]["direction_id"]) for one in lines] == [
        (line.line_id, pattern.direction_id) for line in city.lines for pattern in line.patterns
    ]


def test_a_city_without_units_is_drawn_too() -> None:
    package = load_city(PROJECT / "cities" / "hanoi")
    bare = City(
        name="Bare", version="1", time_zone="UTC", bounds=bounds_of(package), stops=package.stops, lines=package.lines
    )
    assert json.loads(encode_city(bare))["units"]["features"] == []


def bounds_of(city: City) -> Bounds:
    return Bounds(city.south_deg, city.west_deg, city.north_deg, city.east_deg)


def test_a_lake_is_a_hole_and_an_island_in_it_is_an_area_again() -> None:
    land, lake, island, apart = square(0, 0, 10), square(2, 2, 6), square(4, 4, 2), square(20, 0, 1)
    polygons = nested([island, lake, land, apart])
    assert [len(one) for one in polygons] == [1, 2, 1]
    assert [one[0] for one in polygons] == [island, land, apart]
    assert polygons[1][1] is lake
