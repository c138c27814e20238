"""The vehicles of a city on the move, as columns: speed, stops, red lights, and a noisy fix every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City, Line
from processors.geo import EARTH_RADIUS_M
from processors.simulate.delivery import Channel, Outbox, phases_ms
from processors.simulate.dispatch import Dispatch, Service
from processors.simulate.lanes import Lanes, moved
from processors.simulate.orders import REVERSE_MPS, Orders
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
ROUND_TRIP_MPS: Final = 3.2
"""Speed with stops and layovers by which the vehicles that a headway needs are counted."""
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

LINE_DRIVERS: Final = 0.4
"""The drivers of a line's vehicles differ so much as those of a class do: they keep to a plan."""

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
        classes, path, offset_m, services = _placed(city, paths, rule, self._driving)
        count = len(classes)
        self.classes, self._path, self._offset_m = classes, path, offset_m
        self.ids = [f"{kind.value.lower().replace('_', '-')}-{index:05d}" for index, kind in enumerate(classes)]
        cruise_mps = np.array([self._driving.uniform(*CRUISE_MPS[kind]) for kind in classes])
        mean_mps = np.array([sum(CRUISE_MPS[kind]) / 2 for kind in classes])
        self._rails = np.array([kind is VehicleClass.METRO for kind in classes], np.bool_)
        self.street = np.array([kind in STREET_SHARE for kind in classes], np.bool_)
        self._cruise_mps = np.where(self.street, cruise_mps, mean_mps + LINE_DRIVERS * (cruise_mps - mean_mps))
        self.dispatch = Dispatch(services, len(paths.stop_m), count)
        self.orders = Orders(count, start_ms)
        self._lanes = Lanes(city, paths)
        self._speed_mps = self._cruise_mps * 0.5
        self._halt = paths.next_stop(path, offset_m)
        self.hold_ms = np.full(count, start_ms, np.float64)
        self._doors_ms = np.full(count, start_ms, np.float64)
        self._light_ms = start_ms + self._driving.exponential(rule.red_light_every_s * 1000, count)
        self._every_s = self._driving.uniform(*rule.position_every_s, count)
        self._fix_ms = phases_ms(count, start_ms, self._every_s, self._driving)
        self.channel = Channel(POSITIONS, self.ids, start_ms, delivery, rule, outbox)

    def step(self, tick_ms: int, local_hour: float) -> None:
        """Drive up to a tick and send the fixes that fall before it; local_hour: time of day, 0 <= local_hour < 24."""
        if not self.ids:  # a city of cameras and sensors alone
            return
        self.dispatch.plan(local_hour)
        self._drive(tick_ms, traffic_at(local_hour))
        rows = np.flatnonzero(self._fix_ms < tick_ms)
        at_ms = self._fix_ms[rows].astype(np.int64)
        self._fix_ms[rows] += self._every_s[rows] * 1000 + self._driving.uniform(-100.0, 100.0, len(rows))
        self.channel.send(rows, at_ms, self._records(rows, at_ms, tick_ms))

    def _drive(self, tick_ms: int, traffic: float) -> None:
        paths = self._paths
        self._stop_at_lights(tick_ms)
        ahead_m = paths.stop_m[self._halt] - paths.start_m[self._path] - self._offset_m
        wanted_mps = self._cruise_mps * np.where(self._rails, 1.0, traffic)
        if self.orders.any(tick_ms):
            wanted_mps = self.orders.steered(wanted_mps, self._path, self._offset_m, tick_ms)
        wanted_mps = np.minimum(wanted_mps, np.sqrt(2 * APPROACH_MPS2 * np.maximum(ahead_m, 0.0)) + 0.1)
        wanted_mps[self.hold_ms > tick_ms] = 0.0
        change_mps = np.clip(
            wanted_mps - self._speed_mps, -BRAKING_MPS2 * SECONDS_PER_TICK, ACCELERATION_MPS2 * SECONDS_PER_TICK
        )
        self._speed_mps += change_mps
        self._offset_m += np.minimum(self._speed_mps * SECONDS_PER_TICK, np.maximum(ahead_m, 0.0))
        arrived = (ahead_m < HALT_WITHIN_M) & (self._speed_mps < 2 * CREEP_MPS)
        if self.orders.any(tick_ms):
            arrived &= ~self._reverse(tick_ms)
        self._halt_at_stops(tick_ms, arrived)

    def _reverse(self, tick_ms: int) -> BoolArray:
        """Let those drive back that are to; tell which."""
        back = self.orders.reversing(tick_ms) & (self.hold_ms <= tick_ms)
        rows = np.flatnonzero(back)
        step_m = (self._speed_mps[rows] + REVERSE_MPS) * SECONDS_PER_TICK
        self._offset_m[rows] = np.maximum(self._offset_m[rows] - step_m, 0.0)
        self._halt[rows] = self._paths.next_stop(self._path[rows], self._offset_m[rows])
        self._speed_mps[rows] = 0.0
        return back

    def _stop_at_lights(self, tick_ms: int) -> None:
        red = np.flatnonzero((self._light_ms < tick_ms) & (self.orders.pace_ms <= tick_ms))
        if not len(red):
            return
        braking_ms = self._speed_mps[red] / BRAKING_MPS2 * 1000
        hold_ms = tick_ms + braking_ms + self._driving.uniform(*self._rule.red_light_s, len(red)) * 1000
        self.hold_ms[red] = np.where(self._rails[red], self.hold_ms[red], np.maximum(self.hold_ms[red], hold_ms))
        self._light_ms[red] = hold_ms + self._driving.exponential(self._rule.red_light_every_s * 1000, len(red))

    def _halt_at_stops(self, tick_ms: int, arrived: BoolArray) -> None:
        rows = np.flatnonzero(arrived)
        if not len(rows):
            return
        paths, path = self._paths, self._path[rows]
        end_m = paths.start_m[path] + paths.length_m[path]
        ended = paths.stop_m[self._halt[rows]] >= end_m - HALT_WITHIN_M
        spans = np.where(
            ended[:, None], np.where(self.street[rows][:, None], PICK_UP_S, LAYOVER_S), np.array(DWELL_S)[None, :]
        )
        leave_ms = tick_ms + self._driving.uniform(spans[:, 0], spans[:, 1]) * 1000
        halt = self._halt[rows]
        kept = ~self.street[rows] & (self.orders.loose_ms[rows] <= tick_ms)
        leave_ms = np.where(kept, self.dispatch.leave_ms(rows, halt, tick_ms, leave_ms, ended), leave_ms)
        self.dispatch.leaves(halt, leave_ms)
        self._doors_ms[rows] = leave_ms
        self.hold_ms[rows] = np.maximum(self.hold_ms[rows], leave_ms)
        self._speed_mps[rows] = 0.0
        self._halt[rows] += 1
        over = rows[ended]
        self._path[over] = paths.following[self._path[over]]
        self._offset_m[over] = 0.0
        self._halt[over] = paths.next_stop(self._path[over], self._offset_m[over])

    def _records(self, rows: IntArray, at_ms: IntArray, tick_ms: int) -> list[VehiclePosition]:
        fixes = self._truly(rows, at_ms, tick_ms).measured(self._measuring, self._rule)
        orders, path = self.orders, self._path[rows]
        boards = (self._doors_ms[rows] > tick_ms) | (orders.doors_ms[rows] > at_ms)
        return positions(
            (at_ms + self.channel.ahead_ms[rows]).tolist(),
            fixes,
            [self.classes[row] for row in rows.tolist()],
            boards.tolist(),
            self._paths.direction_id[path].tolist(),
            [self.ids[row] for row in rows.tolist()],
            [self._paths.line_id[index] for index in path.tolist()],
            accuracy_m(self._rule),
            (orders.sos_ms[rows] > at_ms).tolist(),
        )

    def _truly(self, rows: IntArray, at_ms: IntArray, tick_ms: int) -> Fixes:
        """Return where vehicles are and how they move at n times just before a tick."""
        path, speed_mps = self._path[rows], self._speed_mps[rows]
        back = self.orders.reversing(tick_ms)[rows] & (self.hold_ms[rows] <= tick_ms)
        speed_mps = np.where(back, REVERSE_MPS, speed_mps)
        offset_m = self._offset_m[rows] - speed_mps * (tick_ms - at_ms) / 1000 * np.where(back, -1, 1)
        latitude_deg, longitude_deg, bearing_deg = self._paths.place(path, offset_m)
        bearing_deg = np.where(back, bearing_deg + 180.0, bearing_deg)
        north_m, east_m = self.orders.displaced(rows, at_ms)
        if self._lanes.any:
            aside_m = np.where(self.street[rows], self._lanes.aside_m(path, self._offset_m[rows]), 0.0)
            right = np.radians(bearing_deg + 90.0)
            north_m, east_m = north_m + aside_m * np.cos(right), east_m + aside_m * np.sin(right)
        return Fixes(*moved(latitude_deg, longitude_deg, north_m, east_m), speed_mps, bearing_deg)

    def place(self, row: int) -> tuple[float, float, float]:
        """Return latitude_deg, longitude_deg and bearing_deg of a vehicle now."""
        one = self._paths.place(self._path[[row]], self._offset_m[[row]])
        return float(one[0][0]), float(one[1][0]), float(one[2][0])

    def along(self, row: int) -> tuple[int, float, float]:
        """Return the path of a vehicle, its offset on it, and how far ahead it halts next."""
        path, offset_m = int(self._path[row]), float(self._offset_m[row])
        return path, offset_m, float(self._paths.stop_m[self._halt[row]] - self._paths.start_m[path]) - offset_m

    def behind(self, row: int) -> tuple[int, float] | None:
        """Return the next vehicle behind on the same path, and how far; None = there is none."""
        rows = np.flatnonzero((self._path == self._path[row]) & (np.arange(len(self.ids)) != row))
        back_m = self._offset_m[row] - self._offset_m[rows]
        if not (back_m >= 0).any():
            return None
        nearest = int(np.argmin(np.where(back_m >= 0, back_m, np.inf)))
        return int(rows[nearest]), float(back_m[nearest])

    def boarding(self, row: int, tick_ms: int) -> bool:
        """Tell whether a vehicle stands at a stop on its way, not at an end."""
        return bool(self._doors_ms[row] > tick_ms and self._offset_m[row] > 1.0)

    def last_stop(self, row: int) -> int:
        """Return the stop, an index of the paths' stop_m, that a vehicle passed last or stands at."""
        return int(self._halt[row]) - 1

    def wait(self, row: int, until_ms: int, *, doors_open: bool) -> None:
        """Let a vehicle stand until a time."""
        self.hold_ms[row] = max(float(self.hold_ms[row]), until_ms)
        if doors_open:
            self._doors_ms[row] = self.hold_ms[row]

    def release(self, row: int, tick_ms: int) -> None:
        """Let a vehicle that stands drive on."""
        self.hold_ms[row] = self._doors_ms[row] = tick_ms


