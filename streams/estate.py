"""The registry of devices on devices.v1: read, and added to."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import Producer

from schemas.codec import Codec
from schemas.errors import Retryable
from schemas.records import DeviceRegistration
from streams import topics
from streams.admin import ensure_topics
from streams.outbox import producer_settings
from streams.producing import produce
from streams.settings import Settings
from streams.tail import Tail
from streams.watching import ERRORS_ONLY

SEND_WITHIN_S: Final = 30.0


def read_registry(settings: Settings, codec: Codec) -> dict[str, DeviceRegistration]:
    """Return the latest registration of every device, retired ones too. Raises Retryable when Kafka does not answer."""
    ensure_topics(settings, (topics.DEVICES,))
    registry: dict[str, DeviceRegistration] = {}
    with Tail(settings, codec, topics.DEVICES, DeviceRegistration) as tail:
        for one in tail.catch_up():
            held = registry.get(one.device_id)
            if held is None or held.registered_at_ms <= one.registered_at_ms:
                registry[one.device_id] = one
    return registry


def send_registrations(
    settings: Settings,
    codec: Codec,
    ones: Iterable[DeviceRegistration],
    on_progress: Callable[[int], None] = lambda sent: None,
) -> None:
    """Append registrations, in their order, and wait until Kafka has them. Raises Retryable when it does not answer.

    on_progress: called with how many are sent.
    """
    producer = Producer(producer_settings(settings.kafka) | {"log_level": ERRORS_ONLY})
    name = settings.topic(topics.DEVICES)
    for count, one in enumerate(ones, start=1):
        produce(producer, name, one.device_id.encode(), codec.encode(one), 0)
        on_progress(count)
    if producer.flush(SEND_WITHIN_S):
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} stopped answering: import the file again")


def now_ms() -> int:
    """Return the time of a registration that is made now."""
    return time.time_ns() // 1_000_000
