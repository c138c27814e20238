"""What evaluated seeds amount to, kind by kind, and whether that is what must be reached."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from processors.evaluation.feeds import Feed
from processors.evaluation.seed import SeedResult, TruthResult

Z_95: Final = 1.959963984540054
ENOUGH_TRUTHS: Final = 200
ENOUGH_HOURS: Final = 100_000.0
PER_HOURS: Final = 10_000.0


@dataclass(frozen=True, slots=True)
class Share:
    """k of n, with the bounds of its 95 % confidence interval."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """Return k / n, NaN of none."""
        return self.count / self.of if self.of else math.nan


def wilson(count: int, of: int) -> Share:
    """Return a share with its Wilson score interval, 0 to 1 for nothing counted.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if not of:
        return Share(0, 0, 0.0, 1.0)
    z2 = Z_95 * Z_95
    share, scale = count / of, 1 + z2 / of
    middle = (share + z2 / (2 * of)) / scale
    half = Z_95 / scale * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return Share(count, of, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


@dataclass(frozen=True, slots=True)
class Target:
    """What a kind must reach.

    share: of the truths that count. confirmed: whether they must be confirmed. witnesses: only truths that so many
    independent devices could notice, or heard, count (TruthResult). within_m: and the incident must end up so near.
    median_s: time to detect. false: at most so many incidents per 10,000 sensor-hours.
    """

    share: float
    confirmed: bool = False
    witnesses: int = 0
    within_m: float | None = None
    median_s: float | None = None
    false: float | None = None


TARGETS: Final[Mapping[str, Target]] = {
    "crash": Target(0.95, median_s=10.0, false=1.0),
    "fire": Target(0.98, confirmed=True, witnesses=2),
    "explosion": Target(0.96, witnesses=6, within_m=15.0),
}
OTHERS: Final = Target(0.90)
"""Of every kind that TARGETS does not name."""


@dataclass(frozen=True, slots=True)
class KindTally:
    """Figures of one kind. reached: of the truths that count for the target, those that are as it asks.

    false_confirmed: those of the false ones that were ever confirmed. false_high: upper bound (95 %, exact for a
    Poisson count) of the false incidents per 10,000 sensor-hours.
    """

    kind: str
    detected: Share
    confirmed: int
    reached: Share
    target: Target
    median_s: float | None
    p90_s: float | None
    false: int
    false_confirmed: int
    sensor_hours: float
    false_rate: float
    false_high: float

    @property
    def met(self) -> bool:
        """Tell whether all that is asked for is reached."""
        target = self.target
        fast = target.median_s is None or (self.median_s is not None and self.median_s <= target.median_s)
        calm = target.false is None or self.false_rate < target.false
        return self.reached.of > 0 and self.reached.value >= target.share and fast and calm

    @property
    def enough(self) -> bool:
        """Tell whether there were as many truths and sensor-hours as a judgement takes."""
        return self.detected.of >= ENOUGH_TRUTHS and self.sensor_hours >= ENOUGH_HOURS


def tally(results: Sequence[SeedResult], feeds: Mapping[str, Feed]) -> tuple[KindTally, ...]:
    """Return the figures of every kind that happened or was concluded, in the order of their names."""
    hours = math.fsum(one.hours for one in results)
    kinds = sorted(
        {truth.kind for one in results for truth in one.truths} | {kind for one in results for kind in one.false}
    )
    return tuple(_kind(kind, results, hours, feeds.get(kind)) for kind in kinds)


def _kind(kind: str, results: Iterable[SeedResult], hours: float, feed: Feed | None) -> KindTally:
    truths = [truth for one in results for truth in one.truths if truth.kind == kind]
    false = sum(one.false.get(kind, 0) for one in results)
    target = TARGETS.get(kind, OTHERS)
    counting = [one for one in truths if one.witnesses >= target.witnesses or not target.witnesses]
    delays_s = sorted(one.delay_s for one in truths if one.delay_s is not None)
    sensor_hours = hours * (0 if feed is None else feed.counted)
    scale = PER_HOURS / sensor_hours if sensor_hours else math.nan
    return KindTally(
        kind=kind,
        detected=wilson(len(delays_s), len(truths)),
        confirmed=sum(one.confirmed for one in truths),
        reached=wilson(sum(_reaches(one, target) for one in counting), len(counting)),
        target=target,
        median_s=statistics.median(delays_s) if delays_s else None,
        p90_s=delays_s[math.ceil(0.9 * len(delays_s)) - 1] if delays_s else None,
        false=false,
        false_confirmed=sum(one.false_confirmed.get(kind, 0) for one in results),
        sensor_hours=sensor_hours,
        false_rate=false * scale,
        false_high=poisson_high(false) * scale,
    )


def _reaches(one: TruthResult, target: Target) -> bool:
    near = target.within_m is None or (one.away_m is not None and one.away_m <= target.within_m)
    return one.detected and near and (one.confirmed or not target.confirmed)


def poisson_high(count: int) -> float:
    """Return the largest mean for which so few counts still have a chance of 2.5 % (exact, by bisection).

    Source: F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936).
    """
    low, high = float(count), count + 10.0 + 6.0 * math.sqrt(count + 1.0)
    for _ in range(80):
        mean = (low + high) / 2
        terms = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)]
        low, high = (mean, high) if math.fsum(terms) > 0.025 else (low, mean)
    return high
