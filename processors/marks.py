"""Marks: what a position says by itself, as bits, worked out from the city once, so that a history can keep it."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray, PositionBatch, SmallArray
from processors.city import City, Located
from processors.streets import CLASSES, NO_STOP
from processors.zones import NO_ZONE
from schemas.records import Switch, VehicleClass

MarkArray = npt.NDArray[np.uint16]

STOPPED: Final = 1 << 0
"""Stands, or its speed is unknown."""
MOVING: Final = 1 << 1
AT_STOP: Final = 1 << 2
"""Near any stop, or at an end of its own line."""
OWN_STOP: Final = 1 << 3
"""At a stop of the line that it tells."""
DOOR: Final = 1 << 4
"""A door is open where it ought not to be: it moves, or is away from stops."""
SOS: Final = 1 << 5
OFF_LINE: Final = 1 << 6
"""Away from the line that it tells."""
AGAINST: Final = 1 << 7
"""Drives against the direction that it tells, where its line does not come back the way that it went."""
FAST: Final = 1 << 8
"""Above the limit."""
IN_LANE: Final = 1 << 9
"""Drives along a lane that is not for it."""
FORBIDDEN: Final = 1 << 10
"""Stands where its class may not."""
SLOW: Final = 1 << 11
"""Far slower than is usual there, and not at a stop."""
ODD_STOP: Final = 1 << 12
"""With OWN_STOP: of two stops one after the other one is."""
RESTS: Final = 1 << 15
"""Need not say soon where it is: its ignition is off, or it stands and does not tell that its ignition is on."""
DIRECTION: Final = 13
"""The shift of two bits: the direction along its own line plus 1, 0 = unknown."""

LASTING: Final = DOOR | SOS | OFF_LINE | AGAINST | FAST | IN_LANE
"""What is claimed when it begins and when it ends."""

UNKNOWN_SPEED: Final = 65_535
FAR_ALONG: Final = 65_535
"""An offset that is unknown, or too far to keep."""

_ON: Final = list(Switch).index(Switch.ON)
_OFF: Final = list(Switch).index(Switch.OFF)
_INTRUDERS: Final = np.array(
    [one in (VehicleClass.TAXI, VehicleClass.RIDE_HAILING, VehicleClass.COACH, VehicleClass.RENTAL) for one in CLASSES]
)


@dataclass(frozen=True, slots=True)
class MarkRule:
    """Thresholds; their sources are in docs/thresholds.md#fleet."""

    stopped_mps: float = 1.5
    moving_mps: float = 3.0
    own_line_m: float = 40.0
    stop_m: float = 50.0
    layover_m: float = 150.0
    layover_off_m: float = 200.0
    off_line_m: float = 60.0
    off_line_most_m: float = 1_000.0
    against_cosine: float = -0.7071
    along_cosine: float = 0.866
    over_limit_kmh: float = 5.0
    slow_share: float = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Of n positions the marks, and what they are about; columns of n, numbers -1 = nothing."""

    marks: MarkArray
    along_m: MarkArray
    """offset along the own line, where off it the distance from it; with SLOW along the way; FAR_ALONG = unknown"""
    speed_cm_s: MarkArray
    """UNKNOWN_SPEED = unknown"""
    stop: IntArray
    """with OWN_STOP: among the city's stops"""
    zone: IntArray
    """with FORBIDDEN: among the zones where one may not stop"""
    limit_kmh: IntArray
    """with FAST"""
    way: IntArray
    """with SLOW: line index times 2 plus direction"""
    normal_cm_s: IntArray
    """with SLOW: the usual speed there"""


def marked(batch: PositionBatch, located: Located, city: City, rule: MarkRule) -> Marked:
    """Return what n positions say by themselves; the answer for each depends on it alone."""
    streets, rows = city.streets, len(batch)
    unknown = np.isnan(batch.speed_mps)
    speed_cm_s = np.where(unknown, UNKNOWN_SPEED, np.rint(batch.speed_mps * 100.0)).astype(np.uint16)
    speed_mps = np.where(unknown, -1.0, speed_cm_s * 0.01)
    moving = speed_mps > rule.moving_mps
    at_stop = located.stop_id.numbers != 0
    found = Marked(
        marks=np.zeros(rows, np.uint16),
        along_m=np.full(rows, FAR_ALONG, np.uint16),
        speed_cm_s=speed_cm_s,
        stop=np.full(rows, NO_STOP),
        zone=np.full(rows, NO_ZONE),
        limit_kmh=np.zeros(rows, np.int64),
        way=np.full(rows, -1),
        normal_cm_s=np.zeros(rows, np.int64),
    )
    marks = found.marks
    marks |= (speed_mps <= rule.stopped_mps) * np.uint16(STOPPED)
    marks |= moving * np.uint16(MOVING)
    marks |= at_stop * np.uint16(AT_STOP)
    marks |= (batch.sos == _ON) * np.uint16(SOS)
    rests = (batch.ignition == _OFF) | ((batch.ignition != _ON) & (speed_mps <= rule.stopped_mps))
    marks |= rests * np.uint16(RESTS)
    _mark_own_line(found, batch, located, city, rule, moving)
    opened = (batch.door == _ON).nonzero()[0]
    marks[opened[moving.take(opened) | (marks.take(opened) & (AT_STOP | OWN_STOP) == 0)]] |= DOOR
    _mark_speeding(found, batch, located, city, rule, speed_mps)
    others = (_INTRUDERS.take(batch.vehicle_class.numbers) & moving).nonzero()[0]
    at = (located.x_m.take(others), located.y_m.take(others), located.square.take(others))
    if len(others):
        cosine = streets.lane_cosine(*at, located.part.take(others), batch.bearing_deg.take(others))
        marks[others[np.abs(cosine) >= rule.along_cosine]] |= IN_LANE
    standing = (marks & STOPPED).nonzero()[0]
    at = (located.x_m.take(standing), located.y_m.take(standing), located.square.take(standing))
    zone = streets.forbidden(batch.vehicle_class.numbers.take(standing), *at)
    inside = (zone != NO_ZONE).nonzero()[0]
    found.zone[standing[inside]] = zone.take(inside)
    marks[standing[inside]] |= FORBIDDEN
    _mark_slow(found, batch, located, city, rule, speed_mps)
    return found


