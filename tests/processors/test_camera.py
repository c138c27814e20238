from typing import Any

import pytest

from processors.camera import camera_domain
from tests.processors.builders import T0_MS, detection, engine, heartbeat, log_of, run, tick


def seen(at_s: float, confidence: float = 0.75, camera_id: str = "cam-1", **fields: Any) -> Any:
    return detection(camera_id, T0_MS + round(at_s * 1000), confidence=confidence, **fields)


def claims(*detections: Any) -> list[tuple[str, float, float]]:
    outcome = run(engine(camera_domain()), log_of([tick(T0_MS), *detections, tick(T0_MS + 600_000)]))
    assert outcome.outcomes[0].counts.used == len(detections)
    return [(one.kind, (one.at_ms - T0_MS) / 1000, round(one.score, 3)) for one in outcome.observations]


@pytest.mark.parametrize(
    ("detections", "found"),
    [
        ([seen(0)], []),
        ([seen(0), seen(10)], [("camera_crash", 10, 0.75)]),
        ([seen(0), seen(10.001)], []),
        ([seen(0, 1.0), seen(4, 0.5)], [("camera_crash", 4, 1.0)]),
        ([seen(0), seen(4, 0.49)], []),
        ([seen(0), seen(4, 0.25), seen(8)], [("camera_crash", 8, 0.75)]),
        ([seen(second) for second in (0, 5, 10, 15)], [("camera_crash", 5, 0.75)]),
        ([seen(second) for second in (0, 5, 20, 25)], [("camera_crash", 5, 0.75), ("camera_crash", 25, 0.75)]),
        ([seen(0, kind="smoke"), seen(5, kind="fire")], []),
        ([seen(0, kind="smoke"), seen(5, kind="smoke")], [("camera_smoke", 5, 0.75)]),
        ([seen(0, kind="fire"), seen(5, kind="fire")], [("camera_fire", 5, 0.75)]),
        ([seen(0, kind="loitering"), seen(5, kind="loitering")], []),
        ([seen(0, camera_id="cam-1"), seen(5, camera_id="cam-2")], []),
        ([seen(0, track_id="a"), seen(0, track_id="b")], []),  # one look
        ([seen(0, track_id="a"), seen(5, track_id="b")], [("camera_crash", 5, 0.75)]),
    ],
)
def test_first_close_pair(detections: list[Any], found: list[Any]) -> None:
    assert claims(*detections) == found


def test_many_boxes_of_one_instant_hide_nothing() -> None:
    boxes = [seen(3, track_id=f"t{index}") for index in range(9)]
    assert claims(seen(0), *boxes) == [("camera_crash", 3, 0.75)]


def test_any_number_of_weak_detections_may_lie_between_a_pair() -> None:
    weak = [seen(1 + index / 10, 0.25) for index in range(30)]
    log = log_of([tick(T0_MS - 1000), seen(0), tick(T0_MS), *weak, tick(T0_MS + 4000), seen(5), tick(T0_MS + 5000)])
    assert [one.at_ms - T0_MS for one in run(engine(camera_domain()), log).observations] == [5000]


def test_the_surest_box_of_the_second_look_is_shown() -> None:
    log = log_of([
        tick(T0_MS),
        seen(0),
        seen(5, 0.5, track_id="a", snapshot_url="https://example.org/a.jpg"),
        seen(5, 1.0, track_id="b", snapshot_url="https://example.org/b.jpg", latitude_deg=21.01, longitude_deg=105.8),
        tick(T0_MS + 5000),
    ])  # fmt: skip
    (found,) = run(engine(camera_domain(), topic="camera.detections.v1"), log).observations
    assert (found.snapshot_url, found.latitude_deg, found.score) == ("https://example.org/b.jpg", 21.01, 1.0)
    assert (found.device_id, found.witness_id, found.line_id) == ("cam-1", "cam-1", "")


def test_a_late_look_moves_the_claim() -> None:
    log = log_of([tick(T0_MS), seen(4), seen(8), tick(T0_MS + 9000), seen(0), tick(T0_MS + 10_000)])
    outcome = run(engine(camera_domain()), log)
    told = [(one.withdrawn, (one.at_ms - T0_MS) // 1000, one.source_offset) for one in outcome.observations]
    assert told == [(False, 8, 2), (False, 4, 4), (True, 8, 4)]


def test_heartbeats_are_stored_and_have_an_identity_of_their_own() -> None:
    log = log_of([heartbeat("cam-1", T0_MS), seen(0), heartbeat("cam-1", T0_MS), tick(T0_MS)])
    counts = run(engine(camera_domain()), log).outcomes[0].counts
    assert (counts.heartbeats, counts.detections, counts.duplicate) == (1, 1, 1)
