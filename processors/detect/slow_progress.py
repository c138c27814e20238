"""Slow progress: a vehicle creeps along a street far below what is usual on that segment."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import FloatArray, IntArray
from processors.detect.findings import found
from processors.detect.lookback import Lookback, distance_m
from processors.domain import Findings
from processors.marks import SLOW
from processors.normal_speeds import SEGMENT_M
from processors.tracks import Track
from processors.vehicle_words import VehicleWord, read_word

REPORTS: Final = 5
"""Reports over which the mean is taken, the last of them the record itself; one more says whether it is new."""


@dataclass(frozen=True, slots=True)
class SlowProgressRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    share: float = 0.4
    within_ms: int = 180_000
    least_m: float = 40.0
    """who has come no further stands"""


def slow_progress(track: Track, look: Lookback, rule: SlowProgressRule) -> Findings:
    """Return where vehicles begin to creep, with the share of the usual speed, about "line/direction/segment".

    All of five reports within three minutes are slow, and the way from the first to the last of them takes less than
    `share` of the usual speed. Who stands the whole time has not crept. Again on another segment. The score rises from
    0.5 at `share` to 0.8 at 0.
    """
    look = look.take((look.marks[:REPORTS] & SLOW != 0).all(axis=0))
    share = _shares(track, look.row, rule)
    look, share = look.take(~np.isnan(share)), share[~np.isnan(share)]
    longer = look.marks[REPORTS] & SLOW != 0
    before = _shares(track, look.row - longer, rule)
    segments = [_segment(track, row) for row in look.row.tolist()]
    same = [_segment(track, row) == segment for row, segment in zip(look.row - longer, segments, strict=True)]
    new = np.flatnonzero(~(longer & np.array(same, bool) & ~np.isnan(before)))
    value = share[new]
    score = 0.8 - 0.3 * value / rule.share
    return found("slow_progress", look.row[new], score, value, [segments[one] for one in new.tolist()])


def _shares(track: Track, row: IntArray, rule: SlowProgressRule) -> FloatArray:
    """Return the share of the usual speed over the reports up to each of n rows, NaN where one is not slow."""
    first = row - REPORTS + 1
    took_ms, came_m = track.at_ms[row] - track.at_ms[first], distance_m(track, row, first)
    share = np.full(len(row), np.nan)
    some = np.flatnonzero((took_ms <= rule.within_ms) & (came_m > rule.least_m))
    normal_mps = np.array([_word(track, one).normal_cm_s / 100.0 for one in row[some].tolist()], np.float64)
    known = np.round(came_m[some] * 1000.0 / took_ms[some] / normal_mps, 3)
    slow = known < rule.share
    share[some[slow]] = known[slow]
    return share


def _segment(track: Track, row: int) -> str:
    return f"{_word(track, row).way}/{int(track.columns['along_m'][row] / SEGMENT_M)}"


def _word(track: Track, row: int) -> VehicleWord:
    return read_word(track.texts["word"].text(row))
