"""The difference between the incidents of two runs: what only one of them has, and what both have but not alike.

Provisional incidents are left out: they depend on what was stalled. So are `replaces`, which names them, and the
versions of rules and city, which say how an incident came about and not what it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import Incident, IncidentChange
from streams import topics
from streams.log_facts import read_changes
from streams.reading import reading
from streams.registry import load_codec
from streams.settings import Settings

NOT_COMPARED: Final = frozenset({"replaces", "rules_version", "city_version", "provisional"})
LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class FoundIncident:
    """An incident that only one run has, as of the end of the span."""

    incident_id: str
    kind: str
    state: str
    opened_at_ms: int
    place: str


@dataclass(frozen=True, slots=True)
class ChangedIncident:
    """An incident of both runs and the names of the fields that differ."""

    incident_id_a: str
    incident_id_b: str
    kind: str
    fields: tuple[str, ...]


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


def standing_at(changes: Iterable[IncidentChange], from_ms: int, to_ms: int) -> list[Incident]:
    """Return the incidents opened by a tick from `from_ms` to `to_ms`, each as of `to_ms`, by id."""
    latest: dict[str, Incident] = {}
    opened: set[str] = set()
    for change in changes:
        incident = change.incident
        if incident.provisional or change.tick_ms > to_ms:
            continue
        if incident.revision == 1 and change.tick_ms >= from_ms:
            opened.add(incident.incident_id)
        known = latest.get(incident.incident_id)
        if known is None or incident.revision > known.revision:
            latest[incident.incident_id] = incident
    return [latest[incident_id] for incident_id in sorted(opened)]


def compare(before: Sequence[Incident], after: Sequence[Incident]) -> Comparison:
    """Match two lists of incidents, by id and then by kind and largest shared evidence, and tell what differs."""
    by_id = {one.incident_id: one for one in after}
    pairs = [(one, by_id[one.incident_id]) for one in before if one.incident_id in by_id]
    same = {one.incident_id for one, _ in pairs}
    lost = {one.incident_id: one for one in before if one.incident_id not in same}
    added = {one.incident_id: one for one in after if one.incident_id not in same}
    for _, incident_id, other_id in sorted(_shared(lost.values(), added.values())):
        if incident_id in lost and other_id in added:
            pairs.append((lost.pop(incident_id), added.pop(other_id)))
    changed = [
        ChangedIncident(one.incident_id, other.incident_id, one.kind, differing)
        for one, other in pairs
        if (differing := _differing(one, other))
    ]
    return Comparison(
        added=tuple(_found(one) for one in added.values()),
        lost=tuple(_found(one) for one in lost.values()),
        changed=tuple(sorted(changed, key=lambda one: one.incident_id_a)),
    )


def render_diff(diff: Diff) -> RenderableType:
    """Return the difference as a table for a terminal."""
    told = (
        f"{diff.compared} incidents of {diff.run_a} against {diff.run_b}: {diff.added} added, {diff.lost} lost, "
        f"{diff.changed} changed"
    )
    parts: list[RenderableType] = [Text(told)]
    if diff.conflicts:
        parts.append(Text(f"{diff.conflicts} revisions were published with two contents", style="red"))
    if diff.added or diff.lost or diff.changed:
        table = Table("", "incident", "kind", "what")
        for sign, found in (("added", diff.items.added), ("lost", diff.items.lost)):
            for one in found:
                table.add_row(sign, one.incident_id, one.kind, f"{one.state}, {one.place}")
        for both in diff.items.changed:
            table.add_row("changed", both.incident_id_a, both.kind, ", ".join(both.fields))
        parts.append(table)
    return Group(*parts)


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


def _differing(one: Incident, other: Incident) -> tuple[str, ...]:
    names = [field.name for field in fields(Incident) if field.name not in NOT_COMPARED]
    values = ((name, getattr(one, name), getattr(other, name)) for name in names)
    return tuple(name for name, left, right in values if left != right and repr(left) != repr(right))  # NaN is like NaN


def _found(incident: Incident) -> FoundIncident:
    return FoundIncident(
        incident.incident_id, incident.kind, str(incident.state), incident.opened_at_ms, incident.place
    )
