"""Gatherings of lines say what they would say of the whole set, whatever comes and goes when."""

import random
from dataclasses import replace

import pytest

from processors.gatherings.city_gatherings import city_gatherings
from processors.gatherings.line_gatherer import LineGatherer
from processors.gatherings.line_gathering import LineGathering
from schemas.records import Observation
from tests.processors.gatherings.builders import CITY, HORIZON_MS, TIMETABLE_CITY, Listener, observed, passage
from tests.processors.gatherings.test_reach import made

MINUTE_MS = 60_000
GATHERINGS = [
    one
    for one in city_gatherings(CITY) + city_gatherings(TIMETABLE_CITY)
    if isinstance(one, LineGathering) and (one.name == "punctuality") == (one.city is TIMETABLE_CITY)
]


def some_passages(rng: random.Random, line_id: str) -> list[Observation]:
    """Passages of 2 h by few vehicles, again and again at the same stops, and claims that they were bunched or late."""
    found: dict[str, Observation] = {}
    for _ in range(70):
        vehicle, when_ms = f"V{rng.randrange(3)}", 1_790_040_000_000 + rng.randrange(240) * MINUTE_MS // 2
        one = passage(vehicle, rng.randrange(1, 4), when_ms, line_id, rng.choice(("", "", "t6", "t9", "t11")))
        found[one.observation_id] = one
        if rng.random() < 0.4:
            kind = rng.choice(("bunched", "running_late"))
            one = observed(kind, vehicle, when_ms, line_id=line_id, direction_id=0, subject=f"{line_id}/0")
            found[one.observation_id] = one
    return list(found.values())


def test_those_of_lines_are_three() -> None:
    assert sorted(one.name for one in GATHERINGS) == ["headways", "punctuality", "runs"]


@pytest.mark.parametrize("gathering", GATHERINGS, ids=[one.name for one in GATHERINGS])
def test_what_stands_is_what_the_whole_set_says(gathering: LineGathering) -> None:
    said = 0
    for seed in range(15):
        rng, run = random.Random(seed), Listener(LineGatherer((gathering,), HORIZON_MS))
        standing: dict[str, Observation] = {}
        log: list[tuple[int, Observation]] = []
        for one in some_passages(rng, "T1" if gathering.name == "punctuality" else "09A"):
            if one.kind in gathering.kinds:
                come_ms = one.at_ms + rng.choice((1, 1, 1, rng.randrange(10 * MINUTE_MS)))
                log.append((come_ms, one))
                if rng.random() < 0.2:
                    log.append((come_ms + rng.randrange(1, 10 * MINUTE_MS), replace(one, withdrawn=True)))
        first_ms, last_ms = min(log, key=lambda each: each[0])[0], max(log, key=lambda each: each[0])[0]
        for tick_ms in range(first_ms // MINUTE_MS * MINUTE_MS, last_ms + 90 * MINUTE_MS, MINUTE_MS):
            due = sorted((each for each in log if tick_ms - MINUTE_MS < each[0] <= tick_ms), key=lambda each: each[0])
            run.tick(tick_ms, [one for _, one in due])
            for _, one in due:
                if one.withdrawn:
                    standing.pop(one.observation_id, None)
                else:
                    standing[one.observation_id] = one
            if rng.random() < 0.1:
                oldest_ms = tick_ms - HORIZON_MS
                expected = {
                    one for one in made(gathering, list(standing.values())) if oldest_ms <= one.at_ms <= tick_ms
                }
                assert {one for one in run.standing.values() if one.at_ms >= oldest_ms} == expected
                said += len(expected)
    assert said > 100
