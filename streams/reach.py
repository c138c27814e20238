"""Is Kafka there? Asked with a plain connection, before anything that would wait or complain at length."""

import logging
import socket
import time
from typing import Final

from schemas.errors import UsageError
from streams.settings import Settings

CONNECT_S: Final = 3.0
ASK_AGAIN_S: Final = 2.0

log = logging.getLogger(__name__)


def answering(settings: Settings) -> Settings:
    """Return the settings if a broker takes connections. Raises UsageError in one sentence."""
    if not _answers(settings.kafka_bootstrap_servers):
        raise UsageError(
            f"no Kafka answers at {settings.kafka_bootstrap_servers}: "
            "check KAFKA_BOOTSTRAP_SERVERS or run `cityops stack status`"
        )
    return settings


def wait_answering(settings: Settings) -> None:
    """Wait, visibly, until a broker takes connections."""
    while not _answers(settings.kafka_bootstrap_servers):
        log.warning("no Kafka answers at %s; waiting", settings.kafka_bootstrap_servers)
        time.sleep(ASK_AGAIN_S)


def _answers(servers: str) -> bool:
    return any(_connects(server.strip()) for server in servers.split(","))


def _connects(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_S):
            return True
    except (OSError, ValueError):
        return False
