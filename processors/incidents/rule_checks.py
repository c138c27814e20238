"""What a rule file may be written well and yet not mean: contradictions, stories that cannot be told, unknown kinds."""

from collections.abc import Iterable, Iterator

from processors.city import City
from processors.incidents.rule_model import ANY_KIND, Areas, Rule, Story, kinds_of
from processors.observation_kinds import OBSERVATION_KINDS
from processors.yaml_files import did_you_mean

Place = tuple[str | int, ...]
Mistake = tuple[Place, str]
"""Where in the file, and what is wrong."""


def contradictions(rule: Rule) -> Iterator[Mistake]:
    """Yield every mistake of a rule that its keys alone do not show."""
    yield from _times(rule)
    yield from _kinds(rule)
    yield from _distances(rule)
    for section, stories in (("suspected", rule.suspected.any_of), ("confirmed", rule.confirmed.any_of)):
        for number, story in enumerate(stories):
            place = (section, "any_of", number)
            yield from (((*place, *inner), message) for inner, message in _story(story, rule))


def not_in_city(rule: Rule, city: City) -> Iterator[Mistake]:
    """Yield the units, zones and calendars of a rule that a city has not."""
    if rule.where is not None:
        for key, areas in (("in", rule.where.in_), ("not_in", rule.where.not_in)):
            if areas is not None:
                yield from _areas(areas, city, ("where", key))
    if rule.when is not None:
        for key, names in (("calendar", rule.when.calendar), ("not_calendar", rule.when.not_calendar)):
            yield from _all_known(names, city.calendars, ("when", key), f"is no calendar of {city.name}")


def _areas(areas: Areas, city: City, place: Place) -> Iterator[Mistake]:
    named = {
        "units": (areas.units, [unit.unit_code for unit in city.units]),
        "unit_kinds": (areas.unit_kinds, [unit.kind for unit in city.units]),
        "zones": (areas.zones, [zone.zone_id for zone in city.zones]),
        "zone_kinds": (areas.zone_kinds, [zone.kind for zone in city.zones]),
    }
    for key, (names, known) in named.items():
        yield from _all_known(names, dict.fromkeys(known), (*place, key), f"is none of the {key} of {city.name}")


def _times(rule: Rule) -> Iterator[Mistake]:
    within, passing = rule.within, rule.passing
    if rule.resolve_after_s < within.quiet_s:
        yield ("resolve_after_s",), "resolve_after_s must be at least within.quiet_s: new evidence may still join"
    if within.lasts_s < within.quiet_s:
        yield ("within", "lasts_s"), "lasts_s must be at least quiet_s"
    if rule.confirmed.score < rule.suspected.score:
        yield ("confirmed", "score"), "confirmed.score must be at least suspected.score"
    if passing is not None and passing.quiet_s > within.quiet_s:
        yield ("passing", "quiet_s"), "passing.quiet_s must be at most within.quiet_s"
    if rule.close_after_s is not None:
        longest = longest_s(rule)
        if rule.close_after_s < longest:
            yield ("close_after_s",), f"close_after_s must be at least {longest}: so long ago, claims still matter"


def longest_s(rule: Rule) -> int:
    """Return for how many seconds claims matter to a rule; they must count as long as that at least."""
    return max(rule.resolve_after_s, *(story.absent.for_s for story in rule.stories if story.absent is not None), 0)


def _kinds(rule: Rule) -> Iterator[Mistake]:
    for kind in rule.evidence:
        yield from _unknown(kind, OBSERVATION_KINDS, ("evidence", kind), "is not a known kind of observation")
    for kind in rule.off_m:
        yield from _unknown(kind, rule.evidence, ("off_m", kind), "is not in evidence")
    if rule.passing is not None:
        yield from _all_known(rule.passing.kinds, rule.evidence, ("passing", "kinds"), "is not in evidence")
    told = "is not a known kind of observation"
    yield from _all_known(rule.resolve_on, OBSERVATION_KINDS, ("resolve_on",), told)
    for number, mute in enumerate(rule.mutes):
        yield from _all_known(mute.kinds, OBSERVATION_KINDS, ("mutes", number, "kinds"), told)


def _all_known(kinds: Iterable[str], known: Iterable[str], place: Place, told: str) -> Iterator[Mistake]:
    for number, kind in enumerate(kinds):
        yield from _unknown(kind, known, (*place, number), told)


def _unknown(kind: str, known: Iterable[str], place: Place, told: str) -> Iterator[Mistake]:
    names = list(known)
    if kind not in names:
        yield place, f"{kind or 'an empty kind'} {told}{did_you_mean(kind, names)}"


def _distances(rule: Rule) -> Iterator[Mistake]:
    within, passing = rule.within, rule.passing
    if rule.by == "place":
        if within.distance_m is None:
            yield ("within",), "distance_m is missing: a rule by place needs one"
        if passing is not None and passing.distance_m is None:
            yield ("passing",), "distance_m is missing: a rule by place needs one"
    if passing is not None and passing.distance_m is not None and passing.reach_m > within.reach_m:
        yield ("passing", "distance_m"), "passing.distance_m must be at most within.distance_m"


def _story(story: Story, rule: Rule) -> Iterator[Mistake]:
    for group, count in story.claims.items():
        if group != ANY_KIND:
            for kind in kinds_of(group):
                yield from _unknown(kind, rule.evidence, ("claims", group), "is not in evidence")
        if story.sequence and len(kinds_of(group)) > 1:
            yield ("claims", group), f"{group}: the groups of a sequence are of one kind each"
        if rule.by == "device" and count > 1:
            yield ("claims", group), f"{group}: {count}: a rule by device has one witness; use episodes for repetition"
    yield from _endless(story)
    if story.absent is not None:
        told = "is not a known kind of observation"
        yield from _all_known(story.absent.kinds, OBSERVATION_KINDS, ("absent", "kinds"), told)


def _endless(story: Story) -> Iterator[Mistake]:
    """Yield what cannot happen within `apart_s` before and after a claim."""
    span_s = 2 * story.apart_s
    if story.holds_s is not None and story.holds_s > span_s:
        yield ("holds_s",), f"holds_s must be at most twice apart_s ({span_s}): no story is longer"
    episodes = story.episodes
    if episodes is not None and (episodes.count - 1) * episodes.apart_s > span_s:
        yield ("episodes",), f"so many episodes do not fit into twice apart_s ({span_s} s)"
    if story.rate is not None and story.rate.over_s > span_s:
        yield ("rate", "over_s"), f"over_s must be at most twice apart_s ({span_s}): no story is longer"
