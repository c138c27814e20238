"""The same task: right answers from every form of the log, none other accepted, and what the report says."""

import json
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.answer import digest, reference
from benchmarks.command import show, write_json
from benchmarks.fleet import START_MS, Positions, positions
from benchmarks.goals import GOALS
from benchmarks.harness import Outcome, measure
from benchmarks.machine import Machine
from benchmarks.report import markdown, report_of
from benchmarks.same_task.logs import Form, Logs, messages, remove_all
from benchmarks.same_task.variants import Size, run_child, same_task_variants
from benchmarks.variant import Measured, WrongAnswer
from processors.framing import positions_of, words_of
from schemas.codec import local_codec
from schemas.errors import CityopsError
from schemas.ids import shard_of
from schemas.records import VehicleFrame, VehiclePosition
from streams.settings import Settings

CODEC = local_codec()
MACHINE = Machine("a processor", 2, 8.0, "Linux", "3.11", 0.1, {"cityops": "0.1.0"})


def three() -> Positions:
    """Two vehicles of one line; the first reports again in the next minute."""
    return Positions(
        at_ms=np.array([60_000, 61_000, 120_000]),
        latitude_deg=np.array([21.0, 21.1, 21.2]),
        longitude_deg=np.array([105.0, 105.1, 105.2]),
        speed_mps=np.array([1.0, 2.5, 4.0]),
        bearing_deg=np.zeros(3),
        vehicle=np.array([0, 1, 0]),
        line=np.array([0, 0, 0]),
        vehicle_ids=("v0", "v1"),
        line_ids=("L1",),
    )


def test_reference_is_the_last_position_and_the_mean_by_line_and_minute() -> None:
    last = {"v0": (120_000, 21.2, 105.2), "v1": (61_000, 21.1, 105.1)}
    minutes = {("L1", 1): (2, 3.5), ("L1", 2): (1, 4.0)}
    assert reference(three()) == digest(last, minutes)
    assert digest({**last, "v1": (61_000, 21.100001, 105.1)}, minutes) != reference(three())
    assert digest(last, {**minutes, ("L1", 2): (1, 4.125)}) != reference(three())
    assert digest({"v0": last["v0"]}, minutes) != reference(three())


def test_the_first_positions_are_those_of_the_whole_log() -> None:
    every = positions(5000, vehicles=700)
    some = every.first(1200)
    assert len(some) == 1200
    assert np.array_equal(some.at_ms, every.at_ms[:1200])
    assert np.array_equal(positions(5000, vehicles=700).latitude_deg, every.latitude_deg)
    assert every.at_ms[0] == START_MS
    assert (np.diff(every.at_ms) >= 0).all()


