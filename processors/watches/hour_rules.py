"""What an hour of a gauge says: bad air, noise, a stuck sensor. Each is claimed by its edges, with a hysteresis.

Thresholds and their sources: docs/thresholds.md#hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

from processors.watches.air_index import DAY_GUIDELINE_UG_M3, DAY_HOURS, NOWCAST_HOURS, air_index, day_mean, now_cast
from processors.watches.closed_hours import FEW_HOURS, Hour
from processors.watches.open_hours import QUARTERS

BAD_INDEX: Final = 1
BAD_DAY: Final = 2
LOUD: Final = 4
STUCK: Final = 8
"""Bits of what is said of a gauge until its end is."""
VARIED: Final = 0b1111
STILL: Final = VARIED << QUARTERS
"""Bits of the quarters of an hour (`closed_hours.Hour`)."""


@dataclass(frozen=True, slots=True)
class HourRule:
    """Thresholds of hours. tells: quantities, by unit, whose means are claimed every hour."""

    tells: Mapping[str, str] = field(
        default_factory=lambda: {
            "pm2_5": "ug/m3", "pm10": "ug/m3", "no2": "ug/m3", "co": "ug/m3", "o3": "ug/m3", "so2": "ug/m3",
            "sound_level": "dB", "temperature": "Cel",
        }
    )  # fmt: skip
    index_on: int = 150
    index_off: int = 100
    day_off_share: float = 0.8
    loud_by_day_db: float = 70.0
    loud_by_night_db: float = 55.0
    day_begins: int = 6
    night_begins: int = 21
    quieter_db: float = 2.0
    loud_share: float = 1 / 3
    stuck_readings: int = 30
    lively_hours: int = 3
    stuck_quarters: int = 3
    lively_quarters: int = 4

    def is_day(self, local_hour: int) -> bool:
        """Tell whether the limit of the day holds in an hour."""
        return self.day_begins <= local_hour < self.night_begins


class LoudMinutes(NamedTuple):
    """Of an hour the minutes with a reading above the limit of the day, of the night."""

    by_day: int
    by_night: int


class Said(NamedTuple):
    """What an hour says of a gauge."""

    kind: str
    score_milli: int
    value: float
    subject: str


def judge(
    rule: HourRule,
    quantity: str,
    measure_unit: str,
    local_hour: int,
    hours: list[Hour],
    state: int,
    loud_minutes: LoudMinutes,
) -> tuple[list[Said], int]:
    """Return what the newest hour of a gauge says, and what is said of it since.

    hours: those of the last day that have readings, the newest first. local_hour: of its beginning, 0 to 23.
    loud_minutes: those of the newest hour in which a sound was above the limits.
    """
    said: list[Said] = []
    now = hours[0]
    state = _stuck(rule, quantity, hours, state, said)
    if rule.tells.get(quantity) != measure_unit:
        return said, state
    if now.valid:
        said.append(Said("hourly_level", 1000, now.level_milli / 1000, quantity))
    if quantity in DAY_GUIDELINE_UG_M3:
        state = _air(rule, quantity, hours, state, said)
    if measure_unit == "dB" and now.valid:
        state = _noise(rule, hours, loud_minutes, local_hour, state, said)
    return said, state


def _air(rule: HourRule, pollutant: str, hours: list[Hour], state: int, said: list[Said]) -> int:
    newest = hours[0].hour
    means = {one.hour: one.level_milli / 1000 for one in hours if one.valid}
    last_day = [means.get(newest - age) for age in range(DAY_HOURS)]
    cast, mean = now_cast(last_day[:NOWCAST_HOURS]), day_mean(last_day)
    if cast is not None:
        index = air_index(pollutant, cast)
        score = min(0.9, 0.6 + 0.3 * (index - rule.index_on) / rule.index_on)
        state = _edge(
            state, BAD_INDEX, index > rule.index_on, index <= rule.index_off,
            Said("air_bad", round(score * 1000), float(index), pollutant), "air_good", said,
        )  # fmt: skip
    if mean is not None:
        limit = DAY_GUIDELINE_UG_M3[pollutant]
        state = _edge(
            state, BAD_DAY, mean > limit, mean <= rule.day_off_share * limit,
            Said("air_bad", 400, float(air_index(pollutant, mean)), f"{pollutant} 24 h"), "air_good", said,
        )  # fmt: skip
    return state


def _noise(rule: HourRule, hours: list[Hour], loud: LoudMinutes, local_hour: int, state: int, said: list[Said]) -> int:
    """Say that an hour was loud, or quiet again.

    A reading stands for a minute, so a horn or a bang in one lifts the mean energy of the hour: a share of its minutes
    has to be loud too. Where nights are above their limit anyway, the limit of the day holds in them too.
    """
    now = hours[0]
    level_db = now.level_milli / 1000
    by_day = rule.is_day(local_hour) or _usual_night_db(rule, hours, local_hour) > rule.loud_by_night_db
    limit_db, loud_minutes = (rule.loud_by_day_db, loud.by_day) if by_day else (rule.loud_by_night_db, loud.by_night)
    score = min(0.9, 0.5 + 0.02 * max(0.0, level_db - limit_db))
    begun = Said("noise_high", round(score * 1000), level_db, "")
    lasts = loud_minutes >= rule.loud_share * now.covered
    over = level_db <= limit_db - rule.quieter_db or loud_minutes < rule.loud_share / 2 * now.covered
    return _edge(state, LOUD, level_db > limit_db and lasts, over, begun, "noise_normal", said)


def _usual_night_db(rule: HourRule, hours: list[Hour], local_hour: int) -> float:
    """Return the median level of the hours before, of those by night where three are known; 0 where no three are."""
    before = [one for one in hours[1:] if one.valid]
    nights = [one for one in before if not rule.is_day((local_hour - hours[0].hour + one.hour) % DAY_HOURS)]
    known = nights if len(nights) >= FEW_HOURS else before
    return median(one.level_milli for one in known) / 1000 if len(known) >= FEW_HOURS else 0.0


def _stuck(rule: HourRule, quantity: str, hours: list[Hour], state: int, said: list[Said]) -> int:
    """Say that a gauge is stuck when it does not vary any more though it did in every hour or quarter before.

    One that tells a value of its own for every quarter has no quarter in which it varies, and is judged by hours.
    """
    now = hours[0]
    if not now.valid:
        return state
    valid = [one for one in hours if one.valid]
    run = next((number for number, one in enumerate(valid) if not one.constant), len(valid))
    earlier = valid[run:]
    readings = sum(one.covered for one in valid[:run])
    stuck = readings >= rule.stuck_readings and len(earlier) >= rule.lively_hours
    stuck &= not any(one.constant for one in earlier)
    stuck |= _stuck_for_quarters(rule, hours)
    lively = not now.constant and (not now.quarters & STILL or not now.quarters & VARIED)
    begun = Said("sensor_stuck", 800, now.level_milli / 1000, quantity)
    return _edge(state, STUCK, stuck, lively, begun, "sensor_lively", said)


def _stuck_for_quarters(rule: HourRule, hours: list[Hour]) -> bool:
    """Tell whether a gauge did not vary for quarters that reach into the newest hour, and did in all before them."""
    still = [
        bool(one.quarters >> QUARTERS + quarter & 1)
        for one in hours
        for quarter in reversed(range(QUARTERS))
        if one.quarters >> quarter & 1 | one.quarters >> QUARTERS + quarter & 1
    ]
    newest = hours[0].quarters.bit_count()
    begins = next((number for number, one in enumerate(still[:newest]) if one), None)
    if begins is None:
        return False
    run = still[begins:]
    lasts = next((number for number, one in enumerate(run) if not one), len(run))
    earlier = run[lasts:]
    return lasts >= rule.stuck_quarters and len(earlier) >= rule.lively_quarters and not any(earlier)


def _edge(state: int, bit: int, begins: bool, ends: bool, begun: Said, end: str, said: list[Said]) -> int:
    """Say that something begins, or that it ends, and return the state since."""
    if not state & bit and begins:
        said.append(begun)
        return state | bit
    if state & bit and ends:
        said.append(begun._replace(kind=end, score_milli=900))
        return state & ~bit
    return state
