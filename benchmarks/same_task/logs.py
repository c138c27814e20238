"""Writes the positions to topics of the real Kafka, in three forms, uncompressed."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.answer import reference
from benchmarks.fleet import IntArray, Positions, positions
from processors.frame_columns import DTYPES, written
from processors.framing import base_of, packed_words, words_of
from schemas.codec import Codec, local_codec
from schemas.errors import CityopsError
from schemas.records import VehicleClass, VehicleFrame, VehiclePosition
from streams.kafka_access import KafkaAccess, librdkafka_settings
from streams.settings import Settings
from streams.watching import ERRORS_ONLY

PARTITIONS: Final = 4
FRAME_ROWS: Final = 500
PREFIX: Final = "bench."
WITHIN_S: Final = 60
QUIET: Final = {"log_level": ERRORS_ONLY}
TELL_EVERY: Final = 10_000
OPERATOR: Final = "operator-1"
BUS: Final = list(VehicleClass).index(VehicleClass.BUS)

Message = tuple[int, bytes, bytes]
"""Partition, key, value."""
OnProgress = Callable[[str, float], None]
"""Told what is being written and how much of it is, 0 to 1."""


class Form(StrEnum):
    """How positions are written."""

    JSON = "json"
    SINGLES = "singles"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Log:
    """A topic that holds `positions` positions in `messages` messages of `value_bytes` in all."""

    topic: str
    positions: int
    messages: int
    value_bytes: int


class Logs:
    """The topics of one measurement: each form and length is written once, when it is first asked for."""

    def __init__(self, settings: Settings, count: int, vehicles: int, on_progress: OnProgress) -> None:
        self.settings = settings
        self._count, self._vehicles = count, vehicles
        self._on_progress = on_progress
        self._generated: Positions | None = None
        self._written: dict[tuple[Form, int], Log] = {}
        self._answers: dict[int, str] = {}

    def log(self, form: Form, count: int) -> Log:
        """Return the topic with the first `count` positions."""
        if (form, count) not in self._written:
            topic = f"{PREFIX}{form}.{secrets.token_hex(4)}"
            found = messages(self._first(count), form, local_codec())
            self._written[form, count] = write(self.settings.kafka, topic, count, found, self._on_progress)
        return self._written[form, count]

    def answer(self, count: int) -> str:
        """Return the digest of the right answer over the first `count` positions."""
        if count not in self._answers:
            self._answers[count] = reference(self._first(count))
        return self._answers[count]

    def _first(self, count: int) -> Positions:
        if self._generated is None:
            self._generated = positions(self._count, self._vehicles)
        return self._generated.first(count)


def write(access: KafkaAccess, topic: str, count: int, found: Iterator[Message], on_progress: OnProgress) -> Log:
    """Write messages that hold `count` positions to a new topic. Raises CityopsError unless Kafka takes them all."""
    _create(access, topic)
    # Idempotent: what is sent again on a busy machine comes neither twice nor behind what was sent after it.
    batching = {
        "enable.idempotence": True,
        "linger.ms": 50,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 200_000,
    }
    producer = Producer(librdkafka_settings(access) | QUIET | batching)
    failed: list[str] = []

    def note(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(str(error))

    written = value_bytes = 0
    for partition, key, value in found:
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=note)
                break
            except BufferError:
                producer.poll(0.05)
        written, value_bytes = written + 1, value_bytes + len(value)
        if written % TELL_EVERY == 0:
            producer.poll(0)
            on_progress(f"writing {topic}", min(1.0, written / count))
    if producer.flush(WITHIN_S) or failed:
        raise CityopsError(f"Kafka did not take all of {topic}: {failed[0] if failed else 'it did not answer'}")
    return Log(topic, count, written, value_bytes)


def remove_all(access: KafkaAccess) -> None:
    """Delete the topics of this and of earlier measurements."""
    admin = AdminClient(librdkafka_settings(access) | QUIET)
    names = [name for name in admin.list_topics(timeout=WITHIN_S).topics if name.startswith(PREFIX)]
    if names:
        for done in admin.delete_topics(names).values():
            done.result(WITHIN_S)


def messages(found: Positions, form: Form, codec: Codec) -> Iterator[Message]:
    """Return the messages in the order of the log."""
    match form:
        case Form.JSON:
            return _json(found)
        case Form.SINGLES:
            return _singles(found, codec)
        case Form.FRAMES:
            return _frames(found, codec)


def _create(access: KafkaAccess, topic: str) -> None:
    settings = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime", "compression.type": "producer"}
    wanted = NewTopic(topic, num_partitions=PARTITIONS, config=settings)
    admin = AdminClient(librdkafka_settings(access) | QUIET)  # held: what is asked for is given up with it
    for done in admin.create_topics([wanted]).values():
        done.result(WITHIN_S)


def _json(found: Positions) -> Iterator[Message]:
    """Return the fields that the task needs and no others: the peers' best case."""
    encode = msgspec.json.Encoder().encode
    for partition, vehicle, at_ms, latitude, longitude, speed, _, line in _rows(found):
        value = {
            "vehicle_id": vehicle,
            "line_id": line,
            "at_ms": at_ms,
            "latitude_deg": latitude,
            "longitude_deg": longitude,
            "speed_mps": speed,
        }
        yield partition, vehicle.encode(), encode(value)


