"""Bus lane: a vehicle that is no bus drives along an exclusive lane, for four reports and 200 m."""

from dataclasses import dataclass

import numpy as np

from processors.detect.episodes import edges
from processors.detect.findings import END_SCORE, found, together
from processors.detect.lookback import BACK, Lookback, distance_m
from processors.domain import Findings
from processors.marks import IN_LANE
from processors.tracks import Track


@dataclass(frozen=True, slots=True)
class BusLaneRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet. What is in the lane is a mark's matter."""

    begins: int = 4
    ends: int = 2
    least_m: float = 200.0
    score: float = 0.5


def bus_lane(track: Track, look: Lookback, rule: BusLaneRule) -> Findings:
    """Return where intruders have driven so far along a lane, and where they have left it.

    The distance is a straight line from the first to the last of the reports; who has not come so far at the fourth
    report may have at the fifth.
    """
    begins, ends = edges(look, IN_LANE, rule.begins, rule.ends)
    first = rule.begins - 1
    one_more = (look.marks[: first + 2] & IN_LANE != 0).all(axis=0) & (look.marks[BACK] & IN_LANE == 0)
    fourth, fifth = look.row[begins], look.row[one_more]
    was_near = distance_m(track, fifth - 1, fifth - first - 1) < rule.least_m
    further = distance_m(track, fifth, fifth - first - 1) >= rule.least_m
    fourth = fourth[distance_m(track, fourth, fourth - first) >= rule.least_m]
    return together([
        found("bus_lane_vehicle", np.concatenate([fourth, fifth[was_near & further]]), rule.score),
        found("left_bus_lane", look.row[ends], END_SCORE),
    ])  # fmt: skip
