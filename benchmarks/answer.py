"""The task's answer in one canonical form: last position a vehicle, count and mean speed a line and minute.

Whole numbers only (millionths of a degree, millimetres a second), sorted, hashed: equal answers have equal digests.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import numpy as np

from benchmarks.fleet import Positions

MINUTE_MS: Final = 60_000

Last = Mapping[str, tuple[int, float, float]]
"""vehicle id -> at_ms, latitude_deg, longitude_deg of its last position."""
Minutes = Mapping[tuple[str, int], tuple[int, float]]
"""(line id, minute since 1970) -> how many positions, sum of their speeds in m/s."""


def digest(last: Last, minutes: Minutes) -> str:
    """Return the digest of an answer."""
    rows = [
        f"{vehicle} {at_ms} {round(latitude * 1e6)} {round(longitude * 1e6)}"
        for vehicle, (at_ms, latitude, longitude) in last.items()
    ]
    sums = [
        f"{line} {minute} {count} {round(speed * 1000)} {round(speed / count * 1000)}"
        for (line, minute), (count, speed) in minutes.items()
    ]
    return sha256("\n".join([*sorted(rows), "", *sorted(sums)]).encode()).hexdigest()[:16]


def reference(positions: Positions) -> str:
    """Return the digest of the right answer, computed from what was generated."""
    count = len(positions)
    vehicles, newest = np.unique(positions.vehicle[::-1], return_index=True)
    newest = count - 1 - newest
    last = {
        positions.vehicle_ids[vehicle]: (at_ms, latitude, longitude)
        for vehicle, at_ms, latitude, longitude in zip(
            vehicles.tolist(),
            positions.at_ms[newest].tolist(),
            positions.latitude_deg[newest].tolist(),
            positions.longitude_deg[newest].tolist(),
            strict=True,
        )
    }
    groups = np.stack([positions.line, positions.at_ms // MINUTE_MS])
    found, group = np.unique(groups, axis=1, return_inverse=True)
    group = group.ravel()
    counts = np.bincount(group).tolist()
    speeds = np.bincount(group, weights=positions.speed_mps).tolist()
    minutes = {
        (positions.line_ids[line], minute): (counts[at], speeds[at])
        for at, (line, minute) in enumerate(found.T.tolist())
    }
    return digest(last, minutes)
