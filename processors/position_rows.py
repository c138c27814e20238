"""Positions of one partition as rows: read from single messages or frames, told by registration, checked."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from processors.batches import IntArray, PositionBatch
from processors.city import City
from processors.domain import Mistakes, Rows
from processors.frames_in import FramePositions
from processors.ingest import DEVICE_CHARACTERS, TEXT_CHARACTERS, check_positions, device_mistake, text_mistake
from processors.network import Vehicle
from processors.positions_in import PerWord, RegisteredVehicles, SinglePositions
from processors.records_in import RawRecord
from schemas.codec import Codec
from schemas.dictionary import BytesArray, Dictionary, DictionaryArray
from schemas.errors import Reason
from schemas.ids import SHARDS, murmur2_of_words

CHECKED_TEXTS = ("line_id", "trip_id")


class PositionRows:
    """Reads one partition's positions. What it keeps only saves time: results are functions of the arguments."""

    def __init__(self) -> None:
        self._singles, self._frames = SinglePositions(), FramePositions()
        self._shards = shards_of_words(Dictionary())
        self._registered = RegisteredVehicles({}, Dictionary())
        self._unsound = {name: PerWord(Dictionary(), _unsound, np.bool_) for name in CHECKED_TEXTS}

    def of_singles(
        self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City
    ) -> Rows[PositionBatch]:
        """Return n VehiclePosition messages as rows."""
        self._know(keys, city.vehicles)
        batch, record, unread = self._singles.read(records, codec, keys)
        mistakes = Mistakes()
        shard = self._check(batch, city, mistakes)
        return Rows(self._registered.fill_in(batch), record, shard, mistakes, unread)

    def of_frames(
        self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City
    ) -> Rows[PositionBatch]:
        """Return the positions of VehicleFrame messages as rows.

        A vehicle whose id is not sound is taken to be of its frame's shard, so that the frame stays together.
        """
        self._know(keys, city.vehicles)
        mistakes = Mistakes()
        batch, record, unread = self._frames.read(records, codec, keys, self._shards, mistakes)
        shard = np.full(len(records), -1, np.int64)
        np.maximum.at(shard, record, self._check(batch, city, mistakes))
        return Rows(
            self._registered.fill_in(batch), record, shard[record], mistakes, unread, batch.index.astype(np.int64)
        )

    def _know(self, keys: Dictionary, registered: Mapping[str, Vehicle]) -> None:
        if self._shards.dictionary is not keys:
            self._shards = shards_of_words(keys)
        if self._registered.vehicles is not keys or self._registered.registered is not registered:
            self._registered = RegisteredVehicles(registered, keys)

    def _check(self, batch: PositionBatch, city: City, mistakes: Mistakes) -> IntArray:
        """Note what is wrong with n positions; return the shards of their vehicles, -1 = the id is not sound."""
        shard = self._shards.of(batch.vehicle_id.numbers).astype(np.int64)
        mistakes.note(shard < 0, Reason.BAD_ID, lambda row: device_mistake(batch.vehicle_id.text(row)))
        check_positions(batch, city, mistakes)
        for name in CHECKED_TEXTS:
            column = getattr(batch, name)
            if self._unsound[name].dictionary is not column.dictionary:
                self._unsound[name] = PerWord(column.dictionary, _unsound, np.bool_)
            wrong = self._unsound[name].of(column.numbers)
            mistakes.note(wrong, Reason.BAD_ID, partial(_unsound_text, name, column))
        return shard


def _unsound_text(name: str, column: DictionaryArray, row: int) -> str:
    return f"{name} {text_mistake(column.text(row), TEXT_CHARACTERS)}"


def shards_of_words(vehicles: Dictionary) -> PerWord:
    """Return the shard of each vehicle's id, -1 where it is not sound."""
    return PerWord(vehicles, _shards, np.int8)


def _shards(words: BytesArray) -> IntArray:
    shard = (murmur2_of_words(words) & np.uint32(0x7FFFFFFF)) % np.uint32(SHARDS)
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), words.itemsize)
    plain = (((octets > 0x20) & (octets < 0x7F)) | (octets == 0)).all(axis=1)
    plain &= (octets[:, 0] != 0) & (np.char.str_len(words) <= DEVICE_CHARACTERS)
    for row in np.flatnonzero(~plain).tolist():  # all others are looked at by themselves
        plain[row] = not device_mistake(words[row].decode())
    return np.where(plain, shard.astype(np.int64), -1)


def _unsound(words: BytesArray) -> list[bool]:
    return [bool(text_mistake(word.decode(), TEXT_CHARACTERS)) for word in words.tolist()]
