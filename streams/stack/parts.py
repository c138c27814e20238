"""How one part of the embedded stack is run: what a supervisor needs to know of it."""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sinks.ports import LOOPBACK

KAFKA: Final = "kafka"
REGISTRY: Final = "registry"
CLICKHOUSE: Final = "clickhouse"
ASK_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    prepare: called before every start; mends and formats what it must.
    ready: asks the part whether it does its work.
    after: name of a part that has to be ready first, or "".
    stops_on_eof: ends cleanly when its standard input ends; otherwise on SIGTERM.
    stop_within_s: how long it may take to end before it is killed.
    """

    name: str
    command: tuple[str, ...]
    port: int
    folder: Path
    log: Path
    ready: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    environment: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    stops_on_eof: bool = False
    stop_within_s: float = 4.0


def listens(port: int) -> bool:
    """Tell whether something accepts connections on that loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), ASK_WITHIN_S):
            return True
    except OSError:
        return False


def answers(url: str) -> bool:
    """Tell whether a GET of that URL succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=ASK_WITHIN_S) as answer:  # noqa: S310 (always http on loopback)
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
