"""cityops incidents: what the city's incidents are, how each came to be, and what operators decide about them."""

import getpass
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import Decision, Incident, IncidentChange, IncidentState
from streams import topics
from streams.cli.options import SECONDS, OneOf
from streams.cli.showing import city_zone, codec_of, json_text, local_time, settings_of, whole
from streams.cli.terminal import terminal
from streams.settings import Settings
from streams.span import load_span

OVER: Final = (IncidentState.CLOSED, IncidentState.WITHDRAWN)


@click.group()
def incidents() -> None:
    """List incidents, show one with all its revisions and evidence, and decide about one."""


@incidents.command("list")
@click.option("--kind", default=None, help="Only of this kind, such as crash.")
@click.option("--state", type=OneOf(IncidentState), help="Only in this state.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print the incidents, whole, as JSON.")
def list_incidents(kind: str | None, state: str | None, run_name: str, as_json: bool) -> None:
    """List the current state of every incident, the newest last.

    \b
    Examples:
      cityops incidents list --kind fire --state confirmed
      cityops incidents list --json
    """
    settings = settings_of(run_name)
    wanted = None if state is None else IncidentState(state)
    found = [
        one
        for one in read_incidents(settings, codec_of(settings))
        if kind in (None, one.kind) and wanted in (None, one.state)
    ]
    if as_json:
        click.echo(json_text(found))
        return
    zone = city_zone(settings)
    table = Table(whole("incident"), "opened", "kind", "state", "severity", "place", "lines", "evidence")
    for one in found:
        state_shown = ", ".join(
            [one.state.lower(), *["provisional"] * one.provisional, *_acknowledged(one), *_assigned(one)]
        )
        lines = ", ".join(dict.fromkeys(line.line_name or line.line_id for line in one.lines))
        told = f"{len(one.evidence)} by {one.witnesses}"
        opened = local_time(one.opened_at_ms, zone)
        table.add_row(one.incident_id, opened, _kind(one), state_shown, one.severity.lower(), one.place, lines, told)
    console = terminal()
    console.print(table)
    console.print(f"{len(found):,} incidents")


@incidents.command("show")
@click.argument("incident_id", metavar="ID")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print every revision as JSON.")
def show_incident(incident_id: str, run_name: str, as_json: bool) -> None:
    """Show one incident (the beginning of its id is enough): every revision with its reasons, evidence, lines, trips.

    \b
    Example:
      cityops incidents show i-0011223344556677
    """
    settings = settings_of(run_name)
    codec = codec_of(settings)
    revisions = read_revisions(
        settings, codec, named_incident(read_incidents(settings, codec), incident_id).incident_id
    )
    if as_json:
        click.echo(json_text(revisions))
        return
    zone = city_zone(settings)
    console = terminal()
    now = revisions[-1].incident
    console.print(f"{now.incident_id}: {_kind(now)}, {now.state.lower()}, {now.severity.lower()}", style="bold")
    console.print(f"{now.place} ({now.unit_name}), {now.latitude_deg:.5f}, {now.longitude_deg:.5f}")
    console.print(f"opened {local_time(now.opened_at_ms, zone)}, rule {now.rule_id} of {now.rules_version}")
    if now.assigned_to:
        console.print(f"assigned to {now.assigned_to}")
    if now.replaces:
        console.print(f"replaces {', '.join(now.replaces)}")
    if now.merged_into:
        console.print(f"merged into {now.merged_into}")
    console.print(_revisions_table(revisions, zone))
    if now.actions:
        console.print(_actions_table(now, zone))
    console.print(_evidence_table(now, zone))
    if now.lines:
        console.print(_lines_table(now))
    for trip in now.due_trips:
        due = local_time(trip.due_at_ms, zone)
        console.print(f"trip of line {trip.line_id} due at stop {trip.stop_id} at {due} {trip.trip_id}".rstrip())


