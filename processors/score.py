"""How well incidents agree with the ground truth: found, missed, false, and how fast."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from processors.geo import haversine_m
from schemas.records import IncidentChange, IncidentState, Truth

WITHIN_M: Final = 200.0
WITHIN_MS: Final = 120_000
BEFORE_MS: Final = 30_000
"""An incident may open this long before its truth: fast clocks put evidence early."""


@dataclass(frozen=True, slots=True)
class KindScore:
    """One kind: how many truths there were, how many were detected, how many incidents were false.

    median_time_to_detect_s: from the truth to the tick of the first revision; None = nothing detected.
    """

    truth: int
    detected: int
    false: int
    median_time_to_detect_s: float | None


@dataclass(frozen=True, slots=True)
class _Opening:
    """A first revision: when and where an incident came to be known."""

    tick_ms: int
    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True)
class Detection:
    """The incident that a truth is detected by: how far from it and how long after it that opened, and its id."""

    distance_m: float
    delay_ms: int
    case_id: str


@dataclass(frozen=True, slots=True)
class Detections:
    """Of one kind: the truths by id, which of them were detected, and the ids of the incidents that were false."""

    truths: Mapping[str, Truth]
    detected: Mapping[str, Detection]
    false: tuple[str, ...]


def score(truths: Sequence[Truth], changes: Sequence[IncidentChange]) -> dict[str, KindScore]:
    """Score the incidents of a run against its truths, by kind, in the order of their names.

    A truth is detected when an incident of its kind opens within 200 m of it and at most 120 s after it (and at most
    30 s before), one to one: as many truths as possible, each with the nearest incident that this leaves it.
    A provisional incident and the ordered one that replaces it are one, and so are an incident and those merged into
    it; it counts as opened at its earliest opening that fits. Withdrawn incidents and exercises count for nothing. All
    others are false. Repeated changes change nothing.
    Source of the bounds: the project's definition of a detected truth (docs/simulator.md#scoring).
    """
    return {kind: _score_kind(found) for kind, found in detections(truths, changes).items()}


def detections(truths: Sequence[Truth], changes: Sequence[IncidentChange]) -> dict[str, Detections]:
    """Return by kind which truths were detected, and by which incidents; `score` says when one is."""
    cases = _cases([change for change in changes if not change.incident.exercise])
    kinds = sorted({truth.kind for truth in truths} | {kind for kind, _ in cases})
    return {
        kind: _detections(
            {truth.truth_id: truth for truth in truths if truth.kind == kind},
            {case_id: openings for (case_kind, case_id), openings in cases.items() if case_kind == kind},
        )
        for kind in kinds
    }


def _detections(truths: Mapping[str, Truth], cases: Mapping[str, Sequence[_Opening]]) -> Detections:
    detected = _one_to_one({truth_id: _matches(truth, cases) for truth_id, truth in truths.items()})
    taken = {one.case_id for one in detected.values()}
    return Detections(truths, detected, tuple(sorted(cases.keys() - taken)))


def _score_kind(found: Detections) -> KindScore:
    delays_s = [one.delay_ms / 1000 for one in found.detected.values()]
    return KindScore(
        truth=len(found.truths),
        detected=len(found.detected),
        false=len(found.false),
        median_time_to_detect_s=statistics.median(delays_s) if delays_s else None,
    )


def _matches(truth: Truth, cases: Mapping[str, Sequence[_Opening]]) -> list[Detection]:
    """List the cases that may be a truth's detection, nearest first."""
    found = []
    for case_id, openings in cases.items():
        fitting = []
        for opening in openings:
            delay_ms = opening.tick_ms - truth.at_ms
            away_m = float(
                haversine_m(truth.latitude_deg, truth.longitude_deg, opening.latitude_deg, opening.longitude_deg)
            )
            if -BEFORE_MS <= delay_ms <= WITHIN_MS and away_m <= WITHIN_M:
                fitting.append((delay_ms, away_m))
        if fitting:
            found.append(Detection(min(away_m for _, away_m in fitting), min(fitting)[0], case_id))
    return sorted(found, key=lambda match: (match.distance_m, match.delay_ms, match.case_id))


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
        opening = _Opening(opened.tick_ms, place.latitude_deg, place.longitude_deg)
        cases.setdefault((kind, case_id), []).append(opening)
    return cases


def _end(name: str, became: Mapping[str, str]) -> str:
    """Follow merges and replacements to the incident they lead to; a circle ends where it closes."""
    seen = {name}
    while (following := became.get(name)) is not None and following not in seen:
        seen.add(following)
        name = following
    return name
