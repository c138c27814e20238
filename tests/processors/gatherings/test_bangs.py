"""Explosions as timelines: who heard what when, and where it was."""

import math
from dataclasses import replace
from datetime import date

import pytest

from processors.calendars import Calendar
from processors.gatherings.bangs import Bangs
from processors.gatherings.contract import observation_of
from processors.gatherings.series import FIREWORKS, Explosions
from processors.gatherings.stage import GatheringStage
from processors.incidents.merge import MergedTick
from processors.zones import Zone, circle
from schemas.records import Observation
from tests.processors.gatherings.builders import (
    CITY,
    DAY_MS,
    HORIZON_MS,
    LATITUDE_DEG,
    LONGITUDE_DEG,
    METRE_DEG,
    at_ms,
    derived,
    line_city,
    sound,
)

MICROPHONES = {
    "M1": (-300, -200),
    "M2": (250, -250),
    "M3": (300, 280),
    "M4": (-260, 240),
    "M5": (20, 400),
    "M6": (-420, 10),
}
NOON_MS = at_ms("12:00")
BANGS = Bangs(CITY)


def bang(
    x_m: float, y_m: float, when_ms: int, names: str = "M1 M2 M3 M4 M5 M6", kind: str = "impact_sound"
) -> list[Observation]:
    """What microphones hear of a bang, at 27 degrees."""
    return [
        sound(name, when_ms + round(math.hypot(east_m - x_m, north_m - y_m) / 347.66 * 1000), east_m, north_m, kind)
        for name, (east_m, north_m) in MICROPHONES.items()
        if name in names.split()
    ]


def off_m(one: Observation, x_m: float, y_m: float) -> float:
    east_m = (one.longitude_deg - LONGITUDE_DEG) / METRE_DEG * math.cos(math.radians(LATITUDE_DEG))
    return math.hypot(east_m - x_m, (one.latitude_deg - LATITUDE_DEG) / METRE_DEG - y_m)


def located(claims: list[Observation], gathering: Bangs = BANGS) -> list[Observation]:
    return [observation_of(gathering.name, "", one) for one in derived(gathering, claims)]


def test_six_microphones_locate_an_explosion() -> None:
    (one,) = located(bang(120, -60, NOON_MS))
    assert one.kind == "bang_located"
    assert off_m(one, 120, -60) < 3
    assert abs(one.at_ms - NOON_MS) <= 5
    assert one.value < 15
    assert one.subject == "6"
    assert one.witness_id in MICROPHONES
    assert one.score > 0.9


@pytest.mark.parametrize("names", ["M1", "M1 M2"])
def test_one_or_two_microphones_locate_nothing(names: str) -> None:
    assert located(bang(0, 0, NOON_MS, names)) == []


def test_one_microphone_that_repeats_itself_locates_nothing() -> None:
    (one,) = bang(0, 0, NOON_MS, "M1")
    again = [sound("M1", one.at_ms + late_ms, -300, -200) for late_ms in (300, 700, 1200)]
    assert located([one, *again]) == []


def test_three_microphones_give_a_lower_score_than_four() -> None:
    (three,) = located(bang(50, 20, NOON_MS, "M1 M2 M3"))
    (four,) = located(bang(50, 20, NOON_MS, "M1 M2 M3 M4"))
    assert three.score == pytest.approx(0.6)
    assert four.score == pytest.approx(0.85)


def test_what_three_agree_on_is_told_when_others_would_have_heard_it() -> None:
    heard = bang(50, 20, NOON_MS, "M1 M2 M3")
    (three,) = located(heard)
    assert three.at_ms == max(one.at_ms for one in heard) + 3_000
    (four,) = located(bang(50, 20, NOON_MS, "M1 M2 M3 M4"))
    assert abs(four.at_ms - NOON_MS) <= 5


def test_of_more_than_72_sounds_the_first_are_told_apart() -> None:
    """Fourteen shots, two thirds of a second apart: what went before does not go when there are too many."""
    shots = [one for number in range(14) for one in bang(120, -60, NOON_MS + number * 660)]
    found = located(shots)
    assert len(found) == 12
    assert max(off_m(one, 120, -60) for one in found) < 3


def test_a_volley_of_which_few_hear_each_shot_comes_from_one_place() -> None:
    volley = (
        bang(120, -60, NOON_MS) + bang(120, -60, NOON_MS + 450, "M1 M3 M5") + bang(120, -60, NOON_MS + 900, "M2 M4 M6")
    )
    found = located(volley)
    assert [one.subject for one in found] == ["6"]  # three sounds of a place already found may be echoes
    volley += bang(120, -60, NOON_MS + 1_500, "M1 M2 M4 M6")
    found = located(volley)
    assert [off_m(one, 120, -60) < 5 for one in found] == [True, True]


def test_what_only_microphones_near_by_heard_may_have_been_a_crash() -> None:
    near = {"A": (-90, 0), "B": (80, 20), "C": (0, 110), "D": (-40, -100)}
    claims = [
        sound(name, NOON_MS + round(math.hypot(x_m, y_m) / 0.34766), x_m, y_m) for name, (x_m, y_m) in near.items()
    ]
    (one,) = located(claims, Bangs(CITY, near_m=200.0))
    assert one.score == pytest.approx(0.425)
    (far,) = located(bang(120, -60, NOON_MS, "M1 M2 M3 M4"), Bangs(CITY, near_m=200.0))
    assert far.score == pytest.approx(0.85)


def test_a_clock_that_is_two_seconds_fast_does_not_count() -> None:
    claims = bang(120, -60, NOON_MS)
    fast = replace(claims[2], at_ms=claims[2].at_ms + 2000, observation_id="fast")
    (one,) = located([*claims[:2], fast, *claims[3:]])
    assert off_m(one, 120, -60) < 4
    assert one.subject == "5"


