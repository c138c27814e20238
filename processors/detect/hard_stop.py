"""Hard stop: a vehicle that ran a moment ago stands, away from a stop of its own line."""

from dataclasses import dataclass

import numpy as np

from processors.batches import IntArray
from processors.detect.findings import found
from processors.detect.lookback import follows
from processors.domain import Findings
from processors.marks import MOVING, OWN_STOP, STOPPED, UNKNOWN_SPEED
from processors.tracks import Track


@dataclass(frozen=True, slots=True)
class HardStopRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    braking_from_mps: float = 8.0
    braking_gap_ms: int = 15_000
    braking_ms: int = 20_000


def hard_stops(track: Track, row: IntArray, rule: HardStopRule) -> Findings:
    """Return the hard stops among n rows; the score rises with the mean deceleration from 0.3 to 0.9 at 6 m/s².

    Who reports while it brakes ran one report earlier. A speed that is unknown is never a finding.
    Source: docs/thresholds.md#fleet.
    """
    speed_cm_s, marks = track.columns["speed_cm_s"], track.columns["marks"]
    row = row[(marks[row] & (STOPPED | OWN_STOP) == STOPPED) & (speed_cm_s[row] != UNKNOWN_SPEED)]
    row = row[follows(track, row, 1)]
    from_cm_s = rule.braking_from_mps * 100.0
    brakes = (marks[row - 1] & MOVING != 0) & (speed_cm_s[row - 1] < from_cm_s) & follows(track, row, 2)
    ran = row - 1 - brakes
    near = (track.at_ms[row] - track.at_ms[row - 1] <= rule.braking_gap_ms) & (
        track.at_ms[row - 1] - track.at_ms[ran] <= rule.braking_gap_ms
    )
    gap_ms, before = track.at_ms[row] - track.at_ms[ran], speed_cm_s[ran].astype(np.int64)
    hard = near & (gap_ms <= rule.braking_ms) & (before >= from_cm_s) & (before != UNKNOWN_SPEED)
    row, gap_s, lost_mps = row[hard], gap_ms[hard] / 1000.0, (before[hard] - speed_cm_s[row[hard]]) / 100.0
    return found("hard_stop", row, np.minimum(0.9, 0.3 + 0.1 * lost_mps / gap_s))
