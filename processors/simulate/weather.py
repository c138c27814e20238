"""The weather as the simulator has it: the temperature of the hour and the speed of sound in such air."""

import math
from typing import Final

MEAN_CEL: Final = 27.0
DAILY_SWING_CEL: Final = 4.0
WARMEST_HOUR: Final = 14.0


def temperature_cel(local_hour: float) -> float:
    """Return the temperature at a time of day, 0 <= local_hour < 24."""
    return MEAN_CEL + DAILY_SWING_CEL * math.cos((local_hour - WARMEST_HOUR) / 24 * 2 * math.pi)


def sound_mps(local_hour: float) -> float:
    """Return the speed of sound in dry air at that temperature: 331.3 m/s times the root of T / 273.15 K."""
    return 331.3 * math.sqrt(1 + temperature_cel(local_hour) / 273.15)
