"""What an observation costs the rules: with ten of them, with the city's own, with two hundred.

The correlator alone, in this process, over the same observations: nothing is read, decoded or sent. The larger sets
hold the ten, and must conclude of their incidents exactly what the ten alone conclude.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from statistics import median
from typing import Final

import msgspec

from benchmarks.rule_load import SOURCES, RuleLoad, rule_load
from benchmarks.rule_sets import TEN, many_rules, ten_rules
from benchmarks.variant import WrongAnswer
from processors.city import City
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.rules import RuleSet
from schemas.records import IncidentChange

MICRO: Final = 1e6
MOST_CPU_US: Final = 25.0
"""An observation under the city's own rules costs at most so much."""
MOST_TIMES: Final = 1.5
"""Under two hundred rules it costs at most so many times what it costs under ten."""

BLOCKS_AT_ONCE: Final = 4 * len(SOURCES)
"""A second of ticks."""

UNDER: Final = CorrelationRule(lateness_ms=600_000, provisional_after_ms=0)

OnProgress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class RulesOptions:
    """How much event time, how many observations a second of it, how often each set."""

    seconds: int = 600
    observations_per_s: float = 200.0
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class SetCost:
    """What one set of rules cost; cpu_us: an observation's share of the processor time, of each round."""

    name: str
    rules: int
    revisions: int
    cpu_us: tuple[float, ...]

    @property
    def median_cpu_us(self) -> float:
        """The median of cpu_us."""
        return median(self.cpu_us)


@dataclass(frozen=True, slots=True)
class RulesResult:
    """The sets in the order of their size, and over how many observations."""

    options: RulesOptions
    observations: int
    sets: tuple[SetCost, ...]

    @property
    def times(self) -> float:
        """How many times what an observation costs under the smallest set it costs under the largest."""
        return self.sets[-1].median_cpu_us / self.sets[0].median_cpu_us


def measure_rules(city: City, own: RuleSet, options: RulesOptions, on_progress: OnProgress) -> RulesResult:
    """Measure all sets in turns. Raises WrongAnswer when a set concludes something else of the incidents of the ten."""
    on_progress("making observations", 0.0)
    load = rule_load(city, options.seconds, options.observations_per_s)
    sets = {"ten": ten_rules(own), "own": own, "many": many_rules(own, city)}
    costs: Mapping[str, list[float]] = {name: [] for name in sets}
    revisions: dict[str, int] = {}
    answers: set[str] = set()
    gc.collect()
    gc.freeze()  # the observations of the whole load, which a worker never holds at once
    try:
        for number in range(options.rounds):
            for position, (name, rules) in enumerate(sets.items()):
                done = (number * len(sets) + position) / (options.rounds * len(sets))
                on_progress(f"round {number + 1} of {options.rounds}: {len(rules.rules)} rules", done)
                cpu_s, changes = _run(rules, city, load)
                costs[name].append(MICRO * cpu_s / load.observations)
                revisions[name] = len(changes)
                answers.add(answer_of(changes))
                if len(answers) > 1:
                    raise WrongAnswer(f"{len(rules.rules)} rules conclude something else of the incidents of the ten")
    finally:
        gc.unfreeze()
    found = [SetCost(name, len(rules.rules), revisions[name], tuple(costs[name])) for name, rules in sets.items()]
    return RulesResult(options, load.observations, tuple(found))


def answer_of(changes: Sequence[IncidentChange]) -> str:
    """Return a digest of all revisions of the incidents of the ten, whichever set they were made under."""
    digest = blake2b(digest_size=8)
    for change in changes:
        if change.incident.rule_id in TEN:
            same = replace(change, incident=replace(change.incident, rules_version=""))
            digest.update(msgspec.msgpack.encode(same))
    return digest.hexdigest()


def _run(rules: RuleSet, city: City, load: RuleLoad) -> tuple[float, list[IncidentChange]]:
    """Return the processor seconds of one set, and its revisions."""
    engine = IncidentEngine(rules, city, SOURCES, UNDER, gatherings=())
    blocks = list(enumerate(load.blocks))
    changes: list[IncidentChange] = []
    gc.collect()
    began_s = time.process_time()
    for at in range(0, len(blocks), BLOCKS_AT_ONCE):
        changes += engine.push(blocks[at : at + BLOCKS_AT_ONCE]).changes
    return time.process_time() - began_s, changes
