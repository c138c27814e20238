"""What is claimed of vehicles, told as timelines: a line L1 along a street to the east, stops S1 and S2 at its ends."""

from typing import Any

import numpy as np
import pytest

from processors.city import Bounds, City, Line, pattern_along
from processors.fleet import fleet_domain
from schemas.records import Switch, VehicleClass
from tests.processors.builders import CITY, LANE_DEG, STREET_DEG, T0_MS, engine, log_of, position, run, tick

DAY_MS = T0_MS + 12 * 3_600_000
"""In the morning, when 6 m/s is usual."""


def fix(at_s: int, east_m: float = 0.0, **fields: Any) -> Any:
    return position("v-1", DAY_MS + at_s * 1000, east_m=east_m, **fields)


def claims(*fixes: Any, city: City = CITY) -> list[tuple[Any, ...]]:
    """What is claimed, in order: kind, seconds after the first fix, value and subject where there are any."""
    log = log_of([tick(DAY_MS - 1000), *fixes, tick(DAY_MS + 600_000)])
    outcome = run(engine(fleet_domain(), city=city), log)
    assert outcome.outcomes[0].counts.used == len(fixes)
    found = [(one.kind, (one.at_ms - DAY_MS) // 1000, round(one.value, 2), one.subject) for one in outcome.observations]
    return [tuple(part for part in one if part not in (0.0, "") or part is one[1]) for one in found]


def line(at_s: int, east_m: float = 0.0, **fields: Any) -> Any:
    """A bus of line L1."""
    return fix(at_s, east_m, line_id="L1", **fields)


def test_speeding_lasts_from_the_third_fast_report_to_the_second_slow_one() -> None:
    speeds_mps = [13.0, 16.0, 14.0, 16.0, 16.0, 16.0, 16.0, 13.0, 16.0, 13.0, 13.0, 13.0]
    # 50 km/h are 13.89 m/s, and 5 km/h more are let pass.
    assert claims(*(fix(10 * at, 150.0 * at, speed_mps=speed) for at, speed in enumerate(speeds_mps))) == [
        ("speeding", 50, 2.11),
        ("speed_normal", 100),
    ]


def test_taxis_have_another_limit_and_a_class_without_one_none() -> None:
    assert claims(*(fix(10 * at, vehicle_class=VehicleClass.TAXI, speed_mps=18.2) for at in range(4))) == [
        ("speeding", 20, 1.53)
    ]
    assert claims(*(fix(10 * at, vehicle_class=VehicleClass.COACH, speed_mps=40.0) for at in range(4))) == []


def test_a_vehicle_that_tells_no_class_is_of_its_lines_mode() -> None:
    fixes = [line(10 * at, 150.0 * at, vehicle_class=VehicleClass.UNKNOWN, speed_mps=16.0) for at in range(4)]
    assert claims(*fixes) == [("speeding", 20, 2.11)]


def test_off_route_twice_running_and_back_twice_running() -> None:
    away_m = [0, 70, 10, 70, 130, 10, 130, 10, 20, 0]
    assert claims(*(line(10 * at, 20.0 * at, north_m=float(north)) for at, north in enumerate(away_m))) == [
        ("off_route", 40, 130.0),
        ("back_on_route", 80),
    ]


def test_a_vehicle_far_from_everything_is_off_its_route_too() -> None:
    assert claims(*(line(10 * at, north_m=2_500.0) for at in range(3))) == [("off_route", 10, 1000.0)]


def test_who_waits_at_the_end_of_the_line_is_not_off_it() -> None:
    assert claims(*(line(10 * at, -430.0, north_m=120.0) for at in range(5))) == []


def test_a_line_that_the_city_does_not_know_cannot_be_left() -> None:
    assert claims(*(fix(10 * at, north_m=300.0, line_id="L9") for at in range(3))) == []


SHUT: dict[str, Any] = {"door": Switch.OFF}
OPENED: dict[str, Any] = {"door": Switch.ON}


def test_a_door_is_open_in_motion_from_the_second_report_until_it_is_shut() -> None:
    assert claims(
        line(0, **SHUT), line(10, 100, **OPENED), line(20, 200, **SHUT),
        line(30, 300, **OPENED), line(40, 400, **OPENED), line(50, 500, **OPENED),
        line(60, 510, speed_mps=1.6, **OPENED), line(70, 520, speed_mps=0.0, **OPENED), line(80, 530, **SHUT),
    ) == [("door_open_moving", 40), ("door_shut", 80)]  # fmt: skip


def doors(*fixes: Any) -> list[tuple[Any, ...]]:
    """What is claimed of doors."""
    return [one for one in claims(*fixes) if one[0].startswith("door")]


def test_who_waits_at_a_light_with_the_door_that_was_open_in_motion_has_not_shut_it() -> None:
    red = [line(20 + 10 * at, 200, speed_mps=0.3, **OPENED) for at in range(3)]
    assert doors(line(0, **SHUT), line(10, 150, **OPENED), *red, line(50, 260, **SHUT)) == [
        ("door_open_moving", 20),
        ("door_shut", 50),
    ]


def test_a_door_that_opens_a_moment_before_the_stop_or_shuts_a_moment_after_it_was_not_open_in_motion() -> None:
    at_stop = [line(20 + 10 * at, 1_550, speed_mps=0.0, **OPENED) for at in range(2)]
    left = [line(40, 1_560, **OPENED), line(50, 1_620, **SHUT)]
    assert doors(line(0, 1_400, **SHUT), line(10, 1_490, **OPENED), *at_stop, *left) == []


def test_a_door_that_is_open_while_a_bus_stands_is_none_that_is_open_in_motion() -> None:
    stands = [line(10 * at, 400, speed_mps=0.0, **OPENED) for at in range(3)]
    assert doors(line(-10, 380, **SHUT), *stands, line(30, 420, **OPENED), line(40, 500, **SHUT)) == []
    assert doors(*stands, line(30, 420, **OPENED), line(40, 500, **OPENED)) == [("door_open_moving", 40)]


def test_sos_at_once_and_over_when_the_button_was_off_twice() -> None:
    pressed = [False, True, True, False, True, False, False, False]
    fixes = [fix(10 * at, 100.0 * at, sos=Switch.ON if on else Switch.OFF) for at, on in enumerate(pressed)]
    assert claims(*fixes) == [("sos", 10), ("sos_over", 60)]


def test_a_silence_ends_what_lasted_without_a_claim() -> None:
    fixes = [fix(at_s, 100.0, sos=Switch.ON) for at_s in (0, 10, 131, 141)]
    assert claims(*fixes) == [("sos", 0), ("sos", 131)]


def test_wrong_way_for_three_reports_and_right_again() -> None:
    bearings = [90.0, 270.0, 270.0, 90.0, 270.0, 230.0, 280.0, 260.0, 90.0, 90.0]
    assert claims(*(line(10 * at, 300.0 - 10 * at, bearing_deg=to) for at, to in enumerate(bearings))) == [
        ("wrong_way", 60),
        ("right_way", 90),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"line_id": ""},  # any street may be driven along both ways
        {"speed_mps": 2.0},  # a bearing at walking speed is noise
        {"bearing_deg": 220.0},  # turns
        {"north_m": 61.0, "line_id": "L1", "bearing_deg": 90.0},  # elsewhere
    ],
)
def test_not_wrong_way(fields: dict[str, Any]) -> None:
    fixes = [fix(10 * at, 300.0, **{"line_id": "L1", "bearing_deg": 270.0, **fields}) for at in range(5)]
    assert "wrong_way" not in [one[0] for one in claims(*fixes)]


