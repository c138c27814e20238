"""Positions as they come: single Avro messages as one byte matrix, frames as columns, both into the same batch.

A position's fixed-width fields stand first on the wire and are read for all messages at once; the strings behind them
hardly ever change from one message of a vehicle to the next, so they are looked up as a whole and parsed once.
Whatever is laid out differently is decoded by itself, with the same result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import BoolArray, HashArray, IntArray, PositionBatch
from processors.domain import Unread
from processors.ingest import DEVICE_CHARACTERS, TEXT_CHARACTERS
from processors.network import Vehicle
from processors.records_in import RawRecord
from schemas.codec import HEADER_BYTES, Codec
from schemas.dictionary import BytesArray, Dictionary, DictionaryArray, storable
from schemas.errors import Rejected
from schemas.records import Switch, VehicleClass

Columns = dict[str, npt.NDArray[Any]]

RECORD: Final = "VehiclePosition"
FIXED_BYTES: Final = HEADER_BYTES + 39
"""Wire format, time (6 bytes from 1970 to 2039), five numbers, five one-byte enums and the direction."""

TAIL_BYTES: Final = 128
"""Messages with longer strings than that are decoded by themselves."""

TAILS: Final = 262_144
"""Distinct string tails that are kept; then one begins anew."""

CLASSES: Final = Dictionary([str(one).encode() for one in VehicleClass])
CLASS_NUMBERS: Final = {str(one): number for number, one in enumerate(VehicleClass)}
SWITCH_NUMBERS: Final = {str(one): number for number, one in enumerate(Switch)}

TIME_ENDS: Final = np.uint64(0x0000_8080_8080_8080)
TIME_MARKS: Final = np.uint64(0x0000_0080_8080_8080)
"""Of the six bytes of a time the first five say that more come: bit 7 of each, seen as a little-endian number."""

TEXTS: Final = ("line_id", "trip_id", "operator_id")
_VALUE: Final = attrgetter("value")
_OFFSET: Final = attrgetter("offset")


class PerWord:
    """What follows from each word of a growing dictionary, worked out once a word."""

    def __init__(
        self, dictionary: Dictionary, follows: Callable[[BytesArray], npt.ArrayLike], dtype: npt.DTypeLike
    ) -> None:
        """follows: of m words what follows from each (m,)."""
        self.dictionary, self.follows = dictionary, follows
        self._known = np.zeros(0, dtype)

    def of(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what follows from the words of those numbers (n,)."""
        have, total = len(self._known), len(self.dictionary)
        if total > have:
            more = np.asarray(self.follows(self.dictionary.words[have:]), self._known.dtype)
            self._known = np.concatenate([self._known, more])
        found: npt.NDArray[Any] = self._known[numbers]
        return found


