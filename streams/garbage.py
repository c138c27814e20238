"""Python's search for cycles, in a worker: it looks at what is new, and never again at what stays.

A worker holds a million objects for minutes and makes hardly a cycle; a search through all of them stops it for half a
second. What outlives two short searches is therefore set aside, and searched once an hour.
"""

import gc
from typing import Any, Final

NEW: Final = 20_000
"""Objects that are searched at once: some 30 ms. Python's own 700 would search three times in a poll."""
SEARCHES: Final = 4
"""After so many, what they left is searched once more and set aside."""
NEVER: Final = 1 << 30
SWEEP_S: Final = 3_600.0


def tune() -> None:
    """Set it for this process, as long as that runs."""
    gc.set_threshold(NEW, SEARCHES, NEVER)
    if _set_aside not in gc.callbacks:
        gc.callbacks.append(_set_aside)


def set_aside() -> None:
    """Never search again what there is now: the city, the rules, the modules."""
    gc.freeze()


def sweep() -> int:
    """Search everything; return how many objects went."""
    gc.unfreeze()
    gone = gc.collect()
    gc.freeze()
    return gone


def _set_aside(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] == 1:
        gc.freeze()