def test_where_a_line_comes_back_the_way_that_it_went_nothing_is_against_it() -> None:
    # East along the street to 105.815, back 30 m north of it to 105.808, and on to the north.
    latitude_deg = STREET_DEG + np.array([0.0, 0.0, 0.00027, 0.00027, 0.02])
    course = pattern_along(0, latitude_deg, np.array([105.80, 105.815, 105.815, 105.808, 105.808]), {})
    lines = (Line("L1", "Line 1", "bus", "", (), (course,)),)
    bounds = Bounds(20.9, 105.7, 21.1, 105.9)
    city = City(name="There and back", version="1", time_zone="Asia/Ho_Chi_Minh", bounds=bounds, lines=lines)

    def westward(from_m: float) -> list[Any]:
        return [line(10 * at, from_m - 10.0 * at, bearing_deg=270.0) for at in range(4)]

    assert claims(*westward(500.0), city=city) == []
    assert claims(*westward(0.0), city=city) == [("wrong_way", 20)]


def lane(at_s: int, east_m: float, north_m: float = 0.0, **fields: Any) -> Any:
    told = {"vehicle_class": VehicleClass.TAXI, "latitude_deg": LANE_DEG + north_m / 111_195.0, **fields}
    return fix(at_s, east_m, **told)


def test_a_taxi_in_the_bus_lane_for_four_reports_and_200_m() -> None:
    assert claims(*(lane(10 * at, 70.0 * at) for at in range(5)), lane(50, 350.0, 15.0), lane(60, 420.0, 30.0)) == [
        ("bus_lane_vehicle", 30),
        ("left_bus_lane", 60),
    ]


