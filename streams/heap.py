"""The C library's heap: numpy's arrays and polls come and go by the megabyte, and glibc keeps the room they had."""

import ctypes
from contextlib import suppress
from typing import Final

M_ARENA_MAX: Final = -8
"""mallopt(3)."""
ARENAS: Final = 2
"""Glibc's own limit is eight a core: every thread then keeps to itself what it once needed."""


def share_arenas() -> None:
    """Let the threads of this process share a few arenas; call it before there are threads. Without glibc, nothing."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give the whole free pages of the heap back to the system. Without glibc, nothing."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
