"""Connectors on the real Kafka: a polled feed, a topic, POSTs and MQTT, each away for a while and back again."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from amqtt.broker import Broker
from amqtt.client import MQTTClient
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from google.transit import gtfs_realtime_pb2

from schemas.codec import Codec
from schemas.errors import UsageError
from streams import topics
from streams.admin import ensure_topics
from streams.outbox import producer_settings
from streams.reading import reading
from streams.settings import Settings
from streams.sources.config import load_sources
from streams.sources.intake import refused_path
from streams.sources.running import SourcesReport, read_report, run_sources
from streams.topics import Topic
from streams.workers import free_port
from tests.streams.running import run_settings, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

NOW_S = 1_772_409_600
TOKEN = "gateway-7-is-known"


def feed(*at_s: int) -> bytes:
    """Return a GTFS-Realtime feed of one bus a time."""
    message = gtfs_realtime_pb2.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = max(at_s)
    for number, one in enumerate(at_s):
        entity = message.entity.add(id=str(number))
        entity.vehicle.vehicle.id = f"bus-{number}"
        entity.vehicle.position.latitude = 21.0
        entity.vehicle.position.longitude = 105.8
        entity.vehicle.timestamp = one
    return bytes(message.SerializeToString())


def waypoint(vehicle: str) -> dict[str, Any]:
    return {"vehicle": vehicle, "speed": 36.0, "datetime": NOW_S, "x": 105.8, "y": 21.0, "heading": 90.0}


def frigate(camera: str, event: str) -> bytes:
    after = {"id": event, "camera": camera, "frame_time": NOW_S + 0.5, "label": "person", "score": 0.8,
             "top_score": 0.9, "false_positive": False, "box": [1, 2, 3, 4]}  # fmt: skip
    return json.dumps({"type": "new", "before": after, "after": after}).encode()


def deepstream(camera: str) -> bytes:
    return json.dumps(
        {
            "messageid": "m1",
            "mdsversion": "1.0",
            "@timestamp": "2026-03-02T00:00:00.000Z",
            "sensor": {"id": camera, "type": "Camera", "location": {"lat": 0, "lon": 0, "alt": 0}},
            "object": {"id": "7", "bbox": {"topleftx": 1, "toplefty": 2, "bottomrightx": 3, "bottomrighty": 4}},
            "event": {"id": "e1", "type": "moving"},
        }
    ).encode()


class Feed:
    """A feed that can be away, and remembers what it was asked."""

    def __init__(self) -> None:
        self.body, self.asked, self.conditions = feed(NOW_S), 0, 0
        self.away = False

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.away:
            return web.Response(status=503)
        etag = f'"{hash(self.body)}"'
        if request.headers.get("if-none-match") == etag:
            self.conditions += 1
            return web.Response(status=304)
        assert request.headers["x-api-key"] == "buses"
        return web.Response(body=self.body, headers={"etag": etag})


class Loop:
    """An event loop in a thread, for servers and the sources under test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)


@pytest.fixture
def loop() -> Iterator[Loop]:
    one = Loop()
    yield one
    one.close()


@contextmanager
def sources_running(settings: Settings, codec: Codec, file: Path, loop: Loop) -> Iterator[None]:
    """Run the sources of a file until the end of the block, cancelled as Ctrl-C would."""

    async def run() -> None:
        await run_sources(settings, codec, load_sources(file), lambda _: None)

    future = asyncio.run_coroutine_threadsafe(run(), loop.loop)
    try:
        yield
        assert not future.done(), future.exception()
    finally:
        future.cancel()
        wait_until(lambda: state(settings, "feed").state == "stopped", 20.0, "the sources do not stop")


def state(settings: Settings, name: str) -> Any:
    report = read_report(settings)
    assert report is not None
    return next(one for one in report.sources if one.name == name)


def values(settings: Settings, codec: Codec, topic: Topic) -> list[dict[str, Any]]:
    with reading(settings) as log:
        return [codec.decode(one.value)[1] for one in log.read(topic, {}, log.end([topic]))]


def ids(settings: Settings, codec: Codec, topic: Topic, name: str) -> set[str]:
    return {one[name] for one in values(settings, codec, topic)}


async def serve(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], port: int) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/feed.pb", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def broker_on(port: int) -> Broker:
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    return broker


async def publish(port: int, *messages: bytes) -> None:
    client = MQTTClient(config={"auto_reconnect": False})
    await client.connect(f"mqtt://127.0.0.1:{port}/")
    for message in messages:
        await client.publish("frigate/events", message, qos=1)
    await client.disconnect()


async def post(port: int, body: bytes, token: str) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"http://127.0.0.1:{port}/positions", data=body, headers={"authorization": f"Bearer {token}"}
        ) as answer,
    ):
        return answer.status, await answer.json()


