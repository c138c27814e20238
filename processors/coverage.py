"""Coverage: what of each unit's streets and venues the working cameras of the estate see.

The streets are those that the city's lines run along: a package has no other street network, so streets without a
line count nowhere. A street that several lines, or both directions of one, share counts once.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import Bounds, City
from processors.geo import Plane, spread
from schemas.records import DeviceKind, DeviceRegistration

SAMPLE_M: Final = 5.0
"""Streets are asked for every so many metres: each sample stands for the metres around it."""

UNKNOWN_RANGE_M: Final = 60.0
"""How far around itself a camera is taken to see whose view nobody told. Ours: about what a street camera of 2 MP with
a wide lens shows of people; tell the real view to have it counted."""

_SQUARE_M: Final = 250.0


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What n cameras see on the city's plane: circular sectors."""

    x_m: FloatArray
    y_m: FloatArray
    bearing_rad: FloatArray
    """clockwise from north"""
    half_rad: FloatArray
    """half the field of view; pi = all around"""
    range_m: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Points of n streets on the city's plane, each for so many metres of street."""

    latitude_deg: FloatArray
    longitude_deg: FloatArray
    length_m: FloatArray


@dataclass(frozen=True, slots=True)
class UnitCoverage:
    """What cameras see of one unit; unit_code "" = outside all units."""

    unit_code: str
    name: str
    kind: str
    cameras: int
    street_m: float
    street_seen_m: float
    venues: int
    venues_seen: int

    @property
    def street_share(self) -> float | None:
        """Return the share of street length seen, 0 to 1; None = no street is known."""
        return self.street_seen_m / self.street_m if self.street_m else None

    @property
    def venue_share(self) -> float | None:
        """Return the share of venues seen, 0 to 1; None = there are none."""
        return self.venues_seen / self.venues if self.venues else None


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Units in the order of the package, then what lies outside all; and what they are made of.

    guessed: cameras whose view nobody told.
    """

    units: tuple[UnitCoverage, ...]
    samples: Samples
    seen: BoolArray
    guessed: int

    @property
    def whole(self) -> UnitCoverage:
        """Return the sum over all units."""
        return UnitCoverage(
            unit_code="",
            name="",
            kind="",
            cameras=sum(one.cameras for one in self.units),
            street_m=sum(one.street_m for one in self.units),
            street_seen_m=sum(one.street_seen_m for one in self.units),
            venues=sum(one.venues for one in self.units),
            venues_seen=sum(one.venues_seen for one in self.units),
        )


def works(one: DeviceRegistration, at_ms: int) -> bool:
    """Tell whether a device is a camera that counts at a time: with a place, neither retired nor expired."""
    placed = math.isfinite(one.latitude_deg) and math.isfinite(one.longitude_deg)
    qualified = one.qualified_until_ms == 0 or one.qualified_until_ms > at_ms
    return one.kind is DeviceKind.CAMERA and placed and qualified and not (one.retired or one.revoked)


def plane_of(city: City) -> Plane:
    """Return the plane on which a city's geometry is done."""
    return Bounds(city.south_deg, city.west_deg, city.north_deg, city.east_deg).plane()


def views_of(cameras: Sequence[DeviceRegistration], city: City) -> tuple[Views, int]:
    """Return what n cameras see, and how many of these views are guessed.

    Without a range it is UNKNOWN_RANGE_M; without a bearing or a field of view a camera sees all around.
    """
    x_m, y_m = plane_of(city).xy(
        np.array([one.latitude_deg for one in cameras], np.float64),
        np.array([one.longitude_deg for one in cameras], np.float64),
    )
    bearing_deg = np.array([one.bearing_deg for one in cameras], np.float64)
    view_deg = np.array([one.view_deg for one in cameras], np.float64)
    range_m = np.array([one.range_m for one in cameras], np.float64)
    around = (bearing_deg < 0) | (view_deg <= 0)
    half_deg = np.where(around, 180.0, view_deg / 2)
    guessed = int(np.count_nonzero((range_m <= 0) | (around & (view_deg < 360))))
    reach_m = np.where(range_m > 0, range_m, UNKNOWN_RANGE_M)
    return Views(x_m, y_m, np.radians(bearing_deg), np.radians(half_deg), reach_m), guessed


def seen_by(views: Views, x_m: FloatArray, y_m: FloatArray) -> BoolArray:
    """Tell which of n points of the plane lie in any view, edges included; buildings hide nothing."""
    seen = np.zeros(len(x_m), bool)
    if not len(x_m) or not len(views.x_m):
        return seen
    rows, points = _pairs(views, x_m, y_m)
    east_m, north_m = x_m[points] - views.x_m[rows], y_m[points] - views.y_m[rows]
    near = east_m * east_m + north_m * north_m <= views.range_m[rows] ** 2
    turn = np.arctan2(east_m, north_m) - views.bearing_rad[rows]
    aside = np.abs((turn + math.pi) % (2 * math.pi) - math.pi)
    inside = near & ((aside <= views.half_rad[rows] + 1e-9) | ((east_m == 0) & (north_m == 0)))
    seen[points[inside]] = True
    return seen