def _singles(found: Positions, codec: Codec) -> Iterator[Message]:
    """Return whole records, every field filled in."""
    for partition, vehicle, at_ms, latitude, longitude, speed, bearing, line in _rows(found):
        position = VehiclePosition(
            at_ms=at_ms,
            latitude_deg=latitude,
            longitude_deg=longitude,
            speed_mps=speed,
            bearing_deg=bearing,
            accuracy_m=5.0,
            vehicle_class=VehicleClass.BUS,
            direction_id=0,
            vehicle_id=vehicle,
            line_id=line,
            trip_id=_trip(line),
            operator_id=OPERATOR,
        )
        yield partition, vehicle.encode(), codec.encode(position)


def _rows(found: Positions) -> Iterator[tuple[int, str, int, float, float, float, float, str]]:
    columns = (
        (found.shard % PARTITIONS).tolist(),
        map(found.vehicle_ids.__getitem__, found.vehicle.tolist()),
        found.at_ms.tolist(),
        found.latitude_deg.tolist(),
        found.longitude_deg.tolist(),
        found.speed_mps.tolist(),
        found.bearing_deg.tolist(),
        map(found.line_ids.__getitem__, found.line.tolist()),
    )
    return zip(*columns, strict=True)


def _frames(found: Positions, codec: Codec) -> Iterator[Message]:
    """Return the frames of gateways, each for about FRAME_ROWS vehicles of one shard, in the order in which they close.

    A frame holds one report of each vehicle of its gateway and goes when the last has come. Its dictionaries name all
    vehicles and lines of the gateway, the same in every frame.
    """
    gateway = _gateways(found)[found.vehicle]
    report = np.arange(len(found)) // len(found.vehicle_ids)
    by_frame = np.lexsort((report, gateway))
    ends = np.flatnonzero(np.diff(gateway[by_frame]) | np.diff(report[by_frame])) + 1
    named: dict[int, tuple[IntArray, IntArray]] = {}
    for rows in sorted(np.split(by_frame, ends), key=lambda frame: int(frame[-1])):
        number = int(gateway[rows[0]])
        if number not in named:  # its first frame names them all: every vehicle reports once before one does again
            named[number] = found.vehicle[rows], np.unique(found.line[rows])
        frame = _frame(found, rows, number, *named[number])
        yield int(found.shard[rows[0]]) % PARTITIONS, words_of(frame, "vehicle")[0].encode(), codec.encode(frame)


def _gateways(found: Positions) -> IntArray:
    """Return the gateway (m,) of each vehicle: neighbours in the order of reports, of one shard, share one."""
    first = found.first(len(found.vehicle_ids))
    gateway = np.zeros(len(found.vehicle_ids), np.int64)
    total = 0
    for shard in np.unique(first.shard):
        vehicles = first.vehicle[first.shard == shard]
        count = max(1, round(len(vehicles) / FRAME_ROWS))
        gateway[vehicles] = total + np.arange(len(vehicles)) * count // len(vehicles)
        total += count
    return gateway


def _frame(found: Positions, rows: IntArray, number: int, vehicles: IntArray, lines: IntArray) -> VehicleFrame:
    place = np.zeros(len(found.vehicle_ids), np.int64)
    place[vehicles] = np.arange(len(vehicles))
    vehicle_index, line_index = place[found.vehicle[rows]], np.searchsorted(lines, found.line[rows])
    line_ids = tuple(found.line_ids[line] for line in lines.tolist())
    count = len(rows)
    base_ms = base_of(found.at_ms[rows].tolist())
    columns = {
        "at_ms": found.at_ms[rows] - base_ms,
        "latitude_deg": found.latitude_deg[rows],
        "longitude_deg": found.longitude_deg[rows],
        "speed_mps": found.speed_mps[rows],
        "bearing_deg": found.bearing_deg[rows],
        "vehicle_class": np.full(count, BUS),
        "vehicle_index": vehicle_index,
        "line_index": line_index,
        "direction_id": np.zeros(count),
        "accuracy_m": np.full(count, 5.0),
        "trip_index": line_index,
        "operator_index": np.zeros(count),
    }
    fields: dict[str, Any] = {name: written(name, told.astype(DTYPES[name])) for name, told in columns.items()}
    for name, words in {
        "vehicle": [found.vehicle_ids[vehicle] for vehicle in vehicles.tolist()],
        "line": line_ids,
        "trip": list(map(_trip, line_ids)),
        "operator": [OPERATOR],
    }.items():
        fields |= packed_words(name, words)
    return VehicleFrame(rows=count, base_ms=base_ms, gateway_id=f"gateway-{number}", **fields)


def _trip(line_id: str) -> str:
    return f"{line_id}-0612"
