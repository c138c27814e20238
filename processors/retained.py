"""Retained: packed records of some keys on their way from a history to whoever compares them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray
from processors.key_blocks import RowArray, SlotArray


@dataclass(frozen=True, slots=True)
class Retained:
    """n packed records of some slots."""

    slot: SlotArray
    at_ms: IntArray
    row: RowArray
    offset: IntArray
    anchor: BoolArray

    def take(self, rows: npt.NDArray[Any]) -> "Retained":
        """Return those rows."""
        return Retained(self.slot[rows], self.at_ms[rows], self.row[rows], self.offset[rows], self.anchor[rows])


def joined(pieces: Sequence[Retained]) -> Retained:
    """Return at least one of them end to end."""
    if len(pieces) == 1:
        return pieces[0]
    return Retained(*(np.concatenate([getattr(piece, one.name) for piece in pieces]) for one in fields(Retained)))


def starts_of(slot: SlotArray) -> IntArray:
    """Return the first row of each slot in rows that are sorted by it."""
    return np.flatnonzero(np.diff(slot, prepend=-1))


def equal_neighbours(*columns: npt.NDArray[Any]) -> BoolArray:
    """Tell for each row whether it equals the one before it in every column."""
    equal = np.zeros(len(columns[0]), bool)
    equal[1:] = np.logical_and.reduce([values[1:] == values[:-1] for values in columns])
    return equal
