"""Wrong way: a vehicle drives against the direction of its line for three reports running."""

from dataclasses import dataclass

from processors.detect.episodes import edges
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import Lookback
from processors.domain import Findings
from processors.marks import AGAINST


@dataclass(frozen=True, slots=True)
class WrongWayRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet. What is against is a mark's matter."""

    begins: int = 3
    ends: int = 2
    score: float = 0.6


def wrong_way(look: Lookback, rule: WrongWayRule) -> Findings:
    """Return where vehicles have driven against their direction for three reports, and where they no longer do."""
    begins, ends = edges(look, AGAINST, rule.begins, rule.ends)
    return together([
        found("wrong_way", look.row[begins], rule.score),
        found("right_way", look.row[ends], END_SCORE),
    ])  # fmt: skip
