"""GTFS-Realtime: the vehicle positions of a feed, as protobuf or in its JSON form.

A feed is one message. Trip updates and alerts are left out and counted; so is an entity marked as deleted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from google.transit import gtfs_realtime_pb2 as gtfs

from processors.sources.contract import TEXT_LIMIT, Found, Item, LeftOut, Refused
from processors.sources.soundness import found
from processors.sources.times import epoch_ms
from schemas.errors import UsageError
from schemas.records import VehiclePosition

JSON_MARKS: Final = (b"{", b"\xef\xbb\xbf{")


@dataclass(frozen=True, slots=True)
class Feed:
    """What one feed message says. at_ms: of the feed as a whole; None = not told."""

    at_ms: int | None
    positions: tuple[VehiclePosition, ...]
    refused: tuple[Refused, ...]
    left_out: tuple[LeftOut, ...]


class GtfsRealtimeReader:
    """Reads feeds."""

    def read(self, message: bytes, path: str, line: int) -> Iterator[Item]:
        """Return a position for every vehicle of the feed."""
        if not message.strip():
            return
        try:
            feed = _parsed(message)
        except UsageError as error:
            yield Refused(path, line, (str(error),), message[:TEXT_LIMIT].decode("utf-8", "replace"))
            return
        yield from _items(feed, path, line)


def read_feed(message: bytes) -> Feed:
    """Return what a feed says of vehicles. Raises UsageError for what is no feed."""
    feed = _parsed(message)
    items = list(_items(feed, "feed", 1))
    records = [item.record for item in items if isinstance(item, Found)]
    return Feed(
        at_ms=feed.header.timestamp * 1000 or None,
        positions=tuple(record for record in records if isinstance(record, VehiclePosition)),
        refused=tuple(item for item in items if isinstance(item, Refused)),
        left_out=tuple(item for item in items if isinstance(item, LeftOut)),
    )


def _items(feed: gtfs.FeedMessage, path: str, line: int) -> Iterator[Item]:
    if not feed.entity:
        yield LeftOut(path, line, "a feed without entities")
    for entity in feed.entity:
        yield _item(entity, feed.header, path, line)


def _parsed(message: bytes) -> gtfs.FeedMessage:
    feed = gtfs.FeedMessage()
    try:
        if message.lstrip().startswith(JSON_MARKS):
            Parse(message.decode("utf-8-sig"), feed, ignore_unknown_fields=True)
        else:
            feed.ParseFromString(message)
    except (DecodeError, ParseError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a GTFS-Realtime feed: {str(error)[:200]}") from error
    if not feed.HasField("header"):
        raise UsageError("not a GTFS-Realtime feed: it has no header")
    return feed


def _item(entity: gtfs.FeedEntity, header: gtfs.FeedHeader, path: str, line: int) -> Item:
    if entity.is_deleted:
        return LeftOut(path, line, "a deleted entity")
    if not entity.HasField("vehicle"):
        what = (
            "an alert" if entity.HasField("alert") else "a trip update" if entity.HasField("trip_update") else "other"
        )
        return LeftOut(path, line, f"{what} of a feed")
    told = entity.vehicle
    vehicle_id = told.vehicle.id or told.vehicle.label
    wrong = []
    if not vehicle_id:
        wrong.append("the vehicle has neither id nor label")
    if not told.HasField("position"):
        wrong.append("the vehicle has no position")
    at_ms = 0
    try:
        at_ms = epoch_ms(told.timestamp or header.timestamp)
    except ValueError as error:
        wrong.append(str(error) if told.timestamp or header.timestamp else "neither vehicle nor feed has a timestamp")
    name = f"entity {entity.id[:60]!r}"
    if wrong:
        return Refused(path, line, tuple(f"{name}: {words}" for words in wrong), str(told)[:TEXT_LIMIT])
    position, trip = told.position, told.trip
    return found(
        VehiclePosition(
            vehicle_id=vehicle_id,
            at_ms=at_ms,
            latitude_deg=position.latitude,
            longitude_deg=position.longitude,
            speed_mps=position.speed if position.HasField("speed") else math.nan,
            bearing_deg=position.bearing if position.HasField("bearing") else math.nan,
            accuracy_m=math.nan,
            direction_id=trip.direction_id if trip.HasField("direction_id") and trip.direction_id in (0, 1) else -1,
            line_id=trip.route_id,
            trip_id=trip.trip_id,
        ),
        path,
        line,
        name,
    )
