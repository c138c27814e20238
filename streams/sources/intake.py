"""Takes the messages of one source in: read, sent, counted; what is refused is kept with its reason."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from processors.sources.contract import Format, Found, LeftOut, ReadOptions, Refused
from processors.sources.formats import reader_of
from schemas.codec import Codec
from streams.sending import RecordSender
from streams.settings import LIVE, Settings

SETTLE_S: Final = 0.02
REFUSED_FILE_BYTES: Final = 64_000_000


class SourceState(msgspec.Struct):
    """How a source is; times in UTC epoch milliseconds, 0 = never.

    state: connecting, running, waiting (for the source), stopped. records: read; sent: acknowledged by Kafka.
    """

    name: str
    type: str
    format: str
    state: str = "connecting"
    since_ms: int = 0
    seen_ms: int = 0
    messages: int = 0
    unchanged: int = 0
    records: int = 0
    sent: int = 0
    refused: int = 0
    left_out: int = 0
    failures: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one body held."""

    records: int
    refused: tuple[Refused, ...]


class _RefusedLine(msgspec.Struct, frozen=True):
    at_ms: int
    path: str
    line: int
    errors: tuple[str, ...]
    text: str


class Intake:
    """One source's way into Kafka."""

    def __init__(self, settings: Settings, codec: Codec, name: str, kind: str, form: Format) -> None:
        self.state = SourceState(name, kind, str(form))
        self._form = form
        self._reader = reader_of(form, ReadOptions(), name)
        self._sender = RecordSender(settings, codec, source=name)
        self._refused = refused_path(settings, name)
        self._one_at_a_time = asyncio.Lock()

    async def take(self, body: bytes, path: str) -> Taken:
        """Read and queue what a source handed over at once; return what it held.

        Waits while Kafka takes nothing, which is the back-pressure.
        """
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._take, body, path)

    async def settled(self, within_s: float | None = None) -> bool:
        """Wait until Kafka has acknowledged all that was queued so far; tell whether it has, in time."""
        want, until_s = self._sender.sent, None if within_s is None else time.monotonic() + within_s
        while self._sender.acknowledged < want:
            if until_s is not None and time.monotonic() > until_s:
                return False
            await asyncio.sleep(SETTLE_S)
        return True

    def goes(self, state: str, error: str = "") -> None:
        """Take note of what the source does now."""
        if state != self.state.state:
            self.state.state, self.state.since_ms = state, _now_ms()
        self.state.error = error
        self.state.failures = self.state.failures + 1 if error else 0

    def report(self) -> SourceState:
        """Return how the source is."""
        self.state.sent = self._sender.acknowledged
        return self.state

    async def close(self) -> None:
        """Wait a little for what is queued and let go."""
        self.goes("stopped")
        await asyncio.to_thread(self._sender.close, 5.0)
        self.report()

    def _take(self, body: bytes, path: str) -> Taken:
        state, before = self.state, self.state.records
        refused: list[Refused] = []
        state.seen_ms = _now_ms()
        for line, message in enumerate(messages_of(body, self._form), start=1):
            state.messages += 1
            for item in self._reader.read(message, path, line):
                match item:
                    case Found():
                        state.records += 1
                        self._sender.send(item.record)
                    case LeftOut():
                        state.left_out += 1
                    case Refused():
                        refused.append(item)
        state.refused += len(refused)
        if refused:
            self._keep(refused)
        return Taken(state.records - before, tuple(refused))

    def _keep(self, refused: list[Refused]) -> None:
        self._refused.parent.mkdir(parents=True, exist_ok=True)
        if self._refused.exists() and self._refused.stat().st_size > REFUSED_FILE_BYTES:
            self._refused.replace(self._refused.with_suffix(".1.jsonl"))
        with self._refused.open("ab") as out:
            for one in refused:
                out.write(
                    msgspec.json.encode(_RefusedLine(_now_ms(), one.path, one.line, one.errors, one.text)) + b"\n"
                )


def messages_of(body: bytes, form: Format) -> Iterator[bytes]:
    """Yield the messages of a body: one, or the lines of a body that holds a JSON object a line."""
    if form is not Format.GTFS_RT:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.strip()[:1] == b"{" and line.strip()[-1:] == b"}" for line in lines):
            yield from lines
            return
    yield body


def refused_path(settings: Settings, name: str) -> Path:
    """Return the file that keeps what a source sent and was refused."""
    return settings.home / "runs" / (settings.run or LIVE) / "sources" / f"{name}.refused.jsonl"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
