from datetime import date
from pathlib import Path

import pytest

from processors.city import CityInvalid, load_city

PROJECT = Path(__file__).resolve().parents[2]
CITY = "name: Small\ntime_zone: Asia/Ho_Chi_Minh\nbounds: {south: 20.0, west: 105.0, north: 21.0, east: 106.0}\n"


def package(folder: Path, calendars: str) -> Path:
    (folder / "city.yaml").write_text(CITY, encoding="utf-8")
    (folder / "calendars.yaml").write_text(calendars, encoding="utf-8")
    return folder


def test_a_calendar_has_its_days_and_the_weekdays_of_its_spans(tmp_path: Path) -> None:
    text = """\
calendars:
  - id: school_days
    weekdays: [mon, tue, wed, thu, fri]
    spans: [{from: 2026-09-07, to: 2026-09-30}]
    days: [2026-10-03]
    without: [2026-09-09]
"""
    calendar = load_city(package(tmp_path, text)).calendars["school_days"]
    days = [date(2026, 9, day) for day in range(1, 31) if calendar.has(date(2026, 9, day))]
    assert [day.day for day in days][:8] == [7, 8, 10, 11, 14, 15, 16, 17]
    assert days[-1] == date(2026, 9, 30)
    assert calendar.has(date(2026, 10, 3))
    assert not calendar.has(date(2026, 10, 1))


def test_the_calendars_of_hanoi_know_tet() -> None:
    calendars = load_city(PROJECT / "cities" / "hanoi").calendars
    assert calendars["tet"].has(date(2027, 2, 6))
    assert not calendars["school_days"].has(date(2027, 2, 5))


def test_mistakes_in_calendars_are_told_with_their_lines(tmp_path: Path) -> None:
    text = """\
calendars:
  - {id: a, spans: [{from: 2026-09-30, to: 2026-09-07}]}
  - {id: b, weekday: [mon]}
  - {id: c, days: [today]}
  - {id: c}
"""
    with pytest.raises(CityInvalid) as caught:
        load_city(package(tmp_path, text))
    told = "\n".join(caught.value.mistakes)
    assert "calendars.yaml line 2: spans from must not be after to" in told.replace("Value error, ", "")
    assert "calendars.yaml line 3: weekday is not a known key; did you mean weekdays?" in told
    assert "calendars.yaml line 4" in told
