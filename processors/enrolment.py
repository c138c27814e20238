"""Enrolment: what a device file changes in the registry, line by line, and what the whole estate is then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from processors.city import City
from processors.network import Device
from processors.placement import QUALIFY, Listed, Refused
from processors.registrations import registration_mistakes
from schemas.errors import UsageError
from schemas.records import DeviceKind, DeviceRegistration

Registry = Mapping[str, DeviceRegistration]
"""Device -> its latest registration, retired ones too."""


class Fate(StrEnum):
    """What becomes of a line of a device file."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class Origin(StrEnum):
    """Who says that a device is there."""

    PACKAGE = "city package"
    REGISTRY = "registry"
    BOTH = "registry over city package"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a device file (counted from 1) and its fate. registration: what is to be sent; None = nothing."""

    line: int
    fate: Fate
    device_id: str
    reason: str = ""
    registration: DeviceRegistration | None = None


@dataclass(frozen=True, slots=True)
class EstateDevice:
    """One device of the estate as it stands; unit_code "" = outside all units, or without a place."""

    registration: DeviceRegistration
    origin: Origin
    unit_code: str


def enrol(
    listed: Sequence[Listed], refused: Sequence[Refused], registry: Registry, city: City, now_ms: int
) -> tuple[Line, ...]:
    """Return the fate of every line, in their order.

    A device keeps its kind until it is retired: its records and its registrations would stand on different topics.
    """
    lines = [Line(one.line, Fate.REFUSED, "", one.reason) for one in refused]
    lines += [_line(one, registry.get(one.registration.device_id), city, now_ms) for one in listed]
    return tuple(sorted(lines, key=lambda line: line.line))


def _line(one: Listed, known: DeviceRegistration | None, city: City, now_ms: int) -> Line:
    fresh, device_id = one.registration, one.registration.device_id
    mistakes = [words for _, words in registration_mistakes(fresh, city)]
    kind = kind_of(device_id, known, city)
    if kind not in (None, fresh.kind):
        mistakes.append(f"is a {kind.lower()}: retire it before it becomes a {fresh.kind.lower()}")
    if fresh.qualified_until_ms and fresh.qualified_until_ms <= now_ms and not fresh.retired:
        mistakes.append(f"its qualification has expired: {QUALIFY} judges it anew")
    if mistakes:
        return Line(one.line, Fate.REFUSED, device_id, f"{device_id}: {'; '.join(mistakes)}")
    if known is not None and _same(known, fresh):
        return Line(one.line, Fate.UNCHANGED, device_id)
    return Line(one.line, Fate.IMPORTED, device_id, registration=stamped(fresh, known, now_ms))


def kind_of(device_id: str, known: DeviceRegistration | None, city: City) -> DeviceKind | None:
    """Return what a device is at present; None = it is not part of the estate."""
    if known is not None:
        return None if known.retired else known.kind
    if device_id in city.cameras:
        return DeviceKind.CAMERA
    return DeviceKind.SENSOR if device_id in city.sensors else None


def stamped(one: DeviceRegistration, known: DeviceRegistration | None, now_ms: int) -> DeviceRegistration:
    """Return a registration as made now, and in any case after what is known of its device."""
    return replace(one, registered_at_ms=now_ms if known is None else max(now_ms, known.registered_at_ms + 1))


def retired(device_id: str, registry: Registry, city: City, now_ms: int) -> DeviceRegistration | None:
    """Return the registration that retires a device; None = it is not part of the estate."""
    known = registry.get(device_id)
    kind = kind_of(device_id, known, city)
    if kind is None:
        return None
    held = known or of_package((city.cameras if kind is DeviceKind.CAMERA else city.sensors)[device_id])
    return stamped(replace(held, retired=True), known, now_ms)


def revoked(device_id: str, registry: Registry, city: City, now_ms: int) -> DeviceRegistration | None:
    """Return the registration that revokes a camera or sensor, also a retired one; None = it was never of the estate.

    Raises UsageError for a vehicle, which can only be retired.
    """
    known = registry.get(device_id)
    held = known if known is not None and known.retired else retired(device_id, registry, city, now_ms)
    if held is None:
        return None
    if held.kind is DeviceKind.VEHICLE:
        raise UsageError(f"{device_id} is a vehicle: retire it, only cameras and sensors are revoked")
    return stamped(replace(held, retired=True, revoked=True), known, now_ms)


def expired(registry: Registry, now_ms: int) -> tuple[str, ...]:
    """Return the third parties' devices whose qualification has ended and that are not retired, by id."""
    return tuple(
        sorted(
            device_id
            for device_id, one in registry.items()
            if 0 < one.qualified_until_ms <= now_ms and not one.retired
        )
    )  # fmt: skip


def of_package(device: Device) -> DeviceRegistration:
    """Return a device of a city package as a registration of 1970: any other is later."""
    return DeviceRegistration(
        registered_at_ms=0,
        latitude_deg=device.latitude_deg,
        longitude_deg=device.longitude_deg,
        kind=DeviceKind(device.kind.upper()),
        device_id=device.device_id,
        host_camera_id=device.host_camera_id,
        quantities=device.quantities,
    )


def whole_estate(city: City, registry: Registry) -> tuple[EstateDevice, ...]:
    """Return every device of the package and the registry, by id, retired ones too."""
    package = {**city.cameras, **city.sensors}
    found = {device_id: (of_package(device), Origin.PACKAGE) for device_id, device in package.items()}
    for device_id, one in registry.items():
        found[device_id] = (one, Origin.BOTH if device_id in package else Origin.REGISTRY)
    ordered = [found[device_id] for device_id in sorted(found)]
    units = _units([one for one, _ in ordered], city)
    return tuple(EstateDevice(one, origin, unit) for (one, origin), unit in zip(ordered, units, strict=True))


def _units(ones: Sequence[DeviceRegistration], city: City) -> list[str]:
    latitude_deg = np.array([one.latitude_deg for one in ones], np.float64)
    longitude_deg = np.array([one.longitude_deg for one in ones], np.float64)
    placed = np.isfinite(latitude_deg) & np.isfinite(longitude_deg)
    units = np.full(len(placed), "", dtype=object)
    units[placed] = city.locate_units(latitude_deg[placed], longitude_deg[placed])
    return [str(unit) for unit in units.tolist()]


def _same(one: DeviceRegistration, other: DeviceRegistration) -> bool:
    """Tell whether two registrations say the same, whenever they did; NaN equals NaN here."""
    return repr(replace(one, registered_at_ms=0)) == repr(replace(other, registered_at_ms=0))
