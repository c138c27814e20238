"""What the embedded stack is doing, as `<home>/stack/stack.json` tells it (mode 0600: it holds a password)."""

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import psutil

SAME_START_WITHIN_S: Final = 2.0
END_WITHIN_S: Final = 2.0
LOOK_AGAIN_S: Final = 0.02


class Phase(StrEnum):
    """What a part is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """What tells one process from every other: pid, start time (UTC epoch seconds) and command line."""

    pid: int
    started_at_s: float
    command: tuple[str, ...]

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs; a pid that went to another program is not it."""
        try:
            process = psutil.Process(self.pid)
            same_start = abs(process.create_time() - self.started_at_s) < SAME_START_WITHIN_S
            same_command = tuple(process.cmdline()[-len(self.command) :]) == self.command
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same_start and same_command and alive else None

    def end(self, within_s: float = END_WITHIN_S) -> None:
        """End the process if it still runs, by force after `within_s`."""
        process = self.process()
        if process is None:
            return
        process.terminate()
        if not self._ends(within_s):
            process.kill()
            self._ends(within_s)

    def _ends(self, within_s: float) -> bool:
        """Wait until it runs no more; a zombie that its parent has not asked for yet does not."""
        until_s = time.monotonic() + within_s
        while self.process() is not None:
            if time.monotonic() > until_s:
                return False
            time.sleep(LOOK_AGAIN_S)
        return True


@dataclass(frozen=True, slots=True)
class PartState:
    """One part: Kafka, the registry or ClickHouse."""

    name: str
    phase: Phase
    port: int
    mark: ProcessMark | None
    restarts: int
    said: str = ""
    """Why it last went down."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports chosen at the first start and kept where free."""

    kafka: int
    kafka_controller: int
    registry: int
    clickhouse: int
    clickhouse_http: int


@dataclass(frozen=True, slots=True)
class StackState:
    """The whole stack; `supervisor` is None once it went down in order."""

    supervisor: ProcessMark | None
    ports: Ports
    kafka_bootstrap_servers: str
    schema_registry_url: str
    clickhouse_url: str
    parts: tuple[PartState, ...]

    def part(self, name: str) -> PartState:
        """Return the part of that name."""
        return next(part for part in self.parts if part.name == name)

    @property
    def running(self) -> bool:
        """Tell whether the supervisor lives."""
        return self.supervisor is not None and self.supervisor.process() is not None


@dataclass(frozen=True, slots=True)
class PartReport:
    """One line of `cityops stack status`; None = it does not run."""

    name: str
    phase: Phase
    ready: bool
    pid: int | None
    port: int | None
    uptime_s: float | None
    restarts: int
    said: str


def report(state: StackState | None) -> tuple[PartReport, ...]:
    """Return what runs now, the supervisor first; the state file may be older than the truth."""
    if state is None:
        return (_report_of("supervisor", Phase.DOWN, None, None, 0, ""),)
    supervisor = _report_of("supervisor", Phase.READY, state.supervisor, None, 0, "")
    parts = (_report_of(part.name, part.phase, part.mark, part.port, part.restarts, part.said) for part in state.parts)
    return (supervisor, *parts)


def _report_of(
    name: str, phase: Phase, mark: ProcessMark | None, port: int | None, restarts: int, said: str
) -> PartReport:
    runs = mark is not None and mark.process() is not None
    if not runs and phase is not Phase.WAITING:
        phase = Phase.DOWN
    pid = mark.pid if mark is not None and runs else None
    uptime_s = round(time.time() - mark.started_at_s, 1) if mark is not None and runs else None
    return PartReport(name, phase, runs and phase is Phase.READY, pid, port, uptime_s, restarts, said)


def mark_of(pid: int, command: tuple[str, ...]) -> ProcessMark:
    """Return the mark of a process that runs now."""
    try:
        started_at_s = psutil.Process(pid).create_time()
    except psutil.Error:
        started_at_s = time.time()
    return ProcessMark(pid, started_at_s, command)


def state_path(home: Path) -> Path:
    """Return where the state of that home is kept."""
    return home / "stack" / "stack.json"


def read_state(home: Path) -> StackState | None:
    """Return the last known state, or None when there is none or it cannot be read."""
    try:
        return msgspec.json.decode(state_path(home).read_bytes(), type=StackState)
    except (OSError, msgspec.MsgspecError):
        return None


def write_state(home: Path, state: StackState) -> None:
    """Replace the state in one step, readable by its owner only."""
    path = state_path(home)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(state), indent=1))
    fresh.replace(path)


def end_stale(state: StackState) -> list[str]:
    """End what an earlier supervisor left behind; return the names of what was ended."""
    ended = []
    for part in state.parts:
        if part.mark is not None and part.mark.process() is not None:
            part.mark.end()
            ended.append(part.name)
    return ended
