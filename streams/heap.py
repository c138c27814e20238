"""The C library's heap: numpy's arrays and polls come and go by the megabyte, and glibc keeps the room they had."""

import ctypes
from contextlib import suppress
from typing import Final

M_ARENA_MAX: Final = -8
M_MMAP_THRESHOLD: Final = -3
M_TRIM_THRESHOLD: Final = -1
"""mallopt(3)."""
ARENAS: Final = 2
"""Glibc's own limit is eight a core: every thread then keeps to itself what it once needed."""

KEPT_BYTES: Final = 16_777_216
"""Of free memory at the end of an arena: glibc gives it back to the system at once, and a fetch of 4 MB, which passes
through several buffers, then costs 1.5 ns a byte for pages taken anew instead of 0.2."""
MAPPED_BYTES: Final = 8_388_608
"""Of one allocation that is a mapping of its own, with the same effect."""


def keep_pages() -> None:
    """Let buffers come and go without the system; call it before there are threads. Without glibc, nothing."""
    with suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)


def share_arenas() -> None:
    """Let the threads of this process share a few arenas; call it before there are threads. Without glibc, nothing."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give the whole free pages of the heap back to the system. Without glibc, nothing."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
