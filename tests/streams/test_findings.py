"""docs/findings.md: hours of two lines of the real day, and NVIDIA's messages, through the engines of the workers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from processors.city import City, derive_city
from processors.evaluation.pipeline import Concluder, Observers
from processors.incidents.rules import load_rules
from processors.recorded import tick_times
from processors.simulate import Sent
from processors.sources.contract import InputRecord, ReadOptions, SpeedUnit
from schemas.codec import local_codec
from schemas.records import CameraDetection, Incident, IncidentState, Observation, VehiclePosition
from streams.recorded import read_recorded
from streams.settings import PROJECT
from streams.tracing import trace, write_feed

SHARED: Final = PROJECT.parent / "shared" / "data"
DAY: Final = SHARED / "capmetro" / "2015-09-06.csv"
STOPS: Final = SHARED / "capmetro" / "stops_20150823_20160116.csv.gz"
MESSAGES: Final = SHARED / "deepstream" / "demo-1.jsonl"
READING: Final = ReadOptions({"line": "route_id", "trip": "trip_id"}, SpeedUnit.MPH, ZoneInfo("America/Chicago"))
LINES: Final = ("300", "801")
HOURS_MS: Final = ((1_441_566_600_000, 1_441_570_800_000), (1_441_578_000_000, 1_441_581_300_000))
"""2015-09-06 in Austin, 14:10 to 15:20 and 17:20 to 18:15."""
COUNTS: Final = {"bunching": 2, "breakdown": 1}


def concluded(
    city: City, topic: str, records: Sequence[InputRecord], keys: Sequence[str]
) -> tuple[list[Observation], Mapping[str, Incident], set[str]]:
    """What records lead to: observations, incidents as they ended, and the ids of those that were ever confirmed."""
    observers = Observers(city, local_codec())
    concluder = Concluder(load_rules(PROJECT / "cities" / "hanoi" / "rules", city), city, observers.sources)
    at_ms = np.array([one.at_ms for one in records], np.int64)
    ticks = tick_times(at_ms)
    observations: list[Observation] = []
    incidents: dict[str, Incident] = {}
    confirmed: set[str] = set()
    sent = 0
    for tick_ms, end in zip(ticks.tolist(), np.searchsorted(at_ms, ticks, side="right").tolist(), strict=True):
        observers.take(Sent(topic, key, one) for key, one in zip(keys[sent:end], records[sent:end], strict=True))
        sent = end
        blocks = observers.tick(tick_ms)
        observations += [one for block in blocks for one in block.observations]
        for change in concluder.take(blocks):
            incidents[change.incident.incident_id] = change.incident
            if change.incident.state is IncidentState.CONFIRMED:
                confirmed.add(change.incident.incident_id)
    return observations, incidents, confirmed


def test_hours_of_two_lines_in_austin(tmp_path: Path) -> None:
    if not DAY.exists():
        pytest.skip("the recorded day of Austin's buses is not part of the repository")
    lines = tmp_path / "lines.csv"
    header, *rows = DAY.read_text().splitlines(keepends=True)
    lines.write_text(header + "".join(row for row in rows if row.split(",")[3] in LINES))
    courses, stops = trace([str(lines)], READING, None, STOPS, True, lambda done, total: None, lambda line: None)
    assert {line_id: len(ways) for line_id, ways in courses.items()} == {"300": 2, "801": 2}
    assert all(way.near > 0.98 for ways in courses.values() for way in ways)
    write_feed(courses, stops, tmp_path / "traced")

    recording = read_recorded([lines], READING, lambda done, total: None)
    city = derive_city("Austin", "America/Chicago", *recording.places(), tmp_path / "traced")
    told = [one for row in recording.rows if isinstance(one := row.record, VehiclePosition)]
    told = [one for one in told if any(begin <= one.at_ms < end for begin, end in HOURS_MS)]
    _, incidents, confirmed = concluded(city, "vehicle.positions.v1", told, [one.vehicle_id for one in told])

    found = Counter(one.kind for one in incidents.values())
    assert {kind: count for kind, count in found.items() if kind != "silent_vehicle"} == COUNTS
    # Two buses of one line, one trip behind the other; those that meet are none.
    bunched = [one for one in incidents.values() if one.kind == "bunching"]
    assert all("300" in {line.line_id for line in one.lines} for one in bunched)
    # A vehicle that was not heard of for a quarter of an hour in the middle of its trip, and then stood.
    (stood,) = (one for one in incidents.values() if one.kind == "breakdown" and one.incident_id in confirmed)
    (device_id,) = {one.device_id for one in stood.evidence}
    silent = [one for one in incidents.values() if one.kind == "silent_vehicle"]
    assert any({part.device_id for part in one.evidence} == {device_id} for one in silent)


def test_nvidias_messages_claim_nothing_that_happened() -> None:
    if not MESSAGES.exists():
        pytest.skip("NVIDIA's sample messages are not part of the repository")
    recording = read_recorded([MESSAGES], ReadOptions(), lambda done, total: None)
    told = [one for row in recording.rows if isinstance(one := row.record, CameraDetection)]
    assert Counter(one.kind for one in told) == {"moving": 3_003, "parked": 18, "empty": 7}
    cameras = sorted({one.camera_id for one in told})
    assert len(cameras) == 51
    places = {camera_id: (30.0 + 0.001 * index, -97.0) for index, camera_id in enumerate(cameras)}
    placed = [
        replace(one, latitude_deg=places[one.camera_id][0], longitude_deg=places[one.camera_id][1]) for one in told
    ]
    latitude_deg, longitude_deg = np.array(list(places.values())).T
    city = derive_city("Garage", "UTC", latitude_deg, longitude_deg)
    observations, incidents, _ = concluded(city, "camera.detections.v1", placed, [one.camera_id for one in placed])
    assert observations == []
    assert incidents == {}
