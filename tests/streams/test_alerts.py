"""Alerts on the real stack: killed workers, a dead receiver, and a receiver that checks every signature."""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from processors.alerts import alert_schema
from processors.city import City
from schemas.codec import Codec
from schemas.ids import content_id
from schemas.records import Delivery, DeliveryState, IncidentChange, Subscription
from streams import topics
from streams.reading import reading
from streams.settings import Settings
from streams.subscriptions import keep_secret, new_secret, read_subscriptions, write_subscription
from streams.tail import Tail
from streams.workers import WorkerProcess, free_port
from tests.streams.running import (
    READY_S,
    START_MS,
    PacedFeed,
    finish,
    make_ready,
    merged_s,
    run_settings,
    simulated,
    wait_until,
)

PROJECT = Path(__file__).resolve().parent.parent.parent
LOG_S = 64.0
KILLS_AT_S = (24.0, 42.0)
OFTEN = {"opening": 10, "quiet_end_s": 5.0}

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


class Receiver:
    """The example receiver of the documentation, as a process; what it took, in order."""

    def __init__(self, secret: str) -> None:
        self.port = free_port()
        command = [sys.executable, "docs/examples/webhook_receiver.py", secret, str(self.port)]
        self.process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.taken: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.taken.append(json.loads(line))

    @property
    def ids(self) -> set[str]:
        return {one["id"] for one in self.taken}

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        self._reader.join(10)
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


@dataclass(slots=True)
class Told:
    """What came of a log with two kills. answers: the HTTP statuses the receivers gave."""

    settings: Settings
    all_of_it: list[dict[str, Any]]
    fires: list[dict[str, Any]]
    answers: set[str]
    waits_of_the_dead: list[Delivery]
    slowest_s: float
    killed: list[float] = field(default_factory=list)


class Gone(BaseHTTPRequestHandler):
    """A receiver that wants no more."""

    posts = 0

    def do_POST(self) -> None:
        Gone.posts += 1
        self.send_error(410)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def subscribe(settings: Settings, codec: Codec, name: str, url: str, secret: str, **wanted: Any) -> None:
    one = Subscription(
        created_at_ms=START_MS,  # the log is one of a past day
        subscription_id=name,
        url=url,
        secret_ref=keep_secret(settings, name, secret),
        allow_private=True,
        **wanted,
    )
    write_subscription(settings, codec, one)


@pytest.fixture(scope="module")
def told(stack_with_registry: Settings, codec: Codec, city: City) -> Told:
    settings = run_settings(stack_with_registry, "alerts", block_ms=4000)
    make_ready(settings)
    secret = new_secret()
    everything, fires = Receiver(secret), Receiver(secret)
    subscribe(settings, codec, "s-all", f"http://127.0.0.1:{everything.port}/", secret)
    subscribe(settings, codec, "s-fires", f"http://127.0.0.1:{fires.port}/", secret, kinds=("fire",))
    gone = HTTPServer(("127.0.0.1", 0), Gone)
    threading.Thread(target=gone.serve_forever, daemon=True).start()
    subscribe(settings, codec, "s-gone", f"http://127.0.0.1:{gone.server_port}/", secret)
    subscribe(settings, codec, "s-dead", f"http://127.0.0.1:{free_port()}/", secret)
    killed = []
    with (
        ExitStack() as ends,
        PacedFeed(settings, codec, simulated(city, 7, LOG_S, vehicles=150, **OFTEN), LOG_S, 8.0) as log,
    ):
        workers = [WorkerProcess(settings)]
        ends.callback(lambda: workers[-1].stop())
        for at_s in KILLS_AT_S:
            log.allow(at_s + 3.0)
            wait_until(partial(has_reached, workers[-1], at_s), READY_S, f"it does not reach {at_s} s")
            killed.append(merged_s(workers[-1].status()))
            workers[-1].kill()
            workers.append(WorkerProcess(settings))
        log.finish()
        finish(settings, workers[-1])
        began_s = time.monotonic()
        wait_until(lambda: everything.ids >= set(expected(settings, codec)), 20.0, "not everything was delivered")
        slowest_s = time.monotonic() - began_s
        with Tail(settings, codec, topics.DELIVERIES, Delivery) as tail:
            newest = {one.notification_id: one for one in tail.catch_up() if one.subscription_id == "s-dead"}
    gone.shutdown()
    answers = {line.split()[-2] for line in (everything.stop() + fires.stop()).splitlines()}
    return Told(settings, everything.taken, fires.taken, answers, list(newest.values()), slowest_s, killed)


