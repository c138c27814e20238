"""Literal timelines of one camera for every kind that analytics claim, and what order must not change."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.camera import CAMERA_RULE, camera_domain
from processors.detect.camera_kinds import CLAIM_RULES, NAMES, NO_CLAIM, claim_of
from processors.observation_kinds import OBSERVATION_KINDS
from processors.partition_engine import REACH_MS
from tests.processors.builders import T0_MS, detection, engine, log_of, run, tick


def seen(kind: str, seconds: Iterable[float], camera_id: str = "cam-1", **fields: Any) -> list[Any]:
    values = {"confidence": 0.75, "track_id": "t1", **fields}
    return [detection(camera_id, T0_MS + round(second * 1000), kind=kind, **values) for second in seconds]


def claims(*detections: Any, until_s: float = 900.0) -> list[tuple[str, float]]:
    """What one camera's detections lead to, each sent in the interval of its time."""
    told = sorted(detections, key=lambda one: one.at_ms)
    ticks = [tick(T0_MS + 30_000 * number) for number in range(1 + round(until_s / 30))]
    entries = sorted([*told, *ticks], key=lambda one: (one.at_ms, hasattr(one, "kind")))
    outcome = run(engine(camera_domain()), log_of(entries))
    assert sum(one.counts.used for one in outcome.outcomes) == len(told)
    return sorted((one.kind, (one.at_ms - T0_MS) / 1000) for one in outcome.standing.values())


EVERY_5_S = range(0, 400, 5)

TIMELINES = [
    ("crash", range(0, 30, 5), [5]),
    ("crash", [0, 1], []),
    ("crash", [0, 1.4, 1.5], [1.5]),
    ("crash", [0, 1, 2, 3], [2]),
    ("crash", [0, 1, 11.1], []),
    ("smoke", [0, 10], [10]),
    ("smoke", [0, 11, 22], []),
    ("fire", [0, 10], [10]),
    ("crowd", EVERY_5_S, [35]),
    ("crowd", [0, 10, 20, 30], []),
    ("crowd_surge", [0, 10, 20], [20]),
    ("crowd_surge", [0, 20], []),
    ("crowd_surge", [0, 1, 2, 3], []),
    ("fight", [0, 4, 8], [8]),
    ("fight", range(0, 30, 4), [8, 20]),
    ("fight", [0, 4], []),
    ("fight", [0, 6, 12], []),
    ("fight", [0, 1, 2], []),
    ("fight", range(5), [3]),
    ("person_down", range(4), []),
    ("person_down", range(60), [4, 14]),
    ("person_down", range(8), [4]),
    ("person_in_water", range(60), [2, 12]),
    ("person_in_water", [0, 3, 6], [3]),
    ("abandoned_object", EVERY_5_S, [65, 245]),
    ("abandoned_object", range(0, 65, 5), []),
    ("illegal_parking", EVERY_5_S, [185]),
    ("illegal_parking", range(0, 185, 5), []),
    ("encroachment", EVERY_5_S, [125]),
    ("street_vending", EVERY_5_S, [125]),
    ("wrong_way", [0, 2, 4], [2]),
    ("wrong_way", [0, 1], []),
    ("debris", EVERY_5_S, [25, 125]),
    ("flood", EVERY_5_S, [65]),
    ("stopped_vehicle", EVERY_5_S, [95]),
    ("stopped_vehicle", range(0, 90, 5), []),
    ("lane_intruder", [0, 3, 6], [3]),
    ("platform_crowd", EVERY_5_S, [35]),
    ("frozen", EVERY_5_S, [35, 185]),
    ("covered", EVERY_5_S, [35, 185]),
    ("moved", EVERY_5_S, [35, 185]),
    ("well", EVERY_5_S, [0]),
]


@pytest.mark.parametrize(("kind", "seconds", "found"), TIMELINES)
def test_a_kind_is_claimed_when_it_was_seen_often_and_long_enough(
    kind: str, seconds: Iterable[float], found: list[float]
) -> None:
    assert claims(*seen(kind, seconds)) == [(f"camera_{kind}", second) for second in found]


