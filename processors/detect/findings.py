"""Findings of several detectors as one."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.domain import Findings

END_SCORE: Final = 1.0
"""How sure an end is: it is no evidence of anything, it only says that something is over."""


def found(
    kind: str,
    row: IntArray,
    score: FloatArray | float,
    value: FloatArray | None = None,
    subject: Sequence[str] | None = None,
) -> Findings:
    """Return the findings of one kind at n rows; see Findings."""
    rows = len(row)
    return Findings(
        row=row,
        kind=(kind,) * rows,
        score=np.full(rows, score) if isinstance(score, float) else score,
        value=np.zeros(rows) if value is None else value,
        subject=("",) * rows if subject is None else tuple(subject),
    )


def together(several: Sequence[Findings]) -> Findings:
    """Return all of at least one, one after the other."""
    return Findings(
        row=np.concatenate([one.row for one in several]),
        kind=tuple(kind for one in several for kind in one.kind),
        score=np.concatenate([one.score for one in several]),
        value=np.concatenate([np.zeros(len(one.row)) if one.value is None else one.value for one in several]),
        subject=tuple(
            subject for one in several for subject in (("",) * len(one.row) if one.subject is None else one.subject)
        ),
    )


def of_kind(found: Findings, kind: str) -> Findings:
    """Return those of one kind."""
    return chosen(found, np.array([one == kind for one in found.kind], bool))


def chosen(found: Findings, which: BoolArray) -> Findings:
    """Return some of n findings: which (n,)."""
    place = which.nonzero()[0]
    places = place.tolist()
    return Findings(
        row=found.row[place],
        kind=tuple(found.kind[one] for one in places),
        score=found.score[place],
        value=None if found.value is None else found.value[place],
        subject=None if found.subject is None else tuple(found.subject[one] for one in places),
    )
