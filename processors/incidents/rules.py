"""The rules of a city, read from their files and checked, every mistake at once, with file, line and a hint."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from hashlib import blake2b
from pathlib import Path

from processors.city import City
from processors.incidents.rule_checks import contradictions, longest_s, not_in_city
from processors.incidents.rule_model import Rule
from processors.yaml_files import Mistakes, YamlFile, did_you_mean, parse_yaml
from schemas.errors import UsageError
from schemas.records import RuleFile


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
    """Read every *.yaml of a folder; see `rules_of` for `city`.

    Raises RulesInvalid with every mistake: file, line, what is wrong.
    """
    return rules_of(read_rule_files(folder), city, str(folder))


def read_rule_files(folder: Path) -> tuple[RuleFile, ...]:
    """Return every *.yaml of a folder, by name. Raises RulesInvalid when there is none or one cannot be read."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise RulesInvalid(f"{folder}: no rule files (*.yaml)")
    try:
        return tuple(RuleFile(name=path.name, text=path.read_bytes().decode()) for path in paths)
    except (OSError, UnicodeDecodeError) as error:
        told = f"{folder}: a rule file cannot be read: {error}"
        raise RulesInvalid(told, (told,)) from error


def version_of(files: Iterable[RuleFile]) -> str:
    """Return the version of a rule set: a hash of its files."""
    digest = blake2b(digest_size=8)
    for one in files:
        content = one.text.encode()
        digest.update(f"{one.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def rules_of(files: Sequence[RuleFile], city: City | None = None, told_as: str = "the rule set") -> RuleSet:
    """Return the rules that files say.

    city: if given, units, zones and calendars that it has not are mistakes too, and muted rules that are not there;
    without it they hold, and mute, nothing. told_as: what the files are called in messages.
    Raises RulesInvalid with every mistake: file, line, what is wrong.
    """
    rules: dict[str, Rule] = {}
    read: dict[str, YamlFile] = {}
    mistakes = Mistakes()
    for one in files:
        file = parse_yaml(one.name, one.text, mistakes)
        rule = None if file is None else file.validated(Rule, mistakes)
        if file is None or rule is None:
            continue
        for place, message in (*contradictions(rule), *(() if city is None else not_in_city(rule, city))):
            mistakes.add(one.name, file.line(*place), message)
        if rules.setdefault(rule.id, rule) is not rule:
            mistakes.add(one.name, None, f"another file has a rule with the id {rule.id} too")
        else:
            read[rule.id] = file
    if len(rules) == len(files):
        for rule_id, place, message in _wrong_mutes(rules, checked=city is not None):
            mistakes.add(read[rule_id].name, read[rule_id].line(*place), message)
    if mistakes.found:
        told = "\n".join(mistakes.found)
        raise RulesInvalid(f"{told_as}: mistakes in the rules\n{told}", tuple(mistakes.found))
    return RuleSet(version_of(files), tuple(rules[rule_id] for rule_id in sorted(rules)))


def check_horizon(rules: RuleSet, horizon_ms: int) -> None:
    """Raise RulesInvalid when a rule asks for claims that are forgotten by then.

    horizon_ms: how long claims count where a rule does not say.
    """
    for one in rules.rules:
        if one.close_after_s is None and longest_s(one) * 1000 > horizon_ms:
            raise RulesInvalid(
                f"rule {one.id}: what it says of {longest_s(one)} s is beyond the horizon of "
                f"{horizon_ms // 1000} s; give it a close_after_s"
            )


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
