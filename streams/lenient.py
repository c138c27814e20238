"""Headers whose names are not UTF-8: the protocol forbids them, brokers store them all the same.

aiokafka and kafka-python raise UnicodeDecodeError in the middle of a fetch, at every attempt again: one such record
would end every worker that reads its partition. With this, foreign bytes in a name are written out in hexadecimal.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from kafka.record.default_records import DefaultRecordBatch

BATCH_HEAD: Final = struct.Struct(">qi")
"""First offset and length of the rest."""


def read_any_header_name() -> None:
    """Make both libraries read such records; doing it again changes nothing."""
    fetcher.MemoryRecords = LenientRecords
    if DefaultRecordBatch._read_msg is not _read_leniently:
        DefaultRecordBatch._read_msg = _read_leniently


class LenientRecords:
    """The batches of one fetch, in the place of aiokafka's MemoryRecords."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._records = MemoryRecords(fetched)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> "LenientBatch | None":
        """Return the next batch, None behind the last."""
        batch = self._records.next_batch()
        return None if batch is None else LenientBatch(batch, self._fetched)


class LenientBatch:
    """One batch: aiokafka's, until a name in it is not UTF-8."""

    def __init__(self, batch: Any, fetched: bytes) -> None:
        self._batch, self._fetched = batch, fetched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        done = -1
        try:
            for record in self._batch:
                done = record.offset
                yield record
        except UnicodeDecodeError:
            again = _DefaultRecordBatchPy(_batch_at(self._fetched, self._batch.base_offset))
            again._maybe_uncompress()
            again._buffer = _Anything(again._buffer)
            yield from (record for record in again if record.offset > done)


class _Anything(bytearray):
    """A buffer whose parts decode to text, whatever they are."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _AnyText(found) if isinstance(key, slice) else found


class _AnyText(bytearray):
    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def _batch_at(fetched: bytes, base_offset: int) -> bytes:
    position = 0
    while True:
        first, length = BATCH_HEAD.unpack_from(fetched, position)
        end = position + BATCH_HEAD.size + length
        if first == base_offset:
            return fetched[position:end]
        position = end


_read_strictly: Callable[[Any], Any] = DefaultRecordBatch._read_msg


def _read_leniently(batch: Any) -> Any:
    try:
        return _read_strictly(batch)
    except UnicodeDecodeError:  # nothing was consumed: the position moves on at the end
        batch._buffer = _Anything(batch._buffer)
        return _read_strictly(batch)
