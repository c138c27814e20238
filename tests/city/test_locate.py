import math
from random import Random

import h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.batches import FloatArray
from processors.city import Bounds, City, Line, Located, Venue, load_city
from processors.geo import Segments, points_as_segments
from schemas.dictionary import DictionaryArray, dictionary_array
from tests.city.builders import HANOI, METRES_PER_DEGREE, bus_line, metro_line, pattern, small_city

CITY = small_city()


def texts(*values: str) -> DictionaryArray:
    return dictionary_array(values)


def locate_one(
    north_m: float, longitude_deg: float, line_id: str = "", direction_id: int = -1, city: City = CITY
) -> Located:
    """Locate a point so many metres north of the bus line."""
    latitude_deg = np.array([21.0 + north_m / METRES_PER_DEGREE])
    return city.locate(latitude_deg, np.array([longitude_deg]), texts(line_id), np.array([direction_id], np.int8))


def test_locate_gives_line_offset_and_cross_track() -> None:
    found = locate_one(30.0, 105.79, direction_id=0)
    one_degree_m = METRES_PER_DEGREE * np.cos(np.radians(21.0))
    assert found.matched_line_id.tolist() == ["01"]
    assert found.direction_id.tolist() == [0]
    assert float(found.line_offset_m[0]) == pytest.approx(0.01 * one_degree_m, rel=1e-3)
    assert float(found.cross_track_m[0]) == pytest.approx(30.0, rel=1e-3)


def test_locate_takes_any_line_within_60_m_only() -> None:
    assert locate_one(59.5, 105.79).matched_line_id.tolist() == ["01"]
    beyond = locate_one(60.5, 105.79)
    assert beyond.matched_line_id.tolist() == [""]
    assert beyond.direction_id.tolist() == [-1]
    assert np.isnan(beyond.line_offset_m).all()
    assert np.isnan(beyond.cross_track_m).all()


def test_locate_takes_the_own_line_up_to_1000_m_and_no_other() -> None:
    assert locate_one(999.0, 105.79, "01").matched_line_id.tolist() == ["01"]
    assert float(locate_one(999.0, 105.79, "01").cross_track_m[0]) == pytest.approx(999.0, rel=1e-3)
    assert locate_one(1001.0, 105.79, "01").matched_line_id.tolist() == [""]
    assert locate_one(0.0, 105.79, "M").matched_line_id.tolist() == [""]


def test_locate_takes_a_line_that_the_city_does_not_know_as_not_told() -> None:
    assert locate_one(10.0, 105.79, "999").matched_line_id.tolist() == ["01"]


def test_locate_binds_a_told_direction_if_the_line_has_it() -> None:
    there, back = locate_one(0.0, 105.79, "01", 0), locate_one(0.0, 105.79, "01", 1)
    assert (there.direction_id.tolist(), back.direction_id.tolist()) == ([0], [1])
    length_m = bus_line().patterns[0].offset_m[-1]
    assert float(there.line_offset_m[0] + back.line_offset_m[0]) == pytest.approx(length_m, rel=1e-5)
    city = small_city(lines=(Line("02", "one way", "bus", "", (), (pattern(0, ["a", "b"]),)),))
    assert locate_one(0.0, 105.79, "02", 1, city).direction_id.tolist() == [0]


def test_locate_takes_the_nearer_direction_if_none_is_told() -> None:
    apart = Line("03", "apart", "bus", "", (), (pattern(0, ["a", "b", "c"]), pattern(1, ["gb", "ga"])))
    found = small_city(lines=(apart,)).locate(np.array([21.0, 21.03]), np.array([105.79, 105.83]), texts("03", "03"))
    assert found.direction_id.tolist() == [0, 1]


def test_locate_gives_the_nearest_stop_within_50_m() -> None:
    assert locate_one(49.0, 105.80).stop_id.tolist() == ["b"]
    assert locate_one(51.0, 105.80).stop_id.tolist() == [""]


def test_locate_gives_units_and_cells() -> None:
    found = CITY.locate(np.array([21.0, 21.0, 21.09]), np.array([105.799, 105.801, 105.71]))
    assert found.unit_code.tolist() == ["W1", "W2", ""]
    assert found.cell.dtype == np.uint64
    assert h3.int_to_str(int(found.cell[0])) == h3.latlng_to_cell(21.0, 105.799, 9)


def test_locate_of_no_points_and_in_a_city_without_anything() -> None:
    empty = np.empty(0)
    assert len(CITY.locate(empty, empty, texts(), np.empty(0, np.int8)).unit_code) == 0
    bare = small_city(lines=())
    assert bare.locate(np.array([21.0]), np.array([105.79]), texts("01")).matched_line_id.tolist() == [""]


hanoi_point = st.tuples(
    st.floats(20.94, 21.09),
    st.floats(105.73, 105.89),
    st.sampled_from(["", "01", "32", "BRT01", "3", "unknown"]),
    st.sampled_from([-1, 0, 1]),
)
HANOI_CITY = load_city(HANOI)


