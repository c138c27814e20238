"""Episodes: something lasts from so many marked records running to so many unmarked ones; both edges are claimed."""

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
    rows = len(look.row)
    back = len(look.there) - 1
    state = np.where(look.there[back], _UNKNOWN, _OVER)
    marked, unmarked = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    begun, ended = np.zeros(rows, bool), np.zeros(rows, bool)
    for step in range(back, -1, -1):
        there, says = look.there[step], (look.marks[step] & mark) != 0
        marked = np.where(there & says, marked + 1, 0)
        unmarked = np.where(there & ~says, unmarked + 1, 0)
        begun = (marked >= begins) & (state != _LASTS)
        ended = (unmarked >= ends) & (state != _OVER)
        state = np.where(begun, _LASTS, np.where(ended, _OVER, state))
    return begun, ended
