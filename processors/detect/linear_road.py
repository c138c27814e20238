"""Linear Road's rules: a stopped vehicle, an accident, and the mean speed over a section of a road.

Positions are Linear Road's: a lane, a place along it and a direction name a position, and reports come every 30 s.
Source: Arasu et al., Linear Road: A Stream Data Management Benchmark, VLDB 2004; the section rule is the derivative
that docs/thresholds.md#linear-road names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

STOPPED_REPORTS: Final = 4
"""A vehicle is stopped when so many reports running are from one position."""

ACCIDENT_VEHICLES: Final = 2

SECTION: Final = range(52, 57)
"""The segments over which the mean speed is taken."""


class Report(NamedTuple):
    """One report of one vehicle."""

    at_s: int
    vehicle_id: str
    position: tuple[int, int, int]
    """lane, metres along the road, direction"""
    segment: int
    speed_mps: float


@dataclass(frozen=True, slots=True)
class Accident:
    """Stopped vehicles at one position, from the report that made it one."""

    at_s: int
    position: tuple[int, int, int]
    vehicle_ids: tuple[str, ...]


def stopped(reports: Sequence[Report]) -> list[Report]:
    """Return the reports of one vehicle, in the order of time, at which it is stopped.

    It is from the fourth report running at one position on until a report is from another.
    """
    run, found = 0, []
    for number, report in enumerate(reports):
        run = run + 1 if number and reports[number - 1].position == report.position else 1
        if run >= STOPPED_REPORTS:
            found.append(report)
    return found


def accidents(reports: Sequence[Report]) -> list[Accident]:
    """Return the accidents among reports of any vehicles, in the order of time: each once, when it comes to be.

    One lasts while two vehicles are stopped at its position.
    """
    newest: dict[str, list[Report]] = {}
    known: set[tuple[int, int, int]] = set()
    found = []
    for report in sorted(reports):
        track = newest.setdefault(report.vehicle_id, [])
        track.append(report)
        del track[:-STOPPED_REPORTS]
        at: dict[tuple[int, int, int], list[str]] = {}
        for vehicle_id, latest in newest.items():
            if stopped(latest):
                at.setdefault(latest[-1].position, []).append(vehicle_id)
        crashed = {position for position, vehicle_ids in at.items() if len(vehicle_ids) >= ACCIDENT_VEHICLES}
        found += [Accident(report.at_s, position, tuple(sorted(at[position]))) for position in sorted(crashed - known)]
        known = crashed
    return found


def section_mean_mps(reports: Sequence[Report], section: range = SECTION) -> float | None:
    """Return the mean speed of one vehicle's reports from a section, None when none is from it."""
    speeds = [report.speed_mps for report in reports if report.segment in section]
    return sum(speeds) / len(speeds) if speeds else None


def too_fast(reports: Sequence[Report], limit_mps: float, section: range = SECTION) -> bool:
    """Tell whether a vehicle was above the limit on the mean of a section, however fast it was at any one report."""
    mean_mps = section_mean_mps(reports, section)
    return mean_mps is not None and mean_mps > limit_mps
