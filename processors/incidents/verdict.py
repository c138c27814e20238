"""What a cluster amounts to under its rule: a pure function of its members.

A story is told around a claim of the first kind of one of its groups, when enough witnesses made the claims that the
story asks for, within its distance and time of that claim, no witness counted twice. The evidence is what takes part
in a story that is told; whatever else happened nearby is not evidence.

Score: 1 - product over witnesses of (1 - w), w = the witness's greatest weight x detector score: independent witnesses
each rule out the chance that all of them are wrong (noisy-or), and a witness that repeats itself adds nothing.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Final

from processors.incidents.clusters import Cluster, canonical
from processors.incidents.crowds import Crowd, Nearness, Track
from processors.incidents.endings import Endings
from processors.incidents.rule_model import ANY_KIND, Absent, Rate, Rule, Story, kinds_of
from schemas.records import IncidentState, Observation


@dataclass(frozen=True, slots=True)
class Verdict:
    """An incident: SUSPECTED or CONFIRMED, and by what.

    score: 0 to 1. evidence: in the order (at_ms, observation_id). ended_by: what says that it is over, of `resolve_on`.
    """

    state: IncidentState
    score: float
    witnesses: int
    evidence: tuple[Observation, ...]
    ended_by: Observation | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a cluster is judged by besides its claims.

    tick_ms: until when everything is known. endings: what ends incidents and rules out stories.
    expected: how many claims of a kind the baseline expects around a claim in so many seconds, None = nobody knows.
    """

    tick_ms: int
    endings: Endings
    expected: Callable[[str, Observation, int], float | None]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a cluster amounts to as of a tick.

    verdict: None = no incident. again_ms: when time alone may change that; None = never.
    """

    verdict: Verdict | None
    again_ms: int | None = None


Crowds = dict[tuple[str, int, int, Nearness], Crowd]
"""The crowds of one cluster: by kind, how many witnesses, how far apart in time and on the ground."""


class Judge:
    """Says what clusters amount to under one rule."""

    def __init__(self, rule: Rule, *, early: bool = False) -> None:
        """early: during a stall nobody knows what is absent, so no story is told that asks for it."""
        self._rule = rule
        self._suspecting, self._confirming = (
            [one for one in some if one.absent is None or not early]
            for some in (rule.suspected.any_of, rule.confirmed.any_of)
        )
        # Most clusters are one claim, and most claims tell nothing alone.
        self._alone = {
            kind: tuple(
                [one for one in some if _may_be_told_alone(one, kind, rule)]
                for some in (self._suspecting, self._confirming)
            )
            for kind in rule.evidence
        }

    def judge(self, cluster: Cluster, circumstances: Circumstances, crowds: Crowds | None = None) -> Judgement:
        """Return what a cluster amounts to.

        crowds: what is kept of a cluster that is judged again and again, to save time; empty at first.
        """
        rule, members = self._rule, cluster.members
        heard: _Heard
        if len(members) > 1:
            heard = _Heard(cluster, circumstances, {} if crowds is None else crowds)
            confirming = _told(self._confirming, heard, rule)
            suspecting = _told(self._suspecting, heard, rule) if rule.suspected.any_of else heard.all
        else:
            heard = _HeardOne(cluster, circumstances)
            suspected, confirmed = self._alone[members[0].kind]
            confirming = _told_alone(confirmed, heard, rule)
            suspecting = _told_alone(suspected, heard, rule) if rule.suspected.any_of else heard.all
        telling = (*suspecting, *confirming)
        sure = bool(confirming) or not rule.confirmed.any_of
        verdict = _verdict(telling, cluster, rule, sure=sure) if telling else None
        if verdict is not None and rule.resolve_on:
            anchor, last_ms = members[0], verdict.evidence[-1].at_ms
            ended_by = circumstances.endings.first(rule.resolve_on, anchor, rule.within.reach_m, last_ms)
            verdict = verdict if ended_by is None else replace(verdict, ended_by=ended_by)
        return Judgement(verdict, heard.again_ms)


def judge(cluster: Cluster, rule: Rule, circumstances: Circumstances) -> Judgement:
    """Return what one cluster amounts to."""
    return Judge(rule).judge(cluster, circumstances)


def _verdict(telling: Iterable[Observation], cluster: Cluster, rule: Rule, *, sure: bool) -> Verdict | None:
    """Return what claims that take part in stories amount to; sure: one that confirms is told, or none has to be."""
    told = {one.observation_id for one in telling}
    evidence = tuple(one for one in cluster.members if one.observation_id in told)
    score = combined_score(evidence, rule)
    witnesses = len({one.witness_id for one in evidence})
    if score < rule.suspected.score:
        return None
    sure = sure and score >= rule.confirmed.score and witnesses >= rule.confirmed.witnesses
    return Verdict(IncidentState.CONFIRMED if sure else IncidentState.SUSPECTED, score, witnesses, evidence)


def fewest_claims(rule: Rule, kinds: Collection[str]) -> float:
    """Return how many claims a cluster of some kinds alone has at least if it is an incident; infinity: it never is."""
    fewest = math.inf
    for story in rule.stories:
        groups = [({*kinds_of(group)} - {ANY_KIND}, count) for group, count in story.claims.items()]
        if all(own.issubset(kinds) for own, _ in groups):
            needed = [max(1, len(own)) * count for own, count in groups]
            fewest = min(fewest, max(needed) if rule.by == "device" else sum(needed))
    return fewest if rule.suspected.any_of else 1


def combined_score(evidence: Iterable[Observation], rule: Rule) -> float:
    """Return the noisy-or over witnesses, rounded to six places so that no order of operations shows."""
    best: dict[str, float] = {}
    for one in evidence:
        best[one.witness_id] = max(best.get(one.witness_id, 0.0), rule.evidence[one.kind] * one.score)
    wrong = 1.0
    for witness in sorted(best):
        wrong *= 1.0 - min(max(best[witness], 0.0), 1.0)
    return round(1.0 - wrong, 6)


class _Heard:
    """The claims of a cluster by kind, and by witness and kind, each in canonical order.

    again_ms: when a story will be told if nothing else comes, the first of several.
    """

    def __init__(self, cluster: Cluster, circumstances: Circumstances, crowds: Crowds) -> None:
        self.all = cluster.members
        self.circumstances = circumstances
        self.crowds = crowds
        self.again_ms: int | None = None
        self._by: dict[tuple[str, str], list[Observation]] = {}
        of_kind: dict[str, list[Observation]] = {}
        for one in cluster.members:
            of_kind.setdefault(one.kind, []).append(one)
            self._by.setdefault((one.witness_id, one.kind), []).append(one)
        self._tracks = {kind: Track(claims) for kind, claims in of_kind.items()}
        self._witnesses = {kind: {one.witness_id for one in claims} for kind, claims in of_kind.items()}

    def of(self, kind: str) -> Track:
        """Return the claims of a kind."""
        return self._tracks.get(kind, _NOTHING)

    def by(self, witness_id: str, kind: str) -> Sequence[Observation]:
        """Return the claims of a kind by one witness."""
        return self._by.get((witness_id, kind), ())

    def makers(self, way: Sequence[str]) -> Set[str]:
        """Return the witnesses that claim all of some kinds."""
        return set.intersection(*(self._witnesses.get(kind, _NOBODY) for kind in way))

    def wait(self, until_ms: int) -> None:
        """Take note of a story that will be told at a time if nothing else comes."""
        self.again_ms = until_ms if self.again_ms is None else min(self.again_ms, until_ms)

    def has(self, group: str, count: int) -> bool:
        """Tell whether so many witnesses claim what a group of a story asks for."""
        return group == ANY_KIND or len(self.makers(kinds_of(group))) >= count


_nearness = lru_cache(maxsize=1024)(Nearness)
_NOTHING: Final = Track()
_NOBODY: Final[set[str]] = set()


class _HeardOne(_Heard):
    """The only claim of a cluster: what most are."""

    def __init__(self, cluster: Cluster, circumstances: Circumstances) -> None:
        self.all = cluster.members
        self.circumstances = circumstances
        self.again_ms = None


def _told(stories: Sequence[Story], heard: _Heard, rule: Rule) -> Sequence[Observation]:
    """Return the claims that take part in any of the stories."""
    possible = [story for story in stories if all(heard.has(*group) for group in story.claims.items())]
    return [one for story in possible for one in _Telling(story, heard, rule).claims()]


def _told_alone(stories: Sequence[Story], heard: _HeardOne, rule: Rule) -> Sequence[Observation]:
    """Return the only claim of a cluster if it tells any of the stories that it may tell alone."""
    (one,) = heard.all
    told = False
    for story in stories:  # all of them: each takes note of its wait
        telling = _Telling(story, heard, rule)
        told |= telling.is_about(one) and telling.holds(heard.all, one)
    return heard.all if told else ()


def _may_be_told_alone(story: Story, kind: str, rule: Rule) -> bool:
    """Tell whether a claim of a kind may tell a story alone: it is all that every group asks for, and lasts no time."""
    if len(story.claims) > 1 and rule.by != "device":
        return False
    if story.holds_s is not None or story.episodes is not None:
        return False
    return all(
        count == 1 and (group in (kind, ANY_KIND) or set(kinds_of(group)) == {kind})
        for group, count in story.claims.items()
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Of a story: how many witnesses it takes, who could be one, and the ways in which each may make its claims."""

    count: int
    makers: Set[str]
    ways: Sequence[tuple[str, ...]]


