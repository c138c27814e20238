"""Ingest: decoded messages become checked columns; whatever is wrong with a record is said in full.

Order: the right partition (by the device id), then form and ranges, then the clock, then repeats.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import (
    DetectionBatch,
    FloatArray,
    HashArray,
    HeartbeatBatch,
    IntArray,
    PositionBatch,
    ReadingBatch,
    TextArray,
)
from processors.city import City
from processors.domain import B, Message, Mistakes, Rows, Unread
from processors.network import Device
from processors.records_in import RawRecord
from processors.rows import texts
from schemas.codec import HEADER_BYTES, Codec
from schemas.errors import Reason, Rejected
from schemas.ids import shard_of

DEVICE_CHARACTERS: Final = 64
TEXT_CHARACTERS: Final = 256
URL_CHARACTERS: Final = 2048
TOP_SPEED_MPS: Final = 70.0
NULL_ISLAND_DEG: Final = 0.01
AFTER_LAST_MS: Final = 4_102_444_800_000
"""2100-01-01: times from 1970 to it can be stored; what is late or from the future is the ticks' matter."""

_REASONS: Final = list(Reason)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class IngestRule:
    """Bounds of the clock, and when rows and state leave the engine. Defaults: design.md, Defaults."""

    lateness_ms: int = 600_000
    future_ms: int = 30_000
    block_rows: int = 20_000
    block_ms: int = 2_000
    checkpoint_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two ticks; after_ms = None before the first one, when nothing is late."""

    after_ms: int | None
    tick_ms: int


def judged(mistakes: Sequence[tuple[Reason, str]]) -> tuple[Reason, tuple[str, ...]]:
    """Return the reason that comes first in Reason, and every mistake in words in that order."""
    ordered = sorted(mistakes, key=lambda mistake: _REASONS.index(mistake[0]))
    return ordered[0][0], tuple(words for _, words in ordered)


def one_line(words: str) -> str:
    """Return words without line breaks and control characters: lists travel joined by newlines."""
    return _CONTROL.sub(" ", words).encode("utf-8", "replace").decode()


def device_mistake(device_id: str, subject: str = "device") -> str:
    """Say what is wrong with an id, "" = nothing. subject: whose id it is."""
    if not device_id:
        return f"the id of the {subject} is empty"
    if len(device_id) > DEVICE_CHARACTERS:
        return f"the id of the {subject} has more than the {DEVICE_CHARACTERS} characters that are taken"
    if device_id != device_id.strip() or _CONTROL.search(device_id):
        return f"the id of the {subject} has control characters or white space at its ends: {device_id!r}"
    return ""


def text_mistake(text: str, characters: int) -> str:
    """Say what is wrong with a text, "" = nothing."""
    if len(text) > characters:
        return f"has more than the {characters} characters that are taken"
    return "has control characters" if _CONTROL.search(text) else ""


@lru_cache(maxsize=262_144)
def sound_shard(device_id: str) -> int:
    """Return the shard of a device, -1 if its id is not sound."""
    return -1 if device_mistake(device_id) else shard_of(device_id)


def shards_of(device_ids: Sequence[str]) -> IntArray:
    """Return the virtual shards (n,), -1 where the id is not sound."""
    return np.array(
        [sound_shard(text) if len(text) <= DEVICE_CHARACTERS else -1 for text in device_ids], dtype=np.int64
    )


def check_clock(at_ms: IntArray, after_ms: IntArray, tick_ms: IntArray, rule: IngestRule, mistakes: Mistakes) -> None:
    """Note records (n,) from the future of the tick after each and those too late for the tick before it."""
    mistakes.note(
        at_ms > tick_ms + rule.future_ms,
        Reason.FUTURE,
        lambda row: f"at_ms {at_ms[row]} is {int(at_ms[row]) - int(tick_ms[row])} ms after the tick {tick_ms[row]}",
    )
    mistakes.note(
        at_ms < after_ms - rule.lateness_ms,
        Reason.LATE,
        lambda row: f"at_ms {at_ms[row]} is {int(after_ms[row]) - int(at_ms[row])} ms before the tick {after_ms[row]}",
    )


def read_messages(
    records: Sequence[RawRecord],
    codec: Codec,
    device_field: str,
    subject: str,
    read: Callable[[Sequence[Message], Mistakes], B],
) -> Rows[B]:
    """Decode records one by one and return those that can be read as rows, by `read`.

    device_field: the field that names the device; subject: whose id it is, in words.
    """
    messages: list[Message] = []
    numbers: list[int] = []
    unread = Unread()
    for number, record in enumerate(records):
        try:
            messages.append(Message(record, codec.decode(record.value)[1]))
            numbers.append(number)
        except Rejected as refusal:
            unread.note(number, refusal.reason, *refusal.errors)
    mistakes = Mistakes()
    device_ids = [message.fields[device_field] for message in messages]
    shard = shards_of(device_ids)
    mistakes.note(shard < 0, Reason.BAD_ID, lambda row: device_mistake(device_ids[row], subject))
    return Rows(read(messages, mistakes), np.array(numbers, np.int64), shard, mistakes, unread)


def check_positions(batch: PositionBatch, city: City, mistakes: Mistakes) -> None:
    """Note what is wrong with n positions but their vehicles' ids; a position has a place of its own or is wrong."""
    latitude_deg, longitude_deg = batch.latitude_deg, batch.longitude_deg
    _check_times(batch.at_ms, mistakes)
    mistakes.note(np.isnan(latitude_deg), Reason.NOT_FINITE, lambda row: "latitude_deg is not a number")
    mistakes.note(np.isnan(longitude_deg), Reason.NOT_FINITE, lambda row: "longitude_deg is not a number")
    _check_place(latitude_deg, longitude_deg, city, mistakes)
    _check_range("speed_mps", batch.speed_mps, 0.0, TOP_SPEED_MPS, mistakes)
    _check_range("bearing_deg", batch.bearing_deg, 0.0, 360.0, mistakes)
    _check_range("direction_id", batch.direction_id, -1, 1, mistakes)


