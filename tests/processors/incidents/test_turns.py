"""Which evaluators take their turn: 200 rules cost little more than 10."""

from dataclasses import replace

import pytest

from processors.incidents.evaluator import RuleEvaluator
from processors.incidents.rules import RuleSet
from processors.incidents.schedule import Schedule
from tests.processors.incidents.builders import FIRE, LANGUAGE, RULES, Run, claim

OTHERS = tuple(
    FIRE.model_copy(update={"id": f"other{number}", "kind": f"other{number}", "evidence": {"water_high": 0.7}})
    for number in range(190)
)


def test_rules_that_nothing_concerns_take_no_turn_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    plain = RuleEvaluator.advance

    def advance(self: RuleEvaluator, *args: object) -> object:
        turns.append(self.rule.id)
        return plain(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(RuleEvaluator, "advance", advance)
    claims = [claim("smoke", "P1", 1), claim("hard_stop", "B1", 2), replace(claim("fire_alarm", "P2", 3), subject="x")]
    few, many = Run(rules=RULES), Run(rules=replace(RULES, rules=(*RULES.rules, *OTHERS)))
    assert few.story(*claims, until_s=2500) == many.story(*claims, until_s=2500)
    assert len(few.changes) >= 4
    assert set(turns) == {"crash", "fire"}
    assert len(turns) < 40
    assert many.checkpoints[0].new_parts.keys() == few.checkpoints[0].new_parts.keys()


def test_an_evaluator_wants_its_turn_at_the_last_time_it_named() -> None:
    schedule = Schedule(3)
    schedule.want(0, 100)
    schedule.want(1, 50)
    schedule.want(0, 200)
    assert list(schedule.due(99)) == [1]
    assert list(schedule.due(199)) == []
    schedule.want(2, 150)
    schedule.want(2, None)
    assert list(schedule.due(200)) == [0]
    assert list(schedule.due(10_000)) == []


def test_muting_rules_take_their_turn_first_whatever_they_are_called() -> None:
    last_first = {"noise": "a_noise", "explosion": "z_explosion", "queue": "b_queue", "crossing": "c_crossing"}
    rules = []
    for rule in LANGUAGE.rules:
        mutes = tuple(
            mute.model_copy(update={"rules": tuple(last_first.get(name, name) for name in mute.rules)})
            for mute in rule.mutes
        )
        rules.append(rule.model_copy(update={"id": last_first.get(rule.id, rule.id), "mutes": mutes}))
    run = Run(rules=RuleSet("r", tuple(sorted(rules, key=lambda rule: rule.id))))
    claims = [claim("explosion_located", "A", 10), claim("noise_high", "P", 20, x_m=100)]
    assert [one.incident.kind for one in run.tick(30, claims)] == ["explosion"]
