"""Headers whose names are not UTF-8: the protocol forbids them, brokers store them all the same.

aiokafka and kafka-python raise UnicodeDecodeError in the middle of a fetch, at every attempt again: one such record
would end every worker that reads its partition. With this, foreign bytes in a name are written out in hexadecimal.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from aiokafka.record.default_records import _DefaultRecordBatchPy
from kafka.record.default_records import DefaultRecordBatch

BATCH_HEAD: Final = struct.Struct(">qi")
"""First offset and length of the rest."""


def read_any_header_name() -> None:
    """Make kafka-python read such records; doing it again changes nothing."""
    if DefaultRecordBatch._read_msg is not _read_leniently:
        DefaultRecordBatch._read_msg = _read_leniently


def records_of(batch: Any, fetched: bytes) -> list[Any]:
    """Return the records of a batch of aiokafka's; `fetched` is the fetch it is from."""
    try:
        return list(batch)
    except UnicodeDecodeError:
        again = _DefaultRecordBatchPy(_batch_at(fetched, batch.base_offset))
        again._maybe_uncompress()
        again._buffer = _Anything(again._buffer)
        return list(again)


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
