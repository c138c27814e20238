"""The web API of a real worker: what it shows of a running city, decisions folded in, the feed for other programs."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from confluent_kafka import Producer
from google.transit import gtfs_realtime_pb2 as pb

from processors.city import City
from processors.gtfs_realtime import transit_ids, unknown_ids
from processors.simulate import Simulation, SimulationRule
from processors.sources.gtfs_realtime import read_feed
from schemas.codec import Codec
from schemas.ids import shard_of
from schemas.records import SensorReading, VehiclePosition
from streams import topics
from streams.feed import Feeder
from streams.outbox import producer_settings
from streams.reading import reading
from streams.settings import Settings
from tests.streams.running import make_ready, run_settings, wait_until, working

pytestmark = pytest.mark.stack

TOKEN: Final = "a token of a test".replace(" ", "-")
BEARER: Final = {"Authorization": f"Bearer {TOKEN}"}
POST: Final = {**BEARER, "X-Cityops": "1", "Content-Type": "application/json"}
RULE: Final = SimulationRule(vehicles=150, crashes_per_hour=0.0, fires_per_hour=0.0, fast_clock=0.0)
WITHIN_S: Final = 60.0
PARTITIONS: Final = topics.READINGS.partitions


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker with a token, while a city is simulated at the clock's pace."""

    settings: Settings
    codec: Codec

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers."""
        given = headers or (BEARER if body is None else POST)
        asked = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.settings.web_url}{path}", asked, given)
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    def json(self, path: str) -> Any:
        """Return what a path answers with 200."""
        status, body, _ = self.ask(path)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture(scope="module")
def worker(stack_with_registry: Settings, codec: Codec, city: City) -> Iterator[Worker]:
    settings = replace(run_settings(stack_with_registry, "web", block_ms=1000), web_token=TOKEN)
    make_ready(settings)
    stop = threading.Event()
    with working(settings):
        now_ms = time.time_ns() // 1_000_000
        simulation = Simulation(city, 5, now_ms - now_ms % 250, RULE, None)
        feeder = Feeder(settings, codec, simulation, 1.0, ticks=True)
        thread = threading.Thread(target=feeder.run, args=(None, stop), daemon=True)
        thread.start()
        ring_alarms(settings, codec, city)
        try:
            yield Worker(settings, codec)
        finally:
            stop.set()
            thread.join(5)


def ring_alarms(settings: Settings, codec: Codec, city: City) -> None:
    """Let two fire panels beside bus lines ring, far from each other."""
    panels = [
        one
        for one in city.sensors.values()
        if "fire_alarm" in one.quantities and city.near_lines(one.latitude_deg, one.longitude_deg, 50.0)
    ]
    north, south = max(panels, key=lambda one: one.latitude_deg), min(panels, key=lambda one: one.latitude_deg)
    producer = Producer(producer_settings(settings.kafka))
    now_ms = time.time_ns() // 1_000_000
    for panel in (north, south):
        for after_ms, value in ((0, 0.0), (500, 1.0)):
            record = SensorReading(
                at_ms=now_ms + after_ms,
                latitude_deg=panel.latitude_deg,
                longitude_deg=panel.longitude_deg,
                value=value,
                sensor_id=panel.device_id,
                quantity="fire_alarm",
                measure_unit="1",
            )
            key, partition = panel.device_id.encode(), shard_of(panel.device_id) % PARTITIONS
            producer.produce(settings.topic(topics.READINGS), codec.encode(record), key, partition=partition)
    assert producer.flush(30) == 0


def alarms(worker: Worker) -> list[dict[str, Any]]:
    """Wait for the incidents of both alarms and return them."""
    wait_until(lambda: len(worker.json("/api/incidents")["incidents"]) >= 2, WITHIN_S, "no incidents")
    listed: list[dict[str, Any]] = worker.json("/api/incidents")["incidents"]
    return listed


def test_a_token_is_asked_for_and_the_probes_are_open(worker: Worker) -> None:
    nobody = {"Accept": "*/*"}
    for path in ("/", "/status", "/metrics", "/api/city", "/api/incidents", "/api/stream", "/gtfs-rt/feed.pb"):
        assert worker.ask(path, **nobody)[0] == 401
    assert worker.ask("/healthz", **nobody)[0] == 200
    assert worker.ask("/readyz", **nobody)[0] == 200
    assert worker.ask("/status")[0] == 200
    assert worker.ask("/metrics", **BEARER, Host="evil.example")[0] == 403
    assert worker.ask("/router", **BEARER)[0] == 404  # Faust's own pages are not there
    assert worker.ask("/api/incidents/i-1/actions", {}, **BEARER)[0] == 403


def test_the_city_is_given_once(worker: Worker, city: City) -> None:
    status, body, headers = worker.ask("/api/city")
    told = json.loads(body)
    assert (status, told["name"], told["version"]) == (200, "Hà Nội", city.version)
    counts = {name: len(told[name]["features"]) for name in ("units", "stops", "cameras", "sensors", "venues")}
    assert counts == {
        "units": len(city.units),
        "stops": len(city.stops),
        "cameras": len(city.cameras),
        "sensors": len(city.sensors),
        "venues": len(city.venues),
    }
    assert len(told["lines"]["features"]) == sum(len(line.patterns) for line in city.lines)
    assert worker.ask("/api/city", **BEARER, **{"If-None-Match": headers["ETag"]})[0] == 304


def test_rules_say_what_people_call_incidents(worker: Worker) -> None:
    told = {one["rule_id"]: (one["kind"], one["title"]) for one in worker.json("/api/rules")}
    assert told["gas_leak"] == ("gas_leak", "Gas leak")
    assert told["crash"] == ("crash", "Crash")  # by its kind where a rule gives no title
    assert {kind for kind, _ in told.values()} >= {one["kind"] for one in alarms(worker)}


def test_incidents_have_their_revisions(worker: Worker) -> None:
    listed = alarms(worker)[0]
    told = worker.json(f"/api/incidents/{listed['incident_id']}")
    assert [one["incident"]["revision"] for one in told["changes"]] == list(range(1, told["incident"]["revision"] + 1))
    assert told["incident"]["revision"] >= listed["revision"]
    assert worker.ask("/api/incidents/i-0000000000000000")[0] == 404


def test_a_decision_is_folded_into_the_incident(worker: Worker) -> None:
    incident_id = alarms(worker)[0]["incident_id"]
    path = f"/api/incidents/{incident_id}"
    for wrong in (
        {"decision": "DISMISS"},
        {"decision": "PERHAPS", "operator": "Lan"},
        {"decision": "DISMISS", "operator": " "},
        {"decision": "DISMISS", "operator": "Lan", "more": 1},
        {"decision": "ASSIGN", "operator": "Lan"},
        {"decision": "COMMENT", "operator": "Lan"},
    ):
        status, body, _ = worker.ask(f"{path}/actions", wrong)
        assert (status, list(json.loads(body))) == (422, ["error"])
    decided = {"decision": "DISMISS", "operator": "Lan", "note": "a film is being made"}
    assert worker.ask("/api/incidents/i-0000000000000000/actions", decided)[0] == 404
    status, body, _ = worker.ask(f"{path}/actions", decided)
    assert status == 202
    action_id = json.loads(body)["action_id"]

    def folded() -> bool:
        incident = worker.json(path)["incident"]
        return incident["state"] == "DISMISSED" and [one["action_id"] for one in incident["actions"]] == [action_id]

    wait_until(folded, WITHIN_S, "the decision has no effect")
    (listed,) = [one for one in worker.json("/api/incidents")["incidents"] if one["incident_id"] == incident_id]
    assert listed["actions"][0]["note"] == "a film is being made"
    status, _, _ = worker.ask(f"{path}/actions", {"decision": "ASSIGN", "operator": "Lan", "assignee": "Ward 7"})
    assert status == 202
    wait_until(lambda: worker.json(path)["incident"]["assigned_to"] == "Ward 7", WITHIN_S, "nobody is assigned")


def test_the_feed_holds_what_devices_sent(worker: Worker, city: City) -> None:
    def transit() -> list[VehiclePosition]:
        return list(read_feed(worker.ask("/gtfs-rt/feed.pb")[1]).positions)

    wait_until(lambda: len(transit()) > 20, WITHIN_S, "few vehicles")
    alarms(worker)
    status, body, headers = worker.ask("/gtfs-rt/feed.pb")
    feed = pb.FeedMessage.FromString(body)
    assert (status, headers["Content-Type"]) == (200, "application/x-protobuf")
    assert abs(feed.header.timestamp - time.time()) < 5
    assert unknown_ids(feed, transit_ids(city)) == []
    assert any(one.HasField("alert") for one in feed.entity)
    assert len({one.id for one in feed.entity}) == len(feed.entity)
    assert {one["id"] for one in worker.json("/gtfs-rt/feed.json")["entity"]} & {one.id for one in feed.entity}
    sent = sent_positions(worker)
    for told in read_feed(body).positions:
        record = sent[told.vehicle_id, told.at_ms // 1000]
        assert told.line_id == record.line_id
        assert told.latitude_deg == pytest.approx(record.latitude_deg, abs=1e-5)
        assert told.longitude_deg == pytest.approx(record.longitude_deg, abs=1e-5)
        assert (told.speed_mps == pytest.approx(record.speed_mps, abs=1e-3)) or record.speed_mps != record.speed_mps


def sent_positions(worker: Worker) -> dict[tuple[str, int], VehiclePosition]:
    """Return what was appended to vehicle.positions.v1, by vehicle and second."""
    found = {}
    with reading(worker.settings) as log:
        for message in log.read(topics.POSITIONS, {}, log.end([topics.POSITIONS])):
            name, _ = worker.codec.decode(message.value)
            if name == VehiclePosition.__name__ and message.value is not None:
                one = worker.codec.read(message.value, VehiclePosition)
                found[one.vehicle_id, one.at_ms // 1000] = one
    return found
