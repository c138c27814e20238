"""The city that the engine is measured in: Hanoi's package, with as many lines as the whole of Hanoi has.

`cities/hanoi` holds 23 of its lines. A load that put all of the city's buses on those would have them bunch on every
line; a load with fewer buses would be too easy. So each line is there six times, each copy on roads of its own.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from streams.settings import PROJECT

SOURCE: Final = PROJECT / "cities" / "hanoi"
COPIES: Final = 6
ASIDE_DEG: Final = 0.0065
"""How far a copy lies from the line it copies, some 700 m, each in a direction of its own."""


def write_city(folder: Path) -> Path:
    """Write the package into a folder, in the place of one that an earlier measurement left, and return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, folder)
    for name, copied in (("stops", _stop), ("lines", _line)):
        entries = yaml.safe_load((SOURCE / f"{name}.yaml").read_text(encoding="utf-8"))[name]
        # The originals first: the estate names them.
        all_of_them = entries + [copied(entry, copy) for copy in range(1, COPIES) for entry in entries]
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({name: all_of_them}, allow_unicode=True), encoding="utf-8")
    return folder


def _stop(stop: dict[str, Any], copy: int) -> dict[str, Any]:
    latitude_deg, longitude_deg = _moved((stop["lat"], stop["lon"]), copy)
    return stop | {"id": f"{stop['id']}-copy{copy}", "lat": latitude_deg, "lon": longitude_deg}


def _line(line: dict[str, Any], copy: int) -> dict[str, Any]:
    ways = [
        [f"{step}-copy{copy}" if isinstance(step, str) else _moved(step, copy) for step in direction]
        for direction in line["directions"]
    ]
    return line | {"id": f"{line['id']}-copy{copy}", "directions": ways}


def _moved(place: Sequence[float], copy: int) -> list[float]:
    angle = 2 * math.pi * copy / (COPIES - 1)
    return [round(place[0] + ASIDE_DEG * math.cos(angle), 5), round(place[1] + ASIDE_DEG * math.sin(angle), 5)]
