"""How well incidents agree with the ground truth: found, missed, false, and how fast."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.geo import haversine_m
from processors.score_bounds import BOUNDS, FOLLOWS, FOLLOWS_M, FOLLOWS_S, MOMENT, Bounds, told_s
from schemas.records import IncidentChange, IncidentState, Truth


@dataclass(frozen=True, slots=True)
class KindScore:
    """One kind: how many truths there were, how many were detected, how many incidents were false.

    median_time_to_detect_s: from the truth to the tick of the first revision; None = nothing detected.
    not_judged: truths that were not detected, but the run ended before they had to be.
    """

    truth: int
    detected: int
    false: int
    median_time_to_detect_s: float | None
    not_judged: int = 0

    @property
    def missed(self) -> int:
        """How many truths should have been detected and were not."""
        return self.truth - self.detected - self.not_judged


@dataclass(frozen=True, slots=True)
class _Opening:
    """A first revision: when, where and on which lines an incident came to be known."""

    tick_ms: int
    latitude_deg: float
    longitude_deg: float
    line_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Detection:
    """The incident that a truth is detected by: how far from it and how long after it that opened, and its id."""

    distance_m: float
    delay_ms: int
    case_id: str


@dataclass(frozen=True, slots=True)
class Detections:
    """Of one kind: the truths by id, which of them were detected, and the ids of the incidents that were false.

    explained: the ids of further incidents that are not false: they came of a truth again, or follow from another one.
    """

    truths: Mapping[str, Truth]
    detected: Mapping[str, Detection]
    false: tuple[str, ...]
    explained: tuple[str, ...] = ()


def score(
    truths: Sequence[Truth], changes: Sequence[IncidentChange], end_ms: int | None = None
) -> dict[str, KindScore]:
    """Score the incidents of a run against its truths, by kind, in the order of their names.

    end_ms: of the run; what was not detected by then and began less than `told_s` of its kind before is not judged.
    None = all truths are.

    A truth is detected when an incident of its kind opens within the bounds of the kind (a crash: within 200 m, at
    most 120 s after it, at most 30 s before), one to one: as many truths as possible, each with the nearest incident
    that this leaves it. A provisional incident and the ordered one that replaces it are one, and so are an incident
    and those merged into it; it counts as opened at its earliest opening that fits. Withdrawn incidents and exercises
    count for nothing, nor do those explained: of a lasting kind another one of the same truth, or what follows from a
    truth of another kind. All others are false. Repeated changes change nothing.
    Source of the bounds: the project's definition of a detected truth (docs/simulator.md#scoring).
    """
    return {kind: _score_kind(kind, found, end_ms) for kind, found in detections(truths, changes).items()}


def detections(truths: Sequence[Truth], changes: Sequence[IncidentChange]) -> dict[str, Detections]:
    """Return by kind which truths were detected, and by which incidents; `score` says when one is."""
    cases = _cases([change for change in changes if not change.incident.exercise])
    kinds = sorted({truth.kind for truth in truths} | {kind for kind, _ in cases})
    by_kind: dict[str, dict[str, Truth]] = {}
    for truth in truths:
        by_kind.setdefault(truth.kind, {})[truth.truth_id] = truth
    return {
        kind: _detections(
            kind, by_kind, {case_id: openings for (one, case_id), openings in cases.items() if one == kind}
        )
        for kind in kinds
    }


def _detections(
    kind: str, by_kind: Mapping[str, Mapping[str, Truth]], cases: Mapping[str, Sequence[_Opening]]
) -> Detections:
    truths, bounds = by_kind.get(kind, {}), BOUNDS.get(kind, MOMENT)
    fitting = {truth_id: _matches(truth, cases, bounds) for truth_id, truth in truths.items()}
    detected = _one_to_one(fitting)
    taken = {one.case_id for one in detected.values()}
    explained = {match.case_id for found in fitting.values() for match in found} if bounds.lasting else set()
    wider = replace(bounds, within_m=max(bounds.within_m, FOLLOWS_M), after_s=FOLLOWS_S, lasting=True)
    for cause in sorted(FOLLOWS.get(kind, ())):
        for truth in by_kind.get(cause, {}).values():
            explained |= {match.case_id for match in _matches(truth, cases, wider)}
    explained -= taken
    false = cases.keys() - taken - explained
    return Detections(truths, detected, tuple(sorted(false)), tuple(sorted(explained)))


def _score_kind(kind: str, found: Detections, end_ms: int | None) -> KindScore:
    judged_ms = math.inf if end_ms is None else end_ms - told_s(kind) * 1000
    open_ = [truth for name, truth in found.truths.items() if name not in found.detected]
    delays_s = [one.delay_ms / 1000 for one in found.detected.values()]
    return KindScore(
        truth=len(found.truths),
        detected=len(found.detected),
        false=len(found.false),
        median_time_to_detect_s=statistics.median(delays_s) if delays_s else None,
        not_judged=sum(truth.at_ms > judged_ms for truth in open_),
    )


def _matches(truth: Truth, cases: Mapping[str, Sequence[_Opening]], bounds: Bounds) -> list[Detection]:
    """List the cases that may be a truth's detection, nearest first."""
    from_ms = truth.at_ms - bounds.before_s * 1000
    until_ms = (max(truth.ends_at_ms, truth.at_ms) if bounds.lasting else truth.at_ms) + bounds.after_s * 1000
    found = []
    for case_id, openings in cases.items():
        fitting = []
        for opening in openings:
            if not from_ms <= opening.tick_ms <= until_ms:
                continue
            away_m = float(
                haversine_m(truth.latitude_deg, truth.longitude_deg, opening.latitude_deg, opening.longitude_deg)
            )
            if _is_there(truth, opening, away_m, bounds):
                fitting.append((opening.tick_ms - truth.at_ms, away_m))
        if fitting:
            found.append(Detection(min(away_m for _, away_m in fitting), min(fitting)[0], case_id))
    return sorted(found, key=lambda match: (match.distance_m, match.delay_ms, match.case_id))


