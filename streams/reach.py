"""Is Kafka there, and does it let us in? Asked before anything that would wait or complain at length."""

import logging
import socket
import time
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import UsageError
from streams.kafka_access import OPEN, KafkaAccess, librdkafka_settings
from streams.settings import Settings

CONNECT_S: Final = 3.0
LOG_IN_S: Final = 5.0
LOOK_S: Final = 0.1
ASK_AGAIN_S: Final = 2.0
SILENT: Final = 0
"""librdkafka's log level: what matters comes back as an error."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why brokers that take connections do not let us in; certain: they said so, and did not merely stay silent."""

    reason: str
    certain: bool


def answering(settings: Settings) -> Settings:
    """Return the settings if a broker takes connections and lets us in. Raises UsageError in one sentence."""
    if not takes_connections(settings.kafka_bootstrap_servers):
        raise UsageError(
            f"no Kafka answers at {settings.kafka_bootstrap_servers}: "
            "check KAFKA_BOOTSTRAP_SERVERS or run `cityops stack status`"
        )
    refusal = None if settings.kafka_security == OPEN else locked_out(settings.kafka)
    if refusal is not None:
        raise UsageError(refusal.reason)
    return settings


def wait_answering(settings: Settings) -> None:
    """Wait, visibly, until a broker takes connections. Raises UsageError when it says that it never lets us in."""
    while not takes_connections(settings.kafka_bootstrap_servers):
        log.warning("no Kafka answers at %s; waiting", settings.kafka_bootstrap_servers)
        time.sleep(ASK_AGAIN_S)
    while settings.kafka_security != OPEN and (refusal := locked_out(settings.kafka)) is not None:
        if refusal.certain:
            raise UsageError(refusal.reason)
        log.warning("%s; waiting", refusal.reason)
        time.sleep(ASK_AGAIN_S)


def takes_connections(servers: str) -> bool:
    """Tell whether one of host:port,host:port takes connections."""
    return any(_connects(server.strip()) for server in servers.split(","))


def locked_out(access: KafkaAccess) -> Refusal | None:
    """Log in and return why the brokers do not let us in; None = they do."""
    said: list[KafkaError] = []
    client = AdminClient({**librdkafka_settings(access), "log_level": SILENT, "error_cb": said.append})
    give_up_at_s = time.monotonic() + LOG_IN_S
    while time.monotonic() < give_up_at_s:
        try:
            client.list_topics(timeout=LOOK_S)
        except KafkaException:
            client.poll(0)
        else:
            return None
        refusals = [refusal for error in said if (refusal := _told(error, access)) is not None]
        if refusals:
            return refusals[0]
    wants = ", and set KAFKA_SSL_CERT_FILE where brokers ask for one" if access.security.cert_file is None else ""
    return Refusal(
        f"Kafka at {access.bootstrap_servers} takes connections but does not speak {access.security.protocol} with us: "
        f"check KAFKA_SECURITY_PROTOCOL and the port{wants if access.security.protocol.encrypted else ''}",
        certain=False,
    )


def _told(error: KafkaError, access: KafkaAccess) -> Refusal | None:
    servers = access.bootstrap_servers
    if error.code() == KafkaError._AUTHENTICATION:
        return Refusal(
            f"Kafka at {servers} refuses user {access.security.sasl_username!r}: "
            "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
            certain=True,
        )
    if error.code() == KafkaError._SSL and "verif" in error.str():
        return Refusal(
            f"Kafka at {servers} shows a certificate that we do not trust or that names another host: "
            "check KAFKA_SSL_CA_FILE and KAFKA_BOOTSTRAP_SERVERS",
            certain=True,
        )
    return None


def _connects(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_S):
            return True
    except (OSError, ValueError):
        return False
