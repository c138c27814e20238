"""Open door: a vehicle moves with a door open, and the next report says so too."""

from dataclasses import dataclass

import numpy as np

from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import Lookback
from processors.domain import Findings
from processors.marks import DOOR, MOVING


@dataclass(frozen=True, slots=True)
class OpenDoorRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    score: float = 0.7


def open_doors(look: Lookback, rule: OpenDoorRule) -> Findings:
    """Return where a door is still open after a report that moved with it open, and where it is shut or at a stop.

    The report after may stand, at a red light, but not at a stop: there doors open a moment early. Where five records
    back do not tell whether the vehicle ever moved, the end is claimed.
    """
    opened = (look.marks & DOOR) != 0
    moves = opened & ((look.marks & MOVING) != 0)
    lasts = np.zeros_like(opened)
    for step in range(len(opened) - 2, -1, -1):
        lasts[step] = opened[step] & opened[step + 1] & (moves[step + 1] | lasts[step + 1])
    begins = lasts[0] & ~lasts[1]
    ends = ~opened[0] & (lasts[1] | opened[1:].all(axis=0))
    return together([
        found("door_open_moving", look.row[begins], rule.score),
        found("door_shut", look.row[ends], END_SCORE),
    ])  # fmt: skip
