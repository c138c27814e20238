"""Zones: areas of a city where something special holds, by kind: no stopping, a speed limit, a school, a lake."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.areas import polygons
from processors.batches import BoolArray, FloatArray, IntArray
from processors.geo import EARTH_RADIUS_M, Plane
from processors.squares import Squares

CIRCLE_CORNERS: Final = 48
"""A circle is a polygon of so many corners around it; 0.2 % of the radius beyond it in between."""

NO_ZONE: Final = -1


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone; kind is no_stopping, speed_limit, school, festival, water ... or the package's own word.

    corners: (latitude_deg, longitude_deg) of its outline. classes: the vehicle classes it is about, empty = all.
    limit_kmh: the speed allowed in it, None = it says nothing about speed.
    """

    zone_id: str
    name: str
    kind: str
    corners: tuple[tuple[float, float], ...]
    classes: tuple[str, ...] = ()
    limit_kmh: float | None = None

    def concerns(self, vehicle_class: str) -> bool:
        """Tell whether it is about vehicles of that class."""
        return not self.classes or vehicle_class in self.classes


def circle(latitude_deg: float, longitude_deg: float, radius_m: float) -> tuple[tuple[float, float], ...]:
    """Return the corners of a polygon around a circle."""
    reach_deg = math.degrees(radius_m / EARTH_RADIUS_M / math.cos(math.pi / CIRCLE_CORNERS))
    east = 1.0 / math.cos(math.radians(latitude_deg))
    angles = [2 * math.pi * corner / CIRCLE_CORNERS for corner in range(CIRCLE_CORNERS)]
    return tuple(
        (latitude_deg + reach_deg * math.sin(angle), longitude_deg + reach_deg * math.cos(angle) * east)
        for angle in angles
    )


class ZoneIndex:
    """Some zones, ready to be asked which of them contain a point; a point on an edge may be in or out."""

    def __init__(self, zones: Sequence[Zone], plane: Plane, squares: Squares) -> None:
        """Index the zones; of several that contain a point the first is told."""
        self.zones = tuple(zones)
        self._plane = plane
        outlines = [plane.xy(*np.array(zone.corners, np.float64).T) for zone in zones]
        self._alone = [polygons([(0, x_m, y_m)]) for x_m, y_m in outlines]
        self._all = polygons([(number, *outline) for number, outline in enumerate(outlines)]) if outlines else None
        self._boxes = np.array([[x.min(), x.max(), y.min(), y.max()] for x, y in outlines]).reshape(-1, 4)
        self._touched = _touched(self._boxes, squares)

    def first(self, x_m: FloatArray, y_m: FloatArray, square: IntArray) -> IntArray:
        """Return for n points of the plane, in those squares, the number of the first zone there, -1 = none."""
        found = np.full(len(x_m), NO_ZONE)
        if self._all is None:
            return found
        row = self._touched.take(square).nonzero()[0]
        if len(row):
            found[row] = self._all.containing(x_m.take(row), y_m.take(row))
        return found

    def at(self, latitude_deg: float, longitude_deg: float) -> tuple[Zone, ...]:
        """Return all zones that contain a point."""
        x_m, y_m = self._plane.xy(np.array([latitude_deg]), np.array([longitude_deg]))
        west_m, east_m, south_m, north_m = self._boxes.T
        near = (west_m <= x_m) & (x_m <= east_m) & (south_m <= y_m) & (y_m <= north_m)
        inside = [one for one in near.nonzero()[0].tolist() if self._alone[one].containing(x_m, y_m)[0] >= 0]
        return tuple(self.zones[one] for one in inside)


def _touched(boxes: FloatArray, squares: Squares) -> BoolArray:
    """Tell which squares (and what is beyond them) the boxes (z, 4) of zones may touch."""
    table = np.zeros((squares.rows, squares.columns), bool)
    for west_m, east_m, south_m, north_m in boxes.tolist():
        columns = [math.floor((x_m - squares.west_m) / squares.square_m) for x_m in (west_m, east_m)]
        rows = [math.floor((y_m - squares.south_m) / squares.square_m) for y_m in (south_m, north_m)]
        table[max(rows[0], 0) : max(rows[1] + 1, 0), max(columns[0], 0) : max(columns[1] + 1, 0)] = True
    return np.append(table.ravel(), len(boxes) > 0)
