"""The GTFS-Realtime feed: what it says, that every id is known, and what the public validator thinks of it."""

import datetime as dt
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.transit import gtfs_realtime_pb2 as pb
from gtfs_rt_validator.api import Mode, PreparedFeed, Request, prepare_feed, resolve, validate
from hypothesis import given
from hypothesis import strategies as st

from processors.city import City, load_city
from processors.gtfs_realtime import (
    TransitIds,
    VehicleNow,
    build_feed,
    feed_json,
    transit_ids,
    unknown_ids,
    vehicles_of,
)
from processors.sources.gtfs_realtime import read_feed
from schemas.columns import UTF8, pack
from schemas.records import AffectedLine, Incident, IncidentState, RowFrame, Severity
from schemas.tables import POSITIONS

PROJECT = Path(__file__).resolve().parents[2]
GTFS = PROJECT.parent / "shared" / "data" / "hanoi_gtfs" / "central_complete"
NOW_MS = 1_530_504_000_000
"""2018-07-02 11:00 in Hà Nội, in the days of the feed's calendar."""

needs_gtfs = pytest.mark.skipif(not GTFS.is_dir(), reason=f"the World Bank's GTFS of Hanoi is not at {GTFS}")

IDS = TransitIds(
    line_ids=frozenset({"32", "BRT01"}),
    two_way=frozenset({"32"}),
    stop_ids=frozenset({"S1", "S2"}),
    trip_lines={"32-am-1": "32", "BRT01-am-1": "BRT01"},
)


def vehicle(vehicle_id: str = "bus-1", **changes: Any) -> VehicleNow:
    usual = VehicleNow(
        vehicle_id, 105.8412, 21.0245, 90.0, 7.5, "32", "BUS", NOW_MS - 5_000, "32-am-1", 0, 12.0,
    )  # fmt: skip
    return usual._replace(**changes)


def incident(incident_id: str = "i-1", **changes: Any) -> Incident:
    usual = Incident(
        opened_at_ms=NOW_MS - 60_000,
        last_evidence_at_ms=NOW_MS - 30_000,
        tick_ms=NOW_MS - 30_000,
        latitude_deg=21.0245,
        longitude_deg=105.8412,
        radius_m=20.0,
        score=0.9,
        revision=2,
        witnesses=2,
        state=IncidentState.CONFIRMED,
        severity=Severity.SEVERE,
        incident_id=incident_id,
        kind="crash",
        rule_id="crash",
        rules_version="r",
        city_version="c",
        unit_code="00004",
        unit_name="phường Ba Đình",
        place="near Kim Mã stop, phường Ba Đình",
        lines=(line("32", 0),),
        stop_ids=("S1",),
        evidence=(),
    )
    return replace(usual, **changes)


def line(line_id: str, direction_id: int) -> AffectedLine:
    return AffectedLine(distance_m=20.0, direction_id=direction_id, line_id=line_id, line_name=f"Line {line_id}")


def position_frame(rows: int, **columns: Sequence[object]) -> RowFrame:
    """A frame of the table `positions`; columns not named are zeros or empty texts."""
    packed = {}
    for column in POSITIONS.columns:
        dtype = object if column.dtype == UTF8 else np.dtype(column.dtype)
        usual = [""] * rows if column.dtype == UTF8 else [0] * rows
        packed[column.name] = np.array(columns.get(column.name, usual), dtype)
    return RowFrame(
        tick_ms=NOW_MS,
        first_offset=0,
        last_offset=rows,
        source_partition=0,
        rows=rows,
        source_topic="vehicle.positions.v1",
        table=POSITIONS.name,
        columns=pack(packed),
    )


def feed_of(vehicles: Sequence[VehicleNow] = (), incidents: Sequence[Incident] = ()) -> pb.FeedMessage:
    return build_feed(NOW_MS, vehicles, incidents, IDS)


