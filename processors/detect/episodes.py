"""Episodes: something lasts from so many marked records running to so many unmarked ones; both edges are claimed."""

from functools import lru_cache
from typing import Final

import numpy as np

from processors.batches import BoolArray
from processors.detect.lookback import Lookback

_OVER: Final = 0
_LASTS: Final = 1
_UNKNOWN: Final = 2
"""The records at hand do not tell: before them anything may have been."""


def edges(look: Lookback, mark: int, begins: int, ends: int) -> tuple[BoolArray, BoolArray]:
    """Tell at which of n records an episode begins (n,) and at which one ends (n,).

    begins, ends: how many marked records running begin an episode, and how many unmarked ones end it.
    A silence ends an episode without a claim. Where five records back do not tell whether one lasts, because marked
    and unmarked ones took turns, the edge is claimed: one may so be claimed twice, and none is left out.
    """
    records = len(look.there)
    says = np.packbits((look.marks & mark) != 0, axis=0, bitorder="little")[0]
    begun, ended = _tables(records, begins, ends)
    place = (look.there.sum(axis=0) << records) + says
    return begun.take(place), ended.take(place)


@lru_cache(maxsize=64)
def _tables(records: int, begins: int, ends: int) -> tuple[BoolArray, BoolArray]:
    """Return the edges by what the newest of so many records say, at most 8: how many there are, and which are marked.

    The place is the number shifted by `records`, with the marked ones as bits, of which the first is the newest's.
    """
    number, says = np.divmod(np.arange((records + 1) << records), 1 << records)
    state = np.where(number == records, _UNKNOWN, _OVER)
    marked, unmarked = np.zeros(len(says), np.int64), np.zeros(len(says), np.int64)
    begun, ended = np.zeros(len(says), bool), np.zeros(len(says), bool)
    for step in range(records - 1, -1, -1):
        there, is_marked = step < number, (says >> step & 1) != 0
        marked = np.where(there & is_marked, marked + 1, 0)
        unmarked = np.where(there & ~is_marked, unmarked + 1, 0)
        begun = (marked >= begins) & (state != _LASTS)
        ended = (unmarked >= ends) & (state != _OVER)
        state = np.where(begun, _LASTS, np.where(ended, _OVER, state))
    return begun, ended