def test_a_slower_one_is_claimed_at_the_fifth_report() -> None:
    assert claims(*(lane(10 * at, 55.0 * at) for at in range(6))) == [("bus_lane_vehicle", 40)]


@pytest.mark.parametrize(
    "fixes",
    [
        [lane(10 * at, 70.0 * at) for at in range(3)],
        [lane(10 * at, 70.0 * at, vehicle_class=VehicleClass.BRT) for at in range(6)],
        [lane(10 * at, 70.0 * at, 12.0) for at in range(6)],  # beside it
        [lane(10 * at, 70.0 * at, bearing_deg=0.0) for at in range(6)],  # across it
        [lane(10 * at, 20.0 * at) for at in range(6)],  # a short way
    ],
)
def test_no_intruder(fixes: list[Any]) -> None:
    assert [one for one in claims(*fixes) if one[0] == "bus_lane_vehicle"] == []


def test_a_taxi_stands_where_taxis_may_not_until_it_moves_on() -> None:
    stands = [fix(10 * at, 50.0, speed_mps=0.0, vehicle_class=VehicleClass.TAXI) for at in range(5)]
    creeps = fix(50, 60.0, speed_mps=2.0, vehicle_class=VehicleClass.TAXI)
    assert sorted(claims(*stands, creeps, fix(60, 130.0, vehicle_class=VehicleClass.TAXI))) == [
        ("forbidden_stop", 30, "Z1"),
        ("moved_on", 60),
        ("stationary_vehicle", 30),
    ]


def test_a_stand_that_noise_hides_at_first_is_claimed_once_four_reports_agree() -> None:
    north_m = [20.0, 4.0, -16.0, 2.0, 0.0, -4.0, 0.0]  # the third is 36 m from the first
    told = claims(*(fix(10 * at, north_m=north, speed_mps=0.0) for at, north in enumerate(north_m)))
    assert told == [("stationary_vehicle", 40)]


def test_a_coach_may_stand_there() -> None:
    assert claims(*(fix(10 * at, 50.0, speed_mps=0.0, vehicle_class=VehicleClass.COACH) for at in range(5))) == [
        ("stationary_vehicle", 30)
    ]


def test_who_stood_has_moved_on_when_it_is_elsewhere_though_its_speed_is_unknown() -> None:
    stands = [fix(10 * at, speed_mps=0.0) for at in range(4)]
    assert claims(*stands, fix(40, 49.0, speed_mps=float("nan")))[1:] == []
    assert claims(*stands, fix(40, 51.0, speed_mps=float("nan")))[1:] == [("moved_on", 40)]
    assert claims(*stands, fix(240, 500.0))[1:] == [("moved_on", 240)]
    assert claims(*stands, fix(300, 500.0))[1:] == []


def test_who_stands_near_a_stop_has_moved_on_though_the_last_report_is_at_the_stop() -> None:
    stands = [fix(10 * at, -440.0, speed_mps=0.0) for at in range(5)]  # 79 m from S1
    seems_there = fix(50, -472.0, speed_mps=0.0)
    assert claims(*stands, seems_there, fix(60, -380.0)) == [("stationary_vehicle", 30), ("moved_on", 60)]


