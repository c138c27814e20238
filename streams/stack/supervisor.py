"""The supervisor: `python -m streams.stack.supervisor HOME [--owner PID] [--parts DIR]` owns the children of one home.

It restarts a child that dies, writes what it sees to stack.json, stops everything on SIGTERM within five seconds, and
stops by itself when its owner is gone. One at a time per home: it holds a lock on `<home>/stack/lock`.
"""

import argparse
import dataclasses
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final

from schemas.errors import CityopsError
from sinks.clickhouse.server import plan_server
from sinks.ports import LOOPBACK, free_port
from streams.stack.downloads import Origin, fetch
from streams.stack.kafka import kafka_part
from streams.stack.parts import CLICKHOUSE, Part
from streams.stack.registry import registry_part, registry_url
from streams.stack.state import (
    PartState,
    Phase,
    Ports,
    ProcessMark,
    StackState,
    end_stale,
    mark_of,
    read_state,
    write_state,
)

LOOK_EVERY_S: Final = 0.1
ASK_EVERY_S: Final = 0.25
FIRST_BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 30.0
STEADY_AFTER_S: Final = 30.0
LOG_BYTES: Final = 20_000_000
CHILD: Final = Path(__file__).with_name("child.py")

log = logging.getLogger("cityops.stack")


class Supervised:
    """One part under supervision."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.phase = Phase.WAITING
        self.restarts = 0
        self.said = ""
        self._mark: ProcessMark | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start_at_s = 0.0
        self._next_ask_at_s = 0.0
        self._ready_at_s = 0.0
        self._back_off_s = FIRST_BACK_OFF_S

    def look(self, now_s: float, may_start: bool) -> None:
        """Do what is due at monotonic time `now_s`: start, ask whether it is ready, notice that it died."""
        if self._process is None:
            if may_start and now_s >= self._next_start_at_s:
                self._start()
        elif self._process.poll() is not None:
            self._died(now_s)
        elif self.phase is Phase.STARTING and now_s >= self._next_ask_at_s:
            self._next_ask_at_s = now_s + ASK_EVERY_S
            if self.part.ready():
                self.phase, self._ready_at_s = Phase.READY, now_s
                log.info("%s is ready on port %d", self.part.name, self.part.port)

    def state(self) -> PartState:
        """Return what stack.json says of this part."""
        return PartState(self.part.name, self.phase, self.part.port, self._mark, self.restarts, self.said)

    def ask_to_stop(self) -> None:
        """Tell the child to end."""
        if self._process is None:
            return
        if self.part.stops_on_eof and self._process.stdin is not None:
            self._process.stdin.close()
        else:
            self._process.terminate()

    def wait_stopped(self, asked_at_s: float) -> None:
        """Wait until the child has ended, by force when it takes longer than it may."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, asked_at_s + self.part.stop_within_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in time and was killed", self.part.name)
            self._process.kill()
            self._process.wait()
        self.phase, self._mark = Phase.DOWN, None

    def _start(self) -> None:
        part = self.part
        part.prepare()
        # Started from the main thread: Linux ties the child to the thread that started it.
        launch = (sys.executable, "-I", str(CHILD), str(os.getpid()), *part.command)
        with _open_log(part.log) as output:
            self._process = subprocess.Popen(
                launch, cwd=part.folder, env={**os.environ, **part.environment},
                stdin=subprocess.PIPE if part.stops_on_eof else subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._mark = mark_of(self._process.pid, part.command)
        self.phase = Phase.STARTING

    def _died(self, now_s: float) -> None:
        assert self._process is not None
        if self.phase is Phase.READY and now_s - self._ready_at_s >= STEADY_AFTER_S:
            self._back_off_s = FIRST_BACK_OFF_S
        self.said = f"ended with status {self._process.returncode}, see {self.part.log}"
        log.warning("%s %s; starting it again in %.1f s", self.part.name, self.said, self._back_off_s)
        self._process, self._mark, self.phase = None, None, Phase.DOWN
        self.restarts += 1
        self._next_start_at_s = now_s + self._back_off_s
        self._back_off_s = min(LONGEST_BACK_OFF_S, 2 * self._back_off_s)


class Supervisor:
    """All parts of one home."""

    def __init__(self, home: Path, owner_pid: int, origin: Origin) -> None:
        self._home = home
        self._owner_pid = owner_pid
        self._stopping = False
        self._written: StackState | None = None
        self._empty, parts = plan_stack(home, origin)
        self._all = [Supervised(part) for part in parts]

    def run(self) -> None:
        """Keep the parts running until SIGTERM, SIGINT or the owner's end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_stopping", True))
        try:
            while not self._stopping and self._owner_pid in (0, os.getppid()):
                self._look()
                time.sleep(LOOK_EVERY_S)
        finally:
            self._stop()

    def _look(self) -> None:
        now_s = time.monotonic()
        ready = {one.part.name for one in self._all if one.phase is Phase.READY}
        for one in self._all:
            one.look(now_s, may_start=not one.part.after or one.part.after in ready)
            self._write()

    def _stop(self) -> None:
        asked_at_s = time.monotonic()
        for one in self._all:
            one.ask_to_stop()
        for one in self._all:
            one.wait_stopped(asked_at_s)
        state = dataclasses.replace(self._empty, supervisor=None, parts=tuple(one.state() for one in self._all))
        write_state(self._home, state)
        log.info("stopped")

    def _write(self) -> None:
        state = dataclasses.replace(self._empty, parts=tuple(one.state() for one in self._all))
        if state != self._written:
            write_state(self._home, state)
            self._written = state


def plan_stack(home: Path, origin: Origin) -> tuple[StackState, tuple[Part, ...]]:
    """Choose ports, kept ones where free, and return the state without parts and how each part is run."""
    kept = read_state(home)
    downloads = fetch(lambda step: None, origin)
    clickhouse = plan_server(home / "stack" / "clickhouse", home / "logs" / "clickhouse.log")
    ports = Ports(
        kafka=free_port(kept.ports.kafka if kept else None),
        kafka_controller=free_port(kept.ports.kafka_controller if kept else None),
        registry=free_port(kept.ports.registry if kept else None),
        clickhouse=clickhouse.tcp_port,
        clickhouse_http=clickhouse.http_port,
    )
    clickhouse_part = Part(
        name=CLICKHOUSE,
        command=clickhouse.command,
        port=clickhouse.tcp_port,
        folder=home / "stack",
        log=home / "logs" / "clickhouse-child.log",
        ready=clickhouse.ready,
        stops_on_eof=True,
    )
    parts = (
        clickhouse_part,
        kafka_part(home, ports.kafka, ports.kafka_controller, downloads),
        registry_part(home, ports.registry, ports.kafka, downloads),
    )
    state = StackState(
        supervisor=mark_of(os.getpid(), tuple(sys.orig_argv[1:])),
        ports=ports,
        kafka_bootstrap_servers=f"{LOOPBACK}:{ports.kafka}",
        schema_registry_url=registry_url(ports.registry),
        clickhouse_url=clickhouse.url,
        parts=(),
    )
    return state, parts


def _open_log(path: Path) -> IO[bytes]:
    """Open a log for appending, with the old one set aside when it has grown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def main() -> int:
    """Supervise one home; exit status 3 when another supervisor holds it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--owner", type=int, default=0, help="stop when this parent is gone; 0 = nobody's")
    parser.add_argument("--parts", type=Path, help="folder of `cityops stack fetch`")
    arguments = parser.parse_args()
    home: Path = arguments.home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    (home / "stack").mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "stack" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 3
        try:
            stale = read_state(home)
            if stale is not None and (ended := end_stale(stale)):
                log.warning("ended what an earlier supervisor left behind: %s", ", ".join(ended))
            Supervisor(home, arguments.owner, Origin(arguments.parts)).run()
        except CityopsError as error:
            log.error("%s", error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
