"""Sets of rules of different sizes: ten of a city's own, all of its own, and two hundred that vary them."""

from typing import Final

from processors.city import City
from processors.incidents.rule_model import Areas, Rule, Where
from processors.incidents.rules import RuleSet

TEN: Final = (
    "breakdown", "crash", "explosion", "fire", "gunshot", "illegal_parking", "off_route", "speeding", "stopped_train",
    "stopped_vehicle",
)  # fmt: skip
"""With all that mute any of them, so that larger sets conclude the same of their incidents."""

MANY: Final = 200
OF_EVERY_VEHICLE: Final = frozenset({"hard_stop", "moved_on", "speed_normal", "speeding", "stationary_vehicle"})
"""What traffic claims all day: one rule a kind of incident and kind of vehicle weighs it, not one a district."""

FACTORS: Final = (0.5, 0.75, 1.5, 2.0, 3.0)
"""The same rule for another distance, of which a city may have several: by night, for a festival, for one agency."""


def ten_rules(own: RuleSet) -> RuleSet:
    """Return ten of a city's rules, those that weigh the most claims among them."""
    return RuleSet("ten", tuple(rule for rule in own.rules if rule.id in TEN))


def many_rules(own: RuleSet, city: City) -> RuleSet:
    """Return the city's rules and as many more: one a ward of what one rule says of all, and other distances."""
    wards = [unit.unit_code for unit in city.units if unit.kind == "ward"]
    made = [_of_ward(rule, code) for rule in own.rules if rule.id in ("illegal_parking", "crowd") for code in wards]
    rare = [rule for rule in own.rules if OF_EVERY_VEHICLE.isdisjoint([*rule.evidence, *rule.resolve_on])]
    by_place = [rule for rule in rare if rule.by == "place"]
    made += [_of_distance(rule, factor) for factor in FACTORS for rule in by_place]
    return RuleSet("many", (*own.rules, *made[: MANY - len(own.rules)]))


def _of_ward(rule: Rule, unit_code: str) -> Rule:
    """Return a rule for one ward."""
    where = (rule.where or Where()).model_copy(update={"in_": Areas(units=(unit_code,))})
    return rule.model_copy(update={"id": f"{rule.id}_{unit_code}", "where": where, "mutes": ()})


def _of_distance(rule: Rule, factor: float) -> Rule:
    """Return a rule for claims so many times as far apart, 5 km at most."""
    within = rule.within.model_copy(update={"distance_m": min(5_000.0, rule.within.reach_m * factor)})
    return rule.model_copy(update={"id": f"{rule.id}_{round(factor * 100)}", "within": within, "mutes": ()})
