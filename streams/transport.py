"""Faust's aiokafka transport, changed so that one event is what one poll returned for one partition.

Stock Faust makes four tasks and eleven loop calls a record in `Consumer._drain_messages`, before any agent sees it,
so nothing downstream can make it fast. Here a poll travels as one event, on every topic, and the consumer keeps the
positions itself. Four upstream defects are repaired on the way; each repair is named REPAIR below, docs/adr/0004 says
what it costs, and tests/streams/test_transport.py has a test that fails without it.

1. A rebalance drops the final commit: `on_partitions_revoked` forgets acknowledged offsets before they are committed.
2. On recovery, partitions are resumed before the seek and `flow_control.resume()` then clears the queues: what was
   fetched in between is lost or read at a stale position.
3. `seek_to_committed` skips partitions that have nothing committed: what was fetched and dropped is never read again.
7. An event whose agent raised is acknowledged all the same, and a value that cannot be decoded is thrown into the
   agent: values stay bytes, and what is committed is what the agent called durable, not what Faust acknowledged.

Records are handed on as aiokafka's C code unpacked them, and a header's name that is not UTF-8 ends no worker:
streams/fetched.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import faust
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from processors.records_in import RawRecord
from streams.fetched import fills_a_poll, poll_size, read_whole_batches
from streams.lookahead import Lookahead

WRITTEN_FOR: Final = "0.15.3"
PAUSE_S: Final = 0.025
"""Between polls: many small polls would dominate the processor time."""
FETCH_WAIT_MS: Final = 100
FETCH_TIMEOUT_S: Final = 0.5
BACKLOG_TIMEOUT_S: Final = 0.005
"""The same while records wait for an agent: its queue must not run dry."""
QUEUED_POLLS: Final = 8
"""What may wait in the queue of one agent. Beyond it the partitions of its topic pause and every other goes on."""
RETRY_S: Final = 2

if faust.__version__ != WRITTEN_FOR:
    raise ImproperlyConfigured(
        f"streams/transport.py repairs faust-streaming {WRITTEN_FOR}, found {faust.__version__}: "
        "check each REPAIR against the new version, then raise WRITTEN_FOR"
    )

read_whole_batches()


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll returned for one partition.

    position: the offset at which the consumer stood before it; a hole is position > what the agent expects.
    next_position: the offset at which it stands after it.
    records: aiokafka's own, which have what a RawRecord has; `headers` is a list.
    """

    tp: TP
    position: int
    next_position: int
    highwater: int
    records: Sequence[RawRecord]


class Positions(Protocol):
    """Where partitions start and how far their results are durable; the agents answer."""

    async def start_offsets(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Forget what was in the works and return where to read on; a missing partition goes on from its commit."""

    def started(self, starts: Mapping[TP, int]) -> None:
        """Be told from where each assigned partition is really read."""

    def durable_offset(self, tp: TP) -> int | None:
        """Return the first offset whose results are not yet durable; None = nothing new."""


class Pacing(Protocol):
    """Makes records wait that are not due yet, as in a paced replay."""

    def due(self, tp: TP, found: Sequence[Any]) -> int:
        """Return how many of the messages, from the first on, may be handed on now."""

    def start_over(self) -> None:
        """Be told that partitions were assigned anew."""


class PollSchema(faust.Schema):
    """Hands polls to agents as they are. REPAIR 7: nothing is decoded here, so nothing can fail here."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return Faust's decode function: the event of a message is its poll."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, message.headers, message)

        return decode


class BatchThread(driver.AIOKafkaConsumerThread):
    """The thread that fetches."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Set what Faust has no setting for: a request for idle partitions must not hold up one with a backlog."""
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """Start; a partition that is held must not hold up the requests for the others longer than a poll takes."""
        await super().on_start()
        self._ensure_consumer()._fetcher._prefetch_backoff = PAUSE_S

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """Return what was fetched, about a poll of each partition, whatever the others have."""
        consumer = self._ensure_consumer()
        return await self.call_thread(self._fetch_records, consumer, active_partitions, timeout=timeout)


