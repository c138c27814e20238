"""The span of a replay: which offsets of the live input topics it reads, how fast, and what it is compared over."""

from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Part:
    """One input partition: offsets `begin` (inclusive, warm-up included) to `end` (exclusive)."""

    topic: str
    partition: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """Offset vectors found from event time.

    speed: seconds of event time handed on in a second; 0 = as fast as it goes.
    block_ms: length of its blocks, in ticks; 0 = not written down.
    """

    from_ms: int
    to_ms: int
    parts: list[Part]
    speed: float = 0.0
    block_ms: int = 0

    @property
    def records(self) -> int:
        """Records of the span, ticks and warm-up included."""
        return sum(part.end - part.begin for part in self.parts)

    def bounds(self, topic: str, partition: int) -> tuple[int, int] | None:
        """Return (begin, end) of one partition, or None when it is not part of the span."""
        for part in self.parts:
            if (part.topic, part.partition) == (topic, partition):
                return part.begin, part.end
        return None


def span_path(home: Path, run: str) -> Path:
    """Return where a run keeps its span."""
    return home / "runs" / run / "span.json"


def load_span(home: Path, run: str) -> Span | None:
    """Return the span of a replay; None for any other run."""
    path = span_path(home, run)
    return msgspec.json.decode(path.read_bytes(), type=Span) if run and path.exists() else None


def save_span(home: Path, run: str, span: Span) -> None:
    """Write the span of a replay."""
    path = span_path(home, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(span)))
