"""Devices registered before the span of a replay begins: the log that it reads no longer says so, devices.v1 does.

The topic is compacted: of a device that was registered again later, what was said before may be gone. Such a device
begins without that registration.
"""

from pathlib import Path

import msgspec

from schemas.codec import Codec
from schemas.records import DeviceRegistration
from streams import topics
from streams.admin import ensure_topics
from streams.settings import Settings
from streams.tail import Tail


def registered_before(settings: Settings, codec: Codec, before_ms: int) -> tuple[DeviceRegistration, ...]:
    """Return what counted of each device of a run at a time, by id. Raises Retryable when Kafka does not answer."""
    ensure_topics(settings, (topics.DEVICES,))
    found: dict[str, DeviceRegistration] = {}
    with Tail(settings, codec, topics.DEVICES, DeviceRegistration) as tail:
        for one in tail.catch_up():
            held = found.get(one.device_id)
            later = held is None or one.registered_at_ms >= held.registered_at_ms
            if one.registered_at_ms < before_ms and later:
                found[one.device_id] = one
    return tuple(found[device_id] for device_id in sorted(found))


def save_before(home: Path, run: str, ones: tuple[DeviceRegistration, ...]) -> None:
    """Write what a replay begins with."""
    path = _path(home, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.msgpack.encode(ones))


def load_before(home: Path, run: str) -> tuple[DeviceRegistration, ...]:
    """Return what a run begins with: nothing, unless it is a replay."""
    path = _path(home, run)
    if not run or not path.exists():
        return ()
    return msgspec.msgpack.decode(path.read_bytes(), type=tuple[DeviceRegistration, ...])


def _path(home: Path, run: str) -> Path:
    return home / "runs" / run / "devices.msgpack"
