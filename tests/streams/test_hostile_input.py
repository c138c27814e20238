"""Hostile input on the real stack: nothing a producer sends stops the worker, touches its neighbours or gets lost."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from kafka import KafkaProducer

from processors.city import City
from schemas.codec import Codec, schema_text
from schemas.ids import shard_of
from schemas.records import CameraDetection, Rejected, Tick, Truth, VehiclePosition
from streams import topics
from streams.feed import TICK_MS
from streams.outbox import producer_settings
from streams.reading import reading
from streams.settings import Settings
from tests.streams.running import (
    START_MS,
    Outputs,
    Row,
    Wire,
    balance,
    finish,
    make_ready,
    read_outputs,
    run_settings,
    simulated,
    work_off,
    working,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

LOG_S = 25.0
POSITIONS, DETECTIONS = topics.POSITIONS.name, topics.DETECTIONS.name
NAN = float("nan")
HEADERS: list[tuple[str, bytes | None]] = [
    ("trace", b"\x00\xff\x80"),
    ("empty", None),
    ("trace", b""),
    ("Hà Nội", b"1"),
]
COMPRESSIONS = ("gzip", "snappy", "lz4", "zstd")
HUGE_BYTES = 30_000_000


def position(vehicle_id: str, at_ms: int, **changes: Any) -> VehiclePosition:
    """A sound position in Hà Nội, of a vehicle of its own."""
    sound = VehiclePosition(
        at_ms=at_ms, latitude_deg=21.03, longitude_deg=105.85, speed_mps=5.0, bearing_deg=10.0, accuracy_m=5.0,
        vehicle_id=vehicle_id,
    )  # fmt: skip
    return replace(sound, **changes)


@dataclass(slots=True)
class Shot:
    """One hostile record; fate: a reason, or used, duplicate, forwarded. offset: as the broker says."""

    topic: str
    partition: int
    value: bytes | None
    fate: str
    key: bytes | None = b"x"
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)
    compression: str = ""
    offset: int = -1


def of(device_id: str) -> int:
    return shard_of(device_id) % topics.POSITIONS.partitions


def shots(codec: Codec, alien_id: int, newer: bytes, now_ms: int) -> Iterator[Shot]:
    """Everything at once; now_ms: event time."""

    def sent(record: VehiclePosition, fate: str, **more: Any) -> Shot:
        return Shot(POSITIONS, of(record.vehicle_id), codec.encode(record), fate, record.vehicle_id.encode(), **more)

    whole = codec.encode(position("x-whole", now_ms))
    yield Shot(POSITIONS, 0, b"\xff\xfegarbage \x00", "not_avro", headers=HEADERS)
    yield Shot(POSITIONS, 1, b"", "not_avro")
    yield Shot(POSITIONS, 1, whole[:-3], "not_avro")
    yield Shot(POSITIONS, 1, whole + b"more", "not_avro")
    yield Shot(POSITIONS, 1, b"\x07" * 900_000, "not_avro", headers=HEADERS)
    yield Shot(POSITIONS, 2, b"\0" + (987_654_321).to_bytes(4, "big") + b"body", "unknown_schema_id")
    yield Shot(POSITIONS, 2, b"\0" + alien_id.to_bytes(4, "big") + b"\x02", "wrong_record")
    yield Shot(POSITIONS, 3, None, "null_value", b"x-null", HEADERS)
    yield Shot(POSITIONS, 3, None, "null_value", None)
    truth = Truth(at_ms=now_ms, latitude_deg=21.0, longitude_deg=105.8, truth_id="x", kind="crash")
    yield Shot(POSITIONS, 0, codec.encode(truth), "wrong_record")
    yield replace(sent(position("x-no-key", now_ms), "used"), key=None)
    yield Shot(POSITIONS, of("x-newer"), newer, "used", b"x-newer")
    yield sent(position("x-nan", now_ms, latitude_deg=NAN), "not_finite")
    yield sent(position("x-inf", now_ms, longitude_deg=float("inf")), "not_finite")
    yield sent(position("x-island", now_ms, latitude_deg=0.0, longitude_deg=0.0), "null_island")
    yield sent(position("x-paris", now_ms, latitude_deg=48.85, longitude_deg=2.35), "out_of_city")
    yield sent(position("x-1970", 0), "late")
    yield sent(position("x-2099", 4_080_000_000_000), "future")
    yield sent(position("x-before", -1), "out_of_range")
    yield sent(position("x-fast", now_ms, speed_mps=1e30), "out_of_range")
    yield sent(position("x" * 1_000_000, now_ms), "bad_id")
    yield sent(position("x-trip", now_ms, trip_id="t" * 900_000), "bad_id", headers=HEADERS)
    yield sent(position("", now_ms), "bad_id")
    yield sent(position("x-same", now_ms), "used")
    yield sent(position("x-same", now_ms), "duplicate")
    yield sent(position("x-same", now_ms, speed_mps=6.0), "conflict", headers=HEADERS)
    astray = position("x-astray", now_ms)
    yield replace(sent(astray, "forwarded", headers=HEADERS), partition=(of("x-astray") + 1) % 4)
    for compression in COMPRESSIONS:
        yield sent(position(f"x-{compression}", now_ms), "used", compression=compression)
    camera = CameraDetection(
        at_ms=now_ms, latitude_deg=NAN, longitude_deg=NAN, confidence=0.9, speed_mps=NAN, bearing_deg=NAN,
        box_left=0.0, box_top=0.0, box_right=1.0, box_bottom=1.0, camera_id="x-unplaced", kind="crash",
    )  # fmt: skip
    yield Shot(DETECTIONS, of(camera.camera_id), codec.encode(camera), "unplaced", b"x-unplaced")
    yield Shot(DETECTIONS, 0, codec.encode(position("x-alien", now_ms)), "wrong_record")
    tick = codec.encode(Tick(at_ms=now_ms))
    yield Shot(DETECTIONS, 0, tick[:-2], "not_avro")


class Gun:
    """Fires shots, each by a producer of its compression, and notes their offsets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producers = {
            name: Producer({**producer_settings(settings.kafka), **compression})
            for name, compression in {
                "": {},
                **{name: {"compression.type": name} for name in COMPRESSIONS},
            }.items()
        }

    def fire(self, shot: Shot) -> None:
        def note(error: Any, message: Any) -> None:
            assert error is None
            shot.offset = message.offset()

        producer = self._producers[shot.compression]
        producer.produce(
            f"run.{self._settings.run}.{shot.topic}", shot.value, shot.key, partition=shot.partition,
            headers=shot.headers or None, on_delivery=note,
        )  # fmt: skip
        assert producer.flush(30) == 0

    def back_ticks(self, codec: Codec, at_ms: int) -> None:
        """A tick of an hour ago and the same one again, in two partitions only."""
        for value in (codec.encode(Tick(at_ms=at_ms - 3_600_000)), codec.encode(Tick(at_ms=at_ms))):
            for partition in (0, 3):
                self._producers[""].produce(
                    f"run.{self._settings.run}.{POSITIONS}", value, b"tick", partition=partition
                )
        assert self._producers[""].flush(30) == 0


