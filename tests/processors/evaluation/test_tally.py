"""What seeds amount to: shares with their bounds, times to detect, false alarms against sensor-hours, targets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.evaluation.feeds import Feed
from processors.evaluation.picture import curve_picture, detected_picture
from processors.evaluation.report import Evaluation, html, judgement, markdown
from processors.evaluation.seed import SeedResult, TruthResult
from processors.evaluation.tally import KindTally, poisson_high, tally, wilson

FEEDS = {"crash": Feed(10, 5, 200), "off_route": Feed(0, 0, 200)}


def truth(kind: str, number: int, delay_s: float | None = None, **more: float) -> TruthResult:
    return TruthResult(kind, f"t-{number}", delay_s, confirmed=bool(more.pop("confirmed", False)), **more)  # type: ignore[arg-type]


def only(kind: str, truths: list[TruthResult], false: int = 0, hours: float = 100.0) -> KindTally:
    found = tally([SeedResult(1, hours, 0, tuple(truths), {kind: false}, {kind: false // 2})], FEEDS)
    (one,) = found
    return one


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (190, 200, 0.9104, 0.9726)],
)
def test_wilson_gives_the_tabulated_bounds(count: int, of: int, low: float, high: float) -> None:
    share = wilson(count, of)
    assert [share.low, share.high] == pytest.approx([low, high], abs=1e-4)
    assert share.value == count / of


@given(st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    share = wilson(*counts)
    assert 0.0 <= share.low <= share.value <= share.high <= 1.0


@pytest.mark.parametrize(("count", "high"), [(0, 3.689), (1, 5.572), (5, 11.668), (100, 121.627)])
def test_poisson_bound_is_the_tabulated_one(count: int, high: float) -> None:
    assert poisson_high(count) == pytest.approx(high, abs=1e-3)


def test_tally_counts_truths_times_and_false_alarms() -> None:
    truths = [truth("crash", number, 1.0 + number) for number in range(10)] + [truth("crash", 10)]
    one = only("crash", truths, false=3, hours=200.0)
    assert (one.detected.count, one.detected.of) == (10, 11)
    assert (one.median_s, one.p90_s) == (5.5, 9.0)
    assert one.false_confirmed == 1
    assert [one.false, one.sensor_hours, one.false_rate] == pytest.approx([3, 3_000.0, 10.0])
    assert one.false_high == pytest.approx(poisson_high(3) / 0.3)
    assert not one.met


def test_vehicles_count_only_where_nothing_else_feeds_a_kind() -> None:
    assert only("off_route", [], hours=1.0).sensor_hours == 200.0
    assert only("crash", [], hours=1.0).sensor_hours == 15.0
    assert math.isnan(only("unheard_of", [], false=1).false_rate)


def test_crash_must_be_found_fast_and_without_false_alarms() -> None:
    found = [truth("crash", number, 9.0) for number in range(20)]
    assert only("crash", found, hours=10_000.0).met
    assert not only("crash", found, false=20, hours=10_000.0).met
    assert not only("crash", [truth("crash", number, 11.0) for number in range(20)], hours=10_000.0).met
    assert not only("crash", [*found[:18], truth("crash", 18), truth("crash", 19)], hours=10_000.0).met


def test_fire_must_be_confirmed_where_two_devices_could_notice_it() -> None:
    both = [truth("fire", number, 5.0, confirmed=True, witnesses=2) for number in range(49)]
    alone = [truth("fire", number, 5.0, witnesses=1) for number in range(50, 60)]
    one = only("fire", [*both, *alone])
    assert (one.reached.count, one.reached.of, one.detected.of, one.confirmed) == (49, 49, 59, 49)
    assert one.met
    assert not only("fire", [*both, truth("fire", 90, 5.0, witnesses=2), truth("fire", 91, witnesses=3)]).met


def test_explosion_must_be_near_where_six_microphones_hear_it() -> None:
    near = [truth("explosion", number, 2.0, away_m=14.0, witnesses=6) for number in range(24)]
    assert only("explosion", [*near, truth("explosion", 30, 2.0, away_m=400.0, witnesses=5)]).met
    assert not only("explosion", [*near[:20], truth("explosion", 30, 2.0, away_m=16.0, witnesses=9)]).met


def test_report_says_met_not_met_and_when_there_was_too_little() -> None:
    many = [truth("off_route", number, 30.0) for number in range(200)]
    assert judgement(only("off_route", many, hours=500.0)) == "met"
    assert judgement(only("off_route", many, hours=10.0)) == "met, few"
    assert judgement(only("off_route", [*many[:1], truth("off_route", 500)], hours=500.0)) == "not met, few"
    assert judgement(only("off_route", [], false=2)) == "did not happen"


def test_reports_and_pictures_hold_every_kind() -> None:
    kinds = tally(
        [SeedResult(1, 50.0, 1_000, (truth("crash", 1, 4.0), truth("off_route", 2)), {"crash": 1, "noise": 2})], FEEDS
    )
    one = Evaluation("Hà Nội", "c1", "r1", (1,), 1.0, 50.0, 1_000, 20.0, kinds)
    text, page = markdown(one, "picture.svg"), html(one, detected_picture(one.asked))
    assert "| crash | 1 | 100.0% |" in text
    assert "| noise | 0 |" in text
    assert "![Detected, by kind](picture.svg)" in text
    assert "1 of 2 kinds" not in text  # crash was found, but one incident in 750 sensor-hours was false
    assert "0 of 2 kinds reach what they must" in text
    assert page.count("<tr>") == 4
    assert "<svg" in page
    curve = curve_picture({0.5: kinds, 2.0: kinds})
    assert curve.count("<polyline") == 2
    assert ">off_route<" in curve