def located(city: City, points: list[tuple[float, float, str, int]]) -> list[tuple[object, ...]]:
    latitude_deg: FloatArray = np.array([point[0] for point in points])
    longitude_deg: FloatArray = np.array([point[1] for point in points])
    found = city.locate(
        latitude_deg,
        longitude_deg,
        texts(*(point[2] for point in points)),
        np.array([point[3] for point in points], np.int8),
    )
    columns = (
        found.unit_code.tolist(),
        found.matched_line_id.tolist(),
        found.direction_id.tolist(),
        [value.hex() for value in found.line_offset_m.astype(np.float64).tolist()],
        [value.hex() for value in found.cross_track_m.astype(np.float64).tolist()],
        found.stop_id.tolist(),
        found.cell.tolist(),
    )
    return list(zip(*columns, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(hanoi_point, min_size=1, max_size=40), st.randoms(use_true_random=False), st.integers(1, 39))
def test_locate_of_a_point_depends_on_that_point_alone(
    points: list[tuple[float, float, str, int]], chance: Random, cut: int
) -> None:
    together = located(HANOI_CITY, points)
    assert together == [located(HANOI_CITY, [point])[0] for point in points]
    assert together == located(HANOI_CITY, points[:cut]) + (located(HANOI_CITY, points[cut:]) if points[cut:] else [])
    order = list(range(len(points)))
    chance.shuffle(order)
    assert [together[index] for index in order] == located(HANOI_CITY, [points[index] for index in order])


def slowly_located(city: City, point: tuple[float, float, str, int]) -> tuple[object, ...]:
    """Locate one point by measuring everything there is, in the order in which ties are settled."""
    latitude_deg, longitude_deg, line_id, direction_id = point
    plane = Bounds(city.south_deg, city.west_deg, city.north_deg, city.east_deg).plane()
    x_m, y_m = plane.xy(latitude_deg, longitude_deg)
    assert city._areas is not None
    unit = int(city._areas.containing(x_m[None], y_m[None])[0])
    told = next((line for line in city.lines if line.line_id == line_id), None)
    best: tuple[float, str, int, float] = (60.0 if told is None else 1_000.0, "", -1, math.nan)
    for line in city.lines if told is None else (told,):
        has_told = direction_id in [pattern.direction_id for pattern in line.patterns]
        for way in sorted(line.patterns, key=lambda pattern: pattern.direction_id):
            if told is not None and has_told and way.direction_id != direction_id:
                continue
            way_x_m, way_y_m = plane.xy(way.latitude_deg, way.longitude_deg)
            course = Segments(way_x_m[:-1], way_y_m[:-1], np.diff(way_x_m), np.diff(way_y_m))
            away_m, share = course.project(np.arange(len(way_x_m) - 1), x_m, y_m)
            at = int(np.argmin(away_m))
            if away_m[at] < best[0] or (away_m[at] == best[0] and not best[1]):
                offset_m = way.offset_m[at] + share[at] * (way.offset_m[at + 1] - way.offset_m[at])
                best = float(away_m[at]), line.line_id, way.direction_id, float(offset_m)
    stops = points_as_segments(*plane.xy(
        np.array([stop.latitude_deg for stop in city.stops]), np.array([stop.longitude_deg for stop in city.stops])
    ))  # fmt: skip
    stop_m, _ = stops.project(np.arange(len(city.stops)), x_m, y_m)
    stop = int(np.argmin(stop_m))
    return (
        city.units[unit].unit_code if unit >= 0 else "",
        best[1],
        best[2],
        float(np.float32(best[3])).hex(),
        float(np.float32(best[0] if best[1] else math.nan)).hex(),
        city.stops[stop].stop_id if stop_m[stop] <= 50.0 else "",
        h3.str_to_int(h3.latlng_to_cell(latitude_deg, longitude_deg, 9)),
    )


def test_locate_says_what_measuring_everything_says() -> None:
    chance = np.random.default_rng(11)
    lines = [*(line.line_id for line in HANOI_CITY.lines), "", "", "unknown"]
    points = [
        (*corner, str(chance.choice(lines)), int(chance.integers(-1, 2)))
        for corner in (
            *zip(chance.uniform(20.4, 21.5, 300).tolist(), chance.uniform(105.2, 106.1, 300).tolist(), strict=True),
            *zip(chance.uniform(20.97, 21.07, 700).tolist(), chance.uniform(105.77, 105.87, 700).tolist(), strict=True),
            *((stop.latitude_deg, stop.longitude_deg) for stop in HANOI_CITY.stops),
        )
    ]
    found = located(HANOI_CITY, points)
    assert found == [slowly_located(HANOI_CITY, point) for point in points]
    assert {line_id for _, line_id, *_ in found} == {"", *(line.line_id for line in HANOI_CITY.lines)}


def test_on_told_line_is_said_of_the_line_told_only() -> None:
    longitude_deg, no_direction = np.full(4, 105.79), np.full(4, -1, np.int8)
    told = texts("01", "", "999", "01")
    found = CITY.locate(np.array([21.0, 21.0, 21.0, 21.05]), longitude_deg, told, no_direction)
    assert found.matched_line_id.tolist() == ["01", "01", "01", ""]
    assert found.on_told_line.tolist() == [True, False, False, False]


def test_a_city_with_more_lines_than_bits_in_a_word_finds_each() -> None:
    city = small_city(lines=tuple(bus_line(f"{number:03}") for number in range(150)))
    told = [f"{number:03}" for number in range(150)]
    for direction_id in (0, 1):
        found = city.locate(np.full(150, 21.0), np.full(150, 105.79), texts(*told), np.full(150, direction_id, np.int8))
        assert found.matched_line_id.tolist() == told
        assert set(found.direction_id.tolist()) == {direction_id}


@settings(max_examples=40, deadline=None)
@given(hanoi_point)
def test_locate_agrees_with_near_lines_and_near_stops(point: tuple[float, float, str, int]) -> None:
    latitude_deg, longitude_deg, _, _ = point
    found = HANOI_CITY.locate(np.array([latitude_deg]), np.array([longitude_deg]))
    near = HANOI_CITY.near_lines(latitude_deg, longitude_deg, 60.0)
    assert list(near) == sorted(near, key=lambda line: (line.distance_m, line.line_id, line.direction_id))
    if not near:
        assert found.matched_line_id.tolist() == [""]
        return
    matched = next(
        line
        for line in near
        if (line.line_id, line.direction_id) == (found.matched_line_id.text(0), int(found.direction_id[0]))
    )
    assert matched.distance_m == pytest.approx(near[0].distance_m, abs=1e-6)
    assert matched.offset_m == pytest.approx(float(found.line_offset_m[0]), abs=0.01)
    stops = HANOI_CITY.near_stops(latitude_deg, longitude_deg, 50.0)
    assert found.stop_id.tolist() == [stops[0].stop_id if stops else ""]


@settings(max_examples=60, deadline=None)
@given(hanoi_point)
def test_locate_finds_the_nearest_place_of_the_own_line(point: tuple[float, float, str, int]) -> None:
    latitude_deg, longitude_deg, line_id, direction_id = point
    if line_id not in {line.line_id for line in HANOI_CITY.lines}:
        return
    found = HANOI_CITY.locate(
        np.array([latitude_deg]), np.array([longitude_deg]), texts(line_id), np.array([direction_id], np.int8)
    )
    near = [
        way
        for way in HANOI_CITY.near_lines(latitude_deg, longitude_deg, 1_000.0)
        if way.line_id == line_id and direction_id in (-1, way.direction_id)
    ]
    assert found.matched_line_id.tolist() == [line_id if near else ""]
    if near:
        assert float(found.cross_track_m[0]) == pytest.approx(near[0].distance_m, abs=1e-3)
        assert float(found.line_offset_m[0]) in [pytest.approx(way.offset_m, abs=0.01) for way in near]


def test_near_lines_gives_each_direction_once_nearest_first() -> None:
    near = CITY.near_lines(21.001, 105.79, 150.0)
    assert [(line.line_id, line.direction_id) for line in near] == [("01", 0), ("01", 1)]
    assert near[0].distance_m == pytest.approx(111.195, rel=1e-3)
    assert near[0].line_name == "A – C"
    assert CITY.near_lines(21.01, 105.79, 150.0) == ()


def test_near_stops_come_nearest_first() -> None:
    assert [stop.stop_id for stop in CITY.near_stops(21.0, 105.801, 3_000.0)] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("latitude_deg", "longitude_deg", "words"),
    [
        (21.0005, 105.7805, "near A stop, phường Tây"),
        (21.0205, 105.83, "near Ga station, phường Đông"),
        (21.006, 105.81, "near chợ Mơ, phường Đông"),
        (21.0, 105.79, "phường Tây"),
        (21.09, 105.71, "outside the city"),
    ],
)
def test_place_in_words(latitude_deg: float, longitude_deg: float, words: str) -> None:
    city = small_city(venues=(Venue("v", "chợ Mơ", "market", 21.007, 105.81),))
    assert city.place_in_words(latitude_deg, longitude_deg) == words


def test_place_in_words_beyond_the_units_names_a_landmark() -> None:
    city = small_city(reach=0.1)
    assert city.place_in_words(21.0201, 105.83) == "near Ga station"


def test_unit_name_of_an_unknown_unit_is_empty() -> None:
    assert CITY.unit_name("W1") == "phường Tây"
    assert CITY.unit_name("?") == ""


def test_lines_of_equal_distance_go_to_the_first_id() -> None:
    city = small_city(lines=(metro_line(), bus_line("09"), bus_line("02")))
    assert [line.line_id for line in city.lines] == ["02", "09", "M"]
    assert locate_one(10.0, 105.79, city=city).matched_line_id.tolist() == ["02"]
