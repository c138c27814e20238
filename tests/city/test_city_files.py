from collections import Counter
from pathlib import Path

import pytest

from processors.city import CityInvalid, load_city
from tests.city.builders import HANOI, write_files

CITY = """\
name: Small
time_zone: Asia/Ho_Chi_Minh
bounds: {south: 20.9, west: 105.7, north: 21.1, east: 105.9}
"""
UNITS = """\
units:
  - {code: "1", kind: ward, name: phường Một, lat: 21.0, lon: 105.8, area_km2: 5.0}
"""
STOPS = """\
stops:
  - {id: a, name: A, lat: 21.0, lon: 105.78}
  - {id: b, name: B, lat: 21.0, lon: 105.80}
  - {id: c, name: C, lat: 21.0, lon: 105.82}
"""
LINES = """\
lines:
  - id: "01"
    name: A – C
    mode: bus
    headways:
      - {from: "05:00", to: "21:00", every_min: 7.5}
    directions:
      - [a, [21.001, 105.79], b, c]
      - [c, a]
"""
VENUES = """\
venues:
  - {id: v, kind: market, name: chợ, lat: 21.0, lon: 105.81}
"""
ESTATE = """\
at_stops:
  - lines: ["01"]
    every: 2
    camera: CAM
    sensors:
      - {prefix: SND, quantities: [sound_level], every: 2, on_camera: true}
at_venues:
  - kinds: [market]
    sensors:
      - {prefix: PNL, quantities: [fire_alarm]}
devices:
  - {id: SND-x, kind: sensor, lat: 21.0, lon: 105.8, quantities: [sound_level], host_camera: CAM-a}
"""
FILES = {
    "city.yaml": CITY,
    "units.yaml": UNITS,
    "stops.yaml": STOPS,
    "lines.yaml": LINES,
    "venues.yaml": VENUES,
    "estate.yaml": ESTATE,
}


def mistakes_of(folder: Path, **changed: str) -> tuple[str, ...]:
    """The mistakes found when some files of the small package are other ones."""
    files = FILES | {f"{name}.yaml": text for name, text in changed.items()}
    with pytest.raises(CityInvalid) as caught:
        load_city(write_files(folder, files))
    return caught.value.mistakes


def test_load_city_reads_a_package(tmp_path: Path) -> None:
    city = load_city(write_files(tmp_path, FILES))
    assert (city.name, city.time_zone, city.south_deg, city.east_deg) == ("Small", "Asia/Ho_Chi_Minh", 20.9, 105.9)
    (line,) = city.lines
    assert [pattern.stop_ids for pattern in line.patterns] == [("a", "b", "c"), ("c", "a")]
    assert line.headway_s == (("05:00", "21:00", 450),)
    bent = line.patterns[0]
    assert len(bent.offset_m) == 4
    assert bent.stop_offset_m.tolist() == bent.offset_m[[0, 2, 3]].tolist()
    assert city.unit_name("1") == "phường Một"
    assert city.place_in_words(21.0, 105.8101) == "near chợ, phường Một"


def test_estate_rules_make_devices_with_stable_ids(tmp_path: Path) -> None:
    city = load_city(write_files(tmp_path, FILES))
    assert sorted(city.cameras) == ["CAM-a", "CAM-c"]
    assert sorted(city.sensors) == ["PNL-v", "SND-a", "SND-x"]
    assert city.sensors["SND-a"].host_camera_id == "CAM-a"
    assert city.sensors["PNL-v"].quantities == ("fire_alarm",)
    assert city.sensors["PNL-v"].host_camera_id == ""
    assert (city.cameras["CAM-c"].latitude_deg, city.cameras["CAM-c"].longitude_deg) == (21.0, 105.82)


def test_estate_spacing_leaves_out_places_near_one_another(tmp_path: Path) -> None:
    spaced = ESTATE.replace("every: 2\n    camera", "spacing_m: 3000\n    camera")
    city = load_city(write_files(tmp_path, FILES | {"estate.yaml": spaced}))
    assert sorted(city.cameras) == ["CAM-a", "CAM-c"]


