"""The whole city, tick by tick."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from processors.city import City
from processors.simulate.cameras import Cameras
from processors.simulate.collisions import Collisions
from processors.simulate.delivery import Outbox
from processors.simulate.difficulty import hardened
from processors.simulate.drivers import Drivers
from processors.simulate.estate import Estate
from processors.simulate.paths import build_paths
from processors.simulate.playbill import Playbill
from processors.simulate.rule import TICK_MS, Interval, SimulationRule, random_stream
from processors.simulate.scenes.scene import Scene as Played
from processors.simulate.scenes.scene import Trouble
from processors.simulate.scenes.stage import Stage
from processors.simulate.scenes.trouble import clocks_ahead, clocks_refused
from processors.simulate.script import LEAD_MS, Crash, Scene, Script
from processors.simulate.sensors import Sensors
from processors.simulate.vehicles import Fleet
from schemas.records import Truth

FLEET, CAMERAS, SENSORS = 1, 2, 3
"""Concerns with random numbers of their own; 0 is the script's, 5 the crashed vehicles'."""

HOUR_S: Final = 3600


class Simulation:
    """A simulated city from `start_ms` on; the same arguments give the same intervals, byte for byte."""

    def __init__(self, city: City, seed: int, start_ms: int, rule: SimulationRule, until_ms: int | None) -> None:
        """Set the stage; no crash or fire begins in the last `quiet_end_s` before until_ms.

        seed: 0 or more. Raises UsageError when the city has no lines to drive on.
        """
        paths, outbox, rule = build_paths(city), Outbox(), hardened(rule)
        self._tick_ms, self._outbox = start_ms, outbox
        self._zone = ZoneInfo(city.time_zone)
        self._script = Script(city, paths, seed, start_ms, rule, until_ms)
        self._fleet = Fleet(city, paths, [random_stream(seed, FLEET, i) for i in range(3)], start_ms, rule, outbox)
        self._collisions = Collisions(paths, seed, start_ms, rule, outbox)
        cameras = [random_stream(seed, CAMERAS, i) for i in range(5)]
        seeing, feeling = Estate(city.cameras), Estate(city.sensors)
        self._cameras = Cameras(seeing, cameras, start_ms, rule, outbox)
        sensors = [random_stream(seed, SENSORS, i) for i in range(4)]
        self._sensors = Sensors(feeling, sensors, start_ms, rule, outbox)
        self._coming: list[Scene] = []
        stage = Stage(city, paths, seeing, feeling, self._fleet, rule)
        self._playbill = Playbill(stage, seed, start_ms, rule, until_ms, self._local_hour)
        self._drivers = Drivers(start_ms, rule, outbox)
        self._due: list[tuple[float, Trouble]] = []
        self._played: list[Played] = []
        if rule.scenes_per_hour.get("camera_clock", 0.0) > 0:
            self._played += clocks_ahead(stage, self._cameras.fast_clocks(), seed, start_ms)
        if rule.scenes_per_hour.get("sensor_fault", 0.0) > 0:
            self._played += clocks_refused(stage, self._sensors.refused_clocks(), seed, start_ms)

    def step(self) -> Interval:
        """Return the next 250 ms of event time: the first call ends at start_ms + 250."""
        self._tick_ms = tick_ms = self._tick_ms + TICK_MS
        for scene in self._script.until(tick_ms + LEAD_MS):
            self._coming.append(scene)
            if isinstance(scene, Crash):
                self._collisions.begin(scene)
        happened = [scene for scene in self._coming if scene.truth.at_ms < tick_ms]
        self._coming = [scene for scene in self._coming if scene.truth.at_ms >= tick_ms]
        for scene in happened:
            self._cameras.begin(scene)
            self._sensors.begin(scene)
        self._play(tick_ms)
        hour = self._local_hour(tick_ms)
        self._fleet.step(tick_ms, hour)
        self._collisions.step(tick_ms)
        self._drivers.step(tick_ms)
        self._cameras.step(tick_ms)
        self._sensors.step(tick_ms, hour)
        truths = (*(scene.truth for scene in happened), *self._told(tick_ms))
        return Interval(tick_ms, self._outbox.take(tick_ms), truths)

    def _play(self, tick_ms: int) -> None:
        """Let the scenes that are made now work on cameras, sensors and roads."""
        for scene in self._playbill.until(tick_ms):
            self._played.append(scene)
            self._cameras.sights.show(scene.sights, scene.rng)
            for felt in scene.felt:
                self._sensors.feel(felt, scene.rng)
            for bias in scene.biases:
                self._sensors.bias(bias)
            for drive in scene.drives:
                self._drivers.begin(drive, scene.rng)
            self._due += [(trouble.from_ms, trouble) for trouble in scene.troubles]
        for _, trouble in [one for one in self._due if one[0] < tick_ms]:
            (self._cameras if trouble.camera else self._sensors).suffer(trouble)
        self._due = [one for one in self._due if one[0] >= tick_ms]

    def _told(self, tick_ms: int) -> list[Truth]:
        """Return the truths of played scenes that have come true, and forget those scenes."""
        told, waiting = [], []
        for scene in self._played:
            truth = scene.then(tick_ms) if scene.truth is None and scene.then is not None else scene.truth
            if truth is not None and truth.at_ms < tick_ms:
                told.append(truth)
            elif truth is not None or tick_ms < scene.until_ms:
                waiting.append(scene)
        self._played = waiting
        return told

    def _local_hour(self, at_ms: int) -> float:
        local = datetime.fromtimestamp(at_ms / 1000, self._zone)
        return local.hour + local.minute / 60 + local.second / HOUR_S
