"""The gatherings that a city's claims pass, in their order: a later one sees what those before it say."""

from typing import Final

from processors.city import City
from processors.gatherings.bangs import Bangs
from processors.gatherings.contract import Gathering
from processors.gatherings.drift import Drift
from processors.gatherings.headways import Headways
from processors.gatherings.punctuality import Punctuality
from processors.gatherings.runs import Runs
from processors.gatherings.series import Explosions

CRASH_HEARD_M: Final = 200.0
"""How far microphones hear a crash."""


def city_gatherings(city: City) -> tuple[Gathering, ...]:
    """Return the gatherings of a city."""
    return (
        Bangs(
            city,
            near_m=CRASH_HEARD_M,
            shot_kind="gunshot_sound",
            shot_made="shot_located",
            quiet_made="fireworks_located",
        ),
        Explosions(city, "bang_located", "explosion_located"),
        Explosions(city, "shot_located", "gunshot_located"),
        Headways(city),
        Punctuality(city),
        Runs(city),
        Drift(city),
    )
