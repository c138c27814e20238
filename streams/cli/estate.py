"""cityops estate: the devices of the city, and a registry of them that takes effect without a restart."""

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.progress import Progress
from rich.table import Table

from schemas.errors import CityopsError, UsageError
from schemas.records import DeviceKind, DeviceRegistration
from streams.cli.estate_plans import qualify, show_coverage, show_rollout
from streams.cli.options import FILE
from streams.cli.showing import city_zone, codec_of, folded, json_text, local_time, run_city, settings_of, unit_named
from streams.cli.terminal import terminal
from streams.settings import Settings

if TYPE_CHECKING:
    from processors.enrolment import EstateDevice, Line

KINDS: Final = tuple(kind.lower() for kind in DeviceKind)
SHOWN: Final = 20
"""Refused lines that are printed; --json has them all."""

_RUN = click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")


@click.group()
def estate() -> None:
    """The devices of the city: those of its package, and those registered since.

    \b
    Example:
      cityops estate import cameras.csv --kind camera
    """


@estate.command("import")
@click.argument("file", type=FILE)
@click.option("--kind", type=click.Choice(KINDS), help="Of devices whose lines do not tell.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the fate of every line as JSON.")
@_RUN
def import_devices(file: Path, kind: str | None, dry_run: bool, as_json: bool, run_name: str) -> None:
    """Register the devices that FILE lists: CSV with a header, GeoJSON points, or YAML like a city package's devices.

    Takes effect with the next tick; what was refused as unplaced in the last minutes is then sent again by the worker.
    Every line is imported, unchanged or refused with a reason. Exit status 1 if any is refused.

    \b
    Examples:
      cityops estate import cameras.csv --kind camera
      cityops estate import sensors.geojson --dry-run
    """
    from processors.enrolment import Fate, enrol
    from processors.placement import read_placement
    from streams.estate import now_ms, read_registry, send_registrations

    settings = _writable(settings_of(run_name))
    codec, console = codec_of(settings), terminal(stderr=True)
    with console.status(f"reading {file.name}"):
        listed, refused = read_placement(_lines(file), default_kind=DeviceKind[kind.upper()] if kind else None)
        lines = enrol(listed, refused, read_registry(settings, codec), run_city(settings), now_ms())
    fresh = [line.registration for line in lines if line.registration is not None]
    if not dry_run:
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("registering", total=len(fresh))
            send_registrations(settings, codec, fresh, lambda sent: progress.update(bar, completed=sent))
    _report(lines, dry_run, as_json)
    sys.exit(1 if any(line.fate is Fate.REFUSED for line in lines) else 0)


