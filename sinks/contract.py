"""What every sink of row frames promises; tests/sinks/test_sink_contract.py holds them to it.

- The same frame written twice is stored once, everywhere, also after a restart of the server or of the writer.
- The order of frames is irrelevant.
- A frame is stored as a whole or refused as a whole.
- A server that is down, slow, hung or refusing for now is `Retryable`; the same writer recovers by itself.
"""

from dataclasses import dataclass
from typing import Protocol

from schemas.errors import CityopsError
from schemas.records import RowFrame


class FrameRefused(CityopsError):
    """A frame that can never be written, whoever tries it again: a bug of whoever built it."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a sink holds after a write: the frame's table and how many rows the frame has."""

    table: str
    rows: int


class RowSink(Protocol):
    """Takes row frames, one at a time, from one thread."""

    def write(self, frame: RowFrame) -> WriteResult:
        """Store a frame, or recognise that it is stored. Raises Retryable or FrameRefused."""

    def close(self) -> None:
        """Let go of the server."""
