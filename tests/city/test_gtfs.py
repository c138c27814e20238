import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from processors.city import City, CityInvalid, derive_city, load_city
from schemas.dictionary import dictionary_array
from tests.city.builders import HANOI, SHARED, write_files

FEED = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\n1,A,http://example.com,UTC\n",
    "stops.txt": (
        "\ufeffstop_id,stop_name,stop_lat,stop_lon,location_type\n"
        "a,A,21.0,105.78,\nb,B,21.0,105.80,0\nc,C,21.0,105.82,0\nhall,Hall,21.0,105.82,1\n"
    ),
    "routes.txt": (
        'route_id,route_short_name,route_long_name,route_type,route_color\nr1,1,"A, B and C",3,FF0000\nm,M,,1,\n'
    ),
    "trips.txt": (
        "route_id,service_id,trip_id,direction_id,shape_id\n"
        "r1,week,t1,0,s1\nr1,week,t2,0,s1\nr1,week,t3,0,\nr1,week,t4,1,\nm,week,m1,,\n"
    ),
    "stop_times.txt": (
        "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "t1,07:00:00,07:00:00,a,1\nt1,,,b,2\nt1,07:20:00,07:20:00,c,5\n"
        "t2,08:20:00,08:20:00,c,3\nt2,08:00:00,08:00:00,a,1\nt2,08:10:00,08:10:00,b,2\n"
        "t3,09:00:00,09:00:00,a,1\nt3,09:10:00,09:10:00,c,2\n"
        "t4,25:00:00,25:00:00,c,1\nt4,25:10:00,25:10:00,a,2\n"
        "m1,06:00:00,06:00:00,a,1\nm1,06:05:00,06:05:00,c,2\n"
    ),
    "shapes.txt": (
        "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\n"
        "s1,21.0,105.82,4\ns1,21.0,105.78,1\ns1,21.005,105.79,2\ns1,21.0,105.80,3\n"
    ),
    "calendar.txt": (
        "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
        "week,1,1,1,1,1,0,0,20260101,20261231\n"
    ),
    "calendar_dates.txt": "service_id,date,exception_type\nweek,20261122,1\n",
    "frequencies.txt": "trip_id,start_time,end_time,headway_secs\nm1,06:00:00,06:30:00,600\n",
}


def feed(folder: Path, **changed: str | None) -> Path:
    """Write the small feed with some files changed or (None) left out."""
    files = {**FEED, **{f"{name}.txt": text for name, text in changed.items()}}
    return write_files(folder, {name: text for name, text in files.items() if text is not None})


def mistakes_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(CityInvalid) as caught:
        load_city(HANOI, gtfs=path)
    return caught.value.mistakes