class _Telling:
    """One story held against the claims of one cluster."""

    def __init__(self, story: Story, heard: _Heard, rule: Rule) -> None:
        self._story, self._heard = story, heard
        self._apart_ms = story.apart_s * 1000
        self._reach_m = story.reach_m(rule)
        self._nearness = _nearness(self._reach_m, story.along is not None, story.same_direction)
        self._near = self._nearness.holds
        self._one_witness = rule.by == "device"
        self._rule = rule
        self._leads: dict[tuple[str, ...], Track] = {}
        self._groups: list[_Group] = []

    def claims(self) -> Iterable[Observation]:
        """Return the claims that take part; none = not told."""
        if len(self._story.claims) == 1:
            ((group, count),) = self._story.claims.items()
            if group != ANY_KIND and len(kinds_of(group)) == 1:
                if count == 1:
                    return self._of_one_kind(self._heard.of(group))
                if self._story.counts_alone:
                    return self._of_a_crowd(group, count)
        for group, count in self._story.claims.items():
            ways = tuple(_ways(group, self._rule))
            self._groups.append(_Group(count, set[str]().union(*map(self._heard.makers, ways)), ways))
        if not self._are_enough([group.makers for group in self._groups]):
            return ()
        for way in (way for group in self._groups for way in group.ways):
            makers = self._heard.makers(way)
            self._leads[way] = Track([one for one in self._heard.of(way[0]).claims if one.witness_id in makers])
        part: dict[str, Observation] = {}
        for centre in self._centres().values():
            part |= {one.observation_id: one for one in self._around(centre)}
        return part.values()

    def _of_one_kind(self, track: Track) -> Iterable[Observation]:
        """Return the claims that take part where one claim of one kind is all that is asked for."""
        part: dict[str, Observation] = {}
        for centre in track.claims:
            near = [one for one in track.around(centre, self._apart_ms) if self._near(one, centre)]
            if near and self.holds(near, centre):
                part |= {one.observation_id: one for one in near}
        return part.values()

    def _of_a_crowd(self, kind: str, count: int) -> Iterable[Observation]:
        """Return the claims that take part where so many witnesses of one kind are all that is asked for."""
        crowds, key = self._heard.crowds, (kind, count, self._apart_ms, self._nearness)
        if key not in crowds:
            crowds[key] = Crowd(self._nearness, self._apart_ms, count)
        return crowds[key].part(self._heard.of(kind))

    def _centres(self) -> dict[str, Observation]:
        """Return what the story may be told around: claims near those of its rarest group in place and time, by id."""
        leads = [[one for way in group.ways for one in self._leads[way].claims] for group in self._groups]
        rarest = min(leads, key=len)
        tracks = [self._heard.of(kind) for kind in {way[0] for way in self._leads}]
        return {
            one.observation_id: one
            for lead in rarest
            for track in tracks
            for one in track.around(lead, self._apart_ms)
            if self._near(lead, one)
        }

    def _around(self, centre: Observation) -> Iterable[Observation]:
        """Return the claims that take part around one; none if the story is not told there."""
        found: list[Set[str]] = []
        for group in self._groups:
            makers = set[str]().union(*(self._made(way, centre) for way in group.ways))
            if len(makers) < group.count:
                return ()
            found.append(makers)
        if not self._are_enough(found):
            return ()
        parts = [
            [one for way in group.ways for one in self._part(way, makers, centre)]
            for group, makers in zip(self._groups, found, strict=True)
        ]
        if self._story.sequence:
            parts = in_sequence(parts, [group.count for group in self._groups])
            if not self._are_enough([{one.witness_id for one in part} for part in parts]):
                return ()
        claims = {one.observation_id: one for part in parts for one in part}
        repeated = self._repeated(found, centre)
        return claims.values() if self.holds(canonical(claims.values()), centre, repeated) else ()

    def is_about(self, one: Observation) -> bool:
        """Tell whether a claim takes part in what is told around it."""
        return self._near(one, one)

    def _are_enough(self, makers: Sequence[Set[str]]) -> bool:
        """Tell whether every group can have its witnesses; of a rule by device all groups have the same one."""
        counted = [(some, group.count) for some, group in zip(makers, self._groups, strict=True)]
        if self._one_witness:
            return all(len(some) >= count for some, count in counted)
        return enough(counted)

    def holds(self, claims: Sequence[Observation], centre: Observation, repeated: Set[str] = frozenset()) -> bool:
        """Tell whether claims in canonical order last, repeat, are more than usual and stay alone as the story asks.

        repeated: ids of those that say again what somebody had said; they put off nothing that is waited for.
        """
        story, last_ms = self._story, claims[-1].at_ms
        if story.holds_s is not None and last_ms - claims[0].at_ms < story.holds_s * 1000:
            return False
        if story.episodes is not None and episodes_in(claims, story.episodes.apart_s * 1000) < story.episodes.count:
            return False
        if story.rate is not None and not self._is_unusual(story.rate, claims, centre):
            return False
        if story.absent is None:
            return True
        return self._is_alone(story.absent, [one for one in claims if one.observation_id not in repeated], centre)

    def _is_unusual(self, rate: Rate, claims: Sequence[Observation], centre: Observation) -> bool:
        """Tell whether claims are at least so many times those that the baseline expects of their kinds."""
        counted = [one for one in claims if one.at_ms > claims[-1].at_ms - rate.over_s * 1000]
        kinds = sorted({one.kind for one in counted})
        usual = [self._heard.circumstances.expected(kind, centre, rate.over_s) for kind in kinds]
        known = [one for one in usual if one is not None]
        return len(known) == len(kinds) and len(counted) >= rate.times * math.fsum(known)

    def _is_alone(self, absent: Absent, claims: Sequence[Observation], centre: Observation) -> bool:
        """Tell whether nothing that has to be absent came, and the time in which it might have come is over."""
        last_ms = claims[-1].at_ms
        until_ms = last_ms + absent.for_s * 1000
        if until_ms > self._heard.circumstances.tick_ms:
            self._heard.wait(until_ms)
            return False
        if absent.own_devices:
            last = {one.device_id: one for one in claims}
            return not any(self._came(absent, one, one.at_ms, until_ms) for one in last.values())
        return not self._came(absent, centre, centre.at_ms if absent.same_device else last_ms, until_ms)

    def _came(self, absent: Absent, around: Observation, after_ms: int, until_ms: int) -> bool:
        """Tell whether what has to be absent came between two times around a claim, or from its device."""
        endings, asked = self._heard.circumstances.endings, (until_ms, absent)
        if asked in endings.over.get(around.observation_id, ()):
            return True
        reach_m = self._reach_m if absent.distance_m is None else absent.distance_m
        same_device = absent.same_device or absent.own_devices
        came = endings.first(absent.kinds, around, reach_m, after_ms, until_ms, same_device=same_device) is not None
        if came:
            endings.over.setdefault(around.observation_id, set()).add(asked)
        return came

    def _made(self, way: tuple[str, ...], centre: Observation) -> Set[str]:
        """Return who made the claims of a way near `centre`."""
        made = {one.witness_id for one in self._leads[way].around(centre, self._apart_ms) if self._near(one, centre)}
        for kind in way[1:]:
            made = {each for each in made if any(self._near(one, centre) for one in self._heard.by(each, kind))}
        return made

    def _repeated(self, found: Sequence[Set[str]], centre: Observation) -> Set[str]:
        """Return the claims of "b" of "a+b" but the first of each witness, which may come at any time."""
        if self._story.absent is None:
            return frozenset()
        again: set[str] = set()
        for group, makers in zip(self._groups, found, strict=True):
            for kind in (kind for way in group.ways for kind in way[1:]):
                for witness_id in makers:
                    near = [one.observation_id for one in self._heard.by(witness_id, kind) if self._near(one, centre)]
                    again.update(near[1:])
        leads = (track.around(centre, self._apart_ms) for track in self._leads.values() if again)
        return again - {one.observation_id for track in leads for one in track}

    def _part(self, way: tuple[str, ...], makers: Set[str], centre: Observation) -> Iterator[Observation]:
        """Yield the claims of a way by those who take part."""
        for one in self._leads[way].around(centre, self._apart_ms):
            if one.witness_id in makers and self._near(one, centre):
                yield one
        for kind in way[1:]:
            for witness_id in makers:
                for one in self._heard.by(witness_id, kind):
                    if self._near(one, centre):
                        yield one


