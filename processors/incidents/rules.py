"""Rules as data: what a rule file may say (docs/rules.md), read and checked, every mistake at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from processors.yaml_files import Entry, Mistakes, read_yaml
from schemas.errors import UsageError
from schemas.records import Severity

ANY_KIND: Final = "any"
"""In a story: a claim of any kind that the rule weighs."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Share = Annotated[float, Field(gt=0, le=1)]
Metres = Annotated[float, Field(gt=0, le=5_000)]
Seconds = Annotated[int, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(gt=0, le=20)]
Names = Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
Level = Annotated[Severity, Field(strict=False)]


class RulesInvalid(UsageError):
    """A rule folder has mistakes; the message lists every one with file and line."""


class Within(Entry):
    """Which claims belong together: up to `distance_m` from the first one, none more than `quiet_s` after the last.

    lasts_s: longest time from the first claim to the last; what comes later starts anew.
    """

    distance_m: Metres
    quiet_s: Seconds
    lasts_s: Seconds


class Passing(Entry):
    """Kinds that ordinary traffic claims all day: they join what others hold together, and never prolong it.

    Claims of these kinds alone belong together up to `distance_m` from and `quiet_s` after their first one.
    """

    kinds: Names
    distance_m: Metres
    quiet_s: Seconds


class Story(Entry):
    """Claims that together mean something, up to `distance_m` from and `apart_s` before or after one of them.

    claims: kinds -> how many independent witnesses; "a+b" = witnesses that claim both, "any" = of any kind.
    """

    claims: Annotated[dict[str, Count], Field(min_length=1, max_length=4)]
    distance_m: Metres
    apart_s: Seconds


Stories = Annotated[tuple[Story, ...], Field(strict=False)]


class Suspected(Entry):
    """When an incident exists: the score reached and one of the stories told (none listed: the score alone)."""

    score: Share
    any_of: Stories = ()


class Confirmed(Entry):
    """When it is confirmed: besides, at least so many independent witnesses."""

    score: Share
    witnesses: Count
    any_of: Stories = ()


class Severities(Entry):
    """CAP 1.2 severity of an incident that is only suspected, and of one confirmed."""

    suspected: Level
    confirmed: Level


class Near(Entry):
    """How far an incident affects lines and stops, and how far ahead trips are listed."""

    line_m: Metres = 150.0
    stop_m: Metres = 150.0
    due_s: Seconds = 900


class Rule(Entry):
    """One rule: which observations, together, are which incident.

    evidence: observation kind -> weight, the probability of the incident given one such claim of score 1.
    off_m: observation kind -> how far from the claim's place the thing itself may be; 25 where not given.
    """

    id: Name
    kind: Name
    life_safety: bool = False
    evidence: Annotated[dict[Name, Share], Field(min_length=1)]
    off_m: dict[Name, Metres] = Field(default_factory=dict)
    within: Within
    passing: Passing | None = None
    suspected: Suspected
    confirmed: Confirmed
    resolve_after_s: Seconds
    severity: Severities
    near: Near = Near()

    def is_passing(self, kind: str) -> bool:
        """Tell whether claims of that kind never hold an incident open."""
        return self.passing is not None and kind in self.passing.kinds


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of a city, by id; version = content hash of the files."""

    version: str
    rules: tuple[Rule, ...]


@cache
def kinds_of(group: str) -> tuple[str, ...]:
    """Return the kinds that a story's key joins with "+"."""
    return tuple(group.split("+"))


def load_rules(folder: Path) -> RuleSet:
    """Read every *.yaml of a folder.

    Raises RulesInvalid with every mistake: file, line, what is wrong.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise RulesInvalid(f"{folder}: no rule files (*.yaml)")
    digest = blake2b(digest_size=8)
    rules: dict[str, Rule] = {}
    mistakes = Mistakes()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
        rule = _read(path, mistakes)
        if rule is not None and rules.setdefault(rule.id, rule) is not rule:
            mistakes.add(path.name, None, f"another file has a rule with the id {rule.id} too")
    if mistakes.found:
        raise RulesInvalid(f"{folder}: mistakes in the rules\n" + "\n".join(mistakes.found))
    return RuleSet(digest.hexdigest(), tuple(rules[rule_id] for rule_id in sorted(rules)))


def _read(path: Path, mistakes: Mistakes) -> Rule | None:
    file = read_yaml(path, mistakes)
    rule = None if file is None else file.validated(Rule, mistakes)
    if file is not None and rule is not None:
        for place, message in _contradictions(rule):
            mistakes.add(path.name, file.line(*place), message)
    return rule


def _contradictions(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], str]]:
    within, passing = rule.within, rule.passing
    if rule.resolve_after_s < within.quiet_s:
        yield ("resolve_after_s",), "resolve_after_s must be at least within.quiet_s: new evidence may still join"
    if within.lasts_s < within.quiet_s:
        yield ("within", "lasts_s"), "lasts_s must be at least quiet_s"
    if rule.confirmed.score < rule.suspected.score:
        yield ("confirmed", "score"), "confirmed.score must be at least suspected.score"
    for kind in rule.off_m:
        if kind not in rule.evidence:
            yield ("off_m", kind), f"{kind} is not in evidence"
    if passing is not None:
        for number, kind in enumerate(passing.kinds):
            if kind not in rule.evidence:
                yield ("passing", "kinds", number), f"{kind} is not in evidence"
        if passing.quiet_s > within.quiet_s:
            yield ("passing", "quiet_s"), "passing.quiet_s must be at most within.quiet_s"
        if passing.distance_m > within.distance_m:
            yield ("passing", "distance_m"), "passing.distance_m must be at most within.distance_m"
    for section, stories in (("suspected", rule.suspected.any_of), ("confirmed", rule.confirmed.any_of)):
        for number, story in enumerate(stories):
            place = (section, "any_of", number, "claims")
            for group in story.claims:
                unknown = [kind for kind in kinds_of(group) if kind not in rule.evidence and group != ANY_KIND]
                yield from (((*place, group), f"{kind or 'an empty kind'} is not in evidence") for kind in unknown)
