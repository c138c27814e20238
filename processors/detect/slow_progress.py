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
from processors.vehicle_words import read_words

REPORTS: Final = 5
"""Reports over which the mean is taken, the last of them the record itself; one more says whether it is new."""


@dataclass(frozen=True, slots=True)
class SlowProgressRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    share: float = 0.4
    within_ms: int = 180_000
    least_m: float = 40.0
    """who has come no further stands"""
    least_mps: float = 0.5
    """who tells less on the average stands, wherever the noise of GPS puts it"""


def slow_progress(track: Track, look: Lookback, rule: SlowProgressRule) -> Findings:
    """Return where vehicles begin to creep, with the share of the usual speed, about "line/direction/segment".

    All of five reports within three minutes are slow, and the way from the first to the last of them takes less than
    `share` of the usual speed. Who stands the whole time, or tells so, has not crept. Again on another segment.
    The score rises from 0.5 at `share` to 0.8 at 0.
    """
    look = look.take((look.marks[:REPORTS] & SLOW != 0).all(axis=0))
    share = _shares(track, look.row, rule)
    look, share = look.take(~np.isnan(share)), share[~np.isnan(share)]
    new = look.marks[REPORTS] & SLOW == 0
    again = (~new).nonzero()[0]
    crept = ~np.isnan(_shares(track, look.row[again] - 1, rule))
    new[again[~crept]] = True
    again = again[crept]
    row = look.row[again]
    moved = zip(_segments(track, row), _segments(track, row - 1), strict=True)
    new[again] = [here != there for here, there in moved]
    row, value = look.row[new], share[new]
    return found("slow_progress", row, 0.8 - 0.3 * value / rule.share, value, _segments(track, row))


def _shares(track: Track, row: IntArray, rule: SlowProgressRule) -> FloatArray:
    """Return the share of the usual speed over the reports up to each of n rows, NaN where one is not slow."""
    first = row - REPORTS + 1
    took_ms, came_m = track.at_ms[row] - track.at_ms[first], distance_m(track, row, first)
    share = np.full(len(row), np.nan)
    told_cm_s = track.columns["speed_cm_s"][row - np.arange(REPORTS)[:, None]].mean(axis=0)
    creeps = (came_m > rule.least_m) & (told_cm_s >= 100.0 * rule.least_mps)
    some = np.flatnonzero((took_ms <= rule.within_ms) & creeps)
    words = read_words(track.texts["word"], row[some])
    normal_mps = np.array([word.normal_cm_s / 100.0 for word in words], np.float64)
    known = np.round(came_m[some] * 1000.0 / took_ms[some] / normal_mps, 3)
    slow = known < rule.share
    share[some[slow]] = known[slow]
    return share


def _segments(track: Track, row: IntArray) -> list[str]:
    """Return the segments that n rows are on, as "line/direction/segment"."""
    places = zip(read_words(track.texts["word"], row), track.columns["along_m"][row].tolist(), strict=True)
    return [f"{word.way}/{int(along_m / SEGMENT_M)}" for word, along_m in places]
