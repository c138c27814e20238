"""The sets of rules that `cityops bench rules` measures, and that they conclude the same."""

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.rule_load import LATEST_MS, START_MS, rule_load
from benchmarks.rule_sets import MANY, TEN, many_rules, ten_rules
from processors.city import load_city
from processors.incidents.rules import load_rules
from streams.cli.bench import bench

HANOI = Path(__file__).resolve().parents[2] / "cities" / "hanoi"
CITY = load_city(HANOI)
OWN = load_rules(HANOI / "rules", CITY)


def test_the_sets_hold_each_other_and_whatever_mutes_the_ten() -> None:
    ten, many = ten_rules(OWN), many_rules(OWN, CITY)
    assert {rule.id for rule in ten.rules} == set(TEN)
    assert many.rules[: len(OWN.rules)] == OWN.rules
    assert len({rule.id for rule in many.rules}) == len(many.rules) == MANY
    muting = {rule.id for rule in many.rules for mute in rule.mutes if set(TEN).intersection(mute.rules)}
    assert muting <= set(TEN)


def test_a_load_is_the_same_each_time_and_some_of_it_comes_late_or_is_taken_back() -> None:
    load = rule_load(CITY, 60, 50.0)
    assert load == rule_load(CITY, 60, 50.0)
    assert load != rule_load(CITY, 60, 50.0, seed=1)
    told = [(block.tick_ms, one) for block in load.blocks for one in block.observations]
    assert len(told) == load.observations > 1_000
    assert any(one.withdrawn for _, one in told)
    assert any(1_000 < tick_ms - one.at_ms <= LATEST_MS + 250 for tick_ms, one in told if not one.withdrawn)
    assert all(START_MS <= one.at_ms < tick_ms for tick_ms, one in told)


def test_a_short_measurement_shows_three_sets_and_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    ended = CliRunner().invoke(bench, ["rules", "--for", "20s", "--rate", "20", "--rounds", "1", "--json", str(path)])
    assert ended.exit_code == 0, ended.output
    assert "most rules against ten" in ended.output
    sets = json.loads(path.read_text())["rules"]["sets"]
    assert [one["rules"] for one in sets] == [len(TEN), len(OWN.rules), MANY]
    assert all(len(one["cpu_us"]) == 1 and one["cpu_us"][0] > 0 for one in sets)
