"""cityops estate coverage, rollout and qualify: what the cameras see, against a plan, and whose may be used."""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from rich.table import Table
from rich.text import Text

from schemas.errors import UsageError
from schemas.records import DeviceKind, DeviceRegistration
from streams.cli.options import FILE, NEW_FILE
from streams.cli.showing import city_zone, codec_of, folded, json_text, run_city, settings_of, whole
from streams.cli.terminal import terminal
from streams.settings import Settings, settings_from_env

if TYPE_CHECKING:
    from processors.city import City
    from processors.coverage import UnitCoverage
    from processors.qualification import Judgement
    from processors.rollout import PhaseProgress

BAR: Final = 12
GOOD, FAIR, POOR = 0.8, 0.5, 0.2
"""Shares from which a bar is green, yellow and orange; below it is red."""

_RUN = click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
_PACKAGE = click.option("--package-only", is_flag=True, help="The city package's cameras alone; needs no Kafka.")
_PLANNED = click.option("--planned", type=FILE, help="Count the cameras of this device file too, as if registered.")
_AT = click.option("--at", type=click.DateTime(["%Y-%m-%d"]), help="The day that counts; without it today.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


@click.command("coverage")
@click.option("--svg", type=NEW_FILE, help="Write a map to this file.")
@click.option("--limit", default=30, show_default=True, type=click.IntRange(1), help="Show so many units.")
@_PACKAGE
@_PLANNED
@_JSON
@_RUN
def show_coverage(
    svg: Path | None, limit: int, package_only: bool, planned: Path | None, as_json: bool, run_name: str
) -> None:
    """Show what working cameras see of each unit: the share of its streets and of its venues.

    Streets are those that lines run along: a city package knows no others. A camera whose range nobody told is taken
    to see 60 m, one whose bearing or field of view nobody told, all around. Buildings hide nothing. Units in which
    the most street is unseen come first.

    \b
    Examples:
      cityops estate coverage --svg coverage.svg
      cityops estate coverage --planned offer.csv --json
    """
    from processors.coverage import cover
    from processors.coverage_map import coverage_svg

    city, cameras = _estate(run_name, package_only, planned, datetime.now(UTC))
    console = terminal(stderr=True)
    with console.status("looking at every street"):
        found = cover(city, cameras)
        if svg is not None:
            svg.write_text(coverage_svg(city, found, cameras), encoding="utf-8")
    if as_json:
        told = {"whole": _told(found.whole), "guessed_views": found.guessed, "units": list(map(_told, found.units))}
        click.echo(json_text(told))
        return
    table = Table(folded("unit"), "kind", "cameras", whole("streets seen"), "of km", "venues")
    for one in sorted(found.units, key=lambda one: one.street_seen_m - one.street_m)[:limit]:
        table.add_row(*_row(one, one.name or "outside all units"))
    table.add_section()
    table.add_row(*_row(found.whole, "all"), style="bold")
    out = terminal()
    out.print(table)
    out.print(f"{len(found.units):,} units, {min(limit, len(found.units)):,} shown", highlight=False)
    if found.guessed:
        out.print(f"{found.guessed:,} of {len(cameras):,} views are guessed: tell bearing_deg, view_deg and range_m")
    if svg is not None:
        out.print(f"map: {svg.name}")


@click.command("rollout")
@click.option("--plan", type=FILE, help="The plan; without it the city package's phases.yaml.")
@click.option("--all", "show_all", is_flag=True, help="Units that have reached their share too.")
@_AT
@_PACKAGE
@_PLANNED
@_JSON
@_RUN
def show_rollout(
    plan: Path | None, show_all: bool, at: datetime | None, package_only: bool, planned: Path | None, as_json: bool,
    run_name: str,
) -> None:  # fmt: skip
    """Show how far the cameras are with every phase of the plan: reached, missing or overdue, unit by unit.

    \b
    Examples:
      cityops estate rollout
      cityops estate rollout --at 2027-12-31 --planned tender.csv
    """
    from processors.rollout import FILE as PLAN
    from processors.rollout import progress, read_phases

    today = _day(at, run_name)
    city, cameras = _estate(run_name, package_only, planned, datetime.combine(today, time.max, UTC))
    phases = read_phases(plan or _of_package(run_name, PLAN), city)
    found = progress(city, phases, cameras, today)
    if as_json:
        click.echo(json_text([_phase_told(one) for one in found]))
        return
    console = terminal()
    for one in found:
        _show_phase(one, show_all)
    console.print(f"{len(cameras):,} working cameras on {today}", highlight=False)


@click.command("qualify")
@click.argument("file", type=FILE)
@click.option("--checklist", type=FILE, help="Without it the city package's camera_checklist.yaml.")
@click.option("--out", type=NEW_FILE, help="Write those not refused as a device file for `cityops estate import`.")
@_AT
@_JSON
@_RUN
def qualify(
    file: Path, checklist: Path | None, out: Path | None, at: datetime | None, as_json: bool, run_name: str
) -> None:
    """Judge the third parties' cameras that FILE declares (CSV with a header, or JSON) against the checklist.

    Every camera is qualified, conditional or refused, with every reason and the last day on which it may be used.
    Exit status 1 if any is refused.

    \b
    Examples:
      cityops estate qualify declared.csv
      cityops estate qualify declared.csv --out cameras.csv && cityops estate import cameras.csv
    """
    from processors.qualification import FILE as CHECKLIST
    from processors.qualification import Verdict, device_file, judge, read_checklist, read_declarations

    today = _day(at, run_name)
    listed = read_checklist(checklist or _of_package(run_name, CHECKLIST))
    if today < listed.valid_from:
        raise UsageError(f"version {listed.version} of the checklist holds from {listed.valid_from} on, not on {today}")
    try:
        declared = read_declarations(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name} is not UTF-8 text: save it as that") from error
    found = [judge(one, listed, today) for one in declared]
    if out is not None:
        out.write_text(device_file(declared, found), encoding="utf-8")
    counts = Counter(one.verdict for one in found)
    if as_json:
        told = {"checklist": listed.version, "on": today, "verdicts": dict(counts), "cameras": found}
        click.echo(json_text(msgspec.to_builtins(told)))
    else:
        _show_judgements(found)
        told_counts = ", ".join(f"{counts[one]:,} {one}" for one in Verdict)
        click.echo(f"{told_counts} by checklist {listed.version} on {today}")
    sys.exit(1 if counts[Verdict.REFUSED] else 0)


def _estate(
    run_name: str, package_only: bool, planned: Path | None, at: datetime
) -> tuple["City", list[DeviceRegistration]]:
    """Return the city and its working cameras at a moment."""
    from processors.coverage import works
    from processors.enrolment import of_package, whole_estate
    from streams.estate import read_registry

    city, at_ms = run_city(_offline(run_name)), int(at.timestamp() * 1000)
    if package_only:
        found = {name: of_package(one) for name, one in city.cameras.items()}
    else:
        settings = settings_of(run_name)
        registry = read_registry(settings, codec_of(settings))
        found = {one.registration.device_id: one.registration for one in whole_estate(city, registry)}
    found |= {one.device_id: one for one in ([] if planned is None else _planned(planned))}
    return city, [one for one in found.values() if works(one, at_ms)]


def _offline(run_name: str) -> Settings:
    """Return the settings of a run without asking any server."""
    settings = settings_from_env()
    return settings.with_run(run_name, run_name) if run_name else settings


def _planned(file: Path) -> list[DeviceRegistration]:
    from processors.placement import read_placement

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name} is not UTF-8 text: save it as that") from error
    listed, refused = read_placement(lines, default_kind=DeviceKind.CAMERA)
    if refused:
        raise UsageError(f"{file.name} line {refused[0].line}: {refused[0].reason}")
    return [one.registration for one in listed]


