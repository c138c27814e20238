"""A city of one line by headway and one by timetable, and claims as detectors make them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from processors.calendars import Calendar
from processors.city import Bounds, City, Device, Headway, Line, Stop
from processors.gatherings.contract import Derived, Gathering
from processors.gatherings.stage import AnyGatherer
from processors.incidents.clusters import canonical
from processors.network import pattern_along
from processors.timetable import StopCalls, Timetable, Trip
from processors.zones import Zone
from schemas.ids import content_id
from schemas.records import Observation

DAY_MS = 1_790_010_000_000 // 86_400_000 * 86_400_000 - 7 * 3_600_000
"""Midnight in Hanoi, in September."""
STOP_M = 528.0
"""Two minutes at the scheduled speed of buses."""
LATITUDE_DEG, LONGITUDE_DEG = 21.03, 105.82
METRE_DEG = math.degrees(1 / 6_371_008.8)
HORIZON_MS = 1_800_000


def north_deg(metres: float) -> float:
    return LATITUDE_DEG + metres * METRE_DEG


def east_deg(metres: float) -> float:
    return LONGITUDE_DEG + metres * METRE_DEG / math.cos(math.radians(LATITUDE_DEG))


def at_ms(clock: str) -> int:
    """Local "HH:MM:SS" of the day, or "HH:MM"."""
    hours, minutes, seconds = (*(int(part) for part in clock.split(":")), 0)[:3]
    return DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000


def line_city(
    every_s: int = 600,
    zones: tuple[Zone, ...] = (),
    calendars: Mapping[str, Calendar] | None = None,
    sensors: Mapping[str, Device] | None = None,
) -> City:
    """Line 09A (0: S0 to S5) runs every 10 min from 06:00 to 22:00; T1 on the same stops by timetable, trips t0, t1 ...

    T1 is at S1 at 06:00, 06:20, ... and 2 min later at every further stop.
    """
    stops = tuple(Stop(f"S{index}", f"Stop {index}", LATITUDE_DEG, east_deg(index * STOP_M)) for index in range(6))
    pattern = pattern_along(
        0,
        np.array([stop.latitude_deg for stop in stops]),
        np.array([stop.longitude_deg for stop in stops]),
        {index: stop.stop_id for index, stop in enumerate(stops)},
    )
    lines = (
        Line("09A", "09A", "bus", "", (Headway("06:00", "22:00", every_s),), (pattern,)),
        Line("T1", "T1", "bus", "", (), (pattern,)),
    )
    trips = [Trip(f"t{index}", "T1", 0, "daily") for index in range(40)]
    calls = {
        f"S{stop}": StopCalls(
            np.array([6 * 3600 + 1200 * index + 120 * (stop - 1) for index in range(40)]), np.arange(40)
        )
        for stop in range(6)
    }
    bounds = Bounds(LATITUDE_DEG - 0.2, LONGITUDE_DEG - 0.2, LATITUDE_DEG + 0.2, LONGITUDE_DEG + 0.2)
    both: dict[str, Any] = {"zones": zones, "calendars": calendars, "sensors": sensors}
    return City(
        name="Lines", version="c1", time_zone="Asia/Ho_Chi_Minh", bounds=bounds, lines=lines, stops=stops, **both
    ) if every_s else City(
        name="Lines", version="c1", time_zone="Asia/Ho_Chi_Minh", bounds=bounds, lines=lines[1:], stops=stops,
        timetable=Timetable(trips, calls, {}, "Asia/Ho_Chi_Minh"), **both,
    )  # fmt: skip


CITY = line_city()
TIMETABLE_CITY = line_city(every_s=0)
TET = {"tet": Calendar("tet", days=frozenset((date.fromtimestamp(DAY_MS // 1000 + 40_000),)))}  # noqa: DTZ012


def observed(kind: str, device_id: str, when_ms: int, x_m: float = 0.0, y_m: float = 0.0, **more: Any) -> Observation:
    """An observation x_m east and y_m north of the middle."""
    fields: dict[str, Any] = {
        "score": 0.8, "source_offset": 0, "source_partition": 0, "source_topic": "sensor.readings.v1",
        "observation_id": content_id("o", kind, device_id, when_ms, *map(str, more.values())),
        "witness_id": device_id,
    }  # fmt: skip
    return Observation(
        at_ms=when_ms, latitude_deg=north_deg(y_m), longitude_deg=east_deg(x_m), kind=kind, device_id=device_id,
        **fields | more,
    )  # fmt: skip


def passage(vehicle: str, stop: int, clock: str | int, line_id: str = "09A", trip: str = "") -> Observation:
    """A vehicle passes stop S<stop>."""
    when_ms = clock if isinstance(clock, int) else at_ms(clock)
    subject = f"{line_id}/0/S{stop}/{trip}"
    return observed(
        "stop_passage", vehicle, when_ms, stop * STOP_M, line_id=line_id, direction_id=0, subject=subject,
        line_offset_m=stop * STOP_M, source_topic="vehicle.positions.v1", score=1.0,
    )  # fmt: skip


def sound(microphone: str, when_ms: int, x_m: float, y_m: float, kind: str = "impact_sound") -> Observation:
    return observed(kind, microphone, when_ms, x_m, y_m)


def level(sensor: str, hour: int, value: float, x_m: float = 0.0, quantity: str = "pm2_5") -> Observation:
    """The mean of an hour, claimed at its end."""
    return observed("hourly_level", sensor, DAY_MS + (hour + 1) * 3_600_000, x_m, value=value, subject=quantity)


def derived(gathering: Gathering, claims: Iterable[Observation]) -> list[Derived]:
    """Everything that a gathering derives from claims, of all subjects, by time."""
    about: dict[str, list[Observation]] = {}
    for one in canonical(each for each in claims if each.kind in gathering.kinds):
        for subject in gathering.subjects(one):
            about.setdefault(subject, []).append(one)
    found = [one for subject, some in about.items() for one in gathering.derive(subject, some)]
    return sorted(found, key=lambda one: (one.at_ms, one.kind, one.device_id, one.value))


def told(gathering: Gathering, claims: Iterable[Observation], *kinds: str) -> list[tuple[str, str, float]]:
    """Kind, local time and value of what is derived."""
    return [
        (one.kind, clock_of(one.at_ms), round(one.value, 2))
        for one in derived(gathering, claims)
        if not kinds or one.kind in kinds
    ]


def clock_of(when_ms: int) -> str:
    seconds = (when_ms - DAY_MS) // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class Listener:
    """Knows what stands of all that a gatherer says."""

    def __init__(self, gatherer: AnyGatherer) -> None:
        self.gatherer = gatherer
        self.standing: dict[str, Observation] = {}
        self.said: list[Observation] = []

    def tick(self, tick_ms: int, observations: Sequence[Observation] = ()) -> list[Observation]:
        said = self.gatherer.advance(tick_ms, observations)
        for one in said:
            if one.withdrawn:
                del self.standing[one.observation_id]
            else:
                assert one.observation_id not in self.standing
                assert one.at_ms <= tick_ms
                self.standing[one.observation_id] = one
        self.said += said
        return said
