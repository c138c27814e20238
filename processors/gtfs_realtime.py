"""GTFS-Realtime 2.0: vehicles and incidents as one full data set for other programs.

Only ids that the loaded network has are named. docs/gtfs-realtime.md says what stands where, and why.
Source: gtfs.org/documentation/realtime/reference.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.json_format import MessageToJson
from google.transit import gtfs_realtime_pb2 as pb

from processors.city import City
from schemas.columns import unpack
from schemas.ids import is_exercise
from schemas.records import Incident, IncidentState, RowFrame, Severity

OLDEST_MS: Final = 90_000
"""Source: GTFS Realtime Best Practices, VehiclePosition."""
ON_LINE_M: Final = 200.0
"""Further from its line a vehicle names no trip. Source: rule E029 of MobilityData's validator."""
PLACES: Final = 6
"""Decimal places of a degree: a tenth of a metre."""
LANGUAGE: Final = "en"

CAUSES: Final = {
    "crash": pb.Alert.ACCIDENT,
    "flood": pb.Alert.WEATHER,
    "person_down": pb.Alert.MEDICAL_EMERGENCY,
}
"""By incident kind; every other is OTHER_CAUSE."""
LEVELS: Final = {
    Severity.MINOR: pb.Alert.INFO,
    Severity.MODERATE: pb.Alert.WARNING,
    Severity.SEVERE: pb.Alert.SEVERE,
    Severity.EXTREME: pb.Alert.SEVERE,
}
OPEN_STATES: Final = frozenset({IncidentState.SUSPECTED, IncidentState.CONFIRMED})


class VehicleNow(NamedTuple):
    """The newest position of one vehicle; the first eight fields are what the page is told, in its order."""

    vehicle_id: str
    longitude_deg: float
    latitude_deg: float
    bearing_deg: float | None
    speed_mps: float | None
    line_id: str
    """As the device told it."""
    vehicle_class: str
    at_ms: int
    trip_id: str
    direction_id: int
    """-1 = unknown"""
    cross_track_m: float | None
    """From its own line; None = it told none that the city has, or is far from it."""


@dataclass(frozen=True, slots=True)
class TransitIds:
    """What may be named: the ids of the loaded network. two_way: lines of which both directions are known."""

    line_ids: frozenset[str]
    two_way: frozenset[str]
    stop_ids: frozenset[str]
    trip_lines: Mapping[str, str]


def transit_ids(city: City) -> TransitIds:
    """Return the ids of a city's network."""
    return TransitIds(
        frozenset(line.line_id for line in city.lines),
        frozenset(line.line_id for line in city.lines if len(line.patterns) > 1),
        frozenset(stop.stop_id for stop in city.stops),
        city.trip_lines,
    )


def vehicles_of(frame: RowFrame) -> list[VehicleNow]:
    """Return the rows of a frame of the table `positions`, in its order."""
    columns: dict[str, Any] = unpack(frame.columns)
    line_id, matched_line_id = (np.array(columns[name].tolist(), object) for name in ("line_id", "matched_line_id"))
    own_line = (matched_line_id == line_id) & (line_id != "")
    speed_mm_s = columns["speed_mm_s"]
    return list(
        map(
            VehicleNow,
            columns["vehicle_id"].tolist(),
            columns["longitude_deg"].round(PLACES).tolist(),
            columns["latitude_deg"].round(PLACES).tolist(),
            _known(columns["bearing_deg"].astype(np.float64).round(1)),
            _known(np.where(speed_mm_s < 0, np.nan, speed_mm_s / 1000)),
            line_id.tolist(),
            columns["vehicle_class"].tolist(),
            columns["at_ms"].tolist(),
            columns["trip_id"].tolist(),
            np.where(own_line, columns["direction_id"], -1).tolist(),
            _known(np.where(own_line, columns["cross_track_m"], np.nan)),
        )
    )


def build_feed(
    at_ms: int, vehicles: Iterable[VehicleNow], incidents: Iterable[Incident], ids: TransitIds
) -> pb.FeedMessage:
    """Return the full data set as of `at_ms` (UTC epoch).

    Left out: vehicles on no line of the network, of exercises, or older than 90 s; incidents that are not open, touch
    neither a line nor a stop of the network, belong to an exercise, or that another open one replaces.
    """
    feed = pb.FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.incrementality = pb.FeedHeader.FULL_DATASET
    feed.header.timestamp = at_ms // 1000
    for vehicle in vehicles:
        if vehicle.line_id in ids.line_ids and _is_public(vehicle, at_ms):
            _add_vehicle(feed, vehicle, ids)
    open_ones = [one for one in incidents if one.state in OPEN_STATES and not one.exercise]
    replaced = {incident_id for one in open_ones for incident_id in one.replaces}
    for incident in sorted(open_ones, key=lambda one: one.incident_id):
        if incident.incident_id not in replaced:
            _add_alert(feed, incident, ids)
    return feed


