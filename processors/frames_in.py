"""Vehicle frames as they come: the columns of many gateways' frames end to end, as one batch of positions.

A frame whose columns do not fit together is refused whole, with every reason; docs/frames.md describes the bytes.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import IntArray, PositionBatch
from processors.domain import Mistakes, Unread
from processors.frame_columns import DTYPES, read, widths_of
from processors.framing import DICTIONARIES, key_of, row_of
from processors.ingest import TEXT_CHARACTERS
from processors.positions_in import CLASSES, PerWord, Vocabulary
from processors.records_in import RawRecord
from schemas.codec import Codec
from schemas.dictionary import Dictionary, DictionaryArray
from schemas.errors import Reason, Rejected
from schemas.records import Switch, VehicleFrame

RECORD: Final = "VehicleFrame"
MOST_ROWS: Final = 65_536
MOST_WIDTH: Final = 4 * TEXT_CHARACTERS
"""Of a word in a frame: so many bytes can the longest text that is taken have."""

MET_BYTES: Final = 8_000_000
"""Of frames' dictionaries that are remembered; then one begins anew."""

_WIDTHS: Final = {name: widths_of(name) for name in DTYPES}

_SYMBOLS: Final = {"vehicle_class": len(CLASSES), "ignition": len(Switch), "door": len(Switch), "sos": len(Switch)}


@dataclass(frozen=True, slots=True)
class _Sound:
    """A frame whose columns fit together, and the number of its record."""

    record: int
    rows: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one column of a frame as numbers, behind that of the empty word, which an index of -1 stands for.

    mixed: of vehicles, which shards they are of when these are several.
    """

    numbers: npt.NDArray[np.int32]
    mixed: str = ""


class SoundFrames:
    """The columns of sound frames end to end, n rows in log order; each is made when it is asked for."""

    def __init__(
        self, frames: Sequence[_Sound], words: Vocabulary, named: Callable[[Sequence[_Sound], str], list[_Words]]
    ) -> None:
        """named: of frames and one kind of DICTIONARIES the words of each frame."""
        self._frames, self._words, self._named = frames, words, named
        self.rows: IntArray = np.array([frame.rows for frame in frames], np.int64)
        """of each frame; their sum is n"""

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column (n,) of DTYPES in its own type, unknown where a frame leaves it empty."""
        return _end_to_end(name, self._frames)

    def texts(self, name: str) -> DictionaryArray:
        """Return the texts (n,) of one kind of DICTIONARIES: vehicle, line, trip or operator."""
        numbers = [words.numbers for words in self._named(self._frames, name)]
        sizes = np.array([len(one) for one in numbers], np.int64)
        first = np.cumsum(sizes) - sizes + 1
        at = np.repeat(first, self.rows) + self.column(f"{name}_index")
        return DictionaryArray(_joined(numbers)[at], self._words.dictionary(name))

    def record(self) -> IntArray:
        """Return the record (n,) that each row came from."""
        return np.repeat(np.array([frame.record for frame in self._frames], np.int64), self.rows)

    def positions(self, offset: IntArray, mistakes: Mistakes) -> PositionBatch:
        """Return all columns; offset (n,). Symbols out of range are noted and read as unknown."""
        columns = {name: self.column(name) for name in DTYPES if name not in DICTIONARIES}
        for name, end in _SYMBOLS.items():
            values = columns[name]
            wrong = values >= end
            if wrong.any():
                mistakes.note(wrong, Reason.OUT_OF_RANGE, partial(_no_symbol, name, values, end))
                columns[name] = np.where(wrong, 0, values).astype(np.uint8)
        columns["class"] = columns.pop("vehicle_class")
        columns["vehicle"] = self.texts("vehicle").numbers
        for name in self._words.texts:
            columns[name] = self.texts(name.removesuffix("_id")).numbers
        starts = np.cumsum(self.rows) - self.rows
        columns["index"] = np.arange(len(offset), dtype=np.int32) - np.repeat(starts.astype(np.int32), self.rows)
        columns["offset"] = offset
        return self._words.batch(columns)