def has_reached(worker: WorkerProcess, at_s: float) -> bool:
    return merged_s(worker.status()) >= at_s


def expected(settings: Settings, codec: Codec, kinds: tuple[str, ...] = ()) -> dict[str, tuple[str, int]]:
    """Return what has to be told, by plain reading of incident.changes.v1: id -> incident and revision."""
    revisions: dict[str, dict[int, IncidentChange]] = {}
    with reading(settings) as log:
        for message in log.read(topics.CHANGES, {}, log.end([topics.CHANGES])):
            change = codec.read(message.value or b"", IncidentChange)
            revisions.setdefault(change.incident.incident_id, {})[change.incident.revision] = change
    wanted = {}
    for incident_id, by_number in revisions.items():
        before: IncidentChange | None = None
        for number in sorted(by_number):
            now = by_number[number]
            news = (
                before is None
                or now.change.value != "CHANGED"
                or before.incident.severity is not now.incident.severity
                or len(before.incident.actions) != len(now.incident.actions)
                or {line.line_id for line in before.incident.lines} != {line.line_id for line in now.incident.lines}
            )
            if news and (not kinds or now.incident.kind in kinds):
                name = "s-fires" if kinds else "s-all"
                wanted[content_id("n", name, incident_id, number)] = (incident_id, number)
                before = now
    return wanted


def test_no_alert_is_missing_and_none_comes_twice_by_id(told: Told, codec: Codec) -> None:
    wanted = expected(told.settings, codec)
    assert len(told.killed) == 2
    assert len(wanted) >= 10
    once = [one for one in told.all_of_it if not one["repeated"]]
    assert len(once) == len({one["id"] for one in once})
    assert {one["id"]: (one["data"]["incident_id"], one["data"]["revision"]) for one in once} == wanted


def test_alerts_came_before_between_and_after_the_kills(told: Told) -> None:
    seconds = sorted((one["data"]["opened_at"], one["id"]) for one in told.all_of_it)
    assert seconds
    tick_s = [time_of(one) for one in told.all_of_it]
    first, second = told.killed
    assert any(at < first for at in tick_s)
    assert any(first < at < second for at in tick_s)
    assert any(at > second for at in tick_s)


def time_of(alert: dict[str, Any]) -> float:
    return datetime.fromisoformat(alert["timestamp"]).timestamp() - START_MS / 1000


def test_every_signature_was_right(told: Told) -> None:
    assert told.answers == {"204"}  # the receiver answers 400 to a signature that is wrong


def test_a_subscriber_gets_only_what_it_asked_for(told: Told, codec: Codec) -> None:
    wanted = expected(told.settings, codec, ("fire",))
    assert wanted
    assert {one["id"] for one in told.fires} == set(wanted)
    assert {one["data"]["kind"] for one in told.fires} == {"fire"}


def test_a_dead_receiver_delays_nobody_and_is_tried_again(told: Told, codec: Codec) -> None:
    assert told.slowest_s < 5.0
    assert told.waits_of_the_dead
    assert {one.state for one in told.waits_of_the_dead} == {DeliveryState.RETRYING}
    assert all(
        one.attempts >= 1 and one.next_at_ms > one.at_ms and "refused" in one.error for one in told.waits_of_the_dead
    )


def test_a_receiver_that_wants_no_more_is_asked_once(told: Told, codec: Codec) -> None:
    assert Gone.posts == 1
    assert set(read_subscriptions(told.settings, codec)) == {"s-all", "s-dead", "s-fires"}


def test_what_is_posted_fits_the_published_schema(told: Told) -> None:
    validator = jsonschema.Draft202012Validator(alert_schema())
    for one in told.all_of_it:
        body = {name: value for name, value in one.items() if name in ("type", "timestamp", "data")}
        validator.validate(body)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"type": "incident.opened", "timestamp": "2026-01-01T00:00:00Z", "data": {}})


def test_the_schema_in_the_documentation_is_the_code_s() -> None:
    published = json.loads((PROJECT / "docs" / "schemas" / "alert.schema.json").read_text(encoding="utf-8"))
    assert published == alert_schema()
