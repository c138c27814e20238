"""Frames on the real stack: from a gateway to rows, each position accounted for, whatever is wrong with some."""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from processors.city import City
from processors.framing import FramingRule, frame_of, key_of, packed_words, positions_of, words_of
from schemas.codec import Codec
from schemas.ids import shard_of
from schemas.records import Heartbeat, Rejected, VehicleFrame, VehiclePosition
from sinks.clickhouse.queries import query
from streams import topics
from streams.accounting import Accounts
from streams.admin import ensure_topics
from streams.cli import cli
from streams.feed import TICK_MS, Feeder
from streams.log_facts import place_of
from streams.reading import reading
from streams.replay import ReplayOptions, run_replay
from streams.replays import find_replay
from streams.resend import Choice, Fate, Policy, Sent, choose, find_rejected, resend
from streams.sending import RecordSender, SendingRule
from streams.settings import Settings
from tests.streams.running import (
    AT_ONCE,
    START_MS,
    Wire,
    balance,
    feed,
    finish,
    make_ready,
    run_settings,
    simulated,
    ticking,
    wait_until,
    working,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

FRAMES = topics.FRAMES.name
PRODUCER = Path(__file__).parents[2] / "docs" / "examples" / "frame_producer.py"
VEHICLES, REPORTS = 20, 3
WAIT_S = 20.0
QUIET = Console(quiet=True)


def position(vehicle_id: str, after_s: float = 0.0, **changes: Any) -> VehiclePosition:
    sound = VehiclePosition(
        at_ms=START_MS + int(after_s * 1000), latitude_deg=21.03, longitude_deg=105.85, speed_mps=5.0,
        bearing_deg=float("nan"), accuracy_m=float("nan"), vehicle_id=vehicle_id,
    )  # fmt: skip
    return replace(sound, **changes)


def of_one_shard(prefix: str, count: int) -> list[str]:
    """Return ids of vehicles that share the shard of the first."""
    named = (f"{prefix}-{number}" for number in range(10_000))
    first = next(named)
    return [first, *[name for name in named if shard_of(name) == shard_of(first)][: count - 1]]


def produced(settings: Settings, told: Sequence[VehiclePosition]) -> None:
    """Send positions as the reference producer does."""
    lines = "".join(
        json.dumps({name: value for name in ("vehicle_id", "at_ms", "latitude_deg", "longitude_deg", "speed_mps",
                                             "line_id") if (value := getattr(one, name)) != ""}) + "\n"
        for one in told
    )  # fmt: skip
    command = [sys.executable, str(PRODUCER), settings.kafka_bootstrap_servers, settings.schema_registry_url]
    subprocess.run([*command, settings.topic(topics.FRAMES)], input=lines, text=True, check=True, timeout=60)


@dataclass(frozen=True, slots=True)
class Framed:
    """What became of the frames of one run."""

    settings: Settings
    accounts: Accounts
    rejects: dict[str, Rejected]
    sent_again: list[Sent]
    frames: dict[str, VehicleFrame]


@pytest.fixture(scope="module")
def framed(stack_with_registry: Settings, codec: Codec, city: City) -> Framed:
    settings = run_settings(stack_with_registry, "frames", block_ms=1000, checkpoint_ms=1000)
    make_ready(settings)
    wire = Wire(settings, codec)
    reports = [position(f"bus-{n}", 0.01 * k, line_id="01") for k in range(REPORTS) for n in range(VEHICLES)]
    good = of_one_shard("good", 3)
    sound = frame_of([position(name) for name in good])
    stranger = next(f"m-{n}" for n in range(99) if shard_of(f"m-{n}") == 7)
    mixed = replace(sound, **packed_words("vehicle", (good[0], good[1], stranger)))
    frames = {
        "cut": replace(sound, at_ms=sound.at_ms[:-1], line_index=b"\x05\0\0\0" * 3),
        "mixed": mixed,
        "island": frame_of([position(good[0]), position(good[1], latitude_deg=0.0, longitude_deg=0.0)]),
        "astray": frame_of([position(name) for name in of_one_shard("astray", 2)]),
        "early": frame_of([position(name, 31.0 * row) for row, name in enumerate(of_one_shard("early", 2))]),
    }
    wire.tick(START_MS)
    wire.producer.flush(10)
    produced(settings, reports)
    produced(settings, reports)
    for name, frame in frames.items():
        partition = (shard_of(key_of(frame)) + (name == "astray")) % topics.FRAMES.partitions
        wire.raw(FRAMES, partition, codec.encode(frame), name.encode(), [("frame", name.encode())])
    wire.raw(FRAMES, 0, codec.encode(position("single")), b"single", [("frame", b"single")])
    wire.tick(START_MS + TICK_MS)
    for second in range(1, 35):
        wire.tick(START_MS + second * 1000)
    wire.producer.flush(10)
    again: list[Sent] = []
    with working(settings) as worker:
        finish(settings, worker)
        with ticking(wire):
            for _ in range(2):
                plan = choose(settings, codec, city, Choice(lambda one: one.reason == "future", again=True))
                again += resend(settings, codec, plan, Policy.DROP, WAIT_S)
        wire.close()
        finish(settings, worker)
    rejects = find_rejected(settings, codec, Choice(lambda one: True))
    by_name = {(one.headers[0].value or b"").decode(): one for one in rejects}
    return Framed(settings, balance(settings, codec), by_name, again, frames)


def test_every_position_of_every_frame_is_accounted_for(framed: Framed) -> None:
    account = framed.accounts.topics[FRAMES]
    many = VEHICLES * REPORTS
    assert account.used == many + 1 + 2 + 1 + 1, "reports, island's first, astray's copy, early's first, early's second"
    assert account.duplicate == many + 1, "sent twice, as was what had been too early"
    assert account.rejected == 1 + 3 + 1 + 1 + 1, "cut, mixed, island's second, early's second, single"
    assert account.forwarded == 2
    assert account.records == account.used + account.duplicate + account.rejected + account.forwarded
    assert len(framed.rejects) == 5


def test_rows_tell_offset_and_row(framed: Framed) -> None:
    settings = framed.settings
    told = query(
        settings.clickhouse_url,
        settings.database,
        "SELECT vehicle_id, line_id, vehicle_class, uniqExact(source_offset, source_index), count(), min(source_index) "
        "FROM positions WHERE source_topic = %(topic)s AND startsWith(vehicle_id, 'bus-') GROUP BY ALL",
        {"topic": FRAMES},
    )
    assert sorted(row[0] for row in told.rows) == sorted(f"bus-{number}" for number in range(VEHICLES))
    assert {tuple(row[1:5]) for row in told.rows} == {("01", "BUS", REPORTS, REPORTS)}
    assert max(row[5] for row in told.rows) > 0


def test_a_malformed_frame_and_one_of_several_shards_are_refused_whole_with_every_reason(framed: Framed) -> None:
    cut, mixed = framed.rejects["cut"], framed.rejects["mixed"]
    assert (cut.source_index, mixed.source_index) == (-1, -1)
    told = "; ".join(cut.errors)
    assert len(cut.errors) >= 2
    assert "at_ms" in told
    assert "line_index" in told
    assert "shard" in "; ".join(mixed.errors)
    assert framed.rejects["single"].reason == "wrong_record"


def test_a_position_refused_alone_is_a_frame_of_one_row_byte_for_byte(framed: Framed, codec: Codec) -> None:
    island = framed.rejects["island"]
    row = codec.read(island.value or b"", VehicleFrame)
    sent = framed.frames["island"]
    assert (island.source_index, island.reason, island.key) == (1, "null_island", key_of(row).encode())
    assert (row.rows, words_of(row, "vehicle")) == (1, words_of(sent, "vehicle")[1:])
    assert (row.at_ms, row.latitude_deg, row.speed_mps) == (sent.at_ms[2:], sent.latitude_deg[4:], sent.speed_mps[2:])
    assert row.base_ms == sent.base_ms
    assert positions_of(row)[0].longitude_deg == 0.0


def test_a_position_sent_again_is_used_and_a_second_time_a_duplicate(framed: Framed) -> None:
    assert [one.fate for one in framed.sent_again] == [Fate.USED, Fate.DUPLICATE]
    early = place_of(framed.rejects["early"])
    assert (early.topic, early.row) == (FRAMES, 1)
    assert [one.place for one in framed.sent_again] == [early, early]


def test_the_sender_frames_positions_of_a_source_that_falls_silent(stack_with_registry: Settings, codec: Codec) -> None:
    settings = run_settings(stack_with_registry, "framed-sender")
    make_ready(settings)
    sender = RecordSender(settings, codec, source="gw-1", rule=SendingRule(FramingRule(40, 100), "zstd", 5))
    told = [position(f"v-{number % 150}", number / 1000) for number in range(600)]
    for one in told:
        sender.send(one)
    sender.send(Heartbeat(at_ms=START_MS, device_id="cam-1"))
    wait_until(lambda: sender.acknowledged == 601, 10, "frames were not sent by their age")
    sender.send(position("v-last"))
    sender.close()
    assert (sender.sent, sender.acknowledged) == (602, 602)
    with reading(settings) as log:
        messages = list(log.read(topics.FRAMES, {}, log.end([topics.FRAMES])))
        (beat,) = log.read(topics.DETECTIONS, {}, log.end([topics.DETECTIONS]))
    assert codec.read(beat.value or b"", Heartbeat).device_id == "cam-1"
    frames = [codec.read(message.value or b"", VehicleFrame) for message in messages]
    assert {(one.rows <= 40, one.gateway_id) for one in frames} == {(True, "gw-1")}
    assert len(frames) < 600 / 2
    assert sorted((one.vehicle_id, one.at_ms) for one in framed_positions(settings, codec)) == sorted(
        (one.vehicle_id, one.at_ms) for one in [*told, position("v-last")]
    )


def test_the_command_line_frames_positions(stack_with_registry: Settings, codec: Codec, tmp_path: Path) -> None:
    settings = run_settings(stack_with_registry, "framed-ingest")
    told = [position(f"v-{number % 9}", number) for number in range(90)]
    lines = [{"vehicle_id": one.vehicle_id, "at_ms": one.at_ms, "latitude_deg": 21.03, "longitude_deg": 105.85}
             for one in told]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CITYOPS_HOME": str(settings.home),
    }
    asked = ["ingest", str(tmp_path / "a.jsonl"), "--frames", "--frame-rows", "7", "--compression", "zstd"]
    answer = CliRunner(env=env).invoke(cli, [*asked, "--run", settings.run, "--json"])
    assert answer.exit_code == 0, answer.output
    summary = json.loads(answer.output[answer.output.index("{\n") :])
    assert (summary["records"], summary["acknowledged"]) == (90, 90)
    assert sorted((one.vehicle_id, one.at_ms) for one in framed_positions(settings, codec)) == sorted(
        (one.vehicle_id, one.at_ms) for one in told
    )


