"""cityops replay: read a span again, isolated, and compare."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.table import Table

from schemas.errors import UsageError
from streams.cli.options import FOLDER, MOMENT, SECONDS, SPEED
from streams.cli.showing import city_zone, codec_of, json_text, local_time, settings_of
from streams.cli.terminal import terminal
from streams.reach import answering
from streams.settings import LIVE, Settings, settings_from_env
from streams.stack import endpoints

if TYPE_CHECKING:
    from streams.replays import Replay


@click.group(invoke_without_command=True)
@click.option("--from", "from_ms", type=MOMENT, help="Beginning in event time; without it the beginning of the log.")
@click.option("--to", "to_ms", type=MOMENT, help="End in event time; without it the end of the log.")
@click.option("--into", default="", help="Name of the replay.")
@click.option("--source", default=LIVE, show_default=True, help="The run whose log is read.")
@click.option("--warm-up", default="40m", show_default=True, type=SECONDS, help="How much before --from is read too.")
@click.option("--rules", type=FOLDER, help="Replay with other rules.")
@click.option("--speed", default="max", show_default=True, type=SPEED, help="1x, 20x, ... of event time, or max.")
@click.option("--json", "as_json", is_flag=True, help="Print the span that was replayed as JSON.")
@click.pass_context
def replay(
    ctx: click.Context,
    from_ms: int | None,
    to_ms: int | None,
    into: str,
    source: str,
    warm_up: float,
    rules: Path | None,
    speed: float,
    as_json: bool,
) -> None:
    """Read a span of the log again into a run of its own: other topics, checkpoints, database; nothing live changes.

    Times are in the city's zone. The speed decides only how long it takes: results are the same.

    \b
    Examples:
      cityops replay --from 2026-11-22T18:00 --to 2026-11-22T18:30 --into check
      cityops replay --from 2026-11-22T18:00 --into slow --speed 20x
      cityops replay diff live check --json
    """
    if ctx.invoked_subcommand is not None:
        return
    from streams.replay import ReplayOptions, run_replay

    settings = settings_from_env()
    if source != LIVE:
        settings = settings.with_run(source, source)
    console = terminal(stderr=True)
    span = run_replay(settings, ReplayOptions(from_ms, to_ms, into, warm_up, rules, speed), console)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(span)).decode())
        return
    click.echo(f"replayed {span.records:,} records into {into}: `cityops replay diff {source} {into}` compares")


@replay.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the replays as JSON.")
def list_runs(as_json: bool) -> None:
    """List the replays of this home, the oldest first; sizes where the servers answer.

    \b
    Example:
      cityops replay list --json
    """
    from streams.replays import list_replays, sizes_in_clickhouse

    settings = settings_from_env()
    found = list_replays(settings.home)
    servers = _servers(settings)
    sizes = {} if servers is None or not found else sizes_in_clickhouse(servers)
    held = {one.name: sizes.get(settings.with_run(one.name, "").database) for one in found}
    if as_json:
        click.echo(json_text([_told(one, held[one.name]) for one in found]))
        return
    table = Table("replay", "event time", "made, with rules", "state", "size", box=SIMPLE_HEAD)
    zone = city_zone(settings)
    for one in found:
        span, records, made, rules, state, incidents = _row(one, zone)
        size = held[one.name]
        table.add_row(
            one.name,
            span.replace(" to ", "\nto "),
            f"{made}\n{rules}",
            f"{state}\n{incidents} incidents" if incidents else state,
            f"{records} records\n{'' if size is None else decimal(size[1])}",
        )
    console = terminal()
    console.print(table)
    console.print(f"{len(found):,} replays in {settings.home}", highlight=False)


@replay.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show_run(name: str, as_json: bool) -> None:
    """Show one replay: its span, the offsets it read, its rules, how it went, what it takes up.

    \b
    Example:
      cityops replay show check
    """
    from streams.replays import find_replay, size_of

    settings = settings_from_env()
    one = find_replay(settings.home, name)
    servers = _servers(settings)
    size = None if servers is None else size_of(servers, name)
    if as_json:
        held = None if size is None else (size.rows, size.bytes_on_disk)
        click.echo(json_text({**_told(one, held), "parts": one.span.parts}))
        return
    span, records, made, rules, state, incidents = _row(one, city_zone(settings))
    console = terminal(highlight=False)
    console.print(f"{name}: {state}", style="bold")
    console.print(f"event time {span}, {records} records, made {made}, {incidents or 'unknown'} incidents")
    facts = one.facts
    if facts is not None:
        speed = f"{one.span.speed:g}x" if one.span.speed else "max"
        console.print(f"read from {facts.source_run} in {facts.city}, warm-up {facts.warm_up_s:g} s, speed {speed}")
        console.print(f"rules {rules} ({facts.rules_version}), blocks of {facts.block_ms / 1000:g} s")
    if size is not None:
        taken = f"{size.rows:,} rows, {decimal(size.bytes_on_disk)} in ClickHouse"
        console.print(f"{size.topic_offsets:,} records on its own topics, {taken}")
    table = Table("topic", "partition", "from offset", "to offset", "records")
    for part in one.span.parts:
        table.add_row(part.topic, str(part.partition), f"{part.begin:,}", f"{part.end:,}", f"{part.end - part.begin:,}")
    console.print(table)


@replay.command("drop")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop_run(name: str, yes: bool) -> None:
    """Remove a replay: its topics, its database and its files. The live run and a replay under way are refused.

    \b
    Example:
      cityops replay drop check --yes
    """
    from streams.replays import check_droppable, drop_replay
    from streams.session import stack_running

    settings = settings_from_env()
    check_droppable(settings.home, name)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody is there to ask: `cityops replay drop {name} --yes` drops it")
        click.confirm(f"Drop the replay {name}, its topics, its database and its files?", abort=True)
    with stack_running(settings, terminal(stderr=True)) as settings:
        gone = drop_replay(settings, name)
    click.echo(f"dropped {name}: {len(gone)} topics, its database and its files")


def _servers(settings: Settings) -> Settings | None:
    """Return the settings with the servers' addresses, None where they do not run."""
    try:
        return answering(endpoints(settings))
    except UsageError:
        return None


