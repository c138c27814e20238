"""Silent vehicles: one that moved, with its ignition not off, has to say soon where it is now."""

from typing import Final

import numpy as np

from processors.batches import BoolArray
from processors.marks import IGNITION_OFF, STOPPED
from processors.rows import Columns
from processors.watches.silence_rule import SilenceRule


def _moves(columns: Columns) -> BoolArray:
    """Tell which positions are of a vehicle that moves: only those have to be followed by another one soon."""
    return np.asarray(np.asarray(columns["marks"]) & (STOPPED | IGNITION_OFF) == 0)


SILENT_VEHICLE: Final = SilenceRule(
    silent="silent_vehicle",
    heard="vehicle_heard",
    limit_ms=600_000,
    records={"VehiclePosition": "vehicle_id"},
    beat="",
    watched=_moves,
)
SILENT_VEHICLE_IN_FRAMES: Final = SilenceRule(
    silent="silent_vehicle",
    heard="vehicle_heard",
    limit_ms=600_000,
    records={"VehicleFrame": "vehicle_id"},
    beat="",
    watched=_moves,
)
