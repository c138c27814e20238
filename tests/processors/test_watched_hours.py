"""Hours of gauges: means, air, noise and stuck sensors, as timelines; order, repeats and restarts leave no trace."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from processors.ingest import IngestRule
from processors.sensors import sensor_domain
from processors.watches.air_index import air_index, day_mean, now_cast
from tests.processors.builders import engine, log_of, reading, run, tick
from tests.processors.oracle import claim_of
from tests.processors.test_partition_engine import Store, run_with_store

TOPIC = "sensor.readings.v1"
HOUR_MS = 3_600_000
START_MS = 1_789_578_000_000
"""Midnight in Hanoi, 17 September 2026."""
RULE = IngestRule(checkpoint_ms=600_000, block_ms=600_000)

Course = Callable[[int, int], float | None]
"""The value of a gauge in a minute of an hour; None = no reading."""


def readings(course: Course, hours: int, sensor_id: str = "sen-2", every_min: int = 1, **fields: Any) -> list[Any]:
    made = []
    for hour in range(hours):
        for minute in range(0, 60, every_min):
            value = course(hour, minute)
            if value is not None:
                at_ms = START_MS + hour * HOUR_MS + minute * 60_000 + 7_000
                made.append(reading(sensor_id, at_ms, value=value, **fields))
    return made


def dust(course: Course, hours: int, quantity: str = "pm2_5", **fields: Any) -> list[Any]:
    return readings(course, hours, quantity=quantity, measure_unit="ug/m3", **fields)


def logged(records: Sequence[Any], arrival: Callable[[Any], int] = lambda one: int(one.at_ms)) -> list[Any]:
    """The log, with ticks every ten minutes until all hours are over for good."""
    last_ms = max(one.at_ms for one in records) + 2 * HOUR_MS
    ticks = [(at_ms, tick(at_ms)) for at_ms in range(START_MS - 600_000, last_ms, 600_000)]
    entries = [*((arrival(one), one) for one in records), *ticks]
    return log_of(one for _, one in sorted(entries, key=lambda entry: entry[0]))


def told(records: Sequence[Any], *kinds: str) -> list[tuple[str, float, float, str]]:
    """Claims of those kinds: kind, hours since the start, value and subject."""
    found = run(engine(sensor_domain(), topic=TOPIC, rule=RULE), logged(records)).observations
    claims = [(one.kind, (one.at_ms - START_MS) / HOUR_MS, one.value, one.subject) for one in found]
    return sorted((one for one in claims if one[0] in kinds), key=lambda one: one[1])


def test_a_mean_is_told_once_its_hour_is_over_and_nothing_of_it_can_come_any_more() -> None:
    log = logged(dust(lambda _, minute: 10.0 if minute % 2 else 20.5, 1))
    (block,) = [one for one in run(engine(sensor_domain(), topic=TOPIC, rule=RULE), log).blocks if one.observations]
    assert block.tick_ms == START_MS + HOUR_MS + 600_000
    (found,) = block.observations
    assert (found.kind, found.value, found.subject, found.device_id) == ("hourly_level", 15.25, "pm2_5", "sen-2")
    assert (found.at_ms, found.latitude_deg, found.score) == (START_MS + HOUR_MS, 21.0, 1.0)


def test_an_hour_needs_three_quarters_of_its_readings() -> None:
    assert told(dust(lambda _, minute: 1.0 if minute < 45 else None, 1), "hourly_level") == [
        ("hourly_level", 1.0, 1.0, "pm2_5")
    ]
    assert told(dust(lambda _, minute: 1.0 if minute < 44 else None, 1), "hourly_level") == []


def test_what_is_usual_is_learned_from_the_day() -> None:
    """Every ten minutes: the first two hours are too few to tell; then 5 of 6 are enough and 4 are not."""
    lost = {4: 1, 5: 2}

    def course(hour: int, minute: int) -> float | None:
        return None if minute < 10 * lost.get(hour, 0) else 5.0

    found = told(dust(course, 7, every_min=10), "hourly_level")
    assert [at_h for _, at_h, _, _ in found] == [3.0, 4.0, 5.0, 7.0]


def test_bad_air_has_a_hysteresis() -> None:
    """Weights 1, 1/2, 1/4 ...: after the third hour 115.7 µg/m³, index 176; then 78.8 and 36.7, indices 148 and 73."""
    means = [70.0, 70.0, 150.0, 150.0, 150.0, 70.0, 70.0, 20.0, 20.0, 20.0]
    found = told(dust(lambda hour, _: means[hour], len(means)), "air_bad", "air_good")
    assert [(kind, at_h, subject) for kind, at_h, _, subject in found] == [
        ("air_bad", 3.0, "pm2_5"),
        ("air_good", 9.0, "pm2_5"),
    ]
    assert found[0][2] > 150
    assert found[1][2] <= 100


def test_a_day_above_the_guideline_is_told_from_18_valid_hours_on() -> None:
    found = told(dust(lambda hour, _: 16.0 if hour < 30 else 8.0, 46), "air_bad", "air_good")
    assert found == [("air_bad", 18.0, 32.0, "pm2_5 24 h"), ("air_good", 42.0, 24.0, "pm2_5 24 h")]


def test_gaps_of_more_than_six_hours_leave_no_day() -> None:
    assert told(dust(lambda hour, _: 16.0 if hour % 4 != 3 else None, 24), "air_bad") == [
        ("air_bad", 23.0, 32.0, "pm2_5 24 h")
    ]
    assert told(dust(lambda hour, _: 16.0 if hour % 3 != 2 else None, 24), "air_bad") == []


def test_noise_is_the_level_of_the_mean_energy_and_night_allows_less() -> None:
    """A minute of 90 dB among 59 of 50 gives 72.3 dB; 60 dB is too much at 5, not at 6."""
    (found,) = told(readings(lambda _, minute: 90.0 if minute == 30 else 50.0, 1), "hourly_level")
    assert found[2] == 72.2 == round(10 * math.log10((59 * 1e5 + 1e9) / 60), 1)
    assert told(readings(lambda hour, _: 60.0 if hour >= 4 else 50.0, 8), "noise_high", "noise_normal") == [
        ("noise_high", 5.0, 60.0, ""),
        ("noise_normal", 7.0, 60.0, ""),
    ]


def test_horns_in_a_few_readings_are_no_loud_hour() -> None:
    """At 10 o'clock: 92 dB among 59 of 65 are 75 dB of mean energy; 20 minutes of it are a third of the hour."""

    def course(loud_minutes: int) -> list[Any]:
        return readings(
            lambda hour, minute: 50.0 if hour < 6 else 92.0 if hour == 10 and minute < loud_minutes else 65.0, 12
        )

    assert told(course(1), "noise_high", "noise_normal") == []
    assert told(course(19), "noise_high", "noise_normal") == []
    assert told(course(20), "noise_high", "noise_normal") == [
        ("noise_high", 11.0, 87.2, ""),
        ("noise_normal", 12.0, 65.0, ""),
    ]


