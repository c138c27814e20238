"""Hourly means of neighbouring sensors: 800 m apart along a street."""

from dataclasses import replace

from processors.gatherings.drift import Drift, DriftRule
from schemas.records import Observation
from tests.processors.gatherings.builders import CITY, derived, level, told

DRIFT = Drift(CITY, DriftRule(hours=3))
NEIGHBOURS = ("N1", "N2", "N3")


def street(values: list[float], others: float = 40.0, names: tuple[str, ...] = NEIGHBOURS) -> list[Observation]:
    """X tells those values hour by hour from 06:00 on, its neighbours 40 and a little more or less."""
    claims = [level("X", 6 + hour, value) for hour, value in enumerate(values)]
    for index, name in enumerate(names, start=1):
        claims += [level(name, 6 + hour, others + index - 2, 800.0 * index) for hour in range(len(values))]
    return claims


def test_three_hours_away_from_the_neighbours_are_a_drift_and_one_near_them_ends_it() -> None:
    assert told(DRIFT, street([41, 80, 80])) == []
    assert told(DRIFT, street([41, 80, 80, 82, 85, 42, 41])) == [
        ("sensor_drift", "10:00:00", 42.0),
        ("sensor_drift", "11:00:00", 45.0),
        ("sensor_agrees", "12:00:00", 2.0),
    ]
    assert {(one.device_id, one.subject) for one in derived(DRIFT, street([80, 80, 80]))} == {("X", "pm2_5")}


def test_between_the_limits_a_drift_is_not_over() -> None:
    """The limit is 15, to agree again 10.5."""
    found = told(DRIFT, street([80, 80, 80, 53, 44]))
    assert found == [("sensor_drift", "09:00:00", 40.0), ("sensor_agrees", "11:00:00", 4.0)]


def test_a_day_on_which_all_are_high_is_no_drift() -> None:
    assert told(DRIFT, street([150, 150, 150, 150], others=145)) == []


def test_two_neighbours_are_too_few_and_far_ones_are_none() -> None:
    assert told(DRIFT, street([80, 80, 80], names=("N1", "N2"))) == []
    far = [level(f"F{index}", 6 + hour, 40.0, 3_100.0 + index) for index in range(4) for hour in range(3)]
    assert told(DRIFT, [*street([80, 80, 80], names=()), *far]) == []


def test_to_one_side_and_the_other_is_no_drift() -> None:
    assert told(DRIFT, street([80, 5, 80, 5, 80])) == []


def test_an_hour_that_is_missing_breaks_a_drift() -> None:
    claims = street([80, 80, 80, 80])
    assert len(told(DRIFT, claims)) == 2
    del claims[1]
    assert told(DRIFT, claims) == []


def test_other_quantities_say_nothing() -> None:
    noise = [level(name, 6 + hour, 40.0, 500.0, "sound_level") for name in NEIGHBOURS for hour in range(3)]
    assert told(DRIFT, [*street([80, 80, 80], names=()), *noise]) == []


def test_neighbours_in_another_square_count() -> None:
    for shift_m in range(-6_000, 6_001, 1_000):
        claims = []
        for hour in range(3):
            claims.append(level("X", 6 + hour, 80.0, shift_m))
            claims += [level(name, 6 + hour, 40.0, shift_m + 800.0 * index) for index, name in enumerate(NEIGHBOURS, 1)]
        assert [(one.kind, one.device_id) for one in derived(DRIFT, claims)] == [("sensor_drift", "X")]


def test_where_neighbours_are_high_too_it_is_the_air() -> None:
    """An episode that covers X and one of its three neighbours; with two more that it does not cover X is alone."""

    def covered(names: tuple[str, ...]) -> list[Observation]:
        claims = street([150, 150, 150], names=names)
        return [replace(one, value=140.0) if one.device_id == "N1" else one for one in claims]

    assert told(DRIFT, covered(NEIGHBOURS)) == []
    alone = street([150, 150, 150], names=NEIGHBOURS)
    alone += [level("N4", 6 + hour, 41.0, -800.0) for hour in range(3)]
    assert told(DRIFT, alone) == [("sensor_drift", "09:00:00", 109.5)]


def test_street_noise_differs_for_hours_and_is_no_drift() -> None:
    claims = [level("X", 6 + hour, 95.0, quantity="sound_level") for hour in range(3)]
    claims += [
        level(name, 6 + hour, 68.0 + index, 600.0 * index, "sound_level")
        for index, name in enumerate(NEIGHBOURS, 1)
        for hour in range(3)
    ]
    assert told(DRIFT, claims) == []


def test_by_default_two_hours_are_a_drift() -> None:
    assert told(Drift(CITY), street([41, 80, 42])) == []
    assert told(Drift(CITY), street([41, 80, 82]))[0] == ("sensor_drift", "09:00:00", 42.0)
