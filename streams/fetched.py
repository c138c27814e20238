"""What a fetch brought, in whole batches: a record stays what aiokafka's C code unpacked.

Stock aiokafka passes record by record through three Python iterators and makes a second object of each, 2 to 3 µs in
all. Here a batch passes through them as one item, so that what aiokafka knows of control batches, aborted transactions
and compaction stays its own, and each of its records has just what a `RawRecord` says: offset, key, value, headers.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final

import google_crc32c
import numpy as np
from aiokafka import conn
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from streams.lenient import BATCH_HEAD, records_of

POLL_RECORDS: Final = 2_500
POLL_BYTES: Final = 262_144
"""A poll is about that much: what an agent works off in one turn of the event loop, some 10 ms."""

CHECKED_FROM: Final = 21
"""Where in a batch what its CRC32C covers begins; older ones than MAGIC have another checksum."""

MAGIC: Final = 2
BY_HARDWARE: Final = google_crc32c.implementation == "c"
"""Otherwise its wheel is not for this machine, and aiokafka's own table is faster."""

READ_AHEAD_BYTES: Final = 4_194_304
"""Of a response may wait before the socket is paused; at aiokafka's 64 kB it pauses dozens of times in one fetch."""

VALUE: Final = attrgetter("value")


def read_whole_batches() -> None:
    """Change aiokafka's fetcher; doing it again changes nothing. Its consumers return the records of `Batch`es."""
    conn.READER_LIMIT = READ_AHEAD_BYTES
    fetcher.MemoryRecords = Fetched
    fetcher.PartitionRecords = BatchRecords
    fetcher.FetchResult = BoundedResult


def bytes_of(records: Sequence[Any]) -> int:
    """Return the bytes of all values."""
    return sum(map(len, filter(None, map(VALUE, records))))


def fills_a_poll(records: Sequence[Any]) -> bool:
    """Say whether records are as many, or as large, as a poll may be."""
    return len(records) >= POLL_RECORDS or bytes_of(records) >= POLL_BYTES


def poll_size(records: Sequence[Any]) -> int:
    """Return how many of n > 0 records make one poll: at least one."""
    head = records[:POLL_RECORDS]
    if bytes_of(head) <= POLL_BYTES:
        return len(head)
    return max(1, bisect_right(list(accumulate(len(one.value or b"") for one in head)), POLL_BYTES))


class Batch(list[Any]):
    """The records of one batch; to aiokafka one record, the last."""

    @property
    def offset(self) -> int:
        """Offset of the last record."""
        last: int = self[-1].offset
        return last


class WholeBatch:
    """aiokafka's batch, whose records come all at once; start: where in the fetch it stands."""

    def __init__(self, batch: Any, fetched: bytes, start: int) -> None:
        self._batch, self._fetched, self._start = batch, fetched, start

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # the marker of a control batch

    def validate_crc(self) -> bool:
        """Say whether the batch is as it was written; by the processor's own instruction, ten times as fast."""
        if not BY_HARDWARE or self._batch.magic != MAGIC:
            return bool(self._batch.validate_crc())
        end = _end_of_batch(self._fetched, self._start)
        covered = np.frombuffer(self._fetched, np.uint8)[self._start + CHECKED_FROM : end]  # no copy
        return bool(google_crc32c.value(covered) == self._batch.crc)

    def __iter__(self) -> Iterator[Batch]:
        found = Batch(records_of(self._batch, self._fetched))
        if found:  # compaction may have left none
            yield found


class Fetched:
    """The batches of one fetch of one partition, in the place of aiokafka's MemoryRecords."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched, self._next_start = fetched, 0
        self._records = MemoryRecords(fetched)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> WholeBatch | None:
        """Return the next batch, None behind the last."""
        batch, start = self._records.next_batch(), self._next_start
        if batch is None:
            return None
        self._next_start = _end_of_batch(self._fetched, start)
        return WholeBatch(batch, self._fetched, start)


class BatchRecords(fetcher.PartitionRecords):
    """aiokafka's walk over the batches of a partition, without its record of a record."""

    def _consumer_record(self, _: Any, batch: Batch) -> Sequence[Any]:
        first = self.next_fetch_offset
        return batch if batch[0].offset >= first else [one for one in batch if one.offset >= first]


class BoundedResult(fetcher.FetchResult):
    """What was fetched of a partition, given out about a poll at a time; the rest stays packed."""

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return the records of the next batches, at least one; [] = none is left, or the consumer moved elsewhere.

        max_records: None; more than a poll is never given out.
        """
        found: list[Any] = []
        held_bytes = 0
        while self.has_more() and len(found) < POLL_RECORDS and held_bytes < POLL_BYTES:
            for batch in super().getall(1):
                found += batch
                held_bytes += bytes_of(batch)
        return found


def _end_of_batch(fetched: bytes, start: int) -> int:
    _, length = BATCH_HEAD.unpack_from(fetched, start)
    return start + BATCH_HEAD.size + int(length)
