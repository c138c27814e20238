"""Open hours: what the readings of hours that are not over add up to, in integers, so that no order matters."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import FloatArray, IntArray

HOUR_MS: Final = 3_600_000
QUARTERS: Final = 4
QUARTER_MS: Final = HOUR_MS // QUARTERS
MINUTE_MS: Final = 60_000
LEAST_MINUTES: Final = 5
"""A quarter of an hour with fewer minutes that have a reading says nothing about whether a gauge varies."""
MOST: Final = 1e9
"""Readings beyond it are left out: sums have to stay exact."""

SUMS: Final = np.dtype(
    [
        ("key", "<i8"), ("quarter", "<i8"), ("count", "<i8"), ("total", "<i8"), ("low_milli", "<i8"),
        ("high_milli", "<i8"), ("minutes", "<u8"), ("last_ms", "<i8"), ("latitude_e7", "<i4"), ("longitude_e7", "<i4"),
        ("loud_by_day", "<u8"), ("loud_by_night", "<u8"),
    ]
)  # fmt: skip
"""A quarter of an hour of one gauge. quarter: since 1970. minutes: a bit for each of the hour's that has a reading.
Place: of the last reading.

loud: a bit for each minute in which a sound was above the limit of the day, of the night.
"""

SumArray = npt.NDArray[Any]

ENERGY: Final = np.array([round(10 ** (tenth / 100)) for tenth in range(1401)], np.int64)
"""Of a sound level in tenths of a decibel: 10^(L/10). Levels are averaged by their energy."""


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings of gauges, by number; sound: which are levels in decibels."""

    key: npt.NDArray[np.int32]
    at_ms: IntArray
    value: FloatArray
    sound: npt.NDArray[np.bool_]
    latitude_e7: npt.NDArray[np.int32]
    longitude_e7: npt.NDArray[np.int32]


def sums_of(readings: Readings, by_day_db: float, by_night_db: float) -> SumArray:
    """Return what readings add up to, by key and quarter; sounds above the two limits are loud."""
    sums = np.zeros(len(readings.key), SUMS)
    milli = np.rint(np.clip(readings.value, -MOST, MOST) * 1000).astype(np.int64)
    tenth = np.clip(np.rint(np.where(readings.sound, readings.value, 0.0) * 10), 0, len(ENERGY) - 1).astype(np.int64)
    sums["key"], sums["quarter"], sums["count"] = readings.key, readings.at_ms // QUARTER_MS, 1
    sums["total"] = np.where(readings.sound, ENERGY[tenth], milli)
    sums["low_milli"] = sums["high_milli"] = milli
    minute = (readings.at_ms % HOUR_MS // MINUTE_MS).astype(np.uint64)
    sums["minutes"] = np.uint64(1) << minute
    sums["loud_by_day"] = np.where(readings.sound & (readings.value > by_day_db), sums["minutes"], 0)
    sums["loud_by_night"] = np.where(readings.sound & (readings.value > by_night_db), sums["minutes"], 0)
    sums["last_ms"] = readings.at_ms
    sums["latitude_e7"], sums["longitude_e7"] = readings.latitude_e7, readings.longitude_e7
    return joined(sums[np.abs(readings.value) <= MOST])


def joined(sums: SumArray) -> SumArray:
    """Return one row for each key and quarter, by quarter and key."""
    sums = sums[np.lexsort((sums["last_ms"], sums["key"], sums["quarter"]))]
    if not len(sums):
        return sums
    first = np.ones(len(sums), bool)
    first[1:] = (np.diff(sums["key"]) != 0) | (np.diff(sums["quarter"]) != 0)
    starts = np.flatnonzero(first)
    found: SumArray = sums[np.append(starts[1:], len(sums)) - 1]
    found["count"] = np.add.reduceat(sums["count"], starts)
    found["total"] = np.add.reduceat(sums["total"], starts)
    found["low_milli"] = np.minimum.reduceat(sums["low_milli"], starts)
    found["high_milli"] = np.maximum.reduceat(sums["high_milli"], starts)
    for name in ("minutes", "loud_by_day", "loud_by_night"):
        found[name] = np.bitwise_or.reduceat(sums[name], starts)
    return found


def hours_of_quarters(sums: SumArray) -> tuple[SumArray, list[int]]:
    """Return one row for each key and hour, by hour and key, and what its quarters are (`quarters_of`); sums: joined.

    The first quarter of an hour stands for the hour: its `quarter` is the first of four.
    """
    hour = sums.copy()
    hour["quarter"] -= hour["quarter"] % QUARTERS
    found = joined(hour)
    told: dict[tuple[int, int], int] = {}
    for row, key, first in zip(sums, hour["key"].tolist(), hour["quarter"].tolist(), strict=True):
        told[first, key] = told.get((first, key), 0) | quarters_of(row)
    return found, [told[pair] for pair in zip(found["quarter"].tolist(), found["key"].tolist(), strict=True)]


def quarters_of(row: Any) -> int:
    """Return the bit of a quarter: 0 to 3 where it varied, 4 to 7 where all of it was equal, none with few minutes."""
    if int(row["minutes"]).bit_count() < LEAST_MINUTES:
        return 0
    return 1 << int(row["quarter"] % QUARTERS) + (QUARTERS if row["low_milli"] == row["high_milli"] else 0)
