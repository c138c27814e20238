"""What a partition engine's push led to, and how it is gathered while intervals close."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from processors.checkpoint import Checkpoint
from processors.records_in import RawRecord
from schemas.errors import Reason
from schemas.records import ObservationBlock, Rejected, RowFrame

TICK: Final = "Tick"
USED_IN: Final = ("positions", "detections", "readings", "heartbeats", "device_log", "actions")
"""The tables of used records."""


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A record that stands in the wrong partition: to be sent, as it is, to the right one under its device's id."""

    to_partition: int
    key: bytes
    record: RawRecord


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records decided by one push; ticks are all that were read, those ignored included."""

    used: int
    duplicate: int
    forwarded: int
    ticks: int
    rejected: Mapping[str, int]
    """by reason"""
    positions: int
    detections: int
    readings: int
    heartbeats: int
    registrations: int
    actions: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one push led to. checkpoint: the last one that fell due, None when none did."""

    blocks: tuple[ObservationBlock, ...]
    frames: tuple[RowFrame, ...]
    rejected: tuple[Rejected, ...]
    forwarded: tuple[Forwarded, ...]
    checkpoint: Checkpoint | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record, or one position of a frame, that is refused."""

    raw: RawRecord
    reason: Reason
    errors: tuple[str, ...]
    index: int = -1
    """of a position within its frame, -1 = the whole record"""


@dataclass(slots=True)
class Gathered:
    """What is gathered for an Outcome."""

    blocks: list[ObservationBlock] = field(default_factory=list)
    frames: list[RowFrame] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    forwarded: list[Forwarded] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def outcome(self) -> Outcome:
        """Return what was gathered."""
        of = self.counts
        counts = Counts(
            used=sum(of[table] for table in USED_IN),
            duplicate=of["duplicates"],
            forwarded=of["forwarded"],
            ticks=of[TICK],
            rejected=Counter(rejected.reason for rejected in self.rejected),
            positions=of["positions"],
            detections=of["detections"],
            readings=of["readings"],
            heartbeats=of["heartbeats"],
            registrations=of["device_log"],
            actions=of["actions"],
        )
        return Outcome(
            blocks=tuple(self.blocks),
            frames=tuple(self.frames),
            rejected=tuple(self.rejected),
            forwarded=tuple(self.forwarded),
            checkpoint=self.checkpoint,
            counts=counts,
        )