def test_noise_does_not_hide_that_a_vehicle_with_a_speed_moved_on() -> None:
    stands = [fix(10 * at, speed_mps=0.0) for at in range(4)]
    noisy, unknown = fix(40, 40.0, speed_mps=0.0), fix(40, 40.0, speed_mps=float("nan"))
    assert claims(*stands, noisy, fix(50, 40.0))[1:] == [("moved_on", 50)]
    assert claims(*stands, unknown, fix(50, 40.0))[1:] == []


def test_a_stop_is_passed_once_at_the_first_report_there() -> None:
    west_m = [-380.0, -470.0, -480.0, -519.0]
    fixes = [line(10 * at, east, direction_id=0, trip_id="T7") for at, east in enumerate(west_m)]
    away = line(40, -400.0, direction_id=0, trip_id="T7")
    east = line(140, 1_556.0, direction_id=0, trip_id="T7")
    assert claims(*fixes, away, east) == [("stop_passage", 10, "L1/0/S1/T7"), ("stop_passage", 140, "L1/0/S2/T7")]


def test_a_stop_may_follow_a_stop() -> None:
    assert [one[2] for one in claims(line(0, -500.0), line(100, 1_540.0), line(110, 1_545.0))] == [
        "L1/0/S1/", "L1/0/S2/",
    ]  # fmt: skip


def test_stops_are_passed_by_those_alone_who_serve_the_line() -> None:
    assert claims(fix(0, -500.0), line(10, -500.0, north_m=45.0)) == []


def test_slow_progress_is_claimed_once_a_segment() -> None:
    # From 519 m on; 2 m/s are a third of the usual 6.
    assert claims(*(fix(10 * at, 20.0 * at, speed_mps=2.0) for at in range(8))) == [
        ("slow_progress", 40, 0.33, "L1/0/1")
    ]
    later = [fix(10 * at, 400.0 + 20.0 * at, speed_mps=2.0) for at in range(8)]
    assert claims(*later) == [("slow_progress", 40, 0.33, "L1/0/1"), ("slow_progress", 50, 0.33, "L1/0/2")]


@pytest.mark.parametrize(
    "fixes",
    [
        [fix(10 * at, 25.0 * at, speed_mps=2.5) for at in range(8)],  # 2.5 of 6 m/s
        [fix(10 * at, 8.0 * at, speed_mps=1.0) for at in range(8)],  # no further than the noise of GPS
        [fix(10 * at, 20.0 * at, speed_mps=0.4) for at in range(8)],  # tells that it stands
        [fix(10 * at, 20.0 * at, speed_mps=4.0 if at % 5 == 4 else 1.5) for at in range(12)],  # stops and goes
        [fix(50 * at, 45.0 * at, speed_mps=2.0) for at in range(8)],  # 200 s
        [fix(10 * at, 20.0 * at, speed_mps=2.0, north_m=41.0) for at in range(8)],  # on no street of a line
        [fix(10 * at, 20.0 * at, speed_mps=2.0) for at in range(4)],
    ],
)
def test_not_slow(fixes: list[Any]) -> None:
    assert [one for one in claims(*fixes) if one[0] == "slow_progress"] == []


def test_an_observation_of_a_vehicle_tells_its_class_direction_and_place_on_its_line() -> None:
    log = log_of([tick(DAY_MS - 1000), line(0, 200.0, sos=Switch.ON), fix(5, sos=Switch.ON), tick(DAY_MS + 10_000)])
    found = run(engine(fleet_domain()), log).observations
    assert [(one.vehicle_class, one.line_id, one.direction_id, one.line_offset_m) for one in found] == [
        ("BUS", "L1", 0, 719.0)
    ]
    alone = log_of([tick(DAY_MS - 1000), fix(5, sos=Switch.ON), tick(DAY_MS + 10_000)])
    (other,) = run(engine(fleet_domain()), alone).observations
    assert (other.vehicle_class, other.line_id, other.direction_id, other.line_offset_m) == ("BUS", "", -1, -1.0)
