"""Server-sent events to one client: a bounded queue, a writer, and no patience with those who do not read.

Form: html.spec.whatwg.org, 9.2 Server-sent events.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from streams.web.incident_book import Published

MOST_WAITING: Final = 32
"""Writes a client may be behind; with vehicles that is about twenty seconds."""
MOST_WAITING_BYTES: Final = 8_388_608
KEEP_OPEN_S: Final = 15.0
RECONNECT_MS: Final = 2_000
KEEP_OPEN: Final = b":\n\n"

Encode = Callable[[Published], bytes | None]
"""One change as a client wants it; None = not this one."""


@dataclass(frozen=True, slots=True)
class Event:
    """One write: framed events. vehicles_number: that of a `vehicles` event, else None."""

    frames: bytes
    vehicles_number: int | None = None


def framed(name: str, body: bytes, event_id: int | None = None) -> bytes:
    """Return an event as it goes over the wire; the body has no line breaks (JSON)."""
    number = b"" if event_id is None else b"id: %d\n" % event_id
    return b"%sevent: %s\ndata: %s\n\n" % (number, name.encode(), body)


class Client:
    """One open stream. encode: how it wants changes; event: their name; moving: whether it wants vehicles too."""

    def __init__(self, encode: Encode, event: str, *, moving: bool) -> None:
        self.moving = moving
        self.vehicles_from = 0
        """Numbers up to this one are in what it was told first."""
        self.dropped = False
        self._encode, self._event = encode, event
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(MOST_WAITING)
        self._waiting_bytes = 0
        self._writer: asyncio.Task[None] | None = None

    def change(self, published: Published) -> bytes | None:
        """Return one change framed as this client wants it."""
        body = self._encode(published)
        return None if body is None else framed(self._event, body, published.offset)

    def tell(self, published: Iterable[Published]) -> None:
        """Queue changes that were found together, as one write."""
        frames = b"".join(frame for one in published if (frame := self.change(one)) is not None)
        if frames:
            self.offer(Event(frames))

    def offer(self, event: Event) -> None:
        """Queue a write; a client whose queue is full is dropped, not waited for."""
        self._waiting_bytes += len(event.frames)
        if self._waiting.full() or self._waiting_bytes > MOST_WAITING_BYTES:
            self.drop()
        else:
            self._waiting.put_nowait(event)

    def drop(self) -> None:
        """End the stream now, whatever is still to be written."""
        self.dropped = True
        if self._writer is not None:
            self._writer.cancel()

    async def serve(self, request: web.Request, first: Iterable[bytes]) -> web.StreamResponse:
        """Write `first`, then what is offered, until the client leaves or is dropped."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        self._writer = asyncio.create_task(self._write(response, first))
        if self.dropped:
            self._writer.cancel()
        try:
            with contextlib.suppress(ConnectionError):
                await self._writer
        except asyncio.CancelledError:
            if not self.dropped:
                self._writer.cancel()
                raise
        if self.dropped and request.transport is not None:
            request.transport.abort()  # its buffer is full of what nobody reads
        return response

    async def _write(self, response: web.StreamResponse, first: Iterable[bytes]) -> None:
        await response.write(b"retry: %d\n\n" % RECONNECT_MS)
        for frame in first:
            await response.write(frame)
        while True:
            try:
                event = await asyncio.wait_for(self._waiting.get(), KEEP_OPEN_S)
            except TimeoutError:
                await response.write(KEEP_OPEN)
                continue
            self._waiting_bytes -= len(event.frames)
            if event.vehicles_number is None or event.vehicles_number > self.vehicles_from:
                await response.write(event.frames)
