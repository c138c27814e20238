"""Registrations: what an input partition knows of its devices beyond the city package, as of a tick.

Of several registrations of a device the greatest (registered_at_ms, content) counts, so that neither repeats nor their
order within an interval matter. A retired device has no place, whatever the package says of it. Nothing that a revoked
one says counts, and what it claimed is taken back.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec
import numpy as np

from processors.city import City
from processors.domain import Message
from processors.ingest import (
    AFTER_LAST_MS,
    TEXT_CHARACTERS,
    content_hashes,
    device_mistake,
    text_mistake,
)
from processors.network import Device, Vehicle
from processors.placement import FARTHEST_M, Listed, Refused, read_placement
from processors.records_in import RawRecord
from processors.rows import Columns, texts
from schemas.errors import Reason
from schemas.ids import murmur2
from schemas.records import DeviceKind, DeviceRegistration

__all__ = ["Listed", "Refused", "Registrations", "Taken", "laid_over", "read_placement", "registration_mistakes"]

RECORD: Final = "DeviceRegistration"
BUCKETS: Final = 256
"""Parts of a checkpoint that hold a whole topic's devices: of a million devices a part has some 400 kB."""

PART_FORMAT: Final = 1
QUANTITIES: Final = 32
"""A device measures at most so many."""

_NAMES: Final = tuple(field.name for field in fields(DeviceRegistration))
_TEXTS: Final = ("name", "owner", "host_camera_id", "line_id", "operator_id")

Mistake = tuple[Reason, str]


