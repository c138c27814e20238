"""Runs of one vehicle: stops are two minutes apart at the scheduled speed."""

from processors.gatherings.headways import Headways
from processors.gatherings.runs import Runs
from processors.gatherings.stage import GatheringStage
from processors.incidents.merge import MergedTick
from schemas.records import Observation
from tests.processors.gatherings.builders import CITY, HORIZON_MS, TIMETABLE_CITY, clock_of, passage, told

RUNS = Runs(CITY)


def run(*clocks: str, first_stop: int = 1) -> list[Observation]:
    return [passage("A", first_stop + index, clock) for index, clock in enumerate(clocks)]


def test_a_vehicle_at_the_scheduled_speed_is_never_late() -> None:
    assert told(RUNS, run("08:00", "08:02", "08:04", "08:06")) == []


def test_what_was_lost_since_the_first_stop_is_how_late_it_is() -> None:
    assert told(RUNS, run("08:00", "08:07")) == []
    assert told(RUNS, run("08:00", "08:07", "08:09:01")) == [("running_late", "08:09:01", 301.0)]
    assert told(RUNS, run("08:00", "08:10", "08:11", "08:12")) == [
        ("running_late", "08:10:00", 480.0),
        ("running_late", "08:11:00", 420.0),
        ("running_late", "08:12:00", 360.0),
    ]


def test_being_on_time_again_is_told_once() -> None:
    found = told(RUNS, run("08:00", "08:07:01", "08:09", "08:10"))
    assert found == [("running_late", "08:07:01", 301.0), ("on_time", "08:10:00", 240.0)]


def test_between_the_limits_it_stays_late() -> None:
    """5 min begin lateness, 4 min end it."""
    claims = run("08:00", "08:08", "08:08:50", "08:09:40")
    assert told(RUNS, claims) == [("running_late", "08:08:00", 360.0), ("on_time", "08:09:40", 220.0)]


def test_the_wait_at_a_terminal_does_not_count() -> None:
    assert told(RUNS, [passage("A", 0, "08:00"), passage("A", 1, "08:20"), passage("A", 2, "08:22")]) == []
    assert told(RUNS, [passage("A", 3, "08:00"), passage("A", 4, "08:02"), passage("A", 5, "08:20")]) == []


def test_another_run_begins_anew() -> None:
    claims = [*run("08:00", "08:08", first_stop=3), *run("08:50", "08:52")]
    assert told(RUNS, claims) == [("running_late", "08:08:00", 360.0), ("on_time", "08:50:00", 0.0)]


def test_lines_with_a_timetable_are_not_judged_by_their_speed() -> None:
    claims = [passage("A", 1, "08:00", "T1"), passage("A", 2, "08:20", "T1")]
    assert told(Runs(TIMETABLE_CITY), claims) == []


def test_bunched_ends_at_the_first_stop_where_the_vehicle_is_apart_again() -> None:
    stage = GatheringStage((Headways(CITY), Runs(CITY)), HORIZON_MS)
    claims = [
        passage("A", 1, "08:00"), passage("A", 2, "08:02:10"), passage("A", 3, "08:04:20"), passage("A", 4, "08:06:30"),
        passage("B", 1, "08:01"), passage("B", 2, "08:03:40"), passage("B", 3, "08:06:30"), passage("B", 4, "08:09:00"),
    ]  # fmt: skip
    found: list[Observation] = []
    for tick_ms in range(min(one.at_ms for one in claims), max(one.at_ms for one in claims) + 60_000, 10_000):
        due = tuple(one for one in claims if tick_ms - 10_000 <= one.at_ms < tick_ms)
        found += stage.advance(MergedTick(tick_ms, due))[1]
    assert [(one.kind, one.device_id, clock_of(one.at_ms), one.value) for one in found] == [
        ("bunched", "B", "08:01:00", 60.0),
        ("bunched", "B", "08:03:40", 90.0),
        ("unbunched", "B", "08:06:30", 0.0),
    ]
    assert {one.subject for one in found} == {"09A/0"}
