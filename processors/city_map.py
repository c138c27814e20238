"""What a map of a city is drawn from: its own geometry as GeoJSON (RFC 7946), encoded."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from processors.city import City, UnitPolygon
from processors.network import Device, Line, Pattern, Stop, Unit, Venue

PLACES: Final = 6
"""Decimal places of a degree: a tenth of a metre."""


def encode_city(city: City) -> bytes:
    """Return the city as JSON: name, version, time zone, bounds and a FeatureCollection a kind of thing.

    docs/web-api.md lists the properties. Coordinates are [longitude, latitude] in degrees.
    """
    return msgspec.json.encode(
        {
            "name": city.name,
            "version": city.version,
            "time_zone": city.time_zone,
            "bounds": {
                "south": city.south_deg,
                "west": city.west_deg,
                "north": city.north_deg,
                "east": city.east_deg,
            },
            "units": _collection(
                _unit(unit, polygons) for unit, polygons in zip(city.units, city.unit_polygons(), strict=True)
            ),
            "lines": _collection(_pattern(line, pattern) for line in city.lines for pattern in line.patterns),
            "stops": _collection(map(_stop, city.stops)),
            "cameras": _collection(map(_device, city.cameras.values())),
            "sensors": _collection(map(_device, city.sensors.values())),
            "venues": _collection(map(_venue, city.venues)),
        }
    )


def _unit(unit: Unit, polygons: Sequence[UnitPolygon]) -> dict[str, Any]:
    properties = {"unit_code": unit.unit_code, "name": unit.name, "kind": unit.kind}
    if not polygons:
        return _point(unit.latitude_deg, unit.longitude_deg, properties)
    rings = [[_closed(ring) for ring in polygon.rings] for polygon in polygons]
    if len(rings) == 1:
        return _feature("Polygon", rings[0], properties)
    return _feature("MultiPolygon", rings, properties)


def _pattern(line: Line, pattern: Pattern) -> dict[str, Any]:
    corners = zip(pattern.latitude_deg.tolist(), pattern.longitude_deg.tolist(), strict=True)
    properties = {
        "line_id": line.line_id,
        "name": line.name,
        "mode": line.mode,
        "colour": line.colour,
        "direction_id": pattern.direction_id,
    }
    return _feature("LineString", [_position(*corner) for corner in corners], properties)


def _stop(stop: Stop) -> dict[str, Any]:
    return _point(stop.latitude_deg, stop.longitude_deg, {"stop_id": stop.stop_id, "name": stop.name})


def _device(device: Device) -> dict[str, Any]:
    properties = {"device_id": device.device_id, "kind": device.kind, "quantities": device.quantities}
    return _point(device.latitude_deg, device.longitude_deg, properties)


def _venue(venue: Venue) -> dict[str, Any]:
    properties = {"venue_id": venue.venue_id, "name": venue.name, "kind": venue.kind}
    return _point(venue.latitude_deg, venue.longitude_deg, properties)


def _point(latitude_deg: float, longitude_deg: float, properties: dict[str, Any]) -> dict[str, Any]:
    return _feature("Point", _position(latitude_deg, longitude_deg), properties)


def _closed(ring: Sequence[tuple[float, float]]) -> list[list[float]]:
    corners = [_position(*corner) for corner in ring]
    return corners if corners[0] == corners[-1] else [*corners, corners[0]]


def _position(latitude_deg: float, longitude_deg: float) -> list[float]:
    return [round(longitude_deg, PLACES), round(latitude_deg, PLACES)]


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def _collection(features: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}
