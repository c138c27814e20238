"""The oracle: what must come of a log of one partition, record by record and device by device, in plain Python.

It shares no code with the engine but the codec, the estate of the city and the hash functions.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from processors.ingest import IngestRule
from processors.positions_in import SinglePositions
from processors.records_in import RawRecord
from schemas.dictionary import Dictionary
from schemas.errors import Rejected
from tests.processors.builders import CITY, CODEC
from tests.processors.fleet_oracle import found_of
from tests.processors.oracle_silence import silences

Claim = tuple[str, str, int, int, float, float, str, str, str]
"""kind, device, at_ms, score in thousandths, latitude, longitude, witness, line, snapshot"""


@dataclass(slots=True)
class Expected:
    """Offsets by account, reasons by offset, and the claims that stand at the end."""

    used: dict[int, Any] = field(default_factory=dict)
    duplicate: set[int] = field(default_factory=set)
    rejected: dict[int, str] = field(default_factory=dict)
    claims: set[Claim] = field(default_factory=set)


def claim_of(observation: Any) -> Claim:
    """What an observation of the engine says."""
    return (
        observation.kind,
        observation.device_id,
        observation.at_ms,
        round(observation.score * 1000),
        observation.latitude_deg,
        observation.longitude_deg,
        observation.witness_id,
        observation.line_id,
        observation.snapshot_url,
    )


def expect(log: Sequence[RawRecord], taken: Sequence[str], rule: IngestRule) -> Expected:
    """Work through a log of the only partition; taken: records that belong on its topic."""
    expected = Expected()
    known: dict[tuple[Any, ...], tuple[bytes, int]] = {}
    after_ms: int | None = None
    interval: list[tuple[RawRecord, str, dict[str, Any]]] = []
    for raw in log:
        try:
            name, fields = CODEC.decode(raw.value)
        except Rejected as error:
            expected.rejected[raw.offset] = str(error.reason)
            continue
        if name == "Tick":
            if after_ms is None or fields["at_ms"] > after_ms:
                _close(interval, after_ms, fields["at_ms"], rule, known, expected)
                interval, after_ms = [], fields["at_ms"]
        elif name in taken:
            interval.append((raw, name, fields))
        else:
            expected.rejected[raw.offset] = "wrong_record"
    assert not interval, "a log for the oracle ends with a tick"
    expected.claims = _claims(expected)
    if "SensorReading" in taken:
        expected.claims |= silences(expected.used.values(), "sensor", "sensor_id", after_ms or 0)
    if "CameraDetection" in taken:
        expected.claims |= silences(expected.used.values(), "camera", "camera_id", after_ms or 0)
    if "VehiclePosition" in taken:
        expected.claims |= silences(expected.used.values(), "vehicle", "vehicle_id", after_ms or 0)
    return expected


def _close(
    interval: list[tuple[RawRecord, str, dict[str, Any]]],
    after_ms: int | None,
    tick_ms: int,
    rule: IngestRule,
    known: dict[tuple[Any, ...], tuple[bytes, int]],
    expected: Expected,
) -> None:
    fresh: dict[tuple[Any, ...], list[tuple[int, bytes, str, dict[str, Any]]]] = defaultdict(list)
    for raw, name, fields in interval:
        reason = _first_mistake(name, fields, after_ms, tick_ms, rule)
        if reason:
            expected.rejected[raw.offset] = reason
            continue
        assert raw.value is not None
        body, identity = raw.value[5:], _identity(name, fields)
        if identity in known:
            if known[identity][0] == body:
                expected.duplicate.add(raw.offset)
            else:
                expected.rejected[raw.offset] = "conflict"
        else:
            fresh[identity].append((raw.offset, body, name, fields))
    for identity, rivals in fresh.items():
        winner = min(rivals, key=lambda rival: (_content_hash(rival[1], rival[2]), rival[0]))
        known[identity] = (winner[1], winner[0])
        expected.used[winner[0]] = (winner[2], winner[3])
        for rival in rivals:
            if rival is not winner and rival[1] == winner[1]:
                expected.duplicate.add(rival[0])
            elif rival is not winner:
                expected.rejected[rival[0]] = "conflict"


def _content_hash(body: bytes, name: str) -> int:
    if name != "VehiclePosition":
        return _hash(body)
    # A position is hashed by its columns, so that one in a frame has the same hash.
    message = b"\0" + CODEC.ids_of(name)[0].to_bytes(4, "big") + body
    batch, _, _ = SinglePositions().read([RawRecord(0, None, message)], CODEC, Dictionary())
    return int(batch.content_hash[0])


def _hash(body: bytes) -> int:
    return int.from_bytes(blake2b(body, digest_size=8).digest(), "little")


def _identity(name: str, fields: dict[str, Any]) -> tuple[Any, ...]:
    of = {
        "VehiclePosition": ("vehicle_id",),
        "CameraDetection": ("camera_id", "kind", "track_id"),
        "SensorReading": ("sensor_id", "quantity"),
        "Heartbeat": ("device_id",),
    }[name]
    return (name, fields["at_ms"], *(fields[part] for part in of))


def place_of(name: str, fields: dict[str, Any]) -> tuple[float, float] | None:
    """A record's own place, or the registered one of its device."""
    latitude, longitude = fields["latitude_deg"], fields["longitude_deg"]
    if name != "VehiclePosition" and (math.isnan(latitude) or math.isnan(longitude)):
        estate = CITY.cameras if name == "CameraDetection" else CITY.sensors
        device = estate.get(fields["camera_id" if name == "CameraDetection" else "sensor_id"])
        return None if device is None else (device.latitude_deg, device.longitude_deg)
    return latitude, longitude


