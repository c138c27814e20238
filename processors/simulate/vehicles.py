"""The vehicles of a city on the move, as columns: speed, stops, red lights, and a noisy fix every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City, Line
from processors.geo import EARTH_RADIUS_M
from processors.simulate.delivery import Channel, Outbox, phases_ms
from processors.simulate.paths import Paths
from processors.simulate.rule import POSITIONS, TICK_MS, SimulationRule, Span
from schemas.records import Switch, VehicleClass, VehiclePosition

SECONDS_PER_TICK: Final = TICK_MS / 1000
ACCELERATION_MPS2: Final = 1.0
BRAKING_MPS2: Final = 1.5
APPROACH_MPS2: Final = 1.2
"""Drivers slow down for a halt they see coming a little more gently than they can brake."""
HALT_WITHIN_M: Final = 2.0
CREEP_MPS: Final = 1.0
ROUND_TRIP_MPS: Final = 4.5
"""Speed with stops by which the vehicles that a headway needs are counted."""
DEFAULT_HEADWAY_S: Final = 900.0
DWELL_S: Final[Span] = (10.0, 35.0)
LAYOVER_S: Final[Span] = (60.0, 240.0)
PICK_UP_S: Final[Span] = (20.0, 90.0)

CRUISE_MPS: Final[dict[VehicleClass, Span]] = {
    VehicleClass.BUS: (8.5, 11.0),
    VehicleClass.BRT: (10.0, 12.5),
    VehicleClass.METRO: (14.0, 18.0),
    VehicleClass.TAXI: (9.0, 13.0),
    VehicleClass.RIDE_HAILING: (8.0, 13.0),
    VehicleClass.COACH: (9.0, 14.0),
    VehicleClass.RENTAL: (9.0, 13.0),
}
"""Free-flow cruising speeds of the drivers of each class."""

MODE_CLASS: Final = {"bus": VehicleClass.BUS, "brt": VehicleClass.BRT, "metro": VehicleClass.METRO}
STREET_SHARE: Final = {
    VehicleClass.TAXI: 0.22,
    VehicleClass.RIDE_HAILING: 0.68,
    VehicleClass.COACH: 0.06,
    VehicleClass.RENTAL: 0.04,
}
"""Of the vehicles that serve no line, as the city's fleet at peak has them."""

TRAFFIC: Final = (
    1.0, 1.0, 1.0, 1.0, 1.0, 0.95, 0.8, 0.6, 0.6, 0.75, 0.8, 0.75,
    0.75, 0.8, 0.8, 0.8, 0.7, 0.55, 0.6, 0.75, 0.85, 0.9, 0.95, 1.0,
)  # fmt: skip
"""Share of free-flow speed at each full hour; the metro is exempt."""


def traffic_at(local_hour: float) -> float:
    """Return the share of free-flow speed at an hour of the day, 0 <= local_hour < 24."""
    return float(np.interp(local_hour, range(25), (*TRAFFIC, TRAFFIC[0])))


@dataclass(frozen=True, slots=True)
class Fixes:
    """What n devices measure: columns float64 (n,), the speed and bearing as they are, before noise."""

    latitude_deg: FloatArray
    longitude_deg: FloatArray
    speed_mps: FloatArray
    bearing_deg: FloatArray

    def measured(self, rng: np.random.Generator, rule: SimulationRule) -> "Fixes":
        """Return them as GPS sees them: white noise of `gps_noise_m` north and east each, and noise on the speed."""
        noise_m = rng.normal(0.0, rule.gps_noise_m, (2, len(self.speed_mps)))
        metre_deg = np.degrees(1 / EARTH_RADIUS_M)
        speed_noise_mps = rng.normal(0.0, rule.speed_noise_mps, len(self.speed_mps))
        return Fixes(
            self.latitude_deg + noise_m[0] * metre_deg,
            self.longitude_deg + noise_m[1] * metre_deg / np.cos(np.radians(self.latitude_deg)),
            np.maximum(self.speed_mps + speed_noise_mps, 0.0),
            self.bearing_deg,
        )


