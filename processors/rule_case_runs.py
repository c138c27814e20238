"""One case of a rule at work: its claims through the engine of the correlator, its expectations held against that.

Time goes on in ticks of 5 s, besides one at every second that the case names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from processors.city import City
from processors.incidents.clusters import ground_m
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rule_model import Rule
from processors.incidents.rules import RuleSet
from processors.rule_cases import Case, CaseFile, Expected, Given, moved, place_of
from schemas.ids import content_id
from schemas.records import Incident, IncidentChange, IncidentState, Observation, ObservationBlock, OperatorAction

STEP_MS: Final = 5_000
SOURCE: Final = ("cases", 0)
SCORE_WITHIN: Final = 0.005
NEVER_MS: Final = 2**62
NO_ROWS: Final = CorrelationRule(provisional_after_ms=0, block_ms=NEVER_MS, checkpoint_ms=NEVER_MS, block_rows=2**62)


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that does not hold: where it stands and what was found instead."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went; without failures it passed."""

    file: str
    line: int
    rule_id: str
    case: str
    failures: tuple[Failure, ...]


def run_cases(files: Iterable[CaseFile], rules: RuleSet, city: City) -> Iterator[CaseResult]:
    """Run all cases of some files, in their order."""
    for file in files:
        own = around(file.rule_id, rules)
        for number, case in enumerate(file.entries.cases):
            failures = tuple(_run(file, number, own, city))
            yield CaseResult(str(file.path), file.line(number), file.rule_id, case.case, failures)


def around(rule_id: str, rules: RuleSet) -> RuleSet:
    """Return the rules that can say something about what one rule concludes: itself, and those that mute it."""
    wanted, known = [rule_id], {one.id: one for one in rules.rules}
    for name in wanted:
        muting = [one.id for one in rules.rules if any(name in mute.rules for mute in one.mutes)]
        wanted += [one for one in muting if one not in wanted]
    return RuleSet(rules.version, tuple(_within(known[name], set(wanted)) for name in sorted(wanted)))


def _within(rule: Rule, wanted: set[str]) -> Rule:
    """Return a rule that mutes none but some rules."""
    mutes = [
        mute.model_copy(update={"rules": tuple(one for one in mute.rules if one in wanted)}) for mute in rule.mutes
    ]  # fmt: skip
    return rule.model_copy(update={"mutes": tuple(one for one in mutes if one.rules)})


@dataclass(slots=True)
class _Standing:
    """The incidents of one rule as published so far, the newest last."""

    rule_id: str
    latest: dict[str, Incident] = field(default_factory=dict)

    def take(self, changes: Iterable[IncidentChange]) -> None:
        for change in changes:
            if change.incident.rule_id == self.rule_id:
                self.latest[change.incident.incident_id] = change.incident

    def incidents(self) -> list[Incident]:
        return [one for one in self.latest.values() if one.state is not IncidentState.WITHDRAWN]


def _run(file: CaseFile, number: int, rules: RuleSet, city: City) -> Iterator[Failure]:
    case, start_ms, anchor = file.entries.cases[number], file.starts_ms[number], file.anchors[number]
    engine = IncidentEngine(rules, city, [SOURCE], NO_ROWS)
    coming = _arrivals(case, start_ms, anchor, city)
    standing = _Standing(file.rule_id)
    for offset, tick_ms in enumerate(_ticks(case, start_ms, coming)):
        actions = [
            OperatorAction(
                at_ms=tick_ms,
                decision=one.decision,
                action_id=content_id("a", row, tick_ms),
                incident_id=list(standing.latest)[-1] if standing.latest else "i-none",
                operator=one.operator,
            )
            for row, one in enumerate(case.actions)
            if _at_ms(start_ms, one.at) == tick_ms
        ]
        block = ObservationBlock(
            tick_ms=tick_ms,
            source_topic=SOURCE[0],
            source_partition=SOURCE[1],
            observations=tuple(sorted(coming.get(tick_ms, ()), key=lambda one: (one.at_ms, one.observation_id))),
            actions=tuple(actions),
        )
        standing.take(engine.push([(offset, block)]).changes)
        for row, expected in enumerate(case.then):
            if _at_ms(start_ms, expected.at) == tick_ms:
                for message in _unlike(expected, standing.incidents(), anchor):
                    yield Failure(file.line(number, "then", row), f"at {expected.at:g} s {message}")


