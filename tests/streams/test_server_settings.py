"""Settings of servers: secrets from files, wrong combinations in one sentence, and what child processes get."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from schemas.errors import UsageError
from streams.kafka_access import OPEN, KafkaAccess, KafkaSecurity, SaslMechanism, SecurityProtocol, librdkafka_settings
from streams.secrets import exposed, handed_on, secret
from streams.server_settings import RegistrySecurity, clickhouse_address, kafka_security, registry_access
from streams.settings import reach_loopback_directly, settings_from_env
from streams.workers import environment
from tests.streams.locked import Certificates, make_certificates

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9093"}
LOGIN = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "anna", "KAFKA_SASL_PASSWORD": "open"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_a_secret_comes_from_its_variable_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" two words \n")
    assert secret({}, "A") == ""
    assert secret({"A": "plain"}, "A") == "plain"
    assert secret({"A_FILE": str(file)}, "A") == " two words "


def test_a_secret_that_cannot_be_had_is_told_without_the_secret(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(UsageError, match="A and A_FILE are both set: keep one of them"):
        secret({"A": "x", "A_FILE": "y"}, "A")
    with pytest.raises(UsageError, match=r"A_FILE is .*/nothing, which cannot be read: No such file or directory"):
        secret({"A_FILE": str(tmp_path / "nothing")}, "A")
    with pytest.raises(UsageError, match=r"A_FILE is .*/empty, which is empty"):
        secret({"A_FILE": str(tmp_path / "empty")}, "A")


def test_a_secret_file_open_to_all_is_told() -> None:
    with TemporaryDirectory() as name:
        file = Path(name).resolve() / "password"
        file.write_text("x")
        for folder_mode, mode, open_to_all in ((0o755, 0o644, True), (0o700, 0o644, False), (0o755, 0o640, False)):
            file.parent.chmod(folder_mode)
            file.chmod(mode)
            told = [f"A_FILE {file} can be read by every user of this machine: chmod 600 it"]
            assert exposed({"A_FILE": str(file)}, ("A", "B")) == (told if open_to_all else [])


def test_a_secret_in_a_file_stays_there_for_children(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open\n")
    env = {"A_FILE": str(tmp_path / "password")}
    assert handed_on(env, "A", "open") == {"A": "", "A_FILE": env["A_FILE"]}
    assert handed_on(env, "A", "changed") == {"A": "changed", "A_FILE": ""}
    assert handed_on({}, "A", "open") == {"A": "open", "A_FILE": ""}


def test_kafka_without_security_is_plain() -> None:
    assert kafka_security({}) == kafka_security(KAFKA) == OPEN
    assert librdkafka_settings(KafkaAccess("a:1")) == {"bootstrap.servers": "a:1", "security.protocol": "PLAINTEXT"}


def test_kafka_with_a_password_and_a_certificate(certificates: Certificates) -> None:
    named = {
        **KAFKA,
        **LOGIN,
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "KAFKA_SSL_CA_FILE": str(certificates.ca),
        "KAFKA_SSL_CERT_FILE": str(certificates.client),
        "KAFKA_SSL_KEY_FILE": str(certificates.client_key),
    }
    assert kafka_security(named) == KafkaSecurity(
        SecurityProtocol.SASL_SSL,
        SaslMechanism.SCRAM_SHA_256,
        "anna",
        "open",
        certificates.ca,
        certificates.client,
        certificates.client_key,
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (LOGIN, "set KAFKA_BOOTSTRAP_SERVERS too, the embedded Kafka takes neither TLS nor passwords"),
        ({**KAFKA, "KAFKA_SECURITY_PROTOCOL": "TLS"}, "'TLS': take one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ({**KAFKA, **LOGIN, "KAFKA_SASL_MECHANISM": "GSSAPI"}, "take one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ({**KAFKA, **LOGIN, "KAFKA_SASL_PASSWORD": ""}, "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
        (
            {**KAFKA, **LOGIN, "KAFKA_SECURITY_PROTOCOL": ""},
            "PLAINTEXT, which asks for no password: set it to SASL_SSL",
        ),
        ({**KAFKA, "KAFKA_SSL_CA_FILE": "{ca}"}, "which is not encrypted: set it to SSL or SASL_SSL"),
        (
            {**KAFKA, **LOGIN, "KAFKA_SSL_CA_FILE": "/nowhere.pem"},
            "KAFKA_SSL_CA_FILE is /nowhere.pem, which is no file",
        ),
        ({**KAFKA, **LOGIN, "KAFKA_SSL_CA_FILE": "{no_pem}"}, "which cannot be read as certificates in PEM"),
        ({**KAFKA, **LOGIN, "KAFKA_SSL_CERT_FILE": "{client}"}, "go together: set both or neither"),
        (
            {**KAFKA, **LOGIN, "KAFKA_SSL_CERT_FILE": "{client}", "KAFKA_SSL_KEY_FILE": "{server}"},
            "is not the unencrypted PEM key of",
        ),
    ],
)
def test_what_cannot_work_with_kafka_is_told(
    certificates: Certificates, tmp_path: Path, env: dict[str, str], said: str
) -> None:
    (tmp_path / "no.pem").write_text("hello")
    places = {
        "ca": certificates.ca,
        "client": certificates.client,
        "server": certificates.server,
        "no_pem": tmp_path / "no.pem",
    }
    with pytest.raises(UsageError) as told:
        kafka_security({name: value.format(**places) for name, value in env.items()})
    assert said in str(told.value)


def test_the_registrys_user_is_taken_out_of_its_address() -> None:
    env = {"SCHEMA_REGISTRY_URL": "https://anna:o%40pen@registry.example:8081/path"}
    assert registry_access(env) == ("https://registry.example:8081/path", RegistrySecurity("anna", "o@pen"))
    beside = {"SCHEMA_REGISTRY_URL": "https://r", "SCHEMA_REGISTRY_USER": "a", "SCHEMA_REGISTRY_PASSWORD": "b"}
    assert registry_access(beside) == ("https://r", RegistrySecurity("a", "b"))
    assert registry_access({}) == ("", RegistrySecurity())


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"SCHEMA_REGISTRY_USER": "a"}, "set SCHEMA_REGISTRY_URL too"),
        ({"SCHEMA_REGISTRY_URL": "registry:8081"}, "must look like https://host:8081"),
        ({"SCHEMA_REGISTRY_URL": "https://r", "SCHEMA_REGISTRY_USER": "a"}, "go together"),
        ({"SCHEMA_REGISTRY_URL": "https://a:b@r", "SCHEMA_REGISTRY_USER": "a"}, "has a user already"),
        ({"SCHEMA_REGISTRY_URL": "http://r", "SCHEMA_REGISTRY_CA_FILE": "{ca}"}, "is not encrypted: make it https://"),
    ],
)
def test_what_cannot_work_with_the_registry_is_told(certificates: Certificates, env: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as told:
        registry_access({name: value.format(ca=certificates.ca) for name, value in env.items()})
    assert said in str(told.value)


def test_clickhouses_address_gets_password_and_certificates(certificates: Certificates) -> None:
    env = {
        "CLICKHOUSE_URL": "clickhouses://anna@ch.example:9440/?compression=lz4",
        "CLICKHOUSE_PASSWORD": "o@p/en",
        "CLICKHOUSE_CA_FILE": str(certificates.ca),
    }
    split = urlsplit(clickhouse_address(env))
    assert split.netloc == "anna:o%40p%2Fen@ch.example:9440"
    assert split.query.startswith("compression=lz4&ca_certs=")
    assert clickhouse_address({"CLICKHOUSE_URL": "clickhouse://h"}) == "clickhouse://h"
    alone = {"CLICKHOUSE_URL": "clickhouse://h", "CLICKHOUSE_PASSWORD": "x"}
    assert clickhouse_address(alone) == "clickhouse://default:x@h"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CLICKHOUSE_PASSWORD": "x"}, "set CLICKHOUSE_URL too"),
        ({"CLICKHOUSE_URL": "clickhouse://a:b@h", "CLICKHOUSE_PASSWORD": "x"}, "has a password already"),
        ({"CLICKHOUSE_URL": "clickhouse://h", "CLICKHOUSE_CA_FILE": "{ca}"}, "make it clickhouses://"),
    ],
)
def test_what_cannot_work_with_clickhouse_is_told(certificates: Certificates, env: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as told:
        clickhouse_address({name: value.format(ca=certificates.ca) for name, value in env.items()})
    assert said in str(told.value)


def test_a_child_process_gets_all_of_it_and_files_stay_files(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("from a file")
    file = str(tmp_path / "password")
    named = {
        **KAFKA,
        **LOGIN,
        "KAFKA_SASL_PASSWORD": "",
        "KAFKA_SASL_PASSWORD_FILE": file,
        "KAFKA_SSL_CA_FILE": str(certificates.ca),
        "KAFKA_SSL_CERT_FILE": str(certificates.client),
        "KAFKA_SSL_KEY_FILE": str(certificates.client_key),
        "SCHEMA_REGISTRY_URL": "https://r",
        "SCHEMA_REGISTRY_USER": "a",
        "SCHEMA_REGISTRY_PASSWORD_FILE": file,
        "SCHEMA_REGISTRY_CA_FILE": str(certificates.ca),
        "CLICKHOUSE_URL": "clickhouses://h",
        "CLICKHOUSE_PASSWORD_FILE": file,
        "CLICKHOUSE_CA_FILE": str(certificates.ca),
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = settings_from_env()
    changed = replace(
        settings,
        kafka_security=replace(settings.kafka_security, sasl_password="another", cert_file=None, key_file=None),
        clickhouse_url="clickhouse://plain",
    )
    given, given_changed = environment(settings), environment(changed)
    assert "from a file" not in given.values()
    for wanted, variables in ((settings, given), (changed, given_changed)):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert settings_from_env() == wanted


def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example, localhost")
    monkeypatch.setenv("no_proxy", "")
    reach_loopback_directly()
    given = environment(settings_from_env())
    assert given["NO_PROXY"] == given["no_proxy"] == "intranet.example,localhost,127.0.0.1"
