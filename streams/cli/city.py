"""`cityops city`: check a city package before anything runs on it; trace lines where there is no package."""

import json
import sys
from collections import Counter
from pathlib import Path

import click
from rich.progress import Progress
from rich.table import Table

from processors.city import City, CityInvalid, load_city
from processors.sources.contract import Format
from streams.cli.options import FILE, OneOf
from streams.cli.reading_options import format_named, read_options
from streams.cli.terminal import terminal

Summary = dict[str, str | int | dict[str, int]]


@click.group()
def city() -> None:
    """City packages: the folders under cities/."""


@city.command(epilog="Example: cityops city check cities/hanoi --gtfs feed.zip")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--units", type=click.Path(path_type=Path), help="GeoJSON of units that replaces the package's own.")
@click.option("--gtfs", type=click.Path(path_type=Path), help="GTFS folder or zip that replaces its lines and stops.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def check(folder: Path, units: Path | None, gtfs: Path | None, as_json: bool) -> None:
    """List every mistake in the city package FOLDER at once; without any, say what it holds.

    Exit status 1 if there are mistakes.

    \b
    Example:
      cityops city check cities/hanoi --gtfs feed.zip
    """
    try:
        loaded = load_city(folder, units=units, gtfs=gtfs)
    except CityInvalid as error:
        click.echo(json.dumps({"mistakes": error.mistakes}, ensure_ascii=False, indent=2) if as_json else str(error))
        sys.exit(1)
    summary = summary_of(loaded)
    if as_json:
        click.echo(json.dumps({"mistakes": [], **summary}, ensure_ascii=False, indent=2))
    else:
        _print_table(summary)


@city.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("--stops", type=FILE, required=True, help="Stops as GTFS stops.txt (may be .gz).")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the feed.")
@click.option("--left", is_flag=True, help="Vehicles keep to the left.")
@click.option("--format", "form", type=OneOf(Format), help="What the input is; otherwise by its content.")
@click.option("--map", "mapping", default="", help="csv: which column is what: vehicle_id=...,line=...,trip=...")
@click.option("--time-zone", default="", help="csv: zone of times without an offset, such as America/Chicago.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def trace(
    inputs: tuple[str, ...],
    stops: Path,
    into: Path,
    left: bool,
    form: str | None,
    mapping: str,
    time_zone: str,
    as_json: bool,
) -> None:
    """Trace the courses of lines from recorded trips, where nobody gives a network; write them as a GTFS feed.

    INPUTS are recorded positions that tell a line and a trip. The feed has no times: with it vehicles that bunch or
    leave their line are found, late ones and gaps are not.

    \b
    Example:
      cityops city trace positions.csv --map line=route_id,trip=trip_id --stops stops.csv.gz --into traced
      cityops demo --input positions.csv --map line=route_id,trip=trip_id --gtfs traced
    """
    from streams import tracing

    options = read_options(mapping, "", time_zone, None)
    with Progress(console=terminal(), transient=True) as bars:
        task = bars.add_task("reading", total=None)

        def show(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None)

        def traced(line_id: str) -> None:
            bars.update(task, description=f"line {line_id}")

        courses, places = tracing.trace(inputs, options, format_named(form), stops, not left, show, traced)
    tracing.write_feed(courses, places, into)
    rows = [
        (line_id, one.direction_id, one.length_m, len(one.stop_ids), len(one.trip_ids), one.near)
        for line_id, ways in courses.items()
        for one in ways
    ]
    untraced = sorted(line_id for line_id, ways in courses.items() if not ways)
    if as_json:
        names = ("line_id", "direction_id", "length_m", "stops", "trips", "near")
        ways = [dict(zip(names, row, strict=True)) for row in rows]
        click.echo(json.dumps({"courses": ways, "untraced": untraced}, ensure_ascii=False, indent=2))
        return
    table = Table("line", "direction", "km", "stops", "trips", "reports within 60 m")
    for line_id, way, length_m, stop_count, trips, near in rows:
        table.add_row(line_id, str(way), f"{length_m / 1000:.1f}", str(stop_count), str(trips), f"{near:.1%}")
    terminal().print(table)
    if untraced:
        terminal().print(f"too few trips to trace {', '.join(untraced)}", style="yellow")


def summary_of(loaded: City) -> Summary:
    """Say what a city holds, as plain values."""
    return {
        "name": loaded.name,
        "version": loaded.version,
        "time_zone": loaded.time_zone,
        "units": dict(Counter(unit.kind for unit in loaded.units)),
        "lines": dict(Counter(line.mode for line in loaded.lines)),
        "stops": len(loaded.stops),
        "venues": dict(Counter(venue.kind for venue in loaded.venues)),
        "cameras": len(loaded.cameras),
        "sensors": dict(Counter(text for sensor in loaded.sensors.values() for text in sensor.quantities)),
        "sensors_on_cameras": sum(sensor.host_camera_id != "" for sensor in loaded.sensors.values()),
    }


def _print_table(summary: Summary) -> None:
    table = Table(show_header=False)
    for name, value in summary.items():
        if isinstance(value, dict):
            kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(value.items()))
            value = f"{sum(value.values())} ({kinds})" if kinds else "0"
        table.add_row(name.replace("_", " "), str(value))
    terminal().print(table)
