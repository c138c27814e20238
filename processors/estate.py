"""The device estate: rules ("every second stop of these lines has a camera") become devices with stable ids.

A device's id is the rule's prefix and the id of its place, so it stays the same when other places come and go.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from processors.city_models import EstateEntry, PlaceRuleEntry
from processors.geo import EARTH_RADIUS_M, haversine_m
from processors.network import Device, Line, Stop, Unit, Venue


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule can put devices."""

    place_id: str
    latitude_deg: float
    longitude_deg: float


def expand_estate(
    estate: EstateEntry, units: Sequence[Unit], lines: Sequence[Line], stops: Sequence[Stop], venues: Sequence[Venue]
) -> list[tuple[tuple[str | int, ...], Device]]:
    """Return every device with the path of the rule or entry that made it, cameras before what hangs on them."""
    stop_of = {stop.stop_id: Place(stop.stop_id, stop.latitude_deg, stop.longitude_deg) for stop in stops}
    taken: list[Place] = []
    found: list[tuple[tuple[str | int, ...], Device]] = []
    for index, at_stops in enumerate(estate.at_stops):
        passed = _stops_passed(lines, at_stops.lines)
        places = [stop_of[stop_id] for stop_id in passed if stop_id in stop_of]
        found += _devices(("at_stops", index), at_stops, places, taken)
    for index, at_units in enumerate(estate.at_units):
        chosen = [unit for unit in units if unit.kind in at_units.kinds]
        places = [Place(unit.unit_code, unit.latitude_deg, unit.longitude_deg) for unit in chosen]
        found += _devices(("at_units", index), at_units, places, taken)
    for index, at_venues in enumerate(estate.at_venues):
        known = [venue for venue in venues if venue.kind in at_venues.kinds]
        places = [Place(venue.venue_id, venue.latitude_deg, venue.longitude_deg) for venue in known]
        found += _devices(("at_venues", index), at_venues, places, taken)
    for index, entry in enumerate(estate.devices):
        device = Device(entry.id, entry.kind, entry.lat, entry.lon, tuple(entry.quantities), entry.host_camera)
        found.append((("devices", index), device))
    return found


def _stops_passed(lines: Iterable[Line], line_ids: Sequence[str]) -> Iterable[str]:
    by_id = {line.line_id: line for line in lines}
    chosen = [by_id[line_id] for line_id in line_ids if line_id in by_id]
    return dict.fromkeys(stop_id for line in chosen for way in line.patterns for stop_id in way.stop_ids)


def _devices(
    path: tuple[str | int, ...], rule: PlaceRuleEntry, places: Sequence[Place], taken: list[Place]
) -> Iterator[tuple[tuple[str | int, ...], Device]]:
    number = 0
    for place in places[:: rule.every]:
        if _crowded(place, taken, rule.spacing_m):
            continue
        taken.append(place)
        at = (place.latitude_deg, place.longitude_deg)
        camera_id = f"{rule.camera}-{place.place_id}" if rule.camera is not None else ""
        if camera_id:
            yield path, Device(camera_id, "camera", *at)
        for sensor in rule.sensors:
            if number % sensor.every == 0:
                host_camera_id = camera_id if sensor.on_camera else ""
                for suffix, around in _around(place, sensor.count, sensor.radius_m):
                    sensor_id = f"{sensor.prefix}-{place.place_id}{suffix}"
                    yield path, Device(sensor_id, "sensor", *around, tuple(sensor.quantities), host_camera_id)
        number += 1


def _around(place: Place, count: int, radius_m: float) -> list[tuple[str, tuple[float, float]]]:
    """Return the ends of ids and the places of devices: the place itself, or so many evenly around it."""
    if count == 1:
        return [("", (place.latitude_deg, place.longitude_deg))]
    reach_deg = math.degrees(radius_m / EARTH_RADIUS_M)
    east = 1.0 / math.cos(math.radians(place.latitude_deg))
    angles = [2 * math.pi * number / count for number in range(count)]
    return [
        (
            f"-{number}",
            (place.latitude_deg + reach_deg * math.cos(one), place.longitude_deg + reach_deg * math.sin(one) * east),
        )
        for number, one in enumerate(angles, 1)
    ]


def _crowded(place: Place, taken: Sequence[Place], spacing_m: float) -> bool:
    if spacing_m == 0.0:
        return False
    latitude_deg = np.array([other.latitude_deg for other in taken])
    longitude_deg = np.array([other.longitude_deg for other in taken])
    return bool((haversine_m(place.latitude_deg, place.longitude_deg, latitude_deg, longitude_deg) < spacing_m).any())
