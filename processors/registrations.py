"""Registrations: what an input partition knows of its devices beyond the city package, as of a tick.

Of several registrations of a device the greatest (registered_at_ms, content) counts, so that neither repeats nor their
order within an interval matter.
"""

import math

from processors.city import City
from processors.placement import Listed, Refused, read_placement
from schemas.errors import Reason
from schemas.records import DeviceRegistration

__all__ = ["Listed", "Refused", "read_placement", "registration_mistakes"]


def registration_mistakes(one: DeviceRegistration, city: City) -> list[tuple[Reason, str]]:
    """Return what is wrong with where a device is said to be; no place at all is no mistake."""
    latitude_deg, longitude_deg = one.latitude_deg, one.longitude_deg
    if math.isnan(latitude_deg) and math.isnan(longitude_deg):
        return []
    words = f"({latitude_deg:.5f}, {longitude_deg:.5f})"
    if not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg)):
        return [(Reason.NOT_FINITE, f"{words} is not a place")]
    if abs(latitude_deg) > 90.0 or abs(longitude_deg) > 180.0:
        return [(Reason.OUT_OF_RANGE, f"{words} is not a place on Earth")]
    if not (city.south_deg <= latitude_deg <= city.north_deg and city.west_deg <= longitude_deg <= city.east_deg):
        return [(Reason.OUT_OF_CITY, f"{words} is outside {city.name}")]
    return []
