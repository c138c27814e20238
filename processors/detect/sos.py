"""SOS: the driver's emergency button is on."""

from dataclasses import dataclass

from processors.detect.episodes import edges
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import Lookback
from processors.domain import Findings
from processors.marks import SOS


@dataclass(frozen=True, slots=True)
class SosRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    begins: int = 1
    ends: int = 2
    score: float = 0.8


def sos(look: Lookback, rule: SosRule) -> Findings:
    """Return where the button goes on, and where it has been off twice running."""
    begins, ends = edges(look, SOS, rule.begins, rule.ends)
    return together([
        found("sos", look.row[begins], rule.score),
        found("sos_over", look.row[ends], END_SCORE),
    ])  # fmt: skip
