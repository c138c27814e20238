"""What is usual, from literal days: September 2026, whose 7th, 14th, 21st and 28th are Mondays."""

import xml.etree.ElementTree as ElementTree
from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from processors.baseline_days import (
    BaselineRule,
    HourClaims,
    HourSpeed,
    UsualDays,
    expected_claims,
    normal_mps,
    snapshot_of,
)
from processors.baseline_picture import line_speeds, speeds_picture
from processors.baselines import HOURS, Snapshot, baselines_of

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
HERE = ("32", 0, 3)
MONDAYS = [date(2026, 9, day) for day in (7, 14, 21, 28)]
SATURDAYS = [date(2026, 9, day) for day in (5, 12, 19, 26)]


def at_eight(mps: float) -> list[HourSpeed]:
    return [HourSpeed(HERE, 8, mps)]


def test_a_day_of_jams_does_not_move_what_is_usual() -> None:
    told = normal_mps({day: at_eight(mps) for day, mps in zip(MONDAYS[:3], (6.04, 0.9, 6.2), strict=True)})
    assert told[HERE][8] == 6.0


def test_weekends_are_apart_and_hours_known_of_too_few_days_take_all_days() -> None:
    working = dict(zip(MONDAYS[:3], map(at_eight, (2.0, 2.2, 2.1)), strict=True))
    two = dict(zip(SATURDAYS[:2], map(at_eight, (9.0, 9.0)), strict=True))
    three = dict(zip(SATURDAYS[:3], map(at_eight, (9.0, 9.0, 9.4)), strict=True))
    assert [normal_mps({**working, **three})[HERE][hour] for hour in (8, 32)] == [2.1, 9.0]
    assert [normal_mps({**working, **two})[HERE][hour] for hour in (8, 32)] == [2.1, 2.2]


def test_an_hour_of_too_few_days_is_unknown() -> None:
    assert normal_mps(dict(zip(MONDAYS[:2], map(at_eight, (2.0, 2.2)), strict=True))) == {}
    both = {day: [*at_eight(2.0), *([HourSpeed(HERE, 9, 5.0)] if day < MONDAYS[2] else [])] for day in MONDAYS}
    told = normal_mps(both)[HERE]
    assert (told[8], told[9], told[32]) == (2.0, None, 2.0)


def test_claims_are_expected_by_the_hour_of_the_week() -> None:
    heard = [4] * HOURS
    claims = [0] * HOURS
    claims[8] = 10
    told = expected_claims(claims, heard)
    assert (told[8], told[9]) == (2.625, 0.125), "Jeffreys: half a claim more than was counted in four weeks"


def test_hours_heard_on_few_days_take_like_ones() -> None:
    heard = [1] * HOURS
    heard[9::24] = [0] * 7
    heard[10::24] = [1, 1, 0, 0, 0, 1, 0]
    claims = [0] * HOURS
    claims[8], claims[32], claims[5 * 24 + 8] = 3, 1, 2
    told = expected_claims(claims, heard)
    assert told[8] == told[32] == 0.9, "(3 + 1 + 1/2) / 5 days from Monday to Friday"
    assert told[5 * 24 + 8] == round(6.5 / 7, 4), "two days at a weekend are too few: all seven"
    assert told[9] is None
    assert told[10] == round(0.5 / 3, 4), "on three days of the seven"


def usual(claims: list[HourClaims]) -> UsualDays:
    return UsualDays({day: at_eight(5.0) for day in MONDAYS}, claims, [4] * HOURS)


def test_a_snapshot_is_told_from_its_midnight_on_and_can_be_read_back() -> None:
    made = snapshot_of(date(2026, 9, 30), ZONE, usual([HourClaims("camera_fight", "7", 8, 4)]))
    assert made.valid_from.isoformat() == "2026-09-30T00:00:00+07:00"
    assert made.version.startswith("2026-09-30-")
    assert made.days == tuple(MONDAYS)
    again = Snapshot.model_validate_json(made.model_dump_json())
    assert again.version == again.right_version == made.version
    baselines = baselines_of([again])
    monday_eight_ms = 1_791_162_000_000  # 5 October 2026, 8:00
    assert baselines.expected("camera_fight", "7", monday_eight_ms, ZONE) == 1.125
    assert baselines.expected("camera_fight", "8", monday_eight_ms, ZONE) == 0.125
    assert baselines.expected("camera_fight", "7", 1_790_600_000_000, ZONE) is None, "28 September"
    (normals,) = baselines.normals
    assert normals.segments == (HERE,)


@given(st.permutations([HourClaims(kind, unit, hour, 2) for kind in "ab" for unit in "12" for hour in (8, 50)]))
def test_the_order_in_which_claims_are_counted_does_not_matter(claims: list[HourClaims]) -> None:
    day = date(2026, 9, 30)
    assert snapshot_of(day, ZONE, usual(claims)) == snapshot_of(day, ZONE, usual(sorted(claims, key=str)))


def test_the_picture_tells_each_hour_of_each_segment() -> None:
    days = {day: [HourSpeed(("32", way, 11), 8, 5.0) for way in (1, 0)] for day in MONDAYS}
    made = snapshot_of(date(2026, 9, 30), ZONE, UsualDays(days, [], [4] * HOURS), BaselineRule())
    rows = line_speeds(made, "32", weekend=False)
    assert [name for name, _ in rows] == ["0/11", "1/11"]
    titles = [one.text for one in ElementTree.fromstring(speeds_picture(rows)).iter() if one.tag.endswith("title")]
    assert len(titles) == 48
    assert titles[8] == "0/11, 8:00: 18 km/h"
    assert titles[9] == "0/11, 9:00: unknown"
