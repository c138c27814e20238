"""What usual days say: a snapshot from the speeds and claims of some whole local days. Sources: docs/baselines.md."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from processors.baselines import HOURS, SPEED_HOURS, Segment, Snapshot

WEEKDAYS: Final = 5
"""Monday to Friday."""
SPEED_DIGITS: Final = 1
CLAIM_DIGITS: Final = 4
SLOWEST_MPS: Final = 0.1


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """Thresholds; their sources are in docs/thresholds.md#baselines.

    least_days: of which an hour is known, otherwise the hour counts as unknown.
    prior_claims: added to what was counted, so that nothing is expected never.
    """

    least_days: int = 3
    prior_claims: float = 0.5


@dataclass(frozen=True, slots=True)
class HourSpeed:
    """The median speed of the vehicles that passed a segment in an hour of one day."""

    segment: Segment
    hour: int
    median_mps: float


@dataclass(frozen=True, slots=True)
class HourClaims:
    """How often a kind was claimed in a unit in one hour of the week, over all days."""

    kind: str
    unit_code: str
    hour_of_week: int
    claims: int


@dataclass(frozen=True, slots=True)
class UsualDays:
    """What was stored of some whole local days.

    speeds: of each day. heard: on how many days anything at all was stored in each hour of the week (168).
    """

    speeds: Mapping[date, Sequence[HourSpeed]]
    claims: Sequence[HourClaims]
    heard: Sequence[int]


def snapshot_of(valid_from: date, zone: ZoneInfo, days: UsualDays, rule: BaselineRule = BaselineRule()) -> Snapshot:
    """Return the snapshot that holds from the beginning of a local day, with its version."""
    counted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * HOURS)
    for one in days.claims:
        counted[one.kind, one.unit_code][one.hour_of_week] += one.claims
    hourly: dict[str, dict[str, tuple[float | None, ...]]] = {}
    for kind, unit_code in sorted(counted):
        told = expected_claims(counted[kind, unit_code], days.heard, rule)
        hourly.setdefault(kind, {})[unit_code] = told
    made = Snapshot(
        valid_from=datetime.combine(valid_from, time(), zone),
        days=tuple(sorted(days.speeds)),
        elsewhere=expected_claims([0] * HOURS, days.heard, rule),
        hourly=hourly,
        normals_mps={
            f"{line_id}/{direction_id}/{segment}": mps
            for (line_id, direction_id, segment), mps in sorted(normal_mps(days.speeds, rule).items())
        },
    )
    return made.model_copy(update={"version": made.right_version})


def expected_claims(
    claims: Sequence[int], heard: Sequence[int], rule: BaselineRule = BaselineRule()
) -> tuple[float | None, ...]:
    """Return the claims expected in each hour of the week, None = unknown.

    claims, heard: of each hour of the week (168), what was claimed and on how many days the hour was heard. An hour of
    the week heard on too few days takes that hour of all days from Monday to Friday, or of the weekend, otherwise of
    all days. The mean of a Poisson rate under Jeffreys' prior: (claims + 1/2) / days.
    """
    told: list[float | None] = []
    for hour in range(HOURS):
        same = range(hour % 24, HOURS, 24)
        alike = [one for one in same if (one >= WEEKDAYS * 24) == (hour >= WEEKDAYS * 24)]
        pools = ([hour], alike, same)
        pool = next((one for one in pools if sum(heard[each] for each in one) >= rule.least_days), None)
        if pool is None:
            told.append(None)
            continue
        counted = max(0, sum(claims[each] for each in pool))
        told.append(round((counted + rule.prior_claims) / sum(heard[each] for each in pool), CLAIM_DIGITS))
    return tuple(told)


def normal_mps(
    speeds: Mapping[date, Iterable[HourSpeed]], rule: BaselineRule = BaselineRule()
) -> dict[Segment, tuple[float | None, ...]]:
    """Return the usual speed of segments at each hour from Monday to Friday, then at the weekend; None = unknown.

    The median over days of the days' medians: a day of jams or floods moves it by one place. An hour known of too few
    days of its type takes all days; known of too few of these, it is unknown.
    """
    found: dict[Segment, list[list[float]]] = defaultdict(lambda: [[] for _ in range(SPEED_HOURS)])
    for day in sorted(speeds):
        at_weekend = day.weekday() >= WEEKDAYS
        for one in speeds[day]:
            found[one.segment][one.hour + 24 * at_weekend].append(one.median_mps)
    usual = {}
    for segment, hours in found.items():
        told = tuple(
            _median(hours[hour], hours[hour % 24] + hours[hour % 24 + 24], rule.least_days)
            for hour in range(SPEED_HOURS)
        )
        if any(one is not None for one in told):
            usual[segment] = told
    return usual


def _median(own: Sequence[float], all_days: Sequence[float], least: int) -> float | None:
    known = own if len(own) >= least else all_days
    if len(known) < least:
        return None
    return max(SLOWEST_MPS, round(median(known), SPEED_DIGITS))
