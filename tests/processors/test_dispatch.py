"""Dispatch of lines: who leaves a stop or an end when, and by which plan."""

import numpy as np

from processors.city import Line
from processors.network import Headway
from processors.simulate.dispatch import Dispatch, Service
from tests.processors.builders import CITY

STOP, END = 0, 1
TICK_MS = 1_000_000


def dispatch() -> Dispatch:
    """Two vehicles of a line that runs every 10 min until 8:30, then every 20; a stop on the way and one at an end."""
    rush = Headway(from_time="06:00", to_time="08:30", headway_s=600)
    later = Headway(from_time="08:30", to_time="20:00", headway_s=1_200)
    line = Line(line_id="X", name="X", mode="bus", colour="", patterns=CITY.lines[0].patterns, headway_s=(rush, later))
    made = Dispatch((Service(line, 0, 2),), stops=2, count=2)
    made.plan(8.2)
    return made


def leaves_s(made: Dispatch, row: int, stop: int, *, last_s: float) -> float:
    """Return how long a vehicle stays that is ready at once, so long after the one before left."""
    made.left_ms[stop] = TICK_MS - last_s * 1000
    one = np.array([row]), np.array([stop])
    left_ms = made.leave_ms(*one, TICK_MS, np.array([float(TICK_MS)]), np.array([stop == END]))
    return float(left_ms[0] - TICK_MS) / 1000


def test_who_is_on_the_way_when_the_plan_changes_keeps_the_headway_it_was_sent_out_with() -> None:
    made = dispatch()
    assert leaves_s(made, 0, STOP, last_s=450) == 0.0
    made.plan(8.6)
    assert leaves_s(made, 0, STOP, last_s=450) == 0.0
    assert leaves_s(made, 0, STOP, last_s=380) == 40.0


def test_who_leaves_an_end_goes_by_the_plan_of_the_hour() -> None:
    made = dispatch()
    made.plan(8.6)
    assert leaves_s(made, 0, END, last_s=600) == 0.95 * 1_200 - 600
    assert leaves_s(made, 0, STOP, last_s=780) == 60.0
    assert leaves_s(made, 1, STOP, last_s=780) == 8.0
