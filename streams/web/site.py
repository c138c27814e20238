"""What a worker answers: the page's API, the feeds, and how it is. docs/web-api.md lists it with examples."""

import asyncio
import functools
import gzip
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from google.transit.gtfs_realtime_pb2 import FeedMessage

from processors.alerts import alert_schema
from processors.city_map import encode_city
from processors.gtfs_realtime import OLDEST_MS, build_feed, feed_json, transit_ids
from schemas.errors import Retryable, UsageError
from schemas.records import Incident, IncidentChange
from streams.engine import Engine
from streams.web.access import refusal
from streams.web.alert_stream import alert_encoder, asked_for
from streams.web.decisions import take_decision
from streams.web.history import read_revisions
from streams.web.incident_book import Published
from streams.web.live import Live
from streams.web.status import StatusEvents

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
FEED_LASTS_S: Final = 1.0
T = TypeVar("T")
Answer = Callable[["Site", web.Request], Awaitable[web.StreamResponse]]


class NamedRule(msgspec.Struct, frozen=True):
    """One rule in the body of /api/rules."""

    rule_id: str
    kind: str
    title: str


class IncidentHistory(msgspec.Struct, frozen=True):
    """The body of /api/incidents/{id}."""

    incident: Incident
    changes: list[IncidentChange]


def patient(answer: Answer) -> Answer:
    """Turn what is not there now into 503 with the time after which to ask again."""

    @functools.wraps(answer)
    async def answered(self: "Site", request: web.Request) -> web.StreamResponse:
        try:
            return await answer(self, request)
        except Retryable as error:
            return refusal(503, str(error), **{"Retry-After": str(max(1, round(error.retry_after_s)))})
        except UsageError as error:
            return refusal(422, str(error))

    return answered


class Site:
    """The handlers of one worker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._city: tuple[str, bytes] | None = None
        self._feed: tuple[float, FeedMessage] | None = None
        self._feed_lock = asyncio.Lock()
        self._history_lock = asyncio.Lock()
        self.live = Live(engine.settings, engine.codec_or_none, StatusEvents(engine.health))

    # --- how the worker is ------------------------------------------------------------------------------------------

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer while the loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer why the worker is not ready."""
        reasons = self._engine.health.unready()
        return web.Response(text="\n".join(reasons or ["ready"]) + "\n", status=503 if reasons else 200)

    async def status(self, _: web.Request) -> web.Response:
        """Answer every counter as JSON."""
        return _json(msgspec.json.encode(self._engine.health.status()))

    async def metrics(self, _: web.Request) -> web.Response:
        """Answer every counter in Prometheus' text format."""
        return web.Response(body=self._engine.health.exposition(), content_type="text/plain")

    # --- the page ---------------------------------------------------------------------------------------------------

    async def city(self, request: web.Request) -> web.Response:
        """Answer the city's geometry, or 304 for who has this version already."""
        city = self._engine.city
        etag = f'"{city.version}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        if self._city is None or self._city[0] != etag:
            self._city = (etag, await _aside(lambda: gzip.compress(encode_city(city), 6)))
        packed = self._city[1]
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return _json(packed, **headers, **{"Content-Encoding": "gzip"})
        return _json(await _aside(lambda: gzip.decompress(packed)), **headers)

    async def rules(self, _: web.Request) -> web.Response:
        """Answer what the city's rules look for, and what people call it."""
        named = [NamedRule(rule.id, rule.kind, rule.name) for rule in self._engine.rules.rules]
        return _json(msgspec.json.encode(named))

    @patient
    async def incidents(self, _: web.Request) -> web.StreamResponse:
        """Answer the current list and the offset up to which it goes."""
        await self.live.ready()
        return _json(msgspec.json.encode(self.live.book.current()))

    @patient
    async def incident(self, request: web.Request) -> web.StreamResponse:
        """Answer one incident with all its revisions."""
        await self.live.ready()
        incident_id = request.match_info["incident_id"]
        known = self.live.incident(incident_id)
        opened_at_ms = None if known is None else known.opened_at_ms
        codec = self._engine.codec
        async with self._history_lock:  # one at a time: it reads a topic
            changes = await _aside(lambda: read_revisions(self._engine.settings, codec, incident_id, opened_at_ms))
        if not changes:
            return refusal(404, f"There is no incident {incident_id}.")
        return _json(msgspec.json.encode(IncidentHistory(changes[-1].incident, changes)))

    @patient
    async def decide(self, request: web.Request) -> web.StreamResponse:
        """Take an operator's decision; what follows from it arrives as a change."""
        await self.live.ready()
        incident_id = request.match_info["incident_id"]
        if self.live.incident(incident_id) is None:
            return refusal(404, f"There is no incident {incident_id} in the list.")
        body, engine = await request.read(), self._engine
        accepted = await _aside(lambda: take_decision(engine.settings, engine.codec, incident_id, body))
        return web.Response(status=202, body=msgspec.json.encode(accepted), content_type=JSON)

    @patient
    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with the page's events."""
        return await self.live.stream_changes(request, encode_change, "incident", page=True)

    @patient
    async def alerts(self, request: web.Request) -> web.StreamResponse:
        """Answer with the alerts that the query asks for, as events."""
        return await self.live.stream_changes(request, alert_encoder(asked_for(request)), "alert")

    async def alert_schema(self, _: web.Request) -> web.Response:
        """Answer the JSON Schema of an alert."""
        return _json(msgspec.json.encode(alert_schema()))

    # --- feeds ------------------------------------------------------------------------------------------------------

    @patient
    async def feed_protobuf(self, _: web.Request) -> web.StreamResponse:
        """Answer the GTFS-Realtime feed."""
        feed = await self._fresh_feed()
        return web.Response(body=await _aside(feed.SerializeToString), content_type=PROTOBUF)

    @patient
    async def feed_json(self, _: web.Request) -> web.StreamResponse:
        """Answer the same feed as JSON, for people."""
        feed = await self._fresh_feed()
        return _json(await _aside(lambda: feed_json(feed).encode()))

    async def _fresh_feed(self) -> FeedMessage:
        await self.live.ready()
        async with self._feed_lock:
            if self._feed is None or time.monotonic() - self._feed[0] > FEED_LASTS_S:
                incidents = self.live.book.current().incidents
                self._feed = (time.monotonic(), await _aside(lambda: self._make_feed(incidents)))
            return self._feed[1]

    def _make_feed(self, incidents: list[Incident]) -> FeedMessage:
        now_ms = time.time_ns() // 1_000_000
        vehicles = self.live.vehicles.since(now_ms - OLDEST_MS)
        return build_feed(now_ms, vehicles, incidents, transit_ids(self._engine.city))


def encode_change(published: Published) -> bytes:
    """Return a change as the page wants it: all of it."""
    return msgspec.json.encode(published.change)


def _json(body: bytes, **headers: str) -> web.Response:
    return web.Response(body=body, content_type=JSON, headers=headers)


async def _aside(work: Callable[[], T]) -> T:
    """Run something slow beside the loop, which has an engine to serve."""
    return await asyncio.get_running_loop().run_in_executor(None, work)