def _pairs(views: Views, x_m: FloatArray, y_m: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the pairs of a view and a point that may see each other, by squares of the plane."""
    west_m, south_m = float(x_m.min()), float(y_m.min())
    column = ((x_m - west_m) // _SQUARE_M).astype(np.int64)
    row = ((y_m - south_m) // _SQUARE_M).astype(np.int64)
    columns, rows = int(column.max()) + 1, int(row.max()) + 1
    square = row * columns + column
    order = np.argsort(square, kind="stable")
    starts = np.searchsorted(square[order], np.arange(columns * rows + 1))

    def bounds(at_m: FloatArray, from_m: float, count: int) -> tuple[IntArray, IntArray]:
        low = np.floor((at_m - views.range_m - from_m) / _SQUARE_M).astype(np.int64)
        high = np.floor((at_m + views.range_m - from_m) / _SQUARE_M).astype(np.int64)
        return np.maximum(low, 0), np.minimum(high, count - 1)

    west, east = bounds(views.x_m, west_m, columns)
    south, north = bounds(views.y_m, south_m, rows)
    there = (west <= east) & (south <= north)
    view, level = spread(np.where(there, south, 0), np.where(there, north - south + 1, 0))
    first, last = starts[level * columns + west[view]], starts[level * columns + east[view] + 1]
    strip, items = spread(first, last - first)
    return view[strip], order[items]


def sample_streets(city: City) -> Samples:
    """Return points every SAMPLE_M along the streets of all lines; of two that share a street one counts.

    The last piece of a segment is shorter; a sample stands in the middle of its piece.
    """
    pieces: dict[tuple[tuple[float, float], tuple[float, float]], None] = {}
    for line in city.lines:
        for pattern in line.patterns:
            course = list(zip(pattern.latitude_deg.tolist(), pattern.longitude_deg.tolist(), strict=True))
            for begin, end in pairwise(course):
                pieces.setdefault((min(begin, end), max(begin, end)))
    if not pieces:
        empty = np.zeros(0)
        return Samples(empty, empty, empty)
    ends = np.array(list(pieces), np.float64)
    from_deg, step_deg = ends[:, 0], ends[:, 1] - ends[:, 0]
    x_m, y_m = plane_of(city).xy(ends[:, :, 0], ends[:, :, 1])
    length_m = np.hypot(x_m[:, 1] - x_m[:, 0], y_m[:, 1] - y_m[:, 0])
    count = np.maximum(np.ceil(length_m / SAMPLE_M), 1).astype(np.int64)
    piece, number = spread(np.zeros(len(count), np.int64), count)
    from_m = number * SAMPLE_M
    to_m = np.minimum(from_m + SAMPLE_M, length_m[piece])
    share = (from_m + to_m) / 2 / np.where(length_m > 0, length_m, 1.0)[piece]
    point = from_deg[piece] + step_deg[piece] * share[:, None]
    return Samples(point[:, 0], point[:, 1], to_m - from_m)


def cover(city: City, cameras: Iterable[DeviceRegistration]) -> Coverage:
    """Return what working cameras see of each unit of a city."""
    found = tuple(cameras)
    views, guessed = views_of(found, city)
    samples = sample_streets(city)
    seen = seen_by(views, *plane_of(city).xy(samples.latitude_deg, samples.longitude_deg))
    venue_lat_deg = np.array([one.latitude_deg for one in city.venues], np.float64)
    venue_lon_deg = np.array([one.longitude_deg for one in city.venues], np.float64)
    venue_seen = seen_by(views, *plane_of(city).xy(venue_lat_deg, venue_lon_deg))
    number_of = {unit.unit_code: number for number, unit in enumerate(city.units)}
    count = len(city.units) + 1

    def sums(latitude_deg: FloatArray, longitude_deg: FloatArray, weights: FloatArray) -> list[float]:
        codes = city.locate_units(latitude_deg, longitude_deg).tolist() if len(latitude_deg) else []
        numbers = np.array([number_of.get(code, count - 1) for code in codes], np.int64)
        totals: list[float] = np.bincount(numbers, weights, count).tolist()
        return totals

    places = samples.latitude_deg, samples.longitude_deg
    camera_lat_deg = np.array([one.latitude_deg for one in found], np.float64)
    camera_lon_deg = np.array([one.longitude_deg for one in found], np.float64)
    columns = zip(
        (*city.units, None),
        sums(camera_lat_deg, camera_lon_deg, np.ones(len(found))),
        sums(*places, samples.length_m),
        sums(*places, np.where(seen, samples.length_m, 0.0)),
        sums(venue_lat_deg, venue_lon_deg, np.ones(len(city.venues))),
        sums(venue_lat_deg, venue_lon_deg, venue_seen.astype(np.float64)),
        strict=True,
    )
    units = [
        UnitCoverage(
            unit_code="" if unit is None else unit.unit_code,
            name="" if unit is None else unit.name,
            kind="" if unit is None else unit.kind,
            cameras=round(cams),
            street_m=street_m,
            street_seen_m=street_seen_m,
            venues=round(venues),
            venues_seen=round(venues_seen),
        )
        for unit, cams, street_m, street_seen_m, venues, venues_seen in columns
    ]
    kept = tuple(one for one in units if one.unit_code or one.street_m or one.venues or one.cameras)
    return Coverage(kept, samples, seen, guessed)
