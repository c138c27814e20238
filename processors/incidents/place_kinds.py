"""Being near a kind of place: a line, a station, a school, the water; and in which unit.

One `Places` serves all rules of a city. What it has found it keeps: of squares of the ground whether they are wholly
within or wholly beyond a distance, so that only points near that border are measured; of points, their units.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from processors.city import Bounds, City
from processors.geo import Segments
from processors.incidents.rule_model import PlaceKind
from schemas.records import Observation

STATION: Final = "station"
"""Kind of place: a stop of a metro line, or a venue of a kind that ends so (railway_station, coach_station)."""

SIDES_M: Final = (400.0, 100.0, 25.0)
"""Sides of the squares, each tried when the one before is partly within."""
SLACK_M: Final = 0.01
"""More than any rounding."""
MOST_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Distance:
    """What is known of a distance from a kind of places.

    squares: by side, column and row: True = all of it is within, False = none, None = some.
    """

    kind: PlaceKind
    reach_m: float
    squares: dict[tuple[float, int, int], bool | None] = field(default_factory=dict)


class Places:
    """The places of a city by kind, ready to be asked."""

    def __init__(self, city: City) -> None:
        self.unit_kinds = {unit.unit_code: unit.kind for unit in city.units}
        self._city = city
        self._plane = Bounds(city.south_deg, city.west_deg, city.north_deg, city.east_deg).plane()
        (east_m,), (north_m,) = self._plane.xy(
            np.array([self._plane.latitude_deg + 1.0]), np.array([self._plane.longitude_deg + 1.0])
        )
        self._east_m, self._north_m = float(east_m), float(north_m)
        self._edges: dict[str, Segments] = {}
        self._lanes = frozenset(line.line_id for line in city.lines if line.exclusive_lane and line.mode != "metro")
        self._distances: dict[tuple[PlaceKind, float], _Distance] = {}
        self._units: dict[tuple[float, float], str] = {}

    def near(self, reaches_m: Mapping[PlaceKind, float], latitude_deg: float, longitude_deg: float) -> bool:
        """Tell whether a point is within the distance of any of some kinds of places."""
        return any(self._is_near(kind, reach_m, latitude_deg, longitude_deg) for kind, reach_m in reaches_m.items())

    def unit(self, one: Observation) -> str:
        """Return the code of the unit in which a claim is made, "" = outside all units."""
        place = one.latitude_deg, one.longitude_deg
        if place not in self._units:
            self.find_units((one,))
        return self._units[place]

    def find_units(self, claims: Collection[Observation]) -> None:
        """Look up the units of some claims at once."""
        if len(self._units) > MOST_KEPT:
            self._units.clear()
        new = list(dict.fromkeys((one.latitude_deg, one.longitude_deg) for one in claims))
        new = [place for place in new if place not in self._units]
        if new:
            latitude_deg, longitude_deg = np.array(new).T
            self._units |= zip(new, map(str, self._city.locate_units(latitude_deg, longitude_deg)), strict=True)

    def _is_near(self, kind: PlaceKind, reach_m: float, latitude_deg: float, longitude_deg: float) -> bool:
        distance = self._distances.get((kind, reach_m))
        if distance is None:
            distance = self._distances[kind, reach_m] = _Distance(kind, reach_m)
        x_m = (longitude_deg - self._plane.longitude_deg) * self._east_m
        y_m = (latitude_deg - self._plane.latitude_deg) * self._north_m
        squares = distance.squares
        for side_m in SIDES_M:
            square = side_m, int(x_m // side_m), int(y_m // side_m)
            if square not in squares:
                self._look(distance, square)
            told = squares[square]
            if told is not None:
                return told
        return self._measured(kind, reach_m, latitude_deg, longitude_deg)

    def _look(self, distance: _Distance, square: tuple[float, int, int]) -> None:
        """Find out about a square: no point of it is farther from its middle than half its diagonal."""
        if len(distance.squares) > MOST_KEPT:
            distance.squares.clear()
        side_m, column, row = square
        latitude_deg, longitude_deg = self._plane.degrees((column + 0.5) * side_m, (row + 0.5) * side_m)
        half_m = side_m * math.sqrt(0.5) + SLACK_M
        kind, reach_m = distance.kind, distance.reach_m
        told: bool | None = None
        if not self._measured(kind, reach_m + half_m, latitude_deg, longitude_deg):
            told = False
        elif reach_m > half_m and self._measured(kind, reach_m - half_m, latitude_deg, longitude_deg, inside=False):
            told = True
        distance.squares[square] = told

    def _measured(
        self, kind: PlaceKind, reach_m: float, latitude_deg: float, longitude_deg: float, *, inside: bool = True
    ) -> bool:
        """Measure whether a point is near; inside: whether being in a zone is being near it."""
        city = self._city
        if kind == "stop":
            return bool(city.near_stops(latitude_deg, longitude_deg, reach_m))
        if kind == "line":
            return bool(city.near_lines(latitude_deg, longitude_deg, reach_m))
        if kind == "bus_lane" and self._is_near_lane(reach_m, latitude_deg, longitude_deg):
            return True
        if inside and any(zone.kind == kind for zone in city.zones_at(latitude_deg, longitude_deg)):
            return True
        edges = self._edges.get(kind)
        if edges is None:
            edges = self._edges[kind] = self._edges_of(kind)
        distance_m, _ = edges.project(
            np.arange(len(edges.x_m)), *self._plane.xy(np.array([latitude_deg]), np.array([longitude_deg]))
        )
        return bool((distance_m <= reach_m).any())

    def _is_near_lane(self, reach_m: float, latitude_deg: float, longitude_deg: float) -> bool:
        if not self._lanes:
            return False
        return any(one.line_id in self._lanes for one in self._city.near_lines(latitude_deg, longitude_deg, reach_m))

    def _edges_of(self, kind: str) -> Segments:
        """Return the edges of the zones and the places of the venues of a kind."""
        places = [(one.latitude_deg, one.longitude_deg) for one in self._city.venues if _is_kind(one.kind, kind)]
        if kind == STATION:
            metro = [line for line in self._city.lines if line.mode == "metro"]
            stations = {stop_id for line in metro for way in line.patterns for stop_id in way.stop_ids}
            places += [(one.latitude_deg, one.longitude_deg) for one in self._city.stops if one.stop_id in stations]
        edges = [(place, place) for place in places]
        for zone in self._city.zones:
            if zone.kind == kind:
                edges += zip(zone.corners, (*zone.corners[1:], zone.corners[0]), strict=True)
        ends = np.array(edges, np.float64).reshape(-1, 4)
        x_m, y_m = self._plane.xy(ends[:, 0], ends[:, 1])
        to_x_m, to_y_m = self._plane.xy(ends[:, 2], ends[:, 3])
        return Segments(x_m, y_m, to_x_m - x_m, to_y_m - y_m)


def _is_kind(venue_kind: str, kind: str) -> bool:
    return kind == "venue" or venue_kind == kind or (kind == STATION and venue_kind.endswith(f"_{STATION}"))
