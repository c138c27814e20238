"""The load: a seeded log of a city's vehicles, cameras and sensors, as columns, tick by tick, at any rate.

Made for speed, not for truth (processors/simulate is the simulator): no acceleration, one speed between two fixes.
What it keeps of a city: 2 % of the vehicles are on their own lines and halt at every stop, the others drive on
streets that run beside the lines' roads; everybody halts at lights; some are parked; positions have GPS noise; a few
records come late and a few twice; crashes and fires are scripted, with what cameras and sensors say of them.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, FloatArray, IntArray
from processors.city import City
from processors.geo import EARTH_RADIUS_M
from processors.simulate.paths import build_paths
from schemas.ids import shard_of
from schemas.records import VehicleClass

TICK_MS: Final = 250
NEVER_MS: Final = 1 << 60
METRE_DEG: Final = float(np.degrees(1 / EARTH_RADIUS_M))
CLASS_NUMBER: Final = {item: number for number, item in enumerate(VehicleClass)}
MODE_CLASS: Final = {"bus": VehicleClass.BUS, "brt": VehicleClass.BRT, "metro": VehicleClass.METRO}
STREET_CLASSES: Final = (VehicleClass.TAXI, VehicleClass.RIDE_HAILING, VehicleClass.COACH, VehicleClass.RENTAL)
STREET_SHARES: Final = (0.22, 0.68, 0.06, 0.04)
EVERYDAY: Final = (("vehicle", "car"), ("vehicle", "motorcycle"), ("vehicle", "bus"), ("person", "person"))
STREETS_WITHIN_M: Final = 1500.0
"""Standard deviation of how far a street runs beside the line's road it copies: north and east each."""

GATEWAY_VEHICLES: Final = 500
SITE_EVERY_M: Final = 700.0
SITE_MARGIN_M: Final = 3000.0
SCENE_CAMERAS: Final = 2
SCENE_LOOKS: Final = 3
WRECK_EVERY_MS: Final = 5000
WRECK_FROM_MS: Final = -30_000
WRECK_UNTIL_MS: Final = 45_000
WRECK_MPS: Final = 10.0


@dataclass(frozen=True, slots=True)
class LoadRule:
    """How much there is of everything. Shares are 0 to 1, spans lowest and highest value.

    transit_share: 2,000 of 100,000 vehicles, as many buses as Hanoi runs, 15 a line of benchmarks/city.py.
    halt_every_s, halt_s: lights and jams. parked: of the vehicles on streets, those that stand all the time.
    delayed, delayed_s: records that come late, all within the lateness bound. scenes: crashes (3 of 4) and fires.
    """

    vehicles: int = 100_000
    positions_per_s: float = 100_000.0
    detections_per_s: float = 200.0
    readings_per_s: float = 100.0
    scenes_per_s: float = 0.5
    transit_share: float = 0.02
    cruise_mps: tuple[float, float] = (4.0, 12.0)
    halt_every_s: float = 120.0
    halt_s: tuple[float, float] = (10.0, 40.0)
    dwell_s: tuple[float, float] = (10.0, 35.0)
    parked: float = 0.1
    gps_noise_m: float = 4.0
    delayed: float = 0.002
    delayed_s: tuple[float, float] = (0.5, 60.0)
    duplicate: float = 0.001
    cameras: int = 40_000
    sensors: int = 20_000


@dataclass(frozen=True, slots=True)
class Fixes:
    """n positions in the order in which they arrive; vehicle is the number of its Fleet."""

    vehicle: IntArray
    at_ms: IntArray
    latitude_deg: FloatArray
    longitude_deg: FloatArray
    speed_mps: FloatArray
    bearing_deg: FloatArray
    direction_id: IntArray

    def __len__(self) -> int:
        return len(self.vehicle)

    def take(self, rows: npt.NDArray[np.integer] | BoolArray) -> Self:
        """Return those rows."""
        return type(self)(*(getattr(self, item.name)[rows] for item in fields(self)))


@dataclass(frozen=True, slots=True)
class Claim:
    """One detection, or one reading of a quantity; kind: of the thing seen, or the quantity."""

    at_ms: int
    device_id: str
    latitude_deg: float
    longitude_deg: float
    kind: str
    value: float
    what: str


