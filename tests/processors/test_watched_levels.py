"""Gas and water: levels with a hysteresis, late readings among them, against the plain sorted set."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.ingest import IngestRule
from processors.sensors import sensor_domain
from tests.processors.builders import T0_MS, cut, engine, log_of, reading, run, tick
from tests.processors.test_partition_engine import Store, run_with_store

TOPIC = "sensor.readings.v1"


def water(at_s: float, value: float, sensor_id: str = "sen-2") -> Any:
    return reading(sensor_id, T0_MS + round(at_s * 1000), quantity="water_level", measure_unit="m", value=value)


def gas(at_s: float, value: float, quantity: str = "ch4", unit: str = "%LEL") -> Any:
    return reading("sen-1", T0_MS + round(at_s * 1000), quantity=quantity, measure_unit=unit, value=value)


def told(*entries: Any, rule: IngestRule | None = None) -> list[tuple[bool, str, float]]:
    """What is claimed, in the order of the ticks; a number among the entries is a tick at that second."""
    log = log_of([tick(T0_MS + entry * 1000) if isinstance(entry, int) else entry for entry in entries])
    blocks = run(engine(sensor_domain(), topic=TOPIC, rule=rule), log).blocks
    found = [one for block in blocks for one in sorted(block.observations, key=lambda one: (one.at_ms, one.withdrawn))]
    return [(not one.withdrawn, one.kind, (one.at_ms - T0_MS) / 1000) for one in found]


def test_water_is_high_from_30_cm_until_it_falls_below_20() -> None:
    course = [0.05, 0.29, 0.31, 0.25, 0.22, 0.35, 0.2, 0.19, 0.25, 0.1]
    entries = [one for index, level_m in enumerate(course) for one in (water(60 * index, level_m), 60 * index + 1)]
    assert told(0, *entries) == [(True, "water_high", 120), (True, "water_normal", 420)]


@pytest.mark.parametrize(("quantity", "unit", "low", "high"), [("ch4", "%LEL", 4.9, 10.0), ("co", "ppm", 30.0, 70.0)])
def test_gas_is_told_with_its_quantity_and_value(quantity: str, unit: str, low: float, high: float) -> None:
    log = log_of([tick(T0_MS), gas(10, high, quantity, unit), gas(70, low, quantity, unit), tick(T0_MS + 90_000)])
    began, ended = sorted(run(engine(sensor_domain(), topic=TOPIC), log).observations, key=lambda one: one.at_ms)
    assert (began.kind, began.subject, began.value, round(began.score, 3)) == ("gas", quantity, high, 0.6)
    assert (ended.kind, ended.subject, ended.value) == ("gas_clear", quantity, low)
    assert (began.device_id, began.witness_id) == ("sen-1", "cam-1")


def test_another_unit_decides_nothing() -> None:
    assert told(0, gas(1, 5000.0, "co", "ug/m3"), 2, gas(60, 100.0, "co"), gas(90, 5.0, "co", "ppb"), 120) == []


def test_a_late_reading_between_two_high_ones_parts_them() -> None:
    assert told(0, water(10, 0.4), 11, water(130, 0.5), 131, water(70, 0.1), 132) == [
        (True, "water_high", 10),
        (True, "water_normal", 70),
        (True, "water_high", 130),
    ]


def test_a_late_high_reading_moves_the_beginning() -> None:
    assert told(0, water(100, 0.4), 101, water(40, 0.4), 102) == [
        (True, "water_high", 100),
        (True, "water_high", 40),
        (False, "water_high", 100),
    ]


def test_what_rose_long_ago_still_ends() -> None:
    hours = [hour * 3600 for hour in range(1, 8)]
    between = [one for at_s in hours for one in (water(at_s, 0.25), at_s + 1)]
    assert told(0, water(10, 0.4), 11, *between, water(30_000, 0.1), 30_001) == [
        (True, "water_high", 10),
        (True, "water_normal", 30_000),
    ]


RULE = IngestRule(lateness_ms=120_000, future_ms=30_000, block_ms=20_000, checkpoint_ms=30_000)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn(seed: int, count: int, disorder: float) -> list[tuple[int, Any]]:
    """Readings of two gauges over 20 minutes and when they arrive, no two of one gauge and time."""
    chance = random.Random(seed)
    made = []
    for at_s, sensor_id in {(chance.randrange(120) * 10, chance.choice(["sen-1", "sen-2"])) for _ in range(count)}:
        late_s = chance.choice([-30, 20, 60, 115]) if chance.random() < disorder else 0
        value = chance.choice([0.1, 0.19, 0.25, 0.3, 0.7])
        made.append((T0_MS + (at_s + late_s) * 1000, water(at_s, value, sensor_id)))
    return made


def logged(arrived: list[tuple[int, Any]]) -> list[Any]:
    ticks = [(at_ms, tick(at_ms)) for at_ms in range(T0_MS - 60_000, T0_MS + 1_500_000, 15_000)]
    return log_of(one for _, one in sorted([*arrived, *ticks], key=lambda entry: entry[0]))


def edges(readings: list[Any]) -> set[tuple[str, str, int]]:
    """The same in plain Python over the sorted set."""
    found = set()
    for sensor_id in ("sen-1", "sen-2"):
        above = False
        for one in sorted((one for one in readings if one.sensor_id == sensor_id), key=lambda one: one.at_ms):
            if above != (one.value >= 0.3 or (above and one.value >= 0.2)):
                above = not above
                found.add(("water_high" if above else "water_normal", sensor_id, one.at_ms))
    return found


worlds = st.builds(drawn, st.integers(0, 1 << 32), st.integers(1, 60), st.sampled_from([0.0, 0.3, 0.8]))


@quick
@given(worlds)
def test_levels_are_a_function_of_the_set_of_readings(arrived: list[tuple[int, Any]]) -> None:
    outcome = run(engine(sensor_domain(), topic=TOPIC, rule=RULE), logged(arrived))
    standing = {(one.kind, one.device_id, one.at_ms) for one in outcome.standing.values()}
    assert standing == edges([one for _, one in arrived])


@quick
@given(worlds, st.lists(st.integers(0, 999), min_size=1, max_size=8), st.integers(1, 8))
def test_restored_levels_go_on_as_if_they_had_never_stopped(
    arrived: list[tuple[int, Any]], at: list[int], stop: int
) -> None:
    log = logged(arrived)
    store, never = Store({}), Store({})
    run_with_store(engine(sensor_domain(), topic=TOPIC, rule=RULE), cut(log, at)[:stop], store)
    if store.last is None:
        return
    stopped = store.last
    again = engine(sensor_domain(), topic=TOPIC, rule=RULE)
    again.restore(store.parts, stopped.live, stopped.next_offset, stopped.tick_ms)
    went_on = run_with_store(again, [log[stopped.next_offset :]], store)
    whole = run_with_store(engine(sensor_domain(), topic=TOPIC, rule=RULE), [log], never)
    assert went_on.blocks == [block for block in whole.blocks if block.tick_ms > stopped.tick_ms]
    assert store.parts == never.parts
