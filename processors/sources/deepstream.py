"""NVIDIA DeepStream: the messages of its message converter, in the full schema (mdsversion 1.0) and the minimal one.

A message of the full schema is one object in one frame; one of the minimal schema is a frame with any number of them,
each a text of fields with bars between. docs/sources.md says what becomes of every field.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

from pydantic import Field, model_validator

from processors.sources.contract import Item, LeftOut, Refused
from processors.sources.json_messages import Message, Time, read_objects
from processors.sources.soundness import found
from schemas.records import CameraDetection

SEEN: Final = "seen"
"""Kind of a detection whose message names no event: an object is in the picture."""

_NOT_AN_OBJECT: Final = frozenset({"id", "speed", "direction", "orientation", "bbox", "location", "coordinate"})
_FIRST_FIELDS: Final = 6
"""Of an object in the minimal schema: track, left, top, right, bottom, class."""


class _Place(Message):
    lat: float = math.nan
    lon: float = math.nan


class _Sensor(Message):
    id: str
    location: _Place = _Place()


class _Module(Message):
    id: str = ""
    version: str = ""


class _Event(Message):
    type: str = ""


class _Told(Message):
    at_ms: Time = Field(alias="@timestamp")
    sensor: _Sensor | None = None
    sensor_id: str = Field(default="", alias="sensorId")
    analytics: _Module | None = Field(default=None, alias="analyticsModule")
    event: _Event | None = None
    object: dict[str, Any] | None = None
    objects: list[str] | None = None
    clip_url: str | None = Field(default="", alias="videoPath")

    @model_validator(mode="after")
    def _has_a_camera(self) -> "_Told":
        if self.sensor is None and not self.sensor_id:
            raise ValueError("sensor.id or sensorId is needed")
        return self


class DeepstreamReader:
    """Reads both schemas; which one a message follows is told by its fields."""

    def read(self, message: bytes, path: str, line: int) -> Iterator[Item]:
        """Return a detection for every object of the message."""
        return read_objects(message, path, line, _Told.model_validate, _detections)


def _detections(told: _Told, path: str, line: int, text: str) -> Iterator[Item]:
    if told.objects is not None:
        for number, one in enumerate(told.objects, start=1):
            yield _of_bars(told, one, number, path, line, text)
        if not told.objects:
            yield LeftOut(path, line, "a frame without objects")
        return
    thing = told.object or {}
    object_class, confidence = _class_of(thing)
    track_id = thing.get("id", "")
    if not isinstance(track_id, (str, int)):
        yield Refused(path, line, (f"object.id is {track_id!r}",), text)
        return
    yield found(_detection(told, str(track_id), object_class, confidence), path, line, text)


def _of_bars(told: _Told, one: str, number: int, path: str, line: int, text: str) -> Item:
    fields = [field.strip() for field in one.split("|")]
    if len(fields) < _FIRST_FIELDS or not fields[5]:
        return Refused(path, line, (f"object {number} is {one[:60]!r}: no track|left|top|right|bottom|class",), text)
    stated = next((field for field in reversed(fields[_FIRST_FIELDS:]) if field), "")
    return found(_detection(told, fields[0], fields[5].lower(), _number(stated)), path, line, text)


def _class_of(thing: dict[str, Any]) -> tuple[str, float]:
    """Return what the object is (vehicle, person, face, ...) and how sure that is: it is the key of its description."""
    for name, described in thing.items():
        if name not in _NOT_AN_OBJECT and isinstance(described, dict):
            return name.lower(), _number(described.get("confidence", thing.get("confidence")))
    return "", _number(thing.get("confidence"))


def _detection(told: _Told, track_id: str, object_class: str, confidence: float) -> CameraDetection:
    module, sensor = told.analytics, told.sensor
    place = sensor.location if sensor is not None else _Place()
    placed = (place.lat, place.lon) != (0.0, 0.0)
    return CameraDetection(
        at_ms=told.at_ms,
        latitude_deg=place.lat if placed else math.nan,
        longitude_deg=place.lon if placed else math.nan,
        confidence=confidence,
        speed_mps=math.nan,
        bearing_deg=math.nan,
        box_left=math.nan,
        box_top=math.nan,
        box_right=math.nan,
        box_bottom=math.nan,
        camera_id=sensor.id if sensor is not None else told.sensor_id,
        kind=(told.event.type.strip().lower() if told.event is not None else "") or SEEN,
        track_id=track_id,
        object_class=object_class,
        model_version=f"{module.id} {module.version}".strip() if module is not None else "",
        clip_url=told.clip_url or "",
    )


def _number(value: object) -> float:
    """Return a stated confidence, 0 = none: nothing may be concluded from what nobody is sure of.

    A tracker that carries an object on without seeing it states a negative one.
    """
    try:
        confidence = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
    return confidence if confidence > 0.0 else 0.0
