"""Section speed: how fast a vehicle was between the first and the last report from a section, however fast at any one.

A section is a zone of kind speed_section with a limit. What a late report can still come between is in the history;
before that there is, of each vehicle inside, how far it has come. Source: docs/thresholds.md#linear-road.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from processors.batches import IntArray
from processors.city import City
from processors.detect.lookback import RUN_GAP_MS
from processors.geo import haversine_m
from processors.history import History
from processors.rows import Columns
from processors.tracks import E7Array, Track
from processors.vehicle_words import read_word
from processors.watches.contract import NEVER_MS, Told, Turn, WatchClaim, WatchMaker, changes
from processors.zones import NO_ZONE

PART_FORMAT: Final = 1
KIND: Final = "section_speeding"
NO_END_MS: Final = -NEVER_MS


@dataclass(frozen=True, slots=True)
class SectionRule:
    """Thresholds; their sources are in docs/thresholds.md#linear-road."""

    over_limit_kmh: float = 5.0
    least_m: float = 300.0
    """a shorter way is too uncertain"""
    gap_ms: int = RUN_GAP_MS


class Passage(msgspec.Struct, frozen=True, array_like=True):
    """A vehicle in a section: which one, since when, until when, where it was then, and how far it has come."""

    zone_id: str
    from_ms: int
    until_ms: int
    latitude_e7: int
    longitude_e7: int
    way_cm: int


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A position: the passage that the vehicle is in by it, and the one that it has left."""

    track: Track
    row: int
    now: Passage | None
    left: Passage | None


class Part(msgspec.Struct, frozen=True):
    """The vehicles that were inside when all that counts was settled, by id."""

    format: int
    inside: tuple[tuple[str, Passage], ...]


class SectionWatch:
    """The vehicles of one partition that are in a section, or have left one."""

    name: Final = "sections"
    takes_misdated = False

    def __init__(self, record: str, rule: SectionRule, city: City) -> None:
        """record: the only type of records looked at."""
        self._record, self._rule, self._city = record, rule, city
        self._zones = city.streets.sections.zones
        self._inside: dict[str, Passage] = {}
        """Those inside at `_settled_ms`."""
        self._seen: set[str] = set()
        """Those that have been inside since."""
        self._standing: dict[str, set[WatchClaim]] = {}
        self._settled_ms = NEVER_MS
        self._touched: set[str] = set()
        self._histories: Mapping[str, History] = {}
        self._part: tuple[str, bytes] | None = None

    @property
    def live(self) -> tuple[str, ...]:
        """Return the name of its only part."""
        return () if self._part is None else (self._part[0],)

    def take(self, record: str, batch: Any, remembered: Columns, city: City) -> None:
        """Take n used positions; the vehicles inside a section, or last seen in one, are looked at in the next turn."""
        if record != self._record or not self._zones:
            return
        inside = self._sections(np.asarray(remembered["latitude_e7"]), np.asarray(remembered["longitude_e7"]))
        ids = batch.vehicle_id
        here = {ids.text(row) for row in np.flatnonzero(inside != NO_ZONE).tolist()}
        known = [ids.dictionary.find(name.encode()) for name in {*self._inside, *self._seen, *self._standing}]
        again = np.isin(ids.numbers, [number for number in known if number is not None])
        self._seen |= here
        self._touched |= here | {ids.text(row) for row in np.flatnonzero(again).tolist()}

    def answer(self, turn: Turn) -> list[Told]:
        """Return what the positions taken since the last turn change."""
        self._histories = turn.histories
        told = []
        for name in sorted(self._touched):
            claims = self._claims(name, turn.histories[self._record])
            told += changes(self._standing.get(name, set()), claims)
            self._standing[name] = claims
        self._touched.clear()
        return told

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Settle what no late position can change any more, and return the part if it says anything new."""
        if not self._zones:
            return {}
        history = self._histories[self._record]
        inside: dict[str, Passage | None] = dict(self._inside)
        for name in {*self._inside, *self._seen}:
            for step in self._passages(name, history, late_ms):
                inside[name] = step.now
        self._inside = {
            name: passage
            for name, passage in inside.items()
            if passage is not None and passage.until_ms >= late_ms - self._rule.gap_ms
        }
        self._settled_ms = late_ms
        self._seen = {name for name in self._seen if self._is_inside_after(name, history, late_ms)}
        still = ((name, {one for one in of if one.at_ms >= late_ms}) for name, of in self._standing.items())
        self._standing = {name: claims for name, claims in still if claims}
        content = (
            msgspec.msgpack.encode(Part(PART_FORMAT, tuple(sorted(self._inside.items())))) if self._inside else b""
        )
        if not content:
            self._part = None
        elif self._part is None or self._part[1] != content:
            self._part = f"{self.name}/{first_offset}", content
            return dict([self._part])
        return {}

    def load(self, parts: Sequence[tuple[str, bytes]], turn: Turn) -> None:
        """Take back who was inside; the history tells what was reported since."""
        if not self._zones:
            return
        self._histories, self._settled_ms = turn.histories, turn.late_ms
        history = turn.histories[self._record]
        for name, content in parts:
            part = msgspec.msgpack.decode(content, type=Part)
            if part.format != PART_FORMAT:
                raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
            self._inside, self._part = dict(part.inside), (name, content)
        track = history.retained(np.arange(len(history.keys), dtype=np.int32))
        since = (track.at_ms >= turn.late_ms) & (self._of_track(track) != NO_ZONE)
        self._seen = {history.key_of(slot) for slot in np.unique(track.slot[since]).tolist()}
        for name in {*self._inside, *self._seen}:
            claims = self._claims(name, history)
            if claims:
                self._standing[name] = claims

    def _claims(self, name: str, history: History) -> set[WatchClaim]:
        """Return what is claimed of a vehicle by the positions since the settled time."""
        found = (self._claim(name, step) for step in self._passages(name, history, NO_END_MS))
        return {claim for claim in found if claim is not None}

    def _claim(self, name: str, step: _Step) -> WatchClaim | None:
        left = step.left
        if left is None or left.way_cm < self._rule.least_m * 100 or left.until_ms <= left.from_ms:
            return None
        limit_kmh = next((zone.limit_kmh for zone in self._zones if zone.zone_id == left.zone_id), None)
        mean_kmh = left.way_cm * 36.0 / (left.until_ms - left.from_ms)
        if limit_kmh is None or mean_kmh <= limit_kmh + self._rule.over_limit_kmh:
            return None
        above_mps = round((mean_kmh - limit_kmh) / 3.6, 3)
        track, row = step.track, step.row
        word = read_word(track.texts["word"].text(row))
        return WatchClaim(
            kind=KIND,
            device_id=name,
            at_ms=int(track.at_ms[row]),
            latitude_e7=int(track.columns["latitude_e7"][row]),
            longitude_e7=int(track.columns["longitude_e7"][row]),
            score_milli=min(900, round(600 + 30 * above_mps)),
            value=above_mps,
            subject=left.zone_id,
            line_id=word.line_id,
            vehicle_class=word.vehicle_class,
        )

    def _passages(self, name: str, history: History, until_ms: int) -> Iterator[_Step]:
        """Yield, of each position of a vehicle from the settled time to another, what passage it is in or ends."""
        slot = history.keys.find(name.encode())
        now = self._inside.get(name)
        if slot is None:
            return
        track = history.retained(np.array([slot], np.int32))
        zones = self._of_track(track)
        for row in np.flatnonzero((track.at_ms >= self._settled_ms) & (track.at_ms < until_ms)).tolist():
            now, left = self._next(now, track, row, int(zones[row]))
            yield _Step(track, row, now, left)

    def _next(self, now: Passage | None, track: Track, row: int, zone: int) -> tuple[Passage | None, Passage | None]:
        """Return the passage that a vehicle is in at a position, and the one that it has left by it."""
        at_ms = int(track.at_ms[row])
        if now is not None and at_ms - now.until_ms > self._rule.gap_ms:
            now = None
        zone_id = "" if zone == NO_ZONE else self._zones[zone].zone_id
        here = int(track.columns["latitude_e7"][row]), int(track.columns["longitude_e7"][row])
        if now is not None and now.zone_id == zone_id:
            step_m = haversine_m(now.latitude_e7 / 1e7, now.longitude_e7 / 1e7, here[0] / 1e7, here[1] / 1e7)
            grown = Passage(zone_id, now.from_ms, at_ms, *here, now.way_cm + round(float(step_m) * 100))
            return grown, None
        return (Passage(zone_id, at_ms, at_ms, *here, 0) if zone_id else None), now

    def _is_inside_after(self, name: str, history: History, late_ms: int) -> bool:
        slot = history.keys.find(name.encode())
        if slot is None:
            return False
        track = history.retained(np.array([slot], np.int32))
        return bool(((track.at_ms >= late_ms) & (self._of_track(track) != NO_ZONE)).any())

    def _of_track(self, track: Track) -> IntArray:
        """Return the section (n,) that each position of a track is in, -1 = none that concerns the vehicle."""
        found = self._sections(track.columns["latitude_e7"], track.columns["longitude_e7"])
        for row in np.flatnonzero(found != NO_ZONE).tolist():
            if not self._zones[found[row]].concerns(read_word(track.texts["word"].text(row)).vehicle_class):
                found[row] = NO_ZONE
        return found

    def _sections(self, latitude_e7: E7Array, longitude_e7: E7Array) -> IntArray:
        return self._city.sections_at(latitude_e7 / 1e7, longitude_e7 / 1e7)


def sections_of(record: str, rule: SectionRule = SectionRule()) -> WatchMaker:
    """Return what makes a watch over the sections of a city, by one type of records."""

    def make(city: City) -> SectionWatch:
        return SectionWatch(record, rule, city)

    return make