@pytest.mark.parametrize("form", Form)
def test_every_form_holds_the_same_positions_in_the_partition_of_their_vehicle(form: Form) -> None:
    found = positions(3000, vehicles=400, lines=7)
    last: dict[str, tuple[int, float, float]] = {}
    minutes: dict[tuple[str, int], tuple[int, float]] = {}
    for partition, key, value in messages(found, form, CODEC):
        for vehicle, line, at_ms, latitude, longitude, speed in rows_of(form, value):
            assert shard_of(vehicle) % 4 == partition == shard_of(key.decode()) % 4
            last[vehicle] = (at_ms, latitude, longitude)
            count, total = minutes.get((line, at_ms // 60_000), (0, 0.0))
            minutes[line, at_ms // 60_000] = (count + 1, total + speed)
    assert digest(last, minutes) == reference(found)


def rows_of(form: Form, value: bytes) -> list[tuple[str, str, int, float, float, float]]:
    if form is Form.JSON:
        one = json.loads(value)
        names = ("vehicle_id", "line_id", "at_ms", "latitude_deg", "longitude_deg", "speed_mps")
        return [tuple(one[name] for name in names)]
    if form is Form.SINGLES:
        position = CODEC.read(value, VehiclePosition)
        place = position.latitude_deg, position.longitude_deg
        return [(position.vehicle_id, position.line_id, position.at_ms, *place, position.speed_mps)]
    frame = CODEC.read(value, VehicleFrame)
    assert 0 < frame.rows <= 750
    assert len({shard_of(vehicle) for vehicle in words_of(frame, "vehicle")}) == 1
    return [
        (one.vehicle_id, one.line_id, one.at_ms, one.latitude_deg, one.longitude_deg, one.speed_mps)
        for one in positions_of(frame)
    ]


@dataclass
class Planned:
    """A variant whose answers and times are given."""

    name: str
    answers: list[str]
    cpu_s: list[float]
    calls: list[str]
    missing: str = ""
    title: str = "planned"

    def absent(self) -> str:
        return self.missing

    def prepare(self) -> str:
        assert not self.missing
        return "right"

    def measure(self, number: int) -> Measured:
        self.calls.append(f"{self.name}{number}")
        return Measured(self.answers[number], 1_000_000, self.cpu_s[number], 2 * self.cpu_s[number])


def test_rounds_are_interleaved_and_medians_shown() -> None:
    calls: list[str] = []
    right = ["right"] * 3
    slow = Planned("faust_record", right, [90.0, 100.0, 95.0], calls)
    fast = Planned("cityops_single", right, [2.0, 4.0, 1.0], calls)
    outcomes = measure([slow, fast, Planned("quix", [], [], calls, "not installed")], 3, lambda _: None)
    assert calls == [f"{name}{number}" for number in range(3) for name in ("faust_record", "cityops_single")]
    assert [one.absent for one in outcomes] == ["", "", "not installed"]
    assert (outcomes[1].median_cpu_us, outcomes[1].median_rate_per_s) == (2.0, 250_000.0)


def test_a_wrong_answer_ends_it_before_any_rate() -> None:
    steps: list[str] = []
    wrong = Planned("cityops_frames", ["right", "other"], [1.0, 1.0], [])
    with pytest.raises(WrongAnswer, match="cityops_frames answered other where right is right, in round 2"):
        measure([wrong], 2, steps.append)
    assert steps == ["preparing cityops_frames", "round 1 of 2: cityops_frames", "round 2 of 2: cityops_frames"]


def outcome(name: str, cpu_us: float, rate_per_s: float) -> Outcome:
    return Outcome(name, "a title", (Measured("right", 1000, cpu_us / 1000, 1000 / rate_per_s, 100.0),))


def test_the_report_says_what_was_reached_and_what_was_not(tmp_path: Path) -> None:
    found = [
        outcome("faust_record", 90.0, 5_000),
        outcome("confluent_loop", 3.0, 200_000),
        outcome("cityops_single", 1.5, 230_000),
        outcome("engine_frames", 4.0, 200_000),
        Outcome("quix", "Quix", (), "not installed"),
    ]
    report = report_of(found, MACHINE, "2026-11-22T10:00:00+00:00", quick=True, rounds=1)
    assert [(one.variant, one.against, round(one.reached, 2), one.met) for one in report.goals] == [
        ("cityops_single", "faust_record", 60.0, True),
        ("cityops_single", "confluent_loop", 1.15, False),
        ("engine_frames", "", 250_000.0, True),
    ]
    write_json(report, tmp_path / "bench.json")
    told = json.loads((tmp_path / "bench.json").read_text())
    assert told["variants"]["cityops_single"]["cpu_us"] == pytest.approx(1.5)
    assert told["variants"]["cityops_single"]["rate_per_s"] == pytest.approx(230_000)
    assert told["absent"] == {"quix": "not installed"}
    shown = Console(file=StringIO(), width=120)
    show(report, shown)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "not met" in text
    assert "quix: not installed" in text
    assert "| `cityops_single` against `confluent_loop` | wall | 1.2 | 1.15 | 2.0 | 1.1 | **not met** |" in markdown(
        report
    )


def test_every_goal_names_variants_that_there_are(stackless: Settings) -> None:
    logs = Logs(stackless, 1, 1, lambda *_: None)
    names = {variant.name for variant in same_task_variants(logs, Size(1, 1, 1, 1))}
    asked = {name for goal in GOALS for name in (goal.variant, goal.against) if name and not name.startswith("engine")}
    assert asked <= names


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib: pip install -e '.[bench]'")
    from benchmarks.plot import draw

    report = report_of([outcome("cityops_single", 1.5, 200_000)], MACHINE, "2026-11-22", quick=False, rounds=3)
    draw(report, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_child_that_fails_is_told_with_its_log(stackless: Settings) -> None:
    with pytest.raises(CityopsError, match=r"planted ended with status 3 and no result \(no such thing\): read .*log"):
        run_child(
            [sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"],
            stackless, "planted",
        )  # fmt: skip


@pytest.mark.stack
def test_our_variants_answer_right_on_the_real_kafka(stack: Settings) -> None:
    size = Size(vehicles=2000, every=20_000, some=2000, few=1000)
    every = same_task_variants(Logs(stack, size.every, size.vehicles, lambda *_: None), size)
    ours = [variant for variant in every if variant.name in ("cityops_single", "cityops_frames", "limit")]
    try:
        outcomes = measure(ours, 1, lambda _: None)
    finally:
        remove_all(stack.kafka)
    assert all(0 < one.rounds[0].positions < 20_000 and one.median_cpu_us > 0 for one in outcomes)
