"""Lines traced from reports that are minutes apart: an L-shaped street there and back, whose stops are on the right."""

import csv
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from processors.city import Bounds, Stop, derive_city
from processors.geo import Plane
from processors.traced_lines import TracedCourse, TraceRule, gtfs_tables, trace_lines
from schemas.records import VehicleClass, VehiclePosition

BOUNDS: Final = Bounds(20.9, 105.7, 21.1, 105.9)
PLANE: Final = Plane(21.0, 105.8)
LEG_M: Final = 3_000.0
"""3 km to the east and then 3 km to the north."""
SPEED_MPS: Final = 7.0
EVERY_S: Final = 120
T0_MS: Final = 1_772_409_600_000
STOPS: Final = tuple(
    Stop(stop_id, stop_id, *PLANE.degrees(x_m, y_m))
    for stop_id, x_m, y_m in (
        ("east-going", 1_000.0, -12.0),
        ("west-going", 1_400.0, 12.0),
        ("north-going", LEG_M + 12.0, 1_000.0),
        ("south-going", LEG_M - 12.0, 1_400.0),
        ("elsewhere", 1_000.0, 500.0),
    )
)


def place_m(along_m: float) -> tuple[float, float]:
    return (along_m, 0.0) if along_m <= LEG_M else (LEG_M, along_m - LEG_M)


def trip(number: int, back: bool) -> list[VehiclePosition]:
    """A run that reports every two minutes, first somewhere in its first two, 5 m off by chance."""
    chance = np.random.default_rng(2 * number + back)
    whole_s = 2 * LEG_M / SPEED_MPS
    times_s = np.arange(chance.uniform(0, EVERY_S), whole_s, EVERY_S)
    found = []
    for at_s in times_s.tolist():
        x_m, y_m = place_m(2 * LEG_M - at_s * SPEED_MPS if back else at_s * SPEED_MPS)
        latitude_deg, longitude_deg = PLANE.degrees(x_m + chance.normal(0, 5), y_m + chance.normal(0, 5))
        found.append(
            VehiclePosition(
                vehicle_id=f"bus-{number}",
                at_ms=T0_MS + number * 600_000 + int(at_s * 1000),
                latitude_deg=latitude_deg,
                longitude_deg=longitude_deg,
                speed_mps=SPEED_MPS,
                bearing_deg=float("nan"),
                accuracy_m=float("nan"),
                vehicle_class=VehicleClass.BUS,
                line_id="L",
                trip_id=f"{'back' if back else 'there'}-{number}",
            )
        )
    return found


@pytest.fixture(scope="module")
def courses() -> list[TracedCourse]:
    told = [one for number in range(30) for back in (False, True) for one in trip(number, back)]
    ((line_id, found),) = trace_lines(sorted(told, key=lambda one: one.at_ms), STOPS, BOUNDS, TraceRule())
    assert line_id == "L"
    return found


def test_course_follows_the_street_round_the_corner(courses: list[TracedCourse]) -> None:
    there, back = courses
    for one in courses:
        x_m, y_m = PLANE.xy(one.latitude_deg, one.longitude_deg)
        off_m = np.minimum(np.hypot(0, y_m), np.hypot(x_m - LEG_M, 0))
        assert off_m.max() < 30
        assert np.hypot(x_m - LEG_M, y_m).min() < 60  # nobody cuts the corner by more
        assert one.length_m == pytest.approx(2 * LEG_M, rel=0.1)
        assert one.near > 0.95  # who reports within two minutes of an end may be beyond the course
    begins_m, ends_m = (PLANE.xy(there.latitude_deg[end], there.longitude_deg[end]) for end in (0, -1))
    backwards = float(np.hypot(*begins_m)) > float(np.hypot(*ends_m))
    assert {trip_id.split("-")[0] for trip_id in there.trip_ids} == {"back" if backwards else "there"}
    assert {trip_id.split("-")[0] for trip_id in back.trip_ids} == {"there" if backwards else "back"}
    assert len(there.trip_ids) == len(back.trip_ids) == 30


def test_stops_are_those_on_the_side_where_vehicles_stop(courses: list[TracedCourse]) -> None:
    by_way = {one.trip_ids[0].split("-")[0]: one.stop_ids for one in courses}
    assert by_way == {"there": ("east-going", "north-going"), "back": ("south-going", "west-going")}


def test_feed_is_read_as_a_network(courses: list[TracedCourse], tmp_path: Path) -> None:
    for name, rows in gtfs_tables({"L": courses, "untraced": []}, STOPS).items():
        with (tmp_path / name).open("w", newline="") as out:
            csv.writer(out).writerows(rows)
    city = derive_city("Traced", "UTC", np.array([21.0]), np.array([105.8]), tmp_path)
    (line,) = city.lines
    assert [pattern.stop_ids for pattern in line.patterns] == [one.stop_ids for one in courses]
    assert city.trip_directions["there-3"] != city.trip_directions["back-3"]
    latitude_deg, longitude_deg = PLANE.degrees(LEG_M, 2_000.0)
    located = city.locate(np.array([latitude_deg]), np.array([longitude_deg]))
    assert located.matched_line_id.tolist() == ["L"]
    assert located.cross_track_m[0] < 30


def test_a_line_with_two_trips_is_not_traced() -> None:
    told = [one for number in range(2) for one in trip(number, False)]
    assert list(trace_lines(told, STOPS, BOUNDS, TraceRule())) == [("L", [])]
