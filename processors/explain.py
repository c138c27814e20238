"""Why each revision of an incident was made: every claim with its distance, age and weight, and the stories it tells.

The claims come once more through the correlator, which says what each revision is made of. What is listed is complete:
`recomputed` needs nothing else, and gives the same state, score, witnesses, place and severity.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from processors.city import City
from processors.incidents.clusters import Cluster, canonical, distance_m, ground_m
from processors.incidents.conditions import Conditions
from processors.incidents.drafts import Drafter
from processors.incidents.endings import Endings
from processors.incidents.engine import CorrelationRule, IncidentEngine
from processors.incidents.merge import SourceId
from processors.incidents.parties import Basis
from processors.incidents.rule_model import Confirmed, Rule, Story, Suspected
from processors.incidents.rules import RuleSet, rules_of
from processors.incidents.verdict import Circumstances, judge
from schemas.records import Incident, IncidentChange, IncidentState, Observation, ObservationBlock, PublishedRules

LATE_MS: Final = 5_000
"""A claim that comes so long after its time is told as late."""
LEAST_SCORE: Final = 1e-9


class Part(StrEnum):
    """What a claim is to a revision."""

    EVIDENCE = "evidence"
    BESIDE = "beside"
    """belongs to it, but takes part in no story that is told"""
    ENDS = "may end it"
    EXPLAINED = "explained by another incident"
    WITHDRAWN = "withdrawn"
    NO_MORE = "evidence of it no more"
    """stands, but with others, or makes no incident any longer"""


@dataclass(frozen=True, slots=True)
class ListedClaim:
    """One claim. distance_m: from the place of the incident. age_s: at the tick. weight: 0 = the rule weighs it not.

    late_s: how long after its time it came, None where that is not known (derived claims). stories: numbers of those
    that it takes part in. by: the incident that explains it, "" = none does.
    """

    part: Part
    observation: Observation
    distance_m: float
    age_s: float
    weight: float
    late_s: float | None
    stories: tuple[int, ...] = ()
    by: str = ""

    @property
    def is_late(self) -> bool:
        """Tell whether it came long after its time."""
        return self.late_s is not None and self.late_s * 1000 > LATE_MS


@dataclass(frozen=True, slots=True)
class StoryTold:
    """A story of the rule. number: from 1, those of suspected first. new: told now and not by the revision before."""

    number: int
    level: str
    words: str
    told: bool
    new: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """One revision. judged_at_ms: the tick at which the listed claims were judged."""

    change: IncidentChange
    judged_at_ms: int
    stories: tuple[StoryTold, ...]
    claims: tuple[ListedClaim, ...]

    @property
    def cluster(self) -> tuple[Observation, ...]:
        """Return the claims that belonged together, in canonical order."""
        gone = {Part.ENDS} if self.change.incident.state is IncidentState.WITHDRAWN else _NOT_IN
        return tuple(canonical(one.observation for one in self.claims if one.part not in gone))

    @property
    def endings(self) -> tuple[Observation, ...]:
        """Return the claims that may end something."""
        return tuple(one.observation for one in self.claims if one.part is Part.ENDS)


_NOT_IN: Final = frozenset({Part.ENDS, Part.EXPLAINED, Part.WITHDRAWN, Part.NO_MORE})


def explain(
    blocks: Iterable[ObservationBlock],
    rules: RuleSet,
    city: City,
    sources: Sequence[SourceId],
    rule: CorrelationRule,
    incident_id: str | None = None,
    published: Sequence[PublishedRules] | None = None,
) -> dict[str, tuple[Explanation, ...]]:
    """Return every revision of every incident, or of one, explained: by incident id, in their order.

    blocks: as the correlator took them. rule: as it had it. published: as IncidentEngine takes them. Provisional
    incidents are not among them.
    """
    own = _by_version(rules)
    for given in published or ():
        own |= _by_version(rules_of(given.files))
    came_ms: dict[str, int] = {}
    found: dict[str, list[Explanation]] = {}

    def listen(basis: Basis) -> None:
        one = basis.change.incident
        if incident_id in (None, one.incident_id) and not one.provisional:
            told = found.setdefault(one.incident_id, [])
            made_by = own.get((one.rules_version, one.rule_id))
            told.append(_explained(basis, told[-1] if told else None, made_by, city, came_ms))

    engine = IncidentEngine(rules, city, sources, rule, listener=listen, published=published)
    for offset, block in enumerate(blocks):
        for new in () if published is None else block.published:
            own |= _by_version(rules_of(new.files))
        for claim in block.observations:
            if not claim.withdrawn:
                came_ms[claim.observation_id] = block.tick_ms
        engine.push([(offset, block)])
    return {name: tuple(told) for name, told in found.items()}


def _by_version(rules: RuleSet) -> dict[tuple[str, str], Rule]:
    return {(rules.version, one.id): one for one in rules.rules}


def recomputed(one: Explanation, rules: RuleSet, city: City, horizon_ms: int) -> Incident | None:
    """Return the incident that the listed claims alone make under its rule; None if they make none.

    Of what stands in an incident it has all but history: revision, tick, due trips, and which ones it replaces.
    """
    told = one.change.incident
    rule = next(each for each in rules.rules if each.id == told.rule_id)
    conditions = Conditions(rule, city)
    horizon_ms = horizon_ms if rule.close_after_s is None else rule.close_after_s * 1000
    drafter = Drafter(rule, rules.version, city, conditions.places, horizon_ms, told.exercise)
    cluster = Cluster(one.cluster)
    verdict = judge(cluster, rule, _circumstances(one, rule, conditions, city)).verdict
    if verdict is None:
        return None
    state = drafter.state_at(one.judged_at_ms, verdict, cluster.last_at_ms, told.actions)
    if told.state is IncidentState.WITHDRAWN and any(claim.part in _GONE for claim in one.claims):
        state = IncidentState.WITHDRAWN
    return drafter.draft(None, told.incident_id, verdict, state, told.replaces, told.actions)


_GONE: Final = frozenset({Part.WITHDRAWN, Part.EXPLAINED, Part.NO_MORE})


def _circumstances(one: Explanation, rule: Rule, conditions: Conditions, city: City) -> Circumstances:
    farthest_deg = min(89.0, max(abs(city.south_deg), abs(city.north_deg)) + 1.0)
    return Circumstances(one.judged_at_ms, Endings(rule, farthest_deg, one.endings), conditions.expected)


def _explained(
    basis: Basis, before: Explanation | None, rule: Rule | None, city: City, came_ms: Mapping[str, int]
) -> Explanation:
    """Return a revision explained. rule: None = the rules in force have it no more, which ends the incident."""
    change = basis.change
    if basis.cluster is None:
        assert before is not None
        return _taken_back(basis, before)
    assert rule is not None
    conditions = Conditions(rule, city)
    members = basis.cluster.members
    endings = _endings(members, basis, rule, conditions)
    bare = Explanation(
        change,
        change.tick_ms,
        (),
        tuple(_listed(one, Part.BESIDE, change.incident, rule, came_ms) for one in members)
        + tuple(_listed(one, Part.ENDS, change.incident, rule, came_ms) for one in endings),
    )
    circumstances = _circumstances(bare, rule, conditions, city)
    verdict = judge(basis.cluster, rule, circumstances).verdict
    evidence = set() if verdict is None else {one.observation_id for one in verdict.evidence}
    takers = [_takers(story, basis.cluster, rule, circumstances) for story in rule.stories]
    had = set() if before is None else {one.number for one in before.stories if one.told}
    stories = tuple(
        StoryTold(number, _level(number, rule), story_in_words(story), bool(some), bool(some) and number not in had)
        for number, (story, some) in enumerate(zip(rule.stories, takers, strict=True), 1)
    )
    claims = [
        replace(
            one,
            part=Part.EVIDENCE if one.part is Part.BESIDE and one.observation.observation_id in evidence else one.part,
            stories=tuple(
                number for number, some in enumerate(takers, 1) if one.observation.observation_id in some
            ),
        )
        for one in bare.claims
    ]  # fmt: skip
    return replace(bare, stories=stories, claims=(*claims, *_lost(basis, before, members)))


def _listed(
    one: Observation, part: Part, incident: Incident, rule: Rule, came_ms: Mapping[str, int]
) -> ListedClaim:  # fmt: skip
    away_m = ground_m(one.latitude_deg, one.longitude_deg, incident.latitude_deg, incident.longitude_deg)
    came = came_ms.get(one.observation_id)
    return ListedClaim(
        part=part,
        observation=one,
        distance_m=round(away_m, 1),
        age_s=round((incident.tick_ms - one.at_ms) / 1000, 3),
        weight=rule.evidence.get(one.kind, 0.0),
        late_s=None if came is None else round((came - one.at_ms) / 1000, 3),
    )


def _endings(
    members: Sequence[Observation], basis: Basis, rule: Rule, conditions: Conditions
) -> list[Observation]:  # fmt: skip
    """Return the standing claims after the first member that may end something of the cluster, and perhaps more."""
    subject_of, reach_m = rule.parting, _ending_reach_m(rule)

    def concerns(one: Observation) -> bool:
        if subject_of is not None:
            return subject_of(one) == subject_of(members[0])
        return any(distance_m(one, member) <= reach_m for member in members)

    first_ms = members[0].at_ms
    able = [one for one in basis.standing.values() if one.at_ms > first_ms and conditions.end(one)]
    return canonical(one for one in able if concerns(one))


def _ending_reach_m(rule: Rule) -> float:
    absent = [(story.absent.distance_m, story.reach_m(rule)) for story in rule.stories if story.absent is not None]
    reaches_m = [reach_m if own_m is None else own_m for own_m, reach_m in absent]
    return max([*reaches_m, rule.within.reach_m if rule.resolve_on else 0.0])


def _takers(story: Story, cluster: Cluster, rule: Rule, circumstances: Circumstances) -> set[str]:
    """Return the ids of the claims that take part in one story."""
    alone = rule.model_copy(
        update={
            "suspected": Suspected(score=LEAST_SCORE, any_of=(story,)),
            "confirmed": Confirmed(score=1.0, witnesses=1, any_of=(story,)),
        }
    )
    verdict = judge(cluster, alone, circumstances).verdict
    return set() if verdict is None else {one.observation_id for one in verdict.evidence}


def _lost(basis: Basis, before: Explanation | None, members: Sequence[Observation]) -> list[ListedClaim]:
    """Return what belonged to the revision before and does no more."""
    here = {one.observation_id for one in members}
    gone = [] if before is None else [one for one in before.claims if one.part in (Part.EVIDENCE, Part.BESIDE)]
    return [_parted(one, basis) for one in gone if one.observation.observation_id not in here]


def _parted(one: ListedClaim, basis: Basis) -> ListedClaim:
    name, tick_ms = one.observation.observation_id, basis.change.tick_ms
    aged = replace(one, stories=(), age_s=round((tick_ms - one.observation.at_ms) / 1000, 3))
    if name in basis.explained:
        return replace(aged, part=Part.EXPLAINED, by=basis.explained[name])
    return replace(aged, part=Part.NO_MORE if name in basis.standing else Part.WITHDRAWN)


def _taken_back(basis: Basis, before: Explanation) -> Explanation:
    """Return a revision that takes an incident back: the claims of the one before, and what became of them."""
    claims = [one if one.part is Part.ENDS else _parted(one, basis) for one in before.claims if one.part not in _GONE]
    stories = tuple(replace(one, told=False, new=False) for one in before.stories)
    return Explanation(basis.change, before.judged_at_ms, stories, tuple(claims))


def _level(number: int, rule: Rule) -> str:
    return "suspected" if number <= len(rule.suspected.any_of) else "confirmed"


def story_in_words(story: Story) -> str:
    """Say what a story asks for: "1 camera_crash and 1 hard_stop within 130 m and 20 s"."""
    order = ", then " if story.sequence else " and "
    words = order.join(f"{count} {group}" for group, count in story.claims.items())
    reach = "" if story.distance_m is None or math.isinf(story.distance_m) else f"{story.distance_m:g} m and "
    words += f" within {reach}{story.apart_s} s"
    words += " along the line" if story.along else ""
    words += " in one direction" if story.same_direction else ""
    words += f", lasting {story.holds_s} s" if story.holds_s is not None else ""
    if story.absent is not None:
        words += f", no {' or '.join(story.absent.kinds)} for {story.absent.for_s} s"
        words += " by those who take part" if story.absent.own_devices else ""
    if story.episodes is not None:
        words += f", in {story.episodes.count} episodes {story.episodes.apart_s} s apart"
    if story.rate is not None:
        words += f", {story.rate.times:g} times as many as usual in {story.rate.over_s} s"
    return words
