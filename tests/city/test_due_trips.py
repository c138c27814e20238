from datetime import UTC, date, datetime

import numpy as np
import pytest

from processors.city import Headway
from processors.timetable import Service, StopCalls, Timetable, Trip, seconds_of
from schemas.records import DueTrip
from tests.city.builders import bus_line, small_city


def at_ms(day: int, hour: int, minute: int, second: int = 0) -> int:
    """A moment of November 2026 in UTC; Hanoi is seven hours ahead."""
    return int(datetime(2026, 11, day, hour, minute, second, tzinfo=UTC).timestamp() * 1000)


def test_due_by_headway_counts_from_the_first_stop() -> None:
    city = small_city(lines=(bus_line(headway_s=(Headway("07:00", "08:00", 1200), Headway("08:00", "09:00", 600))),))
    travel_s = round(bus_line().patterns[0].stop_offset_m[1] / 4.4)
    found = city.due_trips(["b"], ["01"], at_ms(22, 0, 0), 3600)
    forth = [trip.due_at_ms for trip in found if trip.direction_id == 0]
    assert forth == [at_ms(22, 0, minute) + travel_s * 1000 for minute in (0, 20, 40)]
    assert {trip.direction_id for trip in found} == {0, 1}
    assert all(trip.stop_id == "b" and trip.line_id == "01" and trip.trip_id == "" for trip in found)
    assert [trip.due_at_ms for trip in found] == sorted(trip.due_at_ms for trip in found)


def test_due_by_headway_changes_with_the_period() -> None:
    city = small_city(lines=(bus_line(headway_s=(Headway("07:00", "08:00", 1200), Headway("08:00", "09:00", 600))),))
    found = city.due_trips(["a"], ["01"], at_ms(22, 0, 30), 3600)
    forth = [trip.due_at_ms for trip in found if trip.direction_id == 0]
    assert forth == [at_ms(22, 0, 40), *(at_ms(22, 1, minute) for minute in (0, 10, 20))]


def test_due_window_takes_its_start_and_leaves_its_end() -> None:
    city = small_city(lines=(bus_line(headway_s=(Headway("07:00", "08:00", 600),)),))
    found = city.due_trips(["a"], ["01"], at_ms(22, 0, 0), 600)
    assert [trip.due_at_ms for trip in found if trip.direction_id == 0] == [at_ms(22, 0, 0)]
    found = city.due_trips(["a"], ["01"], at_ms(22, 0, 0) + 1, 600)
    assert [trip.due_at_ms for trip in found if trip.direction_id == 0] == [at_ms(22, 0, 10)]


def test_due_by_headway_past_midnight_belongs_to_the_day_before() -> None:
    city = small_city(lines=(bus_line(headway_s=(Headway("23:00", "25:00", 1800),)),))
    found = city.due_trips(["a"], ["01"], at_ms(22, 16, 45), 3600)
    assert [trip.due_at_ms for trip in found if trip.direction_id == 0] == [at_ms(22, 17, 0), at_ms(22, 17, 30)]


def test_due_of_other_lines_stops_or_lines_without_headway_is_empty() -> None:
    city = small_city()
    assert city.due_trips(["a"], ["M"], at_ms(22, 1, 0), 3600) == ()
    assert city.due_trips(["gb"], ["M"], at_ms(22, 1, 0), 3600) == ()
    assert city.due_trips([], ["01"], at_ms(22, 1, 0), 3600) == ()
    assert city.due_trips(["a"], [], at_ms(22, 1, 0), 3600) == ()
    assert city.due_trips(["a"], ["01"], at_ms(21, 19, 0), 3600) == ()


def timetable(services: dict[str, Service], time_zone: str = "Asia/Ho_Chi_Minh") -> Timetable:
    trips = [Trip("t1", "01", 0, "week"), Trip("t2", "01", 0, "sunday"), Trip("t3", "02", 1, "week")]
    due = [(7 * 3600, 0), (7 * 3600 + 600, 1), (7 * 3600 + 900, 2), (24 * 3600 + 1800, 0)]
    calls = StopCalls(np.array([item[0] for item in due]), np.array([item[1] for item in due]))
    return Timetable(trips, {"a": calls}, services, time_zone)


