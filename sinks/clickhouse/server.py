"""A real ClickHouse server without an installation: the one inside the chdb-core wheel, as a child process."""

import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from schemas.errors import CityopsError, UsageError
from sinks.ports import LOOPBACK, free_port

USER: Final = "cityops"
CHILD: Final = Path(__file__).with_name("server_child.py")
READY_WITHIN_S: Final = 30.0
STARTS: Final = 3
PORT_TAKEN: Final = "Address already in use"
STOP_WITHIN_S: Final = 4.0

CONFIG: Final = """<clickhouse>
  <tcp_port>{tcp_port}</tcp_port>
  <http_port>{http_port}</http_port>
  <listen_host>127.0.0.1</listen_host>
  <users_config>users.xml</users_config>
  <timezone>UTC</timezone>
  <logger>
    <level>information</level>
    <log>{log}</log>
    <size>10M</size>
    <count>2</count>
  </logger>
  <mark_cache_size>134217728</mark_cache_size>
  <max_server_memory_usage_to_ram_ratio>0.4</max_server_memory_usage_to_ram_ratio>
</clickhouse>
"""

# The server opens one session of `default` for itself before it listens and holds it while it runs:
# one session at most keeps everybody else from coming in by that name.
USERS: Final = """<clickhouse>
  <profiles>
    <default></default>
    <only_the_server><max_sessions_for_user>1</max_sessions_for_user></only_the_server>
  </profiles>
  <users>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>only_the_server</profile>
    </default>
    <{user}>
      <password_sha256_hex>{password_sha256}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
    </{user}>
  </users>
</clickhouse>
"""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """How to run the server of one folder: its command, which stops when its standard input ends, and its addresses."""

    command: tuple[str, ...]
    password: str
    tcp_port: int
    http_port: int

    @property
    def url(self) -> str:
        """Return the native protocol's address: clickhouse://user:password@127.0.0.1:port."""
        return f"clickhouse://{USER}:{self.password}@{LOOPBACK}:{self.tcp_port}"

    def ready(self) -> bool:
        """Tell whether the server answers a query of its user."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.http_port}/?query=SELECT%201",
            headers={"X-ClickHouse-User": USER, "X-ClickHouse-Key": self.password},
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                return bool(answer.read() == b"1\n")
        except (OSError, urllib.error.URLError):
            return False


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that this process started."""

    plan: ServerPlan
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Return clickhouse://user:password@127.0.0.1:port."""
        return self.plan.url

    @property
    def tcp_port(self) -> int:
        """Return the native protocol's port."""
        return self.plan.tcp_port

    @property
    def http_port(self) -> int:
        """Return the HTTP port."""
        return self.plan.http_port

    def stop(self) -> None:
        """End the server cleanly, or by force when it takes longer than four seconds."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def plan_server(folder: Path, log: Path | None = None) -> ServerPlan:
    """Write the configuration of the server of `folder` and say how to run it.

    Password and ports are made once and kept in the folder (mode 0600); a port that something else holds is replaced.
    Raises UsageError where chdb-core is not installed.
    """
    if importlib.util.find_spec("chdb") is None:
        raise UsageError(
            "the embedded ClickHouse is not installed: run `pip install 'cityops[embedded]'` or set CLICKHOUSE_URL"
        )
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = _read_kept(folder / "server.json")
    plan = ServerPlan(
        command=(sys.executable, "-I", str(CHILD), str(folder)),
        password=str(kept.get("password") or secrets.token_urlsafe(24)),
        tcp_port=free_port(_port(kept.get("tcp_port"))),
        http_port=free_port(_port(kept.get("http_port"))),
    )
    addresses = {"password": plan.password, "tcp_port": plan.tcp_port, "http_port": plan.http_port}
    _write_private(folder / "server.json", json.dumps(addresses))
    log_path = escape(str((log or folder / "server.log").resolve()))
    _write_private(folder / "config.xml", CONFIG.format(tcp_port=plan.tcp_port, http_port=plan.http_port, log=log_path))
    digest = hashlib.sha256(plan.password.encode()).hexdigest()
    _write_private(folder / "users.xml", USERS.format(user=USER, password_sha256=digest))
    return plan


def start_server(folder: Path) -> RunningServer:
    """Start the server of `folder` and wait until it answers; it ends with this process.

    A port that somebody took between choosing it and listening is replaced by another.
    Raises CityopsError when it does not come up, above all when another server holds the folder.
    """
    said = ""
    for _ in range(STARTS):
        plan = plan_server(folder)
        with (folder / "child.log").open("wb") as output:
            process = subprocess.Popen(plan.command, stdin=subprocess.PIPE, stdout=output, stderr=output)
        server = RunningServer(plan, process)
        give_up_at_s = time.monotonic() + READY_WITHIN_S
        while process.poll() is None and time.monotonic() < give_up_at_s:
            if plan.ready():
                return server
            time.sleep(0.05)
        server.stop()
        said = (folder / "child.log").read_text(encoding="utf-8", errors="replace").strip()[-500:]
        if PORT_TAKEN not in said:
            break
    raise CityopsError(f"the ClickHouse server of {folder} did not start (does another hold it?): {said}")


def _port(value: str | int | None) -> int | None:
    return int(value) if value is not None else None


def _read_kept(path: Path) -> dict[str, str | int]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