def test_the_simulator_frames_what_it_would_send_singly(
    stack_with_registry: Settings, codec: Codec, city: City
) -> None:
    sent: list[list[VehiclePosition]] = []
    for name, rule in (("framed-city", SendingRule(FramingRule(50, 1000))), ("single-city", SendingRule())):
        settings = run_settings(stack_with_registry, name)
        make_ready(settings)
        simulation = simulated(city, 3, 5.0, vehicles=300)
        Feeder(settings, codec, simulation, AT_ONCE, ticks=True, rule=rule).run(5.0 / AT_ONCE, threading.Event())
        with reading(settings) as log:
            values = [one.value or b"" for one in log.read(topics.POSITIONS, {}, log.end([topics.POSITIONS]))]
        singles = [codec.read(one, VehiclePosition) for one in values if codec.decode(one)[0] == "VehiclePosition"]
        sent.append(singles or framed_positions(settings, codec))
    framed, singly = (sorted(map(repr, of)) for of in sent)
    assert len(singly) > 100
    assert framed == singly


def framed_positions(settings: Settings, codec: Codec) -> list[VehiclePosition]:
    """Return the positions of all frames of a run, which stand where they belong."""
    found: list[VehiclePosition] = []
    with reading(settings) as log:
        for message in log.read(topics.FRAMES, {}, log.end([topics.FRAMES])):
            value = message.value or b""
            if codec.decode(value)[0] == "VehicleFrame":
                frame = codec.read(value, VehicleFrame)
                assert (message.key or b"").decode() == key_of(frame)
                assert {shard_of(one) % topics.FRAMES.partitions for one in words_of(frame, "vehicle")} == {
                    message.partition
                }
                found += positions_of(frame)
    return found


