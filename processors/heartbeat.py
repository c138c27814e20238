"""Heartbeats of cameras and sensors: stored; that they stop is what processors/watches/silence.py tells."""

import math
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
from processors.watches.contract import UNPLACED_E7
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
        """Return where the device is registered, UNPLACED_E7 where it is not."""
        return {"latitude_e7": np.int32, "longitude_e7": np.int32}

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
        """Return the table's columns, and where the devices are registered."""
        rows: Columns = {
            "source_offset": batch.offset,
            "at_ms": batch.at_ms,
            "device_id": batch.device_id,
            "firmware_version": batch.firmware_version,
        }
        places = [_place_e7(device_id, city) for device_id in batch.device_id.tolist()]
        latitude_e7, longitude_e7 = np.array(places, np.int32).reshape(len(batch), 2).T
        return rows, {"latitude_e7": latitude_e7, "longitude_e7": longitude_e7}

    def candidates(self, batch: HeartbeatBatch, remembered: Columns) -> BoolArray:
        """Return no row."""
        return np.zeros(len(batch), bool)

    def detect(self, track: Track) -> Findings:
        """Return nothing."""
        return Findings(np.zeros(0, np.int64), (), np.zeros(0))


def _place_e7(device_id: str, city: City) -> tuple[int, int]:
    device = city.cameras.get(device_id) or city.sensors.get(device_id)
    if device is None or math.isnan(device.latitude_deg):
        return UNPLACED_E7, UNPLACED_E7
    return round(device.latitude_deg * 1e7), round(device.longitude_deg * 1e7)


HEARTBEAT_FORM: Final = HeartbeatForm()
