"""A real Kafka 4.1 in KRaft mode: one process that is broker and controller."""

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Final

from schemas.errors import CityopsError, UsageError
from sinks.ports import LOOPBACK
from streams.stack.downloads import Downloads
from streams.stack.parts import KAFKA, Part, listens

FORMAT_WITHIN_S: Final = 60.0

# A broker that was killed may register again only when its old session has run out: four seconds instead of nine.
PROPERTIES: Final = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
controller.listener.names=CONTROLLER
log.dirs={folder}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
message.max.bytes=20971520
replica.fetch.max.bytes=20971520
log.message.timestamp.type=LogAppendTime
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=33554432
"""


def kafka_part(home: Path, port: int, controller_port: int, downloads: Downloads) -> Part:
    """Return how Kafka of that home is run."""
    stack = home / "stack"
    properties = stack / "kafka.properties"
    environment = {"CLASSPATH": os.pathsep.join(str(jar) for jar in downloads.kafka_jars)}
    java = str(downloads.java)

    def prepare() -> None:
        folder = stack / "kafka"
        stack.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port, folder=folder)
        properties.write_text(text, encoding="utf-8")
        if not mend(folder):
            _format(java, properties, folder, environment)

    return Part(
        name=KAFKA,
        command=(
            java, "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "kafka.Kafka", str(properties),
        ),
        port=port,
        folder=stack,
        log=home / "logs" / "kafka.log",
        ready=lambda: listens(port),
        prepare=prepare,
        environment=environment,
    )  # fmt: skip


def mend(folder: Path) -> bool:
    """Bring the log folder into a state Kafka can start from; return False when it has to be formatted.

    A copy of meta.properties stands beside the folder from the moment formatting was complete. A folder that has lost
    its own gets it back; a folder without a copy never held a record, unless somebody brought it: then UsageError.
    """
    meta, copy = folder / "meta.properties", _copy_of_meta(folder)
    if _is_whole(meta) and _is_whole(copy) and meta.read_bytes() == copy.read_bytes():
        return True
    if _is_whole(copy) and (folder / "__cluster_metadata-0").exists():
        shutil.copyfile(copy, meta)
        return True
    if folder.exists() and any(path.is_dir() for path in folder.iterdir()):
        raise UsageError(
            f"the Kafka folder {folder} holds records but no proof of a complete format: "
            "put back its meta.properties, or remove the folder to start empty"
        )
    shutil.rmtree(folder, ignore_errors=True)
    copy.unlink(missing_ok=True)
    return False


def _copy_of_meta(folder: Path) -> Path:
    return folder.with_name("kafka-meta.properties")


def _is_whole(meta: Path) -> bool:
    """Tell whether a meta.properties names its cluster, directory and node."""
    try:
        names = {line.partition("=")[0] for line in meta.read_text(encoding="utf-8").splitlines()}
    except (OSError, UnicodeDecodeError):
        return False
    return {"version", "cluster.id", "directory.id", "node.id"} <= names


def _format(java: str, properties: Path, folder: Path, environment: dict[str, str]) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
    tool = (java, "-Xmx128m", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format")
    done = subprocess.run(
        (*tool, "-t", cluster_id, "-c", str(properties)),
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=FORMAT_WITHIN_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise CityopsError(f"Kafka's folder {folder} could not be formatted: {(done.stderr or done.stdout)[-500:]}")
    shutil.copyfile(folder / "meta.properties", _copy_of_meta(folder))
