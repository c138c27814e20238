"""Vehicle frames as they come: the columns of many gateways' frames end to end, as one batch of positions.

A frame whose columns do not fit together is refused whole, with every reason; docs/frames.md describes the bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from processors.batches import IntArray, PositionBatch
from processors.domain import Mistakes, Unread
from processors.framing import DICTIONARIES, DTYPES, UNKNOWN, key_of, row_of
from processors.ingest import TEXT_CHARACTERS
from processors.positions_in import CLASSES, PerWord, Vocabulary
from processors.records_in import RawRecord
from schemas.codec import Codec
from schemas.dictionary import Dictionary
from schemas.errors import Reason, Rejected
from schemas.records import Switch, VehicleFrame

RECORD: Final = "VehicleFrame"
MOST_ROWS: Final = 65_536
MOST_WIDTH: Final = 4 * TEXT_CHARACTERS
"""Of a word in a frame: so many bytes can the longest text that is taken have."""

MET_BYTES: Final = 8_000_000
"""Of frames' dictionaries that are remembered; then one begins anew."""

_WIDTHS: Final = {name: np.dtype(dtype).itemsize for name, dtype in DTYPES.items()}

_SYMBOLS: Final = {"vehicle_class": len(CLASSES), "ignition": len(Switch), "door": len(Switch), "sos": len(Switch)}


@dataclass(frozen=True, slots=True)
class _Sound:
    """A frame whose columns fit together, and the number of its record."""

    record: int
    rows: int
    fields: Mapping[str, Any]


class FramePositions:
    """Reads the VehicleFrame messages of one partition. What it keeps only saves time."""

    def __init__(self) -> None:
        self._words = Vocabulary(Dictionary())
        self._met: dict[tuple[str, bytes, int], npt.NDArray[np.int32]] = {}
        self._met_bytes = 0

    def read(
        self, records: Sequence[RawRecord], codec: Codec, vehicles: Dictionary, shards: PerWord, mistakes: Mistakes
    ) -> tuple[PositionBatch, IntArray, Unread]:
        """Return n rows, the record (n,) that each came from, and the frames refused whole.

        shards: the shard of each vehicle id, -1 = unsound. Symbols out of range are noted and read as unknown.
        """
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
            wrong = frame_mistakes(fields)
            if wrong:
                unread.note(number, Reason.OUT_OF_RANGE, *wrong)
            else:
                frames.append(_Sound(number, fields["rows"], fields))
        frames = self._of_one_shard(frames, shards, unread)
        rows = np.array([frame.rows for frame in frames], np.int64)
        columns = {name: _end_to_end(name, frames) for name in DTYPES if name not in DICTIONARIES}
        for name, end in _SYMBOLS.items():
            wrong_rows = columns[name] >= end
            values = columns[name]
            mistakes.note(wrong_rows, Reason.OUT_OF_RANGE, partial(_no_symbol, name, values, end))
            columns[name] = np.where(wrong_rows, 0, values).astype(np.uint8)
        columns["class"] = columns.pop("vehicle_class")
        columns["vehicle"] = self._numbers("vehicle_index", vehicles, frames)
        for name, dictionary in self._words.texts.items():
            columns[name] = self._numbers(f"{name.removesuffix('_id')}_index", dictionary, frames)
        starts = np.cumsum(rows) - rows
        columns["index"] = (np.arange(rows.sum()) - np.repeat(starts, rows)).astype(np.int32)
        record = np.repeat(np.array([frame.record for frame in frames], np.int64), rows)
        offset = np.array([one.offset for one in records], np.int64)
        columns["offset"] = offset[record]
        return self._words.batch(columns), record, unread

    def _of_one_shard(self, frames: list[_Sound], shards: PerWord, unread: Unread) -> list[_Sound]:
        """Return the frames whose sound vehicles share a shard; the others are refused whole."""
        kept = []
        for frame in frames:
            told = shards.of(self._word_numbers(frame, "vehicle", self._words.vehicles))
            told = told[told >= 0]
            if len(told) and (told != told[0]).any():
                mixed = ", ".join(str(one) for one in np.unique(told).tolist()[:8])
                unread.note(frame.record, Reason.BAD_ID, f"the vehicles of a frame share a shard, these are of {mixed}")
            else:
                kept.append(frame)
        return kept

    def _numbers(self, column: str, dictionary: Dictionary, frames: Sequence[_Sound]) -> npt.NDArray[np.int32]:
        """Return the numbers (n,) of a text column; the empty word stands for an index of -1."""
        words = [self._word_numbers(frame, DICTIONARIES[column], dictionary) for frame in frames]
        number = np.concatenate([*words, np.zeros(0, np.int32)])
        sizes = np.array([len(one) for one in words], np.int64)
        first = np.repeat(np.cumsum(sizes) - sizes, [frame.rows for frame in frames])
        index = _end_to_end(column, frames).astype(np.int64)
        told = index >= 0
        found = np.zeros(len(index), np.int32)  # the empty word is number 0 of every dictionary but the vehicles'
        found[told] = number[(first + index)[told]]
        return found

    def _word_numbers(self, frame: _Sound, name: str, dictionary: Dictionary) -> npt.NDArray[np.int32]:
        """Return the numbers (m,) of a frame's words; a gateway names its vehicles alike in every frame."""
        packed, width = frame.fields[f"{name}_words"], frame.fields[f"{name}_width"]
        known = self._met.get((name, packed, width))
        if known is None:
            words = np.frombuffer(packed, f"S{width}") if packed else np.zeros(0, "S1")
            known = self._met[name, packed, width] = dictionary.numbers(words)
            self._met_bytes += len(packed) + known.nbytes
        return known


def _no_symbol(name: str, values: npt.NDArray[Any], end: int, row: int) -> str:
    return f"{name} {values[row]} is not one of 0 to {end - 1}"


def frame_mistakes(fields: Mapping[str, Any]) -> list[str]:
    """Return everything by which the columns of a decoded frame do not fit together."""
    rows = fields["rows"]
    if not 1 <= rows <= MOST_ROWS:
        return [f"rows is {rows}, a frame has 1 to {MOST_ROWS}"]
    mistakes = []
    for name, width in _WIDTHS.items():
        have = len(fields[name])
        if have != rows * width and not (have == 0 and name in UNKNOWN):
            mistakes.append(f"{name} has {have} bytes instead of {rows * width}")
    for column, name in DICTIONARIES.items():
        wrong = _words_mistake(fields, name)
        if wrong:
            mistakes.append(wrong)
        elif len(fields[column]) == rows * 4:
            index, words = np.frombuffer(fields[column], DTYPES[column]), _word_count(fields, name)
            last, first = int(index.max()), int(index.min())
            if last >= words or first < -1:
                mistakes.append(f"{column} points to {last if last >= words else first}, there are {words} words")
    return mistakes


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
    dtype = np.dtype(DTYPES[name])
    blank = np.array(UNKNOWN.get(name, 0), dtype).tobytes()
    content = b"".join([frame.fields[name] or blank * frame.rows for frame in frames])
    return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
