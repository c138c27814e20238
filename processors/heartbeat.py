"""Heartbeats of cameras and sensors: stored; nothing is concluded from them yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from processors.batches import BoolArray, HashArray, HeartbeatBatch
from processors.city import City
from processors.domain import Findings, Rows
from processors.ingest import read_heartbeats, read_messages
from processors.key_blocks import SlotArray
from processors.records_in import RawRecord
from processors.rows import Columns
from processors.tracks import Track
from schemas.codec import Codec
from schemas.dictionary import Dictionary


@dataclass(frozen=True, slots=True)
class HeartbeatForm:
    """Heartbeats."""

    record: str = "Heartbeat"
    table: str = "heartbeats"
    device_field: str = "device_id"

    @property
    def remembered(self) -> dict[str, Any]:
        """Return no columns."""
        return {}

    @property
    def whole_ms(self) -> int:
        """Return 0: no record needs the whole history."""
        return 0

    def read(self, records: Sequence[RawRecord], codec: Codec, keys: Dictionary, city: City) -> Rows[HeartbeatBatch]:
        """Return n heartbeats as columns."""
        return read_messages(
            records,
            codec,
            self.device_field,
            "device",
            lambda messages, mistakes: read_heartbeats(messages, city, mistakes),
        )

    def slots(self, batch: HeartbeatBatch, keys: Dictionary) -> SlotArray:
        """Return the numbers of the devices."""
        return keys.numbers([device_id.encode() for device_id in batch.device_id.tolist()])

    def ties(self, batch: HeartbeatBatch) -> HashArray:
        """Return zeros: a device has one heartbeat at a time."""
        return np.zeros(len(batch), np.uint64)

    def needs_whole(self, batch: HeartbeatBatch) -> BoolArray:
        """Return no row."""
        return np.zeros(len(batch), bool)

    def place(self, batch: HeartbeatBatch, city: City) -> tuple[Columns, Columns]:
        """Return the table's columns; there is nothing to remember."""
        rows: Columns = {
            "source_offset": batch.offset,
            "at_ms": batch.at_ms,
            "device_id": batch.device_id,
            "firmware_version": batch.firmware_version,
        }
        return rows, {}

    def candidates(self, batch: HeartbeatBatch, remembered: Columns) -> BoolArray:
        """Return no row."""
        return np.zeros(len(batch), bool)

    def detect(self, track: Track) -> Findings:
        """Return nothing."""
        return Findings(np.zeros(0, np.int64), (), np.zeros(0))


HEARTBEAT_FORM: Final = HeartbeatForm()