def read_detections(messages: Sequence[Message], city: City, mistakes: Mistakes) -> DetectionBatch:
    """Return n detections as columns; without a place of their own they take the camera's registered one."""
    told = [message.fields for message in messages]
    camera_id = _ids(told, "camera_id")
    latitude_deg, longitude_deg = _places(told, camera_id, city.cameras, "camera", city, mistakes)
    confidence = _numbers(told, "confidence")
    _check_range("confidence", confidence, 0.0, 1.0, mistakes, known=True)
    return DetectionBatch(
        offset=_offsets(messages),
        at_ms=read_times(told, mistakes),
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        confidence=confidence.astype(np.float32),
        content_hash=content_hashes(messages),
        camera_id=camera_id,
        kind=_texts(told, "kind", mistakes, Reason.BAD_ID),
        track_id=_texts(told, "track_id", mistakes, Reason.BAD_ID),
        object_class=_texts(told, "object_class", mistakes),
        model_version=_texts(told, "model_version", mistakes),
        snapshot_url=_texts(told, "snapshot_url", mistakes, characters=URL_CHARACTERS),
        clip_url=_texts(told, "clip_url", mistakes, characters=URL_CHARACTERS),
    )


def read_readings(messages: Sequence[Message], city: City, mistakes: Mistakes) -> ReadingBatch:
    """Return n sensor readings as columns; without a place of their own they take the sensor's registered one."""
    told = [message.fields for message in messages]
    sensor_id = _ids(told, "sensor_id")
    latitude_deg, longitude_deg = _places(told, sensor_id, city.sensors, "sensor", city, mistakes)
    value = _numbers(told, "value")
    mistakes.note(~np.isfinite(value), Reason.OUT_OF_RANGE, lambda row: f"value is {value[row]}")
    return ReadingBatch(
        offset=_offsets(messages),
        at_ms=read_times(told, mistakes),
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        value=value,
        content_hash=content_hashes(messages),
        sensor_id=sensor_id,
        quantity=_texts(told, "quantity", mistakes, Reason.BAD_ID),
        measure_unit=_texts(told, "measure_unit", mistakes),
        host_camera_id=_texts(told, "host_camera_id", mistakes, Reason.BAD_ID),
    )


