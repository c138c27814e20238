"""Workers as child processes: start one, ask it how it is, know when it has worked everything off, end it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from socket import socket
from typing import Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

from schemas.errors import UsageError
from streams import topics
from streams.health import Status
from streams.secrets import handed_on
from streams.server_settings import clickhouse_address
from streams.settings import PROJECT, Settings
from streams.topics import Topic
from streams.watching import watcher_settings

STOP_S: Final = 1.5
REFUSED: Final = 2
"""Exit status of a worker that cannot go on however often it is started; the last line of its log says why."""
TOLD: Final = "cityops: "
"""What that line begins with."""
CLICKHOUSE_IN_URL: Final = dict.fromkeys(("CLICKHOUSE_PASSWORD", "CLICKHOUSE_PASSWORD_FILE", "CLICKHOUSE_CA_FILE"), "")


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def worker_command() -> list[str]:
    """Return the command of a worker."""
    return [sys.executable, "-m", "faust", "-A", "faust_app", "worker", "-l", "info"]


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return the environment that makes a child process run with these settings."""
    named = {
        "CITYOPS_HOME": settings.home,
        "CITYOPS_STACK_PARTS": settings.stack_parts or "",
        "CITYOPS_MAVEN_URL": settings.maven_url,
        "CITYOPS_CITY": settings.city,
        "CITYOPS_GTFS": settings.gtfs or "",
        "CITYOPS_UNITS": settings.units or "",
        "CITYOPS_RULES": settings.rules or "",
        "CITYOPS_RUN": settings.run,
        "CITYOPS_SOURCE_RUN": settings.source_run,
        "CITYOPS_WEB_BIND": settings.web_bind,
        "CITYOPS_WEB_PORT": settings.web_port,
        **handed_on(os.environ, "CITYOPS_WEB_TOKEN", settings.web_token),
        "CITYOPS_WORKER_ID": settings.worker_id,
        "CITYOPS_TICKER": "on" if settings.ticker else "off",
        "CITYOPS_LATENESS_MS": settings.lateness_ms,
        "CITYOPS_FUTURE_MS": settings.future_ms,
        "CITYOPS_BLOCK_ROWS": settings.block_rows,
        "CITYOPS_BLOCK_MS": settings.block_ms,
        "CITYOPS_CHECKPOINT_MS": settings.checkpoint_ms,
        "CITYOPS_PROVISIONAL_AFTER_MS": settings.provisional_after_ms,
    }
    return {**os.environ, **_servers(settings), **{name: str(value) for name, value in named.items()}, **more}


def _servers(settings: Settings) -> dict[str, str]:
    kafka, registry = settings.kafka_security, settings.schema_registry_security
    named = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": str(kafka.protocol),
        "KAFKA_SASL_MECHANISM": str(kafka.sasl_mechanism) if kafka.protocol.with_password else "",
        "KAFKA_SASL_USERNAME": kafka.sasl_username,
        "KAFKA_SSL_CA_FILE": str(kafka.ca_file or ""),
        "KAFKA_SSL_CERT_FILE": str(kafka.cert_file or ""),
        "KAFKA_SSL_KEY_FILE": str(kafka.key_file or ""),
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "SCHEMA_REGISTRY_USER": registry.user,
        "SCHEMA_REGISTRY_CA_FILE": str(registry.ca_file or ""),
        **handed_on(os.environ, "KAFKA_SASL_PASSWORD", kafka.sasl_password),
        **handed_on(os.environ, "SCHEMA_REGISTRY_PASSWORD", registry.password),
    }
    if settings.clickhouse_url != clickhouse_address(os.environ):  # otherwise a password in a file stays there
        named |= {"CLICKHOUSE_URL": settings.clickhouse_url, **CLICKHOUSE_IN_URL}
    return named


class WorkerProcess:
    """One worker, its log and its status page."""

    def __init__(self, settings: Settings, command: Sequence[str] | None = None) -> None:
        """Start it; command: None = `worker_command`."""
        self.settings = settings
        self._command = list(command or worker_command())
        self.log_path = settings.home / "logs" / f"worker-{settings.run or 'live'}.log"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("ab")
        self.process = self._start()

    def revive(self) -> None:
        """Start it again if it has ended; it goes on from its checkpoints. Raises UsageError when it refuses to."""
        if self.process.poll() is not None:
            self._check_refused()
            self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=environment(self.settings, PYTHONUNBUFFERED="1"),
            cwd=PROJECT,  # Faust looks for modules in the working folder first: docs/adr/0007
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def status(self) -> Status | None:
        """Return what /status says; None while it does not answer."""
        settings = self.settings
        headers = {"Authorization": f"Bearer {settings.web_token}"} if settings.web_token else {}
        request = urllib.request.Request(f"{settings.web_url}/status", headers=headers)  # noqa: S310 (always http)
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read(), type=Status)
        except (OSError, urllib.error.URLError, msgspec.DecodeError):
            return None

    def wait_ready(self, timeout_s: float, on_wait: Callable[[], None] = lambda: None) -> None:
        """Wait until partitions are assigned. Raises UsageError when it refuses, ends or takes too long."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                self._check_refused()
                raise UsageError(f"the worker ended at once: read {self.log_path} ({_last_line(self.log_path)})")
            status = self.status()
            if status is not None and status.ready:
                return
            on_wait()
            time.sleep(0.1)
        raise UsageError(f"the worker was not ready after {timeout_s:.0f} s: read {self.log_path}")

    def _check_refused(self) -> None:
        said = _last_line(self.log_path)
        if self.process.poll() == REFUSED and said.startswith(TOLD):
            raise UsageError(said.removeprefix(TOLD))

    def stop(self) -> None:
        """End it: politely, then for good."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()

    def kill(self) -> None:
        """End it as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it is empty"


class Offsets:
    """Looks up the ends of partitions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer = Consumer(watcher_settings(settings.kafka))

    def ends(self, topic: Topic) -> dict[int, int]:
        """Return the next offset of each partition."""
        name = self._settings.topic(topic)
        return {
            partition: self._consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)[1]
            for partition in range(topic.partitions)
        }

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def wait_drained(
    settings: Settings,
    worker: WorkerProcess,
    input_ends: Mapping[tuple[str, int], int],
    timeout_s: float,
    on_progress: Callable[[int], None] = lambda left: None,
) -> bool:
    """Wait until a worker has worked off its input, its observations and its rows; False after `timeout_s`.

    input_ends: (topic, partition) -> offset up to which it reads.
    on_progress: called with the number of records left.
    """
    offsets = Offsets(settings)
    until = time.monotonic() + timeout_s
    quiet = 0
    try:
        while time.monotonic() < until and worker.process.poll() is None:
            left = _left(worker.status(), offsets, input_ends)
            on_progress(left)
            quiet = quiet + 1 if left == 0 else 0
            if quiet == 3:
                return True
            time.sleep(0.2)
    finally:
        offsets.close()
    return False


def _left(status: Status | None, offsets: Offsets, input_ends: Mapping[tuple[str, int], int]) -> int:
    if status is None:
        return -1
    reached = {(one.topic, one.partition): one.next_offset for one in status.sources}
    wanted = dict(input_ends)
    for topic in (topics.OBSERVATIONS, topics.ROWS):
        wanted.update({(topic.name, partition): end for partition, end in offsets.ends(topic).items()})
    return sum(max(0, end - reached.get(key, 0)) for key, end in wanted.items())
