"""What is free goes back to the system."""

import subprocess
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


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked to")
def test_buffers_of_a_fetch_come_and_go_without_new_pages() -> None:
    code = """
import resource
from streams import heap
heap.keep_pages()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def fetch():
    data = bytearray()
    for _ in range(16):
        data.extend(b"x" * 262_144)
    return len(bytes(data))
fetch()
before = faults()
for _ in range(10):
    fetch()
print(faults() - before)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 2_000  # of some 20,000 that they take otherwise
