"""Lateness by a timetable: T1 is at S2 at 06:02, 06:22, ... 08:02, 08:22."""

from processors.gatherings.punctuality import Punctuality, PunctualityRule, share_out
from tests.processors.gatherings.builders import TIMETABLE_CITY, passage, told

LINE = Punctuality(TIMETABLE_CITY)
MINUTE = 60_000


def late(*passages: tuple[str, str, str]) -> list[tuple[str, str, float]]:
    return told(LINE, [passage(vehicle, 2, clock, "T1", trip) for vehicle, clock, trip in passages])


def test_five_minutes_are_on_time_and_a_second_more_is_late() -> None:
    assert late(("A", "08:07", "t6")) == []
    assert late(("A", "08:07:01", "t6")) == [("running_late", "08:07:01", 301.0)]


def test_the_trip_told_decides_however_late() -> None:
    assert late(("A", "08:52", "t6")) == [("running_late", "08:52:00", 3000.0)]


def test_a_vehicle_that_tells_no_trip_is_on_the_one_that_it_is_least_late_for() -> None:
    assert late(("A", "08:08", "")) == [("running_late", "08:08:00", 360.0)]
    assert late(("A", "08:01", "")) == []


def test_early_is_less_likely_than_late() -> None:
    """13 min late for 08:02, 7 min early for 08:22: three times as unlikely."""
    assert late(("A", "08:15", "")) == [("running_late", "08:15:00", 780.0)]


def test_a_trip_is_used_once_and_in_its_order() -> None:
    """B runs on time at 08:22, so A at 08:19, which is nearer to 08:22, is the 08:02."""
    assert late(("A", "08:19", ""), ("B", "08:22", "")) == [("running_late", "08:19:00", 1020.0)]
    assert late(("A", "08:19", "")) == []


def test_a_trip_that_another_vehicle_tells_is_taken() -> None:
    assert late(("A", "08:18", ""), ("B", "08:20", "t7")) == [("running_late", "08:18:00", 960.0)]


def test_terminals_do_not_count() -> None:
    assert told(LINE, [passage("A", 5, "08:30", "T1", "t6"), passage("A", 0, "08:30", "T1", "t6")]) == []


def test_lines_with_headways_alone_have_no_trips_to_be_late_for() -> None:
    assert told(LINE, [passage("A", 2, "08:09", "09A")]) == []


def test_sharing_out_leaves_extra_vehicles_without_a_trip() -> None:
    rule = PunctualityRule()
    assert share_out([2 * MINUTE, 3 * MINUTE], [0], rule) == [2 * MINUTE, None]
    assert share_out([], [0], rule) == []
    assert share_out([60 * MINUTE], [0], rule) == [None]
    assert share_out([MINUTE, 21 * MINUTE], [0, 20 * MINUTE, 40 * MINUTE], rule) == [MINUTE, MINUTE]
