"""Records as they stand in the log, before anything is known about them."""

from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 1_040_000
"""Of a key, and of value and headers, uncompressed: about Kafka's limit for a message, which compression evades."""
HEADER_EXTRA_BYTES: Final = 8
KEPT_BYTES: Final = 65_536
"""Of the value and of the key of a record beyond it that is parked."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record of one partition: its offset and its bytes as the producer sent them."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def largest(record: RawRecord) -> int:
    """Return the bytes of the key, or of value and headers, whichever are more."""
    headers = sum(len(name) + len(value or b"") + HEADER_EXTRA_BYTES for name, value in record.headers)
    return max(len(record.key or b""), len(record.value or b"") + headers)


def beginning(record: RawRecord) -> RawRecord:
    """Return the record with what is kept of an overlong one."""
    key, value = record.key, record.value
    return RawRecord(record.offset, key and key[:KEPT_BYTES], value and value[:KEPT_BYTES])
