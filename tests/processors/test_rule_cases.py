"""Cases beside rules: Hanoi's pass, what does not hold is told with its line, and mistakes are told all at once."""

from functools import cache
from pathlib import Path

import pytest

from processors.city import City, load_city
from processors.incidents.rules import RuleSet, load_rules
from processors.rule_case_runs import CaseResult, around, run_cases
from processors.rule_cases import CasesInvalid, load_cases, without_cases
from streams.settings import PROJECT

HANOI = PROJECT / "cities" / "hanoi"

SMOKE = """\
id: smoke_seen
kind: smoke_seen
evidence: {camera_smoke: 0.6}
within: {distance_m: 200, quiet_s: 300, lasts_s: 3600}
suspected: {score: 0.3}
confirmed:
  score: 0.5
  witnesses: 2
  any_of: [{claims: {camera_smoke: 2}, distance_m: 100, apart_s: 60}]
resolve_after_s: 300
severity: {suspected: MINOR, confirmed: SEVERE}
"""

HEAD = """\
anchor: {lat: 21.03, lon: 105.83}
cases:
"""


@cache
def hanoi() -> City:
    return load_city(HANOI)


@cache
def hanoi_rules() -> RuleSet:
    return load_rules(HANOI / "rules", hanoi())


def results(folder: Path, cases: str, rule: str = SMOKE) -> list[CaseResult]:
    """Write one rule and its cases, and run them."""
    (folder / "cases").mkdir()
    (folder / "smoke_seen.yaml").write_text(rule)
    (folder / "cases" / "smoke_seen.yaml").write_text(HEAD + cases)
    rules = load_rules(folder, hanoi())
    return list(run_cases(load_cases(folder, rules, hanoi()), rules, hanoi()))


def test_every_rule_of_hanoi_has_cases_and_they_pass() -> None:
    files = load_cases(HANOI / "rules", hanoi_rules(), hanoi())
    assert without_cases(hanoi_rules(), files) == ()
    failures = [
        f"{one.file}:{failure.line} {one.case}: {failure.message}"
        for one in run_cases(files, hanoi_rules(), hanoi())
        for failure in one.failures
    ]
    assert not failures, "\n".join(failures)


def test_case_that_does_not_hold_says_where_and_what_was_found(tmp_path: Path) -> None:
    (one,) = results(
        tmp_path,
        """\
  - case: two cameras
    given:
      - {at: 0, kind: camera_smoke, by: CAM-1, score: 1.0}
      - {at: 30, kind: camera_smoke, by: CAM-2, east_m: 50, score: 1.0}
    then:
      - {at: 20, state: SUSPECTED, witnesses: 1, score: 0.6, within_m: 1}
      - {at: 30, state: SUSPECTED, witnesses: 3, severity: MINOR, score: 0.5}
      - {at: 40, none: true}
      - {at: 50, incidents: 2}
""",
    )
    assert (one.rule_id, one.case, one.line) == ("smoke_seen", "two cameras", 3)
    found = "confirmed, severe, score 0.84, 2 witnesses (camera_smoke by CAM-1, camera_smoke by CAM-2)"
    assert [(failure.line, failure.message) for failure in one.failures] == [
        (9, f"at 30 s expected state SUSPECTED, found CONFIRMED: {found}"),
        (9, f"at 30 s expected severity MINOR, found SEVERE: {found}"),
        (9, f"at 30 s expected witnesses 3, found 2: {found}"),
        (9, f"at 30 s expected score 0.5, found 0.840: {found}"),
        (10, f"at 40 s expected no incident, found 1 incident; {found}"),
        (11, f"at 50 s expected 2 incidents, found 1 incident; {found}"),
    ]


def test_case_knows_late_claims_withdrawn_ones_and_repeats(tmp_path: Path) -> None:
    (late, back, often) = results(
        tmp_path,
        """\
  - case: late
    given: [{at: 0, kind: camera_smoke, by: CAM-1, comes: 90}]
    then: [{at: 89, none: true}, {at: 90, state: SUSPECTED}]
  - case: back
    given: [{at: 0, kind: camera_smoke, by: CAM-1, withdrawn: 10}]
    then: [{at: 9.5, state: SUSPECTED}, {at: 10, none: true}]
  - case: often
    given: [{at: 0, kind: camera_smoke, by: CAM-1, times: 8, every_s: 100}]
    then: [{at: 700, state: SUSPECTED, incidents: 1}, {at: 999, state: SUSPECTED}, {at: 1000, state: RESOLVED}]
""",
    )
    assert not late.failures
    assert not back.failures
    assert not often.failures


