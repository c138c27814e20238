"""`cityops ingest` into topics, and DeepStream through `cityops demo --input`, as commands on the real stack."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.transit import gtfs_realtime_pb2 as gtfs
from rich.console import Console

from processors.sources.contract import ReadOptions
from schemas.codec import Codec, local_codec
from schemas.errors import UsageError
from schemas.ids import shard_of
from schemas.records import DeviceKind, DeviceRegistration
from streams import topics
from streams.admin import ensure_topics
from streams.estate import now_ms, read_registry
from streams.ingest import IngestOptions, IngestSummary, run_ingest
from streams.reading import reading
from streams.settings import PROJECT, Settings
from streams.topics import Topic
from tests.streams.commands import cityops, finished

DEEPSTREAM = PROJECT.parent / "shared" / "data" / "deepstream" / "demo-1.jsonl"

pytestmark = pytest.mark.stack


def line(vehicle_id: str, at_ms: int | None = None) -> str:
    told = {"vehicle_id": vehicle_id, "at_ms": at_ms or now_ms(), "latitude_deg": 21.03, "longitude_deg": 105.8}
    return json.dumps(told) + "\n"


def own_run(stack: Settings, name: str) -> Settings:
    settings = stack.with_run(name, name)
    ensure_topics(settings)
    return settings


def stored(settings: Settings, codec: Codec, topic: Topic) -> list[tuple[int, bytes | None, str, Any]]:
    """Return (partition, key, record, fields) of everything on a topic."""
    with reading(settings) as log:
        found = []
        for message in log.read(topic, {}, log.end()):
            name, fields = codec.decode(message.value)
            found.append((message.partition, message.key, name, fields))
        return found


def ingest(settings: Settings, *inputs: str | Path, **options: Any) -> tuple[IngestSummary, str]:
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    how = options.get("reading", ReadOptions())
    given = IngestOptions(tuple(map(str, inputs)), options.get("form"), how, options.get("placement", ()))
    summary = run_ingest(settings, local_codec(), given, console)
    return summary, console.export_text()


def test_every_message_is_sent_refused_or_left_out(stack: Settings, tmp_path: Path) -> None:
    settings = replace(own_run(stack, "ingest-files"), home=tmp_path)
    (tmp_path / "a.jsonl").write_text("".join(line(f"bus-{n}") for n in range(50)) + "broken\n\n", encoding="utf-8")
    feed = gtfs.FeedMessage()
    feed.header.gtfs_realtime_version, feed.header.timestamp = "2.0", now_ms() // 1000
    for number in range(3):
        one = feed.entity.add(id=f"e{number}").vehicle
        one.vehicle.id, one.position.latitude, one.position.longitude = f"tram-{number}", 21.0, 105.8
    feed.entity.add(id="alert").alert.SetInParent()
    (tmp_path / "b.pb").write_bytes(feed.SerializeToString())

    summary, told = ingest(settings, tmp_path / "a.jsonl", tmp_path / "b.pb")
    assert (summary.inputs, summary.messages, summary.blank) == (2, 53, 1)
    assert (summary.records, summary.acknowledged, summary.refused) == (53, 53, 1)
    assert summary.left_out == {"an alert of a feed": 1}
    assert "53 records, 1 refused, 1 left out" in told
    kept = Path(summary.refused_in).read_text(encoding="utf-8").splitlines()
    assert kept[1].startswith(f"{tmp_path / 'a.jsonl'},51,not JSON")

    messages = stored(settings, local_codec(), topics.POSITIONS)
    assert len(messages) == 53
    for partition, key, name, fields in messages:
        assert (name, key) == ("VehiclePosition", fields["vehicle_id"].encode())
        assert partition == shard_of(fields["vehicle_id"]) % topics.POSITIONS.partitions


def test_records_go_to_the_topic_of_their_kind_and_a_placement_stands_first(stack: Settings, tmp_path: Path) -> None:
    settings = replace(own_run(stack, "ingest-kinds"), home=tmp_path)
    at_ms = now_ms()
    lines = [
        {"camera_id": "C", "at_ms": at_ms, "kind": "fire", "confidence": 0.5, "latitude_deg": 9, "longitude_deg": 9},
        {"sensor_id": "S", "at_ms": at_ms, "quantity": "pm25", "value": 3},
        {"device_id": "C", "at_ms": at_ms},
        {"device_id": "S", "at_ms": at_ms},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    place = {"registered_at_ms": at_ms, "latitude_deg": 21.0, "longitude_deg": 105.8}
    placement = (
        DeviceRegistration(device_id="C", kind=DeviceKind.CAMERA, **place),  # type: ignore[arg-type]
        DeviceRegistration(device_id="S", kind=DeviceKind.SENSOR, **place),  # type: ignore[arg-type]
    )
    codec = local_codec()
    summary, _ = ingest(settings, tmp_path / "a.jsonl", placement=placement)
    assert (summary.records, summary.acknowledged, summary.placed) == (4, 4, 2)

    cameras = stored(settings, codec, topics.DETECTIONS)
    assert [name for _, _, name, _ in cameras] == ["DeviceRegistration", "CameraDetection", "Heartbeat"]
    assert cameras[1][3]["latitude_deg"] != 9, "the placement stands above what the message says"
    sensors = stored(settings, codec, topics.READINGS)
    assert [name for _, _, name, _ in sensors] == ["DeviceRegistration", "SensorReading", "Heartbeat"]
    assert set(read_registry(settings, codec)) == {"C", "S"}
    again = tuple(replace(one, registered_at_ms=at_ms + 5) for one in placement)
    assert ingest(settings, tmp_path / "a.jsonl", placement=again)[0].placed == 0


@pytest.mark.parametrize(
    ("column", "speed_mps", "words"),
    [
        ("Toc do (km/h)", 10.0, "are read as km/h\n"),
        ("Toc do", 36.0, "are read as m/s (nobody stated it: --speed-unit"),
    ],
)
def test_unit_of_speeds_is_said_when_a_csv_is_opened(
    stack: Settings, tmp_path: Path, column: str, speed_mps: float, words: str
) -> None:
    settings = replace(own_run(stack, f"ingest-unit-{speed_mps:.0f}"), home=tmp_path)
    (tmp_path / "a.csv").write_text(f"id;at;lat;lon;{column}\nbus-1;{now_ms()};21.03;105.85;36\n", encoding="utf-8")
    _, told = ingest(settings, tmp_path / "a.csv", reading=ReadOptions(columns={"speed": column}))
    assert words in told
    ((_, _, _, fields),) = stored(settings, local_codec(), topics.POSITIONS)
    assert fields["speed_mps"] == pytest.approx(speed_mps)


def test_input_that_is_not_there_is_one_sentence_alone(stack: Settings, tmp_path: Path) -> None:
    settings = replace(own_run(stack, "ingest-gone"), home=tmp_path)
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    gone = IngestOptions((str(tmp_path / "gone.csv"),), None, ReadOptions(), ())
    with pytest.raises(UsageError, match=r"gone\.csv cannot be read: No such file"):
        run_ingest(settings, local_codec(), gone, console)
    assert console.export_text().strip() == ""


def test_old_records_are_warned_of_before_they_are_sent(stack: Settings, tmp_path: Path) -> None:
    settings = replace(own_run(stack, "ingest-old"), home=tmp_path)
    (tmp_path / "a.jsonl").write_text(line("a") + line("b", 1_536_772_838_026) + line("c", 1_536_772_838_026))
    summary, told = ingest(settings, tmp_path / "a.jsonl")
    assert (summary.records, summary.late) == (3, 2)
    assert "line 2 of" in told
    assert f"`cityops demo --input {tmp_path / 'a.jsonl'}`" in told.replace("\n", "")


def test_a_pipe_that_never_ends_is_sent_at_once_and_ctrl_c_ends_with_the_summary(
    stack_with_registry: Settings, codec: Codec
) -> None:
    settings = own_run(stack_with_registry, "ingest-pipe")
    process = piped(settings, "ingest", "-", "--run", "ingest-pipe", "--json")
    assert process.stdin is not None
    process.stdin.write(line("first"))
    process.stdin.flush()
    wait_for(settings, codec, 1, within_s=30.0)  # the command starts
    process.stdin.write(line("second"))
    process.stdin.flush()
    sent_s = time.monotonic()
    wait_for(settings, codec, 2, within_s=5.0)
    assert time.monotonic() - sent_s < 1.5

    process.send_signal(signal.SIGINT)
    output, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    summary = json.loads(output)
    assert (summary["records"], summary["acknowledged"], summary["interrupted"]) == (2, 2, True)
    assert "Traceback" not in told


def wait_for(settings: Settings, codec: Codec, count: int, within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while len(stored(settings, codec, topics.POSITIONS)) < count:
        assert time.monotonic() < until_s, f"no {count} positions within {within_s} s"
        time.sleep(0.05)


def piped(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    addresses = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CITYOPS_HOME": str(settings.home),
    }
    return subprocess.Popen(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        env={**os.environ, **addresses},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


@pytest.mark.skipif(not DEEPSTREAM.exists(), reason="DeepStream's messages are not part of the repository")
def test_deepstream_messages_with_a_placement_are_used_and_accounted_for(
    stack_with_registry: Settings, tmp_path: Path
) -> None:
    messages = [json.loads(text) for text in DEEPSTREAM.read_text(encoding="utf-8").splitlines()]
    cameras = list(dict.fromkeys(message["sensor"]["id"] for message in messages))
    assert (len(messages), len(cameras)) == (3_028, 51)
    rows = [f"{camera},{21.0 + n // 8 * 0.004:.3f},{105.8 + n % 8 * 0.004:.3f}" for n, camera in enumerate(cameras)]
    placement = tmp_path / "cameras.csv"
    placement.write_text("\n".join(["camera_id,lat,lon", *rows]), encoding="utf-8")
    report_path = tmp_path / "report.json"
    process = cityops(
        *("demo", "--input", str(DEEPSTREAM), "--format", "deepstream", "--placement", str(placement)),
        *("--run", "deepstream", "--report", str(report_path)),
        stack=stack_with_registry,
    )
    output = finished(process, 200)

    report = json.loads(report_path.read_text(encoding="utf-8"))
    assert report["balances"] is True
    recorded = report["recorded"]
    assert (recorded["rows"], recorded["refused"], recorded["placed"]) == (3_028, 0, 51)
    kinds = Counter(f"detections of {message['event']['type']}" for message in messages)
    assert recorded["found"] == dict(kinds)
    detections = report["clickhouse"]["detections"]["stored"]
    repeated = len(messages) - len({(one["sensor"]["id"], one["object"]["id"], one["@timestamp"]) for one in messages})
    assert detections + repeated == 3_028
    assert detections / 3_028 >= 0.95
    assert report["observations"] == {}
    assert "no detection is of a kind that claims something (crash, smoke, fire, " in output
