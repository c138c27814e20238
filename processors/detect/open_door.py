"""Open door: a vehicle moves with a door open for two reports running."""

from dataclasses import dataclass

from processors.detect.episodes import edges
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import Lookback
from processors.domain import Findings
from processors.marks import DOOR


@dataclass(frozen=True, slots=True)
class OpenDoorRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    begins: int = 2
    ends: int = 1
    score: float = 0.7


def open_doors(look: Lookback, rule: OpenDoorRule) -> Findings:
    """Return where vehicles move with a door open, and where they stand or have shut it."""
    begins, ends = edges(look, DOOR, rule.begins, rule.ends)
    return together([
        found("door_open_moving", look.row[begins], rule.score),
        found("door_shut", look.row[ends], END_SCORE),
    ])  # fmt: skip
