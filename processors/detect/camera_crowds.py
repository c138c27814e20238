"""Crowds: many persons in one view at one instant, counted by their tracks, and a view that fills up quickly."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, DetectionBatch, FloatArray, IntArray
from processors.detect.camera_kinds import CLAIM_RULES, NAMES
from processors.detect.camera_looks import Looks
from processors.key_blocks import SlotArray
from processors.tracks import Track

PERSON: Final = len(CLAIM_RULES)
"""The claim of an everyday detection of a person: none by itself."""

PERSON_CLASSES: Final = frozenset({"person", "pedestrian"})
CROWD: Final = NAMES["crowd"]
CROWD_SURGE: Final = NAMES["crowd_surge"]


@dataclass(frozen=True, slots=True)
class CrowdRule:
    """Thresholds; their sources are in docs/thresholds.md#camera.

    A view is crowded from `persons` on. It surges when there are `growth` times as many as in the mean of the frames
    from `surge_ms` to half of that before. The score rises from `score` at `persons` to `top_score` at `top`.
    """

    persons: int = 25
    confidence: float = 0.5
    growth: float = 2.0
    surge_ms: int = 120_000
    top: int = 75
    score: float = 0.5
    top_score: float = 0.9


CROWD_RULE: Final = CrowdRule()


def are_crowded(batch: DetectionBatch, claim: IntArray, rule: CrowdRule) -> BoolArray:
    """Tell which of n detections, of those claims, are of a person in a frame with a crowd.

    A frame of which another part came before is of no concern here: the history looks at all of it then.
    """
    crowded = np.zeros(len(batch), bool)
    person = np.flatnonzero((claim == PERSON) & (batch.confidence >= rule.confidence))
    if len(person) < rule.persons:
        return crowded
    frames = list(
        zip(batch.camera_id[person].tolist(), batch.kind[person].tolist(), batch.at_ms[person].tolist(), strict=True)
    )
    persons = Counter(frames)
    crowded[person] = [persons[frame] >= rule.persons for frame in frames]
    return crowded


def crowds_of(track: Track, rule: CrowdRule) -> tuple[Looks, IntArray]:
    """Return the frames with a crowd and those of a surge as looks, and how many persons (n,) each shows.

    The history has one record for each track of a frame, so records are persons.
    """
    row = np.flatnonzero((track.columns["claim"] == PERSON) & (track.columns["confidence"] >= rule.confidence))
    slot, at_ms = track.slot[row], track.at_ms[row]
    begins = np.ones(len(row), bool)
    begins[1:] = (np.diff(at_ms) != 0) | (np.diff(slot) != 0)
    first = np.flatnonzero(begins)
    persons = np.diff(np.append(first, len(row)))
    crowded = persons >= rule.persons
    surging = crowded & (persons >= rule.growth * _earlier(slot[first], at_ms[first], persons, rule))
    frame = np.concatenate([np.flatnonzero(crowded), np.flatnonzero(surging)])
    shows = row[first[frame]]
    claim = np.repeat([CROWD, CROWD_SURGE], [np.count_nonzero(crowded), np.count_nonzero(surging)])
    score = _score(persons[frame], rule)
    return Looks(shows, track.slot[shows], track.at_ms[shows], claim, score), persons[frame]


def _earlier(slot: SlotArray, at_ms: IntArray, persons: IntArray, rule: CrowdRule) -> FloatArray:
    """Return the mean number of persons (n,) in the frames of the surge time before, infinite where there is none."""
    span = int(at_ms.max(initial=0)) - int(at_ms.min(initial=0)) + 2 * rule.surge_ms + 1
    time = at_ms - int(at_ms.min(initial=0)) + slot.astype(np.int64) * span
    start = np.searchsorted(time, time - rule.surge_ms)
    end = np.searchsorted(time, time - rule.surge_ms // 2, side="right")
    total = np.concatenate([[0], np.cumsum(persons)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(end > start, (total[end] - total[start]) / (end - start), np.inf)


def _score(persons: IntArray, rule: CrowdRule) -> FloatArray:
    share = np.minimum(1.0, (persons - rule.persons) / (rule.top - rule.persons))
    return np.asarray(rule.score + (rule.top_score - rule.score) * share)
