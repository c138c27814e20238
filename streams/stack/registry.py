"""A real schema registry: Apicurio 3.0.9, with its state in Kafka."""

from pathlib import Path
from typing import Final

from sinks.ports import LOOPBACK
from streams.stack.downloads import REGISTRY_JAR, Downloads
from streams.stack.parts import KAFKA, REGISTRY, Part, answers

CONFLUENT_API: Final = "/apis/ccompat/v7"


def registry_url(port: int) -> str:
    """Return the address that Confluent's clients use."""
    return f"http://{LOOPBACK}:{port}{CONFLUENT_API}"


def registry_part(home: Path, port: int, kafka_port: int, downloads: Downloads) -> Part:
    """Return how the registry of that home is run."""
    stack = home / "stack"
    return Part(
        name=REGISTRY,
        command=(
            str(downloads.java), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError", f"-Dcityops.home={stack}",  # tells this home's process from another's
            "-jar", str(downloads.registry_folder / REGISTRY_JAR),
        ),
        port=port,
        folder=stack,
        log=home / "logs" / "registry.log",
        ready=lambda: answers(f"{registry_url(port)}/subjects"),
        environment={
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(port),
            "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
            "QUARKUS_LOG_LEVEL": "WARN",
            "APICURIO_STORAGE_KIND": "kafkasql",
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{kafka_port}",
        },
        after=KAFKA,
        stop_within_s=1.5,  # it holds nothing of its own, and hangs when it is stopped in the middle of its start
    )  # fmt: skip
