"""A tiny city by hand: two units, a bus line there and back along a parallel, one metro line along a meridian."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from processors.areas import power_diagram
from processors.city import Bounds, City, Headway, Line, Pattern, Stop, Unit, Venue, pattern_along

PROJECT = Path(__file__).resolve().parent.parent.parent
HANOI = PROJECT / "cities" / "hanoi"
SHARED = PROJECT.parent / "shared" / "data"

BOUNDS = Bounds(20.9, 105.7, 21.1, 105.9)
METRES_PER_DEGREE = 111_195.0
UNITS = (
    Unit("W1", "phường Tây", "ward", 21.0, 105.78, 10.0),
    Unit("W2", "phường Đông", "ward", 21.0, 105.82, 10.0),
)
STOPS = (
    Stop("a", "A", 21.0, 105.78),
    Stop("b", "B", 21.0, 105.80),
    Stop("c", "C", 21.0, 105.82),
    Stop("ga", "Ga", 21.02, 105.83),
    Stop("gb", "Gb", 21.04, 105.83),
)
ALL_DAY = (Headway("05:00", "22:00", 600),)


def pattern(direction_id: int, stop_ids: Sequence[str], stops: Sequence[Stop] = STOPS) -> Pattern:
    """A pattern straight from stop to stop."""
    by_id = {stop.stop_id: stop for stop in stops}
    latitude_deg = np.array([by_id[stop_id].latitude_deg for stop_id in stop_ids])
    longitude_deg = np.array([by_id[stop_id].longitude_deg for stop_id in stop_ids])
    return pattern_along(direction_id, latitude_deg, longitude_deg, dict(enumerate(stop_ids)))


def bus_line(line_id: str = "01", headway_s: tuple[Headway, ...] = ALL_DAY) -> Line:
    """A to C and back."""
    return Line(line_id, "A – C", "bus", "", headway_s, (pattern(0, ["a", "b", "c"]), pattern(1, ["c", "b", "a"])))


def metro_line() -> Line:
    """Ga to Gb, one way."""
    return Line("M", "Ga – Gb", "metro", "", (), (pattern(0, ["ga", "gb"]),))


def small_city(lines: tuple[Line, ...] | None = None, venues: tuple[Venue, ...] = (), reach: float = 3.0) -> City:
    """The tiny city."""
    plane = BOUNDS.plane()
    x_m, y_m = plane.xy(np.array([u.latitude_deg for u in UNITS]), np.array([u.longitude_deg for u in UNITS]))
    return City(
        name="Small",
        version="v1",
        time_zone="Asia/Ho_Chi_Minh",
        bounds=BOUNDS,
        units=UNITS,
        areas=power_diagram(x_m, y_m, np.array([u.area_km2 * 1e6 for u in UNITS]), reach),
        lines=(bus_line(), metro_line()) if lines is None else lines,
        stops=STOPS,
        venues=venues,
    )


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write text files into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
