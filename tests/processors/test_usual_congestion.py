"""Congestion against what is usual on the segment at that hour, told as timelines along the street of line L1."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from processors.baselines import Baselines, Snapshot, baselines_of
from processors.city import Bounds, City
from processors.evaluation.pipeline import Concluder, Observers
from processors.incidents.rules import load_rules
from processors.simulate import Sent
from tests.city.builders import HANOI
from tests.processors.builders import CITY, CODEC, position

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
TOPIC = "vehicle.positions.v1"
BEFORE, MONDAY, SATURDAY = "2026-09-27T08:00", "2026-09-28T08:00", "2026-10-03T08:00"


def usual(at_eight_mps: float, at_weekends_mps: float) -> Baselines:
    """A snapshot that holds from Monday, 28 September: the second 500 m of L1 at 8 o'clock."""
    speeds: list[float | None] = [None] * 48
    speeds[8], speeds[32] = at_eight_mps, at_weekends_mps
    valid_from = datetime(2026, 9, 28, tzinfo=ZONE)
    return baselines_of([Snapshot(valid_from=valid_from, normals_mps={"L1/0/1": tuple(speeds)})])


def town(baselines: Baselines) -> City:
    return City(
        name="Small",
        version="1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=Bounds(20.9, 105.7, 21.1, 105.9),
        lines=CITY.lines,
        stops=CITY.stops,
        baselines=baselines,
    )


def incidents(at: str, speed_mps: float, baselines: Baselines) -> list[str]:
    """The kinds of incidents when five taxis, 20 s apart, drive at that speed from 519 m on for 50 s or more."""
    from_ms = int(datetime.fromisoformat(at).replace(tzinfo=ZONE).timestamp() * 1000)
    city = town(baselines)
    observers = Observers(city, CODEC)
    concluder = Concluder(load_rules(HANOI / "rules"), city, observers.sources)
    found: list[str] = []
    observers.tick(from_ms - 1_000)
    for step in range(30):
        at_ms = from_ms + 10_000 * step
        observers.take(_taxis(at_ms, step, speed_mps))
        found += [
            one.incident.kind for one in concluder.take(observers.tick(at_ms + 500)) if one.incident.revision == 1
        ]
    return found


def _taxis(at_ms: int, step: int, speed_mps: float) -> Sequence[Sent]:
    found = []
    for number in range(5):
        driven_s = 10 * step - 20 * number
        if 0 <= driven_s * speed_mps <= 400:
            record = position(f"taxi-{number}", at_ms, east_m=driven_s * speed_mps, speed_mps=speed_mps)
            found.append(Sent(TOPIC, f"taxi-{number}", record))
    return found


@pytest.mark.parametrize(
    ("at", "speed_mps", "normal", "told"),
    [
        (MONDAY, 2.0, (2.0, 9.0), []),  # it is slow every Monday
        (SATURDAY, 2.0, (2.0, 9.0), ["congestion"]),  # but not at weekends
        (BEFORE, 2.0, (2.0, 2.0), ["congestion"]),  # the day before the snapshot holds: 6 m/s, as everywhere
        (MONDAY, 3.0, (9.0, 9.0), ["congestion"]),  # a fast street
        (BEFORE, 3.0, (9.0, 9.0), []),
    ],
)
def test_congestion_is_slow_against_the_segments_own_hour(
    at: str, speed_mps: float, normal: tuple[float, float], told: list[str]
) -> None:
    assert incidents(at, speed_mps, usual(*normal)) == told