class Part(msgspec.Struct, array_like=True, frozen=True):
    """The devices of one bucket as a checkpoint keeps them: names of fields, then content hash and values of each."""

    format: int
    names: tuple[str, ...]
    devices: tuple[tuple[int, tuple[Any, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Known:
    content_hash: int
    registration: DeviceRegistration

    @property
    def rank(self) -> tuple[int, int]:
        """Return what decides which registration of a device counts."""
        return self.registration.registered_at_ms, self.content_hash


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the registrations of an interval: rows of the tables, and refusals.

    changed: any counts now. revoked: the devices that count no more and did before, by id.
    """

    used: Columns
    duplicates: Columns
    refused: tuple[tuple[RawRecord, tuple[Mistake, ...]], ...]
    changed: bool
    revoked: tuple[str, ...]


class Registrations:
    """The devices registered in one partition that takes those of one kind."""

    def __init__(self, kind: DeviceKind, before: Iterable[DeviceRegistration] = ()) -> None:
        """Start with what was registered before the log begins."""
        self._kind = kind
        self._buckets: dict[int, dict[str, _Known]] = {}
        self._parts: dict[int, str] = {}
        self._changed: set[int] = set()
        for one in before:
            self._learn(_Known(0, one))

    @property
    def live(self) -> tuple[str, ...]:
        """Return the names of the parts that hold all of it, once sealed."""
        return tuple(self._parts[bucket] for bucket in sorted(self._parts))

    def take(self, messages: Sequence[Message], city: City, tick_ms: int) -> Taken:
        """Take the registrations of one interval (with sound ids: of this partition), in log order.

        One that says what already counts, or what another of the interval says, is a duplicate.
        """
        sound: list[tuple[Message, _Known]] = []
        refused: list[tuple[RawRecord, tuple[Mistake, ...]]] = []
        for message, content_hash in zip(messages, content_hashes(messages).tolist(), strict=True):
            one = msgspec.convert(message.fields, DeviceRegistration)
            mistakes = registration_mistakes(one, city)
            if one.kind is not self._kind:
                mistakes.append((Reason.WRONG_RECORD, f"a {one.kind.lower()} does not write to this topic"))
            if mistakes:
                refused.append((message.raw, tuple(mistakes)))
            else:
                sound.append((message, _Known(content_hash, one)))
        before = {known.registration.device_id: self._of(known.registration.device_id) for _, known in sound}
        seen = {(device_id, known.rank) for device_id, known in before.items() if known is not None}
        used: list[tuple[Message, _Known]] = []
        repeated: list[tuple[Message, _Known]] = []
        for message, known in sound:
            identity = known.registration.device_id, known.rank
            (repeated if identity in seen else used).append((message, known))
            seen.add(identity)
        changed = [self._learn(known) for _, known in used]
        return Taken(
            used=_log_rows(used, city, tick_ms),
            duplicates=_duplicate_rows(repeated, tick_ms),
            refused=tuple(refused),
            changed=any(changed),
            revoked=tuple(
                sorted(one for one, known in before.items() if self._is_revoked(one) and not _revoked(known))
            ),
        )

    def over(self, city: City) -> City:
        """Return the city with the registered devices over those of its package."""
        return laid_over(city, (known.registration for bucket in self._buckets.values() for known in bucket.values()))

    def seal(self, first_offset: int) -> dict[str, bytes]:
        """Return the parts that changed since the last call; `first_offset` (never given twice) names them."""
        parts = {}
        for bucket in sorted(self._changed):
            name = f"{RECORD}/{bucket}/{first_offset}"
            known = [self._buckets[bucket][device_id] for device_id in sorted(self._buckets[bucket])]
            devices = tuple(
                (one.content_hash, tuple(getattr(one.registration, name) for name in _NAMES)) for one in known
            )
            parts[name] = msgspec.msgpack.encode(Part(PART_FORMAT, _NAMES, devices))
            self._parts[bucket] = name
        self._changed.clear()
        return parts

    def load(self, parts: Sequence[tuple[str, bytes]]) -> None:
        """Take back sealed parts by name, in place of whatever was known.

        Raises ValueError when one has another format.
        """
        self._buckets, self._parts, self._changed = {}, {}, set()
        for name, content in parts:
            part = msgspec.msgpack.decode(content, type=Part)
            if part.format != PART_FORMAT:
                raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
            for content_hash, values in part.devices:
                one = msgspec.convert(dict(zip(part.names, values, strict=True)), DeviceRegistration)
                self._learn(_Known(content_hash, one))
            self._parts[int(name.split("/")[1])] = name
        self._changed = set()

    def _is_revoked(self, device_id: str) -> bool:
        return _revoked(self._of(device_id))

    def _of(self, device_id: str) -> _Known | None:
        return self._buckets.get(_bucket(device_id), {}).get(device_id)

    def _learn(self, known: _Known) -> bool:
        """Keep a registration if it counts; tell whether it does."""
        device_id = known.registration.device_id
        bucket = self._buckets.setdefault(_bucket(device_id), {})
        held = bucket.get(device_id)
        if held is not None and held.rank >= known.rank:
            return False
        bucket[device_id] = known
        self._changed.add(_bucket(device_id))
        return True


def laid_over(city: City, ones: Iterable[DeviceRegistration]) -> City:
    """Return the city with registered devices over those of its package; of each device one registration."""
    cameras, sensors, vehicles = dict(city.cameras), dict(city.sensors), dict(city.vehicles)
    revoked = set()
    estates: Mapping[DeviceKind, dict[str, Any]] = {
        DeviceKind.CAMERA: cameras, DeviceKind.SENSOR: sensors, DeviceKind.VEHICLE: vehicles,
    }  # fmt: skip
    for one in ones:
        estates[one.kind].pop(one.device_id, None)
        if one.revoked:
            revoked.add(one.device_id)
        elif not one.retired:
            estates[one.kind][one.device_id] = device_of(one)
    return city.with_devices(cameras, sensors, vehicles, frozenset(revoked))


def device_of(one: DeviceRegistration) -> Device | Vehicle:
    """Return the device that a registration speaks of; without a place its degrees are NaN."""
    if one.kind is DeviceKind.VEHICLE:
        return Vehicle(one.device_id, str(one.vehicle_class), one.line_id, one.operator_id)
    place = one.latitude_deg, one.longitude_deg
    return Device(one.device_id, one.kind.lower(), *place, one.quantities, one.host_camera_id)


def registration_mistakes(one: DeviceRegistration, city: City) -> list[Mistake]:
    """Return what is wrong with a registration; no place at all is no mistake: the device moves."""
    mistakes = _place_mistakes(one.latitude_deg, one.longitude_deg, city)
    if words := device_mistake(one.device_id):
        mistakes.append((Reason.BAD_ID, words))
    if not 0 <= one.qualified_until_ms < AFTER_LAST_MS:
        words = f"qualified_until_ms {one.qualified_until_ms} is not between the years 1970 and 2100"
        mistakes.append((Reason.OUT_OF_RANGE, words))
    if not 0 <= one.registered_at_ms < AFTER_LAST_MS:
        words = f"registered_at_ms {one.registered_at_ms} is not between the years 1970 and 2100"
        mistakes.append((Reason.OUT_OF_RANGE, words))
    if not (-1 <= one.bearing_deg < 360 and 0 <= one.view_deg <= 360 and 0 <= one.range_m <= FARTHEST_M):
        words = f"bearing_deg {one.bearing_deg}, view_deg {one.view_deg}, range_m {one.range_m} is no field of view"
        mistakes.append((Reason.OUT_OF_RANGE, words))
    if one.revoked and one.kind is DeviceKind.VEHICLE:
        mistakes.append((Reason.OUT_OF_RANGE, "a vehicle cannot be revoked, only retired"))
    if len(one.quantities) > QUANTITIES:
        words = f"{len(one.quantities)} quantities, at most {QUANTITIES} are taken"
        mistakes.append((Reason.OUT_OF_RANGE, words))
    told = [(name, getattr(one, name)) for name in _TEXTS]
    told += [("quantity", quantity) for quantity in one.quantities[:QUANTITIES]]
    for name, text in told:
        if words := text_mistake(text, TEXT_CHARACTERS):
            mistakes.append((Reason.OUT_OF_RANGE, f"{name} {words}"))
    return mistakes


def _place_mistakes(latitude_deg: float, longitude_deg: float, city: City) -> list[Mistake]:
    if math.isnan(latitude_deg) and math.isnan(longitude_deg):
        return []
    words = f"({latitude_deg:.5f}, {longitude_deg:.5f})"
    if not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg)):
        return [(Reason.NOT_FINITE, f"{words} is not a place")]
    if abs(latitude_deg) > 90.0 or abs(longitude_deg) > 180.0:
        return [(Reason.OUT_OF_RANGE, f"{words} is not a place on Earth")]
    if not (city.south_deg <= latitude_deg <= city.north_deg and city.west_deg <= longitude_deg <= city.east_deg):
        return [(Reason.OUT_OF_CITY, f"{words} is outside {city.name}")]
    return []


def _revoked(known: _Known | None) -> bool:
    return known is not None and known.registration.revoked


def _bucket(device_id: str) -> int:
    return (murmur2(device_id.encode()) & 0x7FFFFFFF) % BUCKETS


def _log_rows(taken: Sequence[tuple[Message, _Known]], city: City, tick_ms: int) -> Columns:
    ones = [known.registration for _, known in taken]
    latitude_deg = np.array([one.latitude_deg for one in ones], np.float64)
    longitude_deg = np.array([one.longitude_deg for one in ones], np.float64)
    placed = ~np.isnan(latitude_deg)
    unit_code = texts([""] * len(ones))
    unit_code[placed] = city.locate_units(latitude_deg[placed], longitude_deg[placed])
    return {
        "source_offset": np.array([message.raw.offset for message, _ in taken], np.int64),
        "tick_ms": np.full(len(taken), tick_ms),
        "registered_at_ms": np.array([one.registered_at_ms for one in ones], np.int64),
        "content_hash": np.array([known.content_hash for _, known in taken], np.uint64),
        "device_id": texts([one.device_id for one in ones]),
        "kind": texts([str(one.kind) for one in ones]),
        "retired": np.array([one.retired for one in ones], np.uint8),
        "latitude_deg": latitude_deg,
        "longitude_deg": longitude_deg,
        "unit_code": unit_code,
        **{name: texts([getattr(one, name) for one in ones]) for name in _TEXTS},
        "vehicle_class": texts([str(one.vehicle_class) for one in ones]),
        "quantities": texts(["\n".join(one.quantities) for one in ones]),
    }


def _duplicate_rows(repeated: Sequence[tuple[Message, _Known]], tick_ms: int) -> Columns:
    return {
        "source_offset": np.array([message.raw.offset for message, _ in repeated], np.int64),
        "source_index": np.zeros(len(repeated), np.int32),
        "at_ms": np.array([known.registration.registered_at_ms for _, known in repeated], np.int64),
        "tick_ms": np.full(len(repeated), tick_ms),
        "device_id": texts([known.registration.device_id for _, known in repeated]),
    }
