"""A checkpoint: what an engine needs to go on from an offset, in parts that are written once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of one engine as of `next_offset`, a function of the log alone.

    next_offset: the first source offset that it does not cover.
    tick_ms: the last tick that it covers.
    new_parts: key -> bytes, written since the checkpoint before (any size; the store slices them).
    live: keys of every part it consists of, in order; all of them were new in this or an earlier checkpoint.
    dropped: keys that the checkpoint before still needed and this one does not.
    """

    next_offset: int
    tick_ms: int
    new_parts: dict[str, bytes]
    live: tuple[str, ...]
    dropped: tuple[str, ...]
