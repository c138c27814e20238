"""cityops rejected: what was refused, and why."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from schemas import records
from schemas.codec import Codec
from schemas.errors import CityopsError, Reason, Rejected
from streams import topics
from streams.cli.options import MOMENT, SECONDS, OneOf
from streams.cli.showing import city_zone, codec_of, folded, json_text, local_time, run_city, settings_of, whole
from streams.cli.terminal import terminal
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.resend import Plan, Policy, Sent

SHOWN_BYTES: Final = 1_024
HEX_WIDTH: Final = 16
TOPICS: Final = tuple(topic.name for topic in topics.INPUTS)


@click.group()
def rejected() -> None:
    """List and show the records that were refused, with the reason and the original bytes, and send them again."""


@rejected.command("list")
@click.option("--reason", type=OneOf(Reason), help="Only of this reason.")
@click.option("--topic", type=click.Choice(TOPICS), help="Only of this input topic.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="The newest so many.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print counts by reason and the records as JSON.")
def list_rejected(reason: str | None, topic: str | None, limit: int, run_name: str, as_json: bool) -> None:
    """List the newest refused records.

    \b
    Examples:
      cityops rejected list --reason late --limit 10
      cityops rejected list --json
    """
    settings = settings_of(run_name)
    codec = codec_of(settings)
    every, copies = read_rejected(settings, codec), read_copies(settings, codec)
    found = [one for one in every if reason in (None, one.reason) and topic in (None, one.source_topic)]
    counts = dict(Counter(one.reason for one in found).most_common())
    if as_json:
        shown = [_summary(one, copies) for one in found[-limit:]]
        click.echo(json_text({"reasons": counts, "records": shown}))
        return
    table = Table(whole("record"), "decided at", "reason", "key", "first error", folded("sent again as"))
    zone = city_zone(settings)
    for one in found[-limit:]:
        key = "" if one.key is None else one.key[:40].decode("utf-8", "replace")
        error = one.errors[0] if one.errors else ""
        again = copies.get(place_of(one), "")
        table.add_row(place_of(one), local_time(one.tick_ms, zone), one.reason, key, error[:100], again)
    console = terminal()
    console.print(table)
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
    console.print(f"{len(found):,} records, {min(limit, len(found)):,} shown: {told}")


@rejected.command("show")
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET[/INDEX]")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON, its bytes as base64.")
def show_rejected(place: str, run_name: str, as_json: bool) -> None:
    """Show one refused record: every error, its headers, its bytes, and what can be decoded of them.

    INDEX names a position of a frame that was refused alone.

    \b
    Examples:
      cityops rejected show vehicle.positions.v1/2/1207
      cityops rejected show vehicle.frames.v1/2/311/17
    """
    settings = settings_of(run_name)
    codec = codec_of(settings)
    one = next((one for one in read_rejected(settings, codec) if place_of(one) == place), None)
    if one is None:
        raise CityopsError(f"no record {place} was rejected: `cityops rejected list` shows those that were")
    copies = read_copies(settings, codec)
    if as_json:
        click.echo(json_text({**_summary(one, copies), "decoded": _attempt(codec, one.value), "record": one}))
        return
    click.echo(f"{place}: {one.reason}, decided at {local_time(one.tick_ms, city_zone(settings))}")
    for error in one.errors:
        click.echo(f"  {error}")
    if place in copies:
        click.echo(f"sent again as {copies[place]}")
    click.echo(f"key: {'none' if one.key is None else repr(one.key[:200])}")
    for header in one.headers:
        click.echo(f"header {header.name}: {header.value!r}")
    decoded = _attempt(codec, one.value)
    click.echo(f"decoded: {decoded if isinstance(decoded, str) else json_text(decoded)}")
    click.echo(hex_dump(one.value or b""))


@rejected.command("replay")
@click.option("--reason", "reasons", multiple=True, required=True, type=OneOf(Reason), help="Of this one.")
@click.option("--source-topic", type=click.Choice(TOPICS), help="Only of this input topic.")
@click.option("--from", "from_ms", type=MOMENT, help="Only what was rejected from this moment on.")
@click.option("--to", "to_ms", type=MOMENT, help="Only what was rejected before this moment.")
@click.option(
    "--policy",
    "policy_name",
    required=True,
    type=click.Choice(["stop", "repark", "drop"]),
    help="What to do with a record that would be refused again: stop there, let it be parked anew, or not send it.",
)
@click.option("--again", is_flag=True, help="Also those that were sent again before.")
@click.option("--wait", "wait_s", default="30s", show_default=True, type=SECONDS, help="For the worker's verdicts.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
@click.option("--json", "as_json", is_flag=True, help="Print the fate of every record as JSON.")
def replay_rejected(
    reasons: tuple[str, ...],
    source_topic: str | None,
    from_ms: int | None,
    to_ms: int | None,
    policy_name: str,
    again: bool,
    wait_s: float,
    dry_run: bool,
    run_name: str,
    as_json: bool,
) -> None:
    """Send rejected records again, byte for byte, to the topic they came from, and account for every one.

    Each copy goes to its device's partition and names the first reject in the header cityops-resent-from. What was
    used before is recognised as a duplicate, so doing it twice is harmless. Exit status 1 when --policy stop stopped.

    \b
    Examples:
      cityops rejected replay --reason unplaced --policy drop --dry-run
      cityops rejected replay --reason unknown_schema_id --source-topic vehicle.positions.v1 --policy stop
    """
    from processors.registrations import laid_over
    from streams.estate import read_registry
    from streams.resend import STOPS, Choice, Policy, choose, resend

    settings = settings_of(run_name)
    codec, console, policy = codec_of(settings), terminal(stderr=True), Policy(policy_name)

    def wanted(one: records.Rejected) -> bool:
        inside = (from_ms is None or one.tick_ms >= from_ms) and (to_ms is None or one.tick_ms < to_ms)
        return inside and one.reason in reasons and source_topic in (None, one.source_topic)

    with console.status("looking for them, and whether they would be refused again"):
        city = laid_over(run_city(settings), read_registry(settings, codec).values())
        plan = choose(settings, codec, city, Choice(wanted, again=again))
    _announce(console, settings, plan, policy)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(
            "checking" if dry_run else "sending, then waiting for the worker", total=len(plan.candidates)
        )
        done = resend(settings, codec, plan, policy, wait_s, partial(_moved, progress, bar), dry_run=dry_run)
    if as_json:
        click.echo(json_text(_fates(plan, done)))
    else:
        _print_fates(done, wait_s)
    sys.exit(1 if policy is Policy.STOP and any(one.fate in STOPS for one in done) else 0)


def _announce(console: Console, settings: Settings, plan: "Plan", policy: "Policy") -> None:
    """Say, before anything is sent, what is known of it."""
    console.print(f"{len(plan.candidates):,} rejected records chosen", highlight=False)
    if plan.sent_before:
        console.print(
            f"{plan.sent_before:,} more were sent again before (--again sends them once more)", highlight=False
        )
    why = Counter(one.refusal.reason for one in plan.candidates if one.refusal is not None)
    if why[Reason.LATE]:
        bound = f"{settings.lateness_ms / 60_000:g} min"
        words = f"{why[Reason.LATE]:,} of {len(plan.candidates):,} are older than {bound} and would be refused as late"
        console.print(words, highlight=False)
    if why:
        told = ", ".join(f"{reason} {count:,}" for reason, count in why.most_common())
        console.print(f"{sum(why.values()):,} would be refused again: {told}; policy {policy}", highlight=False)


def _moved(progress: Progress, bar: TaskID, done: int) -> None:
    progress.update(bar, completed=done)


def _fates(plan: "Plan", done: Sequence["Sent"]) -> dict[str, Any]:
    return {
        "chosen": len(done),
        "sent_before": plan.sent_before,
        "fates": dict(Counter(one.fate for one in done)),
        "records": [
            {
                "place": str(one.place),
                "fate": one.fate,
                "to": None if one.to is None else str(one.to),
                "reason": None if one.refusal is None else one.refusal.reason,
                "errors": [one.error] if one.error else [] if one.refusal is None else one.refusal.errors,
            }
            for one in done
        ],
    }


def _print_fates(done: Sequence["Sent"], wait_s: float) -> None:
    """Print one line a fate and reason; the first record of each tells which."""
    from streams.resend import Fate

    console = terminal()
    groups: dict[tuple[str, str], list[Sent]] = {}
    for one in done:
        groups.setdefault((one.fate, one.refusal.reason if one.refusal else ""), []).append(one)
    if groups:
        table = Table("fate", "reason", "records", "the first", "why", title_justify="left")
        table.columns[2].justify = "right"
        for (fate, reason), found in groups.items():
            first = found[0]
            why = first.error or "; ".join(first.refusal.errors if first.refusal else ())
            table.add_row(fate, reason, f"{len(found):,}", str(first.place), why[:120])
        console.print(table)
    counts = Counter(one.fate for one in done)
    told = " + ".join(f"{count:,} {fate}" for fate, count in counts.items()) or "none"
    console.print(f"{len(done):,} = {told}", highlight=False)
    if counts[Fate.WAITING]:
        console.print(f"no worker had decided about {counts[Fate.WAITING]:,} after {wait_s:g} s: is one running?")


def read_rejected(settings: Settings, codec: Codec) -> list[records.Rejected]:
    """Return every rejected record of a run, each once, in the order in which they were rejected."""
    from streams.reading import reading

    found: dict[str, records.Rejected] = {}
    with reading(settings) as log:
        for message in log.read(topics.REJECTED, {}, log.end([topics.REJECTED])):
            one = codec.read(message.value or b"", records.Rejected)
            found.setdefault(place_of(one), one)
    return list(found.values())


def read_copies(settings: Settings, codec: Codec) -> dict[str, str]:
    """Return the place of the newest copy of each reject that was sent again, by the place of the reject."""
    from streams.admin import ensure_topics
    from streams.resend import read_resent

    ensure_topics(settings, (topics.RESENT,))  # a run of an earlier version has none
    return {str(place): str(copy) for place, copy in read_resent(settings, codec).items()}


def place_of(one: records.Rejected) -> str:
    """Return TOPIC/PARTITION/OFFSET of a rejected record, and /INDEX for one position of a frame."""
    row = "" if one.source_index < 0 else f"/{one.source_index}"
    return f"{one.source_topic}/{one.source_partition}/{one.source_offset}{row}"


def hex_dump(value: bytes) -> str:
    """Return the bytes sixteen a line: offset, hex, printable ASCII; of long values the beginning."""
    lines = []
    for at in range(0, min(len(value), SHOWN_BYTES), HEX_WIDTH):
        part = value[at : at + HEX_WIDTH]
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:08x}  {part.hex(' '):<{HEX_WIDTH * 3 - 1}}  |{plain}|")
    if len(value) > SHOWN_BYTES:
        lines.append(f"... {len(value) - SHOWN_BYTES:,} more bytes (--json has them all)")
    return "\n".join(lines) or "no value"


def _attempt(codec: Codec, value: bytes | None) -> str | dict[str, Any]:
    """Return {record, fields}, of a sound frame {record, positions}, or why the bytes cannot be decoded."""
    from processors.framing import positions_of

    try:
        name, found = codec.decode(value)
    except Rejected as error:
        return "; ".join(error.errors)
    if name == records.VehicleFrame.__name__:
        with suppress(ValueError, IndexError):
            return {"record": name, "positions": positions_of(records.VehicleFrame(**found))}
    return {"record": name, "fields": found}


def _summary(one: records.Rejected, copies: Mapping[str, str]) -> dict[str, Any]:
    return {
        "place": place_of(one),
        "tick_ms": one.tick_ms,
        "reason": one.reason,
        "errors": one.errors,
        "key": None if one.key is None else one.key.decode("utf-8", "backslashreplace"),
        "value_bytes": None if one.value is None else len(one.value),
        "sent_again_as": copies.get(place_of(one)),
    }
