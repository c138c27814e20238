from typing import Any

import pytest

from processors.sensors import EdgeRule, SensorRule, sensor_domain
from tests.processors.builders import T0_MS, engine, log_of, reading, run, tick


def measured(at_s: int, value: float, sensor_id: str = "sen-2", **fields: Any) -> Any:
    return reading(sensor_id, T0_MS + at_s * 1000, value=value, **fields)


def observed(*readings: Any, rule: SensorRule | None = None) -> list[Any]:
    domain = sensor_domain(rule) if rule is not None else sensor_domain()
    outcome = run(engine(domain), log_of([tick(T0_MS), *readings, tick(T0_MS + 600_000)]))
    assert outcome.outcomes[0].counts.used == len(readings)
    return outcome.observations


def claims(*readings: Any, rule: SensorRule | None = None) -> list[tuple[str, int, float]]:
    found = observed(*readings, rule=rule)
    return [(one.kind, (one.at_ms - T0_MS) // 1000, round(one.score, 3)) for one in found]


@pytest.mark.parametrize(
    ("quantity", "unit", "quiet", "loud", "found"),
    [
        ("sound_level", "dB", 94.9, 95.0, ("impact_sound", 10, 0.5)),
        ("sound_level", "dB", 60.0, 105.0, ("impact_sound", 10, 0.7)),
        ("sound_level", "dB", 60.0, 140.0, ("impact_sound", 10, 0.9)),
        ("smoke_obscuration", "%/m", 4.9, 5.0, ("smoke", 10, 0.6)),
        ("temperature", "Cel", 30.0, 57.0, ("heat", 10, 0.6)),
        ("fire_alarm", "1", 0.0, 1.0, ("fire_alarm", 10, 0.7)),
    ],
)
def test_a_rising_edge_is_found(quantity: str, unit: str, quiet: float, loud: float, found: Any) -> None:
    of: dict[str, Any] = {"quantity": quantity, "measure_unit": unit}
    assert claims(measured(0, quiet, **of), measured(10, loud, **of), measured(20, loud, **of)) == [found]
    assert claims(measured(0, quiet, **of), measured(10, quiet, **of)) == []


def test_falling_below_and_rising_again_is_found_again() -> None:
    readings = [measured(10 * index, value) for index, value in enumerate((100, 90, 100, 100, 60, 95))]
    assert [at_s for _, at_s, _ in claims(*readings)] == [0, 20, 50]


def test_after_five_minutes_the_past_is_forgotten() -> None:
    assert len(claims(measured(0, 100), measured(300, 100))) == 1
    assert len(claims(measured(0, 100), measured(301, 100))) == 2


def test_every_shot_is_claimed_but_a_place_that_stays_loud_once() -> None:
    shot: dict[str, Any] = {"quantity": "gunshot_confidence", "measure_unit": "1"}
    shots = [measured(at_s, value, **shot) for at_s, value in ((0, 0.75), (1, 0.75), (2, 0.25), (3, 1.0))]
    assert claims(*shots) == [("gunshot_sound", 0, 0.7), ("gunshot_sound", 1, 0.7), ("gunshot_sound", 3, 0.9)]
    assert [at_s for _, at_s, _ in claims(measured(0, 120), measured(1, 120))] == [0]


def test_another_unit_is_no_finding_and_counts_as_below() -> None:
    fahrenheit = {"quantity": "temperature", "measure_unit": "[degF]"}
    celsius = {"quantity": "temperature", "measure_unit": "Cel"}
    assert claims(measured(0, 140.0, **fahrenheit)) == []
    assert claims(measured(0, 140.0, **fahrenheit), measured(10, 60.0, **celsius)) == [("heat", 10, 0.63)]


def test_quantities_and_sensors_have_histories_of_their_own() -> None:
    loud = measured(0, 100), measured(5, 100, "sen-3"), measured(9, 100, quantity="vibration")
    assert [(one.device_id, one.kind) for one in observed(*loud)] == [
        ("sen-2", "impact_sound"), ("sen-3", "impact_sound"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sensor_id", "told", "witness"),
    [("sen-1", "", "cam-1"), ("sen-1", "cam-3", "cam-3"), ("sen-2", "", "sen-2"), ("sen-9", "cam-2", "cam-2")],
)
def test_a_sensor_on_a_cameras_pole_is_the_cameras_witness(sensor_id: str, told: str, witness: str) -> None:
    place = {"latitude_deg": 21.0, "longitude_deg": 105.8}
    (found,) = observed(measured(0, 100.0, sensor_id, host_camera_id=told, **place))
    assert (found.device_id, found.witness_id) == (sensor_id, witness)


def test_a_late_reading_moves_the_edge() -> None:
    log = log_of([tick(T0_MS), measured(10, 100), tick(T0_MS + 10_000), measured(5, 100), tick(T0_MS + 11_000)])
    told = [(one.withdrawn, (one.at_ms - T0_MS) // 1000) for one in run(engine(sensor_domain()), log).observations]
    assert told == [(False, 10), (False, 5), (True, 10)]


def test_thresholds_come_from_the_rule() -> None:
    rule = SensorRule(edges=(EdgeRule("water_level", "m", 0.3, 1.0, 0.5, 0.9, "flood"),), levels=())
    water = {"quantity": "water_level", "measure_unit": "m"}
    assert claims(measured(0, 0.1, **water), measured(60, 0.65, **water), measured(70, 100), rule=rule) == [
        ("flood", 60, 0.7)
    ]
