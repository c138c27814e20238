"""What every gathering promises: older claims than its reach change nothing, nor does the order of claims."""

import random

import pytest

from processors.gatherings.city_gatherings import city_gatherings
from processors.gatherings.contract import Gathering, observation_of
from processors.incidents.clusters import canonical
from schemas.records import Observation
from tests.processors.gatherings.builders import CITY, DAY_MS, TIMETABLE_CITY, level, observed, passage
from tests.processors.gatherings.test_bangs import bang

GATHERINGS = list(zip(city_gatherings(CITY), city_gatherings(TIMETABLE_CITY), strict=True))


def some_claims(gathering: Gathering, rng: random.Random) -> list[Observation]:
    """Claims of several hours, of the kinds that a gathering takes."""
    found: list[Observation] = []
    begin_ms = DAY_MS + 7 * 3_600_000
    for _ in range(60):
        when_ms = begin_ms + rng.randrange(6 * 3_600_000)
        vehicle, stop, line_id = f"V{rng.randrange(4)}", rng.randrange(6), rng.choice(("09A", "T1"))
        one = passage(vehicle, stop, when_ms, line_id, rng.choice(("", "", "t6", "t9")))
        found.append(one)
        if rng.random() < 0.4:
            kind, subject = rng.choice(("bunched", "running_late")), f"{line_id}/0"
            found.append(observed(kind, vehicle, when_ms, line_id=line_id, direction_id=0, subject=subject))
    for hour in range(7, 22):
        found += [level(f"N{sensor}", hour, 40.0 + sensor, 500.0 * sensor) for sensor in range(1, 5)]
        found.append(level("N0", hour, 90.0 if hour % 6 < 4 else rng.choice((41.0, 52.0, 90.0))))
    for _ in range(6):
        sounds = bang(rng.uniform(-300, 300), rng.uniform(-300, 300), begin_ms + rng.randrange(200_000))
        found += sounds[: rng.randrange(1, 7)]
        found += bang(50.0, 20.0, begin_ms + rng.randrange(200_000), kind="gunshot_sound")
        for kind in ("bang_located", "shot_located"):
            found.append(observed(kind, "M1", begin_ms + rng.randrange(900_000), rng.uniform(-300, 300), value=5.0))
    by_id = {one.observation_id: one for one in found if one.kind in gathering.kinds}
    return list(by_id.values())


def made(gathering: Gathering, claims: list[Observation]) -> set[Observation]:
    about: dict[str, list[Observation]] = {}
    for one in canonical(claims):
        for subject in gathering.subjects(one):
            about.setdefault(subject, []).append(one)
    return {
        observation_of(gathering.name, subject, one)
        for subject, some in about.items()
        for one in gathering.derive(subject, some)
    }


@pytest.mark.parametrize("gatherings", GATHERINGS, ids=[one.name for one, _ in GATHERINGS])
def test_what_is_older_than_the_reach_changes_nothing(gatherings: tuple[Gathering, Gathering]) -> None:
    compared = 0
    for seed in range(6):
        rng, gathering = random.Random(seed), gatherings[seed % 2]
        claims = some_claims(gathering, rng)
        whole = made(gathering, claims)
        for _ in range(4):
            cut_ms = rng.choice(claims).at_ms + rng.randrange(-2, 3)
            since_ms = cut_ms + gathering.reach_ms
            rest = made(gathering, [one for one in claims if one.at_ms >= cut_ms])
            expected = {one for one in whole if one.at_ms >= since_ms}
            assert {one for one in rest if one.at_ms >= since_ms} == expected
            compared += len(expected)
    assert compared > 0
