"""What must be claimed of silences, from the set of the used records and the last tick, in plain Python."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from tests.processors.builders import CITY

LIMITS_MS = {"camera": (300_000,), "sensor": (300_000,), "vehicle": (600_000, 1_200_000)}
Record = tuple[str, dict[str, Any]]
Silence = tuple[str, str, int, int, float, float, str, str, str]
"""kind, device, at_ms, score in thousandths, latitude, longitude, witness, line, snapshot"""


def silences(used: Iterable[Record], noun: str, field: str, last_tick_ms: int) -> set[Silence]:
    """Claims about the devices of one topic; noun: camera, sensor or vehicle; field: that names it in its records."""
    heard: dict[str, list[Record]] = defaultdict(list)
    for name, fields in used:
        heard[fields["device_id" if name == "Heartbeat" else field]].append((name, fields))
    claims: set[Silence] = set()
    for device, records in heard.items():
        beats = [fields["at_ms"] for name, fields in records if name == "Heartbeat"]
        since_ms = 0 if noun == "vehicle" else min(beats, default=1 << 60)
        times = sorted({fields["at_ms"] for _, fields in records})
        for begin_ms, end_ms in [*pairwise(times), (times[-1], None)]:
            watched, latitude, longitude, line = max(_seen(one, noun) for one in records if one[1]["at_ms"] == begin_ms)
            if not watched or begin_ms < since_ms:
                continue
            due_ms = begin_ms + LIMITS_MS[noun][watched - 1]
            if due_ms >= (last_tick_ms + 1 if end_ms is None else end_ms):
                continue
            rest = (900, latitude / 1e7, longitude / 1e7, device, line, "")
            claims.add((f"silent_{noun}", device, due_ms, *rest))
            if end_ms is not None:
                claims.add((f"{noun}_heard", device, end_ms, *rest))
    return claims


def _seen(record: Record, noun: str) -> tuple[int, int, int, str]:
    """Which limit holds after a record, 0 = none; where it was, and on which line."""
    name, fields = record
    if noun == "vehicle":
        moves = fields["speed_mps"] > 1.5
        rests = fields["ignition"] == "OFF" or (not moves and fields["ignition"] != "ON")
        watched = 0 if rests else 1 if moves else 2
        return watched, round(fields["latitude_deg"] * 1e7), round(fields["longitude_deg"] * 1e7), fields["line_id"]
    estate = CITY.cameras if noun == "camera" else CITY.sensors
    latitude, longitude = fields.get("latitude_deg", float("nan")), fields.get("longitude_deg", float("nan"))
    if latitude != latitude or longitude != longitude:
        device = estate.get(fields["device_id" if name == "Heartbeat" else f"{noun}_id"])
        if device is None:
            return 0, 0, 0, ""
        latitude, longitude = device.latitude_deg, device.longitude_deg
    return 1, round(latitude * 1e7), round(longitude * 1e7), ""
