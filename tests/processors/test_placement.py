"""Device files: every line is a registration or refused, with its line and reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.placement import read_placement
from schemas.records import DeviceKind, DeviceRegistration, VehicleClass


def read(text: str, **options: DeviceKind) -> tuple[dict[int, DeviceRegistration], dict[int, str]]:
    """The registrations and refusals of a file, by line."""
    listed, refused = read_placement(text.splitlines(keepends=True), registered_at_ms=5, **options)
    return {one.line: one.registration for one in listed}, {one.line: one.reason for one in refused}


@pytest.mark.parametrize(
    "text",
    [
        "camera_id,lat,lon,owner\nc1,21.02,105.85,ward\n",
        "\ufeffCamera ID;Latitude;Longitude;Agency\r\nc1;21,02;105,85;ward\r\n",
        "id\tkind\ty\tx\towner\nc1\tCamera\t21.02\t105.85\tward\n",
        "devices:\n  - {id: c1, kind: camera, lat: 21.02, lon: 105.85, owner: ward}\n",
        "- id: c1\n  kind: camera\n  lat: 21.02\n  lon: 105.85\n  owner: ward\n",
        '[{"device_id": "c1", "kind": "camera", "lat": 21.02, "lon": 105.85, "owner": "ward"}]',
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties":'
        ' {"camera": "c1", "owner": "ward"}, "geometry": {"type": "Point", "coordinates": [105.85, 21.02, 6.0]}}]}',
        '{"type": "Feature", "id": "c1", "properties": {"kind": "camera", "owner": "ward"},'
        ' "geometry": {"type": "Point", "coordinates": [105.85, 21.02]}}',
    ],
)
def test_files_of_every_form_say_the_same_device(text: str) -> None:
    listed, refused = read(text)
    assert refused == {}
    assert list(listed.values()) == [
        DeviceRegistration(
            registered_at_ms=5, latitude_deg=21.02, longitude_deg=105.85, kind=DeviceKind.CAMERA, device_id="c1",
            owner="ward",
        )
    ]  # fmt: skip


def test_columns_of_sensors_and_vehicles_are_read() -> None:
    text = (
        "id,kind,lat,lon,quantities,host camera,vehicle class,route,operator,retired\n"
        "s1,sensor,21,105,sound_level; pm2_5,c1,,,,\n"
        "v1,vehicle,,,,,ride hailing,07,op,yes\n"
    )
    listed, refused = read(text)
    assert refused == {}
    assert (listed[2].quantities, listed[2].host_camera_id) == (("sound_level", "pm2_5"), "c1")
    vehicle = listed[3]
    assert (vehicle.vehicle_class, vehicle.line_id, vehicle.operator_id) == (VehicleClass.RIDE_HAILING, "07", "op")
    assert (vehicle.retired, math.isnan(vehicle.latitude_deg)) == (True, True)


def test_where_a_camera_looks_is_read() -> None:
    listed, refused = read(
        "camera_id,lat,lon,azimuth,FOV,range\na,21,105,89.6,70,120\nb,21,105,360,,\nc,21,105,,,\n"
        "d,21,105,400,,\ne,21,105,,,far\n"
    )
    views = {line: (one.bearing_deg, one.view_deg, one.range_m) for line, one in listed.items()}
    assert views == {2: (90, 70, 120), 3: (0, 0, 0), 4: (-1, 0, 0)}
    assert refused == {
        5: "bearing_deg must be from 0 to 360, is 400",
        6: "range_m must be a number of metres, is 'far'",
    }


def test_a_third_partys_camera_needs_a_qualification() -> None:
    text = "camera_id,lat,lon,third_party,qualified_until\na,21,105,yes,2027-06-30\nb,21,105,yes,\nc,21,105,no,\n"
    listed, refused = read(text + "d,21,105,yes,soon\n")
    assert {line: one.qualified_until_ms for line, one in listed.items()} == {2: 1_814_399_999_999, 4: 0}
    assert "not qualified" in refused[3]
    assert "2027-06-30" in refused[5]


def test_kind_is_told_given_or_guessed() -> None:
    kinds = {
        "vehicle_id,lat,lon\na,21,105\n": DeviceKind.VEHICLE,
        "id,lat,lon,quantity\na,21,105,pm2_5\n": DeviceKind.SENSOR,
        "id,lat,lon,class\na,21,105,bus\n": DeviceKind.VEHICLE,
        "camera,type,lat,lon\na,dome,21,105\n": DeviceKind.CAMERA,
    }
    for text, kind in kinds.items():
        assert read(text)[0][2].kind is kind
    assert read("id,lat,lon\na,21,105\n", default_kind=DeviceKind.SENSOR)[0][2].kind is DeviceKind.SENSOR
    assert "does not tell its kind" in read("id,lat,lon\na,21,105\n")[1][2]


def test_every_line_is_accounted_for_with_its_reason() -> None:
    text = (
        "camera_id,lat,lon,kind\n"
        "good,21.0,105.8,\n"
        ",21.0,105.8,\n"
        "no-place,,,\n"
        "half,21.0,,\n"
        "north,91,105.8,\n"
        "\n"
        "word,north,105.8,\n"
        "inf,inf,105.8,\n"
        "good,21.1,105.8,\n"
        "typo,21.0,105.8,camra\n"
        "many,21.0,105.8,camera,what\n"
        + "x" * 65 + ",21.0,105.8,\n"
    )  # fmt: skip
    listed, refused = read(text)
    assert list(listed) == [2]
    assert {line: reason[:40] for line, reason in refused.items()} == {
        3: "has no id",
        4: "no-place: has no place (columns lat and "[:40],
        5: "half: lat 21, lon nan is not a place on ",
        6: "north: lat 91, lon 105.8 is not a place ",
        8: "latitude_deg must be a number of degrees",
        9: "latitude_deg must be a number of degrees",
        10: "good is already on line 2",
        11: "kind 'camra' is none: use camera, sensor",
        12: "has 5 columns, the header has 4",
        13: "the id of the device has more than the 6",
    }


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "the file is empty"),
        ("a,b\n1,2\n", 1, "the header has no column for the id"),
        ('{"type": "FeatureCollection",\n "features": [}', 2, "is not JSON"),
        ("devices:\n  - {id: a\n", 3, "is not YAML"),
        ("devices: 7\n", 1, "is not a list of devices"),
        ("- {id: a, since: 2026-99-99}\n", 1, "is not YAML"),
        ("- \x00", 1, "is not YAML"),
        ('{"type": "Feature", "properties": ' + "[" * 100_000, 1, "is nested too deeply"),
        ("- " + "[" * 100_000, 1, "is nested too deeply"),
        ('{"type": "FeatureCollection",\n"features": [\n\n{"type": "Feature", "geometry": {"type": "Polygon"}}]}', 4,
         "is not a point"),
    ],
)  # fmt: skip
def test_what_is_no_device_file_is_said_with_the_line(text: str, line: int, reason: str) -> None:
    listed, refused = read(text)
    assert listed == {}
    assert [(at, words[: len(reason)]) for at, words in refused.items()] == [(line, reason)]


@given(st.one_of(st.text(max_size=200), st.text("{}[]:,\"'-\n idkindlatlon0123;|\t", max_size=200)))
def test_garbage_never_raises(text: str) -> None:
    listed, refused = read_placement(text.splitlines(keepends=True))
    assert len(refused) + len(listed) <= text.count("\n") + text.count("\r") + len(text) + 1
