"""`cityops demo --input`: recorded input through the real thing, in a run of its own."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from processors.city import City, derive_city, load_city
from processors.network import Bounds
from processors.sources.contract import Format, ReadOptions
from schemas.errors import UsageError
from schemas.records import DeviceRegistration
from streams.demo import account, offsets_now, show_changes
from streams.placing import read_placement_file
from streams.recorded import (
    Recording,
    read_recorded,
    recorded_settings,
    refused_path,
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
    """What the user asked for. form: None = told by content. city: a package's folder, or auto = derived."""

    inputs: tuple[str, ...]
    form: Format | None
    reading: ReadOptions
    placement: Path | None
    stops: Path | None
    city: str
    report: Path | None


def run_recorded_demo(settings: Settings, options: RecordedDemoOptions, console: Console) -> bool:
    """Read, send, work off and account for recorded positions; return whether the accounting balances."""
    own = recorded_settings(settings, settings.run or RUN)
    own = replace(own, rules=own.rules or _rules(options.city, settings))
    placement = read_placement_file(options.placement, console) if options.placement is not None else ()
    with _bars(console) as bars:
        recording = _read(options, placement, bars)
        own, city = _city(own, options, recording, placement)
    _tell(recording, own, city, console)
    try:
        with (
            stopped_by_signals(),
            stack_running(own, console) as own,
            worker_running(own, city, console, fresh=True) as session,
        ):
            return _send(session, recording, placement, options, console)
    except KeyboardInterrupt:
        console.print("stopped", style="bright_black")
        return False


def _rules(city: str, settings: Settings) -> Path:
    """Return the rules of the city that was named if it has any, otherwise those of the city in use."""
    named = Path(city) / "rules"
    return named if city != AUTO and named.is_dir() else settings.city / "rules"


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _read(options: RecordedDemoOptions, placement: Sequence[DeviceRegistration], bars: Progress) -> Recording:
    task = bars.add_task("reading", total=None)

    def show(done: int, total: int) -> None:
        bars.update(task, completed=done, total=total or None)

    return read_recorded(options.inputs, options.reading, show, form=options.form, placement=placement)


def _city(
    settings: Settings, options: RecordedDemoOptions, recording: Recording, placement: Sequence[DeviceRegistration]
) -> tuple[Settings, City]:
    """Return the city and settings under which a worker finds the same one."""
    if options.city != AUTO:
        settings = replace(settings, city=Path(options.city))
        return settings, load_city(settings.city, settings.units, settings.gtfs)
    latitude_deg, longitude_deg = recording.places()
    placed = [(one.latitude_deg, one.longitude_deg) for one in placement]
    latitude_deg = np.concatenate([latitude_deg, [latitude for latitude, _ in placed]])
    longitude_deg = np.concatenate([longitude_deg, [longitude for _, longitude in placed]])
    if not len(latitude_deg):
        raise UsageError("nothing in the input has a place: --placement FILE gives devices theirs, or name a --city")
    zone = str(options.reading.zone or "UTC")
    derived = derive_city("recorded", zone, latitude_deg, longitude_deg, settings.gtfs, options.stops, settings.units)
    folder = settings.home / "runs" / settings.run / "city"
    _write_package(derived, folder, placed)
    settings = replace(settings, city=folder)
    return settings, load_city(folder, settings.units, settings.gtfs)


def _write_package(city: City, folder: Path, placed: Sequence[tuple[float, float]]) -> None:
    """Write a derived city as a package, without the stops that lie beyond where anything was recorded.

    It holds every placed device, latitude and longitude in degrees, however far from the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = [place for place in placed if math.isfinite(sum(place))]
    bounds = Bounds(
        min([city.south_deg, *(latitude for latitude, _ in known)]),
        min([city.west_deg, *(longitude for _, longitude in known)]),
        max([city.north_deg, *(latitude for latitude, _ in known)]),
        max([city.east_deg, *(longitude for _, longitude in known)]),
    )
    sides = dict(zip(("south", "west", "north", "east"), astuple(bounds), strict=True))
    package = {"name": city.name, "time_zone": city.time_zone, "bounds": sides}
    (folder / "city.yaml").write_text(yaml.safe_dump(package, allow_unicode=True), encoding="utf-8")
    stops = [
        {"id": stop.stop_id, "name": stop.name, "lat": stop.latitude_deg, "lon": stop.longitude_deg}
        for stop in city.stops
        if bounds.contain(stop.latitude_deg, stop.longitude_deg)
    ]
    (folder / "stops.yaml").write_text(yaml.safe_dump({"stops": stops}, allow_unicode=True), encoding="utf-8")


def _tell(recording: Recording, settings: Settings, city: City, console: Console) -> None:
    messages = sum(file.lines - file.blank for file in recording.files)
    forms = ", ".join(sorted({str(file.form) for file in recording.files}))
    console.print(f"{len(recording.rows):,} of {messages:,} lines read from {len(recording.files)} files ({forms})")
    if any(file.columns for file in recording.files):
        console.print(recording.speeds_in_words())
    console.print(f"city: {len(city.lines)} lines, {len(city.stops)} stops, {len(city.units)} units, {city.time_zone}")
    for file in recording.skipped:
        console.print(f"  left out {file.path}: {file.reason}", style="yellow", markup=False)
    for reason, count in recording.left_out.items():
        console.print(f"  left out {count:,} times: {reason}", style="yellow", markup=False)
    for item in recording.refused[:SHOWN_REFUSED]:
        console.print(f"  line {item.line} of {item.path}: {'; '.join(item.errors)}", style="yellow", markup=False)
    where = refused_path(settings)
    write_refused(where, recording.refused)
    if recording.refused:
        console.print(f"{len(recording.refused):,} lines refused, all of them in {where}", style="yellow")


def _send(
    session: Session,
    recording: Recording,
    placement: Sequence[DeviceRegistration],
    options: RecordedDemoOptions,
    console: Console,
) -> bool:
    begin = offsets_now(session.settings)
    with _bars(console) as bars:
        task = bars.add_task("sending", total=len(recording.rows))
        sent = send_recorded(
            session.settings,
            session.codec,
            recording,
            lambda done, total: bars.update(task, completed=done, total=total),
            placement=placement,
        )
    balances = account(session, begin, console, options.report, seed=None, scored=False, sent=sent)
    show_changes(session, console)
    return balances