def _first_mistake(name: str, fields: dict[str, Any], after_ms: int | None, tick_ms: int, rule: IngestRule) -> str:
    device = fields[{"VehiclePosition": "vehicle_id", "CameraDetection": "camera_id", "SensorReading": "sensor_id",
                     "Heartbeat": "device_id"}[name]]  # fmt: skip
    ids = [fields[part] for part in ("line_id", "trip_id", "kind", "track_id", "quantity", "host_camera_id")
           if part in fields]  # fmt: skip
    if not device or len(device) > 64 or device != device.strip() or any(ord(letter) < 32 for letter in device):
        return "bad_id"
    if any(len(text) > 256 or any(ord(letter) < 32 for letter in text) for text in ids):
        return "bad_id"
    place = (21.0, 105.8) if name == "Heartbeat" else place_of(name, fields)
    if place is not None and not all(map(math.isfinite, place)):
        return "not_finite"
    if place is not None and (abs(place[0]) > 90 or abs(place[1]) > 180):
        return "out_of_range"
    if not 0 <= fields["at_ms"] < 4_102_444_800_000 or _out_of_range(name, fields):
        return "out_of_range"
    if place is None:
        return "unplaced"
    if abs(place[0]) <= 0.01 and abs(place[1]) <= 0.01:
        return "null_island"
    if not (20.9 <= place[0] <= 21.1 and 105.7 <= place[1] <= 105.9):
        return "out_of_city"
    if fields["at_ms"] > tick_ms + rule.future_ms:
        return "future"
    if after_ms is not None and fields["at_ms"] < after_ms - rule.lateness_ms:
        return "late"
    return ""


def _out_of_range(name: str, fields: dict[str, Any]) -> bool:
    if name == "VehiclePosition":
        return (
            not (math.isnan(fields["speed_mps"]) or 0 <= fields["speed_mps"] <= 70)
            or not (math.isnan(fields["bearing_deg"]) or 0 <= fields["bearing_deg"] <= 360)
            or fields["direction_id"] not in (-1, 0, 1)
        )
    if name == "CameraDetection":
        return not 0 <= fields["confidence"] <= 1 or len(fields["snapshot_url"]) > 2048
    return name == "SensorReading" and not math.isfinite(fields["value"])


