"""What a cluster amounts to under its rule: a pure function of its members.

A story is told around a claim of the first kind of one of its groups, when enough witnesses made the claims that the
story asks for, within its distance and time of that claim, no witness counted twice. The evidence is what takes part
in a story that is told; whatever else happened nearby is not evidence.

Score: 1 - product over witnesses of (1 - w), w = the witness's greatest weight x detector score: independent witnesses
each rule out the chance that all of them are wrong (noisy-or), and a witness that repeats itself adds nothing.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from processors.incidents.clusters import Cluster, canonical, distance_m
from processors.incidents.rule_model import ANY_KIND, Rule, Story, kinds_of
from schemas.records import IncidentState, Observation


@dataclass(frozen=True, slots=True)
class Verdict:
    """An incident: SUSPECTED or CONFIRMED, and by what.

    score: 0 to 1. evidence: in the order (at_ms, observation_id).
    """

    state: IncidentState
    score: float
    witnesses: int
    evidence: tuple[Observation, ...]


def judge(cluster: Cluster, rule: Rule) -> Verdict | None:
    """Return what the cluster amounts to; None = no incident."""
    heard = _Heard(cluster)
    confirming = _told(rule.confirmed.any_of, heard, rule)
    telling = [*_told(rule.suspected.any_of, heard, rule), *confirming]
    if not telling:
        return None
    evidence = tuple(canonical({one.observation_id: one for one in telling}.values()))
    score = combined_score(evidence, rule)
    witnesses = len({one.witness_id for one in evidence})
    if score < rule.suspected.score:
        return None
    sure = bool(confirming) and score >= rule.confirmed.score and witnesses >= rule.confirmed.witnesses
    return Verdict(IncidentState.CONFIRMED if sure else IncidentState.SUSPECTED, score, witnesses, evidence)


def fewest_claims(rule: Rule, kinds: Collection[str]) -> float:
    """Return how many claims a cluster of some kinds alone has at least if it is an incident; infinity: it never is."""
    fewest = math.inf
    for stories in (rule.suspected.any_of, rule.confirmed.any_of):
        for story in stories:
            groups = [({*kinds_of(group)} - {ANY_KIND}, count) for group, count in story.claims.items()]
            if all(own.issubset(kinds) for own, _ in groups):
                fewest = min(fewest, sum(max(1, len(own)) * count for own, count in groups))
    return fewest if rule.suspected.any_of and rule.confirmed.any_of else 1


def combined_score(evidence: Iterable[Observation], rule: Rule) -> float:
    """Return the noisy-or over witnesses, rounded to six places so that no order of operations shows."""
    best: dict[str, float] = {}
    for one in evidence:
        best[one.witness_id] = max(best.get(one.witness_id, 0.0), rule.evidence[one.kind] * one.score)
    wrong = 1.0
    for witness in sorted(best):
        wrong *= 1.0 - min(max(best[witness], 0.0), 1.0)
    return round(1.0 - wrong, 6)


class _Track:
    """Claims in canonical order."""

    def __init__(self, claims: Sequence[Observation] = ()) -> None:
        self.claims = claims
        self._at_ms = [one.at_ms for one in claims]

    def around(self, one: Observation, apart_ms: int) -> Sequence[Observation]:
        """Return those up to `apart_ms` before or after another claim."""
        start = bisect_left(self._at_ms, one.at_ms - apart_ms)
        return self.claims[start : bisect_right(self._at_ms, one.at_ms + apart_ms, start)]


class _Heard:
    """The claims of a cluster by kind, and by witness and kind, each in canonical order."""

    def __init__(self, cluster: Cluster) -> None:
        self.all = cluster.members
        self._by: dict[tuple[str, str], list[Observation]] = {}
        of_kind: dict[str, list[Observation]] = {}
        for one in cluster.members:
            of_kind.setdefault(one.kind, []).append(one)
            self._by.setdefault((one.witness_id, one.kind), []).append(one)
        self._tracks = {kind: _Track(claims) for kind, claims in of_kind.items()}
        self._witnesses = {kind: {one.witness_id for one in claims} for kind, claims in of_kind.items()}

    def of(self, kind: str) -> _Track:
        """Return the claims of a kind."""
        return self._tracks.get(kind, _NOTHING)

    def by(self, witness_id: str, kind: str) -> Sequence[Observation]:
        """Return the claims of a kind by one witness."""
        return self._by.get((witness_id, kind), ())

    def makers(self, way: Sequence[str]) -> Set[str]:
        """Return the witnesses that claim all of some kinds."""
        return set.intersection(*(self._witnesses.get(kind, _NOBODY) for kind in way))

    def has(self, group: str, count: int) -> bool:
        """Tell whether so many witnesses claim what a group of a story asks for."""
        return group == ANY_KIND or len(self.makers(kinds_of(group))) >= count


_NOTHING: Final = _Track()
_NOBODY: Final[set[str]] = set()


def _told(stories: Sequence[Story], heard: _Heard, rule: Rule) -> Sequence[Observation]:
    """Return the claims that take part in any of the stories; without stories, all."""
    if not stories:
        return heard.all
    possible = [story for story in stories if all(heard.has(*group) for group in story.claims.items())]
    return [one for story in possible for one in _Telling(story, heard, rule).claims()]


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
        self._reach_m = rule.within.reach_m if story.distance_m is None else story.distance_m
        self._leads: dict[tuple[str, ...], _Track] = {}
        self._groups: list[_Group] = []
        for group, count in story.claims.items():
            ways = tuple(_ways(group, rule))
            self._groups.append(_Group(count, set[str]().union(*map(heard.makers, ways)), ways))

    def claims(self) -> Iterable[Observation]:
        """Return the claims that take part; none = not told."""
        if not enough([(group.makers, group.count) for group in self._groups]):
            return ()
        for way in (way for group in self._groups for way in group.ways):
            makers = self._heard.makers(way)
            self._leads[way] = _Track([one for one in self._heard.of(way[0]).claims if one.witness_id in makers])
        part: dict[str, Observation] = {}
        for centre in self._centres().values():
            part |= {one.observation_id: one for one in self._around(centre)}
        return part.values()

    def _centres(self) -> dict[str, Observation]:
        """Return what the story may be told around: claims at the time of those of its rarest group, by id."""
        leads = [[one for way in group.ways for one in self._leads[way].claims] for group in self._groups]
        rarest = min(leads, key=len)
        tracks = [self._heard.of(kind) for kind in {way[0] for way in self._leads}]
        near = (track.around(lead, self._apart_ms) for lead in rarest for track in tracks)
        return {one.observation_id: one for some in near for one in some}

    def _around(self, centre: Observation) -> Iterable[Observation]:
        """Return the claims that take part around one; none if too few witnesses made theirs near it."""
        found = []
        for group in self._groups:
            makers = set[str]().union(*(self._made(way, centre) for way in group.ways))
            if len(makers) < group.count:
                return ()
            found.append((makers, group.count))
        if not enough(found):
            return ()
        return [
            one
            for group, (makers, _) in zip(self._groups, found, strict=True)
            for way in group.ways
            for one in self._part(way, makers, centre)
        ]

    def _made(self, way: tuple[str, ...], centre: Observation) -> Set[str]:
        """Return who made the claims of a way near `centre`."""
        made = {one.witness_id for one in self._leads[way].around(centre, self._apart_ms) if self._near(one, centre)}
        for kind in way[1:]:
            made = {each for each in made if any(self._near(one, centre) for one in self._heard.by(each, kind))}
        return made

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

    def _near(self, one: Observation, centre: Observation) -> bool:
        return distance_m(one, centre) <= self._reach_m


def enough(groups: Sequence[tuple[Set[str], int]]) -> bool:
    """Tell whether each group can have its count of witnesses with none counted twice (Hall's condition)."""
    for size in range(1, len(groups) + 1):
        for some in combinations(groups, size):
            if len(set[str]().union(*(witnesses for witnesses, _ in some))) < sum(count for _, count in some):
                return False
    return True


def _ways(group: str, rule: Rule) -> Iterator[tuple[str, ...]]:
    return ((kind,) for kind in rule.evidence) if group == ANY_KIND else iter((kinds_of(group),))