class ForeignName(str):
    """A header's name that goes over the wire as bytes that are not UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfename"


def fire_oddities(settings: Settings) -> list[Shot]:
    """What only a compressed batch or a foreign client can send: 30 MB of zeros; a header without a proper name."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, max_request_size=2 * HUGE_BYTES, compression_type="gzip"
    )
    name = f"run.{settings.run}.{POSITIONS}"
    huge = producer.send(name, bytes(HUGE_BYTES), b"x-huge", partition=2).get(30)
    odd = producer.send(name, b"odd", b"x-odd", [(ForeignName("odd"), b"1"), ("even", b"2")], partition=2).get(30)
    producer.close()
    return [
        Shot(POSITIONS, 2, bytes(65_536), "out_of_range", b"x-huge", offset=huge.offset),
        Shot(POSITIONS, 2, b"odd", "not_avro", b"x-odd", [("\\xff\\xfename", b"1"), ("even", b"2")], offset=odd.offset),
    ]


def alien_schema(settings: Settings) -> int:
    client = SchemaRegistryClient({"url": settings.schema_registry_url})
    text = json.dumps(
        {"type": "record", "name": "Alien", "namespace": "elsewhere", "fields": [{"name": "n", "type": "int"}]}
    )
    return int(client.register_schema("alien-value", Schema(text, "AVRO")))


def newer_position(settings: Settings, at_ms: int) -> bytes:
    """A position by a writer whose schema has a field that ours has not."""
    schema = json.loads(schema_text("VehiclePosition"))
    schema["fields"].append({"name": "battery_share", "type": "float", "default": 0.0})
    client = SchemaRegistryClient({"url": settings.schema_registry_url})
    number = int(client.register_schema("newer-value", Schema(json.dumps(schema), "AVRO")))
    newer = Codec({"VehiclePosition": number}, {number: schema_text("VehiclePosition")})
    return newer.encode(position("x-newer", at_ms)) + b"\0\0\x80\x3f"


@dataclass(frozen=True, slots=True)
class Attacked:
    """The same good stream, alone and under fire."""

    alone: Outputs
    under_fire: Outputs
    settings: Settings
    shots: list[Shot]
    ready: bytes


