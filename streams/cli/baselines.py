"""`cityops baselines`: what is usual in a city, made from its own past days."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import click
from rich.progress import Progress
from rich.table import Table

from schemas.errors import UsageError
from streams.cli.options import FOLDER, NEW_FILE
from streams.cli.showing import json_text, local_time
from streams.cli.terminal import terminal
from streams.settings import settings_from_env
from streams.stack import endpoints

if TYPE_CHECKING:
    from processors.baselines import Snapshot

DAYS: Final = 28
"""Four of each day of the week."""
KEPT_DAYS: Final = 14
"""Twice as long as the topics keep their records."""

_DAY = click.DateTime(["%Y-%m-%d"])
_CITY = click.option("--city", type=FOLDER, help="The city package; the configured one where not given.")


@click.group()
def baselines() -> None:
    """What is usual in a city: how fast its streets are and how much is claimed in its units, hour by hour.

    \b
    Example:
      cityops baselines build
    """


@baselines.command()
@_CITY
@click.option("--from", "first", type=_DAY, help="The first local day from which a snapshot holds; tomorrow.")
@click.option("--until", "last", type=_DAY, help="The last one; the same day.")
@click.option(
    "--days", default=DAYS, show_default=True, type=click.IntRange(3, 366), help="Whole days that one rests on."
)
@click.option(
    "--keep", default=KEPT_DAYS, show_default=True, type=click.IntRange(1), help="Remove those that held earlier."
)
@click.option("--run", "run_name", default="", help="Of an isolated run; without it the live database.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
def build(
    city: Path | None,
    first: datetime | None,
    last: datetime | None,
    days: int,
    keep: int,
    run_name: str,
    as_json: bool,
) -> None:
    """Make a snapshot of what is usual from the past days that ClickHouse keeps (docs/baselines.md).

    It holds from a local midnight on and is never changed: without --from and --until from the next one, resting on
    the whole days up to yesterday. Run it once a day.

    \b
    Example:
      cityops baselines build
      cityops baselines build --city cities/hanoi --from 2026-11-20 --until 2026-11-24
    """
    from processors.city import load_city
    from processors.incidents.rules import load_rules
    from sinks.clickhouse.usual_days import LocalDays
    from streams.baselines import BaselineBuilder, check_days, forget_snapshots, keep_snapshot, tomorrow

    settings = settings_from_env()
    folder = city or settings.city
    loaded = load_city(folder, settings.units, settings.gtfs)
    rules = load_rules(settings.rules or folder / "rules", loaded)
    zone = ZoneInfo(loaded.time_zone)
    given = first or last
    begin = given.date() if given else tomorrow(zone)
    end = last.date() if last else begin
    check_days(begin, end, zone, datetime.now(UTC))
    settings = settings if settings.clickhouse_url else endpoints(settings)
    settings = settings.with_run(run_name, run_name) if run_name else settings
    builder = BaselineBuilder(loaded, rules, LocalDays(settings.clickhouse_url, settings.database, zone))
    wanted = [begin + timedelta(days=ahead) for ahead in range((end - begin).days + 1)]
    made = []
    with Progress(console=terminal(), transient=True) as progress:
        task = progress.add_task("days", total=len(wanted) * days)
        for day in wanted:
            snapshot = builder.snapshot(day, days, lambda _: progress.advance(task))
            made.append(keep_snapshot(folder, snapshot))
    gone = forget_snapshots(folder, end - timedelta(days=keep))
    if as_json:
        told = [{"file": str(one.path), "new": one.is_new, **_summary(one.snapshot)} for one in made]
        click.echo(json_text({"snapshots": told, "removed": [str(path) for path in gone]}))
        return
    for one in made:
        click.echo(f"{one.path}: {_in_words(one.snapshot)}{'' if one.is_new else ' (was there already)'}")
    if gone:
        click.echo(f"removed {len(gone)} that held before {end - timedelta(days=keep)}")
    _warn(made[0].snapshot)


@baselines.command()
@_CITY
@click.option("--day", type=_DAY, help="The snapshot that holds from this day on; the newest where not given.")
@click.option("--line", "line_id", default="", help="The usual speeds of this line.")
@click.option("--weekend", is_flag=True, help="Of Saturdays and Sundays instead of Monday to Friday.")
@click.option("--picture", type=NEW_FILE, help="Write the speeds of the line as an SVG file.")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshots' facts, or one whole with --day, as JSON.")
def show(
    city: Path | None, day: datetime | None, line_id: str, weekend: bool, picture: Path | None, as_json: bool
) -> None:
    """List the snapshots of a city, or show how fast the segments of a line usually are, in km/h by the hour.

    \b
    Example:
      cityops baselines show
      cityops baselines show --line 32 --picture usual-speeds.svg
    """
    from streams.baselines import kept_snapshots

    folder = city or settings_from_env().city
    kept = sorted((one for _, one in kept_snapshots(folder)), key=lambda one: one.valid_from)
    if day is not None:
        kept = [one for one in kept if one.valid_from.date() == day.date()]
    if not kept:
        wanted = f" that holds from {day.date()} on" if day else ""
        raise UsageError(f"{folder} has no baseline{wanted}: make one with `cityops baselines build`")
    if picture and not line_id:
        raise UsageError("--picture draws the speeds of one line: name it with --line")
    if line_id:
        _show_line(kept[-1], line_id, weekend, picture, as_json)
    elif as_json:
        click.echo(kept[-1].model_dump_json() if day else json_text([_summary(one) for one in kept]))
    else:
        _list(kept)


def _show_line(snapshot: "Snapshot", line_id: str, weekend: bool, picture: Path | None, as_json: bool) -> None:
    from processors.baseline_picture import line_speeds, speeds_picture

    rows = line_speeds(snapshot, line_id, weekend=weekend)
    if not rows:
        known = sorted({name.rsplit("/", 2)[0] for name in snapshot.normals_mps})
        raise UsageError(
            f"the baseline {snapshot.version} knows no line {line_id!r}: it has {', '.join(known) or 'none'}"
        )
    if picture:
        picture.write_text(speeds_picture(rows), encoding="utf-8")
    if as_json:
        click.echo(json_text([{"segment": name, "mps": mps} for name, mps in rows]))
        return
    table = Table("segment", *(str(hour) for hour in range(24)), box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, mps in rows:
        table.add_row(name, *("" if one is None else f"{one * 3.6:.0f}" for one in mps))
    terminal().print(table)


def _list(kept: "Sequence[Snapshot]") -> None:
    table = Table("holds from", "version", "rests on", "segments", "kinds", box=None, pad_edge=False)
    for one in kept:
        told = _summary(one)
        rests_on = f"{one.days[0]} to {one.days[-1]}" if one.days else ""
        table.add_row(
            str(told["valid_from"]), one.version or "by hand", rests_on, str(told["segments"]), str(told["kinds"])
        )
    terminal().print(table)


def _summary(one: "Snapshot") -> dict[str, object]:
    return {
        "version": one.version,
        "valid_from": one.valid_from.isoformat(timespec="minutes"),
        "days": [str(day) for day in one.days],
        "segments": len(one.normals_mps),
        "kinds": len(one.hourly),
    }


def _in_words(one: "Snapshot") -> str:
    return f"version {one.version}, segments: {len(one.normals_mps)}, kinds: {len(one.hourly)}"


def _warn(one: "Snapshot") -> None:
    now = datetime.now(UTC)
    if one.valid_from <= now:
        since = local_time(round(one.valid_from.timestamp() * 1000), ZoneInfo("UTC"))
        click.echo(f"it holds since {since} UTC: a replay of what came after may differ from what was live", err=True)
