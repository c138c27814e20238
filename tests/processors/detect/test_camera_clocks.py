"""Cameras whose clocks are off, by when their records came."""

from dataclasses import replace
from typing import Any

from processors.camera import camera_domain
from tests.processors.builders import T0_MS, detection, engine, heartbeat, log_of, run, tick
from tests.processors.test_partition_engine import Store, run_with_store

TOPIC = "camera.detections.v1"
Told = tuple[str, str, int, float]


def log(seconds: range, ahead_s: float, camera_id: str = "cam-1", beats: bool = False) -> list[Any]:
    """A record every so often and the tick at which it comes; its time is that much ahead of the tick."""
    found: list[Any] = []
    for second in seconds:
        at_ms = T0_MS + round((second + ahead_s) * 1000)
        found.append(heartbeat(camera_id, at_ms) if beats else detection(camera_id, at_ms, kind="seen"))
        found.append(tick(T0_MS + second * 1000))
    return found


def told(*entries: Any) -> list[Told]:
    observations = run(engine(camera_domain(), topic=TOPIC), log_of([tick(T0_MS - 1000), *entries])).observations
    clocks = [one for one in observations if one.kind in ("camera_clock_off", "camera_well")]
    return [(one.kind, one.device_id, (one.at_ms - T0_MS) // 1000, round(one.value, 1)) for one in clocks]


def test_a_clock_ahead_for_a_minute_is_off() -> None:
    assert told(*log(range(0, 200, 10), 8.0)) == [("camera_clock_off", "cam-1", 60, 8.0)]
    assert told(*log(range(0, 200, 10), 8.0, beats=True)) == [("camera_clock_off", "cam-1", 60, 8.0)]


def test_five_seconds_are_none_and_neither_is_half_a_minute() -> None:
    assert told(*log(range(0, 200, 10), 5.0)) == []
    assert told(*log(range(0, 60, 10), 8.0), *log(range(60, 200, 10), 0.0)) == []


def test_a_clock_two_minutes_behind_is_off() -> None:
    assert told(*log(range(0, 200, 10), -121.0)) == [("camera_clock_off", "cam-1", 60, -121.0)]
    assert told(*log(range(0, 200, 10), -119.0)) == []


def test_records_kept_for_minutes_and_sent_at_once_say_nothing_of_the_clock() -> None:
    kept = [detection("cam-1", T0_MS + second * 1000, kind="seen") for second in range(0, 300, 10)]
    assert told(*kept, tick(T0_MS + 480_000), *log(range(490, 600, 10), 0.0)) == []


def test_a_clock_is_off_though_all_its_records_are_refused_for_their_time() -> None:
    assert told(*log(range(0, 200, 10), 45.0)) == [("camera_clock_off", "cam-1", 60, 45.0)]
    assert told(*log(range(0, 200, 10), -1_500.0)) == [("camera_clock_off", "cam-1", 60, -1_500.0)]
    assert told(*log(range(0, 200, 10), 45.0, beats=True), *log(range(200, 300, 10), 0.0, beats=True)) == [
        ("camera_clock_off", "cam-1", 60, 45.0),
        ("camera_well", "cam-1", 220, 0.0),
    ]


def test_a_backlog_that_catches_up_says_nothing_of_the_clock() -> None:
    entries: list[Any] = []
    for second in range(0, 130, 10):  # 5 s of what was kept in every second
        entries += log(range(second, second + 10, 10), -700.0 + 5 * second)
    assert told(*entries) == []


def test_records_with_another_mistake_besides_tell_no_time() -> None:
    wrong = [one if hasattr(one, "at_ms") and not hasattr(one, "kind") else replace(one, confidence=2.0)
             for one in log(range(0, 200, 10), 45.0)]  # fmt: skip
    assert told(*wrong) == []


def test_it_is_well_after_three_turns_that_are_right() -> None:
    assert told(*log(range(0, 100, 10), 8.0), *log(range(100, 200, 10), 1.0)) == [
        ("camera_clock_off", "cam-1", 60, 8.0),
        ("camera_well", "cam-1", 120, 1.0),
    ]


def test_from_one_side_to_the_other_begins_anew() -> None:
    assert told(*log(range(0, 50, 10), 8.0), *log(range(50, 100, 10), -130.0)) == []


def test_a_camera_without_a_place_is_not_judged() -> None:
    assert told(*log(range(0, 200, 10), 8.0, "nobody", beats=True)) == []


def test_the_median_of_a_turn_counts() -> None:
    entries: list[Any] = []
    for second in range(0, 200, 10):
        late = [detection("cam-1", T0_MS + round((second + ahead) * 1000), kind="seen") for ahead in (-3, -1, 8.5)]
        entries += [*late, tick(T0_MS + second * 1000)]
    assert told(*entries) == []


def test_a_restart_changes_nothing() -> None:
    entries = log_of([tick(T0_MS - 1000), *log(range(0, 100, 10), 8.0), *log(range(100, 200, 10), 1.0)])
    whole = run(engine(camera_domain(), topic=TOPIC), entries).blocks
    assert sum(len(block.observations) for block in whole) == 2
    for stop in range(5, len(entries), 4):
        store = Store({})
        run_with_store(engine(camera_domain(), topic=TOPIC), [entries[:stop]], store)
        stopped = store.last
        assert stopped is not None
        again = engine(camera_domain(), topic=TOPIC)
        again.restore(store.parts, stopped.live, stopped.next_offset, stopped.tick_ms)
        rest = run_with_store(again, [entries[stopped.next_offset :]], store)
        assert rest.blocks == [block for block in whole if block.tick_ms > stopped.tick_ms]
