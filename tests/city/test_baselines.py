import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from processors.city import CityInvalid, load_city
from tests.city.test_calendars import CITY

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MONDAY_MS = 1_790_000_000_000
"""21 September 2026, 21:13:20 in Hà Nội."""
HOUR_MS = 3_600_000


def package(folder: Path, **snapshots: object) -> Path:
    (folder / "city.yaml").write_text(CITY, encoding="utf-8")
    (folder / "baselines").mkdir()
    for name, content in snapshots.items():
        (folder / "baselines" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_the_newest_snapshot_valid_at_the_time_tells_the_hour_of_the_week(tmp_path: Path) -> None:
    hours = [float(hour) for hour in range(168)]
    first = {"valid_from": "2026-09-21T00:00:00+07:00", "hourly": {"camera_fight": {"1": hours}}}
    second = {"valid_from": "2026-09-22T00:00:00+07:00", "hourly": {"camera_fight": {"1": [7.0] * 168}}}
    baselines = load_city(package(tmp_path, b=first, a=second)).baselines
    assert baselines.expected("camera_fight", "1", MONDAY_MS, ZONE) == 21.0
    assert baselines.expected("camera_fight", "1", MONDAY_MS + 3 * HOUR_MS, ZONE) == 7.0
    assert baselines.expected("camera_fight", "1", MONDAY_MS - 22 * HOUR_MS, ZONE) is None
    assert baselines.expected("camera_fight", "2", MONDAY_MS, ZONE) is None
    assert baselines.expected("camera_crash", "1", MONDAY_MS, ZONE) is None


def test_where_a_snapshot_says_nothing_of_a_unit_it_may_say_what_holds_elsewhere(tmp_path: Path) -> None:
    hours: list[float | None] = [0.25] * 168
    hours[21] = None
    told = {
        "valid_from": "2026-09-21T00:00:00+07:00",
        "elsewhere": hours,
        "hourly": {"camera_fight": {"1": [2.0] * 168}},
    }
    baselines = load_city(package(tmp_path, a=told)).baselines
    assert baselines.expected("camera_fight", "1", MONDAY_MS, ZONE) == 2.0
    assert baselines.expected("camera_fight", "2", MONDAY_MS + HOUR_MS, ZONE) == 0.25
    assert baselines.expected("camera_fight", "2", MONDAY_MS, ZONE) is None, "nobody knows that hour"


def test_a_snapshot_changes_nothing_about_the_past_and_so_not_the_version(tmp_path: Path) -> None:
    good = {"valid_from": "2026-09-21T00:00:00+07:00", "hourly": {}}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    plain = load_city(package(tmp_path / "one"))
    assert load_city(package(tmp_path / "two", a=good)).version == plain.version


def test_every_mistake_of_a_snapshot_is_told(tmp_path: Path) -> None:
    bad = {
        "valid_from": "2026-09-21T00:00:00",
        "hourly": {"camera_fight": {"1": [1.0]}},
        "normals_mps": {"01/2/3": [5.0] * 48, "01/0/3": [-5.0] * 48},
    }
    odd = {"valid_from": "2026-09-21T00:00:01+07:00"}
    changed = {"valid_from": "2026-09-21T00:00:00+07:00", "version": "2026-09-21-0123456789ab"}
    with pytest.raises(CityInvalid) as caught:
        load_city(package(tmp_path, a=bad, b=odd, c=changed))
    told = "\n".join(caught.value.mistakes)
    assert "a.json: valid_from" in told
    assert "a.json: hourly camera_fight 1" in told
    assert "a.json: normals_mps 01/2/3" in told
    assert "a.json: normals_mps 01/0/3" in told
    assert "b.json: valid_from: must be a whole quarter of an hour" in told
    assert "c.json: was changed after it was made" in told
