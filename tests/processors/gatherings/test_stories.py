"""From what devices claim to incidents of Hanoi's rules, through the real engine with its gatherings."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from processors.checkpoint import Checkpoint
from processors.city import City, Device
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rules import RuleSet
from schemas.ids import EXERCISE
from schemas.records import IncidentChange, IncidentState, Observation, ObservationBlock, RowFrame
from tests.processors.gatherings.builders import CITY, LATITUDE_DEG, LONGITUDE_DEG, at_ms, line_city, passage, sound
from tests.processors.gatherings.test_bangs import bang, off_m
from tests.processors.incidents.builders import HANOI_RULES

SOURCE = ("sensor.readings.v1", 0)


class Story:
    """An engine of some rules, fed a tick every so often with the claims that are due."""

    def __init__(self, *rule_ids: str, city: City = CITY) -> None:
        rules = tuple(rule for rule in HANOI_RULES.rules if rule.id in rule_ids)
        rule = CorrelationRule(provisional_after_ms=0, checkpoint_ms=10_000)
        self.engine = IncidentEngine(RuleSet("v", rules), city, [SOURCE], rule)
        self.offset = 0
        self.changes: list[IncidentChange] = []
        self.frames: list[RowFrame] = []
        self.checkpoints: list[Checkpoint] = []

    def tell(self, claims: Sequence[Observation], from_ms: int, until_ms: int, step_ms: int = 1_000) -> "Story":
        for tick_ms in range(from_ms, until_ms, step_ms):
            due = tuple(one for one in claims if tick_ms - step_ms <= one.at_ms < tick_ms)
            block = ObservationBlock(
                tick_ms=tick_ms, source_partition=0, source_topic=SOURCE[0],
                observations=tuple(sorted(due, key=lambda one: (one.at_ms, one.observation_id))),
            )  # fmt: skip
            outcome = self.engine.push([(self.offset, block)])
            self.offset += 1
            self.changes += outcome.changes
            self.frames += outcome.frames
            self.checkpoints += [outcome.checkpoint] if outcome.checkpoint else []
        return self

    def states(self, kind: str) -> list[IncidentState]:
        return [one.incident.state for one in self.changes if one.incident.kind == kind]


NOON_MS = at_ms("12:00")
EIGHT_MS = at_ms("08:00")


def loud(claims: Sequence[Observation], score: float) -> list[Observation]:
    return [replace(one, score=score) for one in claims]


def test_an_explosion_heard_by_six_is_confirmed_where_it_was_and_mutes_the_crash_of_single_sounds() -> None:
    sounds = bang(120, -60, NOON_MS)
    wreck = [
        replace(sound("BUS-1", NOON_MS + after_ms, 250, -240), kind=kind, observation_id=kind)
        for kind, after_ms in (("hard_stop", 1_000), ("stationary_vehicle", 18_000))
    ]
    alone = Story("crash").tell([*sounds, *wreck], NOON_MS, NOON_MS + 80_000)
    assert alone.states("crash") == [IncidentState.CONFIRMED]
    story = Story("crash", "explosion").tell([*sounds, *wreck], NOON_MS, NOON_MS + 80_000)
    (incident,) = story.engine.open_incidents()
    assert (incident.kind, incident.state) == ("explosion", IncidentState.CONFIRMED)
    located = next(one for one in incident.evidence if one.kind == "explosion_located")
    assert (
        off_m(replace(sounds[0], latitude_deg=located.latitude_deg, longitude_deg=located.longitude_deg), 120, -60) < 3
    )
    assert (
        off_m(replace(sounds[0], latitude_deg=incident.latitude_deg, longitude_deg=incident.longitude_deg), 120, -60)
        < 15
    )


@pytest.mark.parametrize("names", ["M2", "M1 M2"])
def test_what_one_or_two_microphones_heard_is_no_explosion(names: str) -> None:
    sounds = bang(120, -60, NOON_MS, names)
    again = [
        replace(one, at_ms=one.at_ms + 30_000 * turn, observation_id=f"{one.observation_id}/{turn}")
        for one in sounds
        for turn in range(5)
    ]
    assert Story("explosion").tell(loud(again, 0.9), NOON_MS, NOON_MS + 200_000).changes == []


def test_a_bang_that_is_quiet_at_its_place_is_no_explosion() -> None:
    sounds = bang(120, -60, NOON_MS)
    assert Story("explosion").tell(loud(sounds, 0.5), NOON_MS, NOON_MS + 30_000).changes == []


def test_gunshots_are_confirmed_by_four_microphones_and_none_by_one() -> None:
    one, four = (bang(60, 20, NOON_MS, names, "gunshot_sound") for names in ("M1", "M1 M2 M3 M4"))
    assert Story("gunshot").tell(loud(one, 0.85), NOON_MS, NOON_MS + 9_000).changes == []
    assert Story("gunshot").tell(four, NOON_MS, NOON_MS + 9_000).states("gunshot")[-1] is IncidentState.CONFIRMED


@pytest.mark.parametrize(("takers", "kind"), [("M1 M2 M3", "gunshot"), ("M1", "explosion")])
def test_a_bang_that_most_of_those_who_can_tell_take_for_a_shot_is_one(takers: str, kind: str) -> None:
    told = ("sound_level", "gunshot_confidence")
    able = {name: Device(name, "sensor", LATITUDE_DEG, LONGITUDE_DEG, told) for name in ("M1", "M2", "M3", "M4")}
    both = [*bang(120, -60, NOON_MS), *bang(120, -60, NOON_MS, takers, "gunshot_sound")]
    story = Story("explosion", "gunshot", city=line_city(sensors=able)).tell(both, NOON_MS, NOON_MS + 30_000)
    (incident,) = story.engine.open_incidents()
    assert (incident.kind, incident.state) == (kind, IncidentState.CONFIRMED)


def test_two_buses_one_behind_the_other_are_bunched_until_they_are_apart() -> None:
    claims = [
        passage("A", 1, "08:00"), passage("A", 2, "08:02:10"), passage("A", 3, "08:04:20"), passage("A", 4, "08:06:30"),
        passage("B", 1, "08:01"), passage("B", 2, "08:03:40"), passage("B", 3, "08:06:30"), passage("B", 4, "08:09:00"),
    ]  # fmt: skip
    story = Story("bunching").tell(claims, EIGHT_MS, EIGHT_MS + 15 * 60_000, 5_000)
    states = story.states("bunching")
    assert states[0] is IncidentState.SUSPECTED
    assert IncidentState.CONFIRMED in states
    assert states[-1] is IncidentState.RESOLVED
    assert {one.incident.incident_id for one in story.changes} == {story.changes[0].incident.incident_id}
    assert {each.device_id for each in story.changes[-1].incident.evidence} == {"B"}
    resolved_ms = next(one.tick_ms for one in story.changes if one.incident.state is IncidentState.RESOLVED)
    assert resolved_ms <= at_ms("08:06:40")


def test_nobody_comes_for_fifteen_minutes_where_ten_are_scheduled() -> None:
    claims = [passage("A", stop, EIGHT_MS + stop * 130_000) for stop in range(1, 5)]
    story = Story("service_gap").tell(claims, EIGHT_MS, EIGHT_MS + 40 * 60_000, 10_000)
    first = story.changes[0]
    assert first.incident.state is IncidentState.SUSPECTED
    assert first.tick_ms == at_ms("08:17:10")
    confirmed = next(one for one in story.changes if one.incident.state is IncidentState.CONFIRMED)
    assert confirmed.tick_ms <= at_ms("08:19:20") + 10_000
    assert "09A" in {line.line_id for line in confirmed.incident.lines}
    assert story.states("service_gap")[-1] is IncidentState.CONFIRMED


def test_a_bus_on_time_leaves_no_incident() -> None:
    claims = [
        passage(f"V{turn}", stop, EIGHT_MS + turn * 600_000 + stop * 120_000)
        for turn in range(6)
        for stop in range(1, 5)
    ]
    story = Story("service_gap", "bunching", "delay").tell(claims, EIGHT_MS, EIGHT_MS + 50 * 60_000, 10_000)
    assert story.changes == []


def test_a_late_bus_is_a_delay_until_it_is_on_time() -> None:
    claims = [
        passage("A", 1, "08:00"),
        passage("A", 2, "08:07:30"),
        passage("A", 3, "08:09:30"),
        passage("A", 4, "08:10"),
    ]
    story = Story("delay").tell(claims, EIGHT_MS, EIGHT_MS + 12 * 60_000, 5_000)
    assert story.states("delay") == [IncidentState.SUSPECTED, IncidentState.CONFIRMED, IncidentState.RESOLVED]


def test_what_is_derived_is_in_the_rows_with_the_offset_of_its_tick() -> None:
    story = Story("explosion").tell(bang(120, -60, NOON_MS), NOON_MS, NOON_MS + 30_000)
    rows = [frame for frame in story.frames if frame.table == "observations"]
    assert sum(frame.rows for frame in rows) >= 2
    assert all(frame.source_topic == "observations.v1" for frame in rows)
    assert all(frame.first_offset <= frame.last_offset < story.offset for frame in rows)


def test_exercises_are_gathered_apart() -> None:
    real, drill = bang(120, -60, NOON_MS, "M1 M2"), bang(120, -60, NOON_MS, "M3 M4 M5 M6")
    marked = [replace(one, device_id=EXERCISE + one.device_id, witness_id=EXERCISE + one.witness_id) for one in drill]
    story = Story("explosion").tell([*real, *marked], NOON_MS, NOON_MS + 10_000)
    (incident,) = [one for one in story.engine.open_incidents() if one.state is IncidentState.CONFIRMED]
    assert incident.exercise
    assert all(each.device_id.startswith(EXERCISE) for each in incident.evidence)


def test_a_restart_from_any_checkpoint_goes_on_as_if_there_had_been_none() -> None:
    claims = [
        *bang(120, -60, EIGHT_MS + 61_000),
        *[
            passage(f"V{turn}", stop, EIGHT_MS + turn * 100_000 + stop * 120_000)
            for turn in range(3)
            for stop in range(1, 5)
        ],
    ]
    names = ("explosion", "bunching", "service_gap", "delay")
    whole = Story(*names).tell(claims, EIGHT_MS, EIGHT_MS + 30 * 60_000, 5_000)
    assert len({one.incident.kind for one in whole.changes}) >= 3
    parts: dict[str, bytes] = {}
    for index, last in enumerate(whole.checkpoints):
        parts |= last.new_parts
        if index % 40 == 7:
            again = Story(*names)
            again.engine.restore(parts, last.live, last.next_offset, last.tick_ms)
            again.offset = last.next_offset
            again.tell(claims, last.tick_ms + 5_000, EIGHT_MS + 30 * 60_000, 5_000)
            assert again.changes == [one for one in whole.changes if one.tick_ms > last.tick_ms]


def test_a_dense_line_is_judged_by_its_own_limits() -> None:
    claims = [passage("A", 1, "08:00"), passage("B", 1, "08:01:30")]
    dense = Story("bunching", city=line_city(every_s=240)).tell(claims, EIGHT_MS, EIGHT_MS + 120_000, 5_000)
    assert dense.changes == []
    assert Story("bunching").tell(claims, EIGHT_MS, EIGHT_MS + 120_000, 5_000).states("bunching") == [
        IncidentState.SUSPECTED
    ]