@estate.command("retire")
@click.argument("device_ids", metavar="[ID...]", nargs=-1)
@click.option("--expired", "with_expired", is_flag=True, help="Third parties' cameras whose qualification has ended.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@_RUN
def retire_devices(device_ids: Sequence[str], with_expired: bool, dry_run: bool, run_name: str) -> None:
    """Take devices out of the estate: from the next tick on their records without a place of their own are unplaced.

    What they claimed before still counts: `cityops estate revoke` is for devices that were wrong.

    \b
    Examples:
      cityops estate retire CAM-0042
      cityops estate retire --expired
    """
    from processors.enrolment import expired, retired

    if not device_ids and not with_expired:
        raise UsageError("name the devices to retire, or give --expired")
    change = _Change(run_name, dry_run)
    names = dict.fromkeys([*device_ids, *(expired(change.registry, change.at_ms) if with_expired else ())])
    change.send({one: retired(one, change.registry, change.city, change.at_ms) for one in names}, "retire", "retired")


@estate.command("revoke")
@click.argument("device_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@_RUN
def revoke_devices(device_ids: Sequence[str], dry_run: bool, run_name: str) -> None:
    """Take cameras and sensors that were broken or not to be used out of the estate, and their evidence back.

    With the next tick, what they claimed no longer counts in any incident that is not closed; whatever they send
    is refused as unplaced. Importing a device again ends that, but what was taken back stays so.

    \b
    Example:
      cityops estate revoke CAM-0042
    """
    from processors.enrolment import revoked

    change = _Change(run_name, dry_run)
    told = {one: revoked(one, change.registry, change.city, change.at_ms) for one in device_ids}
    change.send(told, "revoke", "revoked")


class _Change:
    """A change of some devices of a run's registry."""

    def __init__(self, run_name: str, dry_run: bool) -> None:
        from streams.estate import now_ms, read_registry

        self._settings, self._dry_run = _writable(settings_of(run_name)), dry_run
        self._codec, self.city = codec_of(self._settings), run_city(self._settings)
        self.registry, self.at_ms = read_registry(self._settings, self._codec), now_ms()

    def send(self, found: Mapping[str, DeviceRegistration | None], does: str, did: str) -> None:
        """Send the registrations, if none is missing, and say so."""
        from streams.estate import send_registrations

        missing = [device_id for device_id, one in found.items() if one is None]
        if missing:
            raise UsageError(f"{missing[0]} is not part of the estate: `cityops estate list` shows what is")
        if not self._dry_run:
            send_registrations(self._settings, self._codec, [one for one in found.values() if one is not None])
        click.echo(f"{f'would {does}' if self._dry_run else did}: {', '.join(found) or 'none'}")


@estate.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind.")
@click.option("--unit", help="Only in this unit: its code or name.")
@click.option("--owner", help="Only of this owner.")
@click.option("--retired", "with_retired", is_flag=True, help="Retired ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Show so many.")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON.")
@_RUN
def list_devices(
    kind: str | None, unit: str | None, owner: str | None, with_retired: bool, limit: int, as_json: bool, run_name: str
) -> None:
    """List the devices of the city package and the registry, with who says that they are there.

    \b
    Examples:
      cityops estate list --kind camera --unit "Hoàn Kiếm"
      cityops estate list --owner "Cửa Nam ward" --json
    """
    from processors.enrolment import whole_estate
    from streams.estate import read_registry

    settings = settings_of(run_name)
    city = run_city(settings)
    names = {one.unit_code: one.name for one in city.units}
    unit_code = None if unit is None else unit_named(city, unit).unit_code
    found = [
        one
        for one in whole_estate(city, read_registry(settings, codec_of(settings)))
        if kind in (None, one.registration.kind.lower())
        and unit_code in (None, one.unit_code)
        and owner in (None, one.registration.owner)
        and (with_retired or not one.registration.retired)
    ]
    if as_json:
        click.echo(json_text([_told(one, names) for one in found]))
        return
    table = Table(folded("device"), "kind", "place", "unit", "owner", "what", "origin")
    for one in found[:limit]:
        place, what = _place(one.registration), _what(one.registration)
        unit_name = names.get(one.unit_code, "")
        table.add_row(
            one.registration.device_id, _kind(one), place, unit_name, one.registration.owner, what, one.origin
        )
    console = terminal()
    console.print(table)
    counts = Counter(one.registration.kind.lower() for one in found)
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
    console.print(f"{len(found):,} devices, {min(limit, len(found)):,} shown: {told}", highlight=False)


@estate.command("show")
@click.argument("device_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@_RUN
def show_device(device_id: str, as_json: bool, run_name: str) -> None:
    """Show one device: what is known of it, when its records were last used, and what is refused for want of a place.

    \b
    Example:
      cityops estate show CAM-0042
    """
    from processors.enrolment import whole_estate
    from streams.estate import read_registry
    from streams.estate_activity import activity_of

    settings = settings_of(run_name)
    codec, city = codec_of(settings), run_city(settings)
    every = whole_estate(city, read_registry(settings, codec))
    one = next((one for one in every if one.registration.device_id == device_id), None)
    activity = activity_of(settings, codec, device_id)
    if one is None and activity.silent:
        raise CityopsError(f"{device_id} is not part of the estate, and nothing was heard of it")
    told: dict[str, Any] = {"device_id": device_id, "origin": "not registered"}
    if one is not None:
        told = _told(one, {unit.unit_code: unit.name for unit in city.units})
    told |= {"last_used_ms": activity.last_used_ms, "records_used": activity.used, "unplaced": activity.unplaced}
    if as_json:
        click.echo(json_text(told))
        return
    zone = city_zone(settings)
    for name, value in told.items():
        if name.endswith("_ms") and value:
            name, value = name.removesuffix("_ms").removesuffix("_at"), local_time(value, zone)
        if value not in (None, "", (), 0, False):
            click.echo(f"{name.replace('_', ' ')}: {', '.join(value) if isinstance(value, tuple) else value}")
    if activity.unplaced:
        click.echo("its records wait for a place: `cityops estate import FILE` gives it one")


for _one in (show_coverage, show_rollout, qualify):
    estate.add_command(_one)


def _writable(settings: Settings) -> Settings:
    from streams.span import load_span

    if settings.run and load_span(settings.home, settings.run) is not None:
        raise UsageError(f"{settings.run} is a replay and has no estate of its own: change that of the run it read")
    return settings


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.name} is not UTF-8 text: save it as that") from error


def _report(lines: Sequence["Line"], dry_run: bool, as_json: bool) -> None:
    from processors.enrolment import Fate

    counts = Counter(line.fate for line in lines)
    if as_json:
        told = [
            {"line": line.line, "fate": line.fate, "device_id": line.device_id, "reason": line.reason} for line in lines
        ]
        click.echo(json_text({"dry_run": dry_run, "fates": dict(counts), "lines": told}))
        return
    refused = [line for line in lines if line.reason]
    for line in refused[:SHOWN]:
        click.echo(f"line {line.line}: {line.reason}", err=True)
    if len(refused) > SHOWN:
        click.echo(f"... and {len(refused) - SHOWN:,} more refused (--json has them all)", err=True)
    words = "would be imported" if dry_run else "imported"
    click.echo(
        f"{counts[Fate.IMPORTED]:,} {words}, {counts[Fate.UNCHANGED]:,} unchanged, {counts[Fate.REFUSED]:,} refused "
        f"of {len(lines):,} devices"
    )


def _told(one: "EstateDevice", unit_names: dict[str, str]) -> dict[str, Any]:
    held = one.registration
    return {
        "device_id": held.device_id,
        "kind": held.kind.lower(),
        "origin": one.origin,
        "retired": held.retired,
        "revoked": held.revoked,
        "qualified_until_ms": held.qualified_until_ms or None,
        "registered_at_ms": held.registered_at_ms or None,
        "latitude_deg": None if math.isnan(held.latitude_deg) else held.latitude_deg,
        "longitude_deg": None if math.isnan(held.longitude_deg) else held.longitude_deg,
        "bearing_deg": None if held.bearing_deg < 0 else held.bearing_deg,
        "view_deg": held.view_deg or None,
        "range_m": held.range_m or None,
        "unit_code": one.unit_code,
        "unit_name": unit_names.get(one.unit_code, ""),
        "name": held.name,
        "owner": held.owner,
        "quantities": held.quantities,
        "host_camera_id": held.host_camera_id,
        "vehicle_class": "" if held.kind is not DeviceKind.VEHICLE else str(held.vehicle_class),
        "line_id": held.line_id,
        "operator_id": held.operator_id,
    }


def _kind(one: "EstateDevice") -> str:
    held = one.registration
    return f"{held.kind.lower()}{' (revoked)' if held.revoked else ' (retired)' if held.retired else ''}"


def _place(one: DeviceRegistration) -> str:
    return "" if math.isnan(one.latitude_deg) else f"{one.latitude_deg:.5f}, {one.longitude_deg:.5f}"


def _what(one: DeviceRegistration) -> str:
    words = [*one.quantities, f"line {one.line_id}" if one.line_id else "", one.name]
    words.append(f"on {one.host_camera_id}" if one.host_camera_id else "")
    return ", ".join(word for word in words if word)