def test_header_and_vehicle() -> None:
    feed = feed_of([vehicle()])
    assert feed.header.gtfs_realtime_version == "2.0"
    assert feed.header.incrementality == pb.FeedHeader.FULL_DATASET
    assert feed.header.timestamp == NOW_MS // 1000
    (entity,) = feed.entity
    told = entity.vehicle
    assert (entity.id, told.vehicle.id) == ("vehicle:bus-1", "bus-1")
    assert (told.trip.trip_id, told.trip.route_id, told.timestamp) == ("32-am-1", "32", NOW_MS // 1000 - 5)
    assert not told.trip.HasField("direction_id")
    assert (told.position.bearing, told.position.speed) == (90.0, 7.5)
    assert told.position.latitude == pytest.approx(21.0245, abs=2e-6)
    assert told.position.longitude == pytest.approx(105.8412, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "trip"),
    [
        ({"trip_id": "unheard-of"}, ("", "32", 0)),
        ({"trip_id": "BRT01-am-1"}, ("", "32", 0)),
        ({"cross_track_m": 201.0}, ("", "32", 0)),
        ({"cross_track_m": None, "direction_id": -1}, ("", "32", None)),
        ({"line_id": "BRT01", "trip_id": "", "direction_id": 1}, ("", "BRT01", None)),
    ],
)
def test_only_what_is_known_of_a_trip_is_named(changes: dict[str, Any], trip: tuple[str, str, int | None]) -> None:
    (entity,) = feed_of([vehicle(**changes)]).entity
    told = entity.vehicle.trip
    assert (told.trip_id, told.route_id, told.direction_id if told.HasField("direction_id") else None) == trip


def test_who_is_no_public_transport_or_too_old_or_an_exercise_is_left_out() -> None:
    kept = vehicle("edge", at_ms=NOW_MS - 90_000)
    left_out = [
        vehicle("taxi", line_id=""),
        vehicle("foreign", line_id="99"),
        vehicle("old", at_ms=NOW_MS - 90_001),
        vehicle("exercise:bus-1"),
    ]
    assert [entity.id for entity in feed_of([kept, *left_out]).entity] == ["vehicle:edge"]


def test_a_device_with_a_fast_clock_is_not_newer_than_the_feed() -> None:
    feed = feed_of([vehicle(at_ms=NOW_MS + 20_000)])
    assert feed.entity[0].vehicle.timestamp == feed.header.timestamp


def test_unknown_speed_and_bearing_are_not_told_as_zero() -> None:
    told = feed_of([vehicle(speed_mps=None, bearing_deg=None)]).entity[0].vehicle.position
    assert not told.HasField("speed")
    assert not told.HasField("bearing")
    assert feed_of([vehicle(speed_mps=0.0)]).entity[0].vehicle.position.HasField("speed")


def test_an_alert_names_lines_and_stops_of_the_network_alone() -> None:
    told = incident(lines=(line("32", 0), line("BRT01", 0), line("99", 1)), stop_ids=("S2", "S9", "S1"))
    (entity,) = feed_of(incidents=[told]).entity
    alert = entity.alert
    assert entity.id == "alert:i-1"
    named = [(one.route_id, one.direction_id if one.HasField("direction_id") else None, one.stop_id)
             for one in alert.informed_entity]  # fmt: skip
    assert named == [("32", 0, ""), ("BRT01", None, ""), ("", None, "S1"), ("", None, "S2")]
    assert (alert.cause, alert.effect) == (pb.Alert.ACCIDENT, pb.Alert.SIGNIFICANT_DELAYS)
    assert alert.active_period[0].start == NOW_MS // 1000 - 60
    header = alert.header_text.translation[0]
    assert (header.text, header.language) == ("Crash, near Kim Mã stop, phường Ba Đình", "en")
    assert alert.description_text.translation[0].text.startswith("Confirmed; severity severe.")


def test_both_directions_are_told_as_the_line() -> None:
    (entity,) = feed_of(incidents=[incident(lines=(line("32", 0), line("32", 1)), stop_ids=())]).entity
    (selector,) = entity.alert.informed_entity
    assert selector.route_id == "32"
    assert not selector.HasField("direction_id")


