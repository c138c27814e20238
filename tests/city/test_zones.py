from pathlib import Path

import numpy as np
import pytest

from processors.city import Bounds, City, CityInvalid, Zone, load_city
from processors.squares import squares_of
from processors.zones import ZoneIndex, circle

BOUNDS = Bounds(20.9, 105.7, 21.1, 105.9)
METRE_DEG = 1 / 111_195.0
SQUARE = Zone(
    "sq", "square", "no_stopping", ((21.0, 105.8), (21.0, 105.81), (21.01, 105.81), (21.01, 105.8)), ("TAXI",)
)
ROUND = Zone("ro", "round", "water", circle(21.0, 105.8, 100.0))


def test_a_point_is_in_every_zone_that_contains_it() -> None:
    city = City(name="x", version="1", time_zone="UTC", bounds=BOUNDS, zones=(SQUARE, ROUND))
    told = {
        place: [zone.zone_id for zone in city.zones_at(*place)]
        for place in ((21.0005, 105.8005), (21.005, 105.805), (20.9995, 105.7995), (21.02, 105.8))
    }
    assert list(told.values()) == [["sq", "ro"], ["sq"], ["ro"], []]


@pytest.mark.parametrize(("north_m", "inside"), [(0.0, True), (99.0, True), (101.0, False), (-99.0, True)])
def test_a_circle_reaches_as_far_as_it_says(north_m: float, inside: bool) -> None:
    index = ZoneIndex((ROUND,), BOUNDS.plane(), squares_of(BOUNDS, BOUNDS.plane()))
    assert bool(index.at(21.0 + north_m * METRE_DEG, 105.8)) is inside


def test_squares_only_narrow_down_what_is_measured() -> None:
    zones = (SQUARE, ROUND, Zone("out", "beyond", "school", circle(21.1, 105.9, 900.0)))
    plane = BOUNDS.plane()
    squares = squares_of(BOUNDS, plane)
    index = ZoneIndex(zones, plane, squares)
    chance = np.random.default_rng(4)
    near = chance.uniform([20.995, 105.795], [21.012, 105.812], (2000, 2))
    far = chance.uniform([21.08, 105.88], [21.12, 105.92], (2000, 2))
    latitude_deg, longitude_deg = np.concatenate([near, far]).T
    x_m, y_m = plane.xy(latitude_deg, longitude_deg)
    first = index.first(x_m, y_m, squares.places(x_m, y_m)[0]).tolist()
    all_of = [index.at(*place) for place in zip(latitude_deg.tolist(), longitude_deg.tolist(), strict=True)]
    assert [zones[one] if one >= 0 else None for one in first] == [one[0] if one else None for one in all_of]
    assert {len(one) for one in all_of} == {0, 1, 2}
    assert len({*first}) == 4


def test_a_zone_without_classes_concerns_all() -> None:
    assert SQUARE.concerns("TAXI")
    assert not SQUARE.concerns("COACH")
    assert ROUND.concerns("COACH")


def test_zones_are_read_and_mistakes_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text(
        "name: x\ntime_zone: UTC\nbounds: {south: 20.9, west: 105.7, north: 21.1, east: 105.9}\n"
        "speed_limits_kmh: {BUS: 60}\n"
    )
    zones = tmp_path / "zones.yaml"
    zones.write_text(
        "zones:\n"
        "  - {id: a, name: A, kind: no_stopping, classes: [TAXI], circle: {lat: 21.0, lon: 105.8, radius_m: 50}}\n"
        "  - {id: b, name: B, kind: speed_limit, limit_kmh: 30, polygon: [[21, 105.8], [21, 105.81], [21.01, 105.8]]}\n"
    )
    city = load_city(tmp_path)
    assert [(zone.zone_id, zone.kind, zone.classes, zone.limit_kmh) for zone in city.zones] == [
        ("a", "no_stopping", ("TAXI",), None),
        ("b", "speed_limit", (), 30.0),
    ]
    assert city.speed_limits_kmh == {"BUS": 60.0}

    zones.write_text(
        "zones:\n"
        "  - {id: a, name: A, kind: speed_limit, circle: {lat: 21.0, lon: 105.8, radius_m: 50}}\n"
        "  - {id: a, name: A, kind: school}\n"
        "  - {id: c, name: C, kind: school, classes: [TRAM], circle: {lat: 21.0, lon: 105.8, radius_m: 0}}\n"
    )
    with pytest.raises(CityInvalid) as caught:
        load_city(tmp_path)
    assert [mistake.partition(":")[0] for mistake in caught.value.mistakes] == [
        "zones.yaml line 2", "zones.yaml line 3", "zones.yaml line 4", "zones.yaml line 4",
    ]  # fmt: skip


def test_hanoi_has_zones_of_every_kind_that_rules_name() -> None:
    city = load_city(Path(__file__).parents[2] / "cities" / "hanoi")
    assert {zone.kind for zone in city.zones} >= {"no_stopping", "speed_limit", "festival", "water"}
    assert [line.line_id for line in city.lines if line.exclusive_lane] == ["BRT01"]
    assert [zone.zone_id for zone in city.zones_at(21.0290, 105.8525)] == ["le-hoi-ho-guom", "ho-hoan-kiem"]