class BatchConsumer(driver.Consumer):
    """Delivers one message a poll and partition, and keeps positions itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivered: dict[TP, int] = {}
        self._wanted: dict[TP, int] = {}
        self._held: dict[TP, Sequence[Any]] = {}

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def positions(self) -> Positions:
        """The agents' book of offsets."""
        positions: Positions = self.app.positions
        return positions

    def rewind(self, tp: TP, offset: int) -> None:
        """Read `tp` again from `offset`, as soon as no fetch is in flight."""
        self._wanted[tp] = offset

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """REPAIR 1: commit what is durable before Faust forgets what was acknowledged."""
        await self.commit()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """REPAIR 2: nothing flows until `perform_seek` has said from where."""
        self.stop_flow()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        """Only record where to read on; `_drain_messages` seeks, with no fetch in flight.

        REPAIR 3: a partition without checkpoint and commit starts at its beginning, explicitly.
        """
        assigned = frozenset(self.assignment())
        starts = dict(await self.positions.start_offsets(assigned))
        missing = assigned - set(starts)
        committed = await self._thread.call_thread(self._committed_offsets, missing)
        starts.update({tp: offset for tp, offset in committed.items() if offset is not None})
        if assigned:
            first = await self.earliest_offsets(*assigned)
            starts = {tp: max(starts.get(tp, 0), first.get(driver.ensure_aiokafka_TP(tp), 0)) for tp in assigned}
        self.positions.started(starts)
        self._delivered.clear()
        self._held.clear()
        if self.app.pacing is not None:
            self.app.pacing.start_over()
        self._wanted = starts

    async def _committed_offsets(self, tps: frozenset[TP]) -> dict[TP, int | None]:
        consumer = self._thread._ensure_consumer()
        return {tp: await consumer.committed(driver.ensure_aiokafka_TP(tp)) for tp in tps}

    def _new_offset(self, tp: TP) -> int | None:
        """REPAIR 7: commit what the agent called durable, whatever Faust thinks was acknowledged."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.positions.durable_offset(tp)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        return [tp for tp in self.assignment() if topics is None or tp in topics or tp.topic in topics]

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Stay silent: /readyz tells what lags, and a paused sink is no error."""

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                if not self.flow_active:
                    await self.wait_first(self.can_resume_flow.wait(), fetcher._stopped.wait())
                    continue
                more = await self._poll_patiently()
                await asyncio.sleep(0 if more else PAUSE_S)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    async def _poll_patiently(self) -> bool:
        """Poll; what a broker or a damaged batch answers instead of records is told and tried again, never fatal."""
        try:
            return await self._poll_once()
        except ConsumerStoppedError:
            raise
        except (KafkaError, TimeoutError) as error:
            self.log.warning("reading failed (%r); trying again in %d s", error, RETRY_S)
            self._wanted = {**self._delivered, **self._wanted}
            await asyncio.sleep(RETRY_S)
            return False

    async def _poll_once(self) -> bool:
        """Hand on what is there; True = a partition has more than one poll to give."""
        wanted, self._wanted = self._wanted, {}
        if wanted:
            try:
                await self._thread.seek_wait(wanted)
            except BaseException:
                self._wanted = self._wanted or wanted  # a rebalance meanwhile has said from where anew
                raise
            self._delivered.update(wanted)
            self._held = {tp: found for tp, found in self._held.items() if tp not in wanted}
        await self._hand_on_held()
        every = set(self._get_active_partitions())
        active = {tp for tp in every - self._held.keys() if self._has_room(tp)}
        if not active:
            return False
        generation = self.app.consumer_generation_id
        timeout_s = FETCH_TIMEOUT_S if active == every else BACKLOG_TIMEOUT_S
        records = await self._getmany(active_partitions=active, timeout=timeout_s)
        for tp, found in (records or {}).items():
            stale = not self.flow_active or generation != self.app.consumer_generation_id or tp in self._wanted
            if tp not in self._delivered:
                continue  # assigned anew while this was fetched: `perform_seek` has said from where, or it is gone
            if stale or not found:
                self._wanted.setdefault(tp, self._delivered[tp])
            else:
                self._held[tp] = found
        more = any(fills_a_poll(found) for found in self._held.values())
        await self._hand_on_held()
        return more

    def _has_room(self, tp: TP) -> bool:
        """Say whether the agent of a topic keeps up, and the partition does not run ahead of others."""
        if self.app.lookahead is not None and self.app.lookahead.runs_ahead(tp):
            return False
        return all(channel.queue.qsize() < QUEUED_POLLS for channel in self.app.topics._tp_index[tp])

    async def _hand_on_held(self) -> None:
        """Hand on what is due, one poll of each partition in turn, until the agents have enough; bulk comes last."""
        waiting = sorted(self._held, key=lambda tp: tp.topic in self.app.bulk)
        while waiting:
            waiting = [tp for tp in waiting if self.flow_active and await self._hand_on(tp)]

    async def _hand_on(self, tp: TP) -> bool:
        """Deliver one poll of what is held of a partition; True = there is more to deliver now."""
        if tp not in self._held or tp in self._wanted or not self._has_room(tp):
            return False  # a rebalance in between forgets what is held: it is read again
        found = self._held.pop(tp)
        size = poll_size(found)
        if self.app.lookahead is not None:
            size = min(size, self.app.lookahead.most(tp))
        due = size if self.app.pacing is None else self.app.pacing.due(tp, found[:size])
        if due < len(found):
            self._held[tp] = found[due:]
        if due:
            await self._deliver(tp, found[:due])
        return due == size and tp in self._held

    async def _deliver(self, tp: TP, found: Sequence[Any]) -> None:
        last = found[-1]
        position, after = self._delivered[tp], last.offset + 1
        poll = Poll(
            tp=TP(tp.topic, tp.partition),
            position=position,
            next_position=after,
            highwater=self.highwater(tp) or after,
            records=found,
        )
        self._delivered[tp] = after
        if self.app.lookahead is not None:
            self.app.lookahead.given(poll.tp)
        await self.wait_first(self.callback(self._message_of(poll, last)), self.suspend_flow.wait())

    def _message_of(self, poll: Poll, last: Any) -> Any:
        """Return Faust's message of a poll, at the offset of its last record."""
        return driver.ConsumerMessage(
            poll.tp.topic,
            poll.tp.partition,
            last.offset,
            (last.timestamp or 0) / 1000,
            last.timestamp_type,
            (),
            None,
            poll,
            None,
            tp=poll.tp,
            generation_id=self.app.consumer_generation_id,
        )


class QuietMonitor(faust.Monitor):
    """Faust's monitor of commits and rebalances, without its notes about every event: Health tells more."""

    def on_message_in(self, *_: Any) -> None:
        """Nothing."""

    on_message_out = on_stream_event_in = on_stream_event_out = on_message_in


class BatchTransport(driver.Transport):
    """The aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer


class BatchApp(faust.App):
    """A Faust app on the batch transport; `positions` is set by whoever builds it.

    pacing: where records wait until they are due. lookahead: where partitions wait for slower ones.
    """

    positions: Positions
    pacing: Pacing | None = None
    lookahead: Lookahead | None = None
    bulk: frozenset[str] = frozenset()
    """Topics that come after the others when there is much to hand on."""

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    def polls(self, topic: str) -> Any:
        """Return the channel of a topic's polls."""
        return self.topic(topic, schema=PollSchema(), acks=True)
