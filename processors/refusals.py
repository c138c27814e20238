"""Refusals: which records are too long or of no form, and what is parked of those that are refused."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np

from processors.batches import BoolArray
from processors.domain import Rows
from processors.frames_in import alone
from processors.ingest import one_line
from processors.outcome import Refusal
from processors.records_in import KEPT_BYTES, MOST_BYTES, RawRecord, beginning, largest
from processors.rows import Columns, texts
from schemas.codec import Codec
from schemas.errors import Reason
from schemas.errors import Rejected as Refused
from schemas.records import Header, Rejected

_VALUE: Final = attrgetter("value")
_KEY: Final = attrgetter("key")
_HEADERS: Final = attrgetter("headers")


def overlong(records: Sequence[RawRecord], refuse: Callable[[Refusal], None]) -> BoolArray | None:
    """Refuse records that are too long and tell which (n,) are not; None = none is too long."""
    longest = max(map(len, filter(None, map(_VALUE, records))), default=0)
    longest_key = max(map(len, filter(None, map(_KEY, records))), default=0)
    if max(longest, longest_key) <= MOST_BYTES and not any(map(_HEADERS, records)):
        return None
    fits = np.ones(len(records), bool)
    for row, record in enumerate(records):
        size_bytes = largest(record)
        if size_bytes > MOST_BYTES:
            fits[row] = False
            words = f"{size_bytes} bytes, at most {MOST_BYTES} are taken"
            words += f"; of key and value the first {KEPT_BYTES} are kept"
            refuse(Refusal(beginning(record), Reason.OUT_OF_RANGE, (words,)))
    return fits


def strangers(records: Iterable[RawRecord], codec: Codec, topic: str) -> Iterator[Refusal]:
    """Yield records that no form of a topic takes, and why each is refused."""
    for record in records:
        try:
            name, _ = codec.decode(record.value)
        except Refused as refusal:
            yield Refusal(record, refusal.reason, refusal.errors)
        else:
            yield Refusal(record, Reason.WRONG_RECORD, (f"{name} does not belong on {topic}",))


def refusal_of(
    records: Sequence[RawRecord], rows: Rows[Any], row: int, reason: Reason, words: tuple[str, ...], codec: Codec
) -> Refusal:
    """Refuse one row: the record that it is, or the row alone where its record holds several."""
    record = records[rows.record[row]]
    if rows.index is None:
        return Refusal(record, reason, words)
    index = int(rows.index[row])
    return Refusal(alone(record, index, codec), reason, words, index)


def rejects_of(refused: Sequence[Refusal], tick_ms: int, topic: str, partition: int) -> tuple[list[Rejected], Columns]:
    """Return the n refusals of an interval as rejects in log order, and as rows of their table."""
    ordered = sorted(refused, key=lambda refusal: (refusal.raw.offset, refusal.index))
    rejected = [_rejected(refusal, tick_ms, topic, partition) for refusal in ordered]
    rows: Columns = {
        "source_offset": np.array([reject.source_offset for reject in rejected], dtype=np.int64),
        "source_index": np.array([reject.source_index for reject in rejected], np.int32),
        "tick_ms": np.full(len(rejected), tick_ms),
        "reason": texts([reject.reason for reject in rejected]),
        "errors": texts(["\n".join(reject.errors) for reject in rejected]),
    }
    return rejected, rows


def _rejected(refusal: Refusal, tick_ms: int, topic: str, partition: int) -> Rejected:
    raw = refusal.raw
    return Rejected(
        tick_ms=tick_ms,
        source_offset=raw.offset,
        source_index=refusal.index,
        source_partition=partition,
        source_topic=topic,
        reason=str(refusal.reason),
        errors=tuple(one_line(words) for words in refusal.errors),
        key=raw.key,
        value=raw.value,
        headers=tuple(Header(name=name, value=value) for name, value in raw.headers),
    )
