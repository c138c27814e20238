"""cityops sources: connectors that go on for ever."""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schemas.errors import Rejected as Unreadable
from schemas.errors import UsageError
from schemas.records import Rejected
from streams import topics
from streams.cli.options import FILE
from streams.cli.showing import codec_of, folded, json_text, settings_of
from streams.cli.terminal import terminal
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.sources.running import SourcesReport

COLOURS: Final = {"running": "green", "connecting": "yellow", "waiting": "red", "stopped": "bright_black"}
RUN = click.option("--run", "run_name", default="", help="Name of an isolated run; without it the live one.")
REJECTS_OVER_MS: Final = 3_600_000
TRY_WITHIN_S: Final = 15.0
TELL_EVERY_S: Final = 10.0


@click.group()
def sources() -> None:
    """Connect feeds, topics, gateways and brokers that go on for ever (docs/sources.md)."""


@sources.command()
@click.argument("file", type=FILE, default="sources.yaml")
@RUN
def run(file: Path, run_name: str) -> None:
    """Poll and listen as FILE says, into the live topics, until Ctrl-C.

    \b
    Example:
      cityops sources run sources.yaml
    """
    from streams.session import stopped_by_signals
    from streams.sources.config import load_sources, missing_secret
    from streams.sources.running import is_running, read_report, run_sources

    found = load_sources(file)
    for one in found:
        if problem := missing_secret(one):
            raise UsageError(f"source {one.name}: {problem}")
    settings = settings_of(run_name)
    before = read_report(settings)
    if before is not None and is_running(before):
        raise UsageError(f"sources run already, as process {before.pid}: `cityops sources status` shows them")
    codec = codec_of(settings)
    console = terminal(stderr=True)
    told_s = time.monotonic()
    with contextlib.ExitStack() as ends:
        live = ends.enter_context(Live(console=console, auto_refresh=False)) if console.is_terminal else None

        def show(report: "SourcesReport") -> None:
            nonlocal told_s
            if live is not None:
                live.update(Group(_table(report), *_errors(report)), refresh=True)
            elif time.monotonic() - told_s >= TELL_EVERY_S:
                told_s = time.monotonic()
                for one in report.sources:
                    console.print(f"{one.name}: {one.state}, {one.sent:,} sent, {one.refused:,} refused {one.error}")

        ends.enter_context(stopped_by_signals())
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run_sources(settings, codec, found, show))


@sources.command()
@click.argument("file", type=FILE, default="sources.yaml")
@click.option("--connect", is_flag=True, help="Try each source once, too (a polled feed's records are sent).")
@RUN
def check(file: Path, connect: bool, run_name: str) -> None:
    """Say every mistake of a sources file, with its line; --connect: whether each answers. Status 1: something is off.

    \b
    Example:
      cityops sources check sources.yaml --connect
    """
    from streams.sources.config import load_sources, missing_secret
    from streams.sources.running import try_source

    found = load_sources(file)
    wrong = 0
    for one in found:
        problem = missing_secret(one)
        if connect and not problem:
            settings = settings_of(run_name)
            problem = asyncio.run(try_source(one, settings, codec_of(settings), TRY_WITHIN_S))
        wrong += bool(problem)
        click.echo(f"{one.name}: {problem or 'ok'}")
    if wrong:
        sys.exit(1)


@sources.command()
@RUN
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(run_name: str, as_json: bool) -> None:
    """Show how the sources are: last seen, sent, refused, and what the engine rejected of them in the last hour.

    \b
    Example:
      cityops sources status
    """
    from streams.sources.running import is_running, read_report

    settings = settings_of(run_name)
    report = read_report(settings)
    if report is None:
        raise UsageError("no sources have run from this home yet: `cityops sources run sources.yaml` starts them")
    rejected = _rejected(settings)
    if as_json:
        click.echo(json_text({"running": is_running(report), "report": report, "rejected_last_hour": rejected}))
        return
    console = terminal()
    if not is_running(report):
        console.print("not running now; this is how it was at the end", style="yellow")
    console.print(_table(report, rejected), *_errors(report), sep="\n")


def _errors(report: "SourcesReport") -> list[Text]:
    return [Text(f"{one.name}: {one.error}", COLOURS[one.state]) for one in report.sources if one.error]


def _table(report: "SourcesReport", rejected: dict[str, dict[str, int]] | None = None) -> Table:
    table = Table(folded("source"), "state", "seen", "records", "sent", "refused", "rejected, last hour")
    for one in report.sources:
        seen = f"{max(0, report.at_ms - one.seen_ms) / 1000:,.0f} s ago" if one.seen_ms else "never"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in (rejected or {}).get(one.name, {}).items())
        table.add_row(
            one.name,
            Text(one.state, COLOURS[one.state]),
            seen,
            f"{one.records:,}",
            f"{one.sent:,}",
            f"{one.refused:,}",
            reasons,
        )
    return table


def _rejected(settings: Settings) -> dict[str, dict[str, int]]:
    """Return source -> reason -> records that the engine rejected in the last hour, most first."""
    from streams.reading import reading
    from streams.sending import SOURCE_HEADER

    codec = codec_of(settings)
    found: dict[str, Counter[str]] = {}
    since_ms = time.time_ns() // 1_000_000 - REJECTS_OVER_MS
    with reading(settings) as log:
        for message in log.read(topics.REJECTED, log.since(since_ms, [topics.REJECTED]), log.end([topics.REJECTED])):
            try:
                one = codec.read(message.value or b"", Rejected)
            except Unreadable:
                continue
            for header in one.headers:
                if header.name == SOURCE_HEADER and header.value is not None:
                    found.setdefault(header.value.decode("utf-8", "replace"), Counter())[one.reason] += 1
    return {name: dict(reasons.most_common()) for name, reasons in sorted(found.items())}