def test_a_span_from_before_the_topic_replays(
    stack_with_registry: Settings, codec: Codec, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = run_settings(stack_with_registry, "older", block_ms=1000, checkpoint_ms=1000)
    without = tuple(topic for topic in topics.INPUTS if topic is not topics.FRAMES)
    ensure_topics(older, tuple(topic for topic in topics.CATALOGUE if topic is not topics.FRAMES))
    with monkeypatch.context() as before:
        before.setattr(topics, "INPUTS", without)
        often = {"crashes_per_hour": 900.0, "fires_per_hour": 900.0, "quiet_end_s": 5.0}
        feed(older, codec, simulated(city, 21, 20.0, vehicles=100, **often), 20.0)
    ensure_topics(older)
    later = Wire(older, codec)  # a version with the topic runs on
    for second in range(60, 64):
        later.tick(START_MS + second * 1000)
    assert later.producer.flush(10) == 0
    for name, to_ms in (("before", START_MS + 20_000), ("across", None)):
        span = run_replay(older, ReplayOptions(None, to_ms, f"older-{name}", 0.0, None), QUIET)
        assert {part.topic for part in span.parts} == {topic.name for topic in (without if to_ms else topics.INPUTS)}
        facts = find_replay(older.home, f"older-{name}").facts
        assert facts is not None
        assert facts.incidents, name
