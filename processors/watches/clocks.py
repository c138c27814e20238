"""Clocks: a camera whose times are ahead of the ticks, or far behind them, for a minute; and that they are right again.

When a record came is what the log says, not what the record says: of all claims these alone depend on the order in
which records arrived. A record that is forwarded late looks like a clock that is behind, so one turn says nothing, and
an offset that does not stay what it is says nothing either: a backlog catches up. A clock may be so far off that all
its records are refused; they count here all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from processors.batches import IntArray
from processors.city import City
from processors.rows import Columns
from processors.watches.contract import UNPLACED_E7, Told, Turn, WatchClaim, WatchMaker

PART_FORMAT: Final = 1
SCORE_MILLI: Final = 900


@dataclass(frozen=True, slots=True)
class ClockRule:
    """When a clock is off; the sources are in docs/thresholds.md#camera.

    A turn counts with the median of the offsets (at_ms less tick) of what came in it. A clock is off when `turns` of
    them one after the other, over `lasts_ms` or more, are beyond the limits on one side and within `steady_ms` of the
    first; it is right again after `well` turns within the narrower ones. forget_ms: of a device that says nothing for
    so long nothing is known.
    records: the record types that tell the time, and the field of each that names the device.
    """

    off: str
    well: str
    records: Mapping[str, str]
    ahead_ms: int = 5_000
    behind_ms: int = 120_000
    well_ahead_ms: int = 3_000
    well_behind_ms: int = 60_000
    steady_ms: int = 30_000
    turns: int = 5
    lasts_ms: int = 60_000
    well_turns: int = 3
    forget_ms: int = 1_800_000


CAMERA_CLOCK: Final = ClockRule(
    off="camera_clock_off",
    well="camera_well",
    records={"CameraDetection": "camera_id", "Heartbeat": "device_id"},
)


class _Doubt(msgspec.Struct):
    """A device whose clock may be off. ahead: on which side. good: turns within the limits since it was told.

    offset_ms: of the first turn.
    """

    ahead: bool
    since_ms: int
    heard_ms: int
    turns: int
    latitude_e7: int
    longitude_e7: int
    told: bool = False
    good: int = 0
    offset_ms: int = 0


class _Part(msgspec.Struct, frozen=True):
    format: int
    doubts: dict[str, _Doubt]


class ClockWatch:
    """The devices of one partition whose clocks may be off; nothing is kept of the others."""

    name: Final = "clocks"
    takes_misdated = True

    def __init__(self, rule: ClockRule) -> None:
        self._rule = rule
        self._doubts: dict[str, _Doubt] = {}
        self._pending: list[tuple[list[str], IntArray, IntArray, IntArray]] = []
        self._part: tuple[str, bytes] | None = None

    @property
    def live(self) -> tuple[str, ...]:
        """Return the name of the part that holds the doubts, if there are any."""
        return () if self._part is None else (self._part[0],)

    def take(self, record: str, batch: Any, remembered: Columns, city: City) -> None:
        """Take n records of one type, used ones or those with a wrong time."""
        field = self._rule.records.get(record)
        if field is not None:
            places = (np.asarray(remembered[name], np.int64) for name in ("latitude_e7", "longitude_e7"))
            self._pending.append((getattr(batch, field).tolist(), batch.at_ms, *places))

    def answer(self, turn: Turn) -> list[Told]:
        """Return which clocks the records since the last turn show to be off, or right again."""
        told = []
        for device_id, (offset_ms, latitude_e7, longitude_e7) in sorted(self._offsets(turn.tick_ms).items()):
            if latitude_e7 != UNPLACED_E7:
                told += self._judge(device_id, offset_ms, latitude_e7, longitude_e7, turn.tick_ms)
        silent = [one for one, doubt in self._doubts.items() if doubt.heard_ms < turn.tick_ms - self._rule.forget_ms]
        for device_id in silent:
            del self._doubts[device_id]
        return told

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Return the doubts, where they have changed."""
        if not self._doubts:
            self._part = None
            return {}
        content = msgspec.msgpack.encode(_Part(PART_FORMAT, dict(sorted(self._doubts.items()))))
        if self._part is not None and self._part[1] == content:
            return {}
        self._part = f"{self.name}/{first_offset}", content
        return dict([self._part])

    def load(self, parts: Sequence[tuple[str, bytes]], turn: Turn) -> None:
        """Take back the doubts. Raises ValueError when the part has another format."""
        for name, content in parts:
            part = msgspec.msgpack.decode(content, type=_Part)
            if part.format != PART_FORMAT:
                raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
            self._doubts, self._part = part.doubts, (name, content)

    def _offsets(self, tick_ms: int) -> dict[str, tuple[int, int, int]]:
        """Return of each device that is doubted, or should be, its median offset of this turn and its place."""
        pending, self._pending = self._pending, []
        doubted = set(self._doubts)
        for device_ids, at_ms, _, _ in pending:
            offset_ms = at_ms - tick_ms
            odd = (offset_ms > self._rule.ahead_ms) | (offset_ms < -self._rule.behind_ms)
            doubted |= {device_ids[row] for row in np.flatnonzero(odd).tolist()}
        told: dict[str, list[tuple[int, int, int]]] = {}
        for device_ids, at_ms, latitude_e7, longitude_e7 in pending if doubted else ():
            for row in [row for row, device_id in enumerate(device_ids) if device_id in doubted]:
                offset = int(at_ms[row]) - tick_ms, int(latitude_e7[row]), int(longitude_e7[row])
                told.setdefault(device_ids[row], []).append(offset)
        return {device_id: sorted(offsets)[len(offsets) // 2] for device_id, offsets in told.items()}

    def _judge(self, device_id: str, offset_ms: int, latitude_e7: int, longitude_e7: int, tick_ms: int) -> list[Told]:
        """Note one turn of a device; return the claim that it leads to."""
        rule, doubt = self._rule, self._doubts.get(device_id)
        odd = offset_ms > rule.ahead_ms or offset_ms < -rule.behind_ms
        if doubt is not None and doubt.told:
            doubt.heard_ms = tick_ms
            within = -rule.well_behind_ms <= offset_ms <= rule.well_ahead_ms
            doubt.good = doubt.good + 1 if within else 0
            if doubt.good < rule.well_turns:
                return []
            del self._doubts[device_id]
            return [Told(_claim(rule.well, device_id, doubt, offset_ms, tick_ms))]
        if not odd:
            self._doubts.pop(device_id, None)
            return []
        side = offset_ms > 0
        if doubt is None or doubt.ahead is not side or abs(offset_ms - doubt.offset_ms) > rule.steady_ms:
            begun = _Doubt(side, tick_ms, tick_ms, 1, latitude_e7, longitude_e7, offset_ms=offset_ms)
            self._doubts[device_id] = begun
            return []
        doubt.turns, doubt.heard_ms = doubt.turns + 1, tick_ms
        doubt.told = doubt.turns >= rule.turns and tick_ms - doubt.since_ms >= rule.lasts_ms
        return [Told(_claim(rule.off, device_id, doubt, offset_ms, tick_ms))] if doubt.told else []


def _claim(kind: str, device_id: str, doubt: _Doubt, offset_ms: int, tick_ms: int) -> WatchClaim:
    place = doubt.latitude_e7, doubt.longitude_e7
    return WatchClaim(kind, device_id, tick_ms, *place, SCORE_MILLI, value=offset_ms / 1000)


def clocks_of(rule: ClockRule) -> WatchMaker:
    """Return what makes a watch over the clocks that a rule judges."""

    def make(city: City) -> ClockWatch:
        return ClockWatch(rule)

    return make
