import json
from pathlib import Path

import numpy as np
import pytest

from processors.city import CityInvalid, load_city
from tests.city.builders import HANOI


def square(west: float, south: float, side: float) -> list[list[float]]:
    """A closed ring of longitude, latitude."""
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(code: str, *rings: list[list[float]], **properties: object) -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"code": code, "name": f"unit {code}", **properties},
        "geometry": {"type": "Polygon", "coordinates": list(rings)},
    }


def units_file(folder: Path, *features: object) -> Path:
    path = folder / "units.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}), encoding="utf-8")
    return path


def mistakes_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(CityInvalid) as caught:
        load_city(HANOI, units=path)
    return caught.value.mistakes


def test_units_file_replaces_units_with_exact_shapes(tmp_path: Path) -> None:
    path = units_file(
        tmp_path,
        feature("1", square(105.80, 21.00, 0.02), square(105.805, 21.005, 0.01), fullName="Phường Một", kind="ward"),
        feature("2", square(105.82, 21.00, 0.02)),
    )
    city = load_city(HANOI, units=path)
    assert [(unit.unit_code, unit.name, unit.kind) for unit in city.units] == [
        ("1", "Phường Một", "ward"),
        ("2", "unit 2", "unit"),
    ]
    # 0.02° by 0.02° at 21° N is 2.224 km by 2.076 km; a quarter of unit 1 is a hole.
    assert city.units[1].area_km2 == pytest.approx(2.2239 * 2.2239 * np.cos(np.radians(21.01)), rel=5e-3)
    assert city.units[0].area_km2 == pytest.approx(0.75 * city.units[1].area_km2, rel=1e-6)
    assert (city.units[0].latitude_deg, city.units[0].longitude_deg) == pytest.approx((21.01, 105.81), abs=1e-6)
    found = city.locate_units(np.array([21.002, 21.01, 21.01, 21.05]), np.array([105.802, 105.81, 105.83, 105.81]))
    assert found.tolist() == ["1", "", "2", ""]
    assert city.cameras == load_city(HANOI).cameras
    assert city.version != load_city(HANOI).version


def test_the_outline_of_the_whole_is_left_out(tmp_path: Path) -> None:
    path = units_file(
        tmp_path,
        feature("all", square(105.80, 21.00, 0.04)),
        *(feature(str(n), square(105.80 + 0.02 * (n % 2), 21.00 + 0.02 * (n // 2), 0.02)) for n in range(4)),
    )
    assert [unit.unit_code for unit in load_city(HANOI, units=path).units] == ["0", "1", "2", "3"]


def test_every_mistake_of_a_units_file_is_listed(tmp_path: Path) -> None:
    nameless = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": []}}
    point = {"type": "Feature", "properties": {"code": "p"}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    path = units_file(
        tmp_path,
        feature("1", square(105.80, 21.00, 0.02)),
        feature("1", square(105.82, 21.00, 0.02)),
        point,
        nameless,
        feature("3", [[105.8, 21.0], [105.9, 21.0], [105.8, 21.0]]),
        feature("4", [[21.0, 105.8], [21.1, 105.8], [21.1, 105.9], [21.0, 105.8]]),
        "not a feature",
    )
    found = mistakes_of(path)
    assert found[:5] == (
        "units.geojson: feature 2: code 1 is already used",
        "units.geojson: feature 3: needs a Polygon or MultiPolygon, has Point",
        "units.geojson: feature 4: needs a code (unit_code, code or id) and a name (fullName or name)",
        "units.geojson: feature 5: code 3: a ring needs at least 4 corners of longitude, latitude in degrees",
        "units.geojson: feature 6: code 4: a ring needs at least 4 corners of longitude, latitude in degrees",
    )
    assert found[5:] == ("units.geojson: feature 7: needs a Polygon or MultiPolygon, has none",)


def test_what_is_no_geojson_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.geojson"
    broken.write_text('{"type":\n "FeatureCollection",\n}', encoding="utf-8")
    assert mistakes_of(broken)[0].startswith("broken.geojson line ")
    broken.write_text("[]", encoding="utf-8")
    assert mistakes_of(broken) == ("broken.geojson: is not a GeoJSON FeatureCollection with features",)
    assert mistakes_of(tmp_path / "none.geojson")[0].startswith("none.geojson: cannot be read")
