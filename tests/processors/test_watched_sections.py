"""Section speed as timelines, late reports among them, against the plain sorted set and against Linear Road's rule."""

import math
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.city import Bounds, City, Zone
from processors.detect.linear_road import Report, too_fast
from processors.evaluation.pipeline import Concluder, Observers
from processors.fleet import fleet_domain
from processors.incidents.rules import load_rules
from processors.ingest import IngestRule
from processors.simulate import Sent
from tests.city.builders import HANOI
from tests.processors.builders import (
    CITY,
    CODEC,
    METRE_DEG,
    STREET_DEG,
    T0_MS,
    cut,
    engine,
    log_of,
    position,
    run,
    tick,
)
from tests.processors.test_partition_engine import Store, run_with_store

LIMIT_KMH = 60.0
"""16.67 m/s, and 5 km/h more are let pass: 18.06 m/s."""
LONG_M = 3_000.0


def section() -> Zone:
    """3 km of the street from 105.805° on, 100 m to both sides, for all but coaches."""
    east_deg = 105.805 + LONG_M * METRE_DEG / math.cos(math.radians(STREET_DEG))
    south_deg, north_deg = STREET_DEG - 100 * METRE_DEG, STREET_DEG + 100 * METRE_DEG
    corners = ((south_deg, 105.805), (south_deg, east_deg), (north_deg, east_deg), (north_deg, 105.805))
    return Zone("S", "Section", "speed_section", corners, ("TAXI", "BUS"), LIMIT_KMH)


ROAD = City(
    name="Small",
    version="1",
    time_zone="Asia/Ho_Chi_Minh",
    bounds=Bounds(20.9, 105.7, 21.1, 105.9),
    lines=CITY.lines,
    stops=CITY.stops,
    zones=(section(),),
)


def drive(*speeds_mps: float, from_m: float = -5.0, every_s: int = 10, **fields: Any) -> list[Any]:
    """A taxi's reports; each speed holds until the next one."""
    found, east_m = [], from_m
    for number, speed_mps in enumerate(speeds_mps):
        values = {"vehicle_class": "TAXI", "speed_mps": min(speed_mps, 15.0), **fields}
        found.append(position("taxi", T0_MS + 1000 * every_s * number, east_m=east_m, **values))
        east_m += every_s * speed_mps
    return found


def told(records: list[Any], city: City = ROAD) -> list[tuple[int, float, str]]:
    """What is claimed: the number of the report, m/s above the limit, the section."""
    log = log_of([tick(T0_MS - 1000), *records, tick(T0_MS + 1_000_000)])
    rule = IngestRule(future_ms=2_000_000, lateness_ms=2_000_000)
    found = run(engine(fleet_domain(), city=city, rule=rule), log).observations
    at = {one.at_ms: number for number, one in enumerate(sorted(records, key=lambda one: one.at_ms))}
    return [(at[one.at_ms], round(one.value, 1), one.subject) for one in found if one.kind == "section_speeding"]


def test_who_is_too_fast_between_the_first_and_the_last_report_inside_is_told_when_leaving() -> None:
    assert told(drive(*[20.0] * 20)) == [(16, 3.3, "S")]


def test_it_does_not_help_to_brake_where_the_speed_is_measured() -> None:
    assert told(drive(*[14.0, 30.0, 14.0, 28.0] * 5)) != []
    assert told(drive(*[30.0, 8.0, 14.0, 16.0] * 8)) == [], "fast only now and then"


@pytest.mark.parametrize(
    "records",
    [
        drive(*[18.0] * 20),  # 65 km/h
        drive(*[20.0] * 20, vehicle_class="COACH"),  # is not about coaches
        drive(*[20.0] * 20, north_m=110.0),
        drive(*[20.0] * 10),  # has not left it
        drive(*[20.0] * 8, from_m=2_750.0),  # 250 m are too short
        drive(*[20.0] * 10, every_s=125),  # nothing heard for more than two minutes
        [*drive(*[20.0] * 14), position("taxi", T0_MS + 400_000, east_m=3_500.0, vehicle_class="TAXI")],
    ],
)
def test_not_too_fast(records: list[Any]) -> None:
    assert told(records) == []


def test_where_there_is_no_section_nothing_is_told() -> None:
    assert told(drive(*[20.0] * 20), CITY) == []


def test_the_limit_of_a_section_is_none_at_a_place() -> None:
    taxi = drive(*[20.0] * 20, speed_mps=30.0)
    found = run(engine(fleet_domain(), city=ROAD), log_of([tick(T0_MS - 1000), *taxi, tick(T0_MS + 250_000)]))
    assert {one.kind for one in found.observations} == {"section_speeding"}