def test_case_takes_decisions_places_and_lines(tmp_path: Path) -> None:
    stop = next(one for one in hanoi().stops if hanoi().near_lines(one.latitude_deg, one.longitude_deg, 20))
    line = hanoi().near_lines(stop.latitude_deg, stop.longitude_deg, 20)[0].line_id
    acted, missing = results(
        tmp_path,
        f"""\
  - case: acted
    anchor: {{stop: {stop.stop_id}}}
    given: [{{at: 0, kind: camera_smoke, by: CAM-1}}]
    actions: [{{at: 5, decision: CONFIRM}}]
    then: [{{at: 4, state: SUSPECTED, lines: ["{line}"]}}, {{at: 5, state: CONFIRMED, severity: SEVERE}}]
  - case: missing
    anchor: {{stop: {stop.stop_id}}}
    given: [{{at: 0, kind: camera_smoke, by: CAM-1, north_m: 40}}]
    then: [{{at: 4, lines: [no-such-line], within_m: 30}}]
""",
    )
    assert not acted.failures
    assert [failure.message.partition(":")[0] for failure in missing.failures] == [
        "at 4 s expected line no-such-line to be affected",
        "at 4 s expected it within 30 m of the anchor, it is 40 m away",
    ]


def test_mistakes_are_told_all_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(CasesInvalid) as found:
        results(
            tmp_path,
            """\
  - case: wrong
    start: tomorrow
    anchor: {stop: Nowhere}
    given: [{at: 0, kind: camera_smok, by: CAM-1}]
    then: [{at: 4, none: true}]
""",
        )
    lines = str(found.value).splitlines()[1:]
    assert lines[0].startswith("smoke_seen.yaml line 5: the city has no Nowhere")
    assert lines[1] == "smoke_seen.yaml line 4: start must look like 2026-11-23 10:00, is tomorrow"
    assert lines[2] == "smoke_seen.yaml line 6: nobody makes camera_smok; did you mean camera_smoke?"


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("{at: 4, none: true, state: CLOSED}", "none: true stands alone"),
        ("{at: 4, witneses: 1}", "witneses is not a known key; did you mean witnesses?"),
    ],
)
def test_expectation_that_makes_no_sense_is_a_mistake(tmp_path: Path, then: str, told: str) -> None:
    with pytest.raises(CasesInvalid, match=told.replace("?", r"\?")):
        results(tmp_path, f"  - case: wrong\n    given: []\n    then: [{then}]\n")


def test_rules_without_cases_are_told(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "smoke_seen.yaml").write_text(SMOKE)
    rules = load_rules(tmp_path)
    assert without_cases(rules, load_cases(tmp_path, rules, hanoi())) == ("smoke_seen",)
    (tmp_path / "cases" / "smoke_sen.yaml").write_text(HEAD + "  - case: a\n    given: []\n    then: [{at: 1}]\n")
    with pytest.raises(CasesInvalid, match="there is no rule smoke_sen; did you mean smoke_seen"):
        load_cases(tmp_path, rules, hanoi())


def test_case_of_a_rule_sees_those_that_mute_it_and_no_others(tmp_path: Path) -> None:
    muting = SMOKE.replace("smoke_seen", "bonfire") + (
        "mutes: [{rules: [smoke_seen, other], kinds: [camera_smoke], distance_m: 50, apart_s: 60}]\n"
    )
    for name, text in (("smoke_seen", SMOKE), ("bonfire", muting), ("other", SMOKE.replace("smoke_seen", "other"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    rules = load_rules(tmp_path)
    assert [one.id for one in around("smoke_seen", rules).rules] == ["bonfire", "smoke_seen"]
    assert around("smoke_seen", rules).rules[0].mutes[0].rules == ("smoke_seen",)
    assert [one.id for one in around("bonfire", rules).rules] == ["bonfire"]
    assert around("bonfire", rules).rules[0].mutes == ()
