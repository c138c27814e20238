"""Puts copies of rejected records on their topics, and on records.resent.v1 what was sent where."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from schemas.codec import Codec
from schemas.errors import Retryable
from schemas.records import Resent
from streams import topics
from streams.log_facts import Place
from streams.outbox import producer_settings
from streams.settings import Settings
from streams.watching import ERRORS_ONLY

SEND_TIMEOUT_MS: Final = 60_000
_TOPICS: Final = {topic.name: topic for topic in topics.INPUTS}


@dataclass(frozen=True, slots=True)
class Copy:
    """What is sent: the bytes of the reject that stands at `place`, to a partition of the same topic."""

    place: Place
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(slots=True)
class Arrival:
    """Where a copy stands; None = Kafka did not take it, and `error` says why."""

    place: Place
    to: Place | None = None
    error: str = ""


def send_copies(
    settings: Settings, codec: Codec, copies: Sequence[Copy], on_sent: Callable[[int], None] = lambda count: None
) -> list[Arrival]:
    """Send copies in their order and return, once the brokers have answered for all, where each stands.

    on_sent: called with how many are on their way. Raises Retryable when no broker answers for a minute.
    """
    own = {"message.timeout.ms": SEND_TIMEOUT_MS, "log_level": ERRORS_ONLY}
    producer = Producer(producer_settings(settings.kafka) | own)
    arrivals = [Arrival(one.place) for one in copies]
    for number, (one, arrival) in enumerate(zip(copies, arrivals, strict=True), start=1):
        name = settings.topic(_TOPICS[one.place.topic])
        _produce(producer, arrival, name, one.value, one.key, one.partition, list(one.headers))
        on_sent(number)
    _flush(producer, settings)
    for arrival in arrivals:
        if arrival.to is not None:
            note = Resent(
                source_topic=arrival.place.topic,
                source_partition=arrival.place.partition,
                source_offset=arrival.place.offset,
                source_index=arrival.place.row,
                to_partition=arrival.to.partition,
                to_offset=arrival.to.offset,
            )
            key, noted = str(arrival.place).encode(), Arrival(arrival.place)
            _produce(producer, noted, settings.topic(topics.RESENT), codec.encode(note), key, 0, [])
    _flush(producer, settings)
    return arrivals


def _produce(
    producer: Producer,
    arrival: Arrival,
    topic: str,
    value: bytes | None,
    key: bytes | None,
    partition: int,
    headers: list[tuple[str, bytes | None]],
) -> None:
    arrived = partial(_arrived, arrival)
    while True:
        try:
            producer.produce(topic, value, key, partition=partition, headers=headers or None, on_delivery=arrived)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:  # the client itself refuses, such as one that has become too large
            arrival.error = str(error.args[0].str())
            return


def _arrived(arrival: Arrival, error: Any, message: Any) -> None:
    if error is not None:
        arrival.error = str(error.str())
    else:
        arrival.to = Place(arrival.place.topic, message.partition(), message.offset())


def _flush(producer: Producer, settings: Settings) -> None:
    if producer.flush(SEND_TIMEOUT_MS / 1000 + 5.0):
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} stopped answering: what was sent is not known")