def test_where_nights_are_above_their_limit_the_limit_of_the_day_holds_in_them() -> None:
    """A street of 65 dB is told once, before that is known as usual; 85 dB are too much there, 60 dB in a quiet one."""

    def street(usual: float, loud: float) -> list[Any]:
        return readings(lambda hour, _: loud if hour == 23 else usual, 27)

    assert told(street(65.0, 69.0), "noise_high", "noise_normal")[:1] == [("noise_high", 1.0, 65.0, "")]
    assert told(street(65.0, 85.0), "noise_high", "noise_normal")[1:] == [
        ("noise_normal", 4.0, 65.0, ""),
        ("noise_high", 24.0, 85.0, ""),
        ("noise_normal", 25.0, 65.0, ""),
    ]
    assert told(street(50.0, 60.0), "noise_high", "noise_normal") == [
        ("noise_high", 24.0, 60.0, ""),
        ("noise_normal", 25.0, 50.0, ""),
    ]


def test_a_sensor_that_varied_and_does_not_any_more_is_stuck() -> None:
    def course(hour: int, minute: int) -> float | None:
        return 30.0 + minute / 10 if hour not in (3, 4, 5) else 33.3

    assert told(dust(course, 8), "sensor_stuck", "sensor_lively") == [
        ("sensor_stuck", 4.0, 33.3, "pm2_5"),
        ("sensor_lively", 7.0, 32.95, "pm2_5"),
    ]


def minutes_of(course: Callable[[int], bool], hours: int) -> list[Any]:
    """Dust that is 33.3 in the minutes, counted from the start, of which that is told, and else varies."""
    return dust(lambda hour, minute: 33.3 if course(60 * hour + minute) else 30.0 + minute / 10, hours)