class FramePositions:
    """Reads the VehicleFrame messages of one partition. What it keeps only saves time."""

    def __init__(self) -> None:
        self._words = Vocabulary(Dictionary())
        self._met: dict[tuple[str, bytes, int], _Words] = {}
        self._met_bytes = 0

    def read(
        self, records: Sequence[RawRecord], codec: Codec, vehicles: Dictionary, shards: PerWord, mistakes: Mistakes
    ) -> tuple[PositionBatch, IntArray, Unread]:
        """Return n rows, the record (n,) that each came from, and the frames refused whole.

        shards: the shard of each vehicle id, -1 = unsound. Symbols out of range are noted and read as unknown.
        """
        frames, unread = self.sound(records, codec, vehicles, shards)
        record = frames.record()
        offset = np.array([one.offset for one in records], np.int64)
        return frames.positions(offset[record], mistakes), record, unread

    def sound(
        self, records: Sequence[RawRecord], codec: Codec, vehicles: Dictionary, shards: PerWord
    ) -> tuple[SoundFrames, Unread]:
        """Return the frames whose columns fit together and whose vehicles share a shard, and those refused whole."""
        if vehicles is not self._words.vehicles or self._met_bytes > MET_BYTES:
            self._words, self._met, self._met_bytes = Vocabulary(vehicles), {}, 0
        unread = Unread()
        frames = []
        for number, raw in enumerate(records):
            try:
                fields = codec.decode(raw.value)[1]
            except Rejected as refusal:
                unread.note(number, refusal.reason, *refusal.errors)
                continue
            frame = _Sound(number, fields["rows"], fields)
            if _shape_mistakes(fields):
                unread.note(number, Reason.OUT_OF_RANGE, *frame_mistakes(fields))
            else:
                frames.append(frame)
        frames = self._of_one_shard(_pointing_to_words(frames, unread), shards, unread)
        return SoundFrames(frames, self._words, partial(self._named, shards)), unread

    def _of_one_shard(self, frames: list[_Sound], shards: PerWord, unread: Unread) -> list[_Sound]:
        """Return the frames whose sound vehicles share a shard; the others are refused whole."""
        kept = []
        for frame, words in zip(frames, self._named(shards, frames, "vehicle"), strict=True):
            if words.mixed:
                told = f"the vehicles of a frame share a shard, these are of {words.mixed}"
                unread.note(frame.record, Reason.BAD_ID, told)
            else:
                kept.append(frame)
        return kept

    def _named(self, shards: PerWord, frames: Sequence[_Sound], name: str) -> list[_Words]:
        """Return what is known of each frame's words; a gateway names its vehicles alike in every frame."""
        keys = [(name, frame.fields[f"{name}_words"], frame.fields[f"{name}_width"]) for frame in frames]
        unmet = [key for key in dict.fromkeys(keys) if key not in self._met]
        if unmet:
            self._meet(unmet, name, shards)
        return [self._met[key] for key in keys]

    def _meet(self, unmet: Sequence[tuple[str, bytes, int]], name: str, shards: PerWord) -> None:
        """Number the words of several dictionaries at once."""
        words = [np.frombuffer(packed, f"S{width}") if packed else np.zeros(0, "S1") for _, packed, width in unmet]
        numbers = self._words.dictionary(name).numbers(np.concatenate(words))
        shard = shards.of(numbers) if name == "vehicle" else numbers[:0]
        start = 0
        for key, of_key in zip(unmet, words, strict=True):
            end = start + len(of_key)
            behind_empty = np.concatenate([np.zeros(1, np.int32), numbers[start:end]])
            self._met[key] = _Words(behind_empty, _mixed_shards(shard[start:end]))
            self._met_bytes += len(key[1]) + behind_empty.nbytes
            start = end


def _mixed_shards(shards: npt.NDArray[Any]) -> str:
    """Say which shards those (m,) of a frame's vehicles are when they are several, "" = one; -1 = unsound."""
    several = np.unique(shards[shards >= 0]).tolist()
    return ", ".join(str(one) for one in several[:8]) if len(several) > 1 else ""


