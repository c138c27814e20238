import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from processors.incidents import rule_model
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rule_schema import rule_schema
from processors.incidents.rules import RulesInvalid, load_rules
from processors.yaml_files import Entry
from schemas.errors import UsageError
from tests.processors.incidents.builders import CITY, PROJECT, SOURCES

HANOI = PROJECT / "cities" / "hanoi" / "rules"
GOOD = (HANOI / "fire.yaml").read_text(encoding="utf-8")
LIFE_SAFETY = {
    *("crash", "fire", "explosion", "gunshot", "gas_leak", "person_in_water", "person_down", "sos", "wrong_way"),
}
BAD = """\
id: Fire
kind: fire
evidence: {smoke: 2, heat: 0.5}
wihtin: 3
within:
  distance_m: far
  quiet_s: 300
  quiet_s: 10
suspected: {score: 0.3}
severity: {suspected: BAD, confirmed: SEVERE}
"""


def test_the_rules_of_hanoi_that_are_of_life_safety() -> None:
    rules = load_rules(HANOI).rules
    assert {rule.id for rule in rules if rule.life_safety} <= LIFE_SAFETY
    assert {"crash", "fire"} <= {rule.id for rule in rules if rule.life_safety}


def test_the_version_is_the_content_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "fire.yaml").write_text(GOOD, encoding="utf-8")
    version = load_rules(tmp_path).version
    assert version == load_rules(tmp_path).version
    (tmp_path / "fire.yaml").write_text(GOOD + "# a remark\n", encoding="utf-8")
    assert load_rules(tmp_path).version != version


def test_every_mistake_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text("id: [", encoding="utf-8")
    (tmp_path / "fire.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "fire2.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(RulesInvalid) as caught:
        load_rules(tmp_path)
    assert isinstance(caught.value, UsageError)
    lines = str(caught.value).splitlines()
    for beginning in (
        "a.yaml line 1: id must look like",
        "a.yaml line 3: smoke must be at most",
        "a.yaml line 4: wihtin is not a known key",
        "a.yaml line 6: distance_m must be a number",
        "a.yaml line 8: quiet_s is given twice",
        "a.yaml: confirmed is missing",
        "a.yaml line 10: suspected",
        "b.yaml line 2: is not YAML",
        "fire2.yaml: another file has a rule with the id fire too",
    ):
        assert any(line.startswith(beginning) for line in lines), (beginning, lines)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("resolve_after_s: 300", "resolve_after_s: 200", "resolve_after_s must be at least within.quiet_s"),
        ("lasts_s: 21600", "lasts_s: 200", "lasts_s must be at least quiet_s"),
        ("score: 0.4", "score: 0.1", "confirmed.score must be at least suspected.score"),
        ("claims: {any: 2}", "claims: {smok: 2}", "smok is not in evidence"),
        ("claims: {any: 2}", "claims: {smoke+haet: 2}", "haet is not in evidence"),
        ("claims: {any: 2}", "claims: {smoke: 0}", "smoke must be greater than 0"),
        (
            "suspected:\n",
            "passing: {kinds: [fog], distance_m: 300, quiet_s: 500}\nsuspected:\n",
            "fog is not in evidence",
        ),
        (
            "suspected:\n",
            "passing: {kinds: [heat], distance_m: 300, quiet_s: 5}\nsuspected:\n",
            "at most within.distance_m",
        ),
        (
            "suspected:\n",
            "passing: {kinds: [heat], distance_m: 30, quiet_s: 301}\nsuspected:\n",
            "at most within.quiet_s",
        ),
        ("suspected:\n", "off_m: {fog: 3}\nsuspected:\n", "fog is not in evidence"),
    ],
)
def test_contradictions_are_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    (tmp_path / "fire.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RulesInvalid, match=told.replace("+", r"\+")):
        load_rules(tmp_path)


def test_a_folder_without_rules_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match="no rule files"):
        load_rules(tmp_path / "nowhere")


def test_a_rule_that_outlasts_the_horizon_is_refused() -> None:
    with pytest.raises(RulesInvalid, match="beyond the horizon"):
        IncidentEngine(load_rules(HANOI), CITY, SOURCES, CorrelationRule(horizon_ms=299_000))


