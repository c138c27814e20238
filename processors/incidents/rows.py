"""Rows of incident_log: one a revision."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from processors.incidents.decisions import decided
from processors.rows import Columns, texts
from schemas.records import Decision, IncidentChange
from schemas.tables import INCIDENT_LOG

_TEXT: Final = {column.name for column in INCIDENT_LOG.columns if column.dtype in ("utf8", "list")}


def log_columns(changes: Sequence[IncidentChange], source_offset: int) -> Columns:
    """Return n revisions as columns; source_offset: of the block that completed their ticks."""
    rows = [_row(change, source_offset) for change in changes]
    return {
        column.name: texts([str(row[index]) for row in rows])
        if column.name in _TEXT
        else np.array([row[index] for row in rows], dtype=column.dtype)
        for index, column in enumerate(INCIDENT_LOG.columns)
    }


def _row(change: IncidentChange, source_offset: int) -> tuple[int | float | str, ...]:
    """Return one row, in the order of the table's columns."""
    one = change.incident
    decision = decided(one.actions)
    return (
        source_offset,
        change.tick_ms,
        one.incident_id,
        one.revision,
        change.change.value,
        one.kind,
        one.state.value,
        one.severity.value,
        int(one.provisional),
        one.opened_at_ms,
        one.last_evidence_at_ms,
        one.latitude_deg,
        one.longitude_deg,
        one.unit_code,
        one.unit_name,
        one.place,
        one.score,
        one.witnesses,
        _list(dict.fromkeys(line.line_id for line in one.lines)),
        _list(one.stop_ids),
        _list(evidence.observation_id for evidence in one.evidence),
        _list(evidence.kind for evidence in one.evidence),
        _list(one.replaces),
        one.merged_into,
        _list(change.reasons),
        one.rule_id,
        one.rules_version,
        int(one.exercise),
        "" if decision is None else decision.decision.value,
        "" if decision is None else decision.operator,
        next((each.operator for each in one.actions if each.decision is Decision.ACKNOWLEDGE), ""),
        _list(each.action_id for each in one.actions),
        one.assigned_to,
    )


def _list(items: Iterable[str]) -> str:
    return "\n".join(items)