def test_only_city_yaml_must_be_there(tmp_path: Path) -> None:
    city = load_city(write_files(tmp_path, {"city.yaml": CITY}))
    assert (city.units, city.lines, city.stops, dict(city.cameras)) == ((), (), (), {})
    with pytest.raises(CityInvalid, match=r"city\.yaml is missing"):
        load_city(tmp_path / "nowhere")


def test_version_depends_on_content_alone(tmp_path: Path) -> None:
    first = load_city(write_files(tmp_path / "a", FILES)).version
    assert load_city(write_files(tmp_path / "b", FILES)).version == first
    assert load_city(write_files(tmp_path / "c", FILES | {"venues.yaml": VENUES + "# seen\n"})).version != first


def test_every_mistake_is_listed_at_once_with_file_and_line(tmp_path: Path) -> None:
    found = mistakes_of(
        tmp_path,
        units=UNITS.replace("area_km2: 5.0", "area_km2: -3")
        + '  - {code: "2", kind: ward, lat: 21.0, lon: 105.8, area_km2: x, size: 1}\n',
        stops=STOPS + "  - {id: b, name: B, lat: 21.5, lon: 105.80}\n",
        lines=LINES.replace("[c, a]", "[c]").replace("b, c]", "z, c]")
        + '  - {id: "01", name: again, mode: tram, directions: [[a, b]]}\n',
        estate=ESTATE.replace("[market]", "[circus]"),
    )
    assert set(found) >= {
        "units.yaml line 2: area_km2 must be greater than 0, is -3",
        "units.yaml line 3: name is missing",
        "units.yaml line 3: area_km2 must be a number, is 'x'",
        "units.yaml line 3: size is not a known key",
        "stops.yaml line 5: id b is already used on line 3",
        "stops.yaml line 5: b at 21.5, 105.8 is outside the city's bounds",
        "lines.yaml line 10: mode must be 'bus', 'brt' or 'metro', is 'tram'",
        "estate.yaml line 8: there is nothing of kind circus",
    }


def test_mistakes_in_lines(tmp_path: Path) -> None:
    headways = '- {from: "05:00", to: "21:00", every_min: 7.5}'
    found = mistakes_of(
        tmp_path,
        lines=LINES.replace("[c, a]", "[c]")
        .replace("b, c]", "z, c]")
        .replace(
            headways, '- {from: "05:00", to: "09:00", every_min: 5}\n      - {from: "08:00", to: "07:00", every_min: 5}'
        )
        + '  - {id: "01", name: again, mode: bus, directions: [[a, b]]}\n',
    )
    assert found == (
        "lines.yaml line 11: id 01 is already used on line 2",
        "lines.yaml line 7: line 01: from must be before to",
        "lines.yaml line 7: line 01: headway periods overlap at 08:00",
        "lines.yaml line 9: line 01 names the stop z, which stops.yaml does not have",
        "lines.yaml line 10: line 01 direction 1 needs at least 2 stops",
    )


def test_mistakes_in_times_and_unquoted_ids(tmp_path: Path) -> None:
    found = mistakes_of(tmp_path, lines=LINES.replace('"05:00"', '"5 am"').replace('id: "01"', "id: 01"))
    assert found == (
        "lines.yaml line 2: id must be text (in quotes), is 1",
        "lines.yaml line 6: from '5 am' is not a time like 07:30",
    )


def test_mistakes_in_city_yaml(tmp_path: Path) -> None:
    found = mistakes_of(
        tmp_path, city=CITY.replace("Ho_Chi_Minh", "Hanoi").replace("south: 20.9", "south: 21.2") + "name: Twice\n"
    )
    assert "city.yaml line 4: name is given twice" in found
    assert any(text.startswith("city.yaml line 2: time_zone 'Asia/Hanoi' is not known") for text in found)
    assert "city.yaml line 3: bounds must go from south to north and from west to east" in found


def test_what_is_no_yaml_is_told_by_line(tmp_path: Path) -> None:
    found = mistakes_of(tmp_path, stops="stops:\n  - {id: a, name: [\n", venues="", units="- 1\n")
    assert any(text.startswith("stops.yaml line 3: is not YAML") for text in found)
    assert "venues.yaml: is empty" in found
    assert any(text.startswith("units.yaml: the file must hold keys") for text in found)


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    (tmp_path / "venues.yaml").write_bytes(b"venues: \xff\n")
    with pytest.raises(CityInvalid, match=r"venues\.yaml: cannot be read"):
        load_city(tmp_path)


