"""Recorded input: the ticks it needs, and what was found in it, in words."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from processors.batches import IntArray
from processors.detect.camera_kinds import CLAIM_RULES, NO_CLAIM, claim_of
from processors.sources.contract import InputRecord
from schemas.records import CameraDetection, Heartbeat, SensorReading, VehiclePosition

NEAR_TICK_MS: Final = 10_000
NEAR_MS: Final = 60_000
FAR_TICK_MS: Final = 60_000
FAR_MS: Final = 40 * 60_000
"""Longer than the lateness bound and the correlation horizon of 30 minutes together."""

SHOWN_KINDS: Final = 8
_DETECTIONS: Final = "detections of "


def tick_times(at_ms: IntArray) -> IntArray:
    """Return the ticks (strictly increasing, epoch ms) that records of those times need.

    Every 10 s from a record until a minute after it, then every minute until 40 minutes after it, so that all it
    can lead to is resolved and closed; none where the recording is silent for longer. A tick stands behind every
    record of its own time or before.
    """
    near = np.unique(-(-at_ms // NEAR_TICK_MS))[:, None] + np.arange(NEAR_MS // NEAR_TICK_MS + 1)
    far = np.unique(-(-at_ms // FAR_TICK_MS))[:, None] + np.arange(FAR_MS // FAR_TICK_MS + 1)
    return np.union1d(near * NEAR_TICK_MS, far * FAR_TICK_MS)


def counted(records: Iterable[InputRecord]) -> dict[str, int]:
    """Return how many there are of each sort, most first."""
    return dict(Counter(sort_of(record) for record in records).most_common())


def counts_in_words(counts: Mapping[str, int]) -> list[str]:
    """Say what was found, and which kinds of detections no rule reads."""
    listed = [f"{what} {number:,}" for what, number in counts.items()]
    more = f" and {len(listed) - SHOWN_KINDS} more" if len(listed) > SHOWN_KINDS else ""
    words = [f"found: {', '.join(listed[:SHOWN_KINDS])}{more}"]
    kinds = {what.removeprefix(_DETECTIONS) for what in counts if what.startswith(_DETECTIONS)}
    if kinds and all(claim_of(kind) == NO_CLAIM for kind in kinds):
        words.append(
            f"no detection is of a kind that claims something ({', '.join(rule.name for rule in CLAIM_RULES)}): "
            "these are kept and counted, and an incident follows from them only where many persons are in one view "
            "or a vehicle stands where it may not"
        )
    return words


def sort_of(record: InputRecord) -> str:
    """Return what a record is counted as: positions, heartbeats, `detections of K`, `readings of Q`."""
    match record:
        case VehiclePosition():
            return "positions"
        case CameraDetection():
            return f"{_DETECTIONS}{record.kind}"
        case SensorReading():
            return f"readings of {record.quantity}"
        case Heartbeat():
            return "heartbeats"
