"""Bunching and gaps exactly as SFMTA says it, at stop S2 of a line that comes every 10 minutes."""

import pytest

from processors.gatherings.headways import Headways
from tests.processors.gatherings.builders import CITY, at_ms, line_city, passage, told

LINE = Headways(CITY)
DENSE = Headways(line_city(every_s=240))


def test_two_minutes_are_a_headway_and_a_second_less_is_bunched() -> None:
    assert told(LINE, [passage("A", 2, "08:00"), passage("B", 2, "08:02")], "bunched") == []
    late = [passage("A", 2, "08:00"), passage("B", 2, "08:01:59")]
    assert told(LINE, late, "bunched") == [("bunched", "08:01:59", 119.0)]


def test_where_less_than_five_minutes_are_scheduled_one_minute_is_the_limit() -> None:
    assert told(DENSE, [passage("A", 2, "08:00"), passage("B", 2, "08:01")], "bunched") == []
    late = [passage("A", 2, "08:00"), passage("B", 2, "08:00:59")]
    assert told(DENSE, late, "bunched") == [("bunched", "08:00:59", 59.0)]


def test_a_vehicle_that_passes_a_stop_twice_is_not_bunched_with_itself() -> None:
    assert told(LINE, [passage("A", 2, "08:00"), passage("A", 2, "08:01")], "bunched") == []
    three = [passage("A", 2, "08:00"), passage("A", 2, "08:01"), passage("B", 2, "08:01:30")]
    assert told(LINE, three, "bunched") == [("bunched", "08:01:30", 90.0)]


def test_a_gap_is_five_minutes_more_than_scheduled_and_over_when_one_comes() -> None:
    on_time = [passage("A", 2, "08:00"), passage("B", 2, "08:14:59")]
    assert [one for one in told(LINE, on_time, "gap", "gap_over") if one[1] < "08:15"] == []
    late = [passage("A", 2, "08:00"), passage("B", 2, "08:17")]
    assert told(LINE, late, "gap", "gap_over")[:2] == [("gap", "08:15:00", 900.0), ("gap_over", "08:17:00", 1020.0)]


def test_a_gap_is_claimed_again_while_nobody_comes_and_not_for_ever() -> None:
    assert told(LINE, [passage("A", 2, "08:00")]) == [
        ("gap", f"08:{minute}:00", minute * 60.0) for minute in (15, 25, 35, 45, 55)
    ]


def test_after_the_last_service_there_is_no_gap() -> None:
    """The last departure is at 21:50, 4 minutes before it passes S2."""
    assert told(LINE, [passage("A", 2, "21:54:30")]) == []
    assert told(LINE, [passage("A", 2, "21:44:35")]) == [("gap", "21:59:35", 900.0)]


def test_terminals_and_unknown_stops_are_no_places_of_headways() -> None:
    for stop in (0, 5):
        assert told(LINE, [passage("A", stop, "08:00"), passage("B", stop, "08:00:30")]) == []


def test_lines_and_directions_do_not_mix() -> None:
    claims = [passage("A", 2, "08:00"), passage("B", 2, "08:00:30", line_id="T1")]
    assert told(LINE, claims, "bunched") == []


def test_headway_adherence_is_the_spread_of_deviations_through_the_scheduled_headway() -> None:
    """Headways of 4, 16, 4 and 16 min where 10 are scheduled: deviations of 6 min."""
    clocks = ("07:59", "08:03", "08:19", "08:23", "08:39")
    found = told(LINE, [passage(f"V{index}", 2, clock) for index, clock in enumerate(clocks)], "headway_adherence")
    assert found == [("headway_adherence", "09:00:00", 0.6)]
    even = [passage(f"V{index}", 2, f"08:{10 * index:02}") for index in range(5)]
    assert told(LINE, even, "headway_adherence") == [("headway_adherence", "09:00:00", 0.0)]


@pytest.mark.parametrize("cut", ["07:30", "09:00", "10:30"])
def test_what_is_older_than_the_reach_changes_nothing(cut: str) -> None:
    minutes = (0, 1, 14, 15, 40, 41, 55, 70, 110, 112, 125, 180, 181, 200, 250, 260, 290)
    claims = [passage(f"V{index % 5}", 2, at_ms("07:00") + minute * 60_000) for index, minute in enumerate(minutes)]
    since = f"{int(cut[:2]) + 2}:{int(cut[3:]) + 20:02}"  # 2 h 20 min later
    rest = [one for one in claims if one.at_ms >= at_ms(cut)]
    late = [one for one in told(LINE, claims) if at_ms(one[1]) >= at_ms(since)]
    assert [one for one in told(LINE, rest) if at_ms(one[1]) >= at_ms(since)] == late
    assert LINE.reach_ms == 140 * 60_000
