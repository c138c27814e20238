"""The embedded stack as a whole: one home is started, broken and mended several times."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from clickhouse_driver import Client
from confluent_kafka import Producer
from kafka import KafkaConsumer

from schemas.errors import UsageError
from streams import topics
from streams.admin import ensure_topics
from streams.settings import PROJECT, Settings
from streams.stack import Phase, StackHandle, StackState, endpoints, read_state, report, start_stack, stop_stack
from tests.conftest import settings_in

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

START_AND_SLEEP = """
import sys, time
from pathlib import Path
from streams.stack import start_stack
from tests.conftest import settings_in
start_stack(settings_in(Path(sys.argv[1])), wait_registry=False)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("stack-home")
    yield folder
    stop_stack(folder)


def started(home: Path) -> StackHandle:
    return start_stack(settings_in(home), wait_registry=False)


def state_of(home: Path) -> StackState:
    state = read_state(home)
    assert state is not None
    return state


def pids_of(home: Path) -> list[int]:
    return [line.pid for line in report(read_state(home)) if line.pid is not None]


def wait_until(condition: Callable[[], bool], within_s: float) -> None:
    give_up_at_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at_s, "it did not come to pass"
        time.sleep(0.05)


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def produce(settings: Settings, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "acks": "all"})
    producer.produce(topics.TRUTH.name, value)
    assert producer.flush(30) == 0


def consumed(settings: Settings, count: int) -> list[bytes]:
    reader = KafkaConsumer(
        topics.TRUTH.name,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=30_000,
    )
    values = [next(reader).value for _ in range(count)]
    reader.close()
    return values


def test_first_start_formats_what_an_interrupted_one_left(home: Path) -> None:
    half = home / "stack" / "kafka"
    half.mkdir(parents=True)
    (half / "meta.properties").touch()

    handle = started(home)

    assert handle.owned
    assert stat.S_IMODE((home / "stack" / "stack.json").stat().st_mode) == 0o600
    ensure_topics(handle.settings)
    produce(handle.settings, b"first")
    with Client.from_url(handle.settings.clickhouse_url) as client:
        client.execute("CREATE DATABASE kept")
        client.execute("CREATE TABLE kept.t (n UInt8) ENGINE = MergeTree ORDER BY n")
        client.execute("INSERT INTO kept.t VALUES", [(7,)])


def test_running_stack_is_found_and_left_alone(home: Path) -> None:
    before = pids_of(home)
    again = started(home)
    assert not again.owned
    again.stop()
    assert set(before) <= set(pids_of(home))
    assert endpoints(settings_in(home)) == again.settings


def test_everything_listens_on_loopback_only(home: Path) -> None:
    addresses = {
        connection.laddr.ip
        for pid in pids_of(home)
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_killed_kafka_is_started_again_with_its_data(home: Path) -> None:
    settings = endpoints(settings_in(home))
    mark = state_of(home).part("kafka").mark
    assert mark is not None
    os.kill(mark.pid, signal.SIGKILL)
    wait_until(lambda: state_of(home).part("kafka").restarts == 1, 5)
    wait_until(lambda: state_of(home).part("kafka").phase is Phase.READY, 30)
    assert "ended with status -9" in state_of(home).part("kafka").said
    produce(settings, b"second")
    assert consumed(settings, 2) == [b"first", b"second"]


def test_down_leaves_nothing_running_within_five_seconds(home: Path) -> None:
    pids = pids_of(home)
    assert len(pids) >= 3
    began_at_s = time.monotonic()
    assert stop_stack(home)
    while not gone(pids) and time.monotonic() - began_at_s < 5:
        time.sleep(0.05)  # the last of them is still being torn down
    assert time.monotonic() - began_at_s < 5
    assert gone(pids)
    assert pids_of(home) == []
    assert not stop_stack(home)
    with pytest.raises(UsageError, match=r"no Kafka is set.*cityops stack up"):
        endpoints(settings_in(home))


def test_owner_that_is_killed_takes_the_stack_with_it(home: Path) -> None:
    meta = home / "stack" / "kafka" / "meta.properties"
    meta.write_text("version=1\n", encoding="utf-8")  # as after a crash in the middle of writing it
    before = state_of(home)
    began_at_s = time.monotonic()
    owner = subprocess.Popen(
        [sys.executable, "-c", START_AND_SLEEP, str(home)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    assert time.monotonic() - began_at_s < 30
    settings = endpoints(settings_in(home))
    assert settings.kafka_bootstrap_servers == before.kafka_bootstrap_servers
    assert settings.clickhouse_url == before.clickhouse_url
    assert consumed(settings, 2) == [b"first", b"second"]
    with Client.from_url(settings.clickhouse_url) as client:
        assert client.execute("SELECT n FROM kept.t") == [(7,)]

    pids = pids_of(home)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: gone(pids), 6)


def test_killed_supervisor_leaves_no_child_and_the_next_start_recovers(home: Path) -> None:
    handle = started(home)
    pids = pids_of(home)
    mark = state_of(home).supervisor
    assert mark is not None
    os.kill(mark.pid, signal.SIGKILL)
    wait_until(lambda: gone(pids), 3)
    assert not state_of(home).running
    assert [line.phase for line in report(read_state(home))][:3] == [Phase.DOWN] * 3

    again = started(home)
    assert again.owned
    assert consumed(again.settings, 2) == [b"first", b"second"]
    again.stop()
    handle.stop()
    assert pids_of(home) == []


def test_servers_that_are_set_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    theirs = replace(
        settings_in(tmp_path),
        kafka_bootstrap_servers="kafka.example:9092",
        schema_registry_url="http://registry.example",
        clickhouse_url="clickhouse://clickhouse.example",
    )
    handle = start_stack(theirs)
    assert (handle.settings, handle.owned) == (theirs, False)
    assert endpoints(theirs) == theirs
    assert not (tmp_path / "stack").exists()
    with pytest.raises(UsageError, match="set SCHEMA_REGISTRY_URL and CLICKHOUSE_URL"):
        endpoints(replace(theirs, schema_registry_url="", clickhouse_url=""))
