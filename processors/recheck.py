"""Recheck: would a record be refused if it came now? Asked of a fresh engine, between the newest tick and the next.

It knows nothing of what came before: that a record is a duplicate or a conflict is found by the real engine alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from processors.city import City
from processors.domain import Domain
from processors.framing import key_of, rows_in
from processors.ingest import IngestRule
from processors.partition_engine import PartitionEngine
from processors.records_in import KEPT_BYTES, RawRecord
from schemas.codec import Codec
from schemas.errors import Reason
from schemas.errors import Rejected as Refused
from schemas.ids import shard_of
from schemas.records import Rejected, Tick, VehicleFrame

NEXT_TICK_MS: Final = 250


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record would be refused, as `Rejected` says it."""

    reason: str
    errors: tuple[str, ...]


def refusals(
    topic: str,
    partition: int,
    partitions: int,
    domain: Domain,
    codec: Codec,
    city: City,
    rule: IngestRule,
    tick_ms: int,
    records: Sequence[RawRecord],
) -> dict[int, Refusal]:
    """Return, by position, which of the records would be refused in this partition behind the tick `tick_ms`.

    topic: its name without a run's prefix. The offsets of the records do not matter. A frame is refused when no
    position of it would be taken.
    """
    engine = PartitionEngine(topic, partition, partitions, domain, codec, city, rule)
    ticks = [codec.encode(Tick(at_ms=at_ms)) for at_ms in (tick_ms, tick_ms + NEXT_TICK_MS)]
    first = RawRecord(0, None, ticks[0])
    numbered = [replace(record, offset=number) for number, record in enumerate(records, start=1)]
    outcome = engine.push([first, *numbered, RawRecord(len(numbered) + 1, None, ticks[1])])
    found: dict[int, list[Rejected]] = {}
    for one in outcome.rejected:
        found.setdefault(one.source_offset - 1, []).append(one)
    return {
        number: Refusal(of[0].reason, of[0].errors)
        for number, of in found.items()
        if of[0].source_index < 0 or len(of) == rows_in(codec, records[number].value)
    }


def device_of(domain: Domain, codec: Codec, value: bytes | None) -> str | None:
    """Return the device that a record is of, of a frame the first; None when its bytes do not tell."""
    try:
        name, fields = codec.decode(value)
        if name == VehicleFrame.__name__:
            return key_of(VehicleFrame(**fields))
    except (Refused, IndexError):
        return None
    form = domain.forms.get(name)
    return None if form is None else str(fields[form.device_field])


def right_partition(device_id: str | None, partitions: int, otherwise: int) -> int:
    """Return the partition of a device; without a device the one given."""
    return shard_of(device_id) % partitions if device_id else otherwise


def was_cut(reject: Rejected) -> bool:
    """Tell whether only the beginning of an overlong record was kept, which is not to be sent for the whole."""
    return reject.reason == Reason.OUT_OF_RANGE and KEPT_BYTES in (len(reject.key or b""), len(reject.value or b""))