def test_four_kinds_of_sources_come_in_stay_away_and_come_back(
    stack_with_registry: Settings, codec: Codec, tmp_path: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = run_settings(stack_with_registry, "sources")
    ensure_topics(settings)
    monkeypatch.setenv("FEED_KEY", "buses")
    (tmp_path / "token").write_text(TOKEN + "\n", encoding="utf-8")
    feed_port, push_port, mqtt_port = free_port(), free_port(), free_port()
    file = tmp_path / "sources.yaml"
    file.write_text(
        f"""
sources:
  - {{name: feed, type: poll, format: gtfs-rt, url: "http://127.0.0.1:{feed_port}/feed.pb", every_s: 1,
     headers: {{x-api-key: {{env: FEED_KEY}}}}}}
  - {{name: cameras, type: kafka, format: deepstream, topic: analytics, from_beginning: true}}
  - {{name: gateway, type: push, format: ufms, listen: "127.0.0.1:{push_port}", token: {{file: {tmp_path}/token}}}}
  - {{name: frigate, type: mqtt, format: frigate, host: 127.0.0.1, port: {mqtt_port}, topics: [frigate/events]}}
""",
        encoding="utf-8",
    )
    buses = Feed()
    server = loop.call(serve(buses.answer, feed_port))
    broker = loop.call(broker_on(mqtt_port))
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    admin.create_topics([NewTopic("analytics", 2, 1)])["analytics"].result(20)
    theirs = Producer(producer_settings(settings.kafka))
    theirs.produce("analytics", deepstream("CAM-A"))
    theirs.produce("analytics", b"not json")
    assert theirs.flush(10) == 0

    with sources_running(settings, codec, file, loop):
        wait_until(lambda: read_report(settings) is not None, 20.0, "no report")
        for name in ("feed", "cameras", "gateway", "frigate"):
            wait_until(lambda name=name: state(settings, name).state == "running", 20.0, f"{name} does not run")  # type: ignore[misc]

        # pushed: a token, one body with several messages, one of them refused
        lines = b"\n".join(
            json.dumps(one).encode() for one in (waypoint("29B-1"), waypoint("29B-2"), {"vehicle": "29B-3"})
        )
        assert loop.call(post(push_port, lines, "wrong"))[0] == 401
        status, told = loop.call(post(push_port, lines, TOKEN))
        assert (status, told["records"], told["refused"]) == (202, 2, 1)
        assert told["reasons"][0]["message"] == 3
        assert ids(settings, codec, topics.POSITIONS, "vehicle_id") >= {"29B-1", "29B-2"}  # 202 means that Kafka has it

        # MQTT and Kafka
        loop.call(publish(mqtt_port, frigate("CAM-F", "e1")))
        wait_until(
            lambda: ids(settings, codec, topics.DETECTIONS, "camera_id") >= {"CAM-A", "CAM-F"}, 20.0, "no detections"
        )
        wait_until(lambda: state(settings, "cameras").refused == 1, 20.0, "nobody tells what was refused")
        (refused,) = refused_path(settings, "cameras").read_bytes().splitlines()
        assert json.loads(refused)["text"] == "not json"

        # polled: unchanged answers are not read again, a new one is
        wait_until(lambda: buses.conditions >= 2, 20.0, "no conditional GET")
        assert state(settings, "feed").records == 1
        buses.body = feed(NOW_S + 10, NOW_S + 10)
        wait_until(lambda: state(settings, "feed").records == 3, 20.0, "the new feed is not read")

        # away and back
        buses.away = True
        loop.call(broker.shutdown())
        wait_until(lambda: state(settings, "feed").state == "waiting", 20.0, "nobody sees that the feed is away")
        assert state(settings, "feed").error == "answered 503 Service Unavailable"
        wait_until(lambda: state(settings, "frigate").state == "waiting", 20.0, "nobody sees that the broker is away")
        buses.away, buses.body = False, feed(NOW_S + 20)
        broker = loop.call(broker_on(mqtt_port))
        wait_until(lambda: state(settings, "feed").records == 4, 20.0, "the feed does not come back")
        wait_until(lambda: state(settings, "frigate").state == "running", 20.0, "MQTT does not come back")
        loop.call(publish(mqtt_port, frigate("CAM-G", "e2")))
        wait_until(lambda: "CAM-G" in ids(settings, codec, topics.DETECTIONS, "camera_id"), 20.0, "no detection")

    report = read_report(settings)
    assert isinstance(report, SourcesReport)
    assert [(one.name, one.records, one.sent) for one in report.sources] == [
        ("feed", 4, 4), ("cameras", 1, 1), ("gateway", 2, 2), ("frigate", 2, 2)
    ]  # fmt: skip
    theirs.produce("analytics", deepstream("CAM-B"))
    assert theirs.flush(10) == 0
    with sources_running(settings, codec, file, loop):  # goes on behind what it committed
        wait_until(lambda: "CAM-B" in ids(settings, codec, topics.DETECTIONS, "camera_id"), 20.0, "no detection")
    cameras = [one["camera_id"] for one in values(settings, codec, topics.DETECTIONS)]
    assert cameras.count("CAM-A") == 1
    loop.call(broker.shutdown())
    loop.call(server.cleanup())


def test_a_sources_file_tells_every_mistake_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(
        """sources:
  - {name: Buses, type: poll, format: gtfs-rt, url: "ftp://x", every_s: 0.1}
  - {name: gate, type: push, format: ufms, listen: "0.0.0.0:9100"}
  - {name: gate, type: mqtt, format: csv, host: h, topics: [t], password: {env: A, file: B}}
""",
        encoding="utf-8",
    )
    with pytest.raises(UsageError) as error:
        load_sources(file)
    for words in (
        "line 2: name must look like",
        "line 2: url must be an http",
        "line 2: every_s must be at least 1",
        "line 3: push listens on 0.0.0.0, so it needs a token",
        "line 4: format must be",
        "line 4: password must name a variable",
    ):
        assert words in str(error.value)


def test_check_names_a_secret_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    file = tmp_path / "sources.yaml"
    file.write_text(
        "sources: [{name: b, type: mqtt, format: frigate, host: h, topics: [t], password: {env: NOT_SET_ANYWHERE}}]",
        encoding="utf-8",
    )
    answer = subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", "sources", "check", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stdout == "b: the variable NOT_SET_ANYWHERE is not set\n"


def test_the_example_of_the_documentation_is_right() -> None:
    example = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "sources.yaml"
    assert [one.type for one in load_sources(example)] == ["poll", "kafka", "push", "mqtt"]
