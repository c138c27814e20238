"""Builders of the web's tests: the live part on a real Kafka without a worker, and readers of event streams."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiohttp import ClientResponse, ClientTimeout, web
from aiohttp.test_utils import TestClient, TestServer
from confluent_kafka import Producer

from schemas.codec import Codec
from schemas.columns import UTF8, pack
from schemas.records import Change, Incident, IncidentChange, IncidentState, RowFrame, Severity
from schemas.tables import POSITIONS
from streams import topics
from streams.health import Health
from streams.outbox import producer_settings
from streams.settings import Settings
from streams.topics import Topic
from streams.web.live import Live
from streams.web.site import encode_change
from streams.web.status import StatusEvents
from tests.streams.running import START_MS

EVENT_S = 10.0

Client = TestClient[web.Request, web.Application]


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a client sees it."""

    event_id: int | None
    name: str
    told: Any


class Log:
    """Appends what a correlator would publish to the topics of a run."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self._producer = Producer(producer_settings(settings.kafka))

    def change(self, incident_id: str, revision: int, **fields: Any) -> None:
        """Append a change and the state it leads to."""
        told = a_change(incident_id, revision, **fields)
        self.append(topics.CHANGES, incident_id, told)
        self.append(topics.INCIDENTS, incident_id, told.incident)

    def append(self, topic: Topic, key: str, record: object, partition: int = 0) -> None:
        """Append one record."""
        value = record if isinstance(record, bytes) else self._codec.encode(record)
        self._producer.produce(self._settings.topic(topic), value, key, partition=partition)

    def arrive(self) -> None:
        """Wait until all is there."""
        assert self._producer.flush(30) == 0


def a_change(incident_id: str, revision: int, *, place: str = "here", **fields: Any) -> IncidentChange:
    """A revision of a crash; `fields` are the incident's."""
    at_ms = START_MS + revision * 1000
    usual: dict[str, Any] = {
        "opened_at_ms": START_MS,
        "last_evidence_at_ms": at_ms,
        "tick_ms": at_ms,
        "latitude_deg": 21.0,
        "longitude_deg": 105.8,
        "radius_m": 10.0,
        "score": 0.5,
        "witnesses": 1,
        "state": IncidentState.SUSPECTED,
        "severity": Severity.MODERATE,
        "kind": "crash",
        "rule_id": "crash",
        "rules_version": "r",
        "city_version": "c",
        "unit_code": "00004",
        "unit_name": "phường Ba Đình",
        "evidence": (),
    }
    incident = Incident(incident_id=incident_id, revision=revision, place=place, **{**usual, **fields})
    return IncidentChange(
        tick_ms=at_ms, change=Change.OPENED if revision == 1 else Change.CHANGED, reasons=("told",), incident=incident
    )


def positions(tick_ms: int, vehicles: Sequence[tuple[str, int]]) -> RowFrame:
    """A frame of positions of (vehicle, at_ms) on line 32."""
    rows = len(vehicles)
    named = {
        "vehicle_id": [vehicle_id for vehicle_id, _ in vehicles],
        "at_ms": [at_ms for _, at_ms in vehicles],
        "latitude_deg": [21.0] * rows,
        "longitude_deg": [105.8] * rows,
        "line_id": ["32"] * rows,
        "vehicle_class": ["BUS"] * rows,
    }
    columns = {}
    for column in POSITIONS.columns:
        empty: list[Any] = [""] * rows if column.dtype == UTF8 else [0] * rows
        columns[column.name] = np.array(
            named.get(column.name, empty), object if column.dtype == UTF8 else np.dtype(column.dtype)
        )
    return RowFrame(
        tick_ms=tick_ms,
        first_offset=0,
        last_offset=rows,
        source_partition=0,
        rows=rows,
        source_topic="vehicle.positions.v1",
        table=POSITIONS.name,
        columns=pack(columns),
    )


@asynccontextmanager
async def serving(settings: Settings, codec: Codec) -> AsyncIterator[tuple[Client, Live]]:
    """Serve the page's stream, one of changes alone, and the live part behind them."""
    live = Live(settings, lambda: codec, StatusEvents(Health(settings.run)))

    async def page(request: web.Request) -> web.StreamResponse:
        return await live.stream_changes(request, encode_change, "incident", page=True)

    async def changes(request: web.Request) -> web.StreamResponse:
        return await live.stream_changes(request, encode_change, "incident")

    app = web.Application()
    app.router.add_get("/page", page)
    app.router.add_get("/changes", changes)
    server = TestServer(app)
    try:
        async with TestClient(server, timeout=ClientTimeout(total=None)) as client:
            try:
                yield client, live
            finally:
                live.close()
    finally:
        await server.close()


class Stream:
    """Reads the events of one answer."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    async def next(self, *names: str) -> Event:
        """Return the next event of these names; others are skipped."""
        async with asyncio.timeout(EVENT_S):
            while True:
                event = await self._next()
                if event.name in names:
                    return event

    async def take(self, count: int, name: str = "incident") -> list[Event]:
        """Return the next events of a name."""
        return [await self.next(name) for _ in range(count)]

    async def _next(self) -> Event:
        fields: dict[str, str] = {}
        while True:
            line = (await self._response.content.readuntil(b"\n")).decode()
            if not line:
                raise EOFError
            if line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
            elif "event" in fields:
                event_id = fields.get("id")
                return Event(None if event_id is None else int(event_id), fields["event"], json.loads(fields["data"]))
            else:
                fields = {}


@asynccontextmanager
async def opened(client: Client, path: str, last_event_id: int | None = None) -> AsyncIterator[Stream]:
    """Open a stream, as a browser that comes back does with an id."""
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    async with client.get(path, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Stream(response)


def revision_of(event: Event) -> tuple[str, int]:
    """Return which revision of which incident an event tells."""
    return event.told["incident"]["incident_id"], event.told["incident"]["revision"]
