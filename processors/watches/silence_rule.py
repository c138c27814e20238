"""What silence is judged by: the devices, how they are heard, and for how long one may say nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.rows import Columns


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """Which devices are judged; the source of the limits is in docs/thresholds.md#silent-devices.

    limits_ms: for how long a device may say nothing, ascending; which of them holds depends on what it said last.
    records: the record types that a device is heard by, and the field of each that names it.
    beat: the record type that a device must have sent to be judged; empty = none.
    watched: tells of n records, by what their history remembers, which limit holds after each: 1 = the first one,
    0 = a silence does not count.
    """

    silent: str
    heard: str
    limits_ms: tuple[int, ...]
    records: Mapping[str, str]
    beat: str
    watched: Callable[[Columns], npt.NDArray[np.uint8]]
    remember_ms: int = 86_400_000

    @property
    def least_ms(self) -> int:
        """Return the shortest limit: nothing shorter is ever looked at."""
        return self.limits_ms[0]
