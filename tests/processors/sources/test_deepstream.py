import copy
import math
from typing import Any

import pytest

from processors.sources.contract import Found, Refused
from processors.sources.deepstream import DeepstreamReader
from tests.processors.sources.reading import errors_of, items_of, reason_of, record_of

READER = DeepstreamReader()
FULL: dict[str, Any] = {
    "messageid": "m1",
    "mdsversion": "1.0",
    "@timestamp": "2026-03-02T07:00:00.250Z",
    "place": {"id": "1", "name": "Kim Mã", "location": {"lat": 9.0, "lon": 9.0}},
    "sensor": {"id": "CAM-7", "type": "Camera", "location": {"lat": 0, "lon": 0, "alt": 0}},
    "analyticsModule": {"id": "yolo", "version": "3.1"},
    "object": {
        "id": "t-12",
        "speed": 4,
        "direction": 90,
        "vehicle": {"type": "sedan", "confidence": 0.75},
        "bbox": {"topleftx": 10, "toplefty": 20, "bottomrightx": 30, "bottomrighty": 40},
        "location": {"lat": 30.3, "lon": -40.5},
    },
    "event": {"id": "e1", "type": "Moving"},
    "videoPath": "",
}
MINIMAL = {
    "version": "4.0",
    "id": "118",
    "@timestamp": "2026-03-02T07:00:00.250Z",
    "sensorId": "CAM-7",
    "objects": ["957|1834|150|1918|215|Vehicle|#|sedan|VinFast|M|blue|30A-1|HN|0.8|", "12|1|2|3|4|Person"],
}


def full(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(FULL) | changes


def test_full_message_is_one_detection() -> None:
    detection = record_of(READER, FULL)
    assert detection.at_ms == 1_772_434_800_250
    assert (detection.camera_id, detection.track_id) == ("CAM-7", "t-12")
    assert (detection.kind, detection.object_class, detection.confidence) == ("moving", "vehicle", 0.75)
    assert detection.model_version == "yolo 3.1"


def test_nothing_is_made_up() -> None:
    detection = record_of(READER, FULL)
    assert math.isnan(detection.latitude_deg), "(0, 0) is nobody's place, and neither is the object's"
    assert math.isnan(detection.speed_mps), "the unit is not told"
    assert math.isnan(detection.box_left), "the box is in pixels of a picture of unknown size"


def test_stated_place_of_the_camera_is_kept() -> None:
    detection = record_of(READER, full(sensor={"id": "C", "location": {"lat": 21.03, "lon": 105.8}}))
    assert (detection.latitude_deg, detection.longitude_deg) == (21.03, 105.8)


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ({"id": 4, "person": {"age": 30, "confidence": 0.5}}, ("4", "person", 0.5)),
        ({"id": "a", "confidence": 0.25, "bag": {}}, ("a", "bag", 0.25)),
        ({"id": "a", "vehicle": {"confidence": -0.1}}, ("a", "vehicle", 0.0)),
        ({"id": "a", "vehicle": {"confidence": "sure"}}, ("a", "vehicle", 0.0)),
        ({"id": "a", "bbox": {"topleftx": 1}}, ("a", "", 0.0)),
    ],
)
def test_class_and_confidence_are_those_of_the_description(thing: Any, expected: tuple[str, str, float]) -> None:
    detection = record_of(READER, full(object=thing))
    assert (detection.track_id, detection.object_class, detection.confidence) == expected


def test_message_without_event_says_that_something_is_seen() -> None:
    assert record_of(READER, full(event=None)).kind == "seen"
    assert record_of(READER, full(event={"type": "crash"})).kind == "crash"


def test_minimal_message_is_a_detection_for_every_object() -> None:
    items = items_of(READER, MINIMAL)
    found = [item.record for item in items if isinstance(item, Found)]
    told = [(one.camera_id, one.kind, one.track_id, one.object_class, one.confidence) for one in found]  # type: ignore[union-attr]
    assert told == [("CAM-7", "seen", "957", "vehicle", 0.8), ("CAM-7", "seen", "12", "person", 0.0)]
    assert {one.at_ms for one in found} == {1_772_434_800_250}


def test_broken_object_costs_itself_alone() -> None:
    items = items_of(READER, MINIMAL | {"objects": ["1|2|3", "12|1|2|3|4|Person|#|||||0.9"]})
    assert [type(item) for item in items] == [Refused, Found]
    assert reason_of(READER, MINIMAL | {"objects": []}) == "a frame without objects"


@pytest.mark.parametrize(
    ("message", "errors"),
    [
        (b"nope", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"@timestamp": "2026-03-02T07:00:00Z"}', "sensor.id or sensorId is needed"),
        (full(**{"@timestamp": "yesterday"}), "@timestamp: at 'yesterday' is not a time"),
        (full(**{"@timestamp": "2026-03-02T07:00:00"}), "no offset from UTC"),
        (full(sensor={"location": {"lat": "x"}}), "no sensor.id; sensor.location.lat"),
        (full(sensor={"id": ""}), "no id of the device"),
        (full(object={"id": {}}), "object.id"),
        (full(object={"id": "x" * 5000}), "track_id has 5000 characters"),
        (7, "the message"),
    ],
)
def test_what_is_no_message_is_refused(message: object, errors: str) -> None:
    assert all(part in errors_of(READER, message) for part in errors.split("; "))


def test_blank_line_holds_nothing_and_a_list_holds_its_items() -> None:
    assert items_of(READER, b" \n") == []
    items = items_of(READER, [FULL, {"sensorId": "C"}, FULL])
    assert [type(item) for item in items] == [Found, Refused, Found]
    assert isinstance(items[1], Refused)
    assert (items[1].errors, items[1].text) == (("item 2: no @timestamp",), '{"sensorId":"C"}')
    assert reason_of(READER, []) == "an empty list"