class Vocabulary:
    """The texts of one partition's positions, by number, and what is known of each.

    vehicles: the history's keys; the numbers of lines, trips and operators are this reader's own.
    """

    def __init__(self, vehicles: Dictionary) -> None:
        self.vehicles = vehicles
        self.texts = {name: Dictionary([b""]) for name in TEXTS}
        self._hash = {name: PerWord(dictionary, _text_hashes, np.uint64) for name, dictionary in self.texts.items()}

    def dictionary(self, name: str) -> Dictionary:
        """Return that of vehicle, line, trip or operator."""
        return self.vehicles if name == "vehicle" else self.texts[f"{name}_id"]

    def batch(self, columns: Columns) -> PositionBatch:
        """Return the columns as a batch, with the hash of each row's content."""
        for name in ("speed_mps", "bearing_deg", "accuracy_m"):
            unknown = np.isnan(columns[name])
            if unknown.any():  # all NaN alike, for the hash
                columns[name] = np.where(unknown, np.float32(np.nan), columns[name])
        texts: dict[str, DictionaryArray] = {
            name: DictionaryArray(columns[name], dictionary) for name, dictionary in self.texts.items()
        }
        texts["vehicle_id"] = DictionaryArray(columns["vehicle"], self.vehicles)
        texts["vehicle_class"] = DictionaryArray(columns["class"], CLASSES)
        content_hash = self._content_hash(columns)
        told: dict[str, Any] = {name: column for name, column in columns.items() if name not in ("vehicle", "class")}
        return PositionBatch(**{**told, **texts, "content_hash": content_hash})

    def _content_hash(self, columns: Columns) -> HashArray:
        """Return a hash (n,) of everything a position says but its vehicle; the same in every process."""
        pairs = np.stack([columns["speed_mps"], columns["bearing_deg"]], axis=1)
        symbols = np.stack(
            [columns[name].astype(np.uint8) for name in ("class", "ignition", "door", "sos", "direction_id")], axis=1
        )
        small = np.zeros((len(symbols), 8), np.uint8)
        small[:, :5] = symbols
        parts = [
            columns["at_ms"].view(np.uint64),
            np.ascontiguousarray(columns["latitude_deg"]).view(np.uint64),
            np.ascontiguousarray(columns["longitude_deg"]).view(np.uint64),
            np.ascontiguousarray(pairs, dtype=np.float32).view(np.uint64)[:, 0],
            np.ascontiguousarray(columns["accuracy_m"], dtype=np.float32).view(np.uint32).astype(np.uint64),
            small.view(np.uint64)[:, 0],
            *(self._hash[name].of(columns[name]) for name in TEXTS),
        ]
        mixed = np.full(len(symbols), 0x9E3779B97F4A7C15, np.uint64)
        for part in parts:
            mixed = (mixed ^ part) * np.uint64(0xD6E8FEB86659FD93)
            mixed ^= mixed >> np.uint64(32)
        return mixed


