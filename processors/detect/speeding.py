"""Speeding: a vehicle above the limit of its class or of its zone for three reports running."""

from dataclasses import dataclass

import numpy as np

from processors.detect.episodes import edges
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import Lookback
from processors.domain import Findings
from processors.marks import FAST
from processors.tracks import Track
from processors.vehicle_words import read_words


@dataclass(frozen=True, slots=True)
class SpeedingRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet. The limit itself is the city's."""

    begins: int = 3
    ends: int = 2


def speeding(track: Track, look: Lookback, rule: SpeedingRule) -> Findings:
    """Return where speeding begins, with the m/s above the limit, and where it is over.

    The score rises from 0.6 at the limit to 0.9 at 10 m/s above it.
    """
    begins, ends = edges(look, FAST, rule.begins, rule.ends)
    row = look.row[begins]
    limit_kmh = np.array([word.limit_kmh for word in read_words(track.texts["word"], row)], np.float64)
    above_mps = track.columns["speed_cm_s"][row] / 100.0 - limit_kmh / 3.6
    return together([
        found("speeding", row, np.minimum(0.9, 0.6 + 0.03 * above_mps), above_mps),
        found("speed_normal", look.row[ends], END_SCORE),
    ])  # fmt: skip
