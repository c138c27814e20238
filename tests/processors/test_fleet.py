from typing import Any

import pytest

from processors.detect.hard_stop import HardStopRule
from processors.fleet import FleetRule, fleet_domain
from tests.processors.builders import NAN, T0_MS, engine, log_of, position, run, tick

STANDS = ("hard_stop", "stationary_vehicle")


def claims(*fixes: Any, rule: FleetRule | None = None) -> list[tuple[str, int, float]]:
    """What of STANDS is claimed of fixes that come in one interval: kind, seconds after T0, score."""
    domain = fleet_domain(rule) if rule is not None else fleet_domain()
    outcome = run(engine(domain), log_of([tick(T0_MS), *fixes, tick(T0_MS + 600_000)]))
    assert outcome.outcomes[0].counts.used == len(fixes)
    found = [one for one in outcome.observations if one.kind in STANDS]
    return [(one.kind, (one.at_ms - T0_MS) // 1000, round(one.score, 3)) for one in found]


def fix(at_s: int, speed_mps: float = 0.0, vehicle_id: str = "bus-1", **fields: Any) -> Any:
    return position(vehicle_id, T0_MS + at_s * 1000, speed_mps=speed_mps, **fields)


@pytest.mark.parametrize(
    ("before_mps", "after_mps", "gap_s", "found"),
    [
        (10.0, 0.0, 10, [("hard_stop", 10, 0.4)]),
        (8.0, 1.5, 10, [("hard_stop", 10, 0.365)]),
        (15.0, 0.0, 1, [("hard_stop", 1, 0.9)]),
        (10.0, 0.0, 15, [("hard_stop", 15, 0.367)]),
        (10.0, 0.0, 16, []),
        (7.9, 0.0, 10, []),
        (10.0, 1.6, 10, []),
        (NAN, 0.0, 10, []),
        (10.0, NAN, 10, []),
    ],
)
def test_hard_stop(before_mps: float, after_mps: float, gap_s: int, found: list[Any]) -> None:
    assert claims(fix(0, before_mps), fix(gap_s, after_mps, east_m=50.0)) == found


def test_hard_stop_is_between_neighbours_of_one_vehicle() -> None:
    assert claims(fix(0, 10.0, "bus-1"), fix(5, 0.0, "bus-2")) == []
    assert claims(fix(0, 10.0, "bus-1"), fix(5, 5.0, "bus-2"), fix(10, 0.0, "bus-2")) == []


@pytest.mark.parametrize(
    ("fixes", "found"),
    [
        ([fix(0, 10.0), fix(5, 5.0), fix(10, 0.0)], [("hard_stop", 10, 0.4)]),  # reports while it brakes
        ([fix(0, 10.0), fix(10, 3.1), fix(20, 0.0)], [("hard_stop", 20, 0.35)]),
        ([fix(0, 10.0), fix(10, 3.0), fix(20, 0.0)], []),  # creeps up
        ([fix(0, 10.0), fix(10, 5.0), fix(21, 0.0)], []),
        ([fix(0, 10.0), fix(16, 5.0), fix(18, 0.0)], []),
        ([fix(0, 10.0), fix(2, 5.0), fix(18, 0.0)], []),
        ([fix(0, 10.0), fix(4, 7.0), fix(8, 5.0), fix(10, 0.0)], []),  # brakes for longer
        ([fix(0, 10.0), fix(5, NAN), fix(10, 0.0)], []),
        ([fix(0, 7.9), fix(5, 5.0), fix(10, 0.0)], []),
    ],
)  # fmt: skip
def test_hard_stop_with_a_report_while_it_brakes(fixes: list[Any], found: list[Any]) -> None:
    assert claims(*fixes) == found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"line_id": "L1"}, []),  # serves its stop
        ({"line_id": ""}, ["hard_stop"]),  # a taxi has no stops
        ({"line_id": "L1", "north_m": 45.0}, ["hard_stop"]),  # near the stop, but off its line
        ({"line_id": "L1", "longitude_deg": 105.801}, ["hard_stop"]),  # on its line, past the stop
    ],
)
def test_hard_stop_at_a_stop_of_the_own_line_is_service(fields: dict[str, Any], found: list[str]) -> None:
    place = {"longitude_deg": 105.80, **fields}
    assert [kind for kind, _, _ in claims(fix(0, 10.0), fix(10, 0.0, **place))] == found


