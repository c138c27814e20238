"""The gatherings that a city's claims pass, in their order: a later one sees what those before it say."""

from processors.city import City
from processors.gatherings.contract import Gathering


def city_gatherings(city: City) -> tuple[Gathering, ...]:
    """Return the gatherings of a city."""
    return ()
