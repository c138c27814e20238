"""`cityops city`: check a city package before anything runs on it."""

import json
import sys
from collections import Counter
from pathlib import Path

import click
from rich.table import Table

from processors.city import City, CityInvalid, load_city
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