def test_standing_is_claimed_at_the_fourth_report_and_once_a_run() -> None:
    assert claims(fix(0), fix(10), fix(20)) == []
    assert claims(*(fix(10 * index) for index in range(9))) == [("stationary_vehicle", 30, 0.5)]


def test_a_vehicle_that_came_and_stands_scores_higher() -> None:
    assert claims(fix(0, 5.0, east_m=-100), *(fix(10 * index) for index in range(1, 7))) == [
        ("stationary_vehicle", 40, 0.6)
    ]


def test_who_ran_just_before_came_though_it_was_near_already() -> None:
    stands = [fix(10 * index) for index in range(1, 7)]
    assert claims(fix(0, 5.0, east_m=-20), *stands) == [("stationary_vehicle", 40, 0.6)]
    assert claims(fix(0, 1.5, east_m=-20), *stands) == [("stationary_vehicle", 30, 0.5)]


def test_noise_of_8_m_does_not_break_a_run() -> None:
    noise_m = [0.0, 22.0, -12.0, 8.0, 20.0, -14.0, 0.0]
    fixes = [fix(10 * at, east_m=east) for at, east in enumerate(noise_m)]
    assert claims(fix(-10, 7.0, east_m=-60), *fixes) == [("stationary_vehicle", 30, 0.6)]


@pytest.mark.parametrize(
    "fixes",
    [
        [fix(0), fix(10), fix(20), fix(30, east_m=36.0)],  # moved on
        [fix(0), fix(10), fix(20), fix(30, speed_mps=3.0)],  # says that it runs
        [fix(0), fix(121), fix(131), fix(141)],  # was silent in between
        [fix(0), fix(10), fix(131), fix(141)],
        [fix(0), fix(10), fix(20), fix(141)],
        [fix(0, 3.0), fix(10), fix(20), fix(30)],  # still ran at first
        [fix(0), fix(10), fix(20, east_m=36.0), fix(30)],
        [fix(10 * index, longitude_deg=105.8001) for index in range(4)],  # at a stop
    ],
)
def test_not_standing(fixes: list[Any]) -> None:
    assert claims(*fixes) == []


def test_an_unknown_speed_may_stand() -> None:
    assert claims(*(fix(10 * index, NAN, east_m=float(index * 8)) for index in range(4))) == [
        ("stationary_vehicle", 30, 0.5)
    ]


def test_silence_begins_a_new_run() -> None:
    first, second = [fix(10 * index) for index in range(4)], [fix(200 + 10 * index) for index in range(4)]
    assert claims(*first, *second) == [("stationary_vehicle", 30, 0.5), ("stationary_vehicle", 230, 0.5)]


def test_thresholds_come_from_the_rule() -> None:
    assert claims(fix(0, 6.0), fix(10, 0.0), rule=FleetRule(hard_stop=HardStopRule(braking_from_mps=5.0))) == [
        ("hard_stop", 10, 0.36)
    ]


def test_an_observation_says_who_where_and_on_which_line() -> None:
    log = log_of([tick(T0_MS), fix(0, 10.0), fix(10, 0.0, line_id="L1", east_m=100.0), tick(T0_MS + 10_000)])
    (found,) = run(engine(fleet_domain()), log).observations
    assert (found.device_id, found.witness_id, found.line_id) == ("bus-1", "bus-1", "L1")
    assert (found.source_topic, found.source_partition, found.source_offset) == ("vehicle.positions.v1", 0, 2)
    assert found.longitude_deg == pytest.approx(105.80596, abs=1e-5)


def test_a_late_fix_takes_back_what_it_refutes_and_the_id_says_so() -> None:
    log = log_of([
        tick(T0_MS), fix(0, 10.0), fix(10, 0.0), tick(T0_MS + 10_000),
        fix(5, 2.0), tick(T0_MS + 20_000),
        fix(4, 7.0), fix(6, 9.0), tick(T0_MS + 30_000),
    ])  # fmt: skip
    blocks = run(engine(fleet_domain()), log).blocks
    told = [[(one.withdrawn, round(one.score, 3), one.source_offset) for one in block.observations] for block in blocks]
    assert told == [[], [(False, 0.4, 2)], [(True, 0.4, 4)], [(False, 0.525, 7)]]
    assert blocks[1].observations[0].observation_id == blocks[2].observations[0].observation_id
    assert blocks[3].observations[0].observation_id != blocks[1].observations[0].observation_id
