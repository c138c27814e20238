"""What is free goes back to the system."""

import sys

import numpy as np
import psutil
import pytest

from streams import heap

PIECES = 8_000
PIECE_BYTES = 8_192


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked to")
def test_give_back_returns_what_lies_between_pieces_in_use() -> None:
    heap.share_arenas()
    pieces = [np.ones(PIECE_BYTES, np.uint8) for _ in range(PIECES)]
    in_use = pieces[::10]
    del pieces
    held = psutil.Process().memory_info().rss
    heap.give_back()
    given_back = held - psutil.Process().memory_info().rss
    assert given_back > PIECES * PIECE_BYTES / 4
    assert sum(int(piece.sum()) for piece in in_use) == len(in_use) * PIECE_BYTES