def _acting(command: Callable[..., None]) -> Callable[..., None]:
    """Add what all decisions take."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--json", "as_json", is_flag=True, help="Print the action and the incident as JSON."),
        click.option(
            "--wait", "wait_s", type=SECONDS, default="8s", show_default=True, help="How long to wait for its effect."
        ),
        click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one."),
        click.option("--note", default="", help="Why; it is shown with the incident."),
        click.option("--operator", default=None, metavar="NAME", help="Who decides; without it the login name."),
        click.argument("incident_id", metavar="INCIDENT"),
    )
    for option in options:
        command = option(command)
    return command


@incidents.command("acknowledge")
@_acting
def acknowledge(incident_id: str, **taken: Any) -> None:
    """Say that somebody has seen an incident; its state stays as it is. The beginning of its id suffices.

    \b
    Example:
      cityops incidents acknowledge i-0011 --operator Lan
    """
    _decide(Decision.ACKNOWLEDGE, incident_id, **taken)


@incidents.command("confirm")
@_acting
def confirm(incident_id: str, **taken: Any) -> None:
    """Say that an incident is real, though its evidence alone may not. The beginning of its id suffices.

    \b
    Example:
      cityops incidents confirm i-0011 --note "seen on CAM-12"
    """
    _decide(Decision.CONFIRM, incident_id, **taken)


@incidents.command("dismiss")
@_acting
def dismiss(incident_id: str, **taken: Any) -> None:
    """Say that an incident is none; more of the same evidence leaves it so. The beginning of its id suffices.

    \b
    Example:
      cityops incidents dismiss i-0011 --operator Lan --note fireworks
    """
    _decide(Decision.DISMISS, incident_id, **taken)


@incidents.command("resolve")
@_acting
def resolve(incident_id: str, **taken: Any) -> None:
    """Say that an incident is over; later evidence opens it again. The beginning of its id suffices.

    \b
    Example:
      cityops incidents resolve i-0011 --note "towed away"
    """
    _decide(Decision.RESOLVE, incident_id, **taken)


@incidents.command("assign")
@click.option("--to", "assignee", required=True, metavar="WHOM", help="The agency or person who shall see to it.")
@_acting
def assign(incident_id: str, assignee: str, **taken: Any) -> None:
    """Say who shall see to an incident; its state stays as it is. The beginning of its id suffices.

    \b
    Example:
      cityops incidents assign i-0011 --to "Traffic police, team 4"
    """
    _decide(Decision.ASSIGN, incident_id, assignee=assignee, **taken)


@incidents.command("comment")
@_acting
def comment(incident_id: str, **taken: Any) -> None:
    """Leave a note with an incident; its state stays as it is. The beginning of its id suffices.

    \b
    Example:
      cityops incidents comment i-0011 --note "the lane is free again at noon"
    """
    _decide(Decision.COMMENT, incident_id, **taken)


def _decide(
    decision: Decision,
    incident_id: str,
    *,
    operator: str | None,
    note: str,
    run_name: str,
    wait_s: float,
    as_json: bool,
    assignee: str = "",
) -> None:
    """Send a decision, wait for the revision that folds it in, and show it."""
    from streams.actions import published_so_far, submit, wait_folded

    settings = settings_of(run_name)
    if load_span(settings.home, settings.run) is not None:
        raise UsageError(f"{settings.run} is a replay: it takes what was decided from the run it replays")
    operator = login_name() if operator is None else operator
    codec = codec_of(settings)
    named = open_incident(read_incidents(settings, codec), incident_id)
    begin = published_so_far(settings)
    action = submit(settings, codec, named.incident_id, decision, operator, note, assignee)
    change = wait_folded(settings, codec, action, begin, wait_s)
    if as_json:
        click.echo(json_text({"action": action, "incident": None if change is None else change.incident}))
        return
    if change is None:
        click.echo(
            f"{action.action_id} is queued: no worker has folded it in within {wait_s:.0f} s "
            "(`cityops up` starts one); it counts as soon as one does"
        )
        return
    one = change.incident
    click.echo(f"{one.incident_id}, revision {one.revision}: {_kind(one)}, {one.state.lower()}, {one.severity.lower()}")
    click.echo("; ".join(change.reasons))


def login_name() -> str:
    """Return who is at the keyboard. Raises UsageError when the machine does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError("this login has no name: say with --operator who decides") from error


def named_incident(every: Sequence[Incident], beginning: str) -> Incident:
    """Return the incident that an id, or the beginning of one, names.

    Raises UsageError when it names none or several.
    """
    found = [one for one in every if one.incident_id.startswith(beginning)]
    whole = [one for one in found if one.incident_id == beginning] or found
    if len(whole) > 1:
        raise UsageError(f"{beginning!r} begins the ids of {len(whole)} incidents: give more of it")
    if not whole:
        raise UsageError(f"there is no incident {beginning}: `cityops incidents list` shows those there are")
    return whole[0]


