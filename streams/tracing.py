"""A network traced from recorded trips, written as a GTFS feed that `--gtfs` takes."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from processors.city_derived import bounds_of
from processors.city_files import CityInvalid
from processors.gtfs import read_stops
from processors.network import Stop
from processors.sources.contract import Format, ReadOptions
from processors.traced_lines import TracedCourse, TraceRule, gtfs_tables, trace_lines
from processors.yaml_files import Mistakes
from schemas.errors import UsageError
from schemas.records import VehiclePosition
from streams.recorded import Progress, read_recorded

RULE: Final = TraceRule()


def trace(
    inputs: Sequence[str],
    options: ReadOptions,
    form: Format | None,
    stops: Path,
    right: bool,
    on_read: Progress,
    on_line: Callable[[str], None],
) -> tuple[Mapping[str, Sequence[TracedCourse]], Sequence[Stop]]:
    """Return the courses of the lines that recorded positions tell, none of a line with too few trips, and the stops.

    Raises UsageError when nobody tells a line and a trip, and CityInvalid for stops that cannot be read.
    """
    mistakes = Mistakes()
    places = read_stops(stops, mistakes)
    if mistakes.found:
        raise CityInvalid(str(stops), mistakes.found)
    recording = read_recorded(inputs, options, on_read, form=form)
    told = [row.record for row in recording.rows if isinstance(row.record, VehiclePosition)]
    told = [one for one in told if one.line_id and one.trip_id]
    if not told:
        raise UsageError("no position tells both a line and a trip: --map line=...,trip=... names their columns")
    bounds = bounds_of("recorded", *recording.places())
    courses: dict[str, Sequence[TracedCourse]] = {}
    for line_id, found in trace_lines(told, places, bounds, RULE, right):
        courses[line_id] = found
        on_line(line_id)
    return courses, places


def write_feed(courses: Mapping[str, Sequence[TracedCourse]], stops: Sequence[Stop], into: Path) -> None:
    """Write traced lines as a GTFS feed without times."""
    into.mkdir(parents=True, exist_ok=True)
    for name, rows in gtfs_tables(courses, stops).items():
        with (into / name).open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows(rows)
