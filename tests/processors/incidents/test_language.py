"""Each operator of the rule language as a literal timeline; seconds after T0_MS, metres around the middle."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from processors.baselines import Baselines
from processors.calendars import Calendar
from processors.city import Bounds, City, Stop, Unit, Venue, Zone
from processors.incidents.rule_model import Rule
from processors.incidents.rules import RuleSet
from processors.zones import circle
from schemas.records import Decision, IncidentChange, IncidentState, Observation, Severity
from tests.processors.incidents.builders import (
    CITY,
    LATITUDE_DEG,
    LONGITUDE_DEG,
    T0_MS,
    Run,
    action,
    claim,
    east_deg,
    north_deg,
)

PLAIN = """
id: breakdown
kind: breakdown
by: device
evidence: {stationary_vehicle: 0.6, hard_stop: 0.5}
within: {quiet_s: 300, lasts_s: 7200}
suspected: {score: 0.2}
confirmed: {score: 0.9, witnesses: 2}
resolve_after_s: 300
severity: {suspected: MINOR, confirmed: MODERATE}
"""
BY_PLACE = {"by": "place", "within": {"distance_m": 200, "quiet_s": 300, "lasts_s": 7200}}


def rule_of(**changes: Any) -> Rule:
    return Rule.model_validate({**yaml.safe_load(PLAIN), **changes})


def story(**keys: Any) -> dict[str, Any]:
    return {"score": 0.2, "any_of": [{"claims": {"stationary_vehicle": 1}, "apart_s": 120, **keys}]}


def told(rule: Rule, *claims: Observation, until_s: float = 0.0, city: City = CITY) -> list[IncidentChange]:
    return Run(rules=RuleSet("r1", (rule,)), city=city).story(*claims, until_s=until_s)


def stands(device_id: str, at_s: float, x_m: float = 0.0, **fields: Any) -> Observation:
    return replace(claim("stationary_vehicle", device_id, at_s, x_m), **fields)


def turns(changes: list[IncidentChange]) -> list[tuple[float, IncidentState]]:
    return [((one.tick_ms - T0_MS) / 1000, one.incident.state) for one in changes]


# --- by --------------------------------------------------------------------------------------------------------------


def test_a_rule_by_device_has_an_incident_a_device_wherever_it_is() -> None:
    changes = told(rule_of(), stands("B1", 1), stands("B2", 2, x_m=5), stands("B1", 100, x_m=4000))
    assert [one.incident.evidence[0].device_id for one in changes] == ["B1", "B2", "B1"]
    assert changes[0].incident.incident_id == changes[2].incident.incident_id


def test_a_distance_parts_the_claims_of_a_device_if_it_is_given() -> None:
    rule = rule_of(within={"distance_m": 1000, "quiet_s": 300, "lasts_s": 7200})
    changes = told(rule, stands("B1", 1), stands("B1", 100, x_m=999), stands("B1", 100.1, x_m=1500))
    assert len({one.incident.incident_id for one in changes}) == 2


@pytest.mark.parametrize(("by", "field"), [("line", "line_id"), ("subject", "subject")])
def test_claims_of_other_lines_and_subjects_never_meet_and_those_of_none_are_no_evidence(by: str, field: str) -> None:
    about: dict[str, Any] = {field: "09A"}
    one, two = stands("B1", 1, **about), stands("B2", 2, **about)
    other, none = stands("B3", 3, **(about | {field: "32"})), stands("B4", 4)
    changes = told(rule_of(by=by), one, two, other, none)
    last = {change.incident.incident_id: change.incident for change in changes}
    assert sorted(sorted(each.device_id for each in last[name].evidence) for name in last) == [["B1", "B2"], ["B3"]]


# --- where and when --------------------------------------------------------------------------------------------------


def town() -> City:
    """A school 500 m east, a lake around 2 km east, a metro stop 1 km north, one ward in the middle."""
    bounds = Bounds(LATITUDE_DEG - 0.2, LONGITUDE_DEG - 0.2, LATITUDE_DEG + 0.2, LONGITUDE_DEG + 0.2)
    lake = Zone("lake", "Hồ", "water", circle(LATITUDE_DEG, east_deg(2000), 100))
    snapshot = {"stationary_vehicle": {"": (4.0,) * 168}}
    return City(
        name="Town",
        version="c2",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=bounds,
        units=(Unit("1", "phường Một", "ward", LATITUDE_DEG, LONGITUDE_DEG, 10.0),),
        stops=(Stop("M1", "Ga", north_deg(1000), LONGITUDE_DEG),),
        venues=(Venue("s", "Trường", "school", LATITUDE_DEG, east_deg(500)),),
        zones=(lake,),
        calendars={"fair": Calendar("fair", days=frozenset([date(2026, 9, 21)]))},
        baselines=Baselines((T0_MS,), (snapshot,)),
    )


@pytest.mark.parametrize(
    ("where", "heard"),
    [
        ({"near": {"school": 100}}, [450, 590]),
        ({"near": {"water": 60, "hospital": 5000}}, [1850, 2000, 2150]),
        ({"near": {"school": 100, "water": 60}}, [450, 590, 1850, 2000, 2150]),
        ({"not_near": {"venue": 1450}}, [2000, 2150]),
        ({"in": {"zones": ["lake"]}}, [2000]),
        ({"in": {"zone_kinds": ["water"], "units": ["1"]}}, [2000]),
        ({"not_in": {"zone_kinds": ["water"]}}, [0, 450, 590, 1850, 2150]),
        ({"vehicle_class": ["BRT", "BUS"]}, [0]),
        ({"not_vehicle_class": ["BUS"]}, [450, 590, 1850, 2000, 2150]),
        ({"near": {"school": 100}, "vehicle_class": ["BUS"]}, []),
    ],
)
def test_where_says_which_claims_are_evidence(where: dict[str, Any], heard: list[int]) -> None:
    claims = [stands(f"B{x_m}", 1, x_m=x_m) for x_m in (450, 590, 1850, 2000, 2150)]
    changes = told(rule_of(where=where), stands("B0", 1, vehicle_class="BUS"), *claims, city=town())
    assert sorted(int(one.incident.evidence[0].device_id[1:]) for one in changes) == heard


@pytest.mark.parametrize(("vehicle_class", "ends"), [("BUS", True), ("UNKNOWN", True), ("", True), ("TAXI", False)])
def test_a_vehicle_known_to_be_of_another_class_ends_nothing_of_its_own(vehicle_class: str, ends: bool) -> None:
    went = replace(claim("moved_on", "B1", 20), vehicle_class=vehicle_class)
    where = {"vehicle_class": ["BUS"]}
    resolved = told(rule_of(where=where, resolve_on=["moved_on"]), stands("B1", 1, vehicle_class="BUS"), went)
    assert (resolved[-1].incident.state is IncidentState.RESOLVED) == ends
    beside = rule_of(where=where, resolve_on=["moved_on"], **BY_PLACE)
    resolved = told(beside, stands("B1", 1, vehicle_class="BUS"), went)
    assert resolved[-1].incident.state is IncidentState.RESOLVED


# T0_MS is Monday, 21 September 2026, 21:13:20 in Hà Nội.
@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"days": ["mon"]}, True),
        ({"days": ["tue", "sun"]}, False),
        ({"hours": ["21:00-21:14"]}, True),
        ({"hours": ["06:30-08:30", "21:14-23:00"]}, False),
        ({"hours": ["21:13-05:00"]}, True),
        ({"hours": ["22:00-21:13"]}, False),
        ({"days": ["mon"], "hours": ["22:00-23:00"]}, False),
        ({"calendar": ["fair"]}, True),
        ({"calendar": ["unknown"]}, False),
        ({"not_calendar": ["fair"]}, False),
        ({"not_calendar": ["unknown"]}, True),
    ],
)
def test_when_is_the_local_time_of_the_claim(when: dict[str, Any], holds: bool) -> None:
    assert bool(told(rule_of(when=when), stands("B1", 1), city=town())) is holds


# --- stories ---------------------------------------------------------------------------------------------------------


def test_a_sequence_is_told_in_its_order_only() -> None:
    rule = rule_of(**BY_PLACE, suspected=story(claims={"hard_stop": 1, "stationary_vehicle": 1}, sequence=True))
    braked, stood = claim("hard_stop", "B1", 10), stands("B2", 10)
    assert told(rule, braked, stood)
    assert not told(rule, claim("hard_stop", "B1", 10.001), stood)
    changes = told(rule, stands("B3", 5), braked, stands("B2", 20), claim("hard_stop", "B4", 30))
    assert {one.device_id for one in changes[-1].incident.evidence} == {"B1", "B2"}


def test_a_sequence_waits_until_the_group_before_is_complete() -> None:
    rule = rule_of(**BY_PLACE, suspected=story(claims={"hard_stop": 2, "stationary_vehicle": 1}, sequence=True))
    first, second = claim("hard_stop", "B1", 10), claim("hard_stop", "B2", 30)
    assert not told(rule, first, second, stands("B3", 20))
    assert told(rule, first, second, stands("B3", 31))


def test_one_device_may_do_one_thing_after_another() -> None:
    rule = rule_of(suspected=story(claims={"hard_stop": 1, "stationary_vehicle": 1}, sequence=True))
    assert told(rule, claim("hard_stop", "B1", 10), stands("B1", 40))
    assert not told(rule, claim("hard_stop", "B1", 10), stands("B2", 40))


def test_distance_is_measured_along_the_line() -> None:
    keys = {"claims": {"stationary_vehicle": 2}, "distance_m": 100}
    there: dict[str, Any] = {"line_id": "09A", "direction_id": 0}
    one, near = stands("B1", 1, **there, line_offset_m=100.0), stands("B2", 1, 150, **there, line_offset_m=190.0)
    far = stands("B3", 1, 50, **there, line_offset_m=300.0)
    back = stands("B4", 1, 50, line_id="09A", direction_id=1, line_offset_m=100.0)
    along = rule_of(**BY_PLACE, suspected=story(**keys, along="line"))
    assert told(along, one, near)
    assert not told(along, one, far)
    assert told(along, one, back)  # of the other direction: straight
    assert not told(rule_of(**BY_PLACE, suspected=story(**keys)), one, near)


def test_same_direction_is_that_of_one_line() -> None:
    rule = rule_of(**BY_PLACE, suspected=story(claims={"stationary_vehicle": 2}, same_direction=True))
    one = stands("B1", 1, line_id="09A", direction_id=0)
    assert told(rule, one, stands("B2", 2, line_id="09A", direction_id=0))
    assert not told(rule, one, stands("B2", 2, line_id="09A", direction_id=1))
    assert not told(rule, one, stands("B2", 2, line_id="32", direction_id=0))
    assert not told(rule, stands("B1", 1), stands("B2", 2))


def test_a_story_that_holds_is_told_when_its_claims_last() -> None:
    rule = rule_of(suspected=story(holds_s=60))
    assert not told(rule, stands("B1", 0), stands("B1", 59.9))
    changes = told(rule, stands("B1", 0), stands("B1", 30), stands("B1", 60))
    assert turns(changes) == [(60.25, IncidentState.SUSPECTED)]


ALONE = {"kinds": ["moved_on"], "for_s": 60}


def test_an_absence_is_told_when_its_time_is_over() -> None:
    rule = rule_of(suspected=story(absent=ALONE))
    assert turns(told(rule, stands("B1", 10), until_s=90)) == [(70.0, IncidentState.SUSPECTED)]
    assert not told(rule, stands("B1", 10), claim("moved_on", "B1", 69.999), until_s=90)
    assert told(rule, stands("B1", 10), claim("moved_on", "B1", 70), until_s=90)
    assert told(rule, stands("B1", 10), claim("moved_on", "B1", 10), until_s=90)
    assert told(rule, stands("B1", 10), claim("moved_on", "B2", 30), until_s=90)
    assert turns(told(rule, stands("B1", 10), stands("B1", 40), until_s=120)) == [(100.0, IncidentState.SUSPECTED)]


def test_a_claim_that_comes_late_takes_an_absence_back_and_one_withdrawn_gives_it() -> None:
    run = Run(rules=RuleSet("r1", (rule_of(suspected=story(absent=ALONE)),)))
    run.tick(20, [stands("B1", 10)])
    late = claim("moved_on", "B1", 40)
    assert turns(run.tick(80)) == [(80.0, IncidentState.SUSPECTED)]
    assert turns(run.tick(90, [late])) == [(90.0, IncidentState.WITHDRAWN)]
    assert turns(run.tick(100, [replace(late, withdrawn=True)])) == [(100.0, IncidentState.SUSPECTED)]


def test_of_a_rule_by_place_what_must_be_absent_is_near() -> None:
    rule = rule_of(**BY_PLACE, suspected=story(absent={**ALONE, "distance_m": 50}))
    assert not told(rule, stands("B1", 10), claim("moved_on", "B9", 30, x_m=49), until_s=90)
    assert told(rule, stands("B1", 10), claim("moved_on", "B1", 30, x_m=51), until_s=90)


def test_what_must_be_absent_may_be_asked_of_all_who_take_part() -> None:
    keys = {"claims": {"stationary_vehicle": 2}, "distance_m": 50, "absent": {**ALONE, "own_devices": True}}
    rule, two = rule_of(**BY_PLACE, suspected=story(**keys)), (stands("B1", 10), stands("B2", 20, x_m=30))
    assert turns(told(rule, *two, until_s=90)) == [(80.0, IncidentState.SUSPECTED)]
    assert told(rule, *two, claim("moved_on", "B9", 30), until_s=90)
    for name, at_s, x_m in (("B1", 15, 0), ("B1", 79, 0), ("B2", 30, 30)):
        assert not told(rule, *two, claim("moved_on", name, at_s, x_m=x_m), until_s=90)
    assert told(rule, *two, claim("moved_on", "B2", 15, x_m=30), until_s=90)


def test_one_device_and_all_who_take_part_are_not_asked_at_once() -> None:
    with pytest.raises(ValidationError, match="leave one out"):
        rule_of(**BY_PLACE, suspected=story(absent={**ALONE, "same_device": True, "own_devices": True}))


@pytest.mark.parametrize("own", [False, True])
def test_what_is_said_again_puts_nothing_off(own: bool) -> None:
    keys = {"claims": {"hard_stop+stationary_vehicle": 1}, "distance_m": 50, "absent": {**ALONE, "own_devices": own}}
    evidence = {"evidence": {"hard_stop": 0.6, "stationary_vehicle": 0.6}}
    rule = rule_of(**(BY_PLACE | evidence), suspected=story(**keys))
    claims = claim("hard_stop", "B1", 0), stands("B1", 20), stands("B1", 70), stands("B1", 140)
    changes = told(rule, *claims, until_s=170)
    assert turns(changes)[0] == (80.0, IncidentState.SUSPECTED)
    assert {one.incident.state for one in changes} == {IncidentState.SUSPECTED}
    assert not told(rule, *claims, claim("moved_on", "B1", 40), until_s=170)


def test_evidence_may_be_what_must_be_absent() -> None:
    rule = rule_of(suspected=story(absent={"kinds": ["stationary_vehicle"], "for_s": 60}))
    assert turns(told(rule, stands("B1", 10), stands("B1", 50), until_s=130)) == [(110.0, IncidentState.SUSPECTED)]


def test_episodes_are_apart_whoever_claims_them() -> None:
    keys = {"apart_s": 3000, "episodes": {"count": 3, "apart_s": 600}}
    long = {"within": {"quiet_s": 3600, "lasts_s": 7200}, "resolve_after_s": 3600, "close_after_s": 7200}
    rule = rule_of(by="subject", suspected=story(**keys), **long)
    here: dict[str, Any] = {"subject": "ZONE-1"}
    two = [stands("B1", 0, **here), stands("B2", 300, **here), stands("B3", 900, **here), stands("B3", 1499, **here)]
    assert not told(rule, *two)
    assert turns(told(rule, *two, stands("B4", 2099, **here)))[0] == (2099.25, IncidentState.SUSPECTED)


def test_a_rate_is_more_than_the_baseline_expects() -> None:
    keys = {"claims": {"stationary_vehicle": 2}, "apart_s": 900, "rate": {"times": 3.0, "over_s": 900}}
    rule = rule_of(**BY_PLACE, suspected=story(**keys))
    two, three = ([stands(f"B{at}", at * 10) for at in range(1, count + 1)] for count in (2, 3))
    assert not told(rule, *two, city=town())  # one is expected in 15 minutes
    assert told(rule, *three, city=town())
    assert not told(rule, *three)  # nobody has told what is usual


# --- the end, and severity -------------------------------------------------------------------------------------------


def test_a_claim_resolves_at_once_and_new_evidence_undoes_it() -> None:
    rule = rule_of(resolve_on=["moved_on"])
    changes = told(rule, stands("B1", 1), claim("moved_on", "B2", 5), claim("moved_on", "B1", 10), stands("B1", 20))
    assert turns(changes) == [
        (1.25, IncidentState.SUSPECTED),
        (10.25, IncidentState.RESOLVED),
        (20.25, IncidentState.SUSPECTED),
    ]
    assert changes[1].reasons == ("over: moved on by B1",)


def test_of_a_rule_by_place_what_resolves_is_near_the_first_claim() -> None:
    rule = rule_of(**BY_PLACE, resolve_on=["moved_on"])
    assert len(told(rule, stands("B1", 1), claim("moved_on", "B1", 10, x_m=201))) == 1
    assert len(told(rule, stands("B1", 1), claim("moved_on", "B7", 10, x_m=199))) == 2


def test_an_incident_closes_when_its_rule_says() -> None:
    changes = told(rule_of(close_after_s=400), stands("B1", 1), until_s=420)
    assert turns(changes)[1:] == [(305.0, IncidentState.RESOLVED), (405.0, IncidentState.CLOSED)]
    assert changes[-1].reasons == ("closed: no new evidence for 400 s",)


def test_severity_is_raised_by_the_first_that_holds() -> None:
    raised = [
        {"to": "EXTREME", "witnesses": 3},
        {"to": "SEVERE", "near": {"school": 200}},
        {"to": "MINOR", "score": 0.1},
    ]
    severity = {"suspected": "MODERATE", "confirmed": "SEVERE", "raised": raised}
    rule = rule_of(**BY_PLACE, severity=severity)
    assert [one.incident.severity for one in told(rule, stands("B1", 1), city=town())] == [Severity.MODERATE]
    near = [stands(f"B{number}", 1, x_m=400) for number in range(3)]
    assert [one.incident.severity for one in told(rule, near[0], city=town())] == [Severity.SEVERE]
    assert [one.incident.severity for one in told(rule, *near, city=town())] == [Severity.EXTREME]


# --- muting ----------------------------------------------------------------------------------------------------------

BANG = rule_of(
    id="explosion",
    kind="explosion",
    evidence={"explosion_located": 0.9},
    confirmed={"score": 0.5, "witnesses": 1},
    mutes=[{"rules": ["noise"], "kinds": ["noise_high"], "distance_m": 1500, "apart_s": 1, "speed_mps": 340}],
    **BY_PLACE,
)
NOISE = rule_of(id="noise", kind="noise", evidence={"noise_high": 0.6}, **BY_PLACE)
BOTH = RuleSet("r1", (BANG, NOISE))


def test_an_incident_mutes_what_it_explains_as_late_as_its_sound_comes() -> None:
    run = Run(rules=BOTH)
    loud = [claim("noise_high", "P1", 12, x_m=680), claim("noise_high", "P2", 13.5, x_m=680)]
    early = run.tick(15, loud)
    assert [one.incident.kind for one in early] == ["noise"]
    changes = run.tick(16, [claim("explosion_located", "A1", 10)])
    assert [(one.incident.kind, one.change.value) for one in changes] == [("explosion", "OPENED"), ("noise", "CHANGED")]
    assert [one.device_id for one in changes[1].incident.evidence] == ["P2"]
    assert changes[1].reasons == (f"explained by explosion {changes[0].incident.incident_id}: noise high by P1",)


def test_an_incident_all_of_whose_evidence_is_explained_is_merged_into_the_cause_and_comes_back_with_it_gone() -> None:
    run, bang = Run(rules=BOTH), claim("explosion_located", "A1", 10)
    (noise,) = run.tick(15, [claim("noise_high", "P1", 12, x_m=680)])
    opened, withdrawn = run.tick(16, [bang])
    assert withdrawn.incident.incident_id == noise.incident.incident_id
    assert withdrawn.incident.state is IncidentState.WITHDRAWN
    assert withdrawn.incident.merged_into == opened.incident.incident_id
    assert withdrawn.reasons == (f"explained by explosion {opened.incident.incident_id}: noise high by P1",)
    gone, again = run.tick(20, [replace(bang, withdrawn=True)])
    assert (gone.incident.kind, gone.incident.state) == ("explosion", IncidentState.WITHDRAWN)
    assert (again.incident.incident_id, again.incident.revision) == (noise.incident.incident_id, 3)
    assert again.reasons[0] == "its evidence stands again"


def test_a_claim_that_comes_after_its_cause_never_counts_and_one_out_of_reach_does() -> None:
    run = Run(rules=BOTH)
    run.tick(15, [claim("explosion_located", "A1", 10)])
    assert run.tick(16, [claim("noise_high", "P1", 12, x_m=680)]) == []
    assert [one.incident.kind for one in run.tick(17, [claim("noise_high", "P2", 15, x_m=1501)])] == ["noise"]


def test_a_dismissed_cause_explains_nothing_and_a_suspected_one_only_if_the_rule_says() -> None:
    run = Run(rules=BOTH)
    (bang,) = run.tick(15, [claim("explosion_located", "A1", 10)])
    run.tick(16, [claim("noise_high", "P1", 12, x_m=680)])
    changes = run.tick(17, actions=[action(Decision.DISMISS, bang.incident.incident_id, 16.5)])
    assert [one.incident.kind for one in changes] == ["explosion", "noise"]
    weak = BANG.model_copy(update={"confirmed": BANG.confirmed.model_copy(update={"witnesses": 2})})
    run = Run(rules=RuleSet("r1", (weak, NOISE)))
    changes = run.tick(15, [claim("explosion_located", "A1", 10), claim("noise_high", "P1", 12, x_m=680)])
    assert [one.incident.kind for one in changes] == ["explosion", "noise"]


def test_what_was_explained_stays_so_when_its_cause_is_closed() -> None:
    run = Run(rules=BOTH)
    run.tick(15, [claim("explosion_located", "A1", 10), claim("noise_high", "P1", 12, x_m=680)])
    changes = [one for at_s in range(60, 4000, 60) for one in run.tick(at_s)]
    assert turns(changes) == [(360.0, IncidentState.RESOLVED), (1860.0, IncidentState.CLOSED)]
    assert run.engine.open_incidents() == ()