@pytest.mark.parametrize("from_min", range(120, 180, 8))
def test_an_hour_of_one_value_is_stuck_wherever_it_begins(from_min: int) -> None:
    """Any 60 minutes hold three whole quarters; the hour of the third of them tells, and the one after the last."""
    found = told(minutes_of(lambda minute: from_min <= minute < from_min + 60, 7), "sensor_stuck", "sensor_lively")
    third_ends = -(-from_min // 15) * 15 + 45
    last_ends = (from_min + 60) // 15 * 15
    assert [(kind, at_h) for kind, at_h, _, _ in found] == [
        ("sensor_stuck", -(-third_ends // 60)),
        ("sensor_lively", -(-last_ends // 60) + 1),
    ]


def test_three_quarters_of_one_value_need_an_hour_of_others_before() -> None:
    assert told(minutes_of(lambda minute: 60 <= minute < 105, 3), "sensor_stuck")[0][1] == 2.0
    assert told(minutes_of(lambda minute: 45 <= minute < 90, 3), "sensor_stuck") == []
    assert told(minutes_of(lambda minute: 60 <= minute < 104, 3), "sensor_stuck") == []


def test_a_gauge_that_often_stays_for_a_quarter_is_not_judged_by_quarters() -> None:
    """One that tells each quarter's mean all through it, and one whose steps are coarse."""
    assert told(dust(lambda hour, minute: 30.0 + hour + minute // 15, 8), "sensor_stuck", "sensor_lively") == []
    assert told(minutes_of(lambda minute: 15 <= minute < 30 or 180 <= minute < 239, 6), "sensor_stuck") == []


def test_a_quarter_with_few_readings_says_nothing() -> None:
    def course(hour: int, minute: int) -> float | None:
        lost = hour == 1 and 16 <= minute < 30
        return None if lost else 33.3 if hour == 2 and minute < 50 else 30.0 + minute / 10

    assert [kind for kind, *_ in told(dust(course, 5), "sensor_stuck", "sensor_lively")] == [
        "sensor_stuck",
        "sensor_lively",
    ]


def test_a_sensor_that_never_varied_is_not_judged() -> None:
    quiet = readings(lambda _hour, _minute: 0.0, 8, quantity="fire_alarm", measure_unit="1")
    assert told(quiet, "sensor_stuck", "sensor_lively") == []


@pytest.mark.parametrize(
    ("pollutant", "mean", "index"),
    [("pm2_5", 0.0, 0), ("pm2_5", 25.0, 50), ("pm2_5", 100.0, 164), ("pm2_5", 900.0, 500), ("pm10", 100.0, 75)],
)
def test_the_index_is_linear_between_the_breakpoints_of_the_decision(pollutant: str, mean: float, index: int) -> None:
    assert air_index(pollutant, mean) == index


def test_the_present_weighs_hours_by_how_much_they_differ() -> None:
    assert now_cast([40.0] * 12) == 40.0
    assert now_cast([80.0, 40.0]) == pytest.approx((80 + 0.5 * 40) / 1.5)
    assert now_cast([80.0, 60.0, None, 60.0]) == pytest.approx((80 + 0.75 * 60 + 0.75**3 * 60) / (1 + 0.75 + 0.75**3))
    assert now_cast([80.0, None, None, 60.0, 60.0]) is None
    assert day_mean([10.0] * 17 + [None] * 7) is None
    assert day_mean([10.0] * 9 + [None] * 6 + [20.0] * 9) == 15.0


def world(seed: int) -> list[Any]:
    chance = random.Random(seed)
    made: list[Any] = []
    for number, quantity in enumerate(("pm2_5", "pm10")):
        level = [chance.choice([10.0, 60.0, 200.0]) for _ in range(6)]

        def course(hour: int, minute: int, level: list[float] = level) -> float | None:
            return None if chance.random() < 0.2 else level[hour] + minute / 7

        made += dust(course, 6, quantity, sensor_id=f"sen-{number + 1}")
    return made


def test_neither_order_nor_repeats_nor_restarts_change_an_hour() -> None:
    for seed in range(2):
        records, chance = world(seed), random.Random(seed)
        plain, never = run(engine(sensor_domain(), topic=TOPIC, rule=RULE), logged(records)), Store({})
        whole = {name: claim_of(one) for name, one in plain.standing.items()}
        late = {id(one): one.at_ms + chance.choice([0, 0, 300_000, 590_000, -25_000]) for one in records}
        shuffled = logged([*records, *records[::9]], lambda one, late=late: late[id(one)])  # type: ignore[misc]
        mixed = run(engine(sensor_domain(), topic=TOPIC, rule=RULE), shuffled)
        assert {name: claim_of(one) for name, one in mixed.standing.items()} == whole
        assert len(whole) >= 8
        continued = run_with_store(engine(sensor_domain(), topic=TOPIC, rule=RULE), [shuffled], never)
        store = Store({})
        at = chance.randrange(50, len(shuffled))
        run_with_store(engine(sensor_domain(), topic=TOPIC, rule=RULE), [shuffled[:at]], store)
        assert store.last is not None
        again = engine(sensor_domain(), topic=TOPIC, rule=RULE)
        again.restore(store.parts, store.last.live, store.last.next_offset, store.last.tick_ms)
        went_on = run_with_store(again, [shuffled[store.last.next_offset :]], store)
        assert went_on.blocks == continued.blocks[-len(went_on.blocks) :]
        assert store.parts == never.parts
