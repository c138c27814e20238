"""Passages of stops, as the gatherings of transit lines read them."""

from typing import Final

from processors.gatherings.contract import Derived
from schemas.records import Observation

PASSAGE: Final = "stop_passage"
SAME_MS: Final = 600_000
"""A vehicle that passes a stop again within it has not left."""


def stop_of(claim: Observation) -> str:
    """Return the stop of a passage, whose subject is "line/direction/stop/trip"."""
    return claim.subject.removeprefix(f"{claim.line_id}/{claim.direction_id}/").partition("/")[0]


def late_claim(one: Observation, delay_ms: int, late_ms: int) -> Derived:
    """Return the claim that the vehicle of a passage is that late; the score grows up to three times the limit."""
    return Derived(
        at_ms=one.at_ms,
        kind="running_late",
        score=min(0.95, 0.5 + 0.15 * delay_ms / late_ms),
        rests_on=(one,),
        value=delay_ms / 1000,
        subject=f"{one.line_id}/{one.direction_id}",
    )