@dataclass(frozen=True, slots=True)
class LoadInterval:
    """What arrives before one tick. duplicates: how many of the positions are copies of ones that came before."""

    tick_ms: int
    positions: Fixes
    detections: Sequence[Claim]
    readings: Sequence[Claim]
    duplicates: int
    scenes: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """All vehicles by number: ordinary ones first, then those that crash, which take turns.

    gateway: who sends a vehicle's positions, place: its number among at most GATEWAY_VEHICLES of that gateway, which
    are of one shard.
    """

    vehicle_id: tuple[str, ...]
    vehicle_class: npt.NDArray[np.uint8]
    line_id: tuple[str, ...]
    trip_id: tuple[str, ...]
    shard: IntArray
    gateway: IntArray
    place: IntArray
    ordinary: int


class Load:
    """A load from `start_ms` on; the same arguments give the same intervals."""

    def __init__(self, city: City, rule: LoadRule, seed: int, start_ms: int) -> None:
        self.rule = rule
        self._city, self._start_ms, self._tick_ms = city, start_ms, start_ms
        self._rng = np.random.default_rng(seed)
        self._paths = build_paths(city)
        self._place_vehicles()
        self._stage = _Stage(city, rule, np.random.default_rng((seed, 1)), start_ms, self.fleet)
        self._background = _Background(city, rule, np.random.default_rng((seed, 2)))
        self._later: dict[int, list[Fixes]] = {}
        self._again: dict[int, list[Fixes]] = {}

    def step(self) -> LoadInterval:
        """Return the next 250 ms of event time."""
        begin_ms, self._tick_ms = self._tick_ms, self._tick_ms + TICK_MS
        tick_ms = self._tick_ms
        scenes = self._stage.begin_scenes(tick_ms)
        now = self._driven(tick_ms)
        now.append(self._stage.wrecks(tick_ms))
        fresh = _as_told(_joined(now))
        fresh = fresh.take(np.argsort(fresh.at_ms, kind="stable"))
        fresh, again = self._disturbed(fresh)
        late = self._later.pop(tick_ms, [])
        positions = _joined([*late, *again, fresh])
        detections, readings = self._stage.claims(tick_ms)
        detections += self._background.detections(begin_ms)
        readings += self._background.readings(begin_ms)
        detections.sort(key=lambda claim: claim.at_ms)
        readings.sort(key=lambda claim: claim.at_ms)
        return LoadInterval(tick_ms, positions, detections, readings, sum(map(len, again)), scenes)

    def _place_vehicles(self) -> None:
        rule, rng, paths = self.rule, self._rng, self._paths
        count, transit = rule.vehicles, round(rule.vehicles * rule.transit_share)
        path = np.concatenate([rng.choice(paths.patterns, transit), rng.choice(paths.street, count - transit)])
        on_street = np.arange(count) >= transit
        aside_m = np.where(on_street, rng.normal(0.0, STREETS_WITHIN_M, (2, count)), 0.0)
        self._path, self._on_street = path, on_street
        self._offset_m = rng.uniform(0.0, 1.0, count) * paths.length_m[path]
        self._aside_deg = aside_m * METRE_DEG
        self._cruise_mps = rng.uniform(*rule.cruise_mps, count)
        self._stands_until_ms = np.where(on_street & (rng.random(count) < rule.parked), np.inf, -np.inf)
        self._every_ms = 1000.0 * count / rule.positions_per_s
        kinds = [MODE_CLASS.get(paths.mode[one], VehicleClass.OTHER) for one in path[:transit].tolist()]
        kinds += [STREET_CLASSES[one] for one in rng.choice(len(STREET_CLASSES), count - transit, p=STREET_SHARES)]
        lines = [paths.line_id[one] for one in path.tolist()]
        wrecks = _wrecks(rule)
        names = [f"{kind.value.lower().replace('_', '-')}-{number:06d}" for number, kind in enumerate(kinds)]
        names += [f"taxi-x{number:05d}" for number in range(wrecks)]
        classes = [CLASS_NUMBER[kind] for kind in [*kinds, *[VehicleClass.TAXI] * wrecks]]
        none = [""] * wrecks
        shard = np.array([shard_of(name) for name in names], np.int64)
        gateway, place = _gateways(shard)
        self._next_ms = self._start_ms + self._first_ms(gateway[:count])
        self._last_ms = self._next_ms - self._every_ms
        self.fleet = Fleet(
            vehicle_id=tuple(names),
            vehicle_class=np.array(classes, np.uint8),
            line_id=(*lines, *none),
            trip_id=(*(f"{line}-{number:05d}" if line else "" for number, line in enumerate(lines)), *none),
            shard=shard,
            gateway=gateway,
            place=place,
            ordinary=count,
        )

    def turn_to(self, positions_per_s: float) -> None:
        """Let all vehicles report at another rate from now on."""
        every_ms = 1000.0 * self.rule.vehicles / positions_per_s
        if every_ms != self._every_ms:
            self._every_ms = every_ms
            self._next_ms = self._tick_ms + self._first_ms(self.fleet.gateway[: self.rule.vehicles])

    def _first_ms(self, gateway: IntArray) -> FloatArray:
        """Return when each vehicle reports first: those of one gateway between two ticks, where there is time."""
        slots = max(1, round(self._every_ms / TICK_MS))
        slot = self._rng.integers(0, slots, int(gateway.max()) + 1)[gateway]
        return slot * TICK_MS + self._rng.uniform(0.0, min(TICK_MS, self._every_ms), len(gateway))

    def _driven(self, tick_ms: int) -> list[Fixes]:
        """Return the fixes that fall before a tick, each vehicle's in order; a piece a round of due vehicles."""
        pieces = []
        due = np.flatnonzero(self._next_ms < tick_ms)
        while len(due):
            pieces.append(self._fix(due))
            due = due[self._next_ms[due] < tick_ms]
        return pieces

    def _fix(self, due: IntArray) -> Fixes:
        rule, rng, paths = self.rule, self._rng, self._paths
        at_ms = self._next_ms[due]
        gone_s = (at_ms - self._last_ms[due]) / 1000.0
        self._last_ms[due] = at_ms
        self._next_ms[due] = at_ms + self._every_ms
        moves = self._stands_until_ms[due] <= at_ms
        cruise_mps = self._cruise_mps[due] * rng.uniform(0.8, 1.2, len(due))
        path, before_m = self._path[due], self._offset_m[due]
        after_m = before_m + np.where(moves, cruise_mps * gone_s, 0.0)
        halts = moves & (rng.random(len(due)) < gone_s / rule.halt_every_s)
        stop = np.minimum(paths.next_stop(path, before_m), len(paths.stop_m) - 1)
        stop_m = paths.stop_m[stop] - paths.start_m[path]
        calls = moves & ~self._on_street[due] & (after_m >= stop_m)
        after_m = np.where(calls, stop_m, after_m)
        ends = after_m >= paths.length_m[path]
        standing_s = np.where(calls, rng.uniform(*rule.dwell_s, len(due)), rng.uniform(*rule.halt_s, len(due)))
        stands = halts | calls
        self._stands_until_ms[due] = np.where(stands, at_ms + standing_s * 1000.0, self._stands_until_ms[due])
        shown_m = np.minimum(after_m, paths.length_m[path])
        latitude_deg, longitude_deg, bearing_deg = paths.place(path, shown_m)
        self._path[due] = np.where(ends, paths.following[path], path)
        self._offset_m[due] = np.where(ends, 0.0, after_m)
        noise_deg = rng.normal(0.0, rule.gps_noise_m * METRE_DEG, (2, len(due))) + self._aside_deg[:, due]
        return Fixes(
            vehicle=due,
            at_ms=at_ms.astype(np.int64),
            latitude_deg=latitude_deg + noise_deg[0],
            longitude_deg=longitude_deg + noise_deg[1],
            speed_mps=np.where(moves & ~stands, cruise_mps, 0.0),
            bearing_deg=bearing_deg,
            direction_id=paths.direction_id[path],
        )

    def _disturbed(self, fresh: Fixes) -> tuple[Fixes, list[Fixes]]:
        """Keep a few rows back until a later tick, and plan copies of a few; return the rest and the copies due.

        They come with a later report of their gateway.
        """
        rule, rng = self.rule, self._rng
        fate = rng.random(len(fresh))
        late, twice = fate < rule.delayed, (fate >= rule.delayed) & (fate < rule.delayed + rule.duplicate)
        later_ms = rng.uniform(*rule.delayed_s) * 1000
        self._later.setdefault(self._tick_after(later_ms), []).append(fresh.take(late))
        self._again.setdefault(self._tick_after(later_ms / 10), []).append(fresh.take(twice))
        return fresh.take(~late), self._again.pop(self._tick_ms, [])

    def _tick_after(self, later_ms: float) -> int:
        reports = max(1, round(later_ms / self._every_ms))
        return self._tick_ms + TICK_MS * max(1, round(reports * self._every_ms / TICK_MS))