@pytest.mark.parametrize(
    "changes",
    [
        {"exercise": True},
        {"state": IncidentState.RESOLVED},
        {"state": IncidentState.DISMISSED},
        {"lines": (), "stop_ids": ()},
        {"lines": (line("99", 0),), "stop_ids": ("S9",)},
    ],
)
def test_no_alert_for(changes: dict[str, Any]) -> None:
    assert list(feed_of(incidents=[incident(**changes)]).entity) == []


def test_a_provisional_incident_gives_way_to_the_one_that_replaces_it() -> None:
    provisional = incident("p-1", provisional=True)
    assert [one.id for one in feed_of(incidents=[provisional]).entity] == ["alert:p-1"]
    both = feed_of(incidents=[provisional, incident("i-1", replaces=("p-1",))])
    assert [one.id for one in both.entity] == ["alert:i-1"]


def test_a_foreign_route_stop_or_trip_fails_the_reference_check() -> None:
    assert unknown_ids(feed_of([vehicle()], [incident()]), IDS) == []
    wrong = feed_of([vehicle()], [incident()])
    wrong.entity[0].vehicle.trip.trip_id = "no-such-trip"
    wrong.entity[1].alert.informed_entity.add().route_id = "no-such-route"
    wrong.entity[1].alert.informed_entity.add().stop_id = "no-such-stop"
    assert unknown_ids(wrong, IDS) == [
        "vehicle:bus-1: trip no-such-trip is unknown",
        "alert:i-1: route no-such-route is unknown",
        "alert:i-1: stop no-such-stop is unknown",
    ]
    other = feed_of([vehicle()])
    other.entity[0].vehicle.trip.trip_id = "BRT01-am-1"
    assert unknown_ids(other, IDS) == ["vehicle:bus-1: trip BRT01-am-1 is not of route 32"]


def test_rows_of_a_frame_become_vehicles() -> None:
    frame = position_frame(
        2,
        vehicle_id=["bus-1", "taxi-1"],
        line_id=["32", ""],
        matched_line_id=["32", "BRT01"],
        direction_id=[1, 0],
        cross_track_m=[3.5, 7.0],
        speed_mm_s=[-1, 6944],
        bearing_deg=[float("nan"), 359.96],
    )
    bus, taxi = vehicles_of(frame)
    assert (bus.speed_mps, bus.bearing_deg, bus.direction_id, bus.cross_track_m) == (None, None, 1, 3.5)
    assert (taxi.speed_mps, taxi.bearing_deg, taxi.direction_id, taxi.cross_track_m) == (6.944, 360.0, -1, None)
    assert taxi.line_id == ""


@given(
    st.lists(
        st.tuples(
            st.floats(-89, 89),
            st.floats(-179, 179),
            st.none() | st.floats(0, 360),
            st.none() | st.floats(0, 40),
            st.integers(0, 90_000),
        ),
        max_size=20,
    )
)
def test_our_own_reader_reads_the_same_positions(
    rows: list[tuple[float, float, float | None, float | None, int]],
) -> None:
    vehicles = [
        vehicle(
            f"bus-{number:02}",
            latitude_deg=latitude_deg,
            longitude_deg=longitude_deg,
            bearing_deg=bearing_deg,
            speed_mps=speed_mps,
            at_ms=NOW_MS - age_ms,
        )
        for number, (latitude_deg, longitude_deg, bearing_deg, speed_mps, age_ms) in enumerate(rows)
    ]
    feed = feed_of(vehicles, [incident()])
    for message in (feed.SerializeToString(), feed_json(feed).encode()):
        told = read_feed(message)
        assert told.refused == ()
        assert [one.reason for one in told.left_out] == ["an alert of a feed"]
        assert len(told.positions) == len(vehicles)
        for one, sent in zip(told.positions, vehicles, strict=True):
            assert (one.vehicle_id, one.line_id, one.trip_id) == (sent.vehicle_id, sent.line_id, sent.trip_id)
            assert one.at_ms == sent.at_ms // 1000 * 1000
            assert one.latitude_deg == pytest.approx(sent.latitude_deg, rel=1e-6)
            assert one.longitude_deg == pytest.approx(sent.longitude_deg, rel=1e-6)
            assert (
                (one.speed_mps == pytest.approx(sent.speed_mps))
                if sent.speed_mps is not None
                else (one.speed_mps != one.speed_mps)
            )


