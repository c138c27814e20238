"""Which devices feed an incident kind: those that can make a claim that its rule weighs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from processors.city import City, Device
from processors.incidents.rule_model import Rule
from processors.observation_kinds import OBSERVATION_KINDS

AIR: Final = frozenset({"pm2_5", "pm10", "no2", "o3", "so2", "co"})
GAS: Final = frozenset({"ch4", "lpg", "co", "h2s"})
ANY: Final[frozenset[str]] = frozenset()
"""Sensors of any quantity."""

QUANTITIES: Final[Mapping[str, frozenset[str]]] = {
    "impact_sound": frozenset({"sound_level"}),
    "smoke": frozenset({"smoke_obscuration"}),
    "heat": frozenset({"temperature"}),
    "fire_alarm": frozenset({"fire_alarm"}),
    "gunshot_sound": frozenset({"gunshot_confidence"}),
    "gas": GAS,
    "gas_clear": GAS,
    "water_high": frozenset({"water_level"}),
    "water_normal": frozenset({"water_level"}),
    "noise_high": frozenset({"sound_level"}),
    "noise_normal": frozenset({"sound_level"}),
    "air_bad": AIR,
    "air_good": AIR,
}
"""Kind of a sensor's claim -> quantities that it is made of; of those not named, any sensor makes them."""

WATCHED: Final[Mapping[str, str]] = {
    "silent_vehicle": "fleet",
    "vehicle_heard": "fleet",
    "section_speeding": "fleet",
    "silent_camera": "camera",
    "camera_heard": "camera",
    "silent_sensor": "sensor",
    "sensor_heard": "sensor",
    "hourly_level": "sensor",
    "camera_clock_off": "camera",
}
"""Kind of a watch's claim -> of which devices."""


RESTS_ON: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("bunched", "unbunched", "gap", "gap_over", "headway_adherence"), frozenset({"stop_passage"})),
    **dict.fromkeys(("running_late", "on_time"), frozenset({"stop_passage", "slow_progress"})),
    **dict.fromkeys(("bang_located", "explosion_located", "fireworks_located"), frozenset({"impact_sound"})),
    **dict.fromkeys(("shot_located", "gunshot_located"), frozenset({"gunshot_sound"})),
    **dict.fromkeys(("sensor_drift", "sensor_agrees"), frozenset({"hourly_level"})),
}
"""What a gathering derives -> the claims of devices that it follows from."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How many devices feed a kind of incident."""

    cameras: int
    sensors: int
    vehicles: int

    @property
    def counted(self) -> int:
        """Return the devices that sensor-hours count: cameras and sensors, and vehicles only where there are neither.

        Vehicles beside fixed devices are left out: they would only make false alarms look rarer.
        """
        return self.cameras + self.sensors or self.vehicles


def feeds(rules: Iterable[Rule], city: City, vehicles: int) -> dict[str, Feed]:
    """Return the devices that feed each kind of incident, by kind."""
    kinds = _evidence(rules)
    return {kind: _feed(claims, city, vehicles) for kind, claims in sorted(kinds.items())}


def only_feeding(rules: Iterable[Rule], city: City, kinds: Collection[str]) -> City:
    """Return the city with those cameras and sensors alone that feed one of those kinds of incident."""
    evidence = _evidence(rules)
    asked = frozenset[str]().union(*(evidence[kind] for kind in kinds if kind in evidence))
    cameras = city.cameras if _by_camera(asked) else {}
    return city.with_devices(cameras, {one.device_id: one for one in _sensors(asked, city)}, city.vehicles)


def _evidence(rules: Iterable[Rule]) -> dict[str, set[str]]:
    """Return the claims of devices that the rules of each kind of incident rest on."""
    kinds: dict[str, set[str]] = {}
    for rule in rules:
        for kind in rule.evidence:
            kinds.setdefault(rule.kind, set()).update(RESTS_ON.get(kind, {kind}))
    return kinds


def _maker(kind: str) -> str:
    known = OBSERVATION_KINDS.get(kind)
    return "" if known is None else WATCHED.get(kind, known.made_by)


def _by_camera(claims: Iterable[str]) -> bool:
    return any(_maker(kind) == "camera" for kind in claims)


def _sensors(claims: Iterable[str], city: City) -> list[Device]:
    """Return the sensors that can make one of those claims."""
    quantities = [QUANTITIES.get(kind, ANY) for kind in claims if _maker(kind) == "sensor"]
    return [
        one for one in city.sensors.values() if any(some == ANY or some & set(one.quantities) for some in quantities)
    ]


def _feed(claims: Collection[str], city: City, vehicles: int) -> Feed:
    return Feed(
        cameras=len(city.cameras) if _by_camera(claims) else 0,
        sensors=len(_sensors(claims, city)),
        vehicles=vehicles if any(_maker(kind) == "fleet" for kind in claims) else 0,
    )
