"""Options of the commands that read sources: what the messages are, and how they are to be read."""

from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from processors.sources.contract import Format, ReadOptions, RecordName
from processors.sources.csv_columns import parse_map, parse_unit
from schemas.errors import UsageError
from streams.cli.options import FILE, OneOf

_OPTIONS: Final = (
    click.option("--format", "form", type=OneOf(Format), help="What it is; otherwise by its content."),
    click.option("--map", "mapping", default="", help="csv: which column is what: vehicle_id=...,at=...,lat=..."),
    click.option("--speed-unit", default="", help="csv: m/s, km/h, mph or knots; otherwise by the column, else m/s."),
    click.option("--time-zone", default="", help="csv: zone of times without an offset, such as America/Chicago."),
    click.option("--record", type=OneOf(RecordName), help="csv, jsonl: what a line is, where it does not tell."),
    click.option("--placement", type=FILE, help="Places of cameras and sensors: CSV, GeoJSON or YAML."),
)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command: form, mapping, speed_unit, time_zone, record, placement."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_options(mapping: str, speed_unit: str, time_zone: str, record: str | None) -> ReadOptions:
    """Return how messages are to be read. Raises UsageError in one sentence."""
    return ReadOptions(
        columns=parse_map(mapping),
        speed_unit=parse_unit(speed_unit),
        zone=_zone(time_zone),
        record=RecordName(record) if record else None,
    )


def format_named(form: str | None) -> Format | None:
    """Return the format, None = to be told by the content."""
    return Format(form) if form else None


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"time zone {name!r} is not known, use one like America/Chicago") from None
