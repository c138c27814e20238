"""Start, find and stop the embedded stack of a home."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from schemas.errors import CityopsError, UsageError
from streams.settings import PROJECT, Settings
from streams.stack.bars import shown_on
from streams.stack.downloads import OnProgress, Origin, Step, fetch
from streams.stack.parts import CLICKHOUSE, KAFKA, REGISTRY
from streams.stack.state import Phase, StackState, end_stale, read_state, write_state

READY_WITHIN_S: Final = 120.0
STOP_WITHIN_S: Final = 5.0
TOO_MANY_RESTARTS: Final = 3
ANOTHER_HOLDS_THE_HOME: Final = 3
"""Exit status of a supervisor that found another at work."""


@dataclass(frozen=True, slots=True)
class StackHandle:
    """A running stack; `stop` leaves one that somebody else started alone.

    settings: those it was started with, with the three addresses filled in.
    """

    settings: Settings
    supervisor: subprocess.Popen[bytes] | None

    @property
    def owned(self) -> bool:
        """Tell whether this handle started the stack."""
        return self.supervisor is not None

    def state(self) -> StackState | None:
        """Return what the stack is doing now."""
        return read_state(self.settings.home)

    def stop(self) -> None:
        """Stop the stack within five seconds if this handle started it."""
        if self.owned:
            stop_stack(self.settings.home)


def start_stack(
    settings: Settings,
    console: Console | None = None,
    *,
    wait_registry: bool = True,
    detached: bool = False,
) -> StackHandle:
    """Start the stack of `settings.home`, or find it running, and wait until Kafka and ClickHouse are ready.

    Where all three addresses are set those servers are used and nothing is started.
    console: shows downloads and parts as they become ready.
    wait_registry: wait for the registry too (some ten seconds more).
    detached: it outlives this process; otherwise it stops when this process ends, however it ends.
    Raises UsageError where the embedded packages are missing, CityopsError when a part does not come up.
    """
    if settings.kafka_bootstrap_servers and settings.schema_registry_url and settings.clickhouse_url:
        return StackHandle(settings, None)
    home = settings.home.resolve()
    wanted = (KAFKA, CLICKHOUSE, REGISTRY) if wait_registry else (KAFKA, CLICKHOUSE)
    state = read_state(home)
    supervisor: subprocess.Popen[bytes] | None = None
    with shown_on(console) as on_progress:
        if state is None or not state.running:
            origin = Origin(settings.stack_parts, settings.maven_url)
            fetch(on_progress, origin)
            supervisor = _spawn(home, 0 if detached else os.getpid(), origin)
        try:
            state = _wait_ready(home, supervisor, wanted, on_progress)
        except BaseException:
            if supervisor is not None and supervisor.poll() is None:
                supervisor.terminate()
                supervisor.wait(STOP_WITHIN_S + 1)
            raise
    lost_the_race = supervisor is not None and supervisor.poll() == ANOTHER_HOLDS_THE_HOME
    return StackHandle(_filled(settings, state), None if lost_the_race else supervisor)


def endpoints(settings: Settings) -> Settings:
    """Return the settings with all three addresses: those set win, the running stack gives the others.

    Raises UsageError when one is missing and the stack is not running.
    """
    variables = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
        "CLICKHOUSE_URL": settings.clickhouse_url,
    }
    missing = [name for name, address in variables.items() if not address]
    if not missing:
        return settings
    state = read_state(settings.home)
    if state is not None and state.running:
        return _filled(settings, state)
    if "KAFKA_BOOTSTRAP_SERVERS" in missing:
        raise UsageError(
            "no Kafka is set and the embedded stack is not running: "
            "run `cityops stack up` or set KAFKA_BOOTSTRAP_SERVERS"
        )
    raise UsageError(
        f"the embedded stack is not running: run `cityops stack up` or set {' and '.join(missing)}",
    )


def stop_stack(home: Path) -> bool:
    """Stop the stack of that home within five seconds, whoever started it; return False when nothing ran."""
    state = read_state(home)
    if state is None:
        return False
    was_running = state.running
    if state.supervisor is not None:
        state.supervisor.end(within_s=STOP_WITHIN_S)
    left = end_stale(state)
    after = read_state(home)
    if after is not None and after.supervisor is not None:
        parts = tuple(replace(part, phase=Phase.DOWN, mark=None) for part in after.parts)
        write_state(home, replace(after, supervisor=None, parts=parts))
    return was_running or bool(left)


def _filled(settings: Settings, state: StackState) -> Settings:
    return replace(
        settings,
        kafka_bootstrap_servers=settings.kafka_bootstrap_servers or state.kafka_bootstrap_servers,
        schema_registry_url=settings.schema_registry_url or state.schema_registry_url,
        clickhouse_url=settings.clickhouse_url or state.clickhouse_url,
    )


def _spawn(home: Path, owner_pid: int, origin: Origin) -> subprocess.Popen[bytes]:
    (home / "logs").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "streams.stack.supervisor", str(home), "--owner", str(owner_pid)]
    if origin.parts is not None:
        command += ["--parts", str(origin.parts)]
    with (home / "logs" / "supervisor.log").open("ab") as output:
        # A session of its own: the terminal's Ctrl-C is for this process, which then stops the stack in order.
        return subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def _wait_ready(
    home: Path, supervisor: subprocess.Popen[bytes] | None, wanted: tuple[str, ...], on_progress: OnProgress
) -> StackState:
    give_up_at_s = time.monotonic() + READY_WITHIN_S
    told: set[str] = set()
    while time.monotonic() < give_up_at_s:
        state = read_state(home)
        if supervisor is not None and supervisor.poll() not in (None, ANOTHER_HOLDS_THE_HOME):
            raise CityopsError(f"the embedded stack did not start: {_last_line(home / 'logs' / 'supervisor.log')}")
        if state is not None and state.running and state.parts:
            ready = {part.name for part in state.parts if part.phase is Phase.READY}
            for name in sorted(ready - told):
                on_progress(Step(f"{name} is ready"))
            told |= ready
            if ready.issuperset(wanted):
                return state
            _refuse_hopeless(state, wanted)
        elif supervisor is None:
            raise CityopsError("the embedded stack stopped while it was being started: run `cityops stack up` again")
        time.sleep(0.1)
    raise CityopsError(f"the embedded stack was not ready after {READY_WITHIN_S:.0f} s: see {home / 'logs'}")


def _refuse_hopeless(state: StackState, wanted: tuple[str, ...]) -> None:
    for name in wanted:
        part = state.part(name)
        if part.restarts >= TOO_MANY_RESTARTS and part.phase is not Phase.READY:
            raise CityopsError(f"{name} does not start: it {part.said}")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
