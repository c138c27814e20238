"""The gatherings that a city's claims pass, in their order: a later one sees what those before it say."""

from processors.city import City
from processors.gatherings.bangs import Bangs
from processors.gatherings.contract import Gathering
from processors.gatherings.drift import Drift
from processors.gatherings.headways import Headways
from processors.gatherings.punctuality import Punctuality
from processors.gatherings.series import Explosions


def city_gatherings(city: City) -> tuple[Gathering, ...]:
    """Return the gatherings of a city."""
    return (
        Bangs(city, "impact_sound", "bang_located"),
        Explosions(city, "bang_located", "explosion_located"),
        Bangs(city, "gunshot_sound", "shot_located"),
        Explosions(city, "shot_located", "gunshot_located"),
        Headways(city),
        Punctuality(city),
        Drift(city),
    )