def open_incident(every: Sequence[Incident], beginning: str) -> Incident:
    """Return the open incident that an id, or the beginning of one, names, followed to what it went on as.

    Raises UsageError when it names none, several, or one that is over.
    """
    by_id = {one.incident_id: one for one in every}
    found = [one for one in every if one.incident_id.startswith(beginning)]
    found = [by_id[beginning]] if beginning in by_id else found
    ends = {}
    for one in found:
        while one.state is IncidentState.WITHDRAWN and one.merged_into in by_id:
            one = by_id[one.merged_into]
        ends[one.incident_id] = one
    standing = [one for one in ends.values() if one.state not in OVER]
    if len(standing) == 1:
        return standing[0]
    if standing:
        raise UsageError(f"{beginning!r} begins the ids of {len(standing)} open incidents: give more of it")
    if found:
        raise UsageError(f"{found[-1].incident_id} is {ends.popitem()[1].state.lower()}: nothing is left to decide")
    raise UsageError(f"there is no incident {beginning}: `cityops incidents list` shows those there are")


def read_incidents(settings: Settings, codec: Codec) -> list[Incident]:
    """Return the newest revision of every incident on incidents.v1, in the order in which they opened."""
    from streams.reading import reading

    newest: dict[str, Incident] = {}
    with reading(settings) as log:
        for message in log.read(topics.INCIDENTS, {}, log.end([topics.INCIDENTS])):
            if message.value is None:
                newest.pop((message.key or b"").decode(), None)
                continue
            one = codec.read(message.value, Incident)
            known = newest.get(one.incident_id)
            if known is None or known.revision <= one.revision:
                newest[one.incident_id] = one
    return sorted(newest.values(), key=lambda one: (one.opened_at_ms, one.incident_id))


def read_revisions(settings: Settings, codec: Codec, incident_id: str) -> list[IncidentChange]:
    """Return every revision of one incident on incident.changes.v1, each once, in their order."""
    from streams.reading import reading

    found: dict[int, IncidentChange] = {}
    with reading(settings) as log:
        for message in log.read(topics.CHANGES, {}, log.end([topics.CHANGES])):
            if message.key == incident_id.encode() and message.value is not None:
                change = codec.read(message.value, IncidentChange)
                found.setdefault(change.incident.revision, change)
    return [found[revision] for revision in sorted(found)]


def _revisions_table(revisions: list[IncidentChange], zone: ZoneInfo) -> Table:
    table = Table("revision", "at", "change", "state", "score", "evidence", "reasons")
    for one in revisions:
        incident = one.incident
        table.add_row(
            str(incident.revision),
            local_time(one.tick_ms, zone),
            one.change.lower(),
            incident.state.lower(),
            f"{incident.score:.2f}",
            str(len(incident.evidence)),
            "; ".join(one.reasons),
        )
    return table


def _kind(one: Incident) -> str:
    return f"EXERCISE {one.kind}" if one.exercise else one.kind


def _acknowledged(one: Incident) -> list[str]:
    return ["acknowledged"] if any(each.decision is Decision.ACKNOWLEDGE for each in one.actions) else []


def _assigned(one: Incident) -> list[str]:
    return [f"assigned to {one.assigned_to}"] if one.assigned_to else []


def _actions_table(incident: Incident, zone: ZoneInfo) -> Table:
    table = Table("action", "at", "decision", "operator", "to", "note", "about")
    for one in incident.actions:
        about = "" if one.incident_id == incident.incident_id else one.incident_id
        at = local_time(one.at_ms, zone)
        table.add_row(one.action_id, at, one.decision.lower(), one.operator, one.assignee, one.note, about)
    return table


def _evidence_table(incident: Incident, zone: ZoneInfo) -> Table:
    table = Table("evidence", "at", "kind", "device", "score", "weight", "distance", "snapshot")
    for one in incident.evidence:
        at = datetime.fromtimestamp(one.at_ms / 1000, zone).strftime("%H:%M:%S.%f")[:-3]
        table.add_row(
            one.observation_id,
            at,
            one.kind,
            one.device_id,
            f"{one.score:.2f}",
            f"{one.weight:.2f}",
            f"{one.distance_m:.0f} m",
            one.snapshot_url,
        )
    return table


def _lines_table(incident: Incident) -> Table:
    table = Table("line", "name", "direction", "distance")
    for one in incident.lines:
        direction = "" if one.direction_id < 0 else str(one.direction_id)
        table.add_row(one.line_id, one.line_name, direction, f"{one.distance_m:.0f} m")
    return table