def test_mistakes_in_the_estate(tmp_path: Path) -> None:
    found = mistakes_of(
        tmp_path,
        estate=ESTATE.replace("host_camera: CAM-a", "host_camera: CAM-none")
        .replace('lines: ["01"]', 'lines: ["01", "99"]')
        .replace("lat: 21.0, lon: 105.8, quantities: [sound_level]", "lat: 22.0, lon: 105.8"),
    )
    assert found == (
        "estate.yaml line 2: line 99 is not known",
        "estate.yaml line 12: SND-x at 22.0, 105.8 is outside the city's bounds",
        "estate.yaml line 12: SND-x: host camera CAM-none is not known",
        "estate.yaml line 12: SND-x: a sensor needs quantities",
    )


def test_devices_made_twice_are_told(tmp_path: Path) -> None:
    found = mistakes_of(tmp_path, estate=ESTATE.replace("id: SND-x", "id: SND-a"))
    assert found == ("estate.yaml line 12: makes the device SND-a, which is there already",)


def test_hanoi_holds_what_the_city_has() -> None:
    city = load_city(HANOI)
    assert Counter(unit.kind for unit in city.units) == {"ward": 51, "commune": 75}
    assert 3_300 < sum(unit.area_km2 for unit in city.units) < 3_400
    modes = {line.line_id: line.mode for line in city.lines}
    assert Counter(modes.values()) == {"bus": 20, "brt": 1, "metro": 2}
    assert modes["BRT01"] == "brt"
    stops = {line.line_id: [len(way.stop_ids) for way in line.patterns] for line in city.lines}
    assert (stops["2A"], stops["3"], stops["BRT01"]) == ([12, 12], [8, 8], [23, 23])
    assert all(len(ways) == 2 and min(ways) >= 7 for ways in stops.values())
    assert all(line.headway_s for line in city.lines)


def test_hanoi_venues_and_estate_are_of_a_plausible_size() -> None:
    city = load_city(HANOI)
    kinds = Counter(venue.kind for venue in city.venues)
    assert kinds["hospital"] >= 12
    assert kinds["school"] >= 12
    assert kinds["market"] >= 10
    assert kinds["coach_station"] == 5
    assert 350 <= len(city.cameras) <= 500
    assert 500 <= len(city.sensors) <= 700
    hosts = {sensor.host_camera_id for sensor in city.sensors.values()} - {""}
    assert hosts
    assert hosts <= set(city.cameras)
    assert {"sound_level", "smoke_obscuration", "temperature", "fire_alarm", "pm2_5", "ch4", "water_level"} <= {
        quantity for sensor in city.sensors.values() for quantity in sensor.quantities
    }


def test_hanoi_lines_have_no_stop_or_bend_far_off_their_course() -> None:
    """A slip in a coordinate shows as a long step; the longest is the road to the airport."""
    for line in load_city(HANOI).lines:
        for way in line.patterns:
            steps_m = way.offset_m[1:] - way.offset_m[:-1]
            assert steps_m.max() < 15_500, line.line_id
            assert (way.stop_offset_m[1:] > way.stop_offset_m[:-1]).all(), line.line_id


@pytest.mark.parametrize(
    ("latitude_deg", "longitude_deg", "words"),
    [
        (21.0325, 105.8200, "near Kim Mã stop, phường Ngọc Hà"),
        (21.2570, 105.8500, "xã Sóc Sơn"),
        (21.0288, 105.8524, "near hồ Hoàn Kiếm, phường Hoàn Kiếm"),
        (20.9775, 105.7610, "near Văn Khê stop, phường Dương Nội"),
        (20.9300, 106.3000, "outside the city"),
    ],
)
def test_hanoi_places_in_words(latitude_deg: float, longitude_deg: float, words: str) -> None:
    assert load_city(HANOI).place_in_words(latitude_deg, longitude_deg) == words
