"""The ledger of passages: what counts, what is packed, what is forgotten, what a restart needs."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.gatherings.city_gatherings import city_gatherings
from processors.gatherings.gatherer import Gatherer
from processors.gatherings.headways import Headways
from processors.gatherings.line_gatherer import LineGatherer
from processors.gatherings.line_gathering import LineGathering
from processors.gatherings.line_ledger import LineLedger
from processors.gatherings.packed_claims import PackedClaims, Whose, Words, number_of
from processors.gatherings.passages import SAME_MS
from processors.gatherings.schedules import Schedules
from processors.gatherings.stage import GathererState, GatheringStage
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import canonical
from processors.incidents.merge import MergedTick
from schemas.records import Observation
from tests.processors.gatherings.builders import CITY, DAY_MS, HORIZON_MS, TIMETABLE_CITY, at_ms, passage

MINUTE_MS = 60_000
STEP_MS = 30_000
LINES = [[one for one in city_gatherings(city) if isinstance(one, LineGathering)] for city in (CITY, TIMETABLE_CITY)]
"""By headway and by timetable."""


def some_log(rng: random.Random, line_id: str) -> list[tuple[int, Observation]]:
    """Passages of 2 h with the ticks they come with: some late, twice, taken back, or come again after that."""
    log: list[tuple[int, Observation]] = []
    for number in range(120):
        when_ms = at_ms("08:00") + rng.randrange(240) * STEP_MS
        one = passage(f"V{rng.randrange(4)}", rng.randrange(6), when_ms, line_id, rng.choice(("", "t6", "t9")))
        one = replace(one, source_offset=number, line_offset_m=rng.random() * 1e4, vehicle_class="BUS")
        late_ms = rng.choice((STEP_MS, STEP_MS, STEP_MS, rng.randrange(20) * STEP_MS))
        story = rng.choice(((False,),) * 6 + ((False, False), (False, True), (False, True, False)))
        for turn, withdrawn in enumerate(story):
            log.append((when_ms + late_ms + turn * rng.randrange(1, 10) * STEP_MS, replace(one, withdrawn=withdrawn)))
    return log


def played(
    stage: GatheringStage, log: Iterable[tuple[int, Observation]], ticks: Iterable[int]
) -> list[tuple[int, Observation]]:
    by_tick: dict[int, list[Observation]] = {}
    for tick_ms, one in log:
        by_tick.setdefault(tick_ms, []).append(one)
    found: list[tuple[int, Observation]] = []
    for tick_ms in ticks:
        some = tuple(canonical(by_tick.get(tick_ms, ())))
        found += [(tick_ms, one) for one in stage.advance(MergedTick(tick_ms, some))[1]]
    return found


def stands(found: Sequence[tuple[int, Observation]]) -> set[Observation]:
    standing: dict[str, Observation] = {}
    for _, one in found:
        if one.withdrawn:
            del standing[one.observation_id]
        else:
            assert one.observation_id not in standing
            standing[one.observation_id] = one
    return set(standing.values())


@pytest.mark.parametrize("lines", LINES, ids=["by headway", "by timetable"])
def test_restored_anywhere_it_says_what_it_would_have_said(lines: list[LineGathering]) -> None:
    said = 0
    for seed in range(12):
        rng = random.Random(seed)
        log = some_log(rng, "09A" if lines is LINES[0] else "T1")
        ticks = range(at_ms("08:00"), at_ms("15:00"), STEP_MS)
        stop = rng.randrange(40, 400)
        whole, parts = LineGatherer(lines, HORIZON_MS, part_claims=16), dict[str, bytes]()
        stage = GatheringStage(lines, HORIZON_MS)
        stage._gatherers = [whole]
        for number, tick_ms in enumerate(ticks[:stop]):
            played(stage, log, [tick_ms])
            parts |= stage.seal(number)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(stage.state()), type=tuple[GathererState, ...])
        again = GatheringStage(lines, HORIZON_MS)
        again.restore(
            state, {part.key: parts[part.key] for each in state for part in each.claims.sealed}, ticks[stop - 1]
        )
        assert {one.observation_id: one for one in again.standing()} == {
            one.observation_id: one for one in stage.standing()
        }
        after = played(stage, log, ticks[stop:])
        assert played(again, log, ticks[stop:]) == after
        said += len(after)
    assert said > 200


@pytest.mark.parametrize("lines", LINES, ids=["by headway", "by timetable"])
def test_order_of_arrival_and_copies_do_not_matter(lines: list[LineGathering]) -> None:
    for seed in range(6):
        rng = random.Random(seed)
        claims = {one.observation_id: one for _, one in some_log(rng, "09A" if lines is LINES[0] else "T1")}
        ends = []
        for late in (1, 20):
            log = [
                (one.at_ms + rng.randrange(1, late + 1) * STEP_MS, replace(one, withdrawn=False))
                for one in claims.values()
                for _ in range(late // 10 + 1)
            ]
            stage = GatheringStage(lines, HORIZON_MS)
            ends.append(stands(played(stage, log, range(at_ms("08:00"), at_ms("13:00"), STEP_MS))))
        assert ends[0] == ends[1]
        assert ends[0]


def test_checkpoints_of_before_there_was_one_ledger_are_read() -> None:
    claims = [
        passage(f"V{index % 3}", 1 + index % 4, DAY_MS + 8 * 60 * MINUTE_MS + index * 67_000) for index in range(90)
    ]
    tick_ms = claims[-1].at_ms + 1_000
    stage = GatheringStage(LINES[0], HORIZON_MS)
    played(stage, [(tick_ms, one) for one in claims], [tick_ms])
    old, parts = ClaimParts(part_claims=20), dict[str, bytes]()
    for index, one in enumerate(claims):
        old.add(one)
        parts |= old.seal(f"gatherings/runs/{index}", {each.observation_id: each for each in claims})
    states = (
        GathererState("runs", False, old.state()),
        GathererState("headways", False, ClaimsState((), tuple(claims[:50]))),
    )
    again = GatheringStage(LINES[0], HORIZON_MS)
    again.restore(states, parts, tick_ms)
    assert set(again.standing()) >= set(claims)
    later = [(tick_ms + 60_000, replace(claims[-3], withdrawn=True))]
    ticks = range(tick_ms + 60_000, tick_ms + 3_600_000, 60_000)
    of_stops = [[each for each in played(one, later, ticks) if "on_time" not in each[1].kind] for one in (stage, again)]
    assert of_stops[0] == of_stops[1] != []


class Nobody:
    """Hears of changes and does nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def test_of_passages_without_leaving_in_between_the_first_counts() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        nobody: Any = Nobody()
        ledger = LineLedger(Schedules(CITY), (nobody,))
        standing: dict[str, Observation] = {}
        for _ in range(60):
            if standing and rng.random() < 0.3:
                one = standing.pop(rng.choice(sorted(standing)))
                assert ledger.remove(one)
                assert not ledger.remove(one)
            else:
                one = passage(f"V{rng.randrange(2)}", rng.randrange(1, 3), DAY_MS + rng.randrange(90) * MINUTE_MS)
                assert ledger.add(one) == (one.observation_id not in standing)
                standing[one.observation_id] = one
            assert set(ledger.standing(0)) == set(standing.values())
        last_ms: dict[tuple[str, str], int] = {}
        first: set[tuple[str, int]] = set()
        for one in canonical(standing.values()):
            key = one.device_id, one.subject
            if one.at_ms - last_ms.get(key, -SAME_MS) > SAME_MS:
                first.add((one.subject, one.at_ms))
            last_ms[key] = one.at_ms
        counted = {(f"{place.name}/", at) for place in ledger.places for at in place.at_ms}
        assert counted == first
        cut_ms = DAY_MS + 45 * MINUTE_MS
        ledger.forget(cut_ms, all_ways=True)
        assert set(ledger.standing(0)) == {one for one in standing.values() if one.at_ms >= cut_ms}


