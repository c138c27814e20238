"""The C library's heap: numpy's arrays and polls come and go by the megabyte, and glibc keeps the room they had."""

import ctypes
from contextlib import suppress
from typing import Final

M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""mallopt(3)."""
ARENAS: Final = 2
"""Glibc's own limit is eight a core: every thread then keeps to itself what it once needed."""

OWN_PAGES_BYTES: Final = 1 << 20
"""What is larger, such as a fetch or a frame of rows, gets pages of its own, which go back when it does. Left alone,
glibc raises the limit to 32 MB, and what lives longer then sits between the holes that those leave."""


def share_arenas() -> None:
    """Let the threads of this process share a few arenas; call it before there are threads. Without glibc, nothing."""
    with suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES)


def give_back() -> None:
    """Give the whole free pages of the heap back to the system. Without glibc, nothing."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