def test_two_explosions_half_a_second_apart_are_kept_apart() -> None:
    claims = bang(-150, 120, NOON_MS) + bang(180, -100, NOON_MS + 500)
    first, second = located(claims)
    assert off_m(first, -150, 120) < 5
    assert off_m(second, 180, -100) < 5
    assert second.at_ms - first.at_ms == pytest.approx(500, abs=10)


def test_echoes_of_a_bang_are_no_second_bang() -> None:
    claims = bang(120, -60, NOON_MS)
    echoes = [replace(one, at_ms=one.at_ms + 420, observation_id=f"e{index}") for index, one in enumerate(claims[:3])]
    assert len(located(claims + echoes)) == 1


def test_sounds_of_the_same_second_far_apart_are_not_one_bang() -> None:
    far = [sound(f"F{index}", NOON_MS + 100 * index, 5_000.0 * index, 0.0) for index in range(5)]
    assert located(far) == []


def test_a_bang_where_squares_and_slots_meet_is_claimed_once() -> None:
    """However its place and time fall into squares and slots."""
    for shift in range(0, 16_000, 3_999):
        for x_m in (-8_000, -4_000, -2_000, 0, 2_000):
            claims = [
                sound(
                    one.device_id, one.at_ms + shift, x_m + MICROPHONES[one.device_id][0], MICROPHONES[one.device_id][1]
                )
                for one in bang(10, -20, NOON_MS)
            ]
            assert len(located(claims)) == 1


def ticks(stage: GatheringStage, claims: list[Observation], until_ms: int) -> list[Observation]:
    found: list[Observation] = []
    for tick_ms in range(NOON_MS, until_ms, 1_000):
        due = tuple(one for one in claims if tick_ms - 1_000 <= one.at_ms < tick_ms)
        found += [one for one in stage.advance(MergedTick(tick_ms, due))[1] if one.kind != "bang_located"]
    return found


def stage(fireworks_day: bool = False, zones: tuple[Zone, ...] = ()) -> GatheringStage:
    days = frozenset((date(2026, 9, 21),)) if fireworks_day else frozenset()
    city = line_city(zones=zones, calendars={"tet": Calendar("tet", days=days)})
    return GatheringStage((Bangs(city), Explosions(city)), HORIZON_MS)


def test_the_day_of_these_tests() -> None:
    assert DAY_MS == 1_789_923_600_000  # 2026-09-21 00:00 +07:00


SERIES = [one for index in range(8) for one in bang(100 + 10 * index, 50, NOON_MS + 20_000 * index)]


def test_an_explosion_is_claimed_at_the_tick_that_completes_it_and_revised_when_more_is_heard() -> None:
    claims = bang(120, -60, NOON_MS + 100)
    run = stage()
    early, late = claims[:4], claims[4:]
    (_, first) = run.advance(MergedTick(NOON_MS + 2_000, tuple(early)))
    assert [one.kind for one in first] == ["bang_located", "explosion_located"]
    (_, second) = run.advance(MergedTick(NOON_MS + 9_000, tuple(late)))
    assert [(one.kind, one.withdrawn) for one in second if one.kind == "explosion_located"] in (
        [("explosion_located", True), ("explosion_located", False)],
        [("explosion_located", False), ("explosion_located", True)],
    )


def test_a_series_of_bangs_on_an_ordinary_day_is_a_series_of_explosions() -> None:
    found = ticks(stage(), SERIES, NOON_MS + 200_000)
    assert len(found) == 8
    assert all(one.kind == "explosion_located" and one.score > 0.9 and not one.withdrawn for one in found)


def test_a_series_of_bangs_at_tet_is_fireworks_its_first_bangs_too() -> None:
    found = ticks(stage(fireworks_day=True), SERIES, NOON_MS + 200_000)
    standing = {one.observation_id: one for one in found if not one.withdrawn}
    for one in found:
        if one.withdrawn:
            assert one.kind == "explosion_located"
            del standing[one.observation_id]
    assert len(standing) == 8
    assert all(one.kind == FIREWORKS and one.score < 0.35 for one in standing.values())
    assert found[0].kind == "explosion_located"


def test_a_single_bang_at_tet_is_an_explosion() -> None:
    (one,) = ticks(stage(fireworks_day=True), bang(100, 50, NOON_MS), NOON_MS + 60_000)
    assert (one.kind, one.score > 0.9) == ("explosion_located", True)


def test_a_series_in_a_festival_area_is_fireworks() -> None:
    area = Zone("fair", "Fair", "festival", circle(LATITUDE_DEG, LONGITUDE_DEG, 2_000.0))
    found = ticks(stage(zones=(area,)), SERIES, NOON_MS + 200_000)
    assert found[-1].kind == FIREWORKS


def test_microphones_on_one_pole_are_one_place() -> None:
    claims = bang(120, -60, NOON_MS, "M1 M2")
    twin = replace(claims[1], device_id="M9", witness_id="M9", observation_id="twin", at_ms=claims[1].at_ms + 3)
    assert located([*claims, twin]) == []
    (three,) = located([*bang(120, -60, NOON_MS, "M1 M2 M3"), twin])
    assert three.score == pytest.approx(0.6)


def test_gunshots_are_located_from_their_own_sounds() -> None:
    shots = Bangs(CITY, "gunshot_sound", "shot_located")
    claims = bang(120, -60, NOON_MS, kind="gunshot_sound")
    assert [one.kind for one in located(claims, shots)] == ["shot_located"]
    assert located(claims) == []
    (passed,) = derived(Explosions(CITY, "shot_located", "gunshot_located"), located(claims, shots))
    assert passed.kind == "gunshot_located"
