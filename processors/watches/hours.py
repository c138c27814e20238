"""Hours: what the readings of a gauge (one quantity of one sensor in one unit) say when an hour is over.

An hour is judged at the first turn at which no reading of it can come any more, so nothing is ever taken back.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from processors.city import City
from processors.domain import KEY_SEPARATOR
from processors.rows import Columns
from processors.watches.air_index import DAY_HOURS
from processors.watches.closed_hours import ClosedHours, Hour, closed, packed, unpacked
from processors.watches.contract import Told, Turn, WatchClaim, WatchMaker
from processors.watches.hour_rules import HourRule, LoudMinutes, judge
from processors.watches.open_hours import (
    HOUR_MS,
    QUARTERS,
    SUMS,
    Readings,
    SumArray,
    hours_of_quarters,
    joined,
    sums_of,
)
from schemas import columns as wire
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.records import Column

PART_FORMAT: Final = 2
MOST_OPEN_PARTS: Final = 32
"""Then one part takes the place of all of them."""
SPARE: Final = 1024
SOUND_UNIT: Final = "dB"
NO_HOUR: Final = 1 << 62


class OpenPart(msgspec.Struct, frozen=True):
    """Sums of hours that were not over, on the wire; sums of several parts add up."""

    format: int
    columns: tuple[Column, ...]


class HourWatch:
    """The gauges of one partition, hour by hour."""

    name: Final = "hours"
    takes_misdated = False

    def __init__(self, rule: HourRule, time_zone: str) -> None:
        self._rule, self._zone = rule, ZoneInfo(time_zone)
        self._keys = Dictionary()
        self._pending: list[tuple[npt.NDArray[Any], ...]] = []
        """The columns of the readings since the last turn."""
        self._unsealed: list[SumArray] = []
        self._unadded: list[SumArray] = []
        """What is not added to the open hours yet: nobody asks for these before one of them is over."""
        self._open = np.zeros(0, SUMS)
        self._forgot_hour = 0
        self._first_hour = NO_HOUR
        """The first of the open hours, those that are not added yet among them."""
        self._closed = ClosedHours()
        self._fresh: list[tuple[int, Hour, int]] = []
        """Hours that were closed since the last seal, with their gauge and what is said of it since."""
        self._open_parts: dict[str, int] = {}
        """Open parts that are still needed -> the last hour in them; closed ones likewise."""
        self._closed_parts: dict[str, int] = {}

    @property
    def live(self) -> tuple[str, ...]:
        """Return the names of the parts, those of closed hours first."""
        return (*self._closed_parts, *self._open_parts)

    def take(self, record: str, batch: Any, remembered: Columns, city: City) -> None:
        """Take n used readings."""
        if record != "SensorReading":
            return
        place = (np.asarray(remembered[name]) for name in ("latitude_e7", "longitude_e7"))
        told = (batch.sensor_id, batch.quantity, batch.measure_unit, batch.at_ms, batch.value, *place)
        self._pending.append(told)

    def answer(self, turn: Turn) -> list[Told]:
        """Return what the hours say that are over for good."""
        over = turn.late_ms // HOUR_MS
        if self._pending:
            came = self._sums()
            self._unsealed.append(came)
            self._unadded.append(came)
            self._first_hour = min([self._first_hour, *_first_hour(came)])
        if self._first_hour >= over:
            return []
        self._add_up()
        is_ready = self._open["quarter"] < over * QUARTERS
        ready, self._open = self._open[is_ready], self._open[~is_ready]
        self._first_hour = min(_first_hour(self._open), default=NO_HOUR)
        self._closed.make_room(len(self._keys))
        rows = zip(*hours_of_quarters(ready), strict=True)
        return [Told(claim) for row, quarters in rows for claim in self._close(row, quarters)]

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Return what was closed, and what came of open hours, since the last call."""
        over = late_ms // HOUR_MS
        parts = {}
        if self._fresh:
            name = f"{self.name}/closed/{first_offset}"
            ordered = sorted(self._fresh, key=lambda row: (row[1].hour, self._keys.word(row[0])))
            parts[name], self._closed_parts[name] = packed(ordered, self._keys), ordered[-1][1].hour
            self._fresh = []
        self._closed_parts = {name: last for name, last in self._closed_parts.items() if last >= over - DAY_HOURS}
        self._open_parts = {name: last for name, last in self._open_parts.items() if last >= over}
        came, self._unsealed = joined(np.concatenate([np.zeros(0, SUMS), *self._unsealed])), []
        if len(self._open_parts) >= MOST_OPEN_PARTS:
            self._add_up()
            came, self._open_parts = self._open, {}
        came = came[came["quarter"] >= over * QUARTERS]
        if len(came):
            name = f"{self.name}/open/{first_offset}"
            parts[name], self._open_parts[name] = self._packed(came), _last_hour(came)
        self._forget(over)
        return parts

    def load(self, parts: Sequence[tuple[str, bytes]], turn: Turn) -> None:
        """Take back closed and open hours."""
        over = turn.late_ms // HOUR_MS
        sums = [np.zeros(0, SUMS)]
        for name, content in parts:
            if name.split("/")[1] == "open":
                sums.append(self._unpacked(name, content))
                self._open_parts[name] = _last_hour(sums[-1])
                continue
            keys, hours, states = unpacked(name, content)
            self._closed_parts[name] = hours[-1].hour
            numbers = self._keys.numbers([key.encode() for key in keys]).tolist()
            self._closed.make_room(len(self._keys))
            for key, hour, state in zip(numbers, hours, states, strict=True):
                if hour.hour >= over - DAY_HOURS:
                    self._closed.put(key, hour, state)
        found = joined(np.concatenate(sums))
        self._open = found[found["quarter"] >= over * QUARTERS]
        self._first_hour = min(_first_hour(self._open), default=NO_HOUR)

    def _sums(self) -> SumArray:
        """Return what the readings since the last turn add up to."""
        sensor_id, quantity, unit, *rest = (np.concatenate(pieces) for pieces in zip(*self._pending, strict=True))
        self._pending = []
        gauges = zip(sensor_id.tolist(), quantity.tolist(), unit.tolist(), strict=True)
        key = self._keys.numbers([KEY_SEPARATOR.join(gauge).encode() for gauge in gauges])
        sound = np.array([one == SOUND_UNIT for one in unit.tolist()], bool)
        at_ms, value, *place = rest
        limits_db = self._rule.loud_by_day_db, self._rule.loud_by_night_db
        return sums_of(Readings(key, at_ms, value, sound, *place), *limits_db)

    def _add_up(self) -> None:
        """Add what came to the open hours."""
        if self._unadded:
            self._open, self._unadded = joined(np.concatenate([self._open, *self._unadded])), []

    def _close(self, row: Any, quarters: int) -> list[WatchClaim]:
        """Keep an hour that is over; return what it says."""
        key, hour = int(row["key"]), int(row["quarter"]) // QUARTERS
        sensor_id, quantity, unit = self._keys.word(key).split(KEY_SEPARATOR)
        before = self._closed.before(key, hour)
        level_milli = _level_milli(int(row["total"]), int(row["count"]), unit)
        constant = bool(row["low_milli"] == row["high_milli"])
        now = closed(hour, level_milli, int(row["minutes"]).bit_count(), constant, quarters, before)
        state = self._closed.state(key) if before else 0
        local = datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC).astimezone(self._zone)
        loud = LoudMinutes(int(row["loud_by_day"]).bit_count(), int(row["loud_by_night"]).bit_count())
        said, state = judge(self._rule, quantity, unit, local.hour, [now, *before], state, loud)
        self._closed.put(key, now, state)
        self._fresh.append((key, now, state))
        end_ms, north, east = (hour + 1) * HOUR_MS, int(row["latitude_e7"]), int(row["longitude_e7"])
        return [
            WatchClaim(one.kind, sensor_id, end_ms, north, east, one.score_milli, one.value, one.subject)
            for one in said
        ]

    def _forget(self, over: int) -> None:
        """Forget gauges without an hour in the last day; within an hour none becomes one of them."""
        self._closed.make_room(len(self._keys))
        if len(self._keys) <= SPARE or over == self._forgot_hour:
            return
        self._forgot_hour = over
        self._add_up()
        kept = np.union1d(self._closed.forget(over - DAY_HOURS), self._open["key"]).astype(np.int32)
        if len(self._keys) > 2 * len(kept) + SPARE:
            self._keys = Dictionary.of_distinct(self._keys.words[kept])
            self._closed.keep(kept)
            self._open["key"] = np.searchsorted(kept, self._open["key"])

    def _packed(self, sums: SumArray) -> bytes:
        sums = sums[np.lexsort((self._keys.words[sums["key"]], sums["quarter"]))]
        columns: dict[str, wire.Packable] = {name: np.ascontiguousarray(sums[name]) for name in SUMS.names or ()}
        columns["key"] = DictionaryArray(sums["key"].astype(np.int32), self._keys)
        return msgspec.msgpack.encode(OpenPart(PART_FORMAT, wire.pack(columns)))

    def _unpacked(self, name: str, content: bytes) -> SumArray:
        part = msgspec.msgpack.decode(content, type=OpenPart)
        if part.format != PART_FORMAT:
            raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
        columns = wire.unpack(part.columns)
        told = columns.pop("key")
        sums = np.zeros(len(told.numbers), SUMS)
        sums["key"] = self._keys.numbers(told.dictionary.words)[told.numbers]
        for column, values in columns.items():
            sums[column] = values
        return sums


def hours_of(rule: HourRule) -> WatchMaker:
    """Return what makes a watch over the hours of a city's gauges."""

    def make(city: City) -> HourWatch:
        return HourWatch(rule, city.time_zone)

    return make


def _first_hour(sums: SumArray) -> list[int]:
    """Return the first hour of sums in their order, none of none."""
    return [quarter // QUARTERS for quarter in sums["quarter"][:1].tolist()]


def _last_hour(sums: SumArray) -> int:
    return int(sums["quarter"].max()) // QUARTERS


def _level_milli(total: int, count: int, unit: str) -> int:
    """Return the mean of an hour in thousandths, halves upwards; of sound the level of the mean energy, to 0.1 dB."""
    if unit == SOUND_UNIT:
        return round(100 * math.log10(max(total, 1) / count)) * 100
    return (2 * total + count) // (2 * count)
