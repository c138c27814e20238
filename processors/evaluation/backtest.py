"""Another set of rules against the live ones, kind by kind: over recorded observations, or over simulated days."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from processors.evaluation.report import Evaluation
from processors.score import Detections, detections
from schemas.records import IncidentChange, IncidentState, Truth


@dataclass(frozen=True, slots=True)
class RulesFigures:
    """How one set of rules did. median_s: time to detect, None = nothing detected."""

    detected: int
    false: int
    median_s: float | None


@dataclass(frozen=True, slots=True)
class KindComparison:
    """One kind. truths: how much truly happened, or how many incidents the live rules have."""

    kind: str
    truths: int
    live: RulesFigures
    other: RulesFigures


NOTHING = RulesFigures(0, 0, None)


def compare_evaluations(live: Evaluation, other: Evaluation) -> tuple[KindComparison, ...]:
    """Return what two sets of rules made of the same simulated days."""
    mine = {
        one.kind: (one.detected.of, RulesFigures(one.detected.count, one.false, one.median_s)) for one in live.kinds
    }
    others = {
        one.kind: (one.detected.of, RulesFigures(one.detected.count, one.false, one.median_s)) for one in other.kinds
    }
    return tuple(
        KindComparison(
            kind,
            max(mine.get(kind, (0, NOTHING))[0], others.get(kind, (0, NOTHING))[0]),
            mine.get(kind, (0, NOTHING))[1],
            others.get(kind, (0, NOTHING))[1],
        )
        for kind in sorted(mine.keys() | others.keys())
    )


def compare_changes(
    truths: Sequence[Truth], live: Sequence[IncidentChange], other: Sequence[IncidentChange]
) -> tuple[KindComparison, ...]:
    """Return what two sets of rules made of the same observations, held against truths."""
    mine, others = detections(truths, live), detections(truths, other)
    counted = {kind: len(one.truths) for found in (mine, others) for kind, one in found.items()}
    return tuple(
        KindComparison(kind, counted[kind], _figures(mine.get(kind)), _figures(others.get(kind)))
        for kind in sorted(counted)
    )


def as_truths(changes: Iterable[IncidentChange]) -> list[Truth]:
    """Return the incidents that stand at the end as if they were what truly happened, from their first revision on."""
    first: dict[str, IncidentChange] = {}
    last: dict[str, IncidentState] = {}
    for change in changes:
        first.setdefault(change.incident.incident_id, change)
        last[change.incident.incident_id] = change.incident.state
    return [
        Truth(
            at_ms=change.tick_ms,
            latitude_deg=change.incident.latitude_deg,
            longitude_deg=change.incident.longitude_deg,
            truth_id=name,
            kind=change.incident.kind,
        )
        for name, change in first.items()
        if last[name] is not IncidentState.WITHDRAWN and not change.incident.exercise
    ]


def opened_between(changes: Sequence[IncidentChange], from_ms: int, to_ms: int) -> list[IncidentChange]:
    """Return the revisions up to a tick of the incidents that opened from another one on."""
    opened: Mapping[str, int] = {
        change.incident.incident_id: change.tick_ms for change in reversed(changes) if change.tick_ms <= to_ms
    }
    return [one for one in changes if one.tick_ms <= to_ms and opened[one.incident.incident_id] >= from_ms]


def _figures(found: Detections | None) -> RulesFigures:
    if found is None:
        return NOTHING
    delays_s = [one.delay_ms / 1000 for one in found.detected.values()]
    return RulesFigures(len(delays_s), len(found.false), statistics.median(delays_s) if delays_s else None)
