"""Row frames to ClickHouse: several inserts at once, beside detection, under offsets of their own.

A frame is one insert that its token makes exact, so the order of frames is irrelevant. What is durable of a partition
ends before its first frame that is not stored: a restart reads on from there and repeats what was stored behind it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from faust.types import TP

from schemas import records
from schemas.codec import Codec
from schemas.errors import CityopsError, Rejected, Retryable
from sinks.clickhouse.migrations import migrate
from sinks.clickhouse.writer import Writer
from streams.health import Health
from streams.settings import Settings
from streams.transport import Poll

log = logging.getLogger(__name__)

INSERTS: Final = 3
"""At once, a thread and a connection each: an insert mostly waits for the server."""

HELD_BYTES: Final = 16_000_000
"""Frames in memory that are not stored. Beyond it no poll is taken, and the transport pauses the partitions."""

AHEAD: Final = 256
"""Frames of one partition behind its first that is not stored: a restart repeats them, and ClickHouse knows the tokens
of 10,000 (sinks/clickhouse/ddl.py)."""

REFUSED_PAUSE_S: Final = 5.0


@dataclass(slots=True)
class _Frame:
    """One message of rows.v1."""

    offset: int
    value: bytes
    book: "_Book"
    stored: bool = False


@dataclass(slots=True)
class _Book:
    """The frames of one partition that are taken, in the order of the log, from the first that is not stored.

    after: the offset behind the last frame taken, and behind everything before it.
    """

    tp: TP
    after: int
    frames: deque[_Frame] = field(default_factory=deque)

    def durable(self) -> int:
        """Let go of what is stored; return the first offset that is not."""
        while self.frames and self.frames[0].stored:
            self.frames.popleft()
        return self.frames[0].offset if self.frames else self.after


class Storing:
    """Writes the frames of the partitions that this worker owns."""

    def __init__(
        self, settings: Settings, codec: Callable[[], Codec], health: Health, passed: Callable[[TP, int], None]
    ) -> None:
        """passed: told of a partition and the first offset in it that is not durable yet."""
        self._settings = settings
        self._codec = codec
        self._health = health
        self._passed = passed
        self._books: dict[TP, _Book] = {}
        self._queue: asyncio.Queue[_Frame] = asyncio.Queue()
        self._held_bytes = 0
        self._room = asyncio.Event()
        self._failing: dict[int, str] = {}
        self._writers: dict[int, Writer] = {}
        self._migrating = threading.Lock()
        self._threads = ThreadPoolExecutor(INSERTS, "sink")
        self._tasks: list[asyncio.Task[None]] = []

    def started(self, starts: Mapping[TP, int]) -> None:
        """Begin anew with the assigned partitions, each at its offset; what was taken before is read again."""
        self._books = {tp: _Book(tp, offset) for tp, offset in starts.items()}
        self._room.set()

    async def store(self, poll: Poll) -> int | None:
        """Take the frames of one poll as soon as there is room; they are stored later.

        Return None, or the offset from which the partition must be read again because records before the poll are
        missing.
        """
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._insert(number)) for number in range(INSERTS)]
        book = self._books.get(poll.tp)
        if book is None:
            return None
        if poll.position > book.after:
            return book.after
        for one in poll.records:
            if one.offset >= book.after:
                value = one.value or b""
                if not await self._has_room(book, len(value)):
                    return None
                self._take(_Frame(one.offset, value, book))
        book.after = max(book.after, poll.next_position)
        self._passed(book.tp, book.durable())
        return None

    def close(self) -> None:
        """Begin no further insert."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _take(self, frame: _Frame) -> None:
        frame.book.frames.append(frame)
        frame.book.after = frame.offset + 1
        self._held_bytes += len(frame.value)
        self._queue.put_nowait(frame)

    async def _has_room(self, book: _Book, size: int) -> bool:
        """Wait for room; False = the partition was taken away, or given anew, in the meantime."""
        while self._owns(book) and (
            len(book.frames) >= AHEAD or (self._held_bytes and self._held_bytes + size > HELD_BYTES)
        ):
            self._room.clear()
            await self._room.wait()
        return self._owns(book)

    def _owns(self, book: _Book) -> bool:
        return self._books.get(book.tp) is book

    async def _insert(self, number: int) -> None:
        """Store one frame after the other; one that is not taken is tried until it is, for all to see."""
        while True:
            frame = await self._queue.get()
            while self._owns(frame.book) and not frame.stored:
                frame.stored = await self._attempt(number, frame)
            self._failing.pop(number, None)
            self._health.sink_waiting = next(iter(self._failing.values()), None)
            self._held_bytes -= len(frame.value)
            if self._owns(frame.book):
                self._passed(frame.book.tp, frame.book.durable())
            self._room.set()

    async def _attempt(self, number: int, frame: _Frame) -> bool:
        loop = asyncio.get_running_loop()
        try:
            stored = await loop.run_in_executor(self._threads, self._write, number, frame.value)
        except Rejected as error:
            log.warning("%s offset %d is not a row frame: %s", frame.book.tp, frame.offset, error)
            return True
        except Exception as error:  # also a frame it refuses: better to wait, seen by all, than to lose rows
            if not self._failing:
                known = isinstance(error, CityopsError)
                log.warning("ClickHouse does not take rows (%s); they wait in Kafka", error, exc_info=not known)
            self._failing[number] = self._health.sink_waiting = str(error)
            await asyncio.sleep(error.retry_after_s if isinstance(error, Retryable) else REFUSED_PAUSE_S)
            return False
        self._health.stored(stored.table, stored.rows, stored.tick_ms)
        return True

    def _write(self, number: int, value: bytes) -> records.RowFrame:
        """Store one frame (called in a thread). Raises Rejected, and CityopsErrors while the sink does not take it."""
        frame = self._codec().read(value, records.RowFrame)
        if number not in self._writers:
            url, database = self._settings.clickhouse_url, self._settings.database
            with self._migrating:
                if not self._writers:
                    migrate(url, database, self._settings.ttl_days)
                self._writers[number] = Writer(url, database)
        self._writers[number].write(frame)
        return frame
