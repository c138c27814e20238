"""Tracks: the records of some keys in the order of their time, for detectors to look at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, FloatArray, IntArray
from processors.key_blocks import SlotArray
from schemas.dictionary import DictionaryArray

E7Array = npt.NDArray[np.int32]
"""Degrees times 10 million: about a centimetre."""


@dataclass(frozen=True, slots=True)
class Track:
    """n records of some keys, those of a key together and in the order of (at_ms, tie); the slots number the keys.

    columns, texts: what the history remembers; of content_hash the lower half.
    offset: of the new records, -1 = from an earlier interval.
    anchor: rows whose findings are asked for; enough records precede each of them.
    """

    slot: SlotArray
    at_ms: IntArray
    columns: dict[str, npt.NDArray[Any]]
    texts: dict[str, DictionaryArray]
    offset: IntArray
    anchor: BoolArray

    def __len__(self) -> int:
        """Return n."""
        return len(self.slot)


def degrees_e7(degrees: FloatArray) -> E7Array:
    """Return degrees of latitude or longitude as a history keeps them, halves to the even number."""
    return np.rint(degrees * 1e7).astype(np.int32)
