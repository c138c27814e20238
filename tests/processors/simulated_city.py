"""A city of 12 by 12 km by hand: two bus lines, a metro line, cameras and sensors along them, venues with panels."""

import numpy as np

from processors.city import Bounds, City, Device, Headway, Line, Pattern, Stop, pattern_along

SOUTH_DEG, WEST_DEG = 21.0, 105.8
METRE_NORTH_DEG = 1 / 111_195.0
METRE_EAST_DEG = METRE_NORTH_DEG / np.cos(np.radians(SOUTH_DEG))


def spot(east_m: float, north_m: float) -> tuple[float, float]:
    return SOUTH_DEG + north_m * METRE_NORTH_DEG, WEST_DEG + east_m * METRE_EAST_DEG


def pattern(direction_id: int, corners: list[tuple[float, float]], stop_prefix: str) -> Pattern:
    points = np.array([spot(*corner) for corner in corners])
    return pattern_along(
        direction_id, points[:, 0], points[:, 1], {index: f"{stop_prefix}{index}" for index in range(len(corners))}
    )


def line(line_id: str, mode: str, corners: list[tuple[float, float]]) -> Line:
    there, back = pattern(0, corners, line_id), pattern(1, corners[::-1], line_id)
    return Line(line_id, line_id, mode, "", (Headway("05:00", "23:00", 600),), (there, back))


def build_city() -> City:
    reach = [float(m) for m in range(0, 12_001, 600)]
    lines = (
        line("01", "bus", [(m, 3_000.0) for m in reach]),
        line("02", "bus", [(4_000.0, m) for m in reach]),
        line("M1", "metro", [(m, 9_000.0) for m in reach]),
    )
    places = [(m + 40.0, 3_015.0) for m in reach] + [(4_015.0, m + 40.0) for m in reach]
    cameras = [camera(index, place) for index, place in enumerate(places)]
    sensors = [sensor(f"snd-{i}", place, ("sound_level",), f"cam-{i}") for i, place in enumerate(places) if i % 2]
    for index, east_m in enumerate(range(500, 12_000, 1_000)):
        here = (float(east_m), 6_000.0)
        sensors.append(sensor(f"panel-{index}", here, ("fire_alarm",)))
        if index % 3:
            sensors.append(sensor(f"room-{index}", (east_m + 5.0, 6_005.0), ("smoke_obscuration", "temperature")))
            cameras.append(camera(100 + index, (east_m + 30.0, 6_030.0)))
    sensors.append(sensor("dust-0", (100.0, 100.0), ("pm2_5", "pm10")))
    stops = {
        stop_id: Stop(stop_id, stop_id, *spot(*place))
        for line_id, places in (("01", [(m, 3_000.0) for m in reach]), ("02", [(4_000.0, m) for m in reach]))
        for stop_id, place in ((f"{line_id}-{index}", place) for index, place in enumerate(places))
    }
    return City(
        name="testville",
        version="1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=Bounds(SOUTH_DEG - 0.01, WEST_DEG - 0.01, SOUTH_DEG + 0.12, WEST_DEG + 0.13),
        lines=lines,
        stops=tuple(stops.values()),
        cameras={device.device_id: device for device in cameras},
        sensors={device.device_id: device for device in sensors},
    )


def camera(number: int, place: tuple[float, float]) -> Device:
    return Device(f"cam-{number}", "camera", *spot(*place))


def sensor(name: str, place: tuple[float, float], quantities: tuple[str, ...], host: str = "") -> Device:
    return Device(name, "sensor", *spot(*place), quantities, host)