def _ticks(case: Case, start_ms: int, coming: Mapping[int, Sequence[Observation]]) -> list[int]:
    named_s = [*(one.at for one in case.actions), *(one.at for one in case.then)]
    named = {*coming, *(_at_ms(start_ms, at_s) for at_s in named_s)}
    first_ms = min(named)
    return sorted({*named, *range(first_ms - first_ms % STEP_MS, max(named), STEP_MS)})


def _at_ms(start_ms: int, at_s: float) -> int:
    return start_ms + round(at_s * 1000)


def _arrivals(
    case: Case, start_ms: int, anchor: tuple[float, float], city: City
) -> dict[int, list[Observation]]:  # fmt: skip
    """Return the claims of a case by the tick that brings them."""
    coming: dict[int, list[Observation]] = {}
    for row, one in enumerate(case.given):
        here = anchor if one.place is None else place_of(one.place, city)
        assert here is not None
        place = moved(here, one.north_m, one.east_m)
        for repeat in range(one.times):
            after_s = repeat * one.every_s
            claim = _claim(row, one, _at_ms(start_ms, one.at + after_s), place)
            comes_s = one.at if one.comes is None else one.comes
            coming.setdefault(_at_ms(start_ms, comes_s + after_s), []).append(claim)
            if one.withdrawn is not None:
                gone_ms = _at_ms(start_ms, one.withdrawn)
                coming.setdefault(gone_ms, []).append(replace(claim, withdrawn=True))
    return coming


def _claim(row: int, one: Given, at_ms: int, place: tuple[float, float]) -> Observation:
    return Observation(
        at_ms=at_ms,
        latitude_deg=place[0],
        longitude_deg=place[1],
        score=one.score,
        source_offset=row,
        source_partition=SOURCE[1],
        source_topic=SOURCE[0],
        observation_id=content_id("o", row, one.kind, one.by, at_ms),
        kind=one.kind,
        device_id=one.by,
        witness_id=one.witness or one.by,
        line_id=one.line,
        direction_id=one.direction,
        line_offset_m=one.along_m,
        value=one.value,
        subject=one.subject,
        vehicle_class="" if one.vehicle_class is None else one.vehicle_class.value,
    )


def _unlike(expected: Expected, found: Sequence[Incident], anchor: tuple[float, float]) -> Iterator[str]:
    """Yield what of an expectation does not hold."""
    if expected.none or len(found) != expected.incidents:
        if found or not expected.none:
            wanted = "no incident" if expected.none else _counted(expected.incidents)
            yield f"expected {wanted}, found {_counted(len(found))}{''.join(f'; {_in_words(one)}' for one in found)}"
        return
    for one in found:
        for name, wanted_value, value in _compared(expected, one):
            if wanted_value is not None and wanted_value != value:
                yield f"expected {name} {wanted_value}, found {value}: {_in_words(one)}"
        if expected.score is not None and abs(expected.score - one.score) > SCORE_WITHIN:
            yield f"expected score {expected.score:g}, found {one.score:.3f}: {_in_words(one)}"
        missing = [line for line in expected.lines if line not in {each.line_id for each in one.lines}]
        if missing:
            yield f"expected line {', '.join(missing)} to be affected: {_in_words(one)}"
        away_m = ground_m(one.latitude_deg, one.longitude_deg, *anchor)
        if expected.within_m is not None and away_m > expected.within_m:
            yield f"expected it within {expected.within_m:g} m of the anchor, it is {away_m:.0f} m away"


def _compared(expected: Expected, one: Incident) -> tuple[tuple[str, object, object], ...]:
    return (
        ("state", expected.state, one.state),
        ("severity", expected.severity, one.severity),
        ("witnesses", expected.witnesses, one.witnesses),
        ("revisions", expected.revisions, one.revision),
    )


def _counted(count: int) -> str:
    return f"{count or 'no'} incident{'' if count == 1 else 's'}"


def _in_words(one: Incident) -> str:
    evidence = ", ".join(f"{each.kind} by {each.device_id}" for each in one.evidence)
    return f"{one.state.lower()}, {one.severity.lower()}, score {one.score:.2f}, {one.witnesses} witnesses ({evidence})"
