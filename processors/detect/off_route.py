"""Off route: a vehicle away from the line that it tells, twice running; back when twice running it is on it."""

from dataclasses import dataclass

import numpy as np

from processors.detect.episodes import edges
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import Lookback
from processors.domain import Findings
from processors.marks import OFF_LINE
from processors.tracks import Track


@dataclass(frozen=True, slots=True)
class OffRouteRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet. From where on a record is off is a mark's matter."""

    begins: int = 2
    ends: int = 2
    near_m: float = 60.0
    far_m: float = 200.0


def off_route(track: Track, look: Lookback, rule: OffRouteRule) -> Findings:
    """Return where vehicles leave their line, with the metres from it, and where they are back.

    The score rises from 0.6 at `near_m` to 0.9 at `far_m`.
    """
    begins, ends = edges(look, OFF_LINE, rule.begins, rule.ends)
    row = look.row[begins]
    off_m = track.columns["along_m"][row].astype(np.float64)
    share = (off_m - rule.near_m) / (rule.far_m - rule.near_m)
    return together([
        found("off_route", row, 0.6 + 0.3 * np.clip(share, 0.0, 1.0), off_m),
        found("back_on_route", look.row[ends], END_SCORE),
    ])  # fmt: skip