class SinglePositions:
    """Reads the VehiclePosition messages of one partition. What it keeps only saves time."""

    def __init__(self) -> None:
        self._start_over(Dictionary())

    def read(
        self, records: Sequence[RawRecord], codec: Codec, vehicles: Dictionary
    ) -> tuple[PositionBatch, IntArray, Unread]:
        """Return n rows, the record (n,) that each came from, and the records that cannot be read."""
        if vehicles is not self._words.vehicles or len(self._tails) > TAILS:
            self._start_over(vehicles)
        values = list(map(_VALUE, records))
        columns, fits = self._by_matrix(values, codec)
        unread = Unread()
        others = np.flatnonzero(~fits)
        rows = np.flatnonzero(fits)
        if len(others):
            more, read = self._one_by_one([values[row] for row in others.tolist()], others, codec, unread)
            rows = np.concatenate([rows, read])
            order = np.argsort(rows)
            rows = rows[order]
            columns = {name: np.concatenate([column, more[name]])[order] for name, column in columns.items()}
        offset = np.fromiter(map(_OFFSET, records), np.int64, len(records))
        columns["offset"] = offset[rows]
        columns["index"] = np.zeros(len(rows), np.int32)
        return self._words.batch(columns), rows, unread

    def _start_over(self, vehicles: Dictionary) -> None:
        self._words = Vocabulary(vehicles)
        self._tails = Dictionary()
        self._parsed = np.zeros((0, 5), np.int32)

    def _by_matrix(self, values: Sequence[bytes], codec: Codec) -> tuple[Columns, BoolArray]:
        """Return the columns of the messages that are laid out as ours usually are, and which (n,) these are."""
        length = np.fromiter(map(len, values), np.int64, len(values))
        longest = int(length.max(initial=0).clip(FIXED_BYTES + 8, FIXED_BYTES + TAIL_BYTES))
        width = FIXED_BYTES + 8 * -(-(longest - FIXED_BYTES) // 8)
        message = np.array(values, f"S{width}").view(_layout(width))
        time = message["time"]
        fits = (length <= width) & (message["magic"] == 0) & np.isin(message["schema"], codec.ids_as_ours(RECORD))
        fits &= (time & TIME_ENDS) == TIME_MARKS
        fits &= (time & np.uint64(1)) == 0
        symbols = message["symbols"]
        fits &= ((symbols & 1) == 0).all(axis=1) & (symbols < _SYMBOL_ENDS).all(axis=1) & (message["direction"] < 0x80)
        tail = self._tails_of(message["tail"][fits])
        ends = FIXED_BYTES + tail[:, 0] == length[fits]
        fits[fits] = ends
        message, symbols, tail = message[fits], symbols[fits] >> 1, tail[ends]
        direction = message["direction"]
        columns = {
            "at_ms": _times(message["time"]),
            "latitude_deg": message["latitude"].astype(np.float64),
            "longitude_deg": message["longitude"].astype(np.float64),
            "speed_mps": message["speed"].astype(np.float32),
            "bearing_deg": message["bearing"].astype(np.float32),
            "accuracy_m": message["accuracy"].astype(np.float32),
            "class": symbols[:, 0],
            "ignition": symbols[:, 1],
            "door": symbols[:, 2],
            "sos": symbols[:, 3],
            "direction_id": ((direction >> 1) ^ -(direction & 1)).view(np.int8),
            **{name: tail[:, 1 + place] for place, name in enumerate(("vehicle", *TEXTS))},
        }
        return columns, fits

    def _tails_of(self, tails: BytesArray) -> npt.NDArray[np.int32]:
        """Return for n string tails (n, 5): where they end, -1 = unreadable, and the numbers of the four strings."""
        number = self._tails.numbers(tails)
        if len(self._tails) > len(self._parsed):
            end, strings = _parsed_tails(self._tails.words[len(self._parsed) :])
            numbers = np.full((len(end), 5), -1, np.int32)
            numbers[:, 0] = end
            for place, dictionary in enumerate((self._words.vehicles, *self._words.texts.values()), start=1):
                numbers[end >= 0, place] = dictionary.numbers(strings[place - 1][end >= 0])
            self._parsed = np.concatenate([self._parsed, numbers])
        return self._parsed[number]

    def _one_by_one(
        self, values: Sequence[bytes], records: IntArray, codec: Codec, unread: Unread
    ) -> tuple[Columns, IntArray]:
        """Return the columns of messages that are decoded by themselves, and which records these are."""
        told: list[Mapping[str, Any]] = []
        read = []
        for record, value in zip(records.tolist(), values, strict=True):
            try:
                told.append(codec.decode(value)[1])
                read.append(record)
            except Rejected as refusal:
                unread.note(record, refusal.reason, *refusal.errors)
        texts = {"vehicle": self._words.vehicles, **self._words.texts}
        columns: Columns = {
            "at_ms": np.array([fields["at_ms"] for fields in told], np.int64),
            "class": np.array([CLASS_NUMBERS[fields["vehicle_class"]] for fields in told], np.uint8),
            "direction_id": np.array([fields["direction_id"] for fields in told], np.int64).clip(-128, 127),
            **{name: np.array([fields[name] for fields in told], np.float64) for name in _PLACES},
            **{name: np.array([fields[name] for fields in told], np.float32) for name in _NUMBERS},
            **{
                name: np.array([SWITCH_NUMBERS[fields[name]] for fields in told], np.uint8)
                for name in ("ignition", "door", "sos")
            },
            **{name: words.numbers([_storable_text(fields, name) for fields in told]) for name, words in texts.items()},
        }
        columns["direction_id"] = columns["direction_id"].astype(np.int8)
        return columns, np.array(read, np.int64)


_FOUR_STRINGS: Final = 4 * 64
"""Bytes that four strings whose lengths take one byte can take with them."""

_PLACES: Final = ("latitude_deg", "longitude_deg")
_NUMBERS: Final = ("speed_mps", "bearing_deg", "accuracy_m")
_SYMBOL_ENDS: Final = np.array([2 * len(VehicleClass), *[2 * len(Switch)] * 3], np.uint8)


class RegisteredVehicles:
    """What is registered of the vehicles of one partition, by number."""

    def __init__(self, registered: Mapping[str, Vehicle], vehicles: Dictionary) -> None:
        self.registered, self.vehicles = registered, vehicles
        places = {name.encode(): place for place, name in enumerate(registered)}
        self._place = PerWord(vehicles, lambda words: [places.get(word, -1) for word in words.tolist()], np.int32)
        self._class = np.array([CLASS_NUMBERS[one.vehicle_class] for one in registered.values()], np.uint8)
        self._line = np.array([one.line_id.encode() for one in registered.values()], np.bytes_)

    def fill_in(self, batch: PositionBatch) -> PositionBatch:
        """Return the batch with class and line as registered where the positions do not tell."""
        if not self.registered:
            return batch
        place = self._place.of(batch.vehicle_id.numbers)
        classes, lines = batch.vehicle_class.numbers.copy(), batch.line_id.numbers.copy()
        classless = np.flatnonzero((place >= 0) & (classes == 0))
        lineless = np.flatnonzero((place >= 0) & (lines == 0))
        classes[classless] = self._class[place[classless]]
        lines[lineless] = batch.line_id.dictionary.numbers(self._line[place[lineless]])
        return replace(
            batch,
            vehicle_class=DictionaryArray(classes, CLASSES),
            line_id=DictionaryArray(lines, batch.line_id.dictionary),
        )


def _storable_text(fields: Mapping[str, Any], name: str) -> bytes:
    """Return a text as a dictionary can hold it; of an overlong one a character more than is taken is left."""
    if name == "vehicle":
        return storable(fields["vehicle_id"][: DEVICE_CHARACTERS + 1].encode())
    return storable(fields[name][: TEXT_CHARACTERS + 1].encode())


def _layout(width: int) -> np.dtype[Any]:
    """Return the fields of a message of our own schema, padded to `width` bytes."""
    fields = {
        "magic": ("u1", 0),
        "schema": (">u4", 1),
        "time": ("<u8", 5),
        "latitude": ("<f8", 11),
        "longitude": ("<f8", 19),
        "speed": ("<f4", 27),
        "bearing": ("<f4", 31),
        "accuracy": ("<f4", 35),
        "symbols": ("4u1", 39),
        "direction": ("u1", 43),
        "tail": (f"S{width - FIXED_BYTES}", FIXED_BYTES),
    }
    return np.dtype(
        {
            "names": list(fields),
            "formats": [form for form, _ in fields.values()],
            "offsets": [at for _, at in fields.values()],
            "itemsize": width,
        }
    )


def _times(wire: npt.NDArray[np.uint64]) -> IntArray:
    """Return the six-byte zigzag numbers (n,) at the low end of eight bytes."""
    number = wire & np.uint64(0x7F)
    for place in range(1, 6):
        number |= (wire >> np.uint64(place)) & np.uint64(0x7F << 7 * place)
    return (number >> np.uint64(1)).astype(np.int64)


def _parsed_tails(tails: BytesArray) -> tuple[IntArray, list[BytesArray]]:
    """Return where the four strings of n tails end (n,), -1 = not four short strings in UTF-8, and the strings.

    The last zeros of a tail may be missing or too many: an empty string is one zero.
    """
    count, width = len(tails), tails.itemsize
    octets = np.zeros((count, width + _FOUR_STRINGS), np.uint8)
    octets[:, :width] = np.ascontiguousarray(tails).view(np.uint8).reshape(count, width)
    rows, at, sound = np.arange(count), np.zeros(count, np.int64), np.ones(count, bool)
    strings = []
    for _ in range(4):
        size = octets[rows, at]
        sound &= (size & 0x81) == 0
        length = np.where(sound, size >> 1, 0).astype(np.int64)
        strings.append(_cut(octets, at + 1, length))
        at = at + 1 + length
    for row in np.flatnonzero((octets >= 0x80).any(axis=1) & sound).tolist():
        sound[row] = all(_is_utf8(column[row]) for column in strings)
    return np.where(sound, at, -1), strings


def _cut(octets: npt.NDArray[np.uint8], start: IntArray, length: IntArray) -> BytesArray:
    """Return of each row the bytes from a start (n,) on, so many (n,), as a dictionary can hold them (`storable`)."""
    within = np.arange(max(int(length.max(initial=0)), 1))
    told = octets[np.arange(len(octets))[:, None], start[:, None] + within]
    inside = within < length[:, None]
    told = np.where(inside, np.where(told == 0, 1, told), 0).astype(np.uint8)
    words: BytesArray = np.ascontiguousarray(told).view(f"S{len(within)}")[:, 0]
    return words


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text_hashes(words: BytesArray) -> HashArray:
    hashes = [blake2b(word, digest_size=8).digest() if word else bytes(8) for word in words.tolist()]
    return np.frombuffer(b"".join(hashes), "<u8")
