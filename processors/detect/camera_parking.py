"""Parking: a vehicle that stands in a zone where nobody may, as analytics tell that it is parked."""

from typing import Final

from processors.batches import DetectionBatch, IntArray
from processors.city import City
from processors.detect.camera_crowds import PERSON
from processors.detect.camera_kinds import NAMES, NO_CLAIM

PARKED: Final = PERSON + 1
"""The claim of a vehicle that stands: only its place tells whether it may."""

PARKED_KINDS: Final = frozenset({"parked", "stationary", "stopped"})
VEHICLES: Final = {
    "bus": "OTHER",
    "car": "OTHER",
    "coach": "COACH",
    "motorbike": "OTHER",
    "motorcycle": "OTHER",
    "taxi": "TAXI",
    "truck": "OTHER",
    "van": "OTHER",
    "vehicle": "OTHER",
}
"""What analytics call a vehicle -> its class where a picture tells it: a zone may be about some classes only."""

FORBIDDING: Final = frozenset({"no_stopping", "no_parking"})


def judge_parked(batch: DetectionBatch, claim: IntArray, city: City) -> IntArray:
    """Return n claims in which a parked vehicle is illegal parking where a zone forbids it, and nothing elsewhere."""
    judged = claim.copy()
    parked = (claim == PARKED).nonzero()[0]
    if not len(parked):
        return judged
    places = list(zip(batch.latitude_deg[parked].tolist(), batch.longitude_deg[parked].tolist(), strict=True))
    zones = {place: [zone for zone in city.zones_at(*place) if zone.kind in FORBIDDING] for place in set(places)}
    for row, place in zip(parked.tolist(), places, strict=True):
        vehicle_class = VEHICLES[batch.object_class[row].lower()]
        forbidden = any(zone.concerns(vehicle_class) for zone in zones[place])
        judged[row] = NAMES["illegal_parking"] if forbidden else NO_CLAIM
    return judged