def due(city: City, stop_id: str, line_id: str, day: int, hour: int) -> list[tuple[str, str]]:
    """What is due in the hour from `hour` (Hanoi) on a day of November 2026: trip and local time."""
    after_ms = int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp() * 1000) - 7 * 3_600_000
    trips = city.due_trips([stop_id], [line_id], after_ms, 3600)
    local_s = [trip.due_at_ms // 1000 + 7 * 3600 for trip in trips]
    return [
        (trip.trip_id, f"{second // 3600 % 24:02}:{second // 60 % 60:02}")
        for trip, second in zip(trips, local_s, strict=True)
    ]


def test_feed_replaces_lines_and_stops_and_keeps_the_city(tmp_path: Path) -> None:
    built_in, city = load_city(HANOI), load_city(HANOI, gtfs=feed(tmp_path))
    assert (city.name, city.time_zone, len(city.units)) == ("Hà Nội", "Asia/Ho_Chi_Minh", 126)
    assert city.cameras == built_in.cameras
    assert city.version != built_in.version
    assert [stop.stop_id for stop in city.stops] == ["a", "b", "c"]
    assert [(line.line_id, line.name, line.mode, line.colour) for line in city.lines] == [
        ("m", "M", "metro", ""),
        ("r1", "A, B and C", "bus", "#FF0000"),
    ]


def test_pattern_is_the_usual_stop_sequence_on_its_shape(tmp_path: Path) -> None:
    there, back = load_city(HANOI, gtfs=feed(tmp_path)).lines[1].patterns
    assert (there.direction_id, there.stop_ids) == (0, ("a", "b", "c"))
    assert (back.direction_id, back.stop_ids) == (1, ("c", "a"))
    assert there.latitude_deg.tolist() == [21.0, 21.005, 21.0, 21.0]
    assert there.stop_offset_m.tolist() == pytest.approx(there.offset_m[[0, 2, 3]].tolist(), abs=0.5)


def test_pattern_does_not_believe_a_shape_far_from_its_stops(tmp_path: Path) -> None:
    far = FEED["shapes.txt"].replace("21.0,105.80", "21.0,105.795").replace("s1,21.0,105.82,4", "s1,21.1,105.82,4")
    there = load_city(HANOI, gtfs=feed(tmp_path, shapes=far)).lines[1].patterns[0]
    assert there.latitude_deg.tolist() == [21.0, 21.0, 21.0]


def test_due_trips_follow_the_timetable_in_the_citys_time_zone(tmp_path: Path) -> None:
    city = load_city(HANOI, gtfs=feed(tmp_path))
    assert due(city, "a", "r1", 23, 7) == [("t1", "07:00")]
    assert due(city, "b", "r1", 23, 7) == [("t1", "07:10")]
    assert due(city, "c", "r1", 24, 1) == [("t4", "01:00")]
    assert due(city, "a", "r1", 22, 8) == [("t2", "08:00")]
    assert due(city, "a", "r1", 28, 8) == []


def test_due_trips_repeat_by_frequency(tmp_path: Path) -> None:
    city = load_city(HANOI, gtfs=feed(tmp_path))
    assert due(city, "c", "m", 23, 6) == [("m1", "06:05"), ("m1", "06:15"), ("m1", "06:25")]


def test_zip_is_read_like_the_folder_and_has_its_version(tmp_path: Path) -> None:
    folder = feed(tmp_path / "feed")
    with zipfile.ZipFile(tmp_path / "feed.zip", "w") as archive:
        for name in FEED:
            archive.write(folder / name, f"inner/{name}")
    zipped, plain = load_city(HANOI, gtfs=tmp_path / "feed.zip"), load_city(HANOI, gtfs=folder)
    assert zipped.version == plain.version
    assert [line.line_id for line in zipped.lines] == ["m", "r1"]


def test_only_stops_routes_and_trips_must_be_there(tmp_path: Path) -> None:
    assert mistakes_of(feed(tmp_path / "1", stops=None, trips=None)) == (
        "stops.txt: is missing in 1",
        "trips.txt: is missing in 1",
    )
    (tmp_path / "2").mkdir()
    assert mistakes_of(tmp_path / "2") == ("2: has no GTFS file in it",)
    assert mistakes_of(tmp_path / "3.zip") == ("3.zip: is neither a folder nor a zip file with a GTFS feed",)


def test_stop_ids_give_the_sequence_where_there_are_no_times(tmp_path: Path) -> None:
    numbered = "stop_id,stop_lat,stop_lon\n" + "".join(f"r1_S{n},21.0,{105.70 + n / 100}\n" for n in (10, 2, 1))
    only = dict.fromkeys(("stop_times", "shapes", "frequencies", "calendar", "calendar_dates", "agency"))
    path = feed(tmp_path, stops=numbered, trips="route_id,service_id,trip_id\nr1,s,t1\n", **only)
    (line,) = load_city(HANOI, gtfs=path).lines
    assert line.patterns[0].stop_ids == ("r1_S1", "r1_S2", "r1_S10")
    assert load_city(HANOI, gtfs=path).due_trips(["r1_S1"], ["r1"], 0, 86_400) == ()


def test_a_route_without_any_sequence_is_a_mistake(tmp_path: Path) -> None:
    path = feed(tmp_path, stop_times=None)
    assert "trips.txt: route r1 direction 0 has no sequence of 2 stops" in mistakes_of(path)


def test_every_mistake_of_a_feed_is_listed_with_file_and_line(tmp_path: Path) -> None:
    found = mistakes_of(
        feed(
            tmp_path,
            agency=FEED["agency.txt"].replace("UTC", "Mars"),
            stops="stop_id,stop_name,stop_lat,stop_lon\na,A,91,105.78\na,A,x,105.8\nb,B,21.0\nc,C,21.0,105.82,extra\n",
            routes=FEED["routes.txt"] + "r1,again,,3,\nr3,no type,,,\n",
            trips=FEED["trips.txt"] + "r9,week,t9,2,\n",
            calendar=FEED["calendar.txt"].replace("20261231", "31.12.2026"),
            frequencies=FEED["frequencies.txt"] + "m1,06:00:00,05:00:00,600\nm1,6,07:00:00,600\n",
        )
    )
    assert set(found) >= {
        "agency.txt line 2: agency_timezone Mars is not known",
        "stops.txt line 2: stop_lat must be a number from -90 to 90, is '91'",
        "stops.txt line 3: stop_lat must be a number from -90 to 90, is 'x'",
        "stops.txt line 4: stop_lon is missing",
        "stops.txt line 5: has 5 fields, the header has 4",
        "routes.txt line 4: route_id r1 is already used",
        "routes.txt line 5: route_type is missing",
        "trips.txt line 7: direction_id must be 0 or 1, is 2",
        "trips.txt line 7: route_id r9 is not in routes.txt",
        "calendar.txt line 2: end_date must be a date like 20260131, is '31.12.2026'",
        "frequencies.txt line 3: headway_secs must be greater than 0 and start_time before end_time",
        "frequencies.txt line 4: start_time must be a time like 07:30:00, is '6'",
        "stop_times.txt line 2: stop_id a is not in stops.txt",
    }


def test_missing_columns_bad_bytes_and_backward_times_are_told(tmp_path: Path) -> None:
    assert mistakes_of(feed(tmp_path / "1", shapes="shape_id,shape_pt_lat\ns1,21.0\n")) == (
        "shapes.txt line 1: column shape_pt_lon, shape_pt_sequence is missing",
    )
    path = feed(tmp_path / "2")
    (path / "routes.txt").write_bytes(b"route_id,route_type\nr1,3\nm\xe9tro,1\n")
    assert "routes.txt line 3: is not UTF-8" in mistakes_of(path)
    backward = FEED["stop_times.txt"].replace("t3,09:10:00", "t3,08:10:00")
    assert mistakes_of(feed(tmp_path / "3", stop_times=backward)) == (
        "stop_times.txt: the times of trip t3 run backwards",
    )


def test_a_flood_of_mistakes_is_cut(tmp_path: Path) -> None:
    stops = FEED["stops.txt"] + "".join(f"x{number},X,north,105.8,\n" for number in range(200))
    found = mistakes_of(feed(tmp_path, stops=stops))
    assert len(found) == 51
    assert found[-1] == "stops.txt: and 150 more mistakes"


@pytest.mark.parametrize(
    ("name", "lines", "stops"), [("central_complete", 63, 372), ("pm_full_no_stop_times", 224, 7_670)]
)
def test_hanoi_feeds_load(name: str, lines: int, stops: int) -> None:
    path = SHARED / "hanoi_gtfs" / name
    if not path.exists():
        pytest.skip("the Hanoi GTFS feeds (../shared/data/hanoi_gtfs) are not here")
    city = load_city(HANOI, gtfs=path)
    assert (len(city.lines), len(city.stops)) == (lines, stops)
    assert city.time_zone == "Asia/Ho_Chi_Minh"
    by_id = {line.line_id: line for line in city.lines}
    way = by_id["01_1"].patterns[0]
    latitude_deg, longitude_deg = (
        (way.latitude_deg[:1] + way.latitude_deg[1:2]) / 2,
        (way.longitude_deg[:1] + way.longitude_deg[1:2]) / 2,
    )
    told = dictionary_array(["01_1"])
    found = city.locate(latitude_deg, longitude_deg, told)
    assert found.matched_line_id.tolist() == ["01_1"]
    assert float(found.cross_track_m[0]) < 1.0
    has_times = name == "central_complete"
    assert bool(due(city, way.stop_ids[0], "01_1", 23, 10)) == has_times


def test_austin_is_derived_from_its_positions_and_stops() -> None:
    folder = SHARED / "capmetro"
    if not folder.exists():
        pytest.skip("the CapMetro day (../shared/data/capmetro) is not here")
    columns = np.loadtxt(folder / "2015-09-06.csv", delimiter=",", skiprows=1, usecols=(5, 6))
    city = derive_city(
        "Austin", "America/Chicago", columns[:, 0], columns[:, 1], stops=folder / "stops_20150823_20160116.csv.gz"
    )
    assert len(city.stops) == 2_695
    inside = (columns[:, 0] > city.south_deg) & (columns[:, 0] < city.north_deg)
    inside &= (columns[:, 1] > city.west_deg) & (columns[:, 1] < city.east_deg)
    assert inside.mean() > 0.999
    found = city.locate(columns[:, 0], columns[:, 1])
    assert (found.stop_id.numbers != 0).mean() > 0.5
    assert set(found.unit_code.tolist()) == {""}
    assert city.place_in_words(30.284171, -97.659854).endswith("stop")
    assert city.place_in_words(30.5, -97.0) == "30.50000, -97.00000"


def test_derived_bounds_ignore_null_island_and_outliers(tmp_path: Path) -> None:
    latitude_deg = np.concatenate((np.linspace(30.2, 30.3, 5_000), [0.0, 45.0, np.nan]))
    longitude_deg = np.concatenate((np.linspace(-97.8, -97.7, 5_000), [0.0, 10.0, -97.7]))
    city = derive_city("X", "America/Chicago", latitude_deg, longitude_deg)
    margin_deg = 5_000 / 111_195
    assert (city.south_deg, city.north_deg) == pytest.approx((30.2 - margin_deg, 30.3 + margin_deg), abs=1e-3)
    assert (city.west_deg, city.east_deg) == pytest.approx((-97.8 - 0.0521, -97.7 + 0.0521), abs=1e-3)
    with pytest.raises(CityInvalid, match="no position has a place"):
        derive_city("X", "America/Chicago", np.zeros(3), np.zeros(3))
    with pytest.raises(CityInvalid, match="time zone 'Texas' is not known"):
        derive_city("X", "Texas", latitude_deg, longitude_deg)
    (tmp_path / "s.csv").write_text("stop_id,stop_lat,stop_lon\n1,x,2\n")
    with pytest.raises(CityInvalid, match=r"s\.csv line 2: stop_lat must be a number"):
        derive_city("X", "America/Chicago", latitude_deg, longitude_deg, stops=tmp_path / "s.csv")
