"""docker/ says what the code says: settings, ports, versions, topics; its files pass their schema and linter."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from clickhouse_driver.errors import ServerException
from jsonschema import Draft7Validator

from schemas.errors import UsageError
from sinks.clickhouse.connection import connect
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.queries import query
from sinks.clickhouse.server import start_server
from sinks.grafana.board import PLUGIN, TYPE
from sinks.grafana.provisioning import BOARDS, CLICKHOUSE, PASSWORD
from streams.settings import PROJECT, settings_from_env
from streams.stack import downloads
from streams.stack.kafka import PROPERTIES
from streams.stack.registry import CONFLUENT_API
from streams.subscriptions import keep_secret, new_secret
from streams.topics import CATALOGUE

DOCKER = PROJECT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("page", "worker")
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
BOUND_HERE = {"listeners", "controller.quorum.voters", "controller.listener.names", "log.dirs"}
"""Properties of Kafka that depend on where it runs."""
TUNED_FOR_ONE_USER = {
    "offsets.topic.num.partitions",
    "transaction.state.log.num.partitions",
    "broker.session.timeout.ms",
    "broker.heartbeat.interval.ms",
    "log.cleaner.dedupe.buffer.size",
}
"""Properties that make the embedded Kafka small and quick to start."""


def test_compose_fits_its_schema() -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    errors = [error.message for error in Draft7Validator(schema).iter_errors(COMPOSE)]
    assert errors == []


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_limited_and_checked(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?", service["image"])
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service or (name in OURS and "HEALTHCHECK" in DOCKERFILE)
    assert all(one["condition"] == "service_healthy" for one in service.get("depends_on", {}).values())
    assert all(published.startswith("127.0.0.1:") for published in service.get("ports", ()))


def test_settings_are_those_of_the_code() -> None:
    documented = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", (PROJECT / "docs" / "settings.md").read_text("utf-8")))
    given = {name for service in OURS for name in SERVICES[service]["environment"]}
    given |= set(re.findall(r"\bCITYOPS_[A-Z_]+\b", DOCKERFILE))
    assert given <= documented
    assert {"KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL", "CLICKHOUSE_URL"} <= given


def test_a_worker_of_compose_takes_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in SERVICES["page"]["environment"].items():
        given = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
        if name.endswith("_FILE"):
            assert given == f"/run/secrets/{Path(given).name}"
            assert Path(given).name in SERVICES["page"]["secrets"]
            secret = tmp_path / Path(given).name
            secret.write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
            given = str(secret)
        monkeypatch.setenv(name, given)
    settings = settings_from_env()
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert settings.schema_registry_url == f"http://registry:8080{CONFLUENT_API}"
    assert settings.clickhouse_url.startswith("clickhouse://engine:0123456789abcdef0123456789abcdef@clickhouse:9000")
    assert settings.web_bind == "0.0.0.0"
    monkeypatch.delenv("CITYOPS_WEB_TOKEN_FILE")
    with pytest.raises(UsageError):
        settings_from_env()


def test_every_worker_signs_webhooks_with_the_same_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert {name for name, one in SERVICES.items() if one["image"].startswith("cityops:")} == set(OURS)
    assert all("command" not in SERVICES[name] and "entrypoint" not in SERVICES[name] for name in OURS)
    assert 'CMD ["worker"]' in DOCKERFILE

    monkeypatch.setenv("CITYOPS_HOME", str(tmp_path))
    keep_secret(settings_from_env(), "hook", new_secret())
    (kept,) = (path.relative_to(tmp_path) for path in tmp_path.rglob("hook"))
    home = re.search(r"\bCITYOPS_HOME=(\S+)", DOCKERFILE)
    assert home is not None
    mounted = {name: dict(volume.split(":")[::-1] for volume in SERVICES[name]["volumes"]) for name in OURS}
    folder = f"{home[1]}/{kept.parts[0]}"
    assert {mounts.get(folder) for mounts in mounted.values()} == {"webhook-secrets"}
    assert "webhook-secrets" in COMPOSE["volumes"]
    # A new volume takes the owner and the mode of the image's folder.
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert f"useradd --system --uid {user[1]}" in DOCKERFILE
    assert f"install --directory --owner=cityops --mode=0700 {folder}\n" in DOCKERFILE


def test_ports_agree() -> None:
    port = settings_from_env().web_port
    assert f"EXPOSE {port}" in DOCKERFILE
    assert f"CITYOPS_WEB_PORT={port}" in DOCKERFILE
    assert "/readyz" in DOCKERFILE
    assert SERVICES["page"]["environment"]["CITYOPS_WEB_PORT"] == str(port)
    assert SERVICES["page"]["ports"] == [f"127.0.0.1:${{PAGE_PORT:-{port}}}:{port}"]
    assert f"CLICKHOUSE_PORT:-{CLICKHOUSE.port}" in SERVICES["clickhouse"]["ports"][0]
    assert SERVICES["page"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    assert "INSIDE://:9092" in SERVICES["kafka"]["environment"]["KAFKA_LISTENERS"]
    address, _, inside = SERVICES["kafka"]["ports"][0].rpartition(":")  # clients are told the address that is published
    assert f"OUTSIDE://{address}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"OUTSIDE://:{inside}" in SERVICES["kafka"]["environment"]["KAFKA_LISTENERS"].split(",")
    assert CONFLUENT_API in " ".join(SERVICES["registry"]["healthcheck"]["test"])


def test_versions_are_those_that_the_tests_run() -> None:
    kafka = re.search(r"kafka_2\.13:([\d.]+)", downloads.KAFKA)
    assert kafka is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka[1]}"
    assert SERVICES["registry"]["image"] == f"apicurio/apicurio-registry:{downloads.REGISTRY[2]}"
    (embedded,) = [one for one in PYPROJECT["project"]["optional-dependencies"]["embedded"] if "chdb" in one]
    branch = ".".join(embedded.partition("==")[2].split(".")[:2])
    assert SERVICES["clickhouse"]["image"] == f"clickhouse/clickhouse-server:{branch}"
    assert SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"] == f"{TYPE}@{PLUGIN}"
    assert {SERVICES[name]["image"] for name in OURS} == {f"cityops:{PYPROJECT['project']['version']}"}
    assert "embedded" not in DOCKERFILE.split("\n# 2.")[1]


def test_kafka_is_set_up_like_the_embedded_one() -> None:
    embedded = dict(line.split("=", 1) for line in PROPERTIES.split())
    given = SERVICES["kafka"]["environment"]
    for name in embedded.keys() - BOUND_HERE - TUNED_FOR_ONE_USER:
        assert given[f"KAFKA_{name.upper().replace('.', '_')}"] == embedded[name], name
    assert int(embedded["message.max.bytes"]) > max(topic.max_message_bytes for topic in CATALOGUE)


def test_topics_named_in_docker_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in DOCKER.rglob("*") if path.is_file()]
    named = {name for text in texts for name in re.findall(r"\b[a-z.]+\.v\d+\b", text)}
    assert named <= {topic.name for topic in CATALOGUE}
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_grafana_finds_its_files_and_its_password() -> None:
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounted["./grafana/dashboards"] == BOARDS
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert PASSWORD == "$__file{/run/secrets/grafana_clickhouse_password}"
    assert "grafana_clickhouse_password" in SERVICES["grafana"]["secrets"]
    assert CLICKHOUSE.host in SERVICES


def test_secrets_are_files_that_are_not_committed() -> None:
    told = (DOCKER / "secrets" / "README.md").read_text(encoding="utf-8")
    assert all(one["file"] == f"./secrets/{name}" for name, one in COMPOSE["secrets"].items())
    assert all(name in told for name in COMPOSE["secrets"])
    tracked = subprocess.run(["git", "ls-files", "docker"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert {Path(name).name for name in tracked.stdout.split() if "/secrets/" in name} <= {"README.md"}
    assert not list(DOCKER.rglob("__init__.py"))


def test_the_example_environment_has_every_choice_with_its_default() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    example = (DOCKER / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+):-([^}]+)\}", text)) == set(re.findall(r"^(\w+)=(.+)$", example, re.MULTILINE))


def test_what_the_image_copies_is_there_and_let_in() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (PROJECT / source).exists(), source
            assert f"!{source.split('/')[0]}\n" in ignored


@pytest.mark.stack
def test_grafanas_user_of_clickhouse_may_read_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_PASSWORD", "engine's")
    monkeypatch.setenv("GRAFANA_PASSWORD", "grafana's")
    (tmp_path / "users.d").mkdir()
    users = (DOCKER / "clickhouse" / "users.xml").read_text(encoding="utf-8")
    (tmp_path / "users.d" / "cityops.xml").write_text(users, encoding="utf-8")
    server = start_server(tmp_path)
    try:
        place = f"127.0.0.1:{server.tcp_port}"
        for database in ("cityops", "cityops_demo"):
            migrate(f"clickhouse://engine:engine's@{place}", database, None)
        grafana = f"clickhouse://grafana:grafana's@{place}"
        assert query(grafana, "cityops", "SELECT count() FROM incidents").rows == ((0,),)
        assert query(grafana, "cityops_demo", "SELECT count() FROM minutes").rows == ((0,),)
        for refused in (
            "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
            "SELECT count() FROM system.users",
            "DROP TABLE positions",
            "TRUNCATE TABLE positions",
            "CREATE TABLE mine (a Int8) ENGINE = Memory",
        ):
            with connect(grafana, "cityops") as client, pytest.raises(ServerException, match="Not enough privileges"):
                client.execute(refused)
        with connect(grafana, "cityops") as client:
            client.execute("SET max_execution_time = 65")  # what Grafana's plugin sets
            for raised in ("max_execution_time = 71", "max_execution_time = 0", "max_memory_usage = 0", "readonly = 0"):
                for statement in (f"SET {raised}", f"SELECT 1 SETTINGS {raised}"):
                    with pytest.raises(ServerException, match=f"(?i)setting {raised.split()[0]} sh|modify 'readonly'"):
                        client.execute(statement)
            client.execute("SET profile = 'default'")
            with pytest.raises(ServerException, match="max_memory_usage should not be changed"):
                client.execute("SET max_memory_usage = 0")
            assert client.execute("SELECT getSetting('max_memory_usage')") == [(1_000_000_000,)]
        with pytest.raises(UsageError, match="Authentication failed"):
            query(f"clickhouse://grafana:engine's@{place}", "cityops", "SELECT 1")
    finally:
        server.stop()