def accuracy_m(rule: SimulationRule) -> float:
    """Return the radius that holds 68 % of the fixes: sqrt(-2 ln 0.32) = 1.51 standard deviations of one axis."""
    return round(1.51 * rule.gps_noise_m, 1)


def positions(
    at_ms: Sequence[int], fixes: Fixes, classes: Sequence[VehicleClass], boarding: Sequence[bool],
    directions: Sequence[int], vehicle_ids: Sequence[str], line_ids: Sequence[str], accuracy_m: float,
    sos: Sequence[bool] = (), parked: Sequence[bool] = (),
) -> list[VehiclePosition]:  # fmt: skip
    """Write n fixes as records; a line's vehicle has its doors open while people board.

    sos, parked: of each, whether the button is pressed, and whether the engine is off; empty = of none.
    """
    columns = zip(
        at_ms, fixes.latitude_deg.tolist(), fixes.longitude_deg.tolist(), fixes.speed_mps.tolist(),
        fixes.bearing_deg.tolist(), classes, boarding, directions, vehicle_ids, line_ids,
        sos or [False] * len(vehicle_ids), parked or [False] * len(vehicle_ids), strict=True,
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
            ignition=Switch.OFF if is_off else Switch.ON,
            door=Switch.UNKNOWN if not line_id else Switch.ON if boards else Switch.OFF,
            sos=Switch.ON if calls else Switch.OFF,
            direction_id=direction,
            vehicle_id=vehicle_id,
            line_id=line_id,
        )
        for at, latitude, longitude, speed, bearing, kind, boards, direction, vehicle_id, line_id, calls, is_off
        in columns
    ]  # fmt: skip


def _placed(
    city: City, paths: Paths, rule: SimulationRule, rng: np.random.Generator
) -> tuple[list[VehicleClass], IntArray, FloatArray, list[Service]]:
    """Spread each line's vehicles by headway over its round trip, and the others over the streets by length."""
    services: list[Service] = []
    classes: list[VehicleClass] = []
    path: list[int] = []
    offset_m: list[float] = []
    for line, cycle, count in _line_fleets(city, paths, rule):
        ends_m = np.cumsum(paths.length_m[cycle])
        spacing_m = ends_m[-1] / count
        along_m = (np.arange(count) + rng.uniform(-0.1, 0.1, count)) * spacing_m % ends_m[-1]
        leg = np.minimum(np.searchsorted(ends_m, along_m, side="right"), len(cycle) - 1)
        services.append(Service(line, len(classes), count))
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
    return classes, np.array(path, np.int64), np.array(offset_m), services


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
