"""What silence is judged by: the devices, how they are heard, and for how long one may say nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processors.batches import BoolArray
from processors.rows import Columns


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """Which devices are judged; the limit's source is in docs/thresholds.md#silent-devices.

    records: the record types that a device is heard by, and the field of each that names it.
    beat: the record type that a device must have sent to be judged; empty = none.
    watched: tells of n records, by what their history remembers, after which of them a silence counts.
    """

    silent: str
    heard: str
    limit_ms: int
    records: Mapping[str, str]
    beat: str
    watched: Callable[[Columns], BoolArray]
    remember_ms: int = 86_400_000