@pytest.mark.parametrize(
    "speeds_mps",
    [
        [22.0, 24.0, 26.0, 22.0, 24.0],  # 85 km/h
        [30.0, 12.0, 10.0, 25.0, 11.0],
        [16.0, 17.0, 16.0, 17.0, 16.0],
        [19.0, 21.0, 14.0, 25.0, 21.0],
    ],
)
def test_it_says_what_linear_roads_section_rule_says(speeds_mps: list[float]) -> None:
    inside = drive(*speeds_mps, 15.0, from_m=5.0, every_s=15)
    outside = position("taxi", inside[-1].at_ms + 15_000, north_m=300.0, vehicle_class="TAXI")
    reports = [Report(15 * number, "taxi", (1, 0, 0), 54, speed) for number, speed in enumerate(speeds_mps)]
    assert bool(told([*inside, outside])) == too_fast(reports, (LIMIT_KMH + 5) / 3.6)


def test_it_makes_an_incident() -> None:
    observers = Observers(ROAD, CODEC)
    concluder = Concluder(load_rules(HANOI / "rules"), ROAD, observers.sources)
    observers.tick(T0_MS - 1000)
    kinds = []
    for one in drive(*[24.0] * 18):
        observers.take([Sent("vehicle.positions.v1", "taxi", one)])
        changes = concluder.take(observers.tick(one.at_ms + 1000))
        kinds += [(change.incident.kind, str(change.incident.state)) for change in changes]
    assert kinds == [("speeding", "CONFIRMED")]


RULE = IngestRule(lateness_ms=120_000, future_ms=30_000, block_ms=20_000, checkpoint_ms=30_000)
quick = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn(seed: int, count: int, disorder: float) -> list[tuple[int, Any]]:
    """Reports of two taxis that hop in and out of the section for 20 minutes, and when they arrive."""
    chance = random.Random(seed)
    made = []
    for at_s, name in sorted({(chance.randrange(120) * 10, chance.choice("ab")) for _ in range(count)}):
        late_s = chance.choice([-30, 20, 60, 115]) if chance.random() < disorder else 0
        east_m = float(20 * at_s % 4_500 - 493)
        fix = position(name, T0_MS + at_s * 1000, east_m=east_m, vehicle_class="TAXI", speed_mps=2.0)
        made.append((T0_MS + (at_s + late_s) * 1000, fix))
    return made


def logged(arrived: list[tuple[int, Any]]) -> list[Any]:
    ticks = [(at_ms, tick(at_ms)) for at_ms in range(T0_MS - 60_000, T0_MS + 1_500_000, 30_000)]
    return log_of(one for _, one in sorted([*arrived, *ticks], key=lambda entry: entry[0]))


def expected(reports: list[Any]) -> set[tuple[str, int]]:
    """The same in plain Python over the sorted set: who, and when it was outside again."""
    found = set()
    for name in "ab":
        since: Any = None
        track = sorted((one for one in reports if one.vehicle_id == name), key=lambda one: one.at_ms)
        for before, one in pairwise([None, *track]):
            inside = 105.805 < one.longitude_deg < section().corners[1][1]
            if before is None or one.at_ms - before.at_ms > 120_000:
                since = None
            if inside:
                since = one if since is None else since
            elif since is not None:
                way_m = sum(abs(b.longitude_deg - a.longitude_deg) for a, b in pairwise(
                    [each for each in track if since.at_ms <= each.at_ms <= before.at_ms]
                )) / METRE_DEG * math.cos(math.radians(STREET_DEG))  # fmt: skip
                took_s = (before.at_ms - since.at_ms) / 1000
                if way_m >= 300 and way_m / took_s * 3.6 > LIMIT_KMH + 5:
                    found.add((name, one.at_ms))
                since = None
    return found


worlds = st.builds(drawn, st.integers(0, 1 << 32), st.integers(20, 200), st.sampled_from([0.0, 0.3, 0.8]))


@quick
@given(worlds)
def test_sections_are_a_function_of_the_set_of_reports(arrived: list[tuple[int, Any]]) -> None:
    outcome = run(engine(fleet_domain(), city=ROAD, rule=RULE), logged(arrived))
    standing = {
        (one.device_id, one.at_ms) for one in outcome.standing.values() if one.kind == "section_speeding"
    }  # fmt: skip
    assert standing == expected([one for _, one in arrived])


@quick
@given(worlds, st.lists(st.integers(0, 999), min_size=1, max_size=8), st.integers(1, 8))
def test_restored_sections_go_on_as_if_they_had_never_stopped(
    arrived: list[tuple[int, Any]], at: list[int], stop: int
) -> None:
    log = logged(arrived)
    store, never = Store({}), Store({})
    run_with_store(engine(fleet_domain(), city=ROAD, rule=RULE), cut(log, at)[:stop], store)
    if store.last is None:
        return
    stopped = store.last
    again = engine(fleet_domain(), city=ROAD, rule=RULE)
    again.restore(store.parts, stopped.live, stopped.next_offset, stopped.tick_ms)
    went_on = run_with_store(again, [log[stopped.next_offset :]], store)
    whole = run_with_store(engine(fleet_domain(), city=ROAD, rule=RULE), [log], never)
    assert went_on.blocks == [block for block in whole.blocks if block.tick_ms > stopped.tick_ms]
    assert store.parts == never.parts
