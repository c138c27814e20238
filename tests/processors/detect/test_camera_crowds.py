"""Crowds counted from persons, and vehicles parked where nobody may."""

from typing import Any

import pytest

from processors.camera import camera_domain
from processors.city import Bounds, City
from processors.zones import Zone, circle
from tests.processors.builders import CITY, STREET_DEG, T0_MS, detection, engine, log_of, run, tick


def persons(at_s: float, count: int, camera_id: str = "cam-1", first: int = 0, **fields: Any) -> list[Any]:
    """One frame of a camera with so many persons."""
    values = {"kind": "seen", "object_class": "person", **fields}
    return [
        detection(camera_id, T0_MS + round(at_s * 1000), track_id=f"p{number}", **values)
        for number in range(first, first + count)
    ]


def told(*frames: list[Any], city: City = CITY) -> list[tuple[str, float, float]]:
    """What frames lead to, each in an interval of its own: kind, seconds, value."""
    entries = [tick(T0_MS - 1000)]
    for number, frame in enumerate(frames):
        entries += [*frame, tick(T0_MS + 400_000 + number)]
    outcome = run(engine(camera_domain(), city=city), log_of(entries))
    assert sum(one.counts.used for one in outcome.outcomes) == sum(map(len, frames))
    return sorted((one.kind, (one.at_ms - T0_MS) / 1000, one.value) for one in outcome.standing.values())


def test_twenty_five_persons_for_half_a_minute_are_a_crowd() -> None:
    assert told(*(persons(second, 30) for second in range(0, 120, 10))) == [("camera_crowd", 40, 30)]
    assert told(*(persons(second, 24) for second in range(0, 120, 10))) == []
    assert told(*(persons(second, 25) for second in range(0, 40, 10))) == []


def test_persons_that_nobody_is_sure_of_do_not_count() -> None:
    assert told(*(persons(second, 30, confidence=0.4) for second in range(0, 120, 10))) == []


def test_other_things_are_no_crowd() -> None:
    assert told(*(persons(second, 60, object_class="car") for second in range(0, 120, 10))) == []


def test_a_frame_may_come_in_parts() -> None:
    parts = [persons(second, 13, first=first) for second in range(0, 60, 10) for first in (0, 13)]
    assert told(*parts) == [("camera_crowd", 40, 26)]
    few_last = [piece for second in range(0, 60, 10) for piece in (persons(second, 24), persons(second, 2, first=24))]
    assert told(*few_last) == [("camera_crowd", 40, 26)]


def test_late_persons_change_what_was_counted() -> None:
    frames = [persons(second, 24) for second in range(0, 60, 10)]
    assert told(*frames, *(persons(second, 1, first=24) for second in (0, 10, 20, 30, 40))) == [
        ("camera_crowd", 40, 25)
    ]


def test_a_view_that_fills_up_within_two_minutes_surges() -> None:
    filling = [persons(second, 12) for second in range(0, 90, 10)] + [persons(second, 40) for second in (90, 100, 110)]
    assert told(*filling) == [("camera_crowd_surge", 110, 40)]
    slow = [persons(second, 12 + second // 10) for second in range(0, 240, 10)]
    assert [kind for kind, _, _ in told(*slow)] == ["camera_crowd"]


def test_a_view_of_which_nothing_was_known_does_not_surge() -> None:
    assert [kind for kind, _, _ in told(*(persons(second, 40) for second in range(0, 50, 10)))] == ["camera_crowd"]


def with_zone(*classes: str, kind: str = "no_parking") -> City:
    zone = Zone("z1", "Forbidden", kind, circle(STREET_DEG, 105.801, 30.0), classes)
    bounds = Bounds(20.9, 105.7, 21.1, 105.9)
    return City(
        name="Small", version="1", time_zone="Asia/Ho_Chi_Minh", bounds=bounds, cameras=CITY.cameras, zones=(zone,)
    )


def parked(object_class: str = "car", camera_id: str = "cam-1", kind: str = "parked") -> list[list[Any]]:
    seconds = range(0, 240, 20)
    fields = {"kind": kind, "object_class": object_class, "track_id": "car-7"}
    return [[detection(camera_id, T0_MS + second * 1000, **fields)] for second in seconds]


@pytest.mark.parametrize("kind", ["parked", "stationary", "stopped"])
def test_a_vehicle_parked_in_a_zone_for_three_minutes_is_illegal_parking(kind: str) -> None:
    assert told(*parked(kind=kind), city=with_zone()) == [("camera_illegal_parking", 200, 0)]
    assert told(*parked(kind=kind), city=with_zone(kind="no_stopping")) == [("camera_illegal_parking", 200, 0)]


def test_elsewhere_it_is_none() -> None:
    assert told(*parked()) == []
    assert told(*parked(camera_id="cam-3"), city=with_zone()) == []
    assert told(*parked(), city=with_zone(kind="festival")) == []
    assert told(*parked("person"), city=with_zone()) == []


def test_a_zone_for_coaches_concerns_no_car() -> None:
    assert told(*parked(), city=with_zone("COACH", "TAXI")) == []
    assert told(*parked("taxi"), city=with_zone("COACH", "TAXI")) == [("camera_illegal_parking", 200, 0)]


def test_two_cars_that_share_a_camera_are_two_things() -> None:
    first, second = parked()[:6], parked()[6:]
    other = [
        [detection(one.camera_id, one.at_ms, kind="parked", object_class="car", track_id="b")] for (one,) in second
    ]
    assert told(*first, *other, city=with_zone()) == []
