"""Four reports: Linear Road's stopped vehicle with GPS, by positions alone, whatever speeds are told.

Linear Road's position is a lane, a place and a direction; here it is a circle that holds four fixes of GPS noise. Stops
are left out, which its expressway has not. processors/detect/linear_road.py has the rule as the benchmark tells it.
"""

from dataclasses import dataclass

import numpy as np

from processors.batches import IntArray
from processors.detect.findings import END_SCORE, found
from processors.detect.linear_road import STOPPED_REPORTS
from processors.detect.lookback import RUN_GAP_MS, distance_m, follows
from processors.domain import Findings
from processors.marks import AT_STOP, FORBIDDEN
from processors.tracks import Track


@dataclass(frozen=True, slots=True)
class FourReportsRule:
    """Thresholds; their sources are in docs/thresholds.md#linear-road."""

    position_m: float = 35.0
    run_gap_ms: int = RUN_GAP_MS
    silence_ms: int = 240_000


def stopped_vehicles(track: Track, row: IntArray, rule: FourReportsRule) -> Findings:
    """Return where among n rows a vehicle reports for the fourth time running from one position, away from stops.

    Once a run: the report before the four does not begin four such reports (score 0.6), or there is none within
    `run_gap_ms` (0.5).
    """
    row = _stood(track, row, rule)
    first = row - STOPPED_REPORTS + 1
    before = np.maximum(first - 1, 0)
    elsewhere = (distance_m(track, _four(row)[1:], before) > rule.position_m).any(axis=0)
    came = follows(track, row, STOPPED_REPORTS) & (track.at_ms[first] - track.at_ms[before] <= rule.run_gap_ms)
    at_stop = (_four_marks(track, row) & AT_STOP != 0).any(axis=0)
    new = (~came | elsewhere) & ~at_stop
    return found("stationary_vehicle", row[new], np.where(came, 0.6, 0.5)[new])


def gone(track: Track, row: IntArray, rule: FourReportsRule) -> Findings:
    """Return where among n rows a vehicle reports from elsewhere, at most `silence_ms` after four from one position.

    Away from stops, or where it may not stand.
    """
    row = row[follows(track, row, STOPPED_REPORTS)]
    row = row[track.at_ms[row] - track.at_ms[row - 1] <= rule.silence_ms]
    row = row[distance_m(track, row, row - STOPPED_REPORTS) > rule.position_m]
    row = _stood(track, row - 1, rule)
    marks = _four_marks(track, row)
    matters = (marks & AT_STOP == 0).all(axis=0) | (marks[0] & FORBIDDEN != 0)
    return found("moved_on", row[matters] + 1, END_SCORE)


def _stood(track: Track, row: IntArray, rule: FourReportsRule) -> IntArray:
    """Return the rows that end four reports of one vehicle, without a silence, from the position of the first."""
    row = row[follows(track, row, STOPPED_REPORTS - 1)]
    four = _four(row)
    at_ms = track.at_ms[four]
    near = (distance_m(track, four[:-1], four[-1]) <= rule.position_m).all(axis=0)
    soon = np.asarray((at_ms[:-1] - at_ms[1:] <= rule.run_gap_ms).all(axis=0))
    return row[near & soon]


def _four(row: IntArray) -> IntArray:
    """Return rows (4, n): each one and the three before it."""
    return np.asarray(row - np.arange(STOPPED_REPORTS)[:, None])


def _four_marks(track: Track, row: IntArray) -> IntArray:
    return np.asarray(track.columns["marks"][_four(row)])
