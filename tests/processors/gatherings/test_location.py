"""Locating bangs: the figure of arXiv 2108.07377, and what must not spoil it."""

import math

import numpy as np
import pytest

from processors.gatherings.location import Arrivals, LocationRule, locate_bang

RULE = LocationRule()
SQUARE = ((-300.0, -200.0), (250.0, -250.0), (300.0, 280.0), (-260.0, 240.0), (20.0, 400.0), (-420.0, 10.0))


def heard(places: tuple[tuple[float, float], ...], x_m: float, y_m: float, temperature_cel: float = 27.0) -> Arrivals:
    """What microphones hear of a bang at second 10, exactly."""
    east_m, north_m = np.array(places).T
    speed_mps = 331.3 + 0.606 * temperature_cel
    at_s = 10 + np.hypot(east_m - x_m, north_m - y_m) / speed_mps
    return Arrivals(east_m, north_m, at_s, np.arange(len(places)))


def shifted(arrivals: Arrivals, index: int, late_s: float) -> Arrivals:
    at_s = arrivals.at_s.copy()
    at_s[index] += late_s
    return Arrivals(arrivals.x_m, arrivals.y_m, at_s, arrivals.microphone)


def test_96_of_100_bangs_are_found_within_15_m() -> None:
    """6 to 12 microphones up to 500 m away; 5 ms of noise, 10 % echoes, 2 % clocks that are off, 27 ± 5 degrees."""
    rng = np.random.default_rng(20_261_123)
    errors_m, inside = [], 0
    for _ in range(300):
        count = int(rng.integers(6, 13))
        away_m, angle = 500 * np.sqrt(rng.random(count)), rng.random(count) * 2 * np.pi
        x_m, y_m = away_m * np.cos(angle), away_m * np.sin(angle)
        at_s = 10 + away_m / (331.3 + 0.606 * (27 + 5 * rng.standard_normal())) + 0.005 * rng.standard_normal(count)
        at_s += np.where(rng.random(count) < 0.10, rng.uniform(0.05, 0.5, count), 0.0)
        at_s += np.where(rng.random(count) < 0.02, rng.uniform(-60, 60, count), 0.0)
        bang = locate_bang(Arrivals(x_m, y_m, np.round(at_s, 3), np.arange(count)), RULE)
        error_m = math.inf if bang is None else math.hypot(bang.x_m, bang.y_m)
        errors_m.append(error_m)
        inside += bang is not None and error_m <= bang.axis_m
    assert np.mean(np.array(errors_m) <= 15.0) >= 0.96
    assert inside / 300 >= 0.93
    assert float(np.median(errors_m)) < 2.5


def test_exact_times_give_the_exact_place() -> None:
    bang = locate_bang(heard(SQUARE, 120.0, -60.0), RULE)
    assert bang is not None
    assert (bang.x_m, bang.y_m, bang.at_s) == pytest.approx((120.0, -60.0, 10.0), abs=0.05)
    assert bang.heard == (0, 1, 2, 3, 4, 5)
    assert bang.axis_m < 10


@pytest.mark.parametrize("late_s", [-30.0, -0.2, 0.06, 0.4, 25.0])
def test_one_clock_that_is_off_does_not_spoil_it(late_s: float) -> None:
    bang = locate_bang(shifted(heard(SQUARE, 120.0, -60.0), 2, late_s), RULE)
    assert bang is not None
    assert 2 not in bang.heard
    assert math.hypot(bang.x_m - 120, bang.y_m + 60) < 1.0


@pytest.mark.parametrize("temperature_cel", [8.0, 38.0])
def test_the_speed_of_sound_is_estimated_besides(temperature_cel: float) -> None:
    bang = locate_bang(heard(SQUARE, 120.0, -60.0, temperature_cel), RULE)
    assert bang is not None
    assert math.hypot(bang.x_m - 120, bang.y_m + 60) < 5.0
    assert len(bang.heard) == 6


def test_three_microphones_are_enough_and_less_sure_than_six() -> None:
    three = locate_bang(heard(SQUARE[:3], 60.0, -40.0), RULE)
    six = locate_bang(heard(SQUARE, 60.0, -40.0), RULE)
    assert three is not None
    assert six is not None
    assert math.hypot(three.x_m - 60, three.y_m + 40) < 1.0
    assert six.axis_m < three.axis_m


def test_two_microphones_or_three_that_disagree_locate_nothing() -> None:
    assert locate_bang(heard(SQUARE[:2], 60.0, -40.0), RULE) is None
    three = shifted(heard(SQUARE[:3], 60.0, -40.0), 1, 20.0)
    assert locate_bang(three, RULE) is None


def test_far_outside_the_microphones_the_ellipse_is_long() -> None:
    near = locate_bang(heard(SQUARE, 50.0, 0.0), RULE)
    far = locate_bang(heard(SQUARE, 1_500.0, 200.0), RULE)
    assert near is not None
    assert far is not None
    assert far.axis_m > 5 * near.axis_m