class _Stage:
    """Crashes and fires: each has a site of its own, two cameras, a microphone or smoke detector, and wrecks."""

    def __init__(self, city: City, rule: LoadRule, rng: np.random.Generator, start_ms: int, fleet: Fleet) -> None:
        self._rule, self._rng, self._start_ms, self._fleet = rule, rng, start_ms, fleet
        margin_deg, every_deg = SITE_MARGIN_M * METRE_DEG, SITE_EVERY_M * METRE_DEG
        rows = np.arange(city.south_deg + margin_deg, city.north_deg - margin_deg, every_deg)
        columns = np.arange(city.west_deg + margin_deg, city.east_deg - margin_deg, every_deg * 1.1)
        sites = np.stack(np.meshgrid(rows, columns), axis=-1).reshape(-1, 2)
        self._sites: FloatArray = rng.permutation(sites)
        self._begun = 0
        self._fixes: list[tuple[int, int, float, float, float]] = []
        self._claims: list[tuple[int, int, bool, Claim]] = []
        self._count = 0

    def begin_scenes(self, tick_ms: int) -> int:
        """Plan everything of the scenes whose wrecks drive up before a tick; return how many there are."""
        planned = self._begun
        while (at_ms := self._scene_ms(self._begun)) + WRECK_FROM_MS < tick_ms:
            self._plan(self._begun, at_ms)
            self._begun += 1
        return self._begun - planned

    def _scene_ms(self, number: int) -> int:
        per_s = self._rule.scenes_per_s
        return self._start_ms + int((number + 0.5) / per_s * 1000) if per_s else NEVER_MS

    def wrecks(self, tick_ms: int) -> Fixes:
        """Return the wrecks' fixes before a tick."""
        rows = []
        while self._fixes and self._fixes[0][0] < tick_ms:
            rows.append(heapq.heappop(self._fixes))
        at_ms, vehicle, latitude_deg, longitude_deg, speed_mps = (
            (np.array(column) for column in zip(*rows, strict=True)) if rows else ((np.zeros(0),) * 5)
        )
        count = len(rows)
        return Fixes(
            vehicle.astype(np.int64), at_ms.astype(np.int64), latitude_deg.astype(float), longitude_deg.astype(float),
            speed_mps.astype(float), np.zeros(count), np.full(count, -1),
        )  # fmt: skip

    def claims(self, tick_ms: int) -> tuple[list[Claim], list[Claim]]:
        """Return the detections and the readings before a tick."""
        found: tuple[list[Claim], list[Claim]] = ([], [])
        while self._claims and self._claims[0][0] < tick_ms:
            _, _, by_camera, claim = heapq.heappop(self._claims)
            found[0 if by_camera else 1].append(claim)
        return found

    def _plan(self, number: int, at_ms: int) -> None:
        latitude_deg, longitude_deg = self._sites[number % len(self._sites)].tolist()
        kinds = ["crash"] * SCENE_LOOKS if number % 4 else ["smoke", "smoke", "fire", "fire"]
        for camera in range(SCENE_CAMERAS):
            first_ms = at_ms + int(self._rng.uniform(1000, 3000)) + 2000 * camera
            for look, kind in enumerate(kinds):
                value = float(self._rng.uniform(0.7, 0.95))
                off_deg = (20.0 + camera) * METRE_DEG
                self._claim(first_ms + 1000 * look, True, f"cam-s{number:05d}-{camera}", latitude_deg + off_deg,
                            longitude_deg, kind, value, "car" if kind == "crash" else "")  # fmt: skip
        sensor = f"sen-s{number:05d}"
        if number % 4:
            self._claim(at_ms + 300, False, sensor, latitude_deg, longitude_deg, "sound_level", 105.0, "dB")
            self._wreck(number, at_ms, latitude_deg, longitude_deg)
        else:
            self._claim(at_ms + 2000, False, sensor, latitude_deg, longitude_deg, "smoke_obscuration", 12.0, "%/m")
            self._claim(at_ms + 9000, False, sensor, latitude_deg, longitude_deg, "temperature", 75.0, "Cel")

    def _claim(
        self, at_ms: int, by_camera: bool, device_id: str, latitude_deg: float, longitude_deg: float, kind: str,
        value: float, what: str,
    ) -> None:  # fmt: skip
        self._count += 1
        claim = Claim(at_ms, device_id, latitude_deg, longitude_deg, kind, value, what)
        heapq.heappush(self._claims, (at_ms, self._count, by_camera, claim))

    def _wreck(self, number: int, at_ms: int, latitude_deg: float, longitude_deg: float) -> None:
        """Two vehicles drive up from north and south, and stand."""
        pool = len(self._fleet.vehicle_id) - self._fleet.ordinary
        for which, side in enumerate((1.0, -1.0)):
            vehicle = self._fleet.ordinary + (2 * number + which) % pool
            for after_ms in range(WRECK_FROM_MS, WRECK_UNTIL_MS, WRECK_EVERY_MS):
                fix_ms = at_ms + after_ms + 1 + 400 * which
                if fix_ms < self._start_ms:
                    continue
                away_m = 5.0 + max(-after_ms, 0) / 1000.0 * WRECK_MPS
                noise_m = self._rng.normal(0.0, self._rule.gps_noise_m / 2, 2)
                place = latitude_deg + (side * away_m + noise_m[0]) * METRE_DEG, longitude_deg + noise_m[1] * METRE_DEG
                heapq.heappush(self._fixes, (fix_ms, vehicle, *place, WRECK_MPS if after_ms < 0 else 0.0))


