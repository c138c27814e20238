"""Levels with a hysteresis: a quantity has risen to a threshold, and has fallen below a lower one.

Only readings at or above the upper threshold and those below the lower one decide: a level is claimed at the first of
the former after one of the latter, or at all, its end at the first of the latter after one of the former. What lies
between the two is neither. Few gauges are ever above, and only those are kept: the readings that a late one may still
come between are in the history, and what was before them is one bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from processors.city import City
from processors.domain import KEY_SEPARATOR
from processors.history import History
from processors.rows import Columns
from processors.tracks import Track
from processors.watches.contract import NEVER_MS, Told, Turn, WatchClaim, WatchMaker, changes

PART_FORMAT: Final = 1
RECORD: Final = "SensorReading"
NO_LEVEL: Final = -1
NO_END_MS: Final = -NEVER_MS
REMEMBER_MS: Final = 86_400_000
"""A gauge that was above and tells nothing for so long is forgotten."""
END_SCORE_MILLI: Final = 900


@dataclass(frozen=True, slots=True)
class LevelRule:
    """Two thresholds of one quantity; their source is in docs/thresholds.md#levels.

    The score rises from `score` at `on` to `top_score` at `top` and above.
    """

    quantity: str
    measure_unit: str
    on: float
    off: float
    top: float
    score: float
    top_score: float
    kind: str
    end: str

    def score_milli(self, value: float) -> int:
        """Return how sure a reading at or above `on` is, in thousandths."""
        share = min(1.0, (value - self.on) / (self.top - self.on))
        return round(1000 * (self.score + (self.top_score - self.score) * share))


class Part(msgspec.Struct, frozen=True):
    """The gauges that were above when all that counts was settled, and when they were last, by key."""

    format: int
    above: tuple[tuple[str, int], ...]


class LevelWatch:
    """The gauges of one partition whose levels count."""

    name: Final = "levels"
    takes_misdated = False

    def __init__(self, rules: Sequence[LevelRule]) -> None:
        """rules: by the number that the history remembers as `level`."""
        self._rules = tuple(rules)
        self._on = np.array([*(rule.on for rule in rules), np.inf])  # NO_LEVEL = -1 takes the last
        self._above: dict[str, int] = {}
        """The gauges that were above at `_settled_ms`, and the last decisive reading of each until then."""
        self._standing: dict[str, set[WatchClaim]] = {}
        """What is claimed since, of those gauges and of all that have risen since."""
        self._settled_ms = NEVER_MS
        self._touched: set[str] = set()
        self._histories: Mapping[str, History] = {}
        self._part: tuple[str, bytes] | None = None

    @property
    def live(self) -> tuple[str, ...]:
        """Return the name of its only part."""
        return () if self._part is None else (self._part[0],)

    def take(self, record: str, batch: Any, remembered: Columns, city: City) -> None:
        """Take n used readings; those that may change a claim are looked at in the next turn."""
        if record != RECORD:
            return
        level = np.asarray(remembered["level"])
        rows = np.flatnonzero(level != NO_LEVEL)
        high = (batch.value >= self._on[level])[rows].tolist()
        for row, is_high in zip(rows.tolist(), high, strict=True):
            key = f"{batch.sensor_id[row]}{KEY_SEPARATOR}{batch.quantity[row]}"
            if is_high or key in self._above or key in self._standing:
                self._touched.add(key)

    def answer(self, turn: Turn) -> list[Told]:
        """Return what the readings taken since the last turn change."""
        self._histories = turn.histories
        told = []
        for key in sorted(self._touched):
            claims = self._claims(key, turn.histories[RECORD])
            told += changes(self._standing.get(key, set()), claims)
            self._standing[key] = claims
        self._touched.clear()
        return told

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Settle what no late reading can change any more, and return the part if it says anything new."""
        history = self._histories[RECORD]
        for key in {*self._above, *self._standing}:
            above_ms = self._above.get(key, NEVER_MS)
            for track, row, is_high in self._decisive(key, history, late_ms):
                above_ms = int(track.at_ms[row]) if is_high else NEVER_MS
            self._above[key] = above_ms
        self._above = {key: at_ms for key, at_ms in self._above.items() if at_ms >= late_ms - REMEMBER_MS}
        self._settled_ms = late_ms
        open_claims = ((key, {one for one in of if one.at_ms >= late_ms}) for key, of in self._standing.items())
        self._standing = {key: claims for key, claims in open_claims if claims}
        content = msgspec.msgpack.encode(Part(PART_FORMAT, tuple(sorted(self._above.items())))) if self._above else b""
        if not content:
            self._part = None
        elif self._part is None or self._part[1] != content:
            self._part = f"{self.name}/{first_offset}", content
            return dict([self._part])
        return {}

    def load(self, parts: Sequence[tuple[str, bytes]], turn: Turn) -> None:
        """Take back which gauges were above; the history tells what was read since."""
        self._histories, self._settled_ms = turn.histories, turn.late_ms
        history = turn.histories[RECORD]
        for name, content in parts:
            part = msgspec.msgpack.decode(content, type=Part)
            if part.format != PART_FORMAT:
                raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
            self._above, self._part = dict(part.above), (name, content)
        track = history.retained(np.arange(len(history.keys), dtype=np.int32))
        high = track.columns["value"] >= self._on[track.columns["level"]]
        risen = np.unique(track.slot[high & (track.at_ms >= turn.late_ms)])
        for key in {*self._above, *(history.key_of(slot) for slot in risen.tolist())}:
            claims = self._claims(key, history)
            if claims:
                self._standing[key] = claims

    def _claims(self, key: str, history: History) -> set[WatchClaim]:
        """Return what is claimed of a gauge by the readings since the settled time."""
        above = key in self._above
        claims = set()
        for track, row, is_high in self._decisive(key, history, NO_END_MS):
            if is_high != above:
                claims.add(self._claim(key, track, row, is_high))
            above = is_high
        return claims

    def _decisive(self, key: str, history: History, until_ms: int) -> Iterator[tuple[Track, int, bool]]:
        """Yield the decisive readings of a gauge from the settled time to another: track and row, and whether above."""
        slot = history.keys.find(key.encode())
        if slot is None:
            return
        track = history.retained(np.array([slot], np.int32))
        asked = (track.at_ms >= self._settled_ms) & (track.at_ms < until_ms) & (track.columns["level"] != NO_LEVEL)
        for row in np.flatnonzero(asked).tolist():
            rule, value = self._rules[track.columns["level"][row]], float(track.columns["value"][row])
            if value >= rule.on or value < rule.off:
                yield track, row, value >= rule.on

    def _claim(self, key: str, track: Track, row: int, is_high: bool) -> WatchClaim:
        sensor_id, quantity = key.split(KEY_SEPARATOR)
        rule, value = self._rules[track.columns["level"][row]], float(track.columns["value"][row])
        return WatchClaim(
            kind=rule.kind if is_high else rule.end,
            device_id=sensor_id,
            at_ms=int(track.at_ms[row]),
            latitude_e7=int(track.columns["latitude_e7"][row]),
            longitude_e7=int(track.columns["longitude_e7"][row]),
            score_milli=rule.score_milli(value) if is_high else END_SCORE_MILLI,
            value=value,
            subject=quantity,
            witness_id=track.texts["witness_id"].text(row),
        )


def levels_of(rules: Sequence[LevelRule]) -> WatchMaker:
    """Return what makes a watch over levels; the history has to remember each reading's rule as `level`."""

    def make(city: City) -> LevelWatch:
        return LevelWatch(rules)

    return make
