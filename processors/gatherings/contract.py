"""What a gathering is: a pure function from the claims about one subject to claims of several devices together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np

from processors.incidents.clusters import order_of
from schemas.ids import content_id
from schemas.records import Observation

PLACE_DIGITS: Final = 6
VALUE_DIGITS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A claim that follows from others.

    at_ms: when it counts from; it may be later than all that it rests on ("no bus for 15 minutes").
    rests_on: the claims that it follows from, at least one; place, device, line and class are those of the newest one
    where they are not given. value, subject: as docs/observations.md says for the kind.
    """

    at_ms: int
    kind: str
    score: float
    rests_on: tuple[Observation, ...]
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    value: float = 0.0
    subject: str = ""
    device_id: str = ""
    witness_id: str = ""


class Piece(NamedTuple):
    """A part of what a subject says: nothing in it is of before `at_ms`.

    of_ms, name: canonical place of the claim that it begins with; "" if it begins with none.
    """

    at_ms: int
    of_ms: int
    name: str = ""


class Sheet(Protocol):
    """The standing claims of one subject, and what they say piece by piece: a function of these claims alone."""

    def add(self, one: Observation) -> Iterable[Piece]:
        """Take a claim; return the pieces that may say something else."""
        ...

    def remove(self, one: Observation) -> Iterable[Piece]:
        """Take a claim back; return the pieces that may say something else."""
        ...

    def derive(self, piece: Piece) -> Iterable[Derived]:
        """Return what a piece says, nothing if it is no more."""
        ...


class Gathering(Protocol):
    """Knows which claims say something about one subject, and what they say together.

    A derived claim of time t must follow from the claims of t - reach_ms and later alone: the older ones are let go.
    """

    @property
    def name(self) -> str:
        """Return its name, a part of checkpoint keys."""
        ...

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds of claims that it takes."""
        ...

    @property
    def reach_ms(self) -> int:
        """Return how much older than a derived claim the claims may be that it follows from."""
        ...

    def subjects(self, claim: Observation) -> Iterable[str]:
        """Return the subjects that a claim says something about; none if it is of no use."""
        ...

    def derive(self, subject: str, claims: Sequence[Observation]) -> Iterable[Derived]:
        """Return what the standing claims of a subject, in canonical order, say together."""
        ...


@runtime_checkable
class PieceGathering(Gathering, Protocol):
    """A gathering that need not look at all claims of a subject again when one comes or goes."""

    def sheet(self, subject: str) -> Sheet:
        """Return an empty sheet."""
        ...


def derive_by_pieces(sheet: Sheet, claims: Sequence[Observation]) -> Iterator[Derived]:
    """Yield everything that claims say on a sheet of their own."""
    pieces = {piece for one in claims for piece in sheet.add(one)}
    for piece in sorted(pieces):
        yield from sheet.derive(piece)


def observation_of(gathering: str, subject: str, one: Derived) -> Observation:
    """Return a derived claim as an observation; its id stands for all that it says and for what it follows from."""
    cause = max(one.rests_on, key=order_of)
    place = (one.latitude_deg, one.longitude_deg)
    latitude_deg, longitude_deg = (
        (cause.latitude_deg, cause.longitude_deg)
        if place[0] is None or place[1] is None
        else (round(place[0], PLACE_DIGITS), round(place[1], PLACE_DIGITS))
    )
    score_milli, value = round(one.score * 1000), round(one.value, VALUE_DIGITS)
    device_id = one.device_id or cause.device_id
    witness_id = one.witness_id or device_id
    said = (one.kind, one.at_ms, str(latitude_deg), str(longitude_deg), score_milli, str(value), one.subject)
    return Observation(
        at_ms=one.at_ms,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        score=float(np.float32(score_milli / 1000)),
        source_offset=cause.source_offset,
        source_partition=cause.source_partition,
        source_topic=cause.source_topic,
        observation_id=content_id("o", gathering, subject, *said, device_id, witness_id, cause.observation_id),
        kind=one.kind,
        device_id=device_id,
        witness_id=witness_id,
        line_id=cause.line_id,
        direction_id=cause.direction_id,
        line_offset_m=cause.line_offset_m,
        value=value,
        subject=one.subject,
        vehicle_class=cause.vehicle_class,
    )