class _Background:
    """What cameras and sensors say on an ordinary day."""

    def __init__(self, city: City, rule: LoadRule, rng: np.random.Generator) -> None:
        self._rule, self._rng = rule, rng
        centre = (city.south_deg + city.north_deg) / 2, (city.west_deg + city.east_deg) / 2
        self._cameras = rng.normal(centre, 0.05, (rule.cameras, 2))
        self._sensors = rng.normal(centre, 0.05, (rule.sensors, 2))

    def detections(self, begin_ms: int) -> list[Claim]:
        """Return the detections of the interval that begins then."""
        rng, count = self._rng, int(self._rng.poisson(self._rule.detections_per_s * TICK_MS / 1000))
        camera, at_ms = _told_once(rng.integers(0, self._rule.cameras, count), rng.integers(0, TICK_MS, count))
        at_ms, count = at_ms + begin_ms, len(camera)
        thing, confidence = rng.integers(0, len(EVERYDAY), count), rng.uniform(0.5, 0.99, count)
        place = self._cameras[camera]
        columns = zip(at_ms.tolist(), camera.tolist(), place.tolist(), thing.tolist(), confidence.tolist(), strict=True)
        return [
            Claim(at, f"cam-{one:05d}", where[0], where[1], EVERYDAY[seen][0], sure, EVERYDAY[seen][1])
            for at, one, where, seen, sure in columns
        ]

    def readings(self, begin_ms: int) -> list[Claim]:
        """Return the readings of the interval that begins then."""
        rng, count = self._rng, int(self._rng.poisson(self._rule.readings_per_s * TICK_MS / 1000))
        sensor, at_ms = _told_once(rng.integers(0, self._rule.sensors, count), rng.integers(0, TICK_MS, count))
        at_ms, count = at_ms + begin_ms, len(sensor)
        place, value = self._sensors[sensor], rng.normal(65.0, 5.0, count)
        columns = zip(at_ms.tolist(), sensor.tolist(), place.tolist(), value.tolist(), strict=True)
        return [
            Claim(at, f"sen-{one:05d}", where[0], where[1], "sound_level", level, "dB")
            for at, one, where, level in columns
        ]


