"""Silence: a device that was heard and from which nothing came for too long; and that it is heard again.

Of each device the set of its times counts, whatever their order: two neighbours further apart than the least limit
leave a hole, and so do the newest one and the tick. What lies in no hole leaves no trace, so only the newest time is
kept, and the holes that a late record may still fill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, IntArray
from processors.city import City
from processors.domain import KEY_SEPARATOR
from processors.rows import Columns
from processors.watches.contract import NEVER_MS, UNPLACED_E7, Told, Turn, WatchClaim, changes
from processors.watches.silence_rule import SilenceRule
from processors.watches.words import NumberArray, OwnWords
from schemas import columns as wire
from schemas.dictionary import DictionaryArray, joined
from schemas.ids import murmur2_of_words
from schemas.records import Column

PART_FORMAT: Final = 2
BUCKETS: Final = 16
"""Parts that hold the devices of a partition; a part is written anew when anything of it changes."""
SPARE: Final = 1024
LONG_AGO_MS: Final = NEVER_MS // 2
NO_BEAT_MS: Final = -NEVER_MS
SCORE_MILLI: Final = 900

SEEN: Final = np.dtype(
    [("watched", "u1"), ("latitude_e7", "<i4"), ("longitude_e7", "<i4"), ("word", "<i4")], align=True
)
"""What a claim repeats of the record after which nothing came; of several of one time the greatest counts."""
_ORDER: Final = tuple(reversed(SEEN.names or ()))
TOLD: Final = ("latitude_e7", "longitude_e7", "marks", "word")
"""The columns of a history that tell it, where it has them."""


class Hole(NamedTuple):
    """Between two neighbouring times of a device, more than the least limit apart, nothing came."""

    begin_ms: int
    seen: tuple[int, ...]
    end_ms: int


class _Heard(NamedTuple):
    device: NumberArray
    at_ms: IntArray
    seen: npt.NDArray[Any]
    beat: BoolArray

    def take(self, rows: npt.NDArray[Any]) -> "_Heard":
        return _Heard(*(column[rows] for column in self))


class Part(msgspec.Struct, frozen=True):
    """One bucket of devices on the wire: those that the histories do not tell, and holes."""

    format: int
    devices: tuple[Column, ...]
    holes: tuple[Column, ...]


class SilenceWatch:
    """The devices of one partition and when they were heard."""

    name: Final = "silence"
    takes_misdated = False

    def __init__(self, rule: SilenceRule) -> None:
        self._rule = rule
        self._limit_ms = np.array([rule.least_ms, *rule.limits_ms], np.int64)
        """By `watched`."""
        self._devices, self._words = OwnWords(), OwnWords(_class_and_line)
        self._words.dictionary.numbers([b""])
        self._newest_ms = np.zeros(0, np.int64)
        self._first_ms = np.zeros(0, np.int64)
        self._beat_ms = np.zeros(0, np.int64)
        """The first heartbeat, NO_BEAT_MS = none yet; LONG_AGO_MS where none is asked for."""
        self._seen = np.zeros(0, SEEN)
        self._holed: BoolArray = np.zeros(0, bool)
        self._holes: dict[int, list[Hole]] = {}
        self._no_beat_ms = NO_BEAT_MS if rule.beat else LONG_AGO_MS
        self._most_words = SPARE
        self._tick_ms = LONG_AGO_MS
        self._due_from_ms = LONG_AGO_MS
        """No device falls silent before."""
        self._pending: dict[str, list[tuple[Any, IntArray, Columns]]] = {}
        """The records since the last turn, by type: devices, times and what is remembered of them."""
        self._parts: dict[int, tuple[str, bytes]] = {}
        self._sealed: dict[int, tuple[Any, ...]] = {}
        """What the content of each part is a function of."""

    @property
    def live(self) -> tuple[str, ...]:
        """Return the names of the buckets' parts."""
        return tuple(self._parts[bucket][0] for bucket in sorted(self._parts))

    def take(self, record: str, batch: Any, remembered: Columns, city: City) -> None:
        """Take n used records of one type."""
        field = self._rule.records.get(record)
        if field is not None:
            self._pending.setdefault(record, []).append((getattr(batch, field), batch.at_ms, remembered))

    def answer(self, turn: Turn) -> list[Told]:
        """Return what the records taken since the last turn and the time say of silences."""
        told: list[Told] = []
        alone = np.zeros(0, np.int32)
        if self._pending:
            heard, self._pending = self._came(), {}
            self._make_room()
            odd = self._is_odd(heard)
            if odd.any():
                alone = np.unique(heard.device[odd])
                looked_at = np.isin(heard.device, alone)
                told, heard = self._look_at_each(heard.take(looked_at), turn.tick_ms), heard.take(~looked_at)
                self._due_from_ms = min(self._due_from_ms, int(self._newest_ms[alone].min()) + self._rule.least_ms)
            self._note(heard)
        told += [Told(claim) for device in self._due(turn.tick_ms, alone) for claim in self._tail(device)]
        self._tick_ms = turn.tick_ms
        self._drop_filled(turn.late_ms)
        return told

    def seal(self, first_offset: int, horizon_ms: int, late_ms: int) -> dict[str, bytes]:
        """Return the buckets that changed."""
        self._forget(late_ms)
        device, newest_ms = np.arange(len(self._newest_ms), dtype=np.int32), self._newest_ms
        untold = (newest_ms < horizon_ms) & (newest_ms != NEVER_MS)
        fresh = self._first_ms >= late_ms + self._rule.least_ms  # an earlier one that comes late leaves a hole
        beats = (self._beat_ms != self._no_beat_ms) & (newest_ms != NEVER_MS)
        kept = device[untold | fresh | beats]
        holes = np.fromiter(self._holes, np.int32, len(self._holes))
        kept_in, holes_in = self._bucket(kept), self._bucket(holes)
        parts = {}
        for number in range(BUCKETS) if len(kept) + len(holes) + len(self._parts) else ():
            rows, holed = kept[kept_in == number], holes[holes_in == number].tolist()
            if not len(rows) and not holed:
                self._parts.pop(number, None)
                continue
            told = self._told(rows, untold, fresh, holed)
            was = self._parts.get(number)
            if was is not None and self._sealed.get(number) == told:
                continue
            content = self._part(rows, untold, fresh, holed)
            self._sealed[number] = told
            if was is None or was[1] != content:
                name = f"{self.name}/{number}/{first_offset}"
                self._parts[number] = name, content
                parts[name] = content
        return parts

    def load(self, parts: Sequence[tuple[str, bytes]], turn: Turn) -> None:
        """Take back the buckets, and of the histories when each device was heard last."""
        told = []
        for record in self._rule.records:
            history = turn.histories[record]
            track = history.newest()
            keys = [history.key_of(slot).partition(KEY_SEPARATOR)[0].encode() for slot in track.slot.tolist()]
            device = self._devices.dictionary.numbers(keys)
            told.append(self._heard(record, device, track.at_ms, {**track.columns, **track.texts}))
        self._make_room()
        heard = _joined(told)
        self._note(heard._replace(beat=np.zeros(len(heard.beat), bool)))  # the first heartbeats stand in the parts
        self._first_ms[:] = np.where(self._newest_ms == NEVER_MS, NEVER_MS, LONG_AGO_MS)
        for name, content in parts:
            self._load_part(name, content)
        self._tick_ms, self._due_from_ms = turn.tick_ms, LONG_AGO_MS
        self._forget(turn.late_ms)

    def _came(self) -> _Heard:
        """Return the records since the last turn."""
        found = []
        for record, pieces in self._pending.items():
            devices, times, remembered = zip(*pieces, strict=True)
            names = [name for name in TOLD if name in remembered[0]]
            columns = {name: _end_to_end([one[name] for one in remembered]) for name in names}
            device = self._devices.numbers(record, _end_to_end(devices))
            found.append(self._heard(record, device, _end_to_end(times), columns))
        return _joined(found)

    def _heard(self, record: str, device: NumberArray, at_ms: IntArray, columns: Columns) -> _Heard:
        seen = np.zeros(len(at_ms), SEEN)
        seen["latitude_e7"], seen["longitude_e7"] = columns["latitude_e7"], columns["longitude_e7"]
        seen["watched"] = self._rule.watched(columns) * (seen["latitude_e7"] != UNPLACED_E7)
        if "word" in columns:
            seen["word"] = self._words.numbers(record, columns["word"])
        return _Heard(device, at_ms, seen, np.full(len(at_ms), record == self._rule.beat))

    def _is_odd(self, heard: _Heard) -> BoolArray:
        """Tell which records (n,) may open, fill or end a hole, or change what one says."""
        limit_ms, device = self._rule.least_ms, heard.device
        known_ms = self._newest_ms[device]
        gap_ms = heard.at_ms - known_ms
        odd = (gap_ms > limit_ms) | (gap_ms < -limit_ms) | self._holed[device]
        odd |= (gap_ms > 0) & (known_ms + limit_ms <= self._tick_ms)
        same = np.flatnonzero(gap_ms == 0)
        odd[same] |= heard.seen[same] != self._seen[device[same]]
        odd |= heard.beat & (heard.at_ms < self._beat_ms[device])
        new = known_ms == NEVER_MS
        first_ms = heard.at_ms[new]
        if len(first_ms):
            apart = int(first_ms.max()) - int(first_ms.min()) > limit_ms
            odd[new] = apart | (first_ms + limit_ms <= self._tick_ms)
        return np.asarray(odd)

    def _note(self, heard: _Heard) -> None:
        """Note records that leave no hole."""
        if not len(heard.device):
            return
        known_ms = self._newest_ms[heard.device]
        is_newer = heard.at_ms > known_ms
        newer = heard if is_newer.all() else heard.take(is_newer)
        early = heard.take(~is_newer | (known_ms == NEVER_MS))
        ranks = [newer.seen[name] for name in _ORDER] if self._rule.beat else []  # a vehicle says one thing at a time
        newer = newer.take(np.lexsort((*ranks, newer.at_ms)))
        self._newest_ms[newer.device], self._seen[newer.device] = newer.at_ms, newer.seen  # of several the last stays
        if len(newer.at_ms):
            self._due_from_ms = min(self._due_from_ms, int(newer.at_ms[0]) + self._rule.least_ms)
        self._first_ms[early.device[self._first_ms[early.device] == NEVER_MS]] = NO_BEAT_MS
        np.minimum.at(self._first_ms, early.device, early.at_ms)
        np.minimum.at(self._beat_ms, heard.device[heard.beat], heard.at_ms[heard.beat])

    def _look_at_each(self, heard: _Heard, tick_ms: int) -> list[Told]:
        """Note records of devices one by one; return what changes in the claims about these."""
        if not len(heard.device):
            return []
        order = np.lexsort((*(heard.seen[name] for name in _ORDER), heard.at_ms, heard.device))
        heard = heard.take(order)
        starts = np.flatnonzero(np.diff(heard.device, prepend=-1)).tolist()
        told = []
        for start, end in zip(starts, [*starts[1:], len(heard.device)], strict=True):
            device = int(heard.device[start])
            before = self._claims(device, self._tick_ms)
            for row in range(start, end):
                self._insert(device, int(heard.at_ms[row]), heard.seen[row].item())
                if heard.beat[row]:
                    self._beat_ms[device] = min(int(self._beat_ms[device]), int(heard.at_ms[row]))
            told += changes(before, self._claims(device, tick_ms))
        return told

    def _insert(self, device: int, at_ms: int, seen: tuple[int, ...]) -> None:
        """Put a time of a device where it belongs."""
        newest_ms, first_ms = int(self._newest_ms[device]), int(self._first_ms[device])
        holes = self._holes.get(device, [])
        if newest_ms == NEVER_MS:
            self._first_ms[device] = at_ms
        elif at_ms > newest_ms:
            holes = holes + self._hole(newest_ms, self._seen[device].item(), at_ms)
        elif at_ms < first_ms:
            holes = self._hole(at_ms, seen, first_ms) + holes
            self._first_ms[device] = at_ms
        else:
            holes = [piece for hole in holes for piece in self._split(hole, at_ms, seen)]
        if at_ms > newest_ms:
            self._newest_ms[device], self._seen[device] = at_ms, seen
        elif at_ms == newest_ms:
            self._seen[device] = max(seen, self._seen[device].item())
        self._keep_holes(device, holes)

    def _hole(self, begin_ms: int, seen: tuple[int, ...], end_ms: int) -> list[Hole]:
        return [Hole(begin_ms, seen, end_ms)] if end_ms - begin_ms > self._rule.least_ms else []

    def _split(self, hole: Hole, at_ms: int, seen: tuple[int, ...]) -> list[Hole]:
        if at_ms == hole.begin_ms:
            return [hole._replace(seen=max(seen, hole.seen))]
        if hole.begin_ms < at_ms < hole.end_ms:
            return self._hole(hole.begin_ms, hole.seen, at_ms) + self._hole(at_ms, seen, hole.end_ms)
        return [hole]

    def _keep_holes(self, device: int, holes: list[Hole]) -> None:
        self._holed[device] = bool(holes)
        if holes:
            self._holes[device] = holes
        else:
            self._holes.pop(device, None)

    def _claims(self, device: int, tick_ms: int) -> set[WatchClaim]:
        """Return everything that is claimed about a device at a tick and that may still change."""
        due_ms = self._newest_ms[device] + self._limit_ms[self._seen["watched"][device]]
        claims = set(self._tail(device)) if due_ms <= tick_ms else set()
        for begin_ms, seen, end_ms in self._holes.get(device, ()):
            if seen[0] and self._beat_ms[device] <= begin_ms and end_ms - begin_ms > self._limit_ms[seen[0]]:
                silent = self._silent(device, begin_ms, seen)
                value = (end_ms - begin_ms) / 1000
                claims |= {silent, replace(silent, kind=self._rule.heard, at_ms=end_ms, value=value)}
        return claims

    def _tail(self, device: int) -> list[WatchClaim]:
        """Return the claim that nothing came since a device's newest time, if it is judged."""
        newest_ms, seen = int(self._newest_ms[device]), self._seen[device].item()
        if newest_ms == NEVER_MS or not seen[0] or self._beat_ms[device] > newest_ms:
            return []
        return [self._silent(device, newest_ms, seen)]

    def _silent(self, device: int, begin_ms: int, seen: tuple[int, ...]) -> WatchClaim:
        watched, latitude_e7, longitude_e7, word = seen
        limit_ms = int(self._limit_ms[watched])
        vehicle_class, _, line_id = self._words.dictionary.word(word).partition(KEY_SEPARATOR)
        return WatchClaim(
            kind=self._rule.silent,
            device_id=self._devices.dictionary.word(device),
            at_ms=begin_ms + limit_ms,
            latitude_e7=latitude_e7,
            longitude_e7=longitude_e7,
            score_milli=SCORE_MILLI,
            value=limit_ms / 1000,
            line_id=line_id,
            vehicle_class=vehicle_class,
        )

    def _due(self, tick_ms: int, alone: NumberArray) -> list[int]:
        """Return the devices whose limit has passed since the last turn, but for those looked at one by one."""
        if tick_ms < self._due_from_ms:
            return []
        due_ms = self._newest_ms + self._limit_ms[self._seen["watched"]]
        later_ms = due_ms[due_ms > tick_ms]
        self._due_from_ms = int(later_ms.min()) if len(later_ms) else NO_BEAT_MS
        due = (due_ms <= tick_ms) & (due_ms > self._tick_ms)
        due[alone] = False
        found: list[int] = np.flatnonzero(due).tolist()
        return found

    def _drop_filled(self, late_ms: int) -> None:
        """Drop the holes that no late record can fill any more; what was claimed of them stays."""
        for device in [one for one, holes in self._holes.items() if holes[0].end_ms < late_ms]:
            self._keep_holes(device, [hole for hole in self._holes[device] if hole.end_ms >= late_ms])

    def _forget(self, late_ms: int) -> None:
        """Forget devices of which nothing can be claimed any more, and words that nobody tells."""
        self._make_room()
        newest_ms, count = self._newest_ms, len(self._devices.dictionary)
        matters = self._beat_ms < NO_BEAT_MS if self._rule.beat else self._seen["watched"] > 0
        kept_ms = np.where(matters, self._rule.remember_ms, 0)
        gone = (newest_ms < late_ms - kept_ms) & (newest_ms != NEVER_MS)
        newest_ms[gone] = self._first_ms[gone] = NEVER_MS
        self._beat_ms[gone], self._seen[gone] = self._no_beat_ms, np.zeros((), SEEN)
        alive = np.flatnonzero(newest_ms[:count] != NEVER_MS).astype(np.int32)
        if count > 2 * len(alive) + SPARE:
            self._devices.keep(alive)
            self._newest_ms, self._first_ms = newest_ms[alive], self._first_ms[alive]
            self._beat_ms, self._seen, self._holed = self._beat_ms[alive], self._seen[alive], self._holed[alive]
            place = dict(zip(alive.tolist(), range(len(alive)), strict=True))
            self._holes = {place[device]: holes for device, holes in self._holes.items()}
        if len(self._words.dictionary) > self._most_words:
            self._keep_words()

    def _keep_words(self) -> None:
        told = [hole.seen[-1] for holes in self._holes.values() for hole in holes]
        used = np.union1d([0, *told], self._seen["word"]).astype(np.int32)
        self._words.keep(used)
        self._seen["word"] = np.searchsorted(used, self._seen["word"])
        place = dict(zip(used.tolist(), range(len(used)), strict=True))
        for device, holes in self._holes.items():
            told_anew = [hole._replace(seen=(*hole.seen[:-1], place[hole.seen[-1]])) for hole in holes]
            self._holes[device] = told_anew
        self._most_words = 2 * len(used) + SPARE

    def _make_room(self) -> None:
        more = len(self._devices.dictionary) - len(self._newest_ms)
        if more > 0:
            more += len(self._devices.dictionary) // 8
            self._newest_ms = np.concatenate([self._newest_ms, np.full(more, NEVER_MS)])
            self._first_ms = np.concatenate([self._first_ms, np.full(more, NEVER_MS)])
            self._beat_ms = np.concatenate([self._beat_ms, np.full(more, self._no_beat_ms)])
            self._seen = np.concatenate([self._seen, np.zeros(more, SEEN)])
            self._holed = np.concatenate([self._holed, np.zeros(more, bool)])

    def _bucket(self, device: NumberArray) -> NumberArray:
        return (murmur2_of_words(self._devices.dictionary.words[device]) % BUCKETS).astype(np.int32)

    def _told(self, device: NumberArray, untold: BoolArray, fresh: BoolArray, holed: Sequence[int]) -> tuple[Any, ...]:
        """Return what the part of devices (n,) and of the holes of some is a function of."""
        dictionaries = self._devices.dictionary, self._words.dictionary
        silent, new = device[untold[device]], device[fresh[device]]
        columns = device, self._beat_ms[device], silent, self._newest_ms[silent], self._seen[silent]
        content = (column.tobytes() for column in (*columns, new, self._first_ms[new]))
        return (*dictionaries, *content, *((one, tuple(self._holes[one])) for one in holed))

    def _part(self, device: NumberArray, untold: BoolArray, fresh: BoolArray, holed: Sequence[int]) -> bytes:
        """Return devices (n,) and the holes of some on the wire, by name; of those the histories tell only the rest."""
        device = device[np.argsort(self._devices.dictionary.words[device])]
        silent = untold[device]
        seen = np.where(silent, self._seen[device], np.zeros((), SEEN))
        devices = {
            "newest_ms": np.where(silent, self._newest_ms[device], NEVER_MS),
            "first_ms": np.where(fresh[device], self._first_ms[device], NEVER_MS),
            "beat_ms": self._beat_ms[device],
            **self._wire(device, seen),
        }
        ordered = sorted(holed, key=self._devices.dictionary.word)
        holes = [(one, hole) for one in ordered for hole in self._holes[one]]
        owner = np.array([one for one, _ in holes], np.int32)
        columns = {
            "begin_ms": np.array([hole.begin_ms for _, hole in holes], np.int64),
            "end_ms": np.array([hole.end_ms for _, hole in holes], np.int64),
            **self._wire(owner, np.array([hole.seen for _, hole in holes], SEEN)),
        }
        return msgspec.msgpack.encode(Part(PART_FORMAT, wire.pack(devices), wire.pack(columns)))

    def _wire(self, device: NumberArray, seen: npt.NDArray[Any]) -> dict[str, wire.Packable]:
        columns: dict[str, wire.Packable] = {name: np.ascontiguousarray(seen[name]) for name in SEEN.names or ()}
        columns["word"] = DictionaryArray(np.ascontiguousarray(seen["word"]), self._words.dictionary)
        return {"device": DictionaryArray(device, self._devices.dictionary), **columns}

    def _load_part(self, name: str, content: bytes) -> None:
        part = msgspec.msgpack.decode(content, type=Part)
        if part.format != PART_FORMAT:
            raise ValueError(f"checkpoint part {name} has format {part.format}, this version reads {PART_FORMAT}")
        devices, holes = wire.unpack(part.devices), wire.unpack(part.holes)
        device, seen = self._unpacked("devices", devices)
        owner, seen_before = self._unpacked("holes", holes)
        self._make_room()
        silent = devices["newest_ms"] != NEVER_MS
        self._newest_ms[device[silent]], self._seen[device[silent]] = devices["newest_ms"][silent], seen[silent]
        self._first_ms[device] = np.where(devices["first_ms"] == NEVER_MS, LONG_AGO_MS, devices["first_ms"])
        self._beat_ms[device] = devices["beat_ms"]
        rows = zip(
            owner.tolist(), holes["begin_ms"].tolist(), seen_before.tolist(), holes["end_ms"].tolist(), strict=True
        )
        for one, begin_ms, before, end_ms in rows:
            self._keep_holes(one, [*self._holes.get(one, []), Hole(begin_ms, before, end_ms)])
        self._parts[int(name.split("/")[1])] = name, content

    def _unpacked(self, source: str, columns: Mapping[str, Any]) -> tuple[NumberArray, npt.NDArray[Any]]:
        seen = np.zeros(len(columns["device"].numbers), SEEN)
        for name in SEEN.names or ():
            told = columns[name]
            seen[name] = self._words.dictionary.numbers(told.words()) if name == "word" else told
        return self._devices.numbers(source, columns["device"]), seen


def _joined(pieces: Sequence[_Heard]) -> _Heard:
    if not pieces:
        return _Heard(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, SEEN), np.zeros(0, bool))
    return _Heard(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def _end_to_end(pieces: Sequence[Any]) -> Any:
    """Return arrays, of texts by dictionary or not, as one."""
    if len(pieces) == 1:
        return pieces[0]
    return joined(pieces) if isinstance(pieces[0], DictionaryArray) else np.concatenate(pieces)


def _class_and_line(word: bytes) -> bytes:
    """Return of what a position says in words the class and the line."""
    return KEY_SEPARATOR.encode().join(word.split(KEY_SEPARATOR.encode())[:2])
