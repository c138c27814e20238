"""A seed through the whole flow: what happens is found, rule sets are told apart."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from processors.city import City, load_city
from processors.evaluation.pipeline import Concluder, Observers
from processors.evaluation.seed import START_MS, SeedRequest, SeedResult, run_seed, witnesses_in_reach
from processors.incidents.rules import RuleSet, load_rules
from processors.simulate import Simulation
from schemas.codec import local_codec
from schemas.records import IncidentChange, Truth
from streams.settings import PROJECT

CODEC = local_codec()
REQUEST = SeedRequest(3, 0.1, ("crash", "fire"), per_hour=60.0, vehicles=40)


@cache
def hanoi() -> City:
    return load_city(PROJECT / "cities" / "hanoi")


@cache
def rules() -> RuleSet:
    found = load_rules(PROJECT / "cities" / "hanoi" / "rules")
    return RuleSet(found.version, tuple(one for one in found.rules if one.id in REQUEST.kinds))


@cache
def both() -> dict[str, SeedResult]:
    """Six minutes under both rules and under that of fires alone."""
    fire = RuleSet("fire", tuple(one for one in rules().rules if one.id == "fire"))
    told: list[float] = []
    found = run_seed(REQUEST, {"live": rules(), "fire": fire}, hanoi(), CODEC, told.append)
    assert told == [minute / 60 for minute in range(1, 7)]
    return found


def test_every_evaluated_city_begins_in_the_morning() -> None:
    begins = datetime.fromtimestamp(START_MS / 1000, ZoneInfo(hanoi().time_zone))
    assert begins.strftime("%A %H:%M") == "Monday 08:00"


def test_seed_tells_what_became_of_every_truth() -> None:
    one = both()["live"]
    kinds = [truth.kind for truth in one.truths]
    assert kinds.count("crash") >= 2
    assert kinds.count("fire") >= 2
    assert sum(truth.detected for truth in one.truths) >= 0.7 * len(kinds)
    assert all(0.0 <= truth.delay_s <= 120.0 for truth in one.truths if truth.delay_s is not None)
    assert all(truth.away_m < 200.0 for truth in one.truths if truth.away_m is not None)
    assert one.records > 1_000


def test_rule_sets_see_the_same_records() -> None:
    live, fire = both()["live"], both()["fire"]
    assert fire.records == live.records
    assert [one for one in fire.truths if one.kind == "fire"] == [one for one in live.truths if one.kind == "fire"]
    assert not [one for one in fire.truths if one.kind == "crash" and one.detected]
    assert "crash" not in fire.false or not fire.false["crash"]


def concluded(partitions: dict[str, int], together: int = 1) -> list[IncidentChange]:
    """Forty seconds that begin with crashes and fires, at ticks of 250 ms."""
    rule = replace(REQUEST.simulation_rule(), opening=3)
    simulation = Simulation(hanoi(), 5, START_MS, rule, None)
    observers = Observers(hanoi(), CODEC, partitions)
    concluder = Concluder(rules(), hanoi(), observers.sources)
    changes: list[IncidentChange] = []
    for step in range(1, 161):
        interval = simulation.step()
        observers.take(interval.sent)
        if step % together:
            observers.tick_later(interval.tick_ms)
        else:
            changes += concluder.take(observers.tick(interval.tick_ms))
    return changes


def test_number_of_partitions_changes_nothing() -> None:
    changes = concluded({})
    assert changes
    assert concluded({"vehicle.positions.v1": 4, "camera.detections.v1": 2}) == changes


def test_ticks_decided_together_change_nothing() -> None:
    assert concluded({}, together=20) == concluded({})


def test_witnesses_in_reach_counts_poles_once() -> None:
    city = hanoi()
    panel = next(one for one in city.sensors.values() if "fire_alarm" in one.quantities)
    truth = Truth(
        at_ms=START_MS, latitude_deg=panel.latitude_deg, longitude_deg=panel.longitude_deg, truth_id="t", kind="fire"
    )
    assert witnesses_in_reach(truth, city) >= 1
    far = Truth(at_ms=START_MS, latitude_deg=10.0, longitude_deg=105.0, truth_id="t", kind="fire")
    assert witnesses_in_reach(far, city) == 0
    other = Truth(at_ms=START_MS, latitude_deg=10.0, longitude_deg=105.0, truth_id="t", kind="crowd")
    assert witnesses_in_reach(other, city) == -1


def test_kinds_are_found_as_before_where_only_the_devices_that_feed_them_are_simulated() -> None:
    every = load_rules(PROJECT / "cities" / "hanoi" / "rules")
    request = SeedRequest(4, 0.2, ("gas_leak",), per_hour=60.0, vehicles=0, tick_ms=5_000, only_feeding=True)
    left = request.city_of(hanoi(), [every])
    assert {quantity for one in left.sensors.values() for quantity in one.quantities} >= {"co", "ch4"}
    assert (len(left.cameras), 0 < len(left.sensors) < len(hanoi().sensors) / 4) == (0, True)
    found = run_seed(request, {"live": every}, hanoi(), CODEC)["live"]
    assert len(found.truths) >= 3
    assert all(truth.detected for truth in found.truths)
    assert found.false.get("gas_leak", 0) == 0