def feed_json(feed: pb.FeedMessage) -> str:
    """Return a feed in protobuf's own JSON, with the names of the specification."""
    return str(MessageToJson(feed, preserving_proto_field_name=True, ensure_ascii=False))


def unknown_ids(feed: pb.FeedMessage, ids: TransitIds) -> list[str]:
    """Return a sentence for each route, stop or trip that a feed names and the network does not have."""
    found = []
    for entity in feed.entity:
        trips = [entity.vehicle.trip] if entity.HasField("vehicle") else []
        named = list(entity.alert.informed_entity) if entity.HasField("alert") else []
        trips += [one.trip for one in named]
        routes = [one.route_id for one in (*trips, *named)]
        found += [f"{entity.id}: route {one} is unknown" for one in routes if one and one not in ids.line_ids]
        stops = [one.stop_id for one in named]
        found += [f"{entity.id}: stop {one} is unknown" for one in stops if one and one not in ids.stop_ids]
        for trip in trips:
            if trip.trip_id and ids.trip_lines.get(trip.trip_id) is None:
                found.append(f"{entity.id}: trip {trip.trip_id} is unknown")
            elif trip.trip_id and trip.route_id and ids.trip_lines[trip.trip_id] != trip.route_id:
                found.append(f"{entity.id}: trip {trip.trip_id} is not of route {trip.route_id}")
    return found


def _is_public(vehicle: VehicleNow, at_ms: int) -> bool:
    return vehicle.at_ms >= at_ms - OLDEST_MS and not is_exercise(vehicle.vehicle_id)


def _add_vehicle(feed: pb.FeedMessage, vehicle: VehicleNow, ids: TransitIds) -> None:
    entity = feed.entity.add()
    entity.id = f"vehicle:{vehicle.vehicle_id}"
    told = entity.vehicle
    told.vehicle.id = vehicle.vehicle_id
    told.trip.route_id = vehicle.line_id
    told.trip.schedule_relationship = pb.TripDescriptor.SCHEDULED
    on_line = vehicle.cross_track_m is not None and vehicle.cross_track_m <= ON_LINE_M
    if on_line and ids.trip_lines.get(vehicle.trip_id) == vehicle.line_id:
        told.trip.trip_id = vehicle.trip_id
    elif vehicle.direction_id >= 0 and vehicle.line_id in ids.two_way:
        told.trip.direction_id = vehicle.direction_id
    told.position.latitude = vehicle.latitude_deg
    told.position.longitude = vehicle.longitude_deg
    if vehicle.bearing_deg is not None:
        told.position.bearing = vehicle.bearing_deg
    if vehicle.speed_mps is not None:
        told.position.speed = vehicle.speed_mps
    # A device's clock may be ahead of ours by seconds; an entity must not be newer than the header (rule E012).
    told.timestamp = min(vehicle.at_ms // 1000, feed.header.timestamp)


def _add_alert(feed: pb.FeedMessage, incident: Incident, ids: TransitIds) -> None:
    informed = _informed(incident, ids)
    if not informed:
        return
    entity = feed.entity.add()
    entity.id = f"alert:{incident.incident_id}"
    alert = entity.alert
    alert.informed_entity.extend(informed)
    alert.active_period.add().start = incident.opened_at_ms // 1000
    alert.cause = CAUSES.get(incident.kind, pb.Alert.OTHER_CAUSE)
    confirmed = incident.state is IncidentState.CONFIRMED
    alert.effect = pb.Alert.SIGNIFICANT_DELAYS if confirmed else pb.Alert.UNKNOWN_EFFECT
    alert.severity_level = LEVELS[incident.severity]
    kind = incident.kind.replace("_", " ").capitalize()
    _say(alert.header_text, f"{kind}, {incident.place}" if incident.place else kind)
    _say(alert.description_text, _described(incident))


def _informed(incident: Incident, ids: TransitIds) -> list[pb.EntitySelector]:
    """Return the lines (with a direction where the other one is not affected) and the stops, known ones alone."""
    ways = {(one.line_id, one.direction_id) for one in incident.lines if one.line_id in ids.line_ids}
    directions = Counter(line_id for line_id, _ in ways)
    found = {}
    for line_id, direction_id in sorted(ways):
        one_way = line_id in ids.two_way and directions[line_id] == 1 and direction_id >= 0
        selector = pb.EntitySelector(route_id=line_id)
        if one_way:
            selector.direction_id = direction_id
        found[line_id] = selector
    stops = [pb.EntitySelector(stop_id=one) for one in sorted(set(incident.stop_ids) & ids.stop_ids)]
    return [*found.values(), *stops]


def _described(incident: Incident) -> str:
    how = "Confirmed" if incident.state is IncidentState.CONFIRMED else "Suspected, not confirmed yet"
    lines = ", ".join(sorted({one.line_name or one.line_id for one in incident.lines}))
    return f"{how}; severity {incident.severity.lower()}." + (f" Lines that pass: {lines}." if lines else "")


def _say(text: pb.TranslatedString, words: str) -> None:
    text.translation.add(text=words, language=LANGUAGE)


def _known(values: Any) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]
