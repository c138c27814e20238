"""What a cluster amounts to under its rule: a pure function of its members.

A story is told around a claim of the first kind of one of its groups, when enough witnesses made the claims that the
story asks for, within its distance and time of that claim, no witness counted twice. The evidence is what takes part
in a story that is told; whatever else happened nearby is not evidence.

Score: 1 - product over witnesses of (1 - w), w = the witness's greatest weight x detector score: independent witnesses
each rule out the chance that all of them are wrong (noisy-or), and a witness that repeats itself adds nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from processors.incidents.clusters import Cluster, canonical, distance_m
from processors.incidents.rules import ANY_KIND, Rule, Story, kinds_of
from schemas.records import IncidentState, Observation

Tracks = Mapping[tuple[str, str], Sequence[Observation]]
"""(witness, kind) -> its claims in canonical order."""


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
    tracks = _tracks(cluster.members)
    confirming = _told(rule.confirmed.any_of, tracks, cluster, rule)
    telling = [*_told(rule.suspected.any_of, tracks, cluster, rule), *confirming]
    if not telling:
        return None
    evidence = tuple(canonical({one.observation_id: one for one in telling}.values()))
    score = combined_score(evidence, rule)
    witnesses = len({one.witness_id for one in evidence})
    if score < rule.suspected.score:
        return None
    sure = bool(confirming) and score >= rule.confirmed.score and witnesses >= rule.confirmed.witnesses
    return Verdict(IncidentState.CONFIRMED if sure else IncidentState.SUSPECTED, score, witnesses, evidence)


def combined_score(evidence: Iterable[Observation], rule: Rule) -> float:
    """Return the noisy-or over witnesses, rounded to six places so that no order of operations shows."""
    best: dict[str, float] = {}
    for one in evidence:
        best[one.witness_id] = max(best.get(one.witness_id, 0.0), rule.evidence[one.kind] * one.score)
    wrong = 1.0
    for witness in sorted(best):
        wrong *= 1.0 - min(max(best[witness], 0.0), 1.0)
    return round(1.0 - wrong, 6)


def _told(stories: Sequence[Story], tracks: Tracks, cluster: Cluster, rule: Rule) -> list[Observation]:
    """Return the claims that take part in any of the stories; without stories, all."""
    if not stories:
        return list(cluster.members)
    return [one for story in stories for one in _Telling(story, tracks, rule).claims()]


class _Telling:
    """One story held against the claims of one cluster."""

    def __init__(self, story: Story, tracks: Tracks, rule: Rule) -> None:
        self._story, self._tracks = story, tracks
        self._groups = [(tuple(_ways(group, rule)), count) for group, count in story.claims.items()]
        self._apart_ms = story.apart_s * 1000

    def claims(self) -> list[Observation]:
        """Return the claims that take part; none = not told."""
        if not enough([(self._makers(ways), count) for ways, count in self._groups]):
            return []
        kinds = {kind for ways, _ in self._groups for way in ways for kind in way}
        centres = [(centre, found) for centre in self._centres() if (found := self._witnesses(centre)) is not None]
        claims = [one for (_, kind), track in self._tracks.items() if kind in kinds for one in track]
        return [one for one in claims if any(self._part_of(one, *centre) for centre in centres)]

    def _centres(self) -> Iterator[Observation]:
        first = {way[0] for ways, _ in self._groups for way in ways}
        return (one for (_, kind), track in self._tracks.items() if kind in first for one in track)

    def _makers(self, ways: Sequence[tuple[str, ...]]) -> set[str]:
        return {
            witness
            for witness, kind in self._tracks
            if any(kind == way[0] and all((witness, more) in self._tracks for more in way[1:]) for way in ways)
        }

    def _witnesses(self, centre: Observation) -> list[set[str]] | None:
        """Return for every group the witnesses who made its claims near `centre`; None if they are too few."""
        found = []
        for ways, count in self._groups:
            makers = {witness for witness in self._makers(ways) if self._made(witness, ways, centre)}
            found.append((makers, count))
        return [makers for makers, _ in found] if enough(found) else None

    def _made(self, witness: str, ways: Sequence[tuple[str, ...]], centre: Observation) -> bool:
        return any(
            any(self._near(one, centre) for one in self._during(self._tracks.get((witness, way[0]), ()), centre))
            and all(
                any(distance_m(one, centre) <= self._story.distance_m for one in self._tracks.get((witness, kind), ()))
                for kind in way[1:]
            )
            for way in ways
        )

    def _part_of(self, one: Observation, centre: Observation, found: Sequence[set[str]]) -> bool:
        for (ways, _), makers in zip(self._groups, found, strict=True):
            if one.witness_id in makers:
                for way in ways:
                    if one.kind == way[0] and self._near(one, centre):
                        return True
                    if one.kind in way[1:] and distance_m(one, centre) <= self._story.distance_m:
                        return True
        return False

    def _during(self, track: Sequence[Observation], centre: Observation) -> Iterator[Observation]:
        start = bisect_left(track, centre.at_ms - self._apart_ms, key=lambda one: one.at_ms)
        for index in range(start, len(track)):
            if track[index].at_ms > centre.at_ms + self._apart_ms:
                return
            yield track[index]

    def _near(self, one: Observation, centre: Observation) -> bool:
        apart_ms = abs(one.at_ms - centre.at_ms)
        return apart_ms <= self._apart_ms and distance_m(one, centre) <= self._story.distance_m


def enough(groups: Sequence[tuple[set[str], int]]) -> bool:
    """Tell whether each group can have its count of witnesses with none counted twice (Hall's condition)."""
    for size in range(1, len(groups) + 1):
        for some in combinations(groups, size):
            if len(set[str]().union(*(witnesses for witnesses, _ in some))) < sum(count for _, count in some):
                return False
    return True


def _ways(group: str, rule: Rule) -> Iterator[tuple[str, ...]]:
    return ((kind,) for kind in rule.evidence) if group == ANY_KIND else iter((kinds_of(group),))


def _tracks(members: Iterable[Observation]) -> dict[tuple[str, str], list[Observation]]:
    tracks: dict[tuple[str, str], list[Observation]] = {}
    for one in members:
        tracks.setdefault((one.witness_id, one.kind), []).append(one)
    return tracks
