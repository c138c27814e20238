"""Scenes that cameras alone notice: what is claimed of each kind, how soon, how often and for how long."""

from collections.abc import Callable
from dataclasses import dataclass

from processors.simulate.rule import Span
from processors.simulate.scenes.scene import NAN, Call, Scene, Sight
from processors.simulate.scenes.stage import Stage


@dataclass(frozen=True, slots=True)
class Claim:
    """What a camera claims of a scene.

    after_s: from the beginning. every_s: between two looks. for_s: for how long, None = until the end.
    """

    kind: str
    object_class: str
    after_s: Span
    every_s: float
    for_s: Span | None = None


@dataclass(frozen=True, slots=True)
class Sighted:
    """How a kind looks. where: chooses a free place that a camera sees."""

    claims: tuple[Claim, ...]
    lasts_s: Span
    where: Callable[[Stage, Call], tuple[float, float] | None]


def sights_of(stage: Stage, call: Call, place: tuple[float, float], claims: tuple[Claim, ...], ends_ms: float,
              speed_mps: float = NAN, bearing_deg: float = NAN) -> tuple[Sight, ...]:  # fmt: skip
    """Return what the cameras that see a place claim."""
    sights = []
    for camera in stage.views(*place):
        for claim in claims:
            from_ms = call.after_ms(claim.after_s)
            until_ms = ends_ms if claim.for_s is None else min(ends_ms, from_ms + call.lasts_ms(claim.for_s))
            sights.append(Sight(
                camera, claim.kind, claim.object_class, from_ms, until_ms, claim.every_s * 1000, speed_mps, bearing_deg
            ))  # fmt: skip
    return tuple(sights)


def make_sighted(stage: Stage, call: Call, how: Sighted) -> Scene | None:
    """Let something happen that only cameras see; None where the city has no such place that is free."""
    ends_ms = call.at_ms + call.lasts_ms(how.lasts_s)
    place = how.where(stage, call)
    if place is None:
        return None
    truth = stage.truth(call, *place, ends_ms)
    return Scene(call.kind, call.rng, truth, sights=sights_of(stage, call, place, how.claims, ends_ms))


def anywhere(stage: Stage, call: Call) -> tuple[float, float] | None:
    """Choose a place near any camera."""
    return stage.by_camera(call, stage.all_cameras)


def on_street(stage: Stage, call: Call) -> tuple[float, float] | None:
    """Choose a place on a road that a camera watches."""
    spot = stage.on_street(call)
    return None if spot is None else (float(stage.spots.latitude_deg[spot]), float(stage.spots.longitude_deg[spot]))