@pytest.fixture(scope="module")
def attacked(stack_with_registry: Settings, codec: Codec, city: City) -> Attacked:
    alone = run_settings(stack_with_registry, "alone", block_ms=5000, checkpoint_ms=5000)
    fired = run_settings(stack_with_registry, "fired", block_ms=5000, checkpoint_ms=5000)
    newer, alien_id = newer_position(fired, START_MS + 5_000), alien_schema(fired)
    fired_shots: list[Shot] = []
    for settings in (alone, fired):
        make_ready(settings)
        wire, gun = Wire(settings, codec), Gun(settings)
        often = {"crashes_per_hour": 400.0, "fires_per_hour": 400.0, "quiet_end_s": 5.0}
        simulation = simulated(city, 21, LOG_S, vehicles=120, **often)
        to_fire = list(shots(codec, alien_id, newer, START_MS + 5_000)) if settings is fired else []
        for step in range(int(LOG_S * 1000 / TICK_MS)):
            interval = simulation.step()
            wire.records(interval.sent)
            if to_fire and step >= 20:
                assert wire.producer.flush(30) == 0
                if step == 22:
                    fired_shots += fire_oddities(settings)
                fired_shots.append(to_fire.pop(0))
                gun.fire(fired_shots[-1])
                gun.back_ticks(codec, wire.tick_ms)
            wire.tick(interval.tick_ms)
        assert not to_fire
        wire.close()
    work_off(alone)
    with working(fired) as worker:
        finish(fired, worker)
        wire.close()  # the record in the wrong partition was forwarded behind the last tick
        finish(fired, worker)
        with urllib.request.urlopen(f"http://127.0.0.1:{fired.web_port}/readyz") as answer:
            ready: bytes = answer.read()
    return Attacked(read_outputs(alone, codec), read_outputs(fired, codec), fired, fired_shots, ready)


def rejects_of(attacked: Attacked, codec: Codec) -> dict[tuple[str, int, int], Rejected]:
    with reading(attacked.settings) as log:
        values = [one.value or b"" for one in log.read(topics.REJECTED, {}, log.end([topics.REJECTED]))]
    found = [codec.read(value, Rejected) for value in values]
    return {(one.source_topic, one.source_partition, one.source_offset): one for one in found}


def test_worker_stays_ready_and_every_hostile_record_is_accounted_for(attacked: Attacked, codec: Codec) -> None:
    assert attacked.ready == b"ready\n"
    accounts = balance(attacked.settings, codec)
    for shot_fate in ("unknown_schema_id", "null_island", "late", "future", "bad_id", "wrong_record"):
        assert accounts.rejected[shot_fate] >= 1
    assert accounts.topics[POSITIONS].forwarded == 1


def test_each_rejected_record_has_its_reason_and_exactly_what_was_sent(attacked: Attacked, codec: Codec) -> None:
    rejects = rejects_of(attacked, codec)
    for shot in attacked.shots:
        found = rejects.get((shot.topic, shot.partition, shot.offset))
        if shot.fate in ("used", "duplicate", "forwarded"):
            assert found is None, shot.fate
            continue
        assert found is not None, (shot.fate, shot.key)
        assert (found.reason, found.key) == (shot.fate, shot.key)
        assert found.value == shot.value, shot.fate
        assert [(header.name, header.value) for header in found.headers] == shot.headers
        assert found.errors


def test_used_hostile_records_are_stored_once_whatever_their_key_compression_or_partition(attacked: Attacked) -> None:
    wanted = {"x-no-key", "x-newer", "x-same", "x-astray", *(f"x-{name}" for name in COMPRESSIONS)}
    used = [row for row in attacked.under_fire.tables["positions"] if any(str(cell) in wanted for cell in row)]
    assert sorted(next(str(cell) for cell in row if str(cell) in wanted) for row in used) == sorted(wanted)


def test_good_stream_gives_the_same_under_fire(attacked: Attacked) -> None:
    alone, fired = attacked.alone, attacked.under_fire
    assert len(alone.changes) > 3
    assert fired.unlike == []
    assert alone.changes == fired.changes
    assert alone.incidents == fired.incidents
    for table in ("positions", "detections", "readings", "heartbeats", "observations", "incident_log", "duplicates"):
        assert good_rows(alone, table) == good_rows(fired, table), table


def good_rows(outputs: Outputs, table: str) -> list[Row]:
    """Rows without those of hostile devices and without offsets, which hostile records shift."""
    offset_at = None if table == "incident_log" else 2
    rows = [row for row in outputs.tables[table] if not any(str(cell).startswith("x-") for cell in row)]
    return sorted((tuple(cell for at, cell in enumerate(row) if at != offset_at) for row in rows), key=repr)
