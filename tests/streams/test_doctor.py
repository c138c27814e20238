"""The doctor: every problem that can be provoked is, and is told with its remedy; what is well is told as well."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from confluent_kafka.schema_registry import Schema

from schemas.codec import Codec
from streams import doctor_servers, topics
from streams.admin import describe, ensure_topics
from streams.checks import Check, Verdict
from streams.doctor import check_settings, examine
from streams.doctor_machine import (
    GIB,
    Machine,
    check_children,
    check_city,
    check_disk,
    check_home,
    check_memory,
    check_names,
    check_packages,
    check_platform,
    check_python,
    check_web_port,
)
from streams.doctor_servers import broker_ahead_ms, check_clock, check_servers, check_topics
from streams.registry import client_of
from streams.settings import Settings
from streams.stack import PartState, Phase, read_state
from streams.stack.state import StackState, mark_of, state_path, write_state
from tests.streams.commands import cityops

OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM


def told(checks: Iterable[Check]) -> dict[str, tuple[Verdict, str, str]]:
    return {check.name: (check.verdict, check.said, check.remedy) for check in checks}


def test_an_old_python() -> None:
    assert check_python((3, 11, 0)) == Check("python", OK, "3.11.0")
    old = check_python((3, 10, 12))
    assert (old.verdict, old.said) == (PROBLEM, "3.10.12")
    assert "Python 3.11" in old.remedy


@pytest.mark.parametrize(
    ("machine", "own_servers", "verdict", "remedy"),
    [
        (Machine("Linux", "x86_64", "glibc"), False, OK, ""),
        (Machine("Linux", "aarch64", "glibc"), False, OK, ""),
        (Machine("Darwin", "arm64", ""), False, OK, ""),
        (Machine("Windows", "AMD64", ""), False, PROBLEM, "use WSL2"),
        (Machine("Windows", "AMD64", ""), True, OK, ""),
        (Machine("Linux", "x86_64", ""), False, PROBLEM, "use the image"),
        (Machine("Linux", "riscv64", "glibc"), False, PROBLEM, "servers of your own"),
    ],
)
def test_platforms(machine: Machine, own_servers: bool, verdict: Verdict, remedy: str) -> None:
    check = check_platform(machine, own_servers)
    assert check.verdict is verdict
    assert remedy in check.remedy


def test_packages_that_are_missing_or_other_than_pinned() -> None:
    required = ["click==8.1.8", "aiokafka[lz4,snappy]==0.14.0", 'chdb-core==26.9.0; extra == "embedded"', "x>=1"]
    whole = {"click": "8.1.8", "aiokafka": "0.14.0", "chdb-core": "26.9.0"}
    assert {check.verdict for check in check_packages(required, whole, own_servers=False)} == {OK}
    other = told(check_packages(required, whole | {"click": "8.2.0"}, own_servers=False))
    assert other["packages"][:2] == (WARNING, "click 8.2.0 instead of 8.1.8")
    bare = {"click": "8.1.8"}
    without = told(check_packages(required, bare, own_servers=False))
    assert without["packages"] == (PROBLEM, "not installed: aiokafka", "run `pip install 'cityops'`")
    assert without["extra embedded"] == (PROBLEM, "not installed: chdb-core", "run `pip install 'cityops[embedded]'`")
    assert told(check_packages(required, bare, own_servers=True))["extra embedded"][0] is OK


def test_another_distribution_with_one_of_our_names() -> None:
    assert check_names({"streams": ["cityops", "cityops"], "click": ["click"]}).verdict is OK
    check = check_names({"schemas": ["cityops", "python-schemas"]})
    assert (check.verdict, check.said) == (PROBLEM, "python-schemas also brings 'schemas'")
    assert "virtual environment of its own" in check.remedy


@pytest.mark.parametrize(("free_gib", "verdict"), [(0.5, PROBLEM), (2.0, WARNING), (50.0, OK)])
def test_disk(tmp_path: Path, free_gib: float, verdict: Verdict) -> None:
    check = check_disk(tmp_path, int(free_gib * GIB))
    assert check.verdict is verdict
    assert check.said == f"{free_gib} GiB free in {tmp_path}"


@pytest.mark.parametrize(
    ("available_gib", "stack_runs", "verdict"),
    [(0.7, False, PROBLEM), (0.7, True, WARNING), (0.3, True, PROBLEM), (2.0, False, WARNING), (8.0, False, OK)],
)
def test_memory(available_gib: float, stack_runs: bool, verdict: Verdict) -> None:
    assert check_memory(int(available_gib * GIB), stack_runs).verdict is verdict


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    assert check_home(tmp_path / "fresh").verdict is OK
    check = check_home(Path("/proc/home"))
    assert check.verdict is PROBLEM
    assert "cannot be written" in check.said
    assert "CITYOPS_HOME" in check.remedy


def test_a_home_open_to_others(stack: Settings, tmp_path: Path) -> None:
    assert check_home(stack.home).verdict is OK
    (tmp_path / "stack").mkdir(mode=0o755)
    check = check_home(tmp_path)
    assert (check.verdict, check.remedy) == (PROBLEM, f"run `chmod -R go= {tmp_path / 'stack'}`")
    subprocess.run(["chmod", "-R", "go=", str(tmp_path / "stack")], check=True)
    assert check_home(tmp_path).verdict is OK


@pytest.fixture
def sleeper() -> Iterable[psutil.Process]:
    """A child that does nothing, in the place of a part."""
    with subprocess.Popen(["sleep", "60"]) as child:
        yield psutil.Process(child.pid)
        child.kill()


def ready_state(home: Path) -> StackState:
    """The state once the supervisor has seen every part answer: the registry takes some ten seconds."""
    give_up_at_s = time.monotonic() + 60.0
    while (state := read_state(home)) is None or any(part.phase is not Phase.READY for part in state.parts):
        assert time.monotonic() < give_up_at_s, f"not all ready: {state}"
        time.sleep(0.1)
    return state


def test_children_that_outlived_their_supervisor(
    stack_with_registry: Settings, tmp_path: Path, sleeper: psutil.Process
) -> None:
    assert check_children(tmp_path, None).said == "never started in this home"
    running = ready_state(stack_with_registry.home)
    assert check_children(stack_with_registry.home, running).said == "running"
    first = replace(running.parts[0], phase=Phase.STARTING, mark=None)
    starting = check_children(stack_with_registry.home, replace(running, parts=(first, *running.parts[1:])))
    assert (starting.verdict, starting.said) == (OK, f"running; {first.name} still starting")

    mark = mark_of(sleeper.pid, ("sleep", "60"))
    kafka = PartState("kafka", Phase.READY, 1, mark, 0)
    stale: StackState = replace(running, supervisor=None, parts=(kafka,))
    write_state(tmp_path, stale)
    check = check_children(tmp_path, read_state(tmp_path))
    assert (check.verdict, check.said) == (WARNING, "kafka outlived its supervisor")
    assert "cityops stack down" in check.remedy
    gone = replace(running, parts=(replace(kafka, mark=None), *running.parts[1:]))
    assert check_children(tmp_path, gone).said == "running, but without kafka"

    state_path(tmp_path).write_text("{")
    check = check_children(tmp_path, read_state(tmp_path))
    assert (check.verdict, check.remedy) == (PROBLEM, f"run `rm {state_path(tmp_path)}`")


def test_a_web_port_that_another_program_holds() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        check = check_web_port(port, ours=False)
        assert (check.verdict, check.said) == (PROBLEM, f"another program listens at {port}")
        assert check_web_port(port, ours=True).verdict is OK
    assert check_web_port(port, ours=False).said == f"{port} is free"


def test_a_folder_that_is_no_city(stackless: Settings, tmp_path: Path) -> None:
    assert check_city(stackless).verdict is OK
    assert check_city(replace(stackless, city=tmp_path)).verdict is PROBLEM


def test_secrets_open_to_others() -> None:
    assert check_settings([]).verdict is OK
    check = check_settings(["A_FILE /a can be read by every user of this machine: chmod 600 it"])
    assert (check.verdict, check.remedy) == (WARNING, "chmod 600 it")


def test_settings_that_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "TLS")
    checks = told(examine())
    assert checks["settings"][0] is PROBLEM
    assert "take one of PLAINTEXT" in checks["settings"][1]
    assert "kafka" not in checks


@pytest.mark.parametrize(
    ("ahead_ms", "verdict", "said"),
    [
        (400.0, OK, "0.40 s ahead of ours"),
        (-5000.0, WARNING, "5.00 s behind ours"),
        (31_000.0, PROBLEM, "31.00 s ahead of ours: records are refused"),
    ],
)
def test_clocks(ahead_ms: float, verdict: Verdict, said: str) -> None:
    check = check_clock(ahead_ms, 30_000)
    assert check.verdict is verdict
    assert said in check.said


def test_servers_that_do_not_answer(stackless: Settings) -> None:
    nowhere = replace(
        stackless,
        kafka_bootstrap_servers="127.0.0.1:1",
        schema_registry_url="http://127.0.0.1:1",
        clickhouse_url="clickhouse://a:secret@127.0.0.1:1",
    )
    checks = told(check_servers(nowhere))
    assert {name: verdict for name, (verdict, _, _) in checks.items()} == {
        "kafka": PROBLEM,
        "registry": PROBLEM,
        "clickhouse": PROBLEM,
    }
    assert "KAFKA_BOOTSTRAP_SERVERS" in checks["kafka"][2]
    assert "secret" not in str(checks)


@pytest.mark.stack
def test_servers_that_are_well_and_then_are_not(
    stack_with_registry: Settings, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codec  # the registry is there, with our schemas
    settings = stack_with_registry.with_run("doctor", "doctor")
    assert told(check_servers(settings))["topics"] == (OK, "none yet; the first start makes them", "")
    ensure_topics(settings, tuple(topic for topic in topics.CATALOGUE if topic not in (topics.ROWS, topics.CHANGES)))
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    rows, rejected = settings.topic(topics.ROWS), settings.topic(topics.REJECTED)
    admin.create_topics([NewTopic(rows, 3)])[rows].result(10)
    create_time = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.TOPIC, rejected, incremental_configs=[create_time])
    admin.incremental_alter_configs([changed])[changed].result(10)
    found = {(check.verdict, check.said): check.remedy for check in check_topics(describe(settings))}
    assert "docs/partitions.md" in found[PROBLEM, f"{rows} has 3 partitions instead of 4"]
    wrong_time = f"{rejected}: message.timestamp.type is CreateTime instead of LogAppendTime"
    assert f"--entity-name {rejected} --add-config message.timestamp.type=LogAppendTime" in found[PROBLEM, wrong_time]
    assert found[WARNING, f"missing: {settings.topic(topics.CHANGES)}"] == "run `cityops topics create`"

    client, subject = client_of(settings.schema_registry_url), "doctor-value"
    client.register_schema(subject, Schema(json.dumps({"type": "string"}), "AVRO"))
    client.set_compatibility(subject, "BACKWARD")
    monkeypatch.setattr("streams.registry.subjects", lambda: {subject: ("doctor", "Tick")})
    login = settings.clickhouse_url.replace(settings.clickhouse_url.split(":")[2].split("@")[0], "guess")
    checks = told(check_servers(replace(settings, clickhouse_url=login)))
    assert checks["kafka"][0] is OK
    assert checks["clock"][0] is OK
    assert checks["registry"][:2] == (
        PROBLEM,
        f"{settings.schema_registry_url} holds newer or other schemas of {subject}",
    )
    assert checks["clickhouse"][0] is PROBLEM
    monkeypatch.setattr(doctor_servers, "OLDEST_CLICKHOUSE", (99, 1))
    assert told(check_servers(settings))["clickhouse"][2] == "upgrade it to 99.1 or newer"
    left = [name for name in admin.list_topics(timeout=10).topics if name.startswith("cityops.doctor.")]
    assert left == []


@pytest.mark.stack
def test_the_brokers_clock_is_this_machines(stack: Settings) -> None:
    assert abs(broker_ahead_ms(stack)) < 1000


def test_the_command_where_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "CITYOPS_WEB_PORT": "0"})
    process = cityops("doctor", "--json", home=tmp_path / "home")
    output, _ = process.communicate(timeout=60)
    checks = json.loads(output[output.index("[") :])
    assert {check["name"] for check in checks} >= {"python", "names", "platform", "extra embedded", "servers"}
    problems = [check for check in checks if check["verdict"] == "problem"]
    assert process.returncode == (1 if problems else 0)
    assert {check["name"] for check in problems} <= {"web port", "disk", "memory"}
    assert next(check for check in checks if check["name"] == "names")["verdict"] == "ok"
