"""Kafka, registry and ClickHouse behind TLS and passwords: every client and a whole worker get in, or are told why."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer

from processors.city import City
from schemas.codec import Codec
from schemas.errors import UsageError
from streams import topics
from streams.admin import ensure_topics
from streams.kafka_access import KafkaSecurity, SaslMechanism, SecurityProtocol
from streams.outbox import producer_settings
from streams.reach import answering, locked_out
from streams.reading import reading
from streams.registry import load_codec, register_all
from streams.settings import Settings, settings_from_env
from streams.workers import Offsets, WorkerProcess
from tests.streams.locked import (
    PASSWORD,
    USER,
    Certificates,
    LockedKafka,
    locked_kafka,
    make_certificates,
    tls_front,
)
from tests.streams.running import balance, feed, make_ready, read_outputs, run_settings, simulated, work_off

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LOG_S = 30.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("locked")


@pytest.fixture(scope="module")
def certificates(folder: Path) -> Certificates:
    return make_certificates(folder)


@pytest.fixture(scope="module")
def kafka(folder: Path, certificates: Certificates) -> Iterator[LockedKafka]:
    with locked_kafka(folder) as running:
        yield running


def with_password(certificates: Certificates, mechanism: SaslMechanism = SaslMechanism.PLAIN) -> KafkaSecurity:
    return KafkaSecurity(SecurityProtocol.SASL_SSL, mechanism, USER, PASSWORD, certificates.ca)


def with_certificate(certificates: Certificates) -> KafkaSecurity:
    return KafkaSecurity(
        SecurityProtocol.SSL,
        ca_file=certificates.ca,
        cert_file=certificates.client,
        key_file=certificates.client_key,
    )


@pytest.mark.parametrize("door", [*SaslMechanism, "certificate"])
def test_kafka_python_and_librdkafka_get_in(
    stackless: Settings, kafka: LockedKafka, certificates: Certificates, door: str
) -> None:
    by_certificate = door == "certificate"
    security = with_certificate(certificates) if by_certificate else with_password(certificates, SaslMechanism(door))
    settings = replace(
        stackless.with_run(door.lower(), door.lower()),
        kafka_bootstrap_servers=kafka.ssl if by_certificate else kafka.sasl_ssl,
        kafka_security=security,
    )
    assert answering(settings) is settings
    assert ensure_topics(settings, (topics.INCIDENTS,)) == (f"run.{door.lower()}.incidents.v1",)
    producer = Producer(producer_settings(settings.kafka))
    producer.produce(settings.topic(topics.INCIDENTS), b"value", b"key", partition=0)
    assert producer.flush(10) == 0
    offsets = Offsets(settings)
    assert offsets.ends(topics.INCIDENTS)[0] == 1
    offsets.close()
    with reading(settings) as log:
        found = list(log.read(topics.INCIDENTS, {}, log.end([topics.INCIDENTS])))
    assert [(one.key, one.value) for one in found] == [(b"key", b"value")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sasl_password": "guess"}, "refuses user 'cityops': check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD"),
        ({"sasl_username": "mallory"}, "refuses user 'mallory'"),
        ({"sasl_password": "x", "sasl_mechanism": SaslMechanism.SCRAM_SHA_512}, "refuses user 'cityops'"),
        ({"ca_file": None}, "a certificate that we do not trust or that names another host: check KAFKA_SSL_CA_FILE"),
    ],
)
def test_kafka_that_does_not_let_in_is_told_in_one_sentence(
    stackless: Settings, kafka: LockedKafka, certificates: Certificates, change: dict[str, object], said: str
) -> None:
    security = replace(with_password(certificates), **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as told:
        answering(replace(stackless, kafka_bootstrap_servers=kafka.sasl_ssl, kafka_security=security))
    assert said in str(told.value)
    assert PASSWORD not in str(told.value)


def test_a_plain_client_at_a_locked_door_is_told_which_setting(
    stackless: Settings, kafka: LockedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.reach.LOG_IN_S", 1.0)
    refusal = locked_out(replace(stackless, kafka_bootstrap_servers=kafka.sasl_ssl).kafka)
    assert refusal is not None
    assert not refusal.certain
    assert "does not speak PLAINTEXT with us: check KAFKA_SECURITY_PROTOCOL" in refusal.reason


@pytest.fixture
def locked(
    stack_with_registry: Settings,
    kafka: LockedKafka,
    certificates: Certificates,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """Settings, by environment alone, of three servers behind TLS; both passwords are in files."""
    clickhouse = urlsplit(stack_with_registry.clickhouse_url)
    registry = urlsplit(stack_with_registry.schema_registry_url)
    secrets = {"kafka": PASSWORD, "clickhouse": clickhouse.password or ""}
    for name, value in secrets.items():
        (folder / name).write_text(f"{value}\n")
        (folder / name).chmod(0o600)
    assert registry.port is not None
    assert clickhouse.port is not None
    with (
        tls_front(registry.port, certificates) as registry_port,
        tls_front(clickhouse.port, certificates) as clickhouse_port,
    ):
        named = {
            "CITYOPS_HOME": str(stack_with_registry.home),
            "KAFKA_BOOTSTRAP_SERVERS": kafka.sasl_ssl,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD_FILE": str(folder / "kafka"),
            "KAFKA_SSL_CA_FILE": str(certificates.ca),
            "SCHEMA_REGISTRY_URL": f"https://{USER}:unasked@127.0.0.1:{registry_port}{registry.path}",
            "SCHEMA_REGISTRY_CA_FILE": str(certificates.ca),
            "CLICKHOUSE_URL": f"clickhouses://{clickhouse.username}@127.0.0.1:{clickhouse_port}",
            "CLICKHOUSE_PASSWORD_FILE": str(folder / "clickhouse"),
            "CLICKHOUSE_CA_FILE": str(certificates.ca),
        }
        for name, text in named.items():
            monkeypatch.setenv(name, text)
        yield settings_from_env()


def test_a_worker_does_all_its_work_behind_tls_and_passwords(locked: Settings, city: City) -> None:
    settings = run_settings(locked, "locked")
    codec: Codec = load_codec(settings)
    make_ready(settings)
    often = {"crashes_per_hour": 400.0, "fires_per_hour": 400.0, "quiet_end_s": 5.0}
    feed(settings, codec, simulated(city, 21, LOG_S, vehicles=50, **often), LOG_S)
    work_off(settings)
    accounts = balance(settings, codec)
    assert sum(table.written for table in accounts.tables.values()) > 200
    outputs = read_outputs(settings, codec)
    assert len(outputs.tables["positions"]) > 40
    assert len(outputs.incidents) > 0
    logged = (settings.home / "logs" / "worker-locked.log").read_text()
    assert PASSWORD not in logged
    assert (urlsplit(settings.clickhouse_url).password or "?") not in logged


def test_a_worker_with_a_wrong_password_ends_in_one_sentence(locked: Settings) -> None:
    wrong = replace(locked.kafka_security, sasl_password="guess")
    settings = replace(run_settings(locked, "wrong"), kafka_security=wrong)
    worker = WorkerProcess(settings)
    with pytest.raises(UsageError, match=r"ended at once.*\(cityops: Kafka at .* refuses user 'cityops'"):
        worker.wait_ready(60)
    worker.stop()
    assert "Traceback" not in worker.log_path.read_text()


def test_a_registry_with_a_strange_certificate_is_told(locked: Settings, certificates: Certificates) -> None:
    register_all(locked)
    strange = replace(locked.schema_registry_security, ca_file=certificates.stranger)
    with pytest.raises(UsageError, match=r"certificate that we do not trust.*SCHEMA_REGISTRY_CA_FILE") as told:
        register_all(replace(locked, schema_registry_security=strange))
    assert "unasked" not in str(told.value)


def test_what_is_written_holds_no_secret(locked: Settings) -> None:
    assert PASSWORD not in repr(locked)
    assert (urlsplit(locked.clickhouse_url).password or "?") not in repr(locked)
    assert "unasked" not in repr(locked)
