"""Linear Road's stopped vehicle as a city's setting, in the pure pipeline: against the benchmark's own rule."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.city import Bounds, City, load_city
from processors.detect.linear_road import Report, accidents, stopped
from processors.evaluation.pipeline import Concluder, Observers
from processors.fleet import fleet_domain
from processors.incidents.rules import load_rules
from processors.simulate import Sent
from tests.city.builders import write_files
from tests.processors.builders import CITY, CODEC, T0_MS, engine, log_of, position, run, tick

DAY_MS = T0_MS + 12 * 3_600_000


def town(*, linear_road: bool) -> City:
    return City(
        name="Small",
        version="1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=Bounds(20.9, 105.7, 21.1, 105.9),
        lines=CITY.lines,
        stops=CITY.stops,
        zones=CITY.zones,
        stopped_by_linear_road=linear_road,
    )


ROAD = town(linear_road=True)


def claims(*fixes: tuple[float, float], city: City = ROAD, every_s: int = 30, **fields: Any) -> list[tuple[str, int]]:
    """What is claimed of a taxi that reports (metres east, m/s) every so often: kind and number of the report."""
    records = [
        position("t", DAY_MS + 1000 * every_s * at, east_m=east, speed_mps=speed, **fields)
        for at, (east, speed) in enumerate(fixes)
    ]
    log = log_of([tick(DAY_MS - 1000), *records, tick(DAY_MS + 1000 * every_s * len(fixes))])
    found = run(engine(fleet_domain(), city=city), log).observations
    kinds = ("stationary_vehicle", "moved_on", "forbidden_stop")
    return [(one.kind, (one.at_ms - DAY_MS) // 1000 // every_s) for one in found if one.kind in kinds]


STUCK = [(0.0, 9.0), (100.0, 9.0), (110.0, 2.0), (100.0, 2.0), (120.0, 4.0), (105.0, 2.0), (200.0, 9.0)]
"""From the second report on five from one position, of a vehicle whose odometer says that it moves."""


def test_four_reports_from_one_position_say_that_a_vehicle_stands_whatever_its_speed() -> None:
    assert claims(*STUCK) == [("stationary_vehicle", 4), ("moved_on", 6)]
    assert claims(*STUCK, city=town(linear_road=False)) == []


def test_three_reports_or_a_silence_do_not() -> None:
    assert claims(*STUCK[:4], (200.0, 9.0)) == []
    assert claims(*STUCK[1:6], every_s=121) == []


def test_who_stands_at_a_stop_does_not() -> None:
    assert claims(*[(-519.0, 0.0)] * 6, (0.0, 9.0)) == []


def test_forbidden_stops_stay_what_they_are() -> None:
    told = claims(*[(100.0, 0.0)] * 5, (300.0, 9.0), vehicle_class="TAXI")
    assert told == [("stationary_vehicle", 3), ("forbidden_stop", 3), ("moved_on", 5)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 100, 200]), min_size=1, max_size=25), st.permutations([3.0, 0.0, 12.0]))
def test_claims_begin_and_end_where_the_benchmarks_rule_does(places: list[int], speeds: list[float]) -> None:
    reports = [Report(at, "t", (1, place, 0), 0, 0.0) for at, place in enumerate(places)]
    stands = {one.at_s for one in stopped(reports)}
    begins = [("stationary_vehicle", at) for at in sorted(stands) if at - 1 not in stands]
    ends = [("moved_on", at) for at in range(1, len(places)) if at - 1 in stands and at not in stands]
    told = claims(*((float(place), speeds[at % 3]) for at, place in enumerate(places)))
    assert sorted(told) == sorted(begins + ends)


ACCIDENT = """\
id: accident
kind: accident
evidence: {stationary_vehicle: 0.6}
within: {distance_m: 50, quiet_s: 600, lasts_s: 3600}
suspected:
  score: 0.3
  any_of: [{claims: {stationary_vehicle: 2}, distance_m: 35, apart_s: 600}]
confirmed: {score: 0.5, witnesses: 2}
resolve_after_s: 600
severity: {suspected: MODERATE, confirmed: SEVERE}
"""
COMES = (-240.0, -150.0, -60.0)


@pytest.mark.parametrize("other", [(5.0, 0), (5.0, 2), (150.0, 0)])
def test_two_stopped_at_one_position_are_an_accident(tmp_path: Path, other: tuple[float, int]) -> None:
    place_m, later = other
    tracks = {"a": [*COMES, *[0.0] * 8], "b": [*[-900.0] * later, *COMES, *[place_m] * 8]}
    observers = Observers(ROAD, CODEC)
    concluder = Concluder(load_rules(write_files(tmp_path, {"accident.yaml": ACCIDENT})), ROAD, observers.sources)
    observers.tick(DAY_MS - 1000)
    told = []
    for step in range(10):
        at_ms = DAY_MS + 30_000 * step
        for name, track in tracks.items():
            fix = position(name, at_ms, east_m=track[step], speed_mps=2.0)
            observers.take([Sent("vehicle.positions.v1", name, fix)])
        told += [step for one in concluder.take(observers.tick(at_ms + 500)) if one.incident.revision == 1]
    # The benchmark's positions are equal or not: 5 m of noise are the same one.
    reports = [
        Report(step, name, (1, 150 if track[step] == 150 else round(track[step] / 20), 0), 0, 2.0)
        for name, track in tracks.items()
        for step in range(10)
    ]
    assert told == [one.at_s for one in accidents(reports)]
    assert bool(told) == (place_m == 5.0)


@pytest.mark.parametrize(("said", "on"), [("", False), ("linear_road", True), ("by_speed", False)])
def test_it_is_a_setting_of_the_city(tmp_path: Path, said: str, on: bool) -> None:
    city = "name: Small\ntime_zone: Asia/Ho_Chi_Minh\nbounds: {south: 20.9, west: 105.7, north: 21.1, east: 105.9}\n"
    folder = write_files(tmp_path / "small", {"city.yaml": city + (f"stopped_vehicles: {said}\n" if said else "")})
    assert load_city(folder).stopped_by_linear_road is on
