"""What a feed does not say of a vehicle and its trip and line do: direction and class."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.city import Bounds, City, Line, Stop, derive_city, pattern_along
from processors.fleet import fleet_domain
from schemas.records import Observation, VehicleClass
from tests.processors.builders import METRE_DEG, STREET_DEG, T0_MS, engine, log_of, position, run, tick

NORTH_M = 8.0
"""How far the way back is from the way there: less than GPS is off."""


@pytest.fixture(scope="module")
def city() -> City:
    """A street to the east, direction 0, and back, with a stop in its middle."""
    longitude_deg = np.array([105.80, 105.81, 105.82])
    there = pattern_along(0, np.full(3, STREET_DEG), longitude_deg, {0: "S1", 1: "M", 2: "S2"})
    back_deg = np.full(3, STREET_DEG + NORTH_M * METRE_DEG)
    back = pattern_along(1, back_deg, longitude_deg[::-1], {0: "S2", 1: "M", 2: "S1"})
    places = {"S1": 105.80, "M": 105.81, "S2": 105.82}
    return City(
        name="There and back",
        version="1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=Bounds(20.9, 105.7, 21.1, 105.9),
        lines=(Line("L1", "Line 1", "bus", "", (), (there, back)),),
        stops=tuple(Stop(stop_id, stop_id, STREET_DEG, place) for stop_id, place in places.items()),
        trip_directions={"east": 0, "west": 1},
    )


def claims(city: City, *fixes: Any) -> list[Observation]:
    """What is claimed of a vehicle."""
    log = log_of([tick(T0_MS - 1000), *fixes, tick(T0_MS + 60_000)])
    found: list[Observation] = run(engine(fleet_domain(), city=city), log).observations
    return found


def fix(at_s: int, **fields: Any) -> Any:
    told = {"line_id": "L1", "vehicle_class": VehicleClass.UNKNOWN, "longitude_deg": 105.81, "direction_id": -1}
    return position("v-1", T0_MS + at_s * 1000, **{**told, **fields})


@pytest.mark.parametrize(
    ("told", "direction_id"),
    [
        ({}, 1),  # only the nearer way can be meant
        ({"trip_id": "east"}, 0),
        ({"trip_id": "west"}, 1),
        ({"trip_id": "nobody knows it"}, 1),
        ({"trip_id": "east", "direction_id": 1}, 1),  # what is told counts
    ],
)
def test_trip_tells_the_direction(city: City, told: dict[str, Any], direction_id: int) -> None:
    (passage,) = claims(city, fix(0, north_m=NORTH_M, **told))
    assert passage.kind == "stop_passage"
    assert passage.direction_id == direction_id
    assert passage.subject == f"L1/{direction_id}/M/{told.get('trip_id', '')}"


def test_line_tells_the_class(city: City) -> None:
    stood = [fix(10 * at, speed_mps=0.0, longitude_deg=105.805) for at in range(4)]
    (claim,) = claims(city, *stood)
    assert (claim.kind, claim.vehicle_class) == ("stationary_vehicle", "BUS")
    (claim,) = claims(city, *(fix(10 * at, speed_mps=0.0, longitude_deg=105.805, line_id="") for at in range(4)))
    assert (claim.kind, claim.vehicle_class) == ("stationary_vehicle", "UNKNOWN")


def test_feed_tells_the_directions_of_its_trips(tmp_path: Path) -> None:
    tables = {
        "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\na,A,21.0,105.80\nb,B,21.0,105.82",
        "routes.txt": "route_id,route_short_name,route_type\nL1,L1,3",
        "trips.txt": "route_id,service_id,trip_id,direction_id\nL1,all,there,0\nL1,all,back,1",
        "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "there,,,a,1\nthere,,,b,2\nback,,,b,1\nback,,,a,2",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    place = np.array([21.0]), np.array([105.81])
    derived = derive_city("A feed", "UTC", *place, tmp_path)
    assert derived.trip_directions == {"there": 0, "back": 1}
