"""Episodes: the edges of what lasts, against a walk through the records of each one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from processors.detect.episodes import edges
from processors.detect.lookback import BACK, Lookback
from processors.marks import FAST, SOS


def walked(says: list[bool], begins: int, ends: int, *, all_there: bool) -> tuple[bool, bool]:
    """Tell whether an episode begins and whether one ends at the last record; None = the records do not tell."""
    lasts: bool | None = None if all_there else False
    marked = unmarked = 0
    begun = ended = False
    for is_marked in says:
        marked, unmarked = (marked + 1, 0) if is_marked else (0, unmarked + 1)
        begun = marked >= begins and lasts is not True
        ended = unmarked >= ends and lasts is not False
        lasts = True if begun else False if ended else lasts
    return begun, ended


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=BACK + 1), min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_edges_are_those_of_a_walk(rows: list[list[bool]], begins: int, ends: int) -> None:
    there, marks = np.zeros((BACK + 1, len(rows)), bool), np.zeros((BACK + 1, len(rows)), np.uint16)
    for column, says in enumerate(rows):
        there[: len(says), column] = True
        marks[: len(says), column] = [FAST | SOS if one else SOS for one in reversed(says)]
    found = edges(Lookback(np.arange(len(rows)), there, marks), FAST, begins, ends)
    expected = [walked(says, begins, ends, all_there=len(says) == BACK + 1) for says in rows]
    assert list(zip(*(side.tolist() for side in found), strict=True)) == expected


def test_edges_of_no_record() -> None:
    none = Lookback(np.zeros(0, np.int64), np.zeros((BACK + 1, 0), bool), np.zeros((BACK + 1, 0), np.uint16))
    begun, ended = edges(none, FAST, 2, 2)
    assert (len(begun), len(ended)) == (0, 0)
