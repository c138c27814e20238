"""Silent vehicles: who moved has to say soon where it is now; who stood with its ignition on, a little later."""

from typing import Final

import numpy as np
import numpy.typing as npt

from processors.marks import RESTS, STOPPED
from processors.rows import Columns
from processors.watches.silence_rule import SilenceRule

LIMITS_MS: Final = (600_000, 1_200_000)
"""After a position that moves, and after one that stands."""


def _on_duty(columns: Columns) -> npt.NDArray[np.uint8]:
    """Tell which limit holds after positions: the second one where they stand, none where the vehicle rests."""
    marks = np.asarray(columns["marks"])
    stands = (marks & STOPPED) // STOPPED
    return np.where(marks & RESTS, 0, 1 + stands).astype(np.uint8)


SILENT_VEHICLE: Final = SilenceRule(
    silent="silent_vehicle",
    heard="vehicle_heard",
    limits_ms=LIMITS_MS,
    records={"VehiclePosition": "vehicle_id"},
    beat="",
    watched=_on_duty,
)
SILENT_VEHICLE_IN_FRAMES: Final = SilenceRule(
    silent="silent_vehicle",
    heard="vehicle_heard",
    limits_ms=LIMITS_MS,
    records={"VehicleFrame": "vehicle_id"},
    beat="",
    watched=_on_duty,
)
