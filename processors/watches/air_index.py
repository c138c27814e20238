"""Air: the index of one hour and the mean of a day from hourly means, incomplete ones among them.

Viet Nam's air quality index: Decision 1459/QD-TCMT of 12 November 2019. Guideline values: WHO, 2021.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

INDEX: Final = (0, 50, 100, 150, 200, 300, 400, 500)
BREAKPOINTS_UG_M3: Final[Mapping[str, tuple[float, ...]]] = {
    "pm2_5": (0.0, 25.0, 50.0, 80.0, 150.0, 250.0, 350.0, 500.0),
    "pm10": (0.0, 50.0, 150.0, 250.0, 350.0, 420.0, 500.0, 600.0),
}
"""Concentrations at which the index of a pollutant is 0, 50, 100, ...; in between it is linear."""

DAY_GUIDELINE_UG_M3: Final[Mapping[str, float]] = {"pm2_5": 15.0, "pm10": 45.0}
"""What the mean of 24 hours should not exceed."""

NOWCAST_HOURS: Final = 12
DAY_HOURS: Final = 24
DAY_VALID_HOURS: Final = 18
"""Three quarters of a day."""

Hours = Sequence[float | None]
"""Hourly means, the newest first; None = too few readings."""


def now_cast(hours: Hours) -> float | None:
    """Return the weighted mean of the last 12 hours that stands for the present, None when it cannot be told.

    Two of the last three hours must be there. The more the hours differ, the less the older ones count: the weight of
    each is that of the one after it times w, the share of the lowest of the highest mean, but at least a half.
    """
    last = hours[:NOWCAST_HOURS]
    known = [mean for mean in last if mean is not None]
    if sum(mean is not None for mean in last[:3]) < 2:
        return None
    highest = max(known)
    share = max(0.5, min(known) / highest) if highest > 0 else 1.0
    weighed = [(share**age, mean) for age, mean in enumerate(last) if mean is not None]
    return sum(weight * mean for weight, mean in weighed) / sum(weight for weight, _ in weighed)


def air_index(pollutant: str, mean_ug_m3: float) -> int:
    """Return the index of a concentration, 0 to 500; beyond the table it is 500."""
    steps = zip(pairwise(BREAKPOINTS_UG_M3[pollutant]), pairwise(INDEX), strict=True)
    for (low, high), (index_low, index_high) in steps:
        if mean_ug_m3 <= high:
            return round((index_high - index_low) / (high - low) * (max(mean_ug_m3, 0.0) - low) + index_low)
    return INDEX[-1]


def day_mean(hours: Hours) -> float | None:
    """Return the mean of the last 24 hours, None when fewer than 18 of them are there."""
    known = [mean for mean in hours[:DAY_HOURS] if mean is not None]
    return sum(known) / len(known) if len(known) >= DAY_VALID_HOURS else None
