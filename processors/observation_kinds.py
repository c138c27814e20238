"""Every kind of observation that there is: who makes it, and what its value counts. docs/observations.md tells more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ObservationKind:
    """One kind. made_by: fleet, camera, sensor, watch or gathering. unit: of its value, "" = it has none."""

    name: str
    made_by: str
    unit: str = ""


_FLEET: Final = {
    "hard_stop": "",
    "stationary_vehicle": "",
    "moved_on": "",
    "speeding": "m/s",
    "speed_normal": "m/s",
    "off_route": "m",
    "back_on_route": "m",
    "sos": "",
    "sos_over": "",
    "door_open_moving": "",
    "door_shut": "",
    "wrong_way": "",
    "right_way": "",
    "bus_lane_vehicle": "",
    "left_bus_lane": "",
    "forbidden_stop": "",
    "stop_passage": "",
    "slow_progress": "share",
}

_CAMERA: Final = (
    "crash",
    "smoke",
    "fire",
    "crowd",
    "crowd_surge",
    "fight",
    "person_down",
    "person_in_water",
    "abandoned_object",
    "illegal_parking",
    "encroachment",
    "street_vending",
    "wrong_way",
    "debris",
    "flood",
    "stopped_vehicle",
    "lane_intruder",
    "platform_crowd",
    "frozen",
    "covered",
    "moved",
    "clock_off",
    "well",
)

_SENSOR: Final = {
    "impact_sound": "dB",
    "smoke": "%/m",
    "heat": "Cel",
    "fire_alarm": "",
    "gunshot_sound": "share",
    "gas": "of the quantity",
    "gas_clear": "of the quantity",
    "water_high": "m",
    "water_normal": "m",
    "noise_high": "dB",
    "noise_normal": "dB",
    "air_bad": "index",
    "air_good": "index",
    "sensor_stuck": "of the quantity",
    "sensor_lively": "of the quantity",
}

_WATCH: Final = {
    "silent_vehicle": "s",
    "vehicle_heard": "s",
    "silent_camera": "s",
    "camera_heard": "s",
    "silent_sensor": "s",
    "sensor_heard": "s",
    "hourly_level": "of the quantity",
    "section_speeding": "m/s",
}

_GATHERING: Final = {
    "bunched": "s",
    "unbunched": "",
    "gap": "s",
    "gap_over": "s",
    "running_late": "s",
    "on_time": "s",
    "headway_adherence": "share",
    "bang_located": "m",
    "explosion_located": "m",
    "shot_located": "m",
    "gunshot_located": "m",
    "fireworks_located": "m",
    "sensor_drift": "of the quantity",
    "sensor_agrees": "of the quantity",
}


def _kinds() -> dict[str, ObservationKind]:
    camera = {f"camera_{name}": "" for name in _CAMERA}
    makers = {"fleet": _FLEET, "camera": camera, "sensor": _SENSOR, "watch": _WATCH, "gathering": _GATHERING}
    return {name: ObservationKind(name, maker, unit) for maker, units in makers.items() for name, unit in units.items()}


OBSERVATION_KINDS: Final[Mapping[str, ObservationKind]] = _kinds()
"""By name."""
