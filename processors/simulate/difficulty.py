"""How hard the city is to read: everything that makes evidence worse, in one place, and scaled together.

docs/simulator.md, "Difficulty", says what 1.0 is. It is fixed before detectors are tuned.
"""

from dataclasses import replace
from typing import Final

from processors.simulate.rule import SimulationRule

MOST_MISSED: Final = 0.9
MOST_FALSE: Final = 0.5

OUTLIER_SHARE: Final = 0.10
"""Of the arrivals of a bang at microphones: an echo is taken for it."""
TIMING_NOISE_S: Final = 0.005
"""Standard deviation of the time at which a microphone says that it heard a bang."""
UNHEARD_SHARE: Final = 0.12
"""Of the microphones in reach: a bang is not noticed."""


def hardened(rule: SimulationRule) -> SimulationRule:
    """Return the rule with its difficulty worked in: every share and spread that makes evidence worse, times it."""
    times = rule.difficulty
    return replace(
        rule,
        difficulty=times,
        camera_miss=min(MOST_MISSED, rule.camera_miss * times),
        false_detection=min(MOST_FALSE, rule.false_detection * times),
        gps_noise_m=rule.gps_noise_m * times,
        speed_noise_mps=rule.speed_noise_mps * times,
        fast_clock=min(1.0, rule.fast_clock * times),
        outages_per_hour=rule.outages_per_hour * times,
        late=min(1.0, rule.late * times),
    )