def test_the_manual_has_every_field_and_its_examples_are_rules(tmp_path: Path) -> None:
    manual = (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8")
    examples = [text.split("```")[0] for text in manual.split("```yaml\n")[1:] if text.startswith("id: ")]
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.yaml").write_text(example, encoding="utf-8")
    assert [rule.id for rule in load_rules(tmp_path).rules] == ["breakdown", "crash"]
    models = [one for one in vars(rule_model).values() if isinstance(one, type) and issubclass(one, Entry)]
    for model in models:
        for name, field in model.model_fields.items():
            assert any(f"{field.alias or name}:" in example for example in examples), name


def test_the_schema_in_the_documentation_is_the_model_s_and_takes_the_examples() -> None:
    published = json.loads((PROJECT / "docs" / "schemas" / "rule.schema.json").read_text(encoding="utf-8"))
    assert published == rule_schema()
    validator = jsonschema.Draft202012Validator(published)
    manual = (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8")
    for text in [one.split("```")[0] for one in manual.split("```yaml\n")[1:] if one.startswith("id: ")]:
        validator.validate(yaml.safe_load(text))
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(yaml.safe_load(text.replace("evidence: {", "evidence: {smok: 1, ")) | {"whithin": 3})


FULL = next(
    text.split("```")[0]
    for text in (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8").split("```yaml\n")
    if text.startswith("id: breakdown")
)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{stationary_vehicle: 0.6}", "{stationary_vehicel: 0.6}", "line 5: stationary_vehicel is not a known kind"),
        ("resolve_on: [moved_on]", "resolve_on: [move_on]", "move_on is not a known .*did you mean moved_on?"),
        ("kinds: [moved_on]", "kinds: [moved_of]", "moved_of is not a known .*did you mean moved_on?"),
        ("kinds: [impact_sound]", "kinds: [impact_sond]", "impact_sond is .*did you mean impact_sound?"),
        ("rules: [crash]", "rules: [breakdown]", "mute each other in a circle: breakdown, breakdown"),
        ("same_direction:", "same_dirction:", "same_dirction is not a known key; did you mean same_direction?"),
        ("zone_kinds: [festival]", "zone_kind: [festival]", "zone_kind is not a known key; did you mean zone_kinds?"),
        ("holds_s: 60", "holds_s: 1801", "holds_s must be at most twice apart_s"),
        ("count: 3, apart_s: 600", "count: 5, apart_s: 600", "so many episodes do not fit"),
        ("over_s: 900", "over_s: 1801", "over_s must be at most twice apart_s"),
        ("close_after_s: 1800", "close_after_s: 479", "close_after_s must be at least 480"),
        ("claims: {stationary_vehicle: 1}", "claims: {stationary_vehicle: 2}", "a rule by device has one witness"),
        ("by: device ", "by: place ", "distance_m is missing: a rule by place needs one"),
        ("06:30-08:30", "06:30-06:30", "hours 06:30-06:30 is no time at all"),
        ("06:30-08:30", "06:30-08:75", "is not a time like 07:30"),
        ("BRT]", "BTR]", "vehicle_class must be"),
        ("near: {stop: 50}", "near: {stopp: 50}", "must be 'line', 'stop'"),
        ("to: SEVERE", "to: SEVERER", "to must be 'MINOR'"),
        ("from: CONFIRMED", "from: RESOLVED", "from must be 'SUSPECTED' or 'CONFIRMED'"),
    ],
)
def test_mistakes_in_the_language_are_told_with_a_hint(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in FULL
    (tmp_path / "crash.yaml").write_text((HANOI / "crash.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "breakdown.yaml").write_text(FULL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RulesInvalid, match=rf"breakdown.yaml line \d+: .*{told.removeprefix('line 5: ')}"):
        load_rules(tmp_path)


def test_muting_a_rule_that_is_not_there_is_told_by_a_check(tmp_path: Path) -> None:
    (tmp_path / "crash.yaml").write_text((HANOI / "crash.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "breakdown.yaml").write_text(FULL.replace("rules: [crash]", "rules: [crahs]"), encoding="utf-8")
    assert len(load_rules(tmp_path).rules) == 2
    with pytest.raises(RulesInvalid, match=r"breakdown.yaml line \d+: there is no rule crahs; did you mean crash?"):
        load_rules(tmp_path, CITY)


def test_names_that_the_city_has_not_are_mistakes_when_a_city_is_asked(tmp_path: Path) -> None:
    (tmp_path / "crash.yaml").write_text((HANOI / "crash.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "breakdown.yaml").write_text(FULL, encoding="utf-8")
    assert len(load_rules(tmp_path).rules) == 2
    with pytest.raises(RulesInvalid) as caught:
        load_rules(tmp_path, CITY)
    assert [text.split(": ", 1)[1] for text in caught.value.mistakes] == [
        "ward is none of the unit_kinds of Small",
        "festival is none of the zone_kinds of Small",
        "school_days is no calendar of Small",
        "tet is no calendar of Small",
    ]
