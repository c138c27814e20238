"""Where a bang was, by when microphones at known places heard it: time difference of arrival, robust least squares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.batches import BoolArray, FloatArray, IntArray

AT_0_CEL_MPS: Final = 331.3
PER_CEL_MPS: Final = 0.606
_CHI2_95: Final = 5.991
"""95 % quantile of chi-square with two degrees of freedom: scales a covariance to its error ellipse."""
_STEPS: Final = 12
_SETTLED_M: Final = 0.01


@dataclass(frozen=True, slots=True)
class LocationRule:
    """Sources: docs/thresholds.md#gatherings.

    temperature_cel, temperature_sd_cel: what is known of the air; with enough microphones the speed of sound is
    estimated besides. timing_s: standard deviation of a microphone's times. late_s: residuals beyond it are of clocks
    and echoes. hearing_m: farthest that microphones hear one bang from each other. cells, starts: of the grid, a
    side, and the best of its places to begin from. echo_s: echoes are at most so late. echo_cost, chance_cost: how
    unlikely an echo is, and what is not even one, beside a sound that agrees exactly (-log).
    """

    temperature_cel: float = 27.0
    temperature_sd_cel: float = 7.0
    timing_s: float = 0.005
    late_s: float = 0.02
    hearing_m: float = 2_000.0
    margin_m: float = 500.0
    cells: int = 48
    starts: int = 10
    echo_s: float = 1.0
    echo_cost: float = 5.5
    chance_cost: float = 12.0

    @property
    def speed_mps(self) -> float:
        """Speed of sound in dry air at the temperature."""
        return AT_0_CEL_MPS + PER_CEL_MPS * self.temperature_cel

    @property
    def speed_sd_mps(self) -> float:
        """Standard deviation of that speed."""
        return PER_CEL_MPS * self.temperature_sd_cel


@dataclass(frozen=True, slots=True)
class Bang:
    """A bang on the plane: where, when (seconds, of the arrivals' clock), how surely, and which arrivals agree.

    axis_m: semi-major axis of the 95 % error ellipse. rms_s: of the residuals.
    """

    x_m: float
    y_m: float
    at_s: float
    axis_m: float
    rms_s: float
    heard: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """n sounds: where they were heard and when; microphone (n,) numbers their devices."""

    x_m: FloatArray
    y_m: FloatArray
    at_s: FloatArray
    microphone: IntArray

    def take(self, rows: IntArray) -> "Arrivals":
        """Return some of them."""
        return Arrivals(self.x_m[rows], self.y_m[rows], self.at_s[rows], self.microphone[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Place, time and slowness ratio of a bang (4,), their covariance (4, 4), and the residuals of all arrivals."""

    place: FloatArray
    covariance: FloatArray
    residual_s: FloatArray


def locate_bang(arrivals: Arrivals, rule: LocationRule, known: Sequence[Bang] = ()) -> Bang | None:
    """Return the bang that most microphones agree on (at least three), None if there is none.

    known: bangs found before, where another one may have been: shots come in volleys.
    Starts from the best places of a coarse grid, and from the known ones; from each, Gauss-Newton on the arrivals that
    agree, of every microphone at most one, until the same ones agree. The speed of sound is an unknown with a prior.
    """
    best: tuple[float, _Fit, IntArray] | None = None
    for start in [*_starts(arrivals, rule), *(_again(arrivals, bang, rule) for bang in known)]:
        fit, heard = _settle(arrivals, start, rule)
        if fit is None or len(heard) < 3:
            continue
        unlikely = _unlikely(arrivals, fit, heard, rule)
        if best is None or unlikely < best[0]:
            best = unlikely, fit, heard
    if best is None:
        return None
    _, fit, heard = best
    rms_s = math.sqrt(float(np.mean(fit.residual_s[heard] ** 2)))
    spare = len(heard) - 3
    scale = 1.0 if spare == 0 else max(1.0, rms_s**2 * len(heard) / spare / rule.timing_s**2)
    axis_m = math.sqrt(_CHI2_95 * scale * float(np.linalg.eigvalsh(fit.covariance[:2, :2])[-1]))
    x_m, y_m, at_s = fit.place[:3].tolist()
    return Bang(x_m, y_m, at_s, axis_m, rms_s, tuple(heard.tolist()))


def _unlikely(arrivals: Arrivals, fit: _Fit, heard: IntArray, rule: LocationRule) -> float:
    """Return how unlikely arrivals are, -log: those that agree by their residuals, others as echoes or by chance.

    Echoes are late; nothing is heard before it happens.
    """
    residual_s, speed = fit.residual_s, (fit.place[3] - rule.speed_mps) / rule.speed_sd_mps
    others = ~np.isin(arrivals.microphone, arrivals.microphone[heard])
    echoes = others & (residual_s > 0) & (residual_s < rule.echo_s)
    agreeing = float(np.square(residual_s[heard] / rule.timing_s).sum() + speed * speed) / 2
    return agreeing + rule.echo_cost * int(echoes.sum()) + rule.chance_cost * int((others & ~echoes).sum())


def _starts(arrivals: Arrivals, rule: LocationRule) -> list[FloatArray]:
    """Return the places (x_m, y_m, at_s, speed_mps) of a grid around the microphones where most arrivals agree."""
    extent_m = max(np.ptp(arrivals.x_m), np.ptp(arrivals.y_m)) + 2 * rule.margin_m
    step_m = extent_m / rule.cells
    offset_m = (np.arange(rule.cells) + 0.5) * step_m - extent_m / 2
    middle_x_m, middle_y_m = (float(values.min() + values.max()) / 2 for values in (arrivals.x_m, arrivals.y_m))
    x_m, y_m = (grid.ravel() for grid in np.meshgrid(middle_x_m + offset_m, middle_y_m + offset_m))
    away_m = np.hypot(x_m[:, None] - arrivals.x_m, y_m[:, None] - arrivals.y_m)
    begun_s = np.sort(arrivals.at_s - away_m / rule.speed_mps, axis=1)
    width_s = math.sqrt(2) * step_m / rule.speed_mps + 2 * rule.late_s
    later_s = begun_s[:, None, :] - begun_s[:, :, None]
    agreeing = ((later_s >= 0) & (later_s <= width_s)).sum(axis=2)
    first = agreeing.argmax(axis=1)
    rows = np.arange(len(x_m))
    last = first + agreeing[rows, first] - 1
    spread_s = begun_s[rows, last] - begun_s[rows, first]
    at_s = (begun_s[rows, first] + begun_s[rows, last]) / 2
    starts: list[FloatArray] = []
    for row in np.lexsort((rows, spread_s, -agreeing[rows, first])).tolist():
        if all(math.hypot(x_m[row] - one[0], y_m[row] - one[1]) > 2.5 * step_m for one in starts):
            starts.append(np.array([x_m[row], y_m[row], at_s[row], rule.speed_mps]))
            if len(starts) == rule.starts:
                break
    return starts


def _again(arrivals: Arrivals, bang: Bang, rule: LocationRule) -> FloatArray:
    """Return the place of a known bang, and when one there would have been heard as most arrivals tell."""
    begun_s = np.sort(arrivals.at_s - np.hypot(arrivals.x_m - bang.x_m, arrivals.y_m - bang.y_m) / rule.speed_mps)
    last = np.searchsorted(begun_s, begun_s + 2 * rule.late_s, side="right")
    first = int((last - np.arange(len(begun_s))).argmax())
    return np.array([bang.x_m, bang.y_m, begun_s[first : last[first]].mean(), rule.speed_mps])


def _settle(arrivals: Arrivals, start: FloatArray, rule: LocationRule) -> tuple[_Fit | None, IntArray]:
    """Fit from a start; arrivals join and leave until the same ones agree."""
    step_m = (max(np.ptp(arrivals.x_m), np.ptp(arrivals.y_m)) + 2 * rule.margin_m) / rule.cells
    heard = _agreeing(arrivals, _residual_s(arrivals, start), step_m / rule.speed_mps + rule.late_s)
    fit: _Fit | None = None
    for _ in range(3 * len(arrivals.at_s)):
        if len(heard) < 3:
            return None, heard
        fit = _fitted(arrivals, heard, start if fit is None else fit.place, rule)
        if fit is None:
            return None, heard
        worst = heard[np.abs(fit.residual_s[heard]).argmax()]
        if abs(fit.residual_s[worst]) > rule.late_s:
            heard = heard[heard != worst]
            continue
        joined = _agreeing(arrivals, fit.residual_s, rule.late_s)
        if len(joined) <= len(heard):
            return fit, heard
        heard = joined
    return fit, heard


def _residual_s(arrivals: Arrivals, place: FloatArray) -> FloatArray:
    x_m, y_m, at_s, speed_mps = place
    return np.asarray(arrivals.at_s - at_s - np.hypot(arrivals.x_m - x_m, arrivals.y_m - y_m) / speed_mps)


def _agreeing(arrivals: Arrivals, residual_s: FloatArray, late_s: float) -> IntArray:
    """Return the arrivals within a time, of every microphone the one with the smallest residual."""
    size_s = np.abs(residual_s)
    order = np.lexsort((size_s, arrivals.microphone))
    microphone = arrivals.microphone[order]
    first: BoolArray = np.concatenate(([True], microphone[1:] != microphone[:-1]))
    rows = order[first]
    return np.sort(rows[size_s[rows] <= late_s])


def _fitted(arrivals: Arrivals, heard: IntArray, start: FloatArray, rule: LocationRule) -> _Fit | None:
    """Gauss-Newton with Huber's weights over some arrivals; None when it does not settle within hearing."""
    some, place = arrivals.take(heard), start.copy()
    middle_m = np.array([some.x_m.mean(), some.y_m.mean()])
    prior = np.array([0.0, 0.0, 0.0, rule.timing_s / rule.speed_sd_mps])
    for _ in range(_STEPS):
        away_m = np.maximum(np.hypot(some.x_m - place[0], some.y_m - place[1]), 1.0)
        residual_s = some.at_s - place[2] - away_m / place[3]
        weight = np.sqrt(np.minimum(1.0, 2 * rule.timing_s / np.maximum(np.abs(residual_s), 1e-9)))
        east, north = (place[0] - some.x_m) / away_m, (place[1] - some.y_m) / away_m
        slope = np.column_stack([east / place[3], north / place[3], np.ones(len(heard)), -away_m / place[3] ** 2])
        rows = np.vstack([slope * weight[:, None], prior])
        wanted = np.append(residual_s * weight, prior[3] * (rule.speed_mps - place[3]))
        step = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        shorten = min(1.0, 500.0 / max(float(np.hypot(step[0], step[1])), 1e-9))
        place = place + step * shorten
        if np.hypot(*(place[:2] - middle_m)) > 2 * rule.hearing_m:
            return None
        if np.hypot(step[0], step[1]) < _SETTLED_M:
            break
    rows = np.vstack([slope, prior])
    covariance = rule.timing_s**2 * np.linalg.pinv(rows.T @ rows)
    return _Fit(place, covariance, _residual_s(arrivals, place))
