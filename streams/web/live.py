"""What is live for whoever looks: starts a tail with the first, ends it some time after the last.

Everything here runs on the worker's loop; the tail's thread only hands in what it found.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from aiohttp import web

from schemas.codec import Codec
from schemas.errors import Retryable
from schemas.records import Incident
from streams.settings import Settings
from streams.web.clients import Client, Encode, Event, framed
from streams.web.history import MOST_BEHIND, log_begin, read_changes
from streams.web.incident_book import IncidentBook, Published
from streams.web.status import StatusEvents
from streams.web.tail import News, Tail
from streams.web.vehicles import VehicleTable

IDLE_S: Final = 120.0
"""Longer than those who poll a feed wait between two questions."""
READY_S: Final = 10.0
STATUS_EVERY_S: Final = 2.0
MOST_CLIENTS: Final = 256


class Live:
    """The tail while it runs, what it found, and the clients that are told."""

    def __init__(self, settings: Settings, codec: Callable[[], Codec | None], status: StatusEvents) -> None:
        self._settings, self._codec, self._status = settings, codec, status
        self._clients: set[Client] = set()
        self._tail: Tail | None = None
        self._caught_up = asyncio.Event()
        self._used_s = 0.0
        self._waiting = 0
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False
        self.vehicles = VehicleTable()
        self.book = IncidentBook()

    @property
    def tailing(self) -> bool:
        """Whether a thread reads the log now."""
        return self._tail is not None

    async def ready(self) -> None:
        """Return once what is kept here is current. Raises Retryable when that takes too long."""
        codec = self._codec()
        if codec is None:
            raise Retryable("The worker is starting.")
        if self._tail is None and not self._closed:
            self._start(codec)
        self._waiting += 1
        try:
            await asyncio.wait_for(self._caught_up.wait(), READY_S)
        except TimeoutError:
            raise Retryable("The worker is still reading what is current.") from None
        finally:
            self._waiting -= 1
            self._used_s = time.monotonic()

    async def stream_changes(
        self, request: web.Request, encode: Encode, event: str, *, page: bool = False
    ) -> web.StreamResponse:
        """Answer with a stream of changes, resumed behind Last-Event-ID (or ?after=).

        encode: the body of one change, None = not this one. event: the events' name. page: vehicles and status too,
        and the current list where there is nothing to resume from.
        Raises Retryable when there is nothing to tell yet, or there are too many clients.
        """
        await self.ready()
        if len(self._clients) >= MOST_CLIENTS:
            raise Retryable(f"{MOST_CLIENTS} streams are open already.")
        client = Client(encode, event, moving=page)
        missed = await self._missed(last_event_id(request))
        first = self._first(client, missed, resuming=last_event_id(request) is not None, page=page)
        self._clients.add(client)  # in one step with what was missed: nothing comes in between
        try:
            if page:
                told = await asyncio.get_running_loop().run_in_executor(None, self.vehicles.everything)
                client.vehicles_from = told.number
                first += [framed("vehicles", told.body), framed("status", self._status.body(self.vehicles.clock_ms))]
            return await client.serve(request, first)
        finally:
            self._clients.discard(client)
            self._used_s = time.monotonic()

    def close(self) -> None:
        """End every stream and the tail."""
        self._closed = True
        for client in list(self._clients):
            client.drop()
        if self._ticking is not None:
            self._ticking.cancel()
        self._end()

    # --- what was missed --------------------------------------------------------------------------------------------

    async def _missed(self, after: int | None) -> list[Published] | None:
        """Return the changes behind an offset; None = nothing to resume from, or it is gone from the log."""
        if after is None or after > self.book.cursor:
            return None
        kept = self.book.after(after)
        if kept is not None:
            return kept
        loop = asyncio.get_running_loop()
        codec, until = self._codec(), self.book.began
        assert codec is not None
        assert until is not None
        begin = await loop.run_in_executor(None, log_begin, self._settings)
        if after + 1 < begin or until - after > MOST_BEHIND:
            return None
        older = await loop.run_in_executor(None, read_changes, self._settings, codec, after, until)
        kept = self.book.after(until - 1)
        return None if kept is None else [*older, *kept]

    def _first(self, client: Client, missed: Sequence[Published] | None, *, resuming: bool, page: bool) -> list[bytes]:
        if missed is not None:
            return [frame for one in missed if (frame := client.change(one)) is not None]
        if page:
            return [framed("reset", msgspec.json.encode(self.book.current()), self.book.cursor)]
        cursor = self.book.cursor
        return [framed("reset", msgspec.json.encode({"cursor": cursor}), cursor)] if resuming else []

    # --- the tail ---------------------------------------------------------------------------------------------------

    def _start(self, codec: Codec) -> None:
        loop = asyncio.get_running_loop()
        self.vehicles, self.book, self._caught_up = VehicleTable(), IncidentBook(), asyncio.Event()

        def deliver(news: News) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has ended
                loop.call_soon_threadsafe(self._take, tail, news)

        tail = Tail(self._settings, codec, self.vehicles, deliver)
        self._tail = tail
        tail.start()
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    def _end(self) -> None:
        if self._tail is not None:
            self._tail.stop()
        self._tail = None

    def _take(self, tail: Tail, news: News) -> None:
        if tail is not self._tail:
            return
        if news.began is not None:
            self.book.begin(news.began)
        self.book.take_incidents(news.incidents)
        fresh = self.book.take_changes(news.changes)
        if news.caught_up:
            self._caught_up.set()
        event = None if news.vehicles is None else Event(framed("vehicles", news.vehicles.body), news.vehicles.number)
        for client in list(self._clients):
            client.tell(fresh)
            if event is not None and client.moving:
                client.offer(event)

    async def _tick(self) -> None:
        """Tell the status; end the tail when nobody has looked for long."""
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            if self._clients:
                event = Event(framed("status", self._status.body(self.vehicles.clock_ms)))
                for client in list(self._clients):
                    if client.moving:
                        client.offer(event)
            elif self._tail is not None and not self._waiting and time.monotonic() - self._used_s > IDLE_S:
                self._end()
                self._caught_up.clear()

    def incident(self, incident_id: str) -> Incident | None:
        """Return an incident of the current list."""
        return self.book.get(incident_id)


def last_event_id(request: web.Request) -> int | None:
    """Return the offset behind which a client goes on: its header, or ?after= at the first time; None = none."""
    given = request.headers.get("Last-Event-ID") or request.query.get("after", "")
    sign = given.removeprefix("-")
    return int(given) if sign.isascii() and sign.isdigit() and len(sign) < 19 else None
