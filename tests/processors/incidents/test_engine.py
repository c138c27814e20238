"""The engine in the city of Hanoi, under load, and across a change of rules."""

import random
import time

import msgspec
import pytest

from processors.city import load_city
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rules import RuleSet
from schemas.records import Change, Decision, IncidentState, Observation
from tests.processors.incidents.builders import (
    ACTIONS,
    FIRE,
    PROJECT,
    RULES,
    SOURCES,
    Run,
    action,
    block,
    blocks_at,
    claim,
    engine,
)

COMMON = ("hard_stop", "hard_stop", "hard_stop", "stationary_vehicle", "stationary_vehicle")
RARE = ("camera_crash", "impact_sound", "camera_smoke", "camera_fire", "heat")


def test_an_incident_in_hanoi_has_a_ward_and_a_name() -> None:
    hanoi = load_city(PROJECT / "cities" / "hanoi")
    concluder = IncidentEngine(RULES, hanoi, SOURCES, CorrelationRule(provisional_after_ms=0))
    station = next(stop for stop in hanoi.stops if stop.name == "Kim Mã")
    smoke = claim("camera_smoke", "CAM-1", 1)
    there = Observation(
        **{field: getattr(smoke, field) for field in smoke.__slots__}
        | {"latitude_deg": station.latitude_deg, "longitude_deg": station.longitude_deg}
    )
    (change,) = concluder.push(list(enumerate(blocks_at(1.25, [there])))).changes
    assert "Kim Mã" in change.incident.place
    assert change.incident.unit_code
    assert change.incident.unit_name in change.incident.place
    assert change.incident.city_version == hanoi.version
    assert station.stop_id in change.incident.stop_ids


def test_other_rules_are_applied_at_the_first_tick_after_a_restart() -> None:
    """A threshold is raised while the engine is down: the incident that no longer reaches it is withdrawn."""
    run = Run(CorrelationRule(provisional_after_ms=0, checkpoint_ms=1_000))
    run.story(claim("camera_smoke", "CAM-1", 1, score=0.6), claim("fire_alarm", "P-1", 2, x_m=900), until_s=4)
    stricter = FIRE.model_copy(update={"suspected": FIRE.suspected.model_copy(update={"score": 0.4})})
    again = engine(rules=RuleSet("stricter", (RULES.rules[0], stricter)))
    last = run.checkpoints[-1]
    again.restore(last.new_parts, last.live, last.next_offset, last.tick_ms)
    changes = again.push(list(enumerate(blocks_at(5), start=last.next_offset))).changes
    assert [(one.change, one.reasons) for one in changes] == [
        (Change.CHANGED, ("the rules changed",)),
        (Change.WITHDRAWN, ("what is left of its evidence does not make an incident",)),
    ]
    assert changes[0].incident.rules_version == "stricter"


def test_a_checkpoint_of_another_offset_is_refused() -> None:
    run = Run(CorrelationRule(checkpoint_ms=1_000))
    run.story(claim("heat", "P-1", 1), until_s=5)
    last = run.checkpoints[-1]
    with pytest.raises(ValueError, match="not what its head says"):
        engine().restore(last.new_parts, last.live, last.next_offset + 1, last.tick_ms)