def test_every_kind_has_a_timeline_and_is_known() -> None:
    assert {kind for kind, _, found in TIMELINES if found} == {rule.name for rule in CLAIM_RULES}
    assert {f"camera_{rule.name}" for rule in CLAIM_RULES} <= set(OBSERVATION_KINDS)


@pytest.mark.parametrize(("kind", "seconds", "found"), TIMELINES)
def test_weak_detections_claim_nothing(kind: str, seconds: Iterable[float], found: list[float]) -> None:
    assert claims(*seen(kind, seconds, confidence=0.49)) == []


def test_what_stands_on_is_claimed_once_and_again_after_it_was_gone() -> None:
    parked = seen("illegal_parking", [*range(0, 300, 20), *range(340, 620, 20)])
    assert claims(*parked) == [("camera_illegal_parking", 200)]
    back = seen("illegal_parking", [*range(0, 300, 20), *range(350, 620, 20)])
    assert claims(*back) == [("camera_illegal_parking", 200), ("camera_illegal_parking", 550)]


def test_ninety_minutes_in_one_place_are_one_claim() -> None:
    parked = seen("illegal_parking", range(0, 5_400, 50))
    assert claims(*parked, until_s=5_500) == [("camera_illegal_parking", 250)]


def test_each_track_is_a_thing_of_its_own_where_it_lasts() -> None:
    cars = [seen("illegal_parking", range(start, start + 120, 10), track_id=f"t{start}") for start in (0, 120, 240)]
    assert claims(*cars[0], *cars[1], *cars[2]) == []
    one, other = seen("illegal_parking", range(0, 200, 10)), seen("illegal_parking", range(60, 260, 10), track_id="t2")
    assert claims(*one, *other) == [("camera_illegal_parking", 190), ("camera_illegal_parking", 250)]


def test_the_tracks_of_a_crowd_are_one_thing() -> None:
    assert claims(*[seen("crowd", [second], track_id=f"t{second}")[0] for second in range(0, 40, 5)]) == [
        ("camera_crowd", 35)
    ]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("fall", "person_down"),
        ("Wrong-Way", "wrong_way"),
        ("left luggage", "abandoned_object"),
        ("FLAME", "fire"),
        ("accident", "crash"),
    ],
)
def test_other_names_of_a_kind(told: str, kind: str) -> None:
    assert {name for name, _ in claims(*seen(told, range(0, 90, 2)))} == {f"camera_{kind}"}


def test_no_name_is_that_of_everyday_things() -> None:
    everyday = {
        "seen",
        "moving",
        "parked",
        "stopped",
        "stationary",
        "empty",
        "entry",
        "exit",
        "vehicle",
        "person",
        "car",
    }
    assert not everyday & set(NAMES)
    assert claim_of("moving") == NO_CLAIM
    assert len(NAMES) == sum(1 + len(rule.also) for rule in CLAIM_RULES)


def test_the_history_reaches_as_far_as_every_kind_looks() -> None:
    assert CAMERA_RULE.reach_ms == 360_000 <= REACH_MS


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["illegal_parking", "person_down", "fight"]), st.integers(0, 500)), min_size=1),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_leaves_no_trace(told: list[tuple[str, int]], chance: Any) -> None:
    detections = [seen(kind, [second])[0] for kind, second in dict.fromkeys(told)]
    shuffled = list(detections)
    chance.shuffle(shuffled)
    ticks = [tick(T0_MS + 500_000 + number) for number in range(len(shuffled) + 1)]
    entries = [one for pair in zip(ticks, shuffled, strict=False) for one in pair]
    late = run(engine(camera_domain()), log_of([*entries, ticks[-1]]))
    at_once = run(engine(camera_domain()), log_of([ticks[0], *detections, ticks[-1]]))
    assert set(late.standing) == set(at_once.standing)