# --- the public validator, with a public feed ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hanoi() -> City:
    return load_city(PROJECT / "cities" / "hanoi", gtfs=GTFS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedFeed:
    path = tmp_path_factory.mktemp("gtfs") / "hanoi.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(GTFS.glob("*.txt")):
            archive.write(file, file.name)
    return prepare_feed(path, mode=Mode.MODERN)


def errors_of(feed: pb.FeedMessage, prepared: PreparedFeed, folder: Path) -> tuple[set[str], set[str]]:
    """Return the rules broken, errors and all others."""
    path = folder / "feed.pb"
    path.write_bytes(feed.SerializeToString())
    at = dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC)
    result = validate(Request(mode=Mode.MODERN, gtfs=prepared, inputs=resolve(str(path)), at=at))
    errors = set(result.error_ids())
    return errors, set(result.run.notices.rule_ids()) - errors


def hanoi_feed(city: City) -> pb.FeedMessage:
    """A vehicle on each line, every second one on a trip, and an alert for every fifth line with its stops."""
    trip_of = {line_id: trip_id for trip_id, line_id in sorted(city.trip_lines.items(), reverse=True)}
    vehicles, incidents = [], []
    for number, one in enumerate(city.lines):
        pattern = one.patterns[0]
        vehicles.append(
            vehicle(
                f"bus-{number:03}",
                latitude_deg=float(pattern.latitude_deg[1]),
                longitude_deg=float(pattern.longitude_deg[1]),
                line_id=one.line_id,
                trip_id=trip_of[one.line_id] if number % 2 else "",
            )
        )
        if number % 5 == 0:
            passing = (AffectedLine(distance_m=5.0, direction_id=0, line_id=one.line_id, line_name=one.name),)
            incidents.append(incident(f"i-{number}", lines=passing, stop_ids=pattern.stop_ids[:2]))
    return build_feed(NOW_MS, vehicles, incidents, transit_ids(city))


@needs_gtfs
def test_the_public_validator_finds_no_error(hanoi: City, prepared: PreparedFeed, tmp_path: Path) -> None:
    feed = hanoi_feed(hanoi)
    assert len(feed.entity) > 60
    assert sum(bool(one.vehicle.trip.trip_id) for one in feed.entity) > 25
    assert unknown_ids(feed, transit_ids(hanoi)) == []
    assert errors_of(feed, prepared, tmp_path) == (set(), {"S025", "W006"})


@needs_gtfs
def test_the_validator_passes_an_unknown_route_of_an_alert_but_our_check_does_not(
    hanoi: City, prepared: PreparedFeed, tmp_path: Path
) -> None:
    feed = hanoi_feed(hanoi)
    next(one for one in feed.entity if one.HasField("alert")).alert.informed_entity.add().route_id = "no-such-route"
    assert errors_of(feed, prepared, tmp_path)[0] == set()
    assert len(unknown_ids(feed, transit_ids(hanoi))) == 1


@needs_gtfs
def test_the_validator_is_awake(hanoi: City, prepared: PreparedFeed, tmp_path: Path) -> None:
    feed = hanoi_feed(hanoi)
    feed.entity[0].vehicle.trip.trip_id = "no-such-trip"
    feed.entity[1].vehicle.trip.route_id = "no-such-route"
    assert errors_of(feed, prepared, tmp_path)[0] >= {"E003", "E004"}