TEXT = st.sampled_from(["", "a", "Ô/b", "VEHICLE"])
REAL = st.floats(allow_nan=False)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(0, 2**64 - 1), REAL, REAL, st.integers(-1, 2**62), TEXT, TEXT, TEXT, TEXT
        ),
        max_size=12,
        unique_by=lambda each: each[1],
    ),
    st.integers(0, 10),
)
def test_packed_claims_are_had_back_as_they_were(
    rows: list[tuple[int, int, float, float, int, str, str, str, str]], cut: int
) -> None:
    words, whose = Words(), Whose("L", 1, "D")
    pack, expected = PackedClaims(words), []
    for when_ms, number, some, other, offset, url, witness, trip, vehicle_class in rows:
        one = Observation(
            at_ms=when_ms, latitude_deg=some, longitude_deg=other, score=other, source_offset=offset,
            source_partition=3, source_topic=vehicle_class, observation_id=f"o-{number:016x}", kind="stop_passage",
            device_id="D", witness_id=witness or "D", line_id="L", direction_id=1, snapshot_url=url,
            line_offset_m=some, value=other, subject=f"L/1/S/{trip}", vehicle_class=vehicle_class,
        )  # fmt: skip
        assert number_of(one.observation_id) == number
        pack.insert(pack.place(when_ms, number), one, number, words.code("L/1/S"), trip)
        expected.append(one)
    expected = canonical(expected)
    assert list(pack.claims(whose)) == expected
    assert [pack.tail(index) for index in range(len(pack))] == [one.subject.removeprefix("L/1/S/") for one in expected]
    assert pack.forget(cut) == sum(one.at_ms < cut for one in expected)
    expected = [one for one in expected if one.at_ms >= cut]
    if expected:
        pack.delete(len(expected) // 2)
        del expected[len(expected) // 2]
    assert list(pack.claims(whose)) == expected


def test_trips_that_no_passage_has_any_more_are_forgotten() -> None:
    words, whose = Words(), Whose("09A", 0, "A")
    pack = PackedClaims(words)
    claims = [passage("A", 2, DAY_MS + index, trip=f"trip-{index // 2}") for index in range(200)]
    for index, one in enumerate(claims):
        pack.insert(index, one, number_of(one.observation_id), words.code("09A/0/S2"), f"trip-{index // 2}")
        pack.forget(DAY_MS + index - 9)
    assert list(pack.claims(whose)) == claims[-10:]
    assert len(pack._tails) < 30


@pytest.mark.parametrize("name", ["x-0123456789abcdef", "o-1", "stop"])
def test_other_ids_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name if name[0] != "s" else "invalid literal"):
        number_of(name)


def test_nothing_wakes_gatherings_that_know_nothing() -> None:
    headways, other = LineGatherer((Headways(CITY),), HORIZON_MS), Gatherer(city_gatherings(CITY)[0], HORIZON_MS)
    assert headways.advance(DAY_MS, ()) == other.advance(DAY_MS, ()) == []
    assert headways.wake_ms == DAY_MS + MINUTE_MS
    assert other.wake_ms > DAY_MS * 1000
    one = passage("A", 2, "08:00")
    headways.advance(one.at_ms + 1, [one])
    assert headways.wake_ms == one.at_ms + 1 + MINUTE_MS or headways.wake_ms <= one.at_ms + 5 * MINUTE_MS