def _of_package(run_name: str, name: str) -> Path:
    path = _offline(run_name).city / name
    if not path.is_file():
        raise UsageError(f"the city package {path.parent.name} has no {name}: give a file (docs/estate.md)")
    return path


def _day(at: datetime | None, run_name: str) -> date:
    """Return the day that was given, or today in the city."""
    return datetime.now(city_zone(_offline(run_name))).date() if at is None else at.date()


def _bar(share: float | None) -> Text:
    """Return a bar and its share, in a colour that says how good that is."""
    if share is None:
        return Text("none known", style="bright_black")
    colour = "green" if share >= GOOD else "yellow" if share >= FAIR else "dark_orange" if share >= POOR else "red"
    filled = round(share * BAR)
    return Text.assemble(("█" * filled, colour), ("░" * (BAR - filled), "bright_black"), f" {share:6.1%}")


def _row(one: "UnitCoverage", name: str) -> tuple[str | Text, ...]:
    venues = f"{one.venues_seen} of {one.venues}" if one.venues else ""
    return name, one.kind, str(one.cameras), _bar(one.street_share), f"{one.street_m / 1000:.1f}", venues


def _told(one: "UnitCoverage") -> dict[str, Any]:
    shares = {"street_share": one.street_share, "venue_share": one.venue_share}
    return {**msgspec.to_builtins(one), **shares}


def _phase_told(one: "PhaseProgress") -> dict[str, Any]:
    units = [{**msgspec.to_builtins(unit), "share": unit.share} for unit in one.units]
    return {**one.phase.model_dump(mode="json"), "progress": units}


def _show_phase(one: "PhaseProgress", show_all: bool) -> None:
    from processors.rollout import Standing

    colours = {Standing.REACHED: "green", Standing.MISSING: "yellow", Standing.OVERDUE: "red"}
    console = terminal()
    console.print(f"\n{one.phase.title}: {one.phase.share:.0%} of {one.phase.cover} by {one.phase.due}", style="bold")
    counts = [(standing, one.count(standing)) for standing in Standing]
    console.print(
        Text(", ").join(
            Text(f"{count:,} {standing}", style=colours.get(standing, "bright_black"))
            for standing, count in counts
            if count
        )
        or "no units"
    )
    shown = [unit for unit in one.units if show_all or unit.standing in (Standing.MISSING, Standing.OVERDUE)]
    if shown:
        table = Table(folded("unit"), whole("seen"), "standing")
        for unit in sorted(shown, key=lambda unit: unit.share or 0.0):
            table.add_row(unit.name, _bar(unit.share), Text(unit.standing, style=colours.get(unit.standing, "")))
        console.print(table)


def _show_judgements(found: Sequence["Judgement"]) -> None:
    colours = {"qualified": "green", "conditional": "yellow", "refused": "red"}
    table = Table(folded("camera"), "verdict", "until", "reasons")
    for one in found:
        reasons = "\n".join(each.reason for each in one.failing)
        verdict = Text(one.verdict, style=colours[one.verdict])
        table.add_row(one.camera_id, verdict, str(one.qualified_until or ""), reasons)
    terminal().print(table)
