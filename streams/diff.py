"""The difference between the incidents of two runs: what only one of them has, and what both have but not alike.

Provisional incidents are left out: they depend on what was stalled. So are `replaces`, which names them, and the
versions of rules and city, which say how an incident came about and not what it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final

from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import Evidence, Incident, IncidentChange
from streams import topics
from streams.log_facts import read_changes
from streams.reading import reading
from streams.registry import load_codec
from streams.settings import Settings

NOT_COMPARED: Final = frozenset({"replaces", "rules_version", "city_version", "provisional"})
LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class FoundIncident:
    """An incident that only one run has, as of the end of the span; because: the reasons of its last revision."""

    incident_id: str
    kind: str
    state: str
    opened_at_ms: int
    place: str
    because: tuple[str, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that differs and what both runs say; `evidence` is told apart."""

    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class EvidenceChange:
    """A piece of evidence that both runs have but judge differently."""

    before: Evidence
    after: Evidence


@dataclass(frozen=True, slots=True)
class ChangedIncident:
    """An incident of both runs: the names of the fields that differ, from what to what, and by which evidence.

    because_a, because_b: the reasons of its last revision in each run. Time and place are those of run A.
    """

    incident_id_a: str
    incident_id_b: str
    kind: str
    fields: tuple[str, ...]
    opened_at_ms: int
    place: str
    changes: tuple[FieldChange, ...]
    evidence_added: tuple[Evidence, ...]
    evidence_lost: tuple[Evidence, ...]
    evidence_changed: tuple[EvidenceChange, ...]
    because_a: tuple[str, ...]
    because_b: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One revision that one run published with two contents; must never happen."""

    run: str
    incident_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, from run A to run B."""

    added: tuple[FoundIncident, ...]
    lost: tuple[FoundIncident, ...]
    changed: tuple[ChangedIncident, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """Counts and items; a replay of the same log with the same rules has zeros everywhere.

    compared: incidents that run A opened within the span.
    """

    run_a: str
    run_b: str
    from_ms: int
    to_ms: int
    compared: int
    added: int
    lost: int
    changed: int
    conflicts: int
    items: Comparison
    conflicting: tuple[Conflict, ...]

    @property
    def empty(self) -> bool:
        """Tell whether both runs say the same."""
        return not (self.added or self.lost or self.changed or self.conflicts)


def diff_runs(settings: Settings, run_a: str, run_b: str, from_ms: int, to_ms: int, codec: Codec | None = None) -> Diff:
    """Compare the incidents that two runs ("" = live) opened from `from_ms` to `to_ms` (ticks), as of `to_ms`.

    codec: None = that of the registry. Raises UsageError when a run has no topics, Retryable when Kafka is not there.
    """
    codec = codec or load_codec(settings)
    found: list[list[IncidentChange]] = []
    conflicts: list[Conflict] = []
    for run in (run_a, run_b):
        try:
            with reading(settings.with_run(run, run)) as log:
                facts, twice = read_changes(codec, log, {}, log.end([topics.CHANGES]))
        except UsageError as error:
            raise UsageError(f"there is no run {run or LIVE!r}: Kafka has no incident changes of it") from error
        found.append([fact.change for fact in facts])
        conflicts += [Conflict(run or LIVE, incident_id, revision) for incident_id, revision in twice]
    before = standing_at(found[0], from_ms, to_ms)
    items = compare(before, standing_at(found[1], from_ms, to_ms))
    return Diff(
        run_a=run_a or LIVE,
        run_b=run_b or LIVE,
        from_ms=from_ms,
        to_ms=to_ms,
        compared=len(before),
        added=len(items.added),
        lost=len(items.lost),
        changed=len(items.changed),
        conflicts=len(conflicts),
        items=items,
        conflicting=tuple(conflicts),
    )


def standing_at(changes: Iterable[IncidentChange], from_ms: int, to_ms: int) -> list[IncidentChange]:
    """Return the last revision as of `to_ms` of each incident opened by a tick from `from_ms` to `to_ms`, by id."""
    latest: dict[str, IncidentChange] = {}
    opened: set[str] = set()
    for change in changes:
        incident = change.incident
        if incident.provisional or change.tick_ms > to_ms:
            continue
        if incident.revision == 1 and change.tick_ms >= from_ms:
            opened.add(incident.incident_id)
        known = latest.get(incident.incident_id)
        if known is None or incident.revision > known.incident.revision:
            latest[incident.incident_id] = change
    return [latest[incident_id] for incident_id in sorted(opened)]


def compare(before: Sequence[IncidentChange], after: Sequence[IncidentChange]) -> Comparison:
    """Match the last revisions of two runs, by id and then by kind and largest shared evidence; tell what differs."""
    by_id = {one.incident.incident_id: one for one in after}
    pairs = [(one, by_id[one.incident.incident_id]) for one in before if one.incident.incident_id in by_id]
    same = {one.incident.incident_id for one, _ in pairs}
    lost = {one.incident.incident_id: one for one in before if one.incident.incident_id not in same}
    added = {one.incident.incident_id: one for one in after if one.incident.incident_id not in same}
    shared = _shared([one.incident for one in lost.values()], [one.incident for one in added.values()])
    for _, incident_id, other_id in sorted(shared):
        if incident_id in lost and other_id in added:
            pairs.append((lost.pop(incident_id), added.pop(other_id)))
    changed = [found for one, other in pairs if (found := _changed(one, other)) is not None]
    return Comparison(
        added=tuple(_found(one) for one in added.values()),
        lost=tuple(_found(one) for one in lost.values()),
        changed=tuple(sorted(changed, key=lambda one: one.incident_id_a)),
    )


def _shared(lost: Iterable[Incident], added: Iterable[Incident]) -> list[tuple[int, str, str]]:
    """Return (minus shared evidence, id, other id) of every pair of a kind that shares any."""
    candidates = [(one, {part.observation_id for part in one.evidence}) for one in added]
    found: list[tuple[int, str, str]] = []
    for one in lost:
        evidence = {part.observation_id for part in one.evidence}
        for other, other_evidence in candidates:
            common = len(evidence & other_evidence) if other.kind == one.kind else 0
            if common:
                found.append((-common, one.incident_id, other.incident_id))
    return found


def _changed(change: IncidentChange, other_change: IncidentChange) -> ChangedIncident | None:
    """Return what differs between two revisions; None = nothing that counts."""
    one, other = change.incident, other_change.incident
    names = [field.name for field in fields(Incident) if field.name not in NOT_COMPARED]
    values = ((name, getattr(one, name), getattr(other, name)) for name in names)
    differing = [FieldChange(*found) for found in values if _unlike(found[1], found[2])]
    if not differing:
        return None
    before = {part.observation_id: part for part in one.evidence}
    after = {part.observation_id: part for part in other.evidence}
    both = [EvidenceChange(before[name], after[name]) for name in before if name in after]
    return ChangedIncident(
        one.incident_id,
        other.incident_id,
        one.kind,
        tuple(found.field for found in differing),
        one.opened_at_ms,
        one.place,
        tuple(found for found in differing if found.field != "evidence"),
        evidence_added=tuple(part for name, part in after.items() if name not in before),
        evidence_lost=tuple(part for name, part in before.items() if name not in after),
        evidence_changed=tuple(pair for pair in both if _unlike(pair.before, pair.after)),
        because_a=change.reasons,
        because_b=other_change.reasons,
    )


def _unlike(left: object, right: object) -> bool:
    return left != right and repr(left) != repr(right)  # NaN is like NaN


def _found(change: IncidentChange) -> FoundIncident:
    one = change.incident
    return FoundIncident(
        one.incident_id, one.kind, str(one.state), one.opened_at_ms, one.place, change.reasons, one.evidence
    )