def enough(groups: Sequence[tuple[Set[str], int]]) -> bool:
    """Tell whether each group can have its count of witnesses with none counted twice (Hall's condition)."""
    for size in range(1, len(groups) + 1):
        for some in combinations(groups, size):
            if len(set[str]().union(*(witnesses for witnesses, _ in some))) < sum(count for _, count in some):
                return False
    return True


def in_sequence(parts: Sequence[Sequence[Observation]], counts: Sequence[int]) -> list[list[Observation]]:
    """Return of the claims of each group those in order: at or after the time at which the group before was complete.

    A group is complete when as many witnesses as it asks for have claimed; never = nothing of the later ones. Claims
    of a group after the last one of the next group do not take part either.
    """
    kept: list[list[Observation]] = []
    from_ms: float = -math.inf
    for part, count in zip(parts, counts, strict=True):
        kept.append([one for one in part if one.at_ms >= from_ms])
        firsts: dict[str, int] = {}
        for one in kept[-1]:
            firsts[one.witness_id] = min(one.at_ms, firsts.get(one.witness_id, one.at_ms))
        from_ms = sorted(firsts.values())[count - 1] if len(firsts) >= count else math.inf
    for earlier, later in zip(reversed(range(len(kept) - 1)), reversed(kept), strict=False):
        until_ms = max((one.at_ms for one in later), default=-math.inf)
        kept[earlier] = [one for one in kept[earlier] if one.at_ms <= until_ms]
    return kept


def episodes_in(claims: Sequence[Observation], apart_ms: int) -> int:
    """Return into how many groups claims in canonical order fall that lie so far apart in time."""
    return 1 + sum(later.at_ms - one.at_ms >= apart_ms for one, later in pairwise(claims))


def _ways(group: str, rule: Rule) -> Iterator[tuple[str, ...]]:
    return ((kind,) for kind in rule.evidence) if group == ANY_KIND else iter((kinds_of(group),))
