"""Exercises on the topics: when they begin, their records sent at their pace, and the incident they lead to."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from confluent_kafka import Producer

from processors.simulate.inject import Cue
from schemas.codec import Codec
from schemas.errors import Retryable, UsageError
from schemas.ids import shard_of
from schemas.records import IncidentChange
from streams import topics
from streams.outbox import producer_settings
from streams.producing import produce
from streams.reading import LogReader, Vector
from streams.settings import Settings
from streams.span import load_span
from streams.tick_index import newest_tick_ms
from streams.watching import ERRORS_ONLY

SEND_WITHIN_S: Final = 10.0
NEAR_MS: Final = 60_000
"""Event time this near to the clock is the clock's."""
LOOK_AGAIN_S: Final = 0.2

_TOPICS: Final = {topic.name: topic for topic in topics.INPUTS}


def event_time_ms(settings: Settings, codec: Codec) -> int:
    """Return the event time of now: the clock's, or that of the newest tick of a run that is at another time.

    Raises UsageError for a replay, which has no input of its own.
    """
    if settings.run and load_span(settings.home, settings.run) is not None:
        raise UsageError(f"{settings.run} is a replay and has no input of its own: inject into another run")
    now_ms = time.time_ns() // 1_000_000
    tick_ms = newest_tick_ms(settings, codec, topics.DETECTIONS, 0)
    return now_ms if tick_ms is None or not settings.run or abs(tick_ms - now_ms) <= NEAR_MS else tick_ms


def send_cues(settings: Settings, codec: Codec, cues: Sequence[Cue], on_sent: Callable[[Cue], None]) -> None:
    """Send the records of an exercise, each at its time after now. Raises Retryable when Kafka does not take them."""
    producer = Producer(producer_settings(settings.kafka) | {"log_level": ERRORS_ONLY})
    began_s = time.monotonic()
    for cue in cues:
        time.sleep(max(0.0, began_s + cue.after_ms / 1000 - time.monotonic()))
        topic = _TOPICS[cue.sent.topic]
        partition = shard_of(cue.sent.key) % topic.partitions
        produce(producer, settings.topic(topic), cue.sent.key.encode(), codec.encode(cue.sent.record), partition)
        producer.poll(0)
        on_sent(cue)
    if producer.flush(SEND_WITHIN_S):
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} does not take the records")


def changes_of(
    log: LogReader, codec: Codec, begin: Vector, device_ids: frozenset[str], for_s: float
) -> Iterator[IncidentChange]:
    """Yield the revisions that rest on some devices, from `begin` on, as they come, for so long."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        end = log.end([topics.CHANGES])
        for message in log.read(topics.CHANGES, begin, end):
            change = codec.read(message.value or b"", IncidentChange)
            if device_ids & {one.device_id for one in change.incident.evidence}:
                yield change
        begin = end
        time.sleep(LOOK_AGAIN_S)
