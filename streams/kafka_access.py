"""Where Kafka is and how one is let in, said once and put into the words of each of the three clients."""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class SecurityProtocol(StrEnum):
    """How a broker is spoken to, in Kafka's own words."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def encrypted(self) -> bool:
        """Tell whether it is TLS."""
        return self in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)

    @property
    def with_password(self) -> bool:
        """Tell whether it asks for a user and a password."""
        return self in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)


class SaslMechanism(StrEnum):
    """How the password is shown to a broker."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How one is let in.

    ca_file: PEM of who signed the brokers' certificates; None = the system's list.
    cert_file, key_file: PEM of our own certificate and its key, where brokers ask for one.
    """

    protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    sasl_mechanism: SaslMechanism = SaslMechanism.PLAIN
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


OPEN: Final = KafkaSecurity()
"""Neither TLS nor a password, as the embedded Kafka on loopback."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The brokers (host:port, comma-separated) and how one is let in."""

    bootstrap_servers: str
    security: KafkaSecurity = OPEN


def librdkafka_settings(access: KafkaAccess) -> dict[str, Any]:
    """Return the address and security settings of confluent-kafka's clients."""
    security = access.security
    named: dict[str, Any] = {
        "bootstrap.servers": access.bootstrap_servers,
        "security.protocol": str(security.protocol),
    }
    if security.protocol.with_password:
        named |= {
            "sasl.mechanism": str(security.sasl_mechanism),
            "sasl.username": security.sasl_username,
            "sasl.password": security.sasl_password,
        }
    if security.protocol.encrypted:
        files = {
            "ssl.ca.location": security.ca_file,
            "ssl.certificate.location": security.cert_file,
            "ssl.key.location": security.key_file,
        }
        named |= {name: str(path) for name, path in files.items() if path is not None}
    return named


def kafka_python_settings(access: KafkaAccess) -> dict[str, Any]:
    """Return the address and security arguments of kafka-python's clients."""
    security = access.security
    named: dict[str, Any] = {
        "bootstrap_servers": access.bootstrap_servers.split(","),
        "security_protocol": str(security.protocol),
    }
    if security.protocol.with_password:
        named |= {
            "sasl_mechanism": str(security.sasl_mechanism),
            "sasl_plain_username": security.sasl_username,
            "sasl_plain_password": security.sasl_password,
        }
    if security.protocol.encrypted:
        named["ssl_context"] = tls_context(security)
    return named


def faust_credentials(access: KafkaAccess) -> Any:
    """Return Faust's `broker_credentials`; None = neither TLS nor a password."""
    from faust.auth import SASLCredentials, SSLCredentials  # only a worker needs Faust, which takes long to load

    security = access.security
    context = tls_context(security) if security.protocol.encrypted else None
    if security.protocol.with_password:
        return SASLCredentials(
            username=security.sasl_username,
            password=security.sasl_password,
            ssl_context=context,
            mechanism=str(security.sasl_mechanism),
        )
    return None if context is None else SSLCredentials(context)


def tls_context(security: KafkaSecurity) -> ssl.SSLContext:
    """Return a context that checks who signed the broker's certificate and that it names the broker."""
    context = ssl.create_default_context(cafile=security.ca_file)
    if security.cert_file is not None:
        context.load_cert_chain(security.cert_file, security.key_file)
    return context
