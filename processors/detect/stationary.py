"""Stationary vehicle: one that stands where vehicles do not stop, or where its class may not; and that it moved on."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, IntArray
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import RUN_GAP_MS, distance_m, follows
from processors.domain import Findings
from processors.marks import AT_STOP, FORBIDDEN, MOVING, STOPPED, UNKNOWN_SPEED, MarkArray
from processors.tracks import Track
from processors.vehicle_words import read_words

REPORTS: Final = 4
"""Linear Road: a vehicle is stopped after four reports at one position."""


@dataclass(frozen=True, slots=True)
class StationaryRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    run_gap_ms: int = RUN_GAP_MS
    standing_radius_m: float = 35.0
    moved_m: float = 50.0
    silence_ms: int = 240_000
    forbidden_score: float = 0.7


def stationary_vehicles(track: Track, row: IntArray, rule: StationaryRule) -> Findings:
    """Return where among n rows a vehicle reports for the fourth time from one position.

    Once a run: the report before the four, if it is at most `run_gap_ms` older, does not begin four such reports. With
    none of the four at a stop it is a stationary vehicle; the score is 0.6 when there is such a report (it came and
    stopped), 0.5 otherwise. In a zone where its class may not stop it is a forbidden stop besides, about that zone. A
    speed that is known must be low. Source: docs/thresholds.md#fleet.
    """
    marks = track.columns["marks"]
    row = row[row >= REPORTS - 1]
    row = row[(_all(marks, row) & STOPPED != 0) & _matters(marks[row])]
    first = row - REPORTS + 1
    before = np.maximum(first - 1, 0)
    came = follows(track, row, REPORTS) & (track.at_ms[first] - track.at_ms[before] <= rule.run_gap_ms)
    new = ~came | (marks[before] & STOPPED == 0)
    rest = (~new).nonzero()[0]  # noise may put any of them elsewhere: only four from one position were looked at
    new[rest] = (distance_m(track, _four(row[rest])[1:], before[rest]) > rule.standing_radius_m).any(axis=0)
    row, came = row[new], came[new]
    stands = _from_one_position(track, row, rule)
    row, came = row[stands], came[stands]
    away = _any(marks, row) & AT_STOP == 0
    forbidden = row[marks[row] & FORBIDDEN != 0]
    zones = [word.zone_id for word in read_words(track.texts["word"], forbidden)]
    return together([
        found("stationary_vehicle", row[away], np.where(came, 0.6, 0.5)[away]),
        found("forbidden_stop", forbidden, rule.forbidden_score, subject=zones),
    ])  # fmt: skip


def moved_on(track: Track, row: IntArray, rule: StationaryRule) -> Findings:
    """Return where among n rows a vehicle that stood for four reports runs or is elsewhere.

    Between standing and running lies a hysteresis: who creeps, or is off by the noise of GPS, still stands. So does
    who seems to be at a stop in the last report alone. Who tells that it stood and that it runs is believed, wherever
    noise puts it: a run that is claimed and not ended is a vehicle that stands for ever.
    Source: docs/thresholds.md#fleet.
    """
    marks = track.columns["marks"]
    row = row[row >= REPORTS]
    row = row[(_any(marks, row - 1) & MOVING == 0) & (_matters(marks[row - 1]) | _matters(marks[row - 2]))]
    row = row[follows(track, row, REPORTS) & (track.at_ms[row] - track.at_ms[row - 1] <= rule.silence_ms)]
    runs = marks[row] & MOVING != 0
    runs[~runs] = distance_m(track, row[~runs], row[~runs] - REPORTS) > rule.moved_m
    row, by_speed = row[runs], (marks[row] & MOVING != 0)[runs]
    stood = _from_one_position(track, row - 1, rule) | (by_speed & _stood_by_speed(track, row - 1, rule))
    return found("moved_on", row[stood], END_SCORE)


def _all(marks: MarkArray, row: IntArray) -> MarkArray:
    """Return the marks that all of four records have, of which the rows are the last."""
    return np.asarray(marks[row] & marks[row - 1] & marks[row - 2] & marks[row - 3])


def _any(marks: MarkArray, row: IntArray) -> MarkArray:
    """Return the marks that any of four records has, of which the rows are the last."""
    return np.asarray(marks[row] | marks[row - 1] | marks[row - 2] | marks[row - 3])


def _matters(marks: MarkArray) -> BoolArray:
    """Tell which marks are of a place where it matters that a vehicle stands."""
    return np.asarray((marks & AT_STOP == 0) | (marks & FORBIDDEN != 0))


def _stood_by_speed(track: Track, row: IntArray, rule: StationaryRule) -> BoolArray:
    """Tell of which rows (n,) the four records up to them are of one vehicle, without a silence, and tell a speed."""
    known = track.columns["speed_cm_s"][_four(row)] != UNKNOWN_SPEED
    return np.asarray(_is_one_run(track, row, rule) & known.all(axis=0))


def _from_one_position(track: Track, row: IntArray, rule: StationaryRule) -> BoolArray:
    """Tell of which rows (n,) the four records up to them are of one vehicle, without a silence, from one position."""
    run = _four(row)
    near = (distance_m(track, run[:-1], run[-1]) <= rule.standing_radius_m).all(axis=0)
    return np.asarray(_is_one_run(track, row, rule) & near)


def _is_one_run(track: Track, row: IntArray, rule: StationaryRule) -> BoolArray:
    at_ms = track.at_ms[_four(row)]
    return np.asarray(follows(track, row, REPORTS - 1) & (at_ms[:-1] - at_ms[1:] <= rule.run_gap_ms).all(axis=0))


def _four(row: IntArray) -> IntArray:
    """Return rows (4, n): each one and the three before it."""
    return np.asarray(row - np.arange(REPORTS)[:, None])
