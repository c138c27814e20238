"""Being near a kind of place: a line, a station, a school, the water."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from processors.city import Bounds, City
from processors.geo import Segments
from processors.incidents.rule_model import PlaceKind

STATION: Final = "station"
"""Kind of place: a stop of a metro line, or a venue of a kind that ends so (railway_station, coach_station)."""


class Places:
    """The places of a city by kind, ready to be asked."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._plane = Bounds(city.south_deg, city.west_deg, city.north_deg, city.east_deg).plane()
        self._edges: dict[str, Segments] = {}
        self.unit_kinds = {unit.unit_code: unit.kind for unit in city.units}

    def near(self, reaches_m: Mapping[PlaceKind, float], latitude_deg: float, longitude_deg: float) -> bool:
        """Tell whether a point is within the distance of any of some kinds of places."""
        return any(self._is_near(kind, reach_m, latitude_deg, longitude_deg) for kind, reach_m in reaches_m.items())

    def _is_near(self, kind: str, reach_m: float, latitude_deg: float, longitude_deg: float) -> bool:
        city = self._city
        if kind == "stop":
            return bool(city.near_stops(latitude_deg, longitude_deg, reach_m))
        if kind == "line":
            return bool(city.near_lines(latitude_deg, longitude_deg, reach_m))
        if kind == "bus_lane" and self._is_near_lane(reach_m, latitude_deg, longitude_deg):
            return True
        if any(zone.kind == kind for zone in city.zones_at(latitude_deg, longitude_deg)):
            return True
        edges = self._edges.get(kind)
        if edges is None:
            edges = self._edges[kind] = self._edges_of(kind)
        distance_m, _ = edges.project(
            np.arange(len(edges.x_m)), *self._plane.xy(np.array([latitude_deg]), np.array([longitude_deg]))
        )
        return bool((distance_m <= reach_m).any())

    def _is_near_lane(self, reach_m: float, latitude_deg: float, longitude_deg: float) -> bool:
        lanes = {line.line_id for line in self._city.lines if line.exclusive_lane and line.mode != "metro"}
        if not lanes:
            return False
        return any(one.line_id in lanes for one in self._city.near_lines(latitude_deg, longitude_deg, reach_m))

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
