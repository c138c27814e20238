"""The rules of a city, read from their folder and checked, every mistake at once, with file, line and a hint."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from pathlib import Path

from processors.city import City
from processors.incidents.rule_checks import contradictions, not_in_city
from processors.incidents.rule_model import Rule
from processors.yaml_files import Mistakes, YamlFile, did_you_mean, read_yaml
from schemas.errors import UsageError


class RulesInvalid(UsageError):
    """A rule folder has mistakes; the message lists every one with file and line."""

    def __init__(self, message: str, mistakes: tuple[str, ...] = ()) -> None:
        """Keep the mistakes, one a line."""
        super().__init__(message)
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of a city, by id; version = content hash of the files."""

    version: str
    rules: tuple[Rule, ...]


def load_rules(folder: Path, city: City | None = None) -> RuleSet:
    """Read every *.yaml of a folder.

    city: if given, units, zones and calendars that it has not are mistakes too, and muted rules that are not there;
    without it they hold, and mute, nothing.
    Raises RulesInvalid with every mistake: file, line, what is wrong.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise RulesInvalid(f"{folder}: no rule files (*.yaml)")
    digest = blake2b(digest_size=8)
    rules: dict[str, Rule] = {}
    files: dict[str, YamlFile] = {}
    mistakes = Mistakes()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
        file = read_yaml(path, mistakes)
        rule = None if file is None else file.validated(Rule, mistakes)
        if file is None or rule is None:
            continue
        for place, message in (*contradictions(rule), *(() if city is None else not_in_city(rule, city))):
            mistakes.add(path.name, file.line(*place), message)
        if rules.setdefault(rule.id, rule) is not rule:
            mistakes.add(path.name, None, f"another file has a rule with the id {rule.id} too")
        else:
            files[rule.id] = file
    if len(rules) == len(paths):
        for rule_id, place, message in _wrong_mutes(rules, checked=city is not None):
            mistakes.add(files[rule_id].name, files[rule_id].line(*place), message)
    if mistakes.found:
        told = "\n".join(mistakes.found)
        raise RulesInvalid(f"{folder}: mistakes in the rules\n{told}", tuple(mistakes.found))
    return RuleSet(digest.hexdigest(), tuple(rules[rule_id] for rule_id in sorted(rules)))


def muting_first(rules: Mapping[str, Rule]) -> list[str]:
    """Return rule ids in an order in which every rule comes after those that mute it.

    Raises graphlib.CycleError when rules mute each other.
    """
    order = TopologicalSorter[str](dict.fromkeys(sorted(rules), ()))
    for rule in rules.values():
        for muted in (name for mute in rule.mutes for name in mute.rules if name in rules):
            order.add(muted, rule.id)
    return list(order.static_order())


def _wrong_mutes(rules: Mapping[str, Rule], *, checked: bool) -> Iterator[tuple[str, tuple[str | int, ...], str]]:
    """Yield what is wrong with what rules say of each other: rule, place in its file, message.

    checked: whether naming a rule that is not there is wrong.
    """
    for rule in rules.values():
        for number, mute in enumerate(rule.mutes):
            for position, name in enumerate(mute.rules):
                if checked and name not in rules:
                    place = ("mutes", number, "rules", position)
                    yield rule.id, place, f"there is no rule {name}{did_you_mean(name, rules)}"
    try:
        muting_first(rules)
    except CycleError as error:
        names: list[str] = error.args[1]
        yield names[0], ("mutes",), f"rules mute each other in a circle: {', '.join(reversed(names))}"
