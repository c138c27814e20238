"""The command doctor."""

import sys

import click
import msgspec
from rich.table import Table
from rich.text import Text

from streams.checks import Check, Verdict
from streams.cli.terminal import terminal

COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what is wrong with this machine, the settings or the servers, and what to do about it.

    Nothing has to run. A server that answers gets one topic that is deleted at once, to compare clocks.
    Exit status 1 when there is a problem; warnings alone leave it at 0.

    \b
    Example:
      cityops doctor
    """
    from streams.doctor import examine

    console = terminal(stderr=True)
    checks = []
    with console.status("looking") as status:
        for check in examine():
            checks.append(check)
            status.update(f"looking: {check.name} is {check.verdict}")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(checks), indent=2).decode())
    else:
        terminal().print(_table(checks))
    sys.exit(1 if any(check.verdict is Verdict.PROBLEM for check in checks) else 0)


def _table(checks: list[Check]) -> Table:
    table = Table("check", "", "found", "what to do")
    for check in checks:
        table.add_row(check.name, Text(check.verdict, COLOURS[check.verdict]), Text(check.said), Text(check.remedy))
    return table
