"""Checkpoints in a compacted topic: parts in slices, written once, then a head that names them.

A head counts only when every slice it names is there, and of several heads the one with the highest offset wins:
a checkpoint is a function of the log, so a worker that should be dead can only repeat what is already known.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from processors.checkpoint import Checkpoint
from schemas.errors import UsageError
from streams.kafka_access import KafkaAccess
from streams.outbox import Deliveries, Outbox
from streams.settings import LIVE
from streams.watching import watcher_settings

FORMAT: Final = 1
SLICE_BYTES: Final = 512_000

SourceKey = tuple[str, int]
"""(topic without a run's prefix, partition)."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint consists of."""

    format: int
    next_offset: int
    tick_ms: int
    parts: list[tuple[str, int]]
    """(part key, number of slices), in order."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checkpoint read back."""

    next_offset: int
    tick_ms: int
    live: tuple[str, ...]
    parts: Mapping[str, bytes]


@dataclass(slots=True)
class _Written:
    """What this worker knows to be in the topic for one source."""

    head: str | None = None
    slices: dict[str, int] = field(default_factory=dict)


class CheckpointStore:
    """Writes and reads the checkpoints of one run."""

    def __init__(self, access: KafkaAccess, topic: str, outbox: Outbox) -> None:
        self._access = access
        self._topic = topic
        self._outbox = outbox
        self._written: dict[SourceKey, _Written] = {}

    async def write(self, source: SourceKey, checkpoint: Checkpoint) -> None:
        """Make the checkpoint durable: its new parts, then its head, then away with what it no longer needs."""
        known = self._written.setdefault(source, _Written())
        deliveries = Deliveries()
        for part, blob in checkpoint.new_parts.items():
            count = max(1, -(-len(blob) // SLICE_BYTES))
            known.slices[part] = count
            for index in range(count):
                piece = blob[index * SLICE_BYTES : (index + 1) * SLICE_BYTES]
                await self._outbox.send(self._topic, _slice_key(source, part, index), piece, deliveries)
        await deliveries.settled()
        head = Head(
            FORMAT, checkpoint.next_offset, checkpoint.tick_ms, [(part, known.slices[part]) for part in checkpoint.live]
        )
        key = f"{source[0]}/{source[1]}/head/{checkpoint.next_offset}"
        await self._outbox.send(self._topic, key.encode(), msgspec.json.encode(head), deliveries)
        await deliveries.settled()
        if known.head is not None and known.head != key:
            await self._outbox.send(self._topic, known.head.encode(), None, deliveries)
        known.head = key
        for part in checkpoint.dropped:
            for index in range(known.slices.pop(part, 0)):
                await self._outbox.send(self._topic, _slice_key(source, part, index), None, deliveries)

    async def load(self, sources: frozenset[SourceKey]) -> dict[SourceKey, Loaded]:
        """Return the newest whole checkpoint of each source that has one."""
        records = await asyncio.get_running_loop().run_in_executor(None, self._read_topic)
        found = {source: self._newest(source, records) for source in sources}
        return {source: loaded for source, loaded in found.items() if loaded is not None}

    def _newest(self, source: SourceKey, records: Mapping[str, bytes]) -> Loaded | None:
        prefix = f"{source[0]}/{source[1]}/head/"
        heads = [msgspec.json.decode(value, type=Head) for key, value in records.items() if key.startswith(prefix)]
        for head in sorted(heads, key=lambda one: -one.next_offset):
            parts = {part: _joined(source, part, count, records) for part, count in head.parts}
            whole = {part: blob for part, blob in parts.items() if blob is not None}
            if head.format == FORMAT and len(whole) == len(parts):
                self._written[source] = _Written(f"{prefix}{head.next_offset}", dict(head.parts))
                return Loaded(head.next_offset, head.tick_ms, tuple(part for part, _ in head.parts), whole)
        self._written.pop(source, None)
        return None

    def _read_topic(self) -> dict[str, bytes]:
        consumer = Consumer(watcher_settings(self._access, enable_partition_eof=True))
        latest: dict[str, bytes] = {}
        try:
            first, _ = consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=30)
            consumer.assign([TopicPartition(self._topic, 0, first)])
            while True:
                for message in consumer.consume(1000, timeout=0.1):
                    if message.error() is None:
                        _fold(latest, message.key().decode(), message.value())
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        return latest
        finally:
            consumer.close()


def unreadable(source: SourceKey, run: str) -> UsageError:
    """Return what to tell of a checkpoint that an engine does not take."""
    return UsageError(
        f"the checkpoint of {source[0]}/{source[1]} in run {run or LIVE!r} was written by another version of cityops "
        "and cannot be read: begin a run of another name (CITYOPS_RUN) or another home (CITYOPS_HOME)"
    )


def _fold(latest: dict[str, bytes], key: str, value: bytes | None) -> None:
    if value is None:
        latest.pop(key, None)
    else:
        latest[key] = value


def _slice_key(source: SourceKey, part: str, index: int) -> bytes:
    return f"{source[0]}/{source[1]}/part/{part}/{index}".encode()


def _joined(source: SourceKey, part: str, count: int, records: Mapping[str, bytes]) -> bytes | None:
    pieces = [records.get(_slice_key(source, part, index).decode()) for index in range(count)]
    whole = [piece for piece in pieces if piece is not None]
    return b"".join(whole) if len(whole) == count else None
