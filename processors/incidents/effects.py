"""Where an incident is and what it affects, from its evidence and the city.

Place: mean of the evidence's places, each weighted by weight x score / off_m², off_m = how far from the place of a
claim of that kind the thing itself may be (rule file, 25 m where not given): the centre of least squares of claims
with those errors, so a vehicle's own position counts for more than that of a camera that looks 100 m down a street.
Rounded to a millionth of a degree (0.1 m).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from processors.city import City
from processors.incidents.clusters import ground_m
from processors.incidents.rule_model import Near, Rule
from schemas.records import AffectedLine, DueTrip, Evidence, Observation

OFF_M: Final = 25.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around a place: its unit, its name, and what it affects."""

    unit_code: str
    unit_name: str
    place: str
    lines: tuple[AffectedLine, ...]
    stop_ids: tuple[str, ...]


def representative(claims: Iterable[Observation]) -> tuple[Observation, ...]:
    """Return of every witness and kind the strongest claim, the earliest of equals, in canonical order.

    claims: in canonical order.
    """
    best: dict[tuple[str, str], Observation] = {}
    for one in claims:
        key = (one.witness_id, one.kind)
        if key not in best or one.score > best[key].score:
            best[key] = one
    return tuple(sorted(best.values(), key=lambda one: (one.at_ms, one.observation_id)))


def centre_of(claims: Sequence[Observation], rule: Rule) -> tuple[float, float]:
    """Return latitude and longitude in degrees of the weighted centre of at least one claim."""
    weights = [rule.evidence[one.kind] * one.score / rule.off_m.get(one.kind, OFF_M) ** 2 for one in claims]
    if math.fsum(weights) <= 0.0:
        weights = [1.0] * len(claims)
    total = math.fsum(weights)
    pairs = list(zip(claims, weights, strict=True))
    latitude_deg = math.fsum(one.latitude_deg * weight for one, weight in pairs) / total
    longitude_deg = math.fsum(one.longitude_deg * weight for one, weight in pairs) / total
    return round(latitude_deg, 6), round(longitude_deg, 6)


def evidence_at(claims: Sequence[Observation], latitude_deg: float, longitude_deg: float, rule: Rule) -> list[Evidence]:
    """Return claims as evidence of an incident at a place; distances to 0.1 m."""
    return [
        Evidence(
            at_ms=one.at_ms,
            latitude_deg=one.latitude_deg,
            longitude_deg=one.longitude_deg,
            score=one.score,
            weight=rule.evidence[one.kind],
            distance_m=round(ground_m(one.latitude_deg, one.longitude_deg, latitude_deg, longitude_deg), 1),
            observation_id=one.observation_id,
            kind=one.kind,
            device_id=one.device_id,
            witness_id=one.witness_id,
            snapshot_url=one.snapshot_url,
        )
        for one in claims
    ]


def surroundings(city: City, latitude_deg: float, longitude_deg: float, near: Near) -> Surroundings:
    """Ask the city what lies around a place; distances to 0.1 m."""
    unit_code = city.unit_at(latitude_deg, longitude_deg)
    lines = [
        AffectedLine(
            distance_m=round(one.distance_m, 1),
            direction_id=one.direction_id,
            line_id=one.line_id,
            line_name=one.line_name,
        )
        for one in city.near_lines(latitude_deg, longitude_deg, near.line_m)
    ]
    return Surroundings(
        unit_code=unit_code,
        unit_name=city.unit_name(unit_code),
        place=city.place_in_words(latitude_deg, longitude_deg, unit_code),
        lines=tuple(lines),
        stop_ids=tuple(one.stop_id for one in city.near_stops(latitude_deg, longitude_deg, near.stop_m)),
    )


def trips_due(
    city: City, stop_ids: Sequence[str], lines: Sequence[AffectedLine], after_ms: int, near: Near
) -> tuple[DueTrip, ...]:
    """Return the trips of the affected lines due at the affected stops in the next `near.due_s` seconds."""
    if not stop_ids or not lines:
        return ()
    line_ids = sorted({line.line_id for line in lines})
    return city.due_trips(stop_ids, line_ids, after_ms, near.due_s)
