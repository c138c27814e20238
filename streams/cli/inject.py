"""cityops simulate inject: an exercise in the live topics."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from schemas.records import IncidentChange, IncidentState
from streams.cli.showing import city_zone, codec_of, json_text, local_time, run_city, settings_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from processors.simulate.inject import Cue

KINDS: Final = ("crash", "explosion", "fire", "gas_leak", "person_down", "person_in_water")
WAIT_S: Final = 30.0
BANNER: Final = "EXERCISE"


class Place(click.ParamType):
    """A place as LAT,LON in degrees."""

    name = "lat,lon"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return (latitude, longitude) in degrees."""
        if isinstance(value, tuple):
            return value
        try:
            latitude_deg, longitude_deg = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a place: write latitude,longitude such as 21.0285,105.8542", param, ctx)
        return latitude_deg, longitude_deg


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--at", "place", type=Place(), required=True, help="Where, in degrees: 21.0285,105.8542.")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Of its small variations.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print what was sent and the incident as JSON.")
def inject(kind: str, place: tuple[float, float], seed: int, dry_run: bool, run_name: str, as_json: bool) -> None:
    """Play an exercise: devices that do not exist report an incident, and it opens marked as one.

    Their ids begin with `exercise:`; what rests on them never mixes with what is real. Exit status 1 when no incident
    is confirmed within half a minute.

    \b
    Examples:
      cityops simulate inject crash --at 21.0285,105.8542
      cityops simulate inject fire --at 21.0285,105.8542 --dry-run
    """
    from processors.simulate.inject import exercise
    from streams import topics
    from streams.exercise import changes_of, event_time_ms, send_cues
    from streams.reading import reading

    settings = settings_of(run_name)
    codec, city, zone = codec_of(settings), run_city(settings), city_zone(settings)
    at_ms = event_time_ms(settings, codec)
    cues = exercise(kind, *place, at_ms, seed, city)
    console = Console(stderr=as_json, highlight=False, soft_wrap=True, markup=False, emoji=False)
    console.print(f"{BANNER}: {kind}, {city.place_in_words(*place)}, {local_time(at_ms, zone)}", style="bold")
    if dry_run:
        for cue in cues:
            console.print(_words(cue), markup=False)
        console.print(f"{len(cues)} records would be sent over {cues[-1].after_ms / 1000:.0f} s")
        return
    with reading(settings) as log:
        begin = log.end([topics.CHANGES])
        send_cues(settings, codec, cues, lambda cue: console.print(_words(cue), markup=False))
        devices = frozenset(cue.sent.key for cue in cues)
        console.print(f"{len(cues)} records sent; waiting for the incident")
        changes = _until_confirmed(changes_of(log, codec, begin, devices, WAIT_S), console, zone)
    if as_json:
        sent = [{"after_ms": cue.after_ms, "topic": cue.sent.topic, "record": _plain(cue.sent.record)} for cue in cues]
        click.echo(json_text({"exercise": True, "sent": sent, "changes": changes}))
    confirmed = bool(changes) and changes[-1].incident.state is IncidentState.CONFIRMED
    if not confirmed:
        what = "the incident is not confirmed" if changes else "no incident opened"
        click.echo(f"{what} within {WAIT_S:.0f} s: is a worker running (`cityops up`)?", err=True)
    sys.exit(0 if confirmed else 1)


def _until_confirmed(found: Iterable[IncidentChange], console: Console, zone: "ZoneInfo") -> list[IncidentChange]:
    """Print the revisions of ordered incidents as they come, up to the one that confirms."""
    changes: list[IncidentChange] = []
    for change in found:
        one = change.incident
        mark = BANNER if one.exercise else "NOT MARKED AS AN EXERCISE"
        state = f"{one.state.lower()}{', provisional' if one.provisional else ''}"
        console.print(
            f"{mark}: {one.incident_id} revision {one.revision}: {one.kind} {state}, {one.severity.lower()}, "
            f"{one.place}, tick {local_time(change.tick_ms, zone)}",
            style="bold",
        )
        for reason in change.reasons:
            console.print(f"  {reason}", markup=False)
        changes.append(change)
        if one.state is IncidentState.CONFIRMED and not one.provisional:
            break
    return changes


def _words(cue: "Cue") -> str:
    return f"  {cue.after_ms / 1000:4.1f} s  {cue.sent.key} {cue.words}"


def _plain(record: Any) -> dict[str, Any]:
    return {name: value for name in record.__slots__ if (value := getattr(record, name)) == value}
