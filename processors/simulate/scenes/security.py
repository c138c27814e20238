"""Crime prevention and rescue: crowds, fights, people who lie down or are in the water, things left behind."""

from collections.abc import Mapping
from typing import Final

from processors.simulate.scenes.scene import Call
from processors.simulate.scenes.sighted import Claim, Sighted, anywhere
from processors.simulate.scenes.stage import Stage

GATHERING: Final = ("festival_area", "coach_station", "railway_station", "hospital", "school")
WATCHED_WITHIN_M: Final = 150.0


def gathering_places(stage: Stage, call: Call) -> tuple[float, float] | None:
    """Choose a place where people gather that is no market: crowds are everyday life there."""
    return stage.by_camera(call, stage.cameras_near_venues(GATHERING, WATCHED_WITHIN_M))


SECURITY: Final[Mapping[str, Sighted]] = {
    "crowd": Sighted(
        (
            Claim("crowd_surge", "person", (5.0, 20.0), 5.0, (60.0, 180.0)),
            Claim("crowd", "person", (20.0, 60.0), 5.0),
        ),
        (600.0, 1800.0),
        gathering_places,
    ),
    "fight": Sighted((Claim("fight", "person", (1.0, 4.0), 1.0),), (20.0, 90.0), anywhere),
    "person_down": Sighted((Claim("person_down", "person", (2.0, 5.0), 1.0),), (60.0, 300.0), anywhere),
    "abandoned_object": Sighted((Claim("abandoned_object", "suitcase", (30.0, 60.0), 5.0),), (300.0, 1200.0), anywhere),
    "person_in_water": Sighted((Claim("person_in_water", "person", (2.0, 6.0), 1.0),), (60.0, 300.0), Stage.in_water),
}
"""Kind -> how it looks."""
