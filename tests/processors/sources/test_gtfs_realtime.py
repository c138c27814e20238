import math

import pytest
from google.protobuf.json_format import MessageToJson
from google.transit import gtfs_realtime_pb2 as gtfs
from hypothesis import given
from hypothesis import strategies as st

from processors.gtfs_realtime import TransitIds, VehicleNow, build_feed
from processors.sources.contract import Found, LeftOut, Refused
from processors.sources.gtfs_realtime import GtfsRealtimeReader, read_feed
from schemas.errors import UsageError
from tests.processors.sources.reading import errors_of, items_of, reason_of, record_of

READER = GtfsRealtimeReader()
AT_S = 1_772_434_800


def feed_of(*vehicles: gtfs.VehiclePosition, at_s: int = AT_S) -> gtfs.FeedMessage:
    feed = gtfs.FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    if at_s:
        feed.header.timestamp = at_s
    for number, vehicle in enumerate(vehicles):
        entity = feed.entity.add()
        entity.id = f"e{number}"
        entity.vehicle.CopyFrom(vehicle)
    return feed


def vehicle(vehicle_id: str = "bus-7", *, label: str = "", at_s: int = 0, placed: bool = True) -> gtfs.VehiclePosition:
    one = gtfs.VehiclePosition()
    one.vehicle.id, one.vehicle.label = vehicle_id, label
    if at_s:
        one.timestamp = at_s
    if placed:
        one.position.latitude, one.position.longitude = 21.03125, 105.8125
    return one


def test_vehicle_is_a_position_with_its_trip() -> None:
    told = vehicle(at_s=AT_S - 20)
    told.position.speed, told.position.bearing = 8.5, 180.0
    told.trip.trip_id, told.trip.route_id, told.trip.direction_id = "T1", "32", 1
    position = record_of(READER, feed_of(told).SerializeToString())
    assert (position.vehicle_id, position.at_ms) == ("bus-7", (AT_S - 20) * 1000)
    assert (position.latitude_deg, position.longitude_deg) == (21.03125, 105.8125)
    assert (position.speed_mps, position.bearing_deg) == (8.5, 180.0)
    assert (position.line_id, position.trip_id, position.direction_id) == ("32", "T1", 1)


def test_what_is_not_told_is_unknown_and_the_time_is_the_feeds() -> None:
    position = record_of(READER, feed_of(vehicle("", label="30")).SerializeToString())
    assert (position.vehicle_id, position.at_ms) == ("30", AT_S * 1000)
    assert math.isnan(position.speed_mps)
    assert math.isnan(position.bearing_deg)
    assert (position.line_id, position.trip_id, position.direction_id) == ("", "", -1)


def test_speed_of_zero_is_known() -> None:
    told = vehicle()
    told.position.speed = 0.0
    assert record_of(READER, feed_of(told).SerializeToString()).speed_mps == 0.0


def test_json_says_the_same_as_protobuf() -> None:
    feed = feed_of(vehicle("a"), vehicle("b", at_s=AT_S - 5))
    told = MessageToJson(feed)
    assert read_feed(told.encode()) == read_feed(feed.SerializeToString())
    assert read_feed(b"\xef\xbb\xbf" + told.encode()).positions == read_feed(told.encode()).positions
    unknown = told.replace('"header": {', '"header": {"later": 1,')
    assert read_feed(unknown.encode()).positions == read_feed(told.encode()).positions


def test_vehicle_that_cannot_be_told_costs_itself_alone() -> None:
    feed = feed_of(vehicle(), vehicle(""), vehicle("c", placed=False), at_s=0)
    feed.entity[0].vehicle.timestamp = AT_S
    items = items_of(READER, feed.SerializeToString())
    assert [type(item) for item in items] == [Found, Refused, Refused]
    assert isinstance(items[1], Refused)
    assert items[1].errors == (
        "entity 'e1': the vehicle has neither id nor label",
        "entity 'e1': neither vehicle nor feed has a timestamp",
    )
    assert isinstance(items[2], Refused)
    assert "entity 'e2': the vehicle has no position" in items[2].errors


def test_alerts_trip_updates_and_deleted_entities_are_left_out() -> None:
    feed = feed_of(vehicle())
    feed.entity[0].is_deleted = True
    feed.entity.add(id="a").alert.SetInParent()
    feed.entity.add(id="t").trip_update.trip.trip_id = "T"
    items = items_of(READER, feed.SerializeToString())
    assert [item.reason for item in items if isinstance(item, LeftOut)] == [
        "a deleted entity", "an alert of a feed", "a trip update of a feed",
    ]  # fmt: skip
    assert reason_of(READER, feed_of().SerializeToString()) == "a feed without entities"


def test_own_feed_is_read_back_as_the_same_positions() -> None:
    at_ms = AT_S * 1000
    ids = TransitIds(frozenset({"32"}), frozenset({"32"}), frozenset(), {})
    known = VehicleNow("bus-1", 105.81234, 21.03456, 181.5, 8.25, "32", "BUS", at_ms - 5_000, "", 1, 3.0)
    unknown = VehicleNow("bus-2", 105.9, 21.1, None, None, "32", "BUS", at_ms, "", -1, None)
    read = read_feed(build_feed(at_ms, [known, unknown], [], ids).SerializeToString())
    assert (read.at_ms, read.refused, read.left_out) == (at_ms, (), ())
    first, second = read.positions
    assert (first.vehicle_id, first.at_ms, first.line_id) == ("bus-1", at_ms - 5_000, "32")
    assert (first.latitude_deg, first.longitude_deg) == pytest.approx((21.03456, 105.81234), abs=1e-5)
    assert (first.bearing_deg, first.speed_mps) == (181.5, 8.25)
    assert (second.vehicle_id, second.at_ms) == ("bus-2", at_ms)
    assert math.isnan(second.speed_mps)
    assert math.isnan(second.bearing_deg)


@pytest.mark.parametrize("message", [b"hello", b"\xff\xff", b"{}", b'{"entity": 7}', b"<html>", b'{"header": {'])
def test_what_is_no_feed_is_refused(message: bytes) -> None:
    assert "not a GTFS-Realtime feed" in errors_of(READER, message)
    with pytest.raises(UsageError, match="not a GTFS-Realtime feed"):
        read_feed(message)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_without_raising(message: bytes) -> None:
    items = items_of(READER, message)
    assert items or not message.strip()


@given(st.lists(st.integers(0, 200), max_size=6))
def test_damaged_feed_is_read_without_raising(cuts: list[int]) -> None:
    raw = bytearray(feed_of(vehicle("a"), vehicle("b")).SerializeToString())
    for cut in cuts:
        raw[cut % len(raw)] ^= 0x55
    assert items_of(READER, bytes(raw))