def direction_of(marks: npt.NDArray[Any]) -> SmallArray:
    """Return the directions (n,) that marks tell, -1 = unknown."""
    return ((marks >> DIRECTION) & 3).astype(np.int8) - np.int8(1)


def _mark_own_line(
    found: Marked, batch: PositionBatch, located: Located, city: City, rule: MarkRule, moving: BoolArray
) -> None:
    """Mark those that tell a line that the city knows."""
    streets, marks = city.streets, found.marks
    lost = ((located.told_line >= 0) & ~located.on_told_line).nonzero()[0]
    marks[lost] |= OFF_LINE
    found.along_m[lost] = rule.off_line_most_m
    row = located.on_told_line.nonzero()[0]
    if not len(row):
        return
    direction = located.direction_id.take(row).astype(np.int64)
    way = 2 * located.line.take(row) + direction
    offset_m, off_m = located.line_offset_m.take(row).astype(np.float64), located.cross_track_m.take(row)
    layover = streets.at_an_end(way, offset_m, rule.layover_m) & (off_m <= rule.layover_off_m)
    stop, odd = streets.own_stop(way, offset_m, rule.stop_m)
    serves = (stop != NO_STOP) & (off_m <= rule.own_line_m)
    found.stop[row] = np.where(serves, stop, NO_STOP)
    off = (off_m > rule.off_line_m) & ~layover
    told = np.rint(np.where(off, off_m, offset_m))
    found.along_m[row] = np.where(told < FAR_ALONG, told, FAR_ALONG)
    turned = moving.take(row) & ((batch.direction_id.take(row) >= 0) | ~streets.two_ways.take(located.line.take(row)))
    turned &= (off_m <= rule.off_line_m) & ~layover
    cosine = streets.cosine(located.segment.take(row), batch.bearing_deg.take(row))
    turned &= cosine < rule.against_cosine
    some = turned.nonzero()[0]
    if len(some):
        at = row.take(some)
        here = located.x_m.take(at), located.y_m.take(at), batch.bearing_deg.take(at)
        turned[some] = ~streets.runs_along(way.take(some), *here, -rule.against_cosine, rule.off_line_m)
    own = (direction + 1 << DIRECTION).astype(np.uint16)
    own |= serves * np.uint16(OWN_STOP) | (serves & odd) * np.uint16(ODD_STOP)
    own |= layover * np.uint16(AT_STOP) | off * np.uint16(OFF_LINE) | turned * np.uint16(AGAINST)
    marks[row] |= own


def _mark_speeding(
    found: Marked, batch: PositionBatch, located: Located, city: City, rule: MarkRule, speed_mps: npt.NDArray[Any]
) -> None:
    speed_kmh = speed_mps * 3.6
    row = (speed_kmh > city.streets.lowest_kmh + rule.over_limit_kmh).nonzero()[0]
    if not len(row):
        return
    at = (located.x_m.take(row), located.y_m.take(row), located.square.take(row))
    limit_kmh = city.streets.limit_kmh(batch.vehicle_class.numbers.take(row), *at)
    above = speed_kmh.take(row) > limit_kmh + rule.over_limit_kmh
    row = row[above]
    found.marks[row] |= FAST
    found.limit_kmh[row] = np.rint(limit_kmh[above]).astype(np.int64)


def _mark_slow(
    found: Marked, batch: PositionBatch, located: Located, city: City, rule: MarkRule, speed_mps: npt.NDArray[Any]
) -> None:
    """Mark those on a street of a line, and on which segment of it they are: the own line's, or any that passes."""
    streets = city.streets
    slow = (speed_mps >= 0.0) & (speed_mps < rule.slow_share * streets.highest_normal_mps) & (located.line >= 0)
    slow &= (found.marks & (AT_STOP | OWN_STOP)) == 0
    slow &= located.cross_track_m <= rule.own_line_m
    row = slow.nonzero()[0]
    row = row[~streets.rails.take(located.line.take(row))]
    if not len(row):
        return
    line, direction = located.line.take(row), located.direction_id.take(row).astype(np.int64)
    cosine = streets.cosine(located.segment.take(row), batch.bearing_deg.take(row))
    other = (cosine < 0.0) & ~located.on_told_line.take(row) & streets.two_ways.take(line)
    direction = np.where(other, 1 - direction, direction)
    way, offset_m = 2 * line + direction, located.line_offset_m.take(row).astype(np.float64)
    offset_m = np.where(other, np.maximum(streets.length_m.take(way) - offset_m, 0.0), offset_m)
    segment = streets.segment(offset_m)
    normal_mps = streets.normal_mps(way, segment, batch.at_ms.take(row))
    kept = speed_mps.take(row) < rule.slow_share * normal_mps
    row = row[kept]
    found.marks[row] |= SLOW
    found.way[row], found.normal_cm_s[row] = way[kept], np.rint(normal_mps[kept] * 100.0)
    told = np.rint(offset_m[kept])
    found.along_m[row] = np.where(told < FAR_ALONG, told, FAR_ALONG)