def _is_there(truth: Truth, opening: _Opening, away_m: float, bounds: Bounds) -> bool:
    """Tell whether an opening is about the truth's lines; where either names none, whether it is near enough."""
    if bounds.by_line and truth.line_ids and opening.line_ids:
        return not opening.line_ids.isdisjoint(truth.line_ids)
    return away_m <= bounds.within_m


def _one_to_one(matches: Mapping[str, Sequence[Detection]]) -> dict[str, Detection]:
    """Give as many truths as possible a case of their own (augmenting paths), nearest pairs first."""
    holder: dict[str, str] = {}
    chosen: dict[str, Detection] = {}

    def find(truth_id: str, tried: set[str]) -> bool:
        for match in matches[truth_id]:
            if match.case_id in tried:
                continue
            tried.add(match.case_id)
            if match.case_id not in holder or find(holder[match.case_id], tried):
                holder[match.case_id] = truth_id
                chosen[truth_id] = match
                return True
        return False

    hopeful = [truth_id for truth_id, found in matches.items() if found]
    for truth_id in sorted(hopeful, key=lambda one: (matches[one][0].distance_m, one)):
        find(truth_id, set())
    return chosen


def _cases(changes: Iterable[IncidentChange]) -> dict[tuple[str, str], list[_Opening]]:
    """Gather the openings of every case that stands: by kind and the id of the incident that all of it came to."""
    first: dict[str, IncidentChange] = {}
    last: dict[str, IncidentChange] = {}
    for change in changes:
        incident = change.incident
        if incident.incident_id not in first or incident.revision < first[incident.incident_id].incident.revision:
            first[incident.incident_id] = change
        if incident.incident_id not in last or incident.revision > last[incident.incident_id].incident.revision:
            last[incident.incident_id] = change
    became = {name: change.incident.merged_into for name, change in last.items() if change.incident.merged_into}
    became |= {old: name for name, change in last.items() for old in change.incident.replaces if old in last}
    withdrawn = {name for name, change in last.items() if change.incident.state is IncidentState.WITHDRAWN}
    cases: dict[tuple[str, str], list[_Opening]] = {}
    for name in sorted(first):
        case_id = _end(name, became)
        if case_id in withdrawn or (case_id not in last and name in withdrawn):
            continue
        opened = first[name]
        place = opened.incident
        kind = last[case_id].incident.kind if case_id in last else place.kind
        lines = frozenset(line.line_id for line in place.lines)
        opening = _Opening(opened.tick_ms, place.latitude_deg, place.longitude_deg, lines)
        cases.setdefault((kind, case_id), []).append(opening)
    return cases


def _end(name: str, became: Mapping[str, str]) -> str:
    """Follow merges and replacements to the incident they lead to; a circle ends where it closes."""
    seen = {name}
    while (following := became.get(name)) is not None and following not in seen:
        seen.add(following)
        name = following
    return name