def test_a_checkpoint_of_the_version_without_operators_is_gone_on_from() -> None:
    """It knows nothing of actions, exercises and their topic; the merge waits for that topic's first tick."""
    run = Run(CorrelationRule(provisional_after_ms=0, checkpoint_ms=1_000))
    run.story(claim("camera_smoke", "CAM-1", 1), claim("fire_alarm", "P-1", 2, x_m=900), until_s=4)
    last = run.checkpoints[-1]
    state = msgspec.msgpack.decode(last.new_parts[last.live[-1]])
    del state["decisions"]
    state["rules"] = [one for one in state["rules"] if not one.pop("exercise")]
    state["merge"]["reached"] = [one for one in state["merge"]["reached"] if tuple(one["source"]) != ACTIONS]
    for one in state["merge"]["waiting"]:
        del one["actions"]
    old = {**last.new_parts, last.live[-1]: msgspec.msgpack.encode({**state, "format": 1})}

    updated = engine()
    updated.restore(old, last.live, last.next_offset, last.tick_ms)
    assert updated.open_incidents() == run.engine.open_incidents()
    (smoke, _) = updated.open_incidents()
    heat = claim("heat", "P-2", 4.5, x_m=30)
    waiting = [one for one in blocks_at(5, [heat]) if (one.source_topic, one.source_partition) != ACTIONS]
    assert updated.push(list(enumerate(waiting, start=last.next_offset))).changes == ()
    dismissed = action(Decision.DISMISS, smoke.incident_id, 5.5)
    changes = updated.push([(last.next_offset + 3, block(ACTIONS, 6, actions=[dismissed]))]).changes
    assert [one.incident.state for one in changes] == [IncidentState.CONFIRMED]
    changes = updated.push(list(enumerate(blocks_at(6)[:3], start=last.next_offset + 4))).changes
    assert [one.incident.state for one in changes] == [IncidentState.DISMISSED]


def test_late_evidence_of_what_was_resolved_reopens_it() -> None:
    run = Run()
    run.story(claim("camera_smoke", "CAM-1", 10), until_s=320)
    assert run.changes[-1].incident.state is IncidentState.RESOLVED
    (change,) = run.tick(330, [claim("fire_alarm", "P-1", 60, x_m=20)])
    assert (change.change, change.incident.state) == (Change.CHANGED, IncidentState.CONFIRMED)
    assert change.reasons[0] == "evidence again"


def test_a_hundred_observations_a_second_at_lights_cost_little_each() -> None:
    """Five minutes of hard stops and standing vehicles at 1,500 lights, and a crash every minute."""
    rng = random.Random(7)
    lights = [(rng.uniform(-8000, 8000), rng.uniform(-8000, 8000)) for _ in range(1500)]
    ticks = []
    for at_s in range(300):
        found = []
        for number in range(100):
            x_m, y_m = rng.choice(lights)
            x_m, y_m = x_m + rng.gauss(0, 15), y_m + rng.gauss(0, 15)
            found.append(claim(rng.choice(COMMON), f"D-{at_s}-{number}", at_s + rng.random(), x_m, y_m))
        if at_s % 60 == 30:
            found.append(claim("camera_crash", "CAM-1", at_s, x_m=lights[at_s][0], y_m=lights[at_s][1]))
        ticks.append(blocks_at(at_s + 1, found))
    run = Run(CorrelationRule())
    began_s = time.process_time()
    for blocks in ticks:
        run.push(blocks)
    each_us = (time.process_time() - began_s) / 30_000 * 1e6
    assert [one.incident.kind for one in run.changes if one.incident.revision == 1].count("crash") >= 5
    assert each_us < 120


def test_five_observations_a_second_for_half_an_hour_cost_little_a_tick() -> None:
    rng = random.Random(7)
    run = Run(CorrelationRule(provisional_after_ms=20_000))
    number = 0

    def some(count: int, until_s: float) -> list[Observation]:
        nonlocal number
        number += count
        return [
            claim(
                rng.choice(RARE if rng.random() < 0.03 else COMMON),
                f"D-{number - index}",
                until_s - rng.random() * 0.2,
                x_m=rng.uniform(-5000, 5000),
                y_m=rng.uniform(-5000, 5000),
            )
            for index in range(count)
        ]

    for step in range(1, 180):
        run.tick(step * 10, some(50, step * 10))
    assert number > 8_900
    before = len(run.changes)
    began_s = time.process_time()
    for step in range(1, 241):
        run.tick(1790 + step / 4, some(5 if step % 4 == 0 else 0, 1790 + step / 4))
    each_ms = (time.process_time() - began_s) * 1000 / 240
    assert len(run.changes) > before
    assert each_ms < 5
