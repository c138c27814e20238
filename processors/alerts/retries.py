"""When to try again: what a receiver's answer means and how long to wait. Pure; the clock is the caller's."""

from enum import StrEnum
from hashlib import blake2b
from typing import Final

FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 300.0
"""A receiver that comes back waits no longer than this for a life-safety alert."""
GIVE_UP_S: Final = 86_400.0
"""Age of a notification at which no more is tried."""
JITTER: Final = 0.2

_RECEIVER_BUSY: Final = frozenset({408, 425, 429})
GONE: Final = 410


class Answer(StrEnum):
    """What an attempt says."""

    TAKEN = "taken"
    REFUSED = "refused"
    """This notification was refused; the next one may not be."""
    DOWN = "down"
    """The receiver takes nothing now."""
    GONE = "gone"
    """The receiver wants no more: 410 (Standard Webhooks)."""


def answer_of(status_code: int) -> Answer:
    """Return what an HTTP status means; 0 = no answer came. Redirects are not followed, so they are refusals."""
    if 200 <= status_code < 300:
        return Answer.TAKEN
    if status_code == GONE:
        return Answer.GONE
    if status_code == 0 or status_code >= 500 or status_code in _RECEIVER_BUSY:
        return Answer.DOWN
    return Answer.REFUSED


def wait_s(failures: int, notification_id: str, retry_after_s: float | None) -> float:
    """Return how long to wait after so many failures in a row: doubling, spread by id so that not all come at once.

    retry_after_s: what the receiver asked for; it is honoured up to LONGEST_WAIT_S.
    """
    doubled = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 16))
    spread = blake2b(f"{notification_id}/{failures}".encode(), digest_size=2).digest()
    waited = doubled * (1.0 - JITTER * int.from_bytes(spread, "big") / 65_535)
    return waited if retry_after_s is None else min(LONGEST_WAIT_S, max(waited, retry_after_s))