def _claims(expected: Expected) -> set[Claim]:
    tracks: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for name, fields in expected.used.values():
        if name == "VehiclePosition":
            tracks[name, fields["vehicle_id"]].append(fields)
        elif name == "CameraDetection":
            tracks[name, fields["camera_id"], fields["kind"]].append(fields)
        elif name == "SensorReading":
            tracks[name, fields["sensor_id"], fields["quantity"]].append(fields)
    claims: set[Claim] = set()
    for (name, *_), track in tracks.items():
        track.sort(key=lambda fields: fields["at_ms"])
        if name == "VehiclePosition":
            claims |= {_vehicle_claim(*one) for one in found_of(track)}
        elif name == "CameraDetection":
            claims |= _camera(track)
        else:
            claims |= _edges(track)
    return claims


def _vehicle_claim(kind: str, fix: dict[str, Any], score: float) -> Claim:
    vehicle = fix["vehicle_id"]
    place = _told(fix["latitude_deg"]), _told(fix["longitude_deg"])
    return (kind, vehicle, fix["at_ms"], round(score * 1000), *place, vehicle, fix["line_id"], "")


def _told(degrees: float) -> float:
    """A place is told to a centimetre."""
    return round(degrees * 1e7) / 1e7


def _camera(track: list[dict[str, Any]]) -> set[Claim]:
    looks: dict[int, dict[str, Any]] = {}
    for fields in track:
        if fields["kind"] in ("crash", "smoke", "fire") and fields["confidence"] >= 0.5:
            rival = looks.get(fields["at_ms"])
            if rival is None or _rank(fields) > _rank(rival):
                looks[fields["at_ms"]] = fields
    times = sorted(looks)
    claims = set()
    stands_ms: list[int] = []
    for index in range(1, len(times)):
        if not any(1_500 <= times[index] - before <= 10_000 for before in times[:index]):
            continue
        stands_ms.append(times[index])
        if len(stands_ms) < 2 or stands_ms[-1] - stands_ms[-2] > 10_000:
            look = looks[times[index]]
            score = max(look["confidence"], looks[times[index - 1]]["confidence"])
            latitude, longitude = place_of("CameraDetection", look) or (0.0, 0.0)
            claims.add((f"camera_{look['kind']}", look["camera_id"], times[index], round(score * 1000), _told(latitude),
                        _told(longitude), look["camera_id"], "", look["snapshot_url"]))  # fmt: skip
    return claims


def _rank(fields: dict[str, Any]) -> tuple[float, int]:
    """Of one instant the surest counts, then the track with the lowest number."""
    return fields["confidence"], -(_hash(fields["track_id"].encode()) if fields["track_id"] else 0)


EDGES: dict[tuple[str, str], tuple[str, float, Callable[[float], float]]] = {
    ("sound_level", "dB"): ("impact_sound", 95.0, lambda value: 0.5 + 0.4 * min(1.0, (value - 95) / 20)),
    ("smoke_obscuration", "%/m"): ("smoke", 5.0, lambda value: 0.6 + 0.3 * min(1.0, (value - 5) / 10)),
    ("temperature", "Cel"): ("heat", 57.0, lambda value: 0.6 + 0.3 * min(1.0, (value - 57) / 30)),
    ("fire_alarm", "1"): ("fire_alarm", 1.0, lambda value: 0.7),
}


def _edges(track: list[dict[str, Any]]) -> set[Claim]:
    claims = set()
    for index, fields in enumerate(track):
        if not _above(fields):
            continue
        before = track[index - 1] if index else None
        if before is None or fields["at_ms"] - before["at_ms"] > 300_000 or not _above(before):
            kind, _, score = EDGES[fields["quantity"], fields["measure_unit"]]
            sensor = fields["sensor_id"]
            registered = CITY.sensors.get(sensor)
            host = fields["host_camera_id"] or (registered.host_camera_id if registered else "")
            latitude, longitude = place_of("SensorReading", fields) or (0.0, 0.0)
            claims.add((kind, sensor, fields["at_ms"], round(score(fields["value"]) * 1000),
                        _told(latitude), _told(longitude), host or sensor, "", ""))  # fmt: skip
    return claims


def _above(fields: dict[str, Any]) -> bool:
    edge = EDGES.get((fields["quantity"], fields["measure_unit"]))
    return edge is not None and fields["value"] >= edge[1]
