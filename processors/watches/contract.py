"""Watches beside a partition's histories: they take the used records of intervals and claim at ticks.

What stands of a watch's claims is a function of the set of used records and of the newest tick; so is what it seals.
Clocks are the exception: when a record came counts, and what is refused for its time counts too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from processors.city import City
from processors.history import History
from processors.rows import Columns
from schemas.ids import content_id
from schemas.records import Observation

NEVER_MS: Final = -(1 << 62)
"""Before any time that a record can have."""
UNPLACED_E7: Final = np.iinfo(np.int32).min
"""The latitude of a record whose place is not known."""
TURN_MS: Final = 1_000
"""Watches look at their devices at the first tick of each such span, and whenever a checkpoint is due."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A tick at which watches answer.

    late_ms: no record that is still to come is older.
    histories: those of the topic's record types, by name, with every record up to the tick.
    """

    tick_ms: int
    late_ms: int
    histories: Mapping[str, History]


@dataclass(frozen=True, slots=True)
class WatchClaim:
    """What a watch claims at a place; two equal ones are one claim."""

    kind: str
    device_id: str
    at_ms: int
    latitude_e7: int
    longitude_e7: int
    score_milli: int
    value: float = 0.0
    subject: str = ""
    witness_id: str = ""
    line_id: str = ""
    vehicle_class: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A claim that is added, or taken back."""

    claim: WatchClaim
    withdrawn: bool = False


class Watch(Protocol):
    """State of one partition beside its histories.

    takes_misdated: whether `take` is given the records, too, that are refused for nothing but their time.
    """

    takes_misdated: bool

    @property
    def name(self) -> str:
        """What the names of its parts begin with; no record is called so."""

    @property
    def live(self) -> tuple[str, ...]:
        """The names of the parts that hold its state, once sealed, in their order."""

    def take(self, record: str, batch: Any, remembered: Columns, city: City) -> None:
        """Take n used records of one type, with the columns that their history remembers."""

    def answer(self, turn: Turn) -> list[Told]:
        """Return what changes in its claims up to a tick; everything up to it was taken."""

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Return parts that are new since the last call, right after an answer; the histories hold the rest.

        first_offset: names parts, never given twice. horizon_ms: of older devices the histories know nothing.
        """

    def load(self, parts: Sequence[tuple[str, bytes]], turn: Turn) -> None:
        """Take back sealed parts by name, the oldest first, over histories that were taken back.

        Raises ValueError when one has another format.
        """


WatchMaker = Callable[[City], Watch]


def observed(told: Told, source_offset: int, source_partition: int, source_topic: str) -> Observation:
    """Return a claim as an observation; source_offset: of the tick that led to it."""
    claim = told.claim
    content = (claim.latitude_e7, claim.longitude_e7, str(claim.value), claim.subject)
    return Observation(
        at_ms=claim.at_ms,
        latitude_deg=claim.latitude_e7 / 1e7,
        longitude_deg=claim.longitude_e7 / 1e7,
        score=float(np.float32(claim.score_milli / 1000)),
        withdrawn=told.withdrawn,
        source_offset=source_offset,
        source_partition=source_partition,
        source_topic=source_topic,
        observation_id=content_id("o", claim.kind, claim.device_id, claim.at_ms, claim.score_milli, *content),
        kind=claim.kind,
        device_id=claim.device_id,
        witness_id=claim.witness_id or claim.device_id,
        line_id=claim.line_id,
        value=claim.value,
        subject=claim.subject,
        vehicle_class=claim.vehicle_class,
    )


def changes(before: set[WatchClaim], after: set[WatchClaim]) -> list[Told]:
    """Return what is taken back and what is added between two sets of claims."""
    return [Told(claim, withdrawn=True) for claim in before - after] + [Told(claim) for claim in after - before]
