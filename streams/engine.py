"""What stands between Faust's agents and the pure engines: positions, emission, checkpoints, recovery.

Order of work, per source partition: outputs, checkpoint, durable. A restart, a rebalance or a bug goes back to the
newest checkpoint; everything after it is made again, the same, and recognised as a repeat downstream.
"""

import asyncio
import logging
import math
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from faust.types import TP

from processors.checkpoint import Checkpoint
from processors.city import City, load_city
from processors.domain import Domain
from processors.incidents.engine import CorrelationRule, IncidentEngine, IncidentOutcome
from processors.incidents.rules import load_rules
from processors.ingest import IngestRule
from processors.outcome import Outcome
from processors.partition_engine import PartitionEngine
from processors.records_in import RawRecord
from schemas import records
from schemas.codec import HEADER_BYTES, Codec, schema_id_of
from schemas.errors import Rejected, Retryable, UsageError
from streams import topics
from streams.alerting import Alerting
from streams.checkpoints import CheckpointStore, Loaded, unreadable
from streams.estate_before import load_before
from streams.health import Health
from streams.log_facts import place_of
from streams.lookahead import Lookahead
from streams.outbox import Deliveries, Outbox
from streams.pace import Pace
from streams.registrar import Registrar, registered_in
from streams.registry import fetch_schema, load_codec
from streams.rule_sets import load_begun_with
from streams.settings import Settings
from streams.span import load_span
from streams.storing import Storing
from streams.topics import Topic
from streams.transport import BatchApp, Poll
from streams.turns import Turns

log = logging.getLogger(__name__)

REGION_KEY: Final = b"city"
BUG_PAUSE_S: Final = 2.0
UNKNOWN_SCHEMA_S: Final = 30.0
"""How long the registry's word that it does not know a schema id is taken as final."""


@dataclass(slots=True)
class Source:
    """One partition that this worker owns."""

    topic: Topic
    tp: TP
    expected: int
    end: int | None = None
    deliveries: Deliveries = field(default_factory=Deliveries)
    observer: PartitionEngine | None = None
    concluder: IncidentEngine | None = None
    turns: Turns = field(default_factory=Turns)
    saving: asyncio.Task[None] | None = None
    trouble: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """Topic without a run's prefix, and partition."""
        return self.topic.name, self.tp.partition