def _told(one: "Replay", held: tuple[int, int] | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": one.state,
        "from_ms": one.span.from_ms,
        "to_ms": one.span.to_ms,
        "records": one.span.records,
        "speed": one.span.speed or None,
        "facts": one.facts,
        "rows": None if held is None else held[0],
        "bytes_on_disk": None if held is None else held[1],
    }


def _row(one: "Replay", zone: ZoneInfo) -> tuple[str, str, str, str, str, str]:
    """Return event time, records, when made, rules, state and incidents, in words."""
    span, facts = one.span, one.facts
    begin, end = local_time(span.from_ms, zone), local_time(span.to_ms, zone)
    until = end.split()[1] if end[:10] == begin[:10] else end
    made = "" if facts is None else local_time(facts.made_at_ms, zone)
    rules = "" if facts is None else facts.rules or "the city's"
    incidents = "" if facts is None or facts.incidents is None else f"{facts.incidents:,}"
    return f"{begin} to {until}", f"{span.records:,}", made, rules, str(one.state), incidents


@replay.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option("--from", "from_ms", type=MOMENT, help="Beginning; without it that of the replay's span.")
@click.option("--to", "to_ms", type=MOMENT, help="End; without it that of the replay's span.")
@click.option("--exit-code", is_flag=True, help="Exit status 1 when they differ, for scripts; otherwise always 0.")
@click.option("--json", "as_json", is_flag=True, help="Print counts, items and evidence as JSON.")
def diff(run_a: str, run_b: str, from_ms: int | None, to_ms: int | None, exit_code: bool, as_json: bool) -> None:
    """Compare the incidents of two runs; `live` is the live one.

    Green was added, red is lost, yellow changed: which field, from what to what, and by which evidence.

    \b
    Examples:
      cityops replay diff live check
      cityops replay diff live check --json --exit-code
    """
    from streams.diff import diff_runs
    from streams.diff_view import render_diff
    from streams.span import load_span

    settings = settings_of("")
    names = ["" if name == LIVE else name for name in (run_a, run_b)]
    spans = [span for span in (load_span(settings.home, name) for name in names) if span is not None]
    begin = from_ms if from_ms is not None else max((span.from_ms for span in spans), default=0)
    end = to_ms if to_ms is not None else min((span.to_ms for span in spans), default=2**62)
    found = diff_runs(settings, names[0], names[1], begin, end, codec_of(settings))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        terminal().print(render_diff(found, city_zone(settings)))
    sys.exit(1 if exit_code and not found.empty else 0)
