# ruff: noqa: S608 (statements are made of constants, never of input)
"""What the tables say of whole local days, for baselines: speeds by segment and hour, claims by hour of the week."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from processors.baseline_days import HourClaims, HourSpeed
from processors.baselines import HOURS
from processors.normal_speeds import SEGMENT_M
from schemas.ids import EXERCISE
from sinks.clickhouse.queries import query

_FROM: Final = "fromUnixTimestamp64Milli(%(start_ms)s, 'UTC')"
_UNTIL: Final = "fromUnixTimestamp64Milli(%(end_ms)s, 'UTC')"

_SPEEDS: Final = f"""
SELECT line, direction, segment, hour, quantileExact(0.5)(passage_mm_s) AS median_mm_s
FROM (
    SELECT
        toString(matched_line_id) AS line,
        direction_id AS direction,
        toUInt32(intDiv(toUInt32(line_offset_m), {SEGMENT_M:.0f})) AS segment,
        toHour(at_ms, %(zone)s) AS hour,
        intDiv(sum(toInt64(speed_mm_s)), count()) AS passage_mm_s,
        argMax(line_offset_m, at_ms) - argMin(line_offset_m, at_ms) AS came_m
    FROM positions
    WHERE at_ms >= {_FROM} AND at_ms < {_UNTIL}
        AND matched_line_id IN %(lines)s AND direction_id >= 0 AND isFinite(line_offset_m)
        AND cross_track_m <= %(cross_m)s AND stop_id = '' AND speed_mm_s >= 0
        AND NOT startsWith(vehicle_id, '{EXERCISE}')
    GROUP BY vehicle_id, line, direction, segment, hour
    HAVING came_m > %(came_m)s
)
GROUP BY line, direction, segment, hour
HAVING count() >= %(passages)s
ORDER BY line, direction, segment, hour"""

_HOUR_OF_WEEK: Final = "(toDayOfWeek({0}, 0, %(zone)s) - 1) * 24 + toHour({0}, %(zone)s)"

_CLAIMS: Final = f"""
SELECT
    toString(kind) AS kind, toString(unit_code) AS unit,
    {_HOUR_OF_WEEK.format("at_ms")} AS hour,
    sum(1 - 2 * toInt64(withdrawn)) AS claims
FROM observations
WHERE at_ms >= {_FROM} AND at_ms < {_UNTIL} AND kind IN %(kinds)s AND NOT startsWith(device_id, '{EXERCISE}')
GROUP BY kind, unit, hour
HAVING claims > 0
ORDER BY kind, unit, hour"""

_HEARD: Final = f"""
SELECT hour, uniqExact(day) AS days
FROM (
    SELECT toDate(minute, %(zone)s) AS day, {_HOUR_OF_WEEK.format("minute")} AS hour
    FROM minute_aggregates WHERE minute >= {_FROM} AND minute < {_UNTIL}
    UNION ALL
    SELECT toDate(at_ms, %(zone)s) AS day, {_HOUR_OF_WEEK.format("at_ms")} AS hour
    FROM observations WHERE at_ms >= {_FROM} AND at_ms < {_UNTIL}
    UNION ALL
    SELECT toDate(at_ms, %(zone)s) AS day, {_HOUR_OF_WEEK.format("at_ms")} AS hour
    FROM heartbeats WHERE at_ms >= {_FROM} AND at_ms < {_UNTIL}
)
GROUP BY hour"""


@dataclass(frozen=True, slots=True)
class PassageRule:
    """Which reports tell the speed of a segment; sources in docs/thresholds.md#baselines.

    cross_m: at most so far from the course. came_m: a passage is more than that along it, forwards.
    passages: least in an hour of a day, otherwise the hour is unknown.
    """

    cross_m: float = 40.0
    came_m: float = 40.0
    passages: int = 2


@dataclass(frozen=True, slots=True)
class LocalDays:
    """The tables of one run, asked by whole local days. Every method raises what `query` raises."""

    url: str
    database: str
    zone: ZoneInfo

    def speeds(self, day: date, lines: Collection[str], rule: PassageRule = PassageRule()) -> list[HourSpeed]:
        """Return the median speed of the passages of each segment of some lines in each hour of a day.

        A passage is what one vehicle reports from a segment in an hour, away from stops; its speed is the mean.
        """
        if not lines:
            return []
        told = {"cross_m": rule.cross_m, "came_m": rule.came_m, "passages": rule.passages}
        rows = self._rows(_SPEEDS, [day], lines=tuple(sorted(lines)), **told)
        return [
            HourSpeed((line, int(direction), int(segment)), int(hour), int(median_mm_s) / 1000)
            for line, direction, segment, hour, median_mm_s in rows
        ]

    def claims(self, days: Sequence[date], kinds: Collection[str]) -> list[HourClaims]:
        """Return how often kinds were claimed and not taken back, by unit and hour of the week, over days in a row."""
        if not kinds:
            return []
        rows = self._rows(_CLAIMS, days, kinds=tuple(sorted(kinds)))
        return [HourClaims(kind, unit_code, int(hour), int(claims)) for kind, unit_code, hour, claims in rows]

    def heard(self, days: Sequence[date]) -> list[int]:
        """Return on how many of days in a row anything was stored in each hour of the week (168)."""
        found = [0] * HOURS
        for hour, count in self._rows(_HEARD, days):
            found[int(hour)] = int(count)
        return found

    def _rows(
        self, sql: str, days: Sequence[date], **told: str | float | tuple[str, ...]
    ) -> tuple[tuple[Any, ...], ...]:
        ends = days[0], days[-1] + timedelta(days=1)
        start_ms, end_ms = (round(datetime.combine(day, time(), self.zone).timestamp() * 1000) for day in ends)
        asked = {"zone": self.zone.key, "start_ms": start_ms, "end_ms": end_ms, **told}
        return query(self.url, self.database, sql, asked).rows