class Engine:
    """Everything one worker holds: the engines of its partitions, its outbox, its checkpoints."""

    def __init__(self, settings: Settings, app: BatchApp) -> None:
        self.settings = settings
        self.app = app
        self.health = Health(settings.run)
        self.refused: str | None = None
        """Why this worker ends although nobody asked it to, in one sentence."""
        self.city: City = load_city(settings.city, settings.units, settings.gtfs)
        self.rules = load_rules(settings.rules or settings.city / "rules")
        self.span = load_span(settings.home, settings.run)
        self._before = load_before(settings.home, settings.run)
        self._published = load_begun_with(settings.home, settings.run)
        self._by_name = {settings.topic(topic): topic for topic in topics.CATALOGUE}
        self._domains: dict[str, Callable[[], Domain]] = {}
        self._sources: dict[TP, Source] = {}
        self._durable: dict[TP, int] = {}
        self._lookahead = app.lookahead = Lookahead()
        self._unknown_until_s: dict[int, float] = {}
        self._codec: Codec | None = None
        self._outbox: Outbox | None = None
        self._store: CheckpointStore | None = None
        self.alerting = Alerting(settings, lambda: self.codec, lambda: self.outbox)
        self.health.undelivered = self.alerting.undelivered
        self._registrar = Registrar(settings, lambda: self.codec, lambda: self.outbox)
        self._storing = Storing(settings, lambda: self.codec, self.health, self._stored)

    # --- starting -------------------------------------------------------------------------------------------------

    def name(self, topic: Topic) -> str:
        """Return a topic's name in this run."""
        return self.settings.topic(topic)

    def domain(self, topic: Topic, build: Callable[[], Domain]) -> None:
        """Say which domain judges an input topic."""
        self._domains[topic.name] = build

    @property
    def codec(self) -> Codec:
        """The codec, once `start` has run."""
        assert self._codec is not None
        return self._codec

    def codec_or_none(self) -> Codec | None:
        """Return the codec; None = `start` has not run yet."""
        return self._codec

    @property
    def outbox(self) -> Outbox:
        """The producer, once `start` has run."""
        assert self._outbox is not None
        return self._outbox

    async def start(self) -> None:
        """Get schemas and a producer; called before any partition is assigned."""
        loop = asyncio.get_running_loop()
        self._codec = await loop.run_in_executor(None, load_codec, self.settings, math.inf)
        if self.span is not None and self.span.speed > 0:
            self.app.pacing = Pace(self.span, self._codec)
        self._outbox = Outbox(self.settings.kafka)
        self._store = CheckpointStore(self.settings.kafka, self.name(topics.CHECKPOINTS), self._outbox)

    async def stop(self) -> None:
        """Send what is queued."""
        await self.alerting.close()
        self._storing.close()
        if self._outbox is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._outbox.close)

    # --- positions (streams.transport.Positions) --------------------------------------------------------------------

    async def start_offsets(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Build the engines of the assigned partitions from their newest checkpoints.

        One that cannot be read ends the worker: until then it works on nothing.
        """
        await self._saved()
        self._sources.clear()
        self._durable.clear()
        engines = {tp: self._by_name[tp.topic] for tp in assigned if tp.topic in self._by_name}
        self._lookahead.start_over(tp for tp, topic in engines.items() if topic.ticked)
        kept = {tp: topic for tp, topic in engines.items() if topic.ticked or topic is topics.OBSERVATIONS}
        assert self._store is not None
        loaded = await self._store.load(frozenset((topic.name, tp.partition) for tp, topic in kept.items()))
        try:
            self._sources = {tp: self._source(tp, kept[tp], loaded.get((kept[tp].name, tp.partition))) for tp in kept}
        except UsageError as error:
            self._refuse(error)
            return {}
        await self.alerting.assigned(topic.name for topic in engines.values())
        again = {tp: 0 for tp, topic in engines.items() if topic is topics.NOTIFICATIONS}
        return again | {tp: source.expected for tp, source in self._sources.items()}

    def started(self, starts: Mapping[TP, int]) -> None:
        """Take note of where each partition really starts: retention may have taken what came before."""
        if self.refused is not None:
            return
        for tp, source in self._sources.items():
            if starts[tp] > source.expected > 0:
                log.warning("%s: offsets %d to %d are gone from the log", tp, source.expected, starts[tp])
            source.expected = starts[tp]
        self._storing.started({tp: at for tp, at in starts.items() if self._by_name.get(tp.topic) is topics.ROWS})
        self.health.assigned({(self._by_name[tp.topic].name, tp.partition): at for tp, at in starts.items()})

    def durable_offset(self, tp: TP) -> int | None:
        """Return the first offset of `tp` whose results are not durable yet."""
        return self._durable.get(tp)

    @property
    def leads(self) -> bool:
        """Whether this worker concludes incidents; it then also ticks."""
        return any(source.concluder is not None for source in self._sources.values())

    def _source(self, tp: TP, topic: Topic, loaded: Loaded | None) -> Source:
        bounds = None
        if self.span is not None and topic.ticked:
            bounds = self.span.bounds(topic.name, tp.partition) or (0, 0)
        source = Source(topic, tp, bounds[0] if bounds else 0, bounds[1] if bounds else None)
        settings = self.settings
        if topic is topics.OBSERVATIONS:
            source.concluder = IncidentEngine(
                self.rules,
                self.city,
                self._merged_sources(),
                CorrelationRule(
                    lateness_ms=settings.lateness_ms,
                    provisional_after_ms=settings.provisional_after_ms,
                    block_rows=settings.block_rows,
                    block_ms=settings.block_ms,
                    checkpoint_ms=settings.checkpoint_ms,
                ),
                published=self._published,
            )
        else:
            source.observer = PartitionEngine(
                topic.name,
                tp.partition,
                topic.partitions,
                self._domains[topic.name](),
                self.codec,
                self.city,
                IngestRule(
                    lateness_ms=settings.lateness_ms,
                    future_ms=settings.future_ms,
                    block_rows=settings.block_rows,
                    block_ms=settings.block_ms,
                    checkpoint_ms=settings.checkpoint_ms,
                ),
                [one for one in self._before if source.key in registered_in(one)],
            )
        if loaded is not None:
            engine = source.concluder or source.observer
            assert engine is not None
            try:
                engine.restore(loaded.parts, loaded.live, loaded.next_offset, loaded.tick_ms)
            except (ValueError, msgspec.MsgspecError) as error:
                raise unreadable(source.key, settings.run) from error
            source.expected = loaded.next_offset
        return source

    def _refuse(self, error: UsageError) -> None:
        """End the worker as Ctrl-C does; `PromptWorker` then tells why."""
        log.error("%s (%s)", error, error.__cause__)
        self.refused = str(error)
        signal.raise_signal(signal.SIGTERM)

    def _merged_sources(self) -> list[tuple[str, int]]:
        """Return the partitions whose blocks are merged: in a replay those of its span, since older logs lack some."""
        every = [(topic.name, partition) for topic in topics.INPUTS for partition in range(topic.partitions)]
        return [one for one in every if self.span is None or self.span.bounds(*one) is not None]

    # --- work -------------------------------------------------------------------------------------------------------

    async def observe(self, poll: Poll) -> None:
        """Advance one input partition by one poll."""
        await self._advance(poll, self._observe)

    async def conclude(self, poll: Poll) -> None:
        """Advance the correlator by one poll of observation blocks."""
        await self._advance(poll, self._conclude)

    async def _advance(self, poll: Poll, work: Callable[[Source, Sequence[RawRecord]], Awaitable[None]]) -> None:
        source = self._sources.get(poll.tp)
        if source is None:
            return
        if poll.position > source.expected:
            log.warning("%s: expected offset %d, found %d: reading again", poll.tp, source.expected, poll.position)
            self.app.consumer.rewind(poll.tp, source.expected)
            return
        self.health.reached(source.key, poll.highwater)
        try:
            await work(source, _fresh(source, poll.records))
        except Exception:
            await self._start_over(source)
            return
        source.expected = max(source.expected, poll.next_position)
        source.trouble = 0
        if source.observer is not None:
            more = source.expected < poll.highwater
            self._lookahead.reached(source.tp, source.observer.tick_ms, len(poll.records), more=more)
        self.health.advanced(source.key, source.expected, poll.highwater)

    async def _start_over(self, source: Source) -> None:
        """Drop what a bug may have half done, go back to the checkpoint and try again, ever more slowly."""
        source.trouble += 1
        log.exception("%s: attempt %d failed; going back to its checkpoint", source.tp, source.trouble)
        self.health.troubled(source.key, source.trouble)
        self._lookahead.reached(source.tp, None, 0, more=False)
        await asyncio.sleep(min(60.0, BUG_PAUSE_S * source.trouble))
        if not self._owns(source):
            return
        assert self._store is not None
        await self._saved()
        loaded = await self._store.load(frozenset([source.key]))
        again = self._source(source.tp, source.topic, loaded.get(source.key))
        again.trouble = source.trouble
        self._sources[source.tp] = again
        self.app.consumer.rewind(source.tp, again.expected)

    async def _observe(self, source: Source, fresh: Sequence[RawRecord]) -> None:
        assert source.observer is not None
        await self._learn(source, fresh)
        for some in source.turns.of(fresh):
            with source.turns.timed(len(some)):
                outcome = source.observer.push(some)
            await self._emit_observed(source, outcome)
            self.health.observed(source.key, outcome)
            await self._checkpoint(source, outcome.checkpoint)
            if not await self._goes_on(source):
                return

    async def _conclude(self, source: Source, fresh: Sequence[RawRecord]) -> None:
        assert source.concluder is not None
        for some in source.turns.of(fresh):
            with source.turns.timed(len(some)):
                outcome = source.concluder.push(self._blocks(source, some))
            await self._emit_concluded(source, outcome)
            self.health.concluded(outcome, source.concluder.tick_ms)
            await self._checkpoint(source, outcome.checkpoint)
            if not await self._goes_on(source):
                return

    def _blocks(self, source: Source, fresh: Sequence[RawRecord]) -> list[tuple[int, records.ObservationBlock]]:
        blocks = []
        for one in fresh:
            try:
                assert one.value is not None
                blocks.append((one.offset, self.codec.read(one.value, records.ObservationBlock)))
            except (Rejected, AssertionError) as error:
                log.warning("%s offset %d is not an observation block: %s", source.tp, one.offset, error)
        return blocks

    async def _goes_on(self, source: Source) -> bool:
        """Let the others on the event loop have their turn; False = the partition was taken away meanwhile."""
        await asyncio.sleep(0)
        return self._owns(source)

    def _owns(self, source: Source) -> bool:
        return self._sources.get(source.tp) is source

    async def _learn(self, source: Source, fresh: Sequence[RawRecord]) -> None:
        """Ask the registry for writers' schemas not met before; wait for it, visibly, while it is away."""
        heads = {one.value[:HEADER_BYTES] for one in fresh if one.value is not None}
        ids = {schema_id_of(head) for head in heads}
        for schema_id in sorted(one for one in ids if one is not None and not self.codec.knows(one)):
            text = await self._fetch(source, schema_id)
            if text is not None:
                self.codec.learn(schema_id, text)

    async def _fetch(self, source: Source, schema_id: int) -> str | None:
        loop = asyncio.get_running_loop()
        if self._unknown_until_s.get(schema_id, 0.0) > loop.time():
            return None
        while True:
            try:
                text = await loop.run_in_executor(None, fetch_schema, self.settings, schema_id)
            except Retryable as error:
                log.warning("schema %d: %s; waiting", schema_id, error)
                self.health.waits(source.key, f"for schema {schema_id}: {error}")
                self._lookahead.reached(source.tp, None, 0, more=False)  # nobody else waits for it
                await asyncio.sleep(error.retry_after_s)
            else:
                self.health.waits(source.key, None)
                if text is None:
                    self._unknown_until_s[schema_id] = loop.time() + UNKNOWN_SCHEMA_S
                return text

    # --- emission ---------------------------------------------------------------------------------------------------

    async def _emit_observed(self, source: Source, outcome: Outcome) -> None:
        for reject in outcome.rejected:
            await self._send(source, topics.REJECTED, str(place_of(reject)).encode(), reject)
        for forward in outcome.forwarded if self.settings.run == self.settings.source_run else ():
            await self.outbox.send(
                source.tp.topic,
                forward.key,
                forward.record.value,
                source.deliveries,
                partition=forward.to_partition,
                headers=list(forward.record.headers),
            )
        for block in outcome.blocks:
            await self._send(source, topics.OBSERVATIONS, REGION_KEY, block)
        await self._send_frames(source, outcome.frames)

    async def _emit_concluded(self, source: Source, outcome: IncidentOutcome) -> None:
        for change in outcome.changes:
            key = change.incident.incident_id.encode()
            await self._send(source, topics.CHANGES, key, change)
            await self._send(source, topics.INCIDENTS, key, change.incident)
        await self._send_frames(source, outcome.frames)

    async def _send_frames(self, source: Source, frames: Sequence[records.RowFrame]) -> None:
        for frame in frames:
            key = f"{frame.source_topic}/{frame.source_partition}/{frame.table}"
            await self._send(source, topics.ROWS, key.encode(), frame)

    async def _send(self, source: Source, topic: Topic, key: bytes, record: object) -> None:
        await self.outbox.send(self.name(topic), key, self.codec.encode(record), source.deliveries)

    async def _checkpoint(self, source: Source, checkpoint: Checkpoint | None) -> None:
        """Begin to make a checkpoint durable, one at a time a partition; what is sent from now on is for the next."""
        if source.saving is not None and (checkpoint is not None or source.saving.done()):
            saving, source.saving = source.saving, None
            await saving  # raises what made it fail
        if checkpoint is not None:
            deliveries, source.deliveries = source.deliveries, Deliveries()
            source.saving = asyncio.create_task(self._save(source, deliveries, checkpoint))

    async def _save(self, source: Source, deliveries: Deliveries, checkpoint: Checkpoint) -> None:
        await deliveries.settled()
        assert self._store is not None
        await self._store.write(source.key, checkpoint)
        if self._owns(source):
            self._durable[source.tp] = checkpoint.next_offset
            self.health.checkpointed(source.key, checkpoint.next_offset)

    async def _saved(self) -> None:
        """Wait for what is being saved: a checkpoint is loaded whole, and its parts are not dropped behind its back."""
        saving = [source.saving for source in self._sources.values() if source.saving is not None]
        await asyncio.gather(*saving, return_exceptions=True)

    # --- alerts -----------------------------------------------------------------------------------------------------

    async def alert(self, poll: Poll) -> None:
        """Raise the alerts of one poll of changes."""
        await self.alerting.raise_alerts(poll)
        self._passed(poll)

    async def deliver(self, poll: Poll) -> None:
        """Hand one poll of notifications to the deliverer; it keeps a book of its own."""
        await self.alerting.deliver(poll)
        self.health.advanced((topics.NOTIFICATIONS.name, poll.tp.partition), poll.next_position, poll.highwater)

    def _passed(self, poll: Poll) -> None:
        """Go on from behind a poll after a restart: what it led to is durable."""
        self._durable[poll.tp] = poll.next_position
        self.health.advanced((self._by_name[poll.tp.topic].name, poll.tp.partition), poll.next_position, poll.highwater)

    # --- the estate -------------------------------------------------------------------------------------------------

    async def register(self, poll: Poll) -> None:
        """Carry the registrations of one poll into the input topics."""
        key = topics.DEVICES.name, poll.tp.partition
        self.health.reached(key, poll.highwater)
        await self._registrar.register(poll.records, lambda what: self.health.waits(key, what))
        self._durable[poll.tp] = poll.next_position
        self.health.advanced(key, poll.next_position, poll.highwater)

    # --- rule sets --------------------------------------------------------------------------------------------------

    async def carry_rules(self, poll: Poll) -> None:
        """Append the rule sets of one poll, as they are, to the topic of operators' actions; a replay reads others'."""
        self.health.reached((topics.RULES.name, poll.tp.partition), poll.highwater)
        if self.settings.run == self.settings.source_run:
            deliveries, name = Deliveries(), self.name(topics.ACTIONS)
            for one in poll.records:
                key, headers = one.key or b"", list(one.headers)
                await self.outbox.send(name, key, one.value, deliveries, partition=0, headers=headers)
            await deliveries.settled()
        self._passed(poll)

    # --- rows to ClickHouse -----------------------------------------------------------------------------------------

    async def store(self, poll: Poll) -> None:
        """Take the frames of one poll; ClickHouse down means waiting here at last, while detection goes on."""
        self.health.reached((topics.ROWS.name, poll.tp.partition), poll.highwater)
        missing = await self._storing.store(poll)
        if missing is not None:
            log.warning("%s: expected offset %d, found %d: reading again", poll.tp, missing, poll.position)
            self.app.consumer.rewind(poll.tp, missing)

    def _stored(self, tp: TP, offset: int) -> None:
        self._durable[tp] = offset
        self.health.worked_off((topics.ROWS.name, tp.partition), offset)


def _fresh(source: Source, found: Sequence[RawRecord]) -> Sequence[RawRecord]:
    """Leave out what was read before and what lies behind the end of a span; as a rule nothing."""
    if found[0].offset < source.expected:
        found = [one for one in found if one.offset >= source.expected]
    if source.end is not None and found and found[-1].offset >= source.end:
        found = [one for one in found if one.offset < source.end]
    return found
