"""A city derived from the extent of recorded positions, for input from a place that has no package."""

from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from processors.areas import Areas
from processors.batches import FloatArray
from processors.city_files import CityInvalid, Package, read_network
from processors.gtfs import read_stops
from processors.network import Bounds, Stop, Unit
from processors.units_file import read_units
from processors.yaml_files import Mistakes
from schemas.ids import content_id

MARGIN_M: Final = 5_000.0
_METRES_PER_DEGREE: Final = 111_195.0
_OUTER_SHARE: Final = 0.001
"""Share of the positions on each side that may lie anywhere."""


def derived_package(
    name: str,
    time_zone: str,
    latitude_deg: FloatArray,
    longitude_deg: FloatArray,
    gtfs: Path | None,
    stops: Path | None,
    units: Path | None,
) -> Package:
    """Return the package of a city around n positions; what is not given stays empty. Raises CityInvalid."""
    mistakes = Mistakes()
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        raise CityInvalid(name, [f"time zone {time_zone!r} is not known, use one like America/Chicago"]) from None
    bounds = bounds_of(name, latitude_deg, longitude_deg)
    network = read_network(gtfs, time_zone, mistakes) if gtfs is not None else None
    found_stops: tuple[Stop, ...] = network.stops if network is not None else ()
    if stops is not None:
        found_stops = read_stops(stops, mistakes)
    found_units: tuple[Unit, ...] = ()
    areas: Areas | None = None
    if units is not None:
        found_units, areas = read_units(units, bounds.plane(), mistakes)
    if mistakes.found:
        raise CityInvalid(name, mistakes.found)
    parts = [repr(bounds), repr(found_stops), repr(found_units), network.version if network is not None else ""]
    return Package(
        name=name,
        version=content_id("c", name, time_zone, *parts).removeprefix("c-")[:12],
        time_zone=time_zone,
        bounds=bounds,
        units=found_units,
        areas=areas,
        lines=network.lines if network is not None else (),
        stops=found_stops,
        venues=(),
        devices=(),
        timetable=network.timetable if network is not None else None,
        trip_lines=network.trip_lines if network is not None else {},
        trip_directions=network.trip_directions if network is not None else {},
    )


def bounds_of(name: str, latitude_deg: FloatArray, longitude_deg: FloatArray) -> Bounds:
    """Return the extent of n positions with a margin of 5 km.

    Null island, what is no place on Earth and the outer thousandth on each side do not widen it.
    Raises CityInvalid if no position is left.
    """
    with np.errstate(invalid="ignore"):
        real = (np.abs(latitude_deg) <= 90) & (np.abs(longitude_deg) <= 180)
        real &= (np.abs(latitude_deg) > 0.01) | (np.abs(longitude_deg) > 0.01)
    if not real.any():
        raise CityInvalid(name, ["no position has a place from which to derive a city"])
    sides = (_OUTER_SHARE, 1 - _OUTER_SHARE)
    south_deg, north_deg = np.quantile(latitude_deg[real], sides).tolist()
    west_deg, east_deg = np.quantile(longitude_deg[real], sides).tolist()
    north_margin_deg = MARGIN_M / _METRES_PER_DEGREE
    widest_deg = min(max(abs(south_deg), abs(north_deg)), 85.0)
    east_margin_deg = north_margin_deg / float(np.cos(np.radians(widest_deg)))
    return Bounds(
        south_deg - north_margin_deg,
        west_deg - east_margin_deg,
        north_deg + north_margin_deg,
        east_deg + east_margin_deg,
    )
