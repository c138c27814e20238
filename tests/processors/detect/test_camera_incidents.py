"""From what one camera or two say to incidents of Hanoi's rules, through the real engines, as literal timelines."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import pytest

from processors.camera import camera_domain
from processors.city import City, load_city
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rules import RuleSet, load_rules
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from schemas.records import IncidentChange, IncidentState, Severity
from streams.settings import PROJECT
from tests.processors.builders import CODEC, T0_MS, detection, log_of, tick

TOPIC = "camera.detections.v1"
STREET = (21.0200, 105.8200)
"""A street, with no hospital, school, station or market near it."""
HOSPITAL = (21.0007, 105.8404)
STATION = (21.0243, 105.8418)
NORTH_DEG = 50 / 111_195
SUSPECTED, CONFIRMED, RESOLVED = IncidentState.SUSPECTED, IncidentState.CONFIRMED, IncidentState.RESOLVED


@cache
def hanoi() -> City:
    return load_city(PROJECT / "cities" / "hanoi")


@cache
def rules() -> RuleSet:
    return load_rules(PROJECT / "cities" / "hanoi" / "rules")


def seen(
    kind: str, seconds: Iterable[float], camera_id: str = "a", at: tuple[float, float] = STREET, **fields: Any
) -> list[Any]:
    place = {"latitude_deg": at[0], "longitude_deg": at[1], "track_id": "t1"}
    times = [T0_MS + round(second * 1000) for second in seconds]
    return [detection(camera_id, at_ms, kind=kind, **{**place, **fields}) for at_ms in times]


def changes(*detections: Any, ticks_s: Sequence[int] = range(0, 2_400, 5)) -> list[IncidentChange]:
    """Return every revision that comes of detections, each in the interval of its time."""
    entries = sorted([*detections, *(tick(T0_MS + second * 1000) for second in ticks_s)], key=_order)
    engine = PartitionEngine(TOPIC, 0, 1, camera_domain(), CODEC, hanoi(), IngestRule())
    blocks = engine.push(log_of(entries)).blocks
    incidents = IncidentEngine(rules(), hanoi(), [(TOPIC, 0)], CorrelationRule())
    return list(incidents.push(list(enumerate(blocks))).changes)


def _order(record: Any) -> tuple[int, bool]:
    return record.at_ms, not hasattr(record, "kind")


def story(*detections: Any) -> list[tuple[str, IncidentState, int]]:
    """Return each new state of every incident: its kind, the state, and the second of the tick that told it."""
    told: dict[str, IncidentState] = {}
    found = []
    for change in changes(*detections):
        incident = change.incident
        if told.get(incident.incident_id) is not incident.state and not incident.provisional:
            told[incident.incident_id] = incident.state
            found.append((incident.kind, incident.state, (change.tick_ms - T0_MS) // 1000))
    return [one for one in found if one[1] in (SUSPECTED, CONFIRMED, RESOLVED)]


LIFE = [
    ("person_in_water", 5, 15, 910),
    ("person_down", 5, 15, 615),
    ("fight", 5, 15, 615),
]


@pytest.mark.parametrize(("kind", "first_s", "stays_s", "over_s"), LIFE)
def test_one_camera_is_suspected_and_confirmed_when_it_stays(
    kind: str, first_s: int, stays_s: int, over_s: int
) -> None:
    brief = story(*seen(kind, range(5)))
    assert brief[0] == (kind, SUSPECTED, first_s)
    assert [state for _, state, _ in brief] == [SUSPECTED, RESOLVED]
    lasting = story(*seen(kind, range(30)))
    assert lasting[:2] == [(kind, SUSPECTED, first_s), (kind, CONFIRMED, stays_s)]
    assert lasting[2][:2] == (kind, RESOLVED)
    assert lasting[2][2] == pytest.approx(over_s, abs=5)


@pytest.mark.parametrize("kind", ["person_in_water", "person_down", "fight"])
def test_a_second_camera_confirms(kind: str) -> None:
    there = (STREET[0] + NORTH_DEG, STREET[1])
    both = story(*seen(kind, range(5)), *seen(kind, range(20, 25), "b", there))
    assert both[:2] == [(kind, SUSPECTED, 5), (kind, CONFIRMED, 25)]


@pytest.mark.parametrize("kind", ["person_in_water", "person_down", "fight"])
def test_what_one_frame_shows_is_nothing(kind: str) -> None:
    assert story(*seen(kind, [0]), *seen(kind, [30])) == []


def test_somebody_in_the_water_is_at_once_severe() -> None:
    found = changes(*seen("person_in_water", range(30)))
    assert [one.incident.severity for one in found[:2]] == [Severity.SEVERE, Severity.EXTREME]


def test_a_crowd_is_suspected_and_a_second_camera_confirms() -> None:
    there = (STREET[0] + NORTH_DEG, STREET[1])
    one, other = seen("crowd", range(0, 90, 5)), seen("crowd", range(60, 150, 5), "b", there)
    assert story(*one)[0] == ("crowd", SUSPECTED, 35)
    assert story(*one, *other)[:2] == [("crowd", SUSPECTED, 35), ("crowd", CONFIRMED, 95)]


def test_a_crowd_that_grows_quickly_is_confirmed_by_one_camera() -> None:
    found = story(*seen("crowd", range(0, 90, 5)), *seen("crowd_surge", [60, 65, 70]))
    assert found[:2] == [("crowd", SUSPECTED, 35), ("crowd", CONFIRMED, 70)]


def test_a_crowd_at_a_station_is_a_crowd_and_only_platform_analytics_tell_a_crowded_platform() -> None:
    assert {kind for kind, _, _ in story(*seen("crowd", range(0, 90, 5), at=STATION))} == {"crowd"}
    assert story(*seen("platform_crowd", range(0, 90, 5), at=STATION))[0] == ("crowded_platform", CONFIRMED, 35)
    assert story(*seen("platform_crowd", range(0, 90, 5))) == []


def test_something_left_behind_is_confirmed_when_it_stays_four_minutes() -> None:
    assert story(*seen("abandoned_object", range(0, 60, 5))) == []
    found = story(*seen("abandoned_object", range(0, 300, 5)))
    assert found[:2] == [("abandoned_object", SUSPECTED, 65), ("abandoned_object", CONFIRMED, 245)]


def test_something_left_behind_at_a_station_weighs_more() -> None:
    at_station, street = (changes(*seen("abandoned_object", range(0, 90, 5), at=at)) for at in (STATION, STREET))
    assert (at_station[0].incident.severity, street[0].incident.severity) == (Severity.MODERATE, Severity.MINOR)
    both = changes(*(one for by in "ab" for one in seen("abandoned_object", range(0, 90, 5), by, STATION)))
    assert both[0].incident.severity is Severity.SEVERE


SIDEWALK = [("illegal_parking", 185), ("encroachment", 125), ("street_vending", 125)]


@pytest.mark.parametrize(("kind", "first_s"), SIDEWALK)
def test_the_order_of_the_sidewalk(kind: str, first_s: int) -> None:
    assert story(*seen(kind, range(0, first_s, 5))) == []
    assert story(*seen(kind, range(0, 400, 5)))[0] == (kind, SUSPECTED, first_s)
    again = story(*seen(kind, range(0, 400, 5)), *seen(kind, range(700, 1_100, 5), track_id="t2"))
    assert again[:2] == [(kind, SUSPECTED, first_s), (kind, CONFIRMED, first_s + 700)]


def test_parking_before_a_hospital_weighs_more() -> None:
    found = changes(*seen("illegal_parking", range(0, 400, 5), at=HOSPITAL))
    assert found[0].incident.severity is Severity.MODERATE
    assert changes(*seen("illegal_parking", range(0, 400, 5)))[0].incident.severity is Severity.MINOR


def test_debris_is_confirmed_when_it_stays() -> None:
    found = story(*seen("debris", range(0, 200, 5)))
    assert found[:2] == [("debris", SUSPECTED, 25), ("debris", CONFIRMED, 125)]


@pytest.mark.parametrize("kind", ["frozen", "covered", "moved"])
def test_a_camera_tampered_with_is_well_again(kind: str) -> None:
    found = story(*seen(kind, range(0, 300, 5)), *seen("well", [400]))
    assert found == [
        ("camera_tampered", SUSPECTED, 35),
        ("camera_tampered", CONFIRMED, 185),
        ("camera_tampered", RESOLVED, 400),
    ]


def test_another_camera_that_is_well_ends_nothing() -> None:
    found = story(*seen("covered", range(0, 300, 5)), *seen("well", [400], "b"))
    assert [state for _, state, at_s in found if at_s < 1_500] == [SUSPECTED, CONFIRMED]


def test_each_incident_has_a_title() -> None:
    made = {one.id: one.name for one in rules().rules}
    told = {kind: made[kind] for kind in ("person_in_water", "person_down", "encroachment", "camera_tampered")}
    assert told == {
        "person_in_water": "Person in water",
        "person_down": "Person down",
        "encroachment": "Sidewalk encroachment",
        "camera_tampered": "Camera tampered with",
    }
