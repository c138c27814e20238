"""Colours that mean the same on every dashboard."""

from typing import Final

from sinks.grafana.panels import Scale, Step

SEVERITY: Final = (
    ("MINOR", "blue"),
    ("MODERATE", "yellow"),
    ("SEVERE", "orange"),
    ("EXTREME", "red"),
)
"""Severity -> colour, mildest first."""

STATE: Final = (
    ("SUSPECTED", "yellow"),
    ("CONFIRMED", "red"),
    ("RESOLVED", "green"),
    ("CLOSED", "#808080"),
    ("DISMISSED", "#808080"),
)

SEVERITY_LEVEL: Final = Scale(
    tuple(Step(None if level == 1 else level, colour) for level, (_, colour) in enumerate(SEVERITY, 1)),
    tuple((level, name) for level, (name, _) in enumerate(SEVERITY, 1)),
)
"""1 = MINOR to 4 = EXTREME."""

SPEED_KM_H: Final = Scale((Step(None, "red"), Step(8, "orange"), Step(15, "yellow"), Step(22, "green")))
"""A bus in a city's traffic: walking pace is red, free flow green."""

NONE_IS_GOOD: Final = Scale((Step(None, "green"), Step(1, "orange"), Step(10, "red")))
AGE_S: Final = Scale((Step(None, "green"), Step(30, "orange"), Step(120, "red")))
SILENCE_S: Final = Scale((Step(None, "green"), Step(180, "orange"), Step(600, "red")))
REJECTED_PERCENT: Final = Scale((Step(None, "green"), Step(1, "orange"), Step(5, "red")))
PLAIN: Final = Scale((Step(None, "blue"),))
