"""What a gathering is: a pure function from the claims about one subject to claims of several devices together."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from processors.incidents.clusters import order_of
from schemas.ids import content_id
from schemas.records import Observation

PLACE_DIGITS: Final = 6
VALUE_DIGITS: Final = 3
SCORES: Final = (np.arange(1001) / 1000).astype(np.float32).astype(float).tolist()
"""Scores of 0 to 1000 thousandths, as single precision holds them."""


class Derived(NamedTuple):
    """A claim that follows from others.

    at_ms: when it counts from; it may be later than all that it rests on ("no bus for 15 minutes").
    rests_on: the claims that it follows from, at least the newest one, whose place, device, line and class it has where
    they are not given. value, subject: as docs/observations.md says for the kind.
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


def observation_of(gathering: str, subject: str, one: Derived) -> Observation:
    """Return a derived claim as an observation; its id stands for all that it says and for what it follows from."""
    cause = one.rests_on[0] if len(one.rests_on) == 1 else max(one.rests_on, key=order_of)
    latitude_deg, longitude_deg = one.latitude_deg, one.longitude_deg
    if latitude_deg is None or longitude_deg is None:
        latitude_deg, longitude_deg = cause.latitude_deg, cause.longitude_deg
    else:
        latitude_deg, longitude_deg = round(latitude_deg, PLACE_DIGITS), round(longitude_deg, PLACE_DIGITS)
    score_milli, value = round(one.score * 1000), round(one.value, VALUE_DIGITS)
    device_id = one.device_id or cause.device_id
    witness_id = one.witness_id or device_id
    said = (one.kind, one.at_ms, str(latitude_deg), str(longitude_deg), score_milli, str(value), one.subject)
    return Observation(
        at_ms=one.at_ms,
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        score=SCORES[score_milli],
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
