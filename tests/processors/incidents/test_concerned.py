"""What is asked once for all rules is what each rule would say: being near, the unit, whom a claim concerns."""

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rule_load import rule_load
from benchmarks.rule_sets import many_rules
from processors.city import load_city
from processors.incidents.concerned import Concerned
from processors.incidents.conditions import Conditions
from processors.incidents.place_kinds import MOST_KEPT, Places
from processors.incidents.rules import load_rules
from tests.processors.incidents.builders import METRE_DEG, claim

HANOI = Path(__file__).resolve().parents[3] / "cities" / "hanoi"
CITY = load_city(HANOI)
OWN = load_rules(HANOI / "rules", CITY)


@pytest.mark.parametrize("reach_m", [20.0, 50.0, 150.0])
def test_squares_tell_of_points_around_the_border_what_measuring_does(reach_m: float) -> None:
    chance, places = random.Random(7), Places(CITY)
    found = set()
    for _ in range(400):
        stop = chance.choice(CITY.stops)
        latitude_deg = stop.latitude_deg + (reach_m + chance.uniform(-40.0, 40.0)) * METRE_DEG
        longitude_deg = stop.longitude_deg + chance.uniform(-60.0, 60.0) * METRE_DEG
        for asked in range(2):
            near_stop = places.near({"stop": reach_m}, latitude_deg, longitude_deg)
            near_line = places.near({"line": reach_m}, latitude_deg, longitude_deg)
            assert near_stop == bool(CITY.near_stops(latitude_deg, longitude_deg, reach_m)), asked
            assert near_line == bool(CITY.near_lines(latitude_deg, longitude_deg, reach_m)), asked
            found.add((near_stop, near_line))
    assert len(found) >= 3


def test_within_a_zone_is_near_it_however_far_its_edge_is() -> None:
    lakes = [zone for zone in CITY.zones if zone.kind == "water"]
    largest = max(lakes, key=lambda zone: max(at for at, _ in zone.corners) - min(at for at, _ in zone.corners))
    corners = largest.corners
    middle = sum(at for at, _ in corners) / len(corners), sum(at for _, at in corners) / len(corners)
    assert largest in CITY.zones_at(*middle)
    places = Places(CITY)
    assert places.near({"water": 1.0}, *middle)
    assert not places.near({"water": 1.0}, CITY.south_deg, CITY.west_deg)


def test_units_are_found_again_after_too_many_were_kept() -> None:
    places, one = Places(CITY), claim("gas", "G-1", 0.0)
    code = places.unit(one)
    assert code == str(CITY.locate_units(np.array([one.latitude_deg]), np.array([one.longitude_deg]))[0]) != ""
    places._units |= {(float(number), 0.0): "x" for number in range(MOST_KEPT + 1)}
    assert places.unit(claim("gas", "G-2", 0.0, x_m=900.0)) == places.unit(claim("gas", "G-2", 1.0, x_m=900.0))
    assert places.unit(one) == code


def test_a_claim_goes_to_the_rules_that_weigh_it_or_that_it_may_end_and_to_no_other() -> None:
    places = Places(CITY)
    conditions = {number: Conditions(one, CITY) for number, one in enumerate(many_rules(OWN, CITY).rules)}
    concerned = Concerned(conditions, places)
    told = 0
    for block in rule_load(CITY, 60, 60.0).blocks:
        concerned.prepare(block.observations)
        for one in block.observations:
            ends = {number for number, each in conditions.items() if each.end(one)}
            weigh = {number for number, each in conditions.items() if each.weigh(one)}
            if one.withdrawn:
                assert set(concerned.of(one)) >= ends | weigh
            else:
                assert set(concerned.of(one)) == ends | weigh
            told += len(weigh)
    assert told > 1_000


def test_claims_that_concern_a_rule_have_their_texts_in_common() -> None:
    concerned = Concerned({0: Conditions(OWN.rules[0], CITY)}, Places(CITY))
    kind = next(iter(OWN.rules[0].evidence))
    claims = [claim(kind, "".join(["P-", "1"]), float(second)) for second in range(2)]
    assert claims[0].device_id is not claims[1].device_id
    concerned.prepare(claims)
    assert claims[0].device_id is claims[1].device_id