class Fleet:
    """All vehicles but those that crash, on their paths."""

    def __init__(
        self, city: City, paths: Paths, streams: Sequence[np.random.Generator], start_ms: int, rule: SimulationRule,
        outbox: Outbox,
    ) -> None:  # fmt: skip
        """Place the vehicles; streams: the random numbers of driving, of measuring and of delivery."""
        self._paths, self._rule = paths, rule
        self._driving, self._measuring, delivery = streams
        classes, path, offset_m = _placed(city, paths, rule, self._driving)
        count = len(classes)
        self._class, self._path, self._offset_m = classes, path, offset_m
        self._ids = [f"{kind.value.lower().replace('_', '-')}-{index:05d}" for index, kind in enumerate(classes)]
        self._cruise_mps = np.array([self._driving.uniform(*CRUISE_MPS[kind]) for kind in classes])
        self._rails = np.array([kind is VehicleClass.METRO for kind in classes], np.bool_)
        self._street = np.array([kind in STREET_SHARE for kind in classes], np.bool_)
        self._speed_mps = self._cruise_mps * 0.5
        self._halt = paths.next_stop(path, offset_m)
        self._hold_ms = np.full(count, start_ms, np.float64)
        self._doors_ms = np.full(count, start_ms, np.float64)
        self._light_ms = start_ms + self._driving.exponential(rule.red_light_every_s * 1000, count)
        self._every_s = self._driving.uniform(*rule.position_every_s, count)
        self._fix_ms = phases_ms(count, start_ms, self._every_s, self._driving)
        self._channel = Channel(POSITIONS, self._ids, start_ms, delivery, rule, outbox)

    def step(self, tick_ms: int, traffic: float) -> None:
        """Drive up to a tick and send the fixes that fall before it; traffic: share of free-flow speed."""
        self._drive(tick_ms, traffic)
        rows = np.flatnonzero(self._fix_ms < tick_ms)
        at_ms = self._fix_ms[rows].astype(np.int64)
        self._fix_ms[rows] += self._every_s[rows] * 1000 + self._driving.uniform(-100.0, 100.0, len(rows))
        self._channel.send(rows, at_ms, self._records(rows, at_ms, tick_ms))

    def _drive(self, tick_ms: int, traffic: float) -> None:
        paths = self._paths
        self._stop_at_lights(tick_ms)
        ahead_m = paths.stop_m[self._halt] - paths.start_m[self._path] - self._offset_m
        wanted_mps = self._cruise_mps * np.where(self._rails, 1.0, traffic)
        wanted_mps = np.minimum(wanted_mps, np.sqrt(2 * APPROACH_MPS2 * np.maximum(ahead_m, 0.0)) + 0.1)
        wanted_mps[self._hold_ms > tick_ms] = 0.0
        change_mps = np.clip(
            wanted_mps - self._speed_mps, -BRAKING_MPS2 * SECONDS_PER_TICK, ACCELERATION_MPS2 * SECONDS_PER_TICK
        )
        self._speed_mps += change_mps
        self._offset_m += np.minimum(self._speed_mps * SECONDS_PER_TICK, np.maximum(ahead_m, 0.0))
        self._halt_at_stops(tick_ms, (ahead_m < HALT_WITHIN_M) & (self._speed_mps < 2 * CREEP_MPS))

    def _stop_at_lights(self, tick_ms: int) -> None:
        red = np.flatnonzero(self._light_ms < tick_ms)
        if not len(red):
            return
        braking_ms = self._speed_mps[red] / BRAKING_MPS2 * 1000
        hold_ms = tick_ms + braking_ms + self._driving.uniform(*self._rule.red_light_s, len(red)) * 1000
        self._hold_ms[red] = np.where(self._rails[red], self._hold_ms[red], np.maximum(self._hold_ms[red], hold_ms))
        self._light_ms[red] = hold_ms + self._driving.exponential(self._rule.red_light_every_s * 1000, len(red))

    def _halt_at_stops(self, tick_ms: int, arrived: BoolArray) -> None:
        rows = np.flatnonzero(arrived)
        if not len(rows):
            return
        paths, path = self._paths, self._path[rows]
        end_m = paths.start_m[path] + paths.length_m[path]
        ended = paths.stop_m[self._halt[rows]] >= end_m - HALT_WITHIN_M
        spans = np.where(
            ended[:, None], np.where(self._street[rows][:, None], PICK_UP_S, LAYOVER_S), np.array(DWELL_S)[None, :]
        )
        stay_ms = self._driving.uniform(spans[:, 0], spans[:, 1]) * 1000
        self._doors_ms[rows] = tick_ms + stay_ms
        self._hold_ms[rows] = np.maximum(self._hold_ms[rows], self._doors_ms[rows])
        self._speed_mps[rows] = 0.0
        self._halt[rows] += 1
        over = rows[ended]
        self._path[over] = paths.following[self._path[over]]
        self._offset_m[over] = 0.0
        self._halt[over] = paths.next_stop(self._path[over], self._offset_m[over])

    def _records(self, rows: IntArray, at_ms: IntArray, tick_ms: int) -> list[VehiclePosition]:
        back_m = self._speed_mps[rows] * (tick_ms - at_ms) / 1000
        path = self._path[rows]
        place = self._paths.place(path, self._offset_m[rows] - back_m)
        fixes = Fixes(place[0], place[1], self._speed_mps[rows], place[2]).measured(self._measuring, self._rule)
        return positions(
            (at_ms + self._channel.ahead_ms[rows]).tolist(),
            fixes,
            [self._class[row] for row in rows.tolist()],
            (self._doors_ms[rows] > tick_ms).tolist(),
            self._paths.direction_id[path].tolist(),
            [self._ids[row] for row in rows.tolist()],
            [self._paths.line_id[index] for index in path.tolist()],
            accuracy_m(self._rule),
        )


