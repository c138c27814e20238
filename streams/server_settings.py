"""How the servers are reached and entered, read from the environment and judged before anything connects.

A wrong combination is refused here, in one sentence, since the clients would each say it differently or wait for ever.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from schemas.errors import UsageError
from streams.kafka_access import OPEN, KafkaSecurity, SaslMechanism, SecurityProtocol
from streams.secrets import secret

SECRETS: Final = ("KAFKA_SASL_PASSWORD", "SCHEMA_REGISTRY_PASSWORD", "CLICKHOUSE_PASSWORD", "CITYOPS_WEB_TOKEN")
"""Each of them also as NAME_FILE."""

Env = Mapping[str, str]
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class RegistrySecurity:
    """How one is let in to the schema registry; ca_file: PEM of who signed its certificate, None = the usual list."""

    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None


def kafka_security(env: Env) -> KafkaSecurity:
    """Return how Kafka lets one in. Raises UsageError for what cannot work together."""
    named = KafkaSecurity(
        protocol=_choice(env, "KAFKA_SECURITY_PROTOCOL", SecurityProtocol.PLAINTEXT),
        sasl_mechanism=_choice(env, "KAFKA_SASL_MECHANISM", SaslMechanism.PLAIN),
        sasl_username=env.get("KAFKA_SASL_USERNAME", ""),
        sasl_password=secret(env, "KAFKA_SASL_PASSWORD"),
        ca_file=_certificates(env, "KAFKA_SSL_CA_FILE"),
        cert_file=_certificates(env, "KAFKA_SSL_CERT_FILE"),
        key_file=_file(env, "KAFKA_SSL_KEY_FILE"),
    )
    if named != OPEN and not env.get("KAFKA_BOOTSTRAP_SERVERS"):
        raise UsageError(
            "KAFKA_SECURITY_PROTOCOL and its kin are for your own Kafka: "
            "set KAFKA_BOOTSTRAP_SERVERS too, the embedded Kafka takes neither TLS nor passwords"
        )
    _refuse_sasl(env, named)
    _refuse_tls(named)
    return named


def _refuse_sasl(env: Env, named: KafkaSecurity) -> None:
    given = bool(env.get("KAFKA_SASL_MECHANISM") or named.sasl_username or named.sasl_password)
    if named.protocol.with_password:
        if not (named.sasl_username and named.sasl_password):
            raise UsageError(
                f"KAFKA_SECURITY_PROTOCOL is {named.protocol}: set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD "
                "(or KAFKA_SASL_PASSWORD_FILE)"
            )
    elif given:
        raise UsageError(
            f"KAFKA_SASL_... is set but KAFKA_SECURITY_PROTOCOL is {named.protocol}, which asks for no password: "
            "set it to SASL_SSL"
        )


def _refuse_tls(named: KafkaSecurity) -> None:
    if (named.ca_file or named.cert_file or named.key_file) and not named.protocol.encrypted:
        raise UsageError(
            f"KAFKA_SSL_... is set but KAFKA_SECURITY_PROTOCOL is {named.protocol}, which is not encrypted: "
            "set it to SSL or SASL_SSL"
        )
    if (named.cert_file is None) != (named.key_file is None):
        raise UsageError("KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE go together: set both or neither")
    if named.cert_file is not None:
        try:
            ssl.create_default_context().load_cert_chain(named.cert_file, named.key_file, password="")
        except (ssl.SSLError, OSError) as error:
            raise UsageError(
                f"KAFKA_SSL_KEY_FILE {named.key_file} is not the unencrypted PEM key of {named.cert_file}"
            ) from error


def registry_access(env: Env) -> tuple[str, RegistrySecurity]:
    """Return the registry's address, free of secrets, and how it lets one in.

    Raises UsageError for what cannot work together.
    """
    url = env.get("SCHEMA_REGISTRY_URL", "")
    user, password = env.get("SCHEMA_REGISTRY_USER", ""), secret(env, "SCHEMA_REGISTRY_PASSWORD")
    ca_file = _certificates(env, "SCHEMA_REGISTRY_CA_FILE")
    if not url:
        if user or password or ca_file:
            raise UsageError("SCHEMA_REGISTRY_USER and its kin are for your own registry: set SCHEMA_REGISTRY_URL too")
        return "", RegistrySecurity()
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise UsageError("SCHEMA_REGISTRY_URL must look like https://host:8081")
    if split.username is not None:
        if user or password:
            raise UsageError("SCHEMA_REGISTRY_URL has a user already: remove it there, or SCHEMA_REGISTRY_USER")
        user, password = unquote(split.username), unquote(split.password or "")
    if bool(user) != bool(password):
        raise UsageError("SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD go together: set both or neither")
    if ca_file is not None and split.scheme == "http":
        raise UsageError("SCHEMA_REGISTRY_CA_FILE is set but SCHEMA_REGISTRY_URL is not encrypted: make it https://...")
    bare = split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()
    return bare, RegistrySecurity(user, password, ca_file)


def clickhouse_address(env: Env) -> str:
    """Return ClickHouse's address with all that a connection needs: password, TLS, who signed its certificate.

    Raises UsageError for what cannot work together.
    """
    url = env.get("CLICKHOUSE_URL", "")
    password, ca_file = secret(env, "CLICKHOUSE_PASSWORD"), _certificates(env, "CLICKHOUSE_CA_FILE")
    if not password and ca_file is None:
        return url
    if not url:
        raise UsageError("CLICKHOUSE_PASSWORD and CLICKHOUSE_CA_FILE are for your own server: set CLICKHOUSE_URL too")
    split = urlsplit(url)
    if ca_file is not None and split.scheme != "clickhouses":
        raise UsageError("CLICKHOUSE_CA_FILE is set but CLICKHOUSE_URL is not encrypted: make it clickhouses://...")
    query = {**dict(parse_qsl(split.query)), **({"ca_certs": str(ca_file)} if ca_file is not None else {})}
    userinfo, _, host = split.netloc.rpartition("@")
    if password:
        user, _, given = userinfo.partition(":")
        if given:
            raise UsageError("CLICKHOUSE_URL has a password already: remove it there, or CLICKHOUSE_PASSWORD")
        userinfo = f"{user or 'default'}:{quote(password, safe='')}"
    netloc = f"{userinfo}@{host}" if userinfo else host
    return split._replace(netloc=netloc, query=urlencode(query)).geturl()


def _choice(env: Env, name: str, default: Choice) -> Choice:
    value = env.get(name, "") or str(default)
    kinds = type(default)
    if value not in set(kinds):
        raise UsageError(f"{name} is {value!r}: take one of {', '.join(kinds)}")
    return kinds(value)


def _file(env: Env, name: str) -> Path | None:
    value = env.get(name, "")
    if not value:
        return None
    path = Path(value).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"{name} is {path}, which is no file")
    return path


def _certificates(env: Env, name: str) -> Path | None:
    path = _file(env, name)
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(f"{name} is {path}, which cannot be read as certificates in PEM") from error
    return path
