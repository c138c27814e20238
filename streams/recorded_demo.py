"""`cityops demo --input`: recorded positions through the real thing, in a run of their own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from processors.city import City, derive_city, load_city
from processors.network import Bounds
from processors.recorded import parse_map, parse_unit
from schemas.errors import UsageError
from streams.demo import account, offsets_now, show_changes
from streams.recorded import (
    RecordedOptions,
    Recording,
    read_recorded,
    recorded_settings,
    send_recorded,
    write_refused,
)
from streams.session import Session, stack_running, stopped_by_signals, worker_running
from streams.settings import Settings

RUN: Final = "recorded"
AUTO: Final = "auto"
SHOWN_REFUSED: Final = 5


@dataclass(frozen=True, slots=True)
class RecordedDemoOptions:
    """What the user asked for. city: a package's folder, or auto = derived from the input's extent."""

    inputs: tuple[Path, ...]
    mapping: str
    speed_unit: str
    time_zone: str
    stops: Path | None
    city: str
    report: Path | None


def run_recorded_demo(settings: Settings, options: RecordedDemoOptions, console: Console) -> bool:
    """Read, send, work off and account for recorded positions; return whether the accounting balances."""
    own = recorded_settings(settings, settings.run or RUN)
    own = replace(own, rules=own.rules or settings.city / "rules")
    with _bars(console) as bars:
        recording = _read(options, bars)
        own, city = _city(own, options, recording)
    _tell(recording, own, city, console)
    try:
        with (
            stopped_by_signals(),
            stack_running(own, console) as own,
            worker_running(own, city, console, fresh=True) as session,
        ):
            return _send(session, recording, options, console)
    except KeyboardInterrupt:
        console.print("stopped", style="bright_black")
        return False


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _read(options: RecordedDemoOptions, bars: Progress) -> Recording:
    task = bars.add_task("reading", total=None)
    given = RecordedOptions(parse_map(options.mapping), parse_unit(options.speed_unit), _zone(options.time_zone))
    return read_recorded(options.inputs, given, lambda done, total: bars.update(task, completed=done, total=total))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"time zone {name!r} is not known, use one like America/Chicago") from None


def _city(settings: Settings, options: RecordedDemoOptions, recording: Recording) -> tuple[Settings, City]:
    """Return the city and settings under which a worker finds the same one."""
    if options.city != AUTO:
        settings = replace(settings, city=Path(options.city))
        return settings, load_city(settings.city, settings.units, settings.gtfs)
    latitude_deg, longitude_deg = recording.places()
    zone = options.time_zone or "UTC"
    derived = derive_city("recorded", zone, latitude_deg, longitude_deg, settings.gtfs, options.stops, settings.units)
    folder = settings.home / "runs" / settings.run / "city"
    _write_package(derived, folder)
    settings = replace(settings, city=folder)
    return settings, load_city(folder, settings.units, settings.gtfs)


def _write_package(city: City, folder: Path) -> None:
    """Write a derived city as a package, without the stops that lie beyond where anything was recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    bounds = Bounds(city.south_deg, city.west_deg, city.north_deg, city.east_deg)
    sides = {"south": city.south_deg, "west": city.west_deg, "north": city.north_deg, "east": city.east_deg}
    package = {"name": city.name, "time_zone": city.time_zone, "bounds": sides}
    (folder / "city.yaml").write_text(yaml.safe_dump(package, allow_unicode=True), encoding="utf-8")
    stops = [
        {"id": stop.stop_id, "name": stop.name, "lat": stop.latitude_deg, "lon": stop.longitude_deg}
        for stop in city.stops
        if bounds.contain(stop.latitude_deg, stop.longitude_deg)
    ]
    (folder / "stops.yaml").write_text(yaml.safe_dump({"stops": stops}, allow_unicode=True), encoding="utf-8")


def _tell(recording: Recording, settings: Settings, city: City, console: Console) -> None:
    lines = sum(file.lines - file.blank for file in recording.files)
    console.print(f"{len(recording.rows):,} of {lines:,} lines read from {len(recording.files)} files")
    console.print(recording.speeds_in_words())
    console.print(f"city: {len(city.lines)} lines, {len(city.stops)} stops, {len(city.units)} units, {city.time_zone}")
    for file in recording.skipped:
        console.print(f"  left out {file.path}: {file.reason}", style="yellow")
    for item in recording.refused[:SHOWN_REFUSED]:
        console.print(f"  line {item.line} of {item.path}: {'; '.join(item.errors)}", style="yellow")
    where = write_refused(settings, recording.refused)
    if recording.refused:
        console.print(f"{len(recording.refused):,} lines refused, all of them in {where}", style="yellow")


def _send(session: Session, recording: Recording, options: RecordedDemoOptions, console: Console) -> bool:
    begin = offsets_now(session.settings)
    with _bars(console) as bars:
        task = bars.add_task("sending", total=len(recording.rows))
        sent = send_recorded(
            session.settings,
            session.codec,
            recording.rows,
            len(recording.refused),
            lambda done, total: bars.update(task, completed=done, total=total),
        )
    balances = account(session, begin, console, options.report, seed=None, scored=False, sent=sent)
    show_changes(session, console)
    return balances
