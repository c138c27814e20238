"""A thread that tails rows.v1, incidents.v1 and incident.changes.v1 for whoever looks: no group, nothing committed.

It has a consumer of its own and shares no lock with the engine; what it finds goes to the web's loop in one call.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec, schema_id_of
from schemas.errors import Rejected, Retryable
from schemas.records import Incident, IncidentChange, RowFrame
from schemas.tables import POSITIONS
from streams import topics
from streams.registry import fetch_schema
from streams.settings import Settings
from streams.topics import Topic
from streams.watching import watcher_settings
from streams.web.incident_book import Published
from streams.web.vehicles import KNOWN_FOR_MS, Told, VehicleTable

log = logging.getLogger(__name__)

CHANGES_FROM_MS: Final = 3_600_000
MOST_CHANGES: Final = 2_000
"""What is kept in memory for those who come back; older ones are read from the log when asked for."""
BATCH: Final = 500
POLL_S: Final = 0.2
VEHICLES_EVERY_S: Final = 1.0
RETRY_S: Final = 2.0
ANSWER_S: Final = 5.0
POSITIONS_KEY: Final = f"/{POSITIONS.name}".encode()


@dataclass(frozen=True, slots=True)
class News:
    """What one look at the log brought. began: offset from which changes are known; None = as before."""

    changes: tuple[Published, ...] = ()
    incidents: tuple[Incident, ...] = ()
    vehicles: Told | None = None
    began: int | None = None
    caught_up: bool = False


class Tail:
    """Reads until `stop`; after trouble with Kafka it goes on where it was."""

    def __init__(
        self, settings: Settings, codec: Codec, vehicles: VehicleTable, deliver: Callable[[News], None]
    ) -> None:
        self._settings, self._codec, self._vehicles, self._deliver = settings, codec, vehicles, deliver
        self._stop = threading.Event()
        self._next: dict[tuple[str, int], int] = {}
        self._behind: set[tuple[str, int]] = set()
        self._told_s = 0.0
        self._thread = threading.Thread(target=self._run, name="web-tail", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let it end, within a second or so; not waited for."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (KafkaException, Retryable) as error:
                log.warning("the page's view of the log is interrupted (%s); trying again", error)
                self._stop.wait(RETRY_S)
            except Exception:
                log.exception("the page's view of the log failed; trying again")
                self._stop.wait(RETRY_S)

    def _follow(self) -> None:
        consumer = Consumer(watcher_settings(self._settings.kafka, enable_partition_eof=True))
        try:
            self._deliver(News(began=self._begin(consumer)))
            while not self._stop.is_set():
                first = consumer.poll(POLL_S)
                found = [] if first is None else [first, *consumer.consume(BATCH, timeout=0)]
                self._look(found)
        finally:
            consumer.close()

    def _begin(self, consumer: Consumer) -> int | None:
        """Assign everything; return from where changes are read when that is new."""
        first = not self._next
        if first:
            now_ms = time.time_ns() // 1_000_000
            self._next = self._since(consumer, topics.ROWS, now_ms - KNOWN_FOR_MS)
            self._next |= self._since(consumer, topics.CHANGES, now_ms - CHANGES_FROM_MS)
            changes = (self._name(topics.CHANGES), 0)
            low, high = self._bounds(consumer, *changes)
            self._next[changes] = max(self._next[changes], high - MOST_CHANGES, low)
            incidents = (self._name(topics.INCIDENTS), 0)
            self._next[incidents] = self._bounds(consumer, *incidents)[0]
            self._behind = set(self._next)
        consumer.assign([TopicPartition(*where, offset) for where, offset in self._next.items()])
        return self._next[self._name(topics.CHANGES), 0] if first else None

    def _since(self, consumer: Consumer, topic: Topic, at_ms: int) -> dict[tuple[str, int], int]:
        """Return for each partition the first offset appended at or after a time, its end if there is none."""
        name = self._name(topic)
        asked = [TopicPartition(name, partition, at_ms) for partition in range(topic.partitions)]
        found = {}
        for one in consumer.offsets_for_times(asked, timeout=ANSWER_S):
            if one.error is not None:
                raise KafkaException(one.error)
            missing = one.offset in (OFFSET_END, -1)
            offset = self._bounds(consumer, name, one.partition)[1] if missing else one.offset
            found[name, one.partition] = offset
        return found

    def _bounds(self, consumer: Consumer, name: str, partition: int) -> tuple[int, int]:
        low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=ANSWER_S)
        return int(low), int(high)

    def _look(self, messages: list[Message]) -> None:
        changes: list[Published] = []
        incidents: list[Incident] = []
        behind = bool(self._behind)
        for message in messages:
            where = (message.topic(), message.partition())
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                self._behind.discard(where)
                continue
            self._take(message, changes, incidents)
            self._next[where] = message.offset() + 1
        caught_up = behind and not self._behind
        told = self._tell_vehicles()
        if changes or incidents or told or caught_up:
            self._deliver(News(tuple(changes), tuple(incidents), told, caught_up=caught_up))

    def _tell_vehicles(self) -> Told | None:
        now_s = time.monotonic()
        if self._behind or now_s - self._told_s < VEHICLES_EVERY_S:
            return None
        self._told_s = now_s
        return self._vehicles.changes()

    def _take(self, message: Message, changes: list[Published], incidents: list[Incident]) -> None:
        value, topic = message.value(), message.topic()
        rows = topic == self._name(topics.ROWS)
        if value is None or (rows and not (message.key() or b"").endswith(POSITIONS_KEY)):
            return
        self._learn(value)
        try:
            if rows:
                self._vehicles.take(self._codec.read(value, RowFrame))
            elif topic == self._name(topics.CHANGES):
                changes.append(Published(message.offset(), self._codec.read(value, IncidentChange)))
            else:
                incidents.append(self._codec.read(value, Incident))
        except Rejected as error:
            log.warning("%s/%d offset %d is left out: %s", topic, message.partition(), message.offset(), error)

    def _learn(self, value: bytes) -> None:
        """Ask the registry for the schema of a newer or older worker."""
        schema_id = schema_id_of(value)
        if schema_id is not None and not self._codec.knows(schema_id):
            text = fetch_schema(self._settings, schema_id)
            if text is not None:
                self._codec.learn(schema_id, text)

    def _name(self, topic: Topic) -> str:
        return self._settings.topic(topic)
