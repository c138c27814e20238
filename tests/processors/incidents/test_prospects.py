"""Passing claims that wait in a stall: what is not looked at would have made nothing."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.incidents.cells import CellIndex
from processors.incidents.clusters import Cluster
from processors.incidents.engine import CorrelationRule
from processors.incidents.prospects import Prospects
from processors.incidents.rule_model import Rule, Story, Suspected
from processors.incidents.verdict import Judge, Judgement
from schemas.records import IncidentState, Observation
from tests.processors.incidents.builders import (
    ACTIONS,
    CRASH,
    DETECTIONS,
    FIRE,
    LATITUDE_DEG,
    POSITIONS,
    READINGS,
    Run,
    block,
    claim,
)
from tests.processors.incidents.test_engine_properties import (
    EARLY,
    LENGTH_S,
    Arrival,
    arrivals,
    encoded,
    held_back,
    log_of,
    stalls,
)

BRAKED = claim("hard_stop", "TX-1", 100.0)
BANG = claim("impact_sound", "MIC-1", 104.0, x_m=120)


def index_of(*claims: Observation) -> CellIndex:
    index = CellIndex(2 * CRASH.within.reach_m, CRASH.within.quiet_s, LATITUDE_DEG)
    for one in claims:
        index.add(one)
    return index


def has(rule: Rule, one: Observation, *firm: Observation) -> bool:
    return Prospects(rule).has(one, [index_of(), index_of(*firm)])


@pytest.mark.parametrize(
    ("firm", "matters"),
    [
        ([], False),
        ([BANG], True),
        ([claim("impact_sound", "MIC-1", 104.0, x_m=401)], False),  # no story is wider than twice 200 m
        ([claim("camera_crash", "CAM-1", 220.0)], True),
        ([claim("camera_crash", "CAM-1", 221.0)], False),  # nor longer than twice 60 s
        ([claim("impact_sound", "MIC-1", 104.0, x_m=401), claim("camera_crash", "CAM-1", -20.0)], True),
    ],
)
def test_a_passing_claim_matters_near_a_firm_one(firm: list[Observation], matters: bool) -> None:
    assert has(CRASH, BRAKED, *firm) is matters
    assert has(CRASH, claim("hard_stop", "TX-1", 100.0, withdrawn=True), *firm) is matters


def test_nothing_is_known_to_be_absent_however_long_it_waits() -> None:
    """A story that asks for it is told of ordered claims alone."""
    run = Run(CorrelationRule())
    elsewhere = claim("stationary_vehicle", "TX-9", 189.0, x_m=5_000)
    run.push([block(source, 190.0) for source in (READINGS, DETECTIONS, ACTIONS)])
    run.push([block(POSITIONS, 190.0, [elsewhere])])
    both = [claim("hard_stop", "TX-1", 100.0), claim("stationary_vehicle", "TX-1", 100.0),
            claim("hard_stop", "TX-2", 101.0), claim("stationary_vehicle", "TX-2", 101.0)]  # fmt: skip
    assert run.push([block(POSITIONS, 195.0, both)]) == []
    (told,) = run.push([block(DETECTIONS, 195.0), *(block(source, 196.0) for source in (READINGS, ACTIONS))])
    assert (told.incident.kind, told.incident.provisional) == ("crash", False)


def test_it_matters_where_passing_claims_tell_a_story_at_once() -> None:
    braked_both = Story.model_validate({"claims": {"hard_stop": 2}, "distance_m": 30, "apart_s": 15})
    told = CRASH.suspected.model_copy(update={"any_of": (*CRASH.suspected.any_of, braked_both)})
    assert has(CRASH.model_copy(update={"suspected": told}), BRAKED)
    assert has(CRASH.model_copy(update={"suspected": Suspected(score=0.1)}), BRAKED)


def test_every_firm_claim_matters() -> None:
    assert has(CRASH, BANG)
    assert has(FIRE, claim("heat", "P-1", 100.0))


@pytest.mark.parametrize("last", [BRAKED, BANG])
def test_a_crash_is_seen_in_a_stall_whichever_claim_comes_last(last: Observation) -> None:
    run = Run(CorrelationRule())
    run.push([block(source, 90.0) for source in (POSITIONS, READINGS, DETECTIONS, ACTIONS)])
    heard = [replace(BANG, observation_id=f"{BANG.observation_id}/{n}", witness_id=f"MIC-{n}") for n in (7, 8)]
    first = [BANG if last is BRAKED else BRAKED, *heard]
    sources = {BRAKED: POSITIONS, BANG: READINGS}
    early = [
        block(source, 104.0, [one for one in first if one.source_topic == source[0]]) for source in sources.values()
    ]
    assert run.push([block(ACTIONS, 105.0), *early]) == []
    (told,) = run.push([block(sources[last], 105.0, [last])])
    assert (told.incident.provisional, told.incident.state) == (True, IncidentState.SUSPECTED)
    assert {one.observation_id for one in told.incident.evidence} == {one.observation_id for one in (*first, last)}


@settings(max_examples=10, deadline=None)
@given(arrivals(), st.data())
def test_what_is_not_looked_at_would_have_made_nothing(arrived: list[Arrival], data: st.DataObject) -> None:
    blocks = held_back(held_back(log_of(arrived, LENGTH_S), data.draw(stalls())), data.draw(stalls()))
    run, thorough = Run(EARLY), Run(EARLY)
    run.push(blocks)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Prospects, "has", lambda *_: True)
        thorough.push(blocks)
    assert encoded(run.changes) == encoded(thorough.changes)


def test_a_passing_claim_near_a_confirmed_crash_is_not_looked_at_in_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a jam hundreds brake around a crash that is told already; elsewhere a camera's crash is confirmed by one."""
    run = Run(CorrelationRule())
    run.push([block(source, 90.0) for source in (POSITIONS, READINGS, DETECTIONS, ACTIONS)])
    seen = [claim("camera_crash", "CAM-1", 100.0), claim("camera_crash", "CAM-2", 101.0, x_m=10)]
    elsewhere = claim("camera_crash", "CAM-3", 101.0, x_m=5_000)
    run.push([block(DETECTIONS, 105.0, [*seen, elsewhere])])
    assert [one.incident.state for one in run.changes] == [IncidentState.CONFIRMED, IncidentState.SUSPECTED]
    judged = list[str]()
    judge = Judge.judge

    def noted(self: Judge, cluster: Cluster, *rest: Any) -> Judgement:
        judged.extend(one.device_id for one in cluster.members)
        return judge(self, cluster, *rest)

    monkeypatch.setattr(Judge, "judge", noted)
    assert run.push([block(POSITIONS, 105.0, [claim("hard_stop", "TX-1", 102.0, x_m=20)])]) == []
    assert judged == []
    (told,) = run.push([block(POSITIONS, 106.0, [claim("hard_stop", "TX-2", 103.0, x_m=5_010)])])
    assert told.incident.state is IncidentState.CONFIRMED
    assert set(judged) == {"CAM-3", "TX-2"}