def read_heartbeats(messages: Sequence[Message], city: City, mistakes: Mistakes) -> HeartbeatBatch:
    """Return n heartbeats as columns."""
    told = [message.fields for message in messages]
    return HeartbeatBatch(
        offset=_offsets(messages),
        at_ms=read_times(told, mistakes),
        content_hash=content_hashes(messages),
        device_id=_ids(told, "device_id"),
        firmware_version=_texts(told, "firmware_version", mistakes),
    )


def content_hashes(messages: Sequence[Message]) -> HashArray:
    """Return 8 bytes of BLAKE2b of each Avro body: equal content is equal under any schema id."""
    bodies = (memoryview(message.raw.value or b"")[HEADER_BYTES:] for message in messages)
    digests = b"".join([blake2b(body, digest_size=8).digest() for body in bodies])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def text_hashes(items: Sequence[str]) -> HashArray:
    """Return a number (n,) for each text: 0 for an empty one, else 8 bytes of BLAKE2b."""
    digests = [blake2b(text.encode(), digest_size=8).digest() if text else bytes(8) for text in items]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _offsets(messages: Sequence[Message]) -> IntArray:
    return np.array([message.raw.offset for message in messages], dtype=np.int64)


def _numbers(told: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    return np.array([fields[name] for fields in told], dtype=np.float64)


def read_times(told: Sequence[Mapping[str, Any]], mistakes: Mistakes) -> IntArray:
    """Return the times of n records; those that cannot be stored are noted."""
    at_ms = np.array([fields["at_ms"] for fields in told], dtype=np.int64)
    _check_times(at_ms, mistakes)
    return at_ms


def _check_times(at_ms: IntArray, mistakes: Mistakes) -> None:
    if not len(at_ms) or (at_ms.min() >= 0 and at_ms.max() < AFTER_LAST_MS):
        return
    wrong = (at_ms < 0) | (at_ms >= AFTER_LAST_MS)
    mistakes.note(wrong, Reason.OUT_OF_RANGE, lambda row: f"at_ms {at_ms[row]} is not between the years 1970 and 2100")


def _ids(told: Sequence[Mapping[str, Any]], name: str) -> TextArray:
    return texts([sys.intern(fields[name]) for fields in told])


def _texts(
    told: Sequence[Mapping[str, Any]],
    name: str,
    mistakes: Mistakes,
    reason: Reason = Reason.OUT_OF_RANGE,
    characters: int = TEXT_CHARACTERS,
) -> TextArray:
    items = [fields[name] for fields in told]
    if max(map(len, items), default=0) > characters or _CONTROL.search("".join(items)):
        long = np.array([len(text) > characters for text in items])
        mistakes.note(
            long, reason, lambda row: f"{name} has {len(items[row])} characters, at most {characters} are taken"
        )
        control = np.array([_CONTROL.search(text) is not None for text in items])
        mistakes.note(control, reason, lambda row: f"{name} has control characters")
    return texts(items)


def _check_range(
    name: str, values: npt.NDArray[Any], low: float, high: float, mistakes: Mistakes, *, known: bool = False
) -> None:
    """Note values outside low to high, and unknown ones (NaN) where they have to be known."""
    if not len(values) or (values.min() >= low and values.max() <= high):  # never so with NaN among them
        return
    wrong = (values < low) | (values > high)
    if known:
        wrong |= np.isnan(values)
    mistakes.note(wrong, Reason.OUT_OF_RANGE, lambda row: f"{name} {values[row]:g} is outside {low:g} to {high:g}")


def _check_place(latitude_deg: FloatArray, longitude_deg: FloatArray, city: City, mistakes: Mistakes) -> None:
    """Note places that are infinite, not on Earth, at null island or outside the city; NaN is not a place."""

    def words(row: int) -> str:
        return f"({latitude_deg[row]:.5f}, {longitude_deg[row]:.5f})"

    if len(latitude_deg) and _all_inside(latitude_deg, longitude_deg, city):
        return
    mistakes.note(np.isinf(latitude_deg), Reason.NOT_FINITE, lambda row: f"latitude_deg is {latitude_deg[row]}")
    mistakes.note(np.isinf(longitude_deg), Reason.NOT_FINITE, lambda row: f"longitude_deg is {longitude_deg[row]}")
    on_earth = (np.abs(latitude_deg) <= 90.0) & (np.abs(longitude_deg) <= 180.0)
    finite = np.isfinite(latitude_deg) & np.isfinite(longitude_deg)
    mistakes.note(finite & ~on_earth, Reason.OUT_OF_RANGE, lambda row: f"{words(row)} is not a place on Earth")
    null_island = (np.abs(latitude_deg) <= NULL_ISLAND_DEG) & (np.abs(longitude_deg) <= NULL_ISLAND_DEG)
    mistakes.note(null_island, Reason.NULL_ISLAND, lambda row: f"{words(row)} is null island: the device had no fix")
    in_city = (latitude_deg >= city.south_deg) & (latitude_deg <= city.north_deg)
    in_city &= (longitude_deg >= city.west_deg) & (longitude_deg <= city.east_deg)
    outside = on_earth & ~null_island & ~in_city
    mistakes.note(outside, Reason.OUT_OF_CITY, lambda row: f"{words(row)} is outside {city.name}")


def _all_inside(latitude_deg: FloatArray, longitude_deg: FloatArray, city: City) -> bool:
    """Tell whether all places are certainly in the city, and none may be null island; never so with NaN among them."""
    south_deg, north_deg = latitude_deg.min(), latitude_deg.max()
    west_deg, east_deg = longitude_deg.min(), longitude_deg.max()
    inside = south_deg >= max(city.south_deg, -90.0) and north_deg <= min(city.north_deg, 90.0)
    inside = inside and west_deg >= max(city.west_deg, -180.0) and east_deg <= min(city.east_deg, 180.0)
    return bool(inside and (min(abs(south_deg), abs(north_deg)) > NULL_ISLAND_DEG) and south_deg * north_deg > 0.0)


def _places(
    told: Sequence[Mapping[str, Any]],
    device_id: TextArray,
    estate: Mapping[str, Device],
    noun: str,
    city: City,
    mistakes: Mistakes,
) -> tuple[FloatArray, FloatArray]:
    """Return where n records are from: their own place, or the one registered for their device."""
    latitude_deg, longitude_deg = _numbers(told, "latitude_deg"), _numbers(told, "longitude_deg")
    homeless = np.isnan(latitude_deg) | np.isnan(longitude_deg)
    for row in np.flatnonzero(homeless).tolist():
        device = estate.get(device_id[row])
        if device is not None and not math.isnan(device.latitude_deg):
            latitude_deg[row], longitude_deg[row] = device.latitude_deg, device.longitude_deg
            homeless[row] = False
    mistakes.note(homeless, Reason.UNPLACED, lambda row: f"no place in the message, and the {noun} is not registered")
    if city.revoked:
        revoked = np.fromiter((one in city.revoked for one in device_id), bool, len(device_id))
        mistakes.note(revoked & ~homeless, Reason.UNPLACED, lambda row: f"the {noun} is revoked")
    _check_place(latitude_deg, longitude_deg, city, mistakes)
    return latitude_deg, longitude_deg