def _pointing_to_words(frames: list[_Sound], unread: Unread) -> list[_Sound]:
    """Return the frames whose indices all point to words; all are looked at at once, the others are refused whole."""
    rows = np.array([frame.rows for frame in frames], np.int64)
    astray = np.zeros(len(frames), bool)
    for column, name in DICTIONARIES.items():
        index = _end_to_end(column, frames)
        counts = np.array([_word_count(frame.fields, name) for frame in frames], np.int64)
        wrong = index >= np.repeat(counts.astype(index.dtype), rows)
        if column != "vehicle_index":
            wrong |= index < -1
        if wrong.any():
            astray[np.repeat(np.arange(len(frames)), rows)[wrong]] = True
    for frame in itertools.compress(frames, astray):
        unread.note(frame.record, Reason.OUT_OF_RANGE, *frame_mistakes(frame.fields))
    return list(itertools.compress(frames, ~astray))


def _no_symbol(name: str, values: npt.NDArray[Any], end: int, row: int) -> str:
    return f"{name} {values[row]} is not one of 0 to {end - 1}"


def frame_mistakes(fields: Mapping[str, Any]) -> list[str]:
    """Return everything by which the columns of a decoded frame do not fit together."""
    mistakes, rows = _shape_mistakes(fields), fields["rows"]
    if not 1 <= rows <= MOST_ROWS:
        return mistakes
    for column, name in DICTIONARIES.items():
        width, over = divmod(len(fields[column]), rows)
        if width and not over and width in _WIDTHS[column] and not _words_mistake(fields, name):
            index, words = read(column, [fields[column]], [rows], [0]), _word_count(fields, name)
            last, first = int(index.max()), int(index.min())
            if last >= words or first < -1:
                mistakes.append(f"{column} points to {last if last >= words else first}, there are {words} words")
    return mistakes


def _shape_mistakes(fields: Mapping[str, Any]) -> list[str]:
    """Return by what a decoded frame's columns are not as long as it has rows, or its words are none."""
    rows = fields["rows"]
    if not 1 <= rows <= MOST_ROWS:
        return [f"rows is {rows}, a frame has 1 to {MOST_ROWS}"]
    mistakes = []
    for name, widths in _WIDTHS.items():
        width, over = divmod(len(fields[name]), rows)
        if over or width not in widths:
            wanted = " or ".join(str(rows * one) for one in reversed(widths))
            mistakes.append(f"{name} has {len(fields[name])} bytes instead of {wanted}")
    return mistakes + [wrong for name in DICTIONARIES.values() if (wrong := _words_mistake(fields, name))]


def _words_mistake(fields: Mapping[str, Any], name: str) -> str:
    """Say what is wrong with one dictionary of a frame, "" = nothing."""
    words, width = fields[f"{name}_words"], fields[f"{name}_width"]
    if not words:
        return ""
    if not 1 <= width <= MOST_WIDTH:
        return f"{name}_width is {width}, a word has 1 to {MOST_WIDTH} bytes"
    if len(words) % width:
        return f"{name}_words has {len(words)} bytes, which are not words of {width}"
    if not words.isascii():
        for start in range(0, len(words), width):
            try:
                words[start : start + width].decode()
            except UnicodeDecodeError:
                return f"{name}_words are not all UTF-8"
    return ""


def _word_count(fields: Mapping[str, Any], name: str) -> int:
    return len(fields[f"{name}_words"]) // fields[f"{name}_width"] if fields[f"{name}_words"] else 0


def alone(record: RawRecord, index: int, codec: Codec) -> RawRecord:
    """Return the record that holds nothing but one position of a well-formed frame, its bytes as they were."""
    row = row_of(VehicleFrame(**codec.decode(record.value)[1]), index)
    return RawRecord(record.offset, key_of(row).encode(), codec.encode(row), tuple(record.headers))


def _end_to_end(name: str, frames: Sequence[_Sound]) -> npt.NDArray[Any]:
    """Return one column of all frames, unknown where a frame leaves it empty."""
    contents = [frame.fields[name] for frame in frames]
    return read(name, contents, [frame.rows for frame in frames], [frame.fields["base_ms"] for frame in frames])


def _joined(numbers: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    return np.concatenate(numbers) if numbers else np.zeros(0, np.int32)
