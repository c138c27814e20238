"""Frigate: the events it publishes over MQTT, `{type: new | update | end, before, after}`.

Every `new` and `update` is one detection of one tracked object; `end` repeats the last of them.
"""

import math
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from processors.detect.camera_kinds import NO_CLAIM, claim_of
from processors.sources.contract import Item, LeftOut
from processors.sources.deepstream import SEEN
from processors.sources.json_messages import Message, Time, read_objects
from processors.sources.soundness import found
from schemas.records import CameraDetection

STATIONARY: Final = "stationary"


class _Tracked(Message):
    id: str
    camera: str
    at_ms: Time = Field(alias="frame_time")
    label: str
    score: float | None = None
    top_score: float | None = None
    false_positive: bool | None = None
    stationary: bool | None = None


class _Told(Message):
    type: Literal["new", "update", "end"]
    after: _Tracked


class FrigateReader:
    """Reads events."""

    def read(self, message: bytes, path: str, line: int) -> Iterator[Item]:
        """Return the detection of an event."""
        return read_objects(message, path, line, _Told.model_validate, _detections)


def _detections(told: _Told, path: str, line: int, text: str) -> Iterator[Item]:
    after = told.after
    if told.type == "end":
        yield LeftOut(path, line, "the end of a tracked object")
        return
    if after.false_positive:
        yield LeftOut(path, line, "a false positive, as Frigate says itself")
        return
    score = after.score if after.score is not None else after.top_score
    detection = CameraDetection(
        at_ms=after.at_ms,
        latitude_deg=math.nan,
        longitude_deg=math.nan,
        confidence=score if score is not None else 0.0,
        speed_mps=math.nan,
        bearing_deg=math.nan,
        box_left=math.nan,
        box_top=math.nan,
        box_right=math.nan,
        box_bottom=math.nan,
        camera_id=after.camera,
        kind=_kind(after),
        track_id=after.id,
        object_class=after.label,
    )
    yield found(detection, path, line, text)


def _kind(tracked: _Tracked) -> str:
    """Return the label where it is what happens, not what is there."""
    if claim_of(tracked.label) != NO_CLAIM:
        return tracked.label
    return STATIONARY if tracked.stationary else SEEN