def _told_once(device: IntArray, after_ms: IntArray) -> tuple[IntArray, IntArray]:
    """Leave out what a device would tell a second time in the same millisecond: two records of one id."""
    _, first = np.unique(device * TICK_MS + after_ms, return_index=True)
    return device[first], after_ms[first]


def _gateways(shard: IntArray) -> tuple[IntArray, IntArray]:
    """Return the gateway of each vehicle and its place there, given the vehicles' shards."""
    order = np.argsort(shard, kind="stable")
    first = np.searchsorted(shard[order], shard[order])
    rank = np.empty(len(shard), np.int64)
    rank[order] = np.arange(len(shard)) - first
    _, gateway = np.unique(shard * len(shard) + rank // GATEWAY_VEHICLES, return_inverse=True)
    return gateway, rank % GATEWAY_VEHICLES


def _wrecks(rule: LoadRule) -> int:
    """Return how many wrecks there have to be: each is one for 75 s, and then another one's."""
    return 2 * (16 + int(rule.scenes_per_s * 2 * (WRECK_UNTIL_MS - WRECK_FROM_MS) / 1000))


def _as_told(fixes: Fixes) -> Fixes:
    """Return fixes as receivers tell them: places to 1e-7 degrees, speeds to a mm/s, courses to a hundredth."""
    return replace(
        fixes,
        latitude_deg=fixes.latitude_deg.round(7),
        longitude_deg=fixes.longitude_deg.round(7),
        speed_mps=fixes.speed_mps.round(3),
        bearing_deg=fixes.bearing_deg.round(2),
    )


def _joined(pieces: Sequence[Fixes]) -> Fixes:
    if len(pieces) == 1:
        return pieces[0]
    return Fixes(*(np.concatenate([getattr(piece, item.name) for piece in pieces]) for item in fields(Fixes)))