def accuracy_m(rule: SimulationRule) -> float:
    """Return the radius that holds 68 % of the fixes: sqrt(-2 ln 0.32) = 1.51 standard deviations of one axis."""
    return round(1.51 * rule.gps_noise_m, 1)


def positions(
    at_ms: Sequence[int], fixes: Fixes, classes: Sequence[VehicleClass], boarding: Sequence[bool],
    directions: Sequence[int], vehicle_ids: Sequence[str], line_ids: Sequence[str], accuracy_m: float,
) -> list[VehiclePosition]:  # fmt: skip
    """Write n fixes as records; a line's vehicle has its doors open while people board."""
    columns = zip(
        at_ms, fixes.latitude_deg.tolist(), fixes.longitude_deg.tolist(), fixes.speed_mps.tolist(),
        fixes.bearing_deg.tolist(), classes, boarding, directions, vehicle_ids, line_ids, strict=True,
    )  # fmt: skip
    return [
        VehiclePosition(
            at_ms=at,
            latitude_deg=round(latitude, 7),
            longitude_deg=round(longitude, 7),
            speed_mps=round(speed, 2),
            bearing_deg=round(bearing, 1) % 360,
            accuracy_m=accuracy_m,
            vehicle_class=kind,
            ignition=Switch.ON,
            door=Switch.UNKNOWN if not line_id else Switch.ON if boards else Switch.OFF,
            sos=Switch.OFF,
            direction_id=direction,
            vehicle_id=vehicle_id,
            line_id=line_id,
        )
        for at, latitude, longitude, speed, bearing, kind, boards, direction, vehicle_id, line_id in columns
    ]


def _placed(
    city: City, paths: Paths, rule: SimulationRule, rng: np.random.Generator
) -> tuple[list[VehicleClass], IntArray, FloatArray]:
    """Spread each line's vehicles by headway over its round trip, and the others over the streets by length."""
    classes: list[VehicleClass] = []
    path: list[int] = []
    offset_m: list[float] = []
    for line, cycle, count in _line_fleets(city, paths, rule):
        ends_m = np.cumsum(paths.length_m[cycle])
        spacing_m = ends_m[-1] / count
        along_m = (np.arange(count) + rng.uniform(-0.1, 0.1, count)) * spacing_m % ends_m[-1]
        leg = np.minimum(np.searchsorted(ends_m, along_m, side="right"), len(cycle) - 1)
        classes += [MODE_CLASS.get(line.mode, VehicleClass.BUS)] * count
        path += [cycle[index] for index in leg.tolist()]
        offset_m += (along_m - ends_m[leg] + paths.length_m[np.array(cycle)[leg]]).tolist()
    others = rule.vehicles - len(classes) if len(paths.street) else 0
    share = paths.length_m[paths.street] / paths.length_m[paths.street].sum() if others else None
    kinds = list(STREET_SHARE)
    classes += [kinds[index] for index in rng.choice(len(kinds), others, p=list(STREET_SHARE.values())).tolist()]
    streets = paths.street[rng.choice(len(paths.street), others, p=share)] if others else np.empty(0, np.int64)
    path += streets.tolist()
    offset_m += (rng.random(others) * paths.length_m[streets]).tolist()
    return classes, np.array(path, np.int64), np.array(offset_m)


def _line_fleets(city: City, paths: Paths, rule: SimulationRule) -> list[tuple[Line, list[int], int]]:
    """List the lines with their round trips and how many vehicles their headway needs, within the transit share."""
    found: list[tuple[Line, list[int], float]] = []
    for line in city.lines:
        first = next((index for index in paths.patterns.tolist() if paths.line_id[index] == line.line_id), None)
        if first is None:
            continue
        cycle = [first]
        while (following := int(paths.following[cycle[-1]])) not in cycle:
            cycle.append(following)
        headway_s = min((window.headway_s for window in line.headway_s), default=DEFAULT_HEADWAY_S)
        found.append((line, cycle, float(paths.length_m[cycle].sum()) / ROUND_TRIP_MPS / headway_s))
    needed = sum(count for _, _, count in found)
    scale = min(1.0, rule.vehicles * rule.transit_share / needed) if needed else 0.0
    fleets = [(line, cycle, round(count * scale)) for line, cycle, count in found]
    return [fleet for fleet in fleets if fleet[2]]