WEEK = Service((True, True, True, True, True, False, False), date(2026, 11, 1), date(2026, 11, 30))
SUNDAY = Service((False, False, False, False, False, False, True), date(2026, 11, 1), date(2026, 11, 30))
SERVICES = {"week": WEEK, "sunday": SUNDAY}
LINES = frozenset({"01", "02"})


@pytest.mark.parametrize(
    ("day", "trip_ids"), [(22, ["t2"]), (23, ["t1", "t3"]), (21, [])], ids=["sunday", "monday", "saturday"]
)
def test_due_by_timetable_follows_the_calendar(day: int, trip_ids: list[str]) -> None:
    found = timetable(SERVICES).due(frozenset({"a"}), LINES, at_ms(day, 0, 0), 3600)
    assert [trip.trip_id for trip in found] == trip_ids


def test_due_by_timetable_gives_time_line_direction_and_trip() -> None:
    found = timetable(SERVICES).due(frozenset({"a"}), frozenset({"02"}), at_ms(23, 0, 0), 3600)
    assert found == (DueTrip(due_at_ms=at_ms(23, 0, 15), direction_id=1, line_id="02", stop_id="a", trip_id="t3"),)


def test_due_by_timetable_single_days_are_added_and_removed() -> None:
    monday, saturday = date(2026, 11, 23), date(2026, 11, 21)
    changed = Service(WEEK.weekdays, WEEK.first_day, WEEK.last_day, frozenset({saturday}), frozenset({monday}))
    table = timetable({"week": changed, "sunday": SUNDAY})
    assert [t.trip_id for t in table.due(frozenset({"a"}), LINES, at_ms(21, 0, 0), 3600)] == ["t1", "t3"]
    assert table.due(frozenset({"a"}), LINES, at_ms(23, 0, 0), 3600) == ()


def test_due_by_timetable_after_24_hours_belongs_to_the_day_before() -> None:
    table = timetable(SERVICES)
    friday_night = table.due(frozenset({"a"}), LINES, at_ms(20, 17, 0), 3600)
    assert [(trip.trip_id, trip.due_at_ms) for trip in friday_night] == [("t1", at_ms(20, 17, 30))]
    assert table.due(frozenset({"a"}), LINES, at_ms(21, 17, 0), 3600) == ()


def test_due_beyond_the_whole_calendar_is_decided_by_the_weekday() -> None:
    old = {"week": Service(WEEK.weekdays, date(2018, 1, 1), date(2018, 12, 31))}
    assert [t.trip_id for t in timetable(old).due(frozenset({"a"}), LINES, at_ms(23, 0, 0), 3600)] == ["t1", "t3"]


def test_due_without_a_calendar_runs_every_day() -> None:
    found = timetable({}).due(frozenset({"a"}), LINES, at_ms(21, 0, 0), 3600)
    assert [trip.trip_id for trip in found] == ["t1", "t2", "t3"]


def test_due_on_the_day_the_clocks_change_counts_from_noon() -> None:
    # 1 November 2026, Chicago: clocks go back at 02:00, so 07:00 is 13:00 UTC, not 12:00.
    found = timetable({}, "America/Chicago").due(frozenset({"a"}), frozenset({"01"}), at_ms(1, 12, 59), 120)
    assert [trip.due_at_ms for trip in found] == [at_ms(1, 13, 0)]


def test_seconds_of_reads_times_and_refuses_the_rest() -> None:
    assert (seconds_of("07:30"), seconds_of("25:00:01"), seconds_of(" 5:00:00")) == (27_000, 90_001, 18_000)
    for text in ("", "7", "07:60", "-1:00", "07:30:00:00", "aa:bb", "100:00"):
        with pytest.raises(ValueError, match="is not a time"):
            seconds_of(text)
