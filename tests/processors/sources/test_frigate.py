import math
from typing import Any

import pytest

from processors.sources.frigate import FrigateReader
from tests.processors.sources.reading import errors_of, reason_of, record_of

READER = FrigateReader()


def event(kind: str = "update", **after: Any) -> dict[str, Any]:
    told = {
        "id": "1772434795.4-abc",
        "camera": "gate",
        "frame_time": 1_772_434_800.25,
        "label": "person",
        "score": 0.875,
        "top_score": 0.96,
        "false_positive": False,
        "box": [424, 500, 536, 712],
        "current_zones": ["yard"],
        "stationary": False,
    }
    return {"type": kind, "before": told | {"frame_time": 1_772_434_799.0}, "after": told | after}


@pytest.mark.parametrize("kind", ["new", "update"])
def test_event_is_a_detection_of_what_is_after(kind: str) -> None:
    detection = record_of(READER, event(kind))
    assert (detection.at_ms, detection.camera_id) == (1_772_434_800_250, "gate")
    assert (detection.track_id, detection.object_class) == ("1772434795.4-abc", "person")
    assert (detection.kind, detection.confidence) == ("seen", 0.875)
    assert math.isnan(detection.latitude_deg)
    assert math.isnan(detection.box_left)


@pytest.mark.parametrize(
    ("after", "kind"), [({"stationary": True}, "stationary"), ({"label": "fire", "stationary": True}, "fire")]
)
def test_kind_is_the_phenomenon_or_how_the_object_is(after: dict[str, Any], kind: str) -> None:
    assert record_of(READER, event(**after)).kind == kind


def test_score_that_is_not_told_is_the_best_so_far_or_none() -> None:
    assert record_of(READER, event(score=None)).confidence == 0.96
    assert record_of(READER, event(score=None, top_score=None)).confidence == 0.0


def test_ends_and_false_positives_are_left_out() -> None:
    assert reason_of(READER, event("end")) == "the end of a tracked object"
    assert "false positive" in reason_of(READER, event(false_positive=True))


def test_what_is_no_event_is_refused() -> None:
    assert "no after" in errors_of(READER, {"type": "new"})
    assert "type" in errors_of(READER, event("birth"))
    assert "after.frame_time: at 7 is neither" in errors_of(READER, event(frame_time=7))
