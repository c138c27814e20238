"""Stop passage: a vehicle comes to another stop of its own line than the one where its record before was."""

from typing import Final

import numpy as np

from processors.batches import IntArray
from processors.detect.findings import found
from processors.detect.lookback import RUN_GAP_MS, follows
from processors.domain import Findings
from processors.marks import ODD_STOP, OWN_STOP, STOPPED, direction_of
from processors.tracks import Track
from processors.vehicle_words import read_words

_PLACE = OWN_STOP | ODD_STOP
SCORE: Final = 0.9


def stop_passages(track: Track, row: IntArray) -> Findings:
    """Return where among n rows vehicles come to stops, about "line/direction/stop/trip"; the trip may be empty.

    A vehicle that stood at a stop and still stands does not come to another one. After a silence of two minutes it
    is not known where a vehicle was, so that it may come to the same stop again.
    """
    marks = track.columns["marks"]
    row = row[marks[row] & OWN_STOP != 0]
    behind = follows(track, row, 1)
    before = (row - 1).clip(0)
    behind &= track.at_ms[row] - track.at_ms[before] <= RUN_GAP_MS
    behind &= marks[before] & OWN_STOP != 0
    stays = behind & ((marks[row] ^ marks[before]) & (_PLACE | STOPPED) == 0) & (marks[row] & STOPPED != 0)
    row, behind = row[~stays], behind[~stays]
    direction = direction_of(marks[row]).tolist()
    came, subjects = np.zeros(len(row), bool), []
    here, there = read_words(track.texts["word"], row), read_words(track.texts["word"], (row - 1).clip(0))
    for place, (word, last, had, way) in enumerate(zip(here, there, behind.tolist(), direction, strict=True)):
        came[place] = not had or last.stop_id != word.stop_id
        if came[place]:
            subjects.append(f"{word.line_id}/{way}/{word.stop_id}/{word.trip_id}")
    return found("stop_passage", row[came], SCORE, subject=subjects)
