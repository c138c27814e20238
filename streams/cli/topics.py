"""Commands of the topics and their schemas: list, create, describe, check-schemas."""

import sys

import click
import msgspec
from rich.table import Table

from schemas.compatibility import check_schemas
from schemas.errors import UsageError
from streams.admin import TopicState, describe, ensure_topics
from streams.cli.terminal import terminal
from streams.settings import settings_from_env
from streams.stack import endpoints
from streams.topics import CATALOGUE, DAY_MS, FOREVER, Topic


@click.group()
def topics() -> None:
    """List, create and describe the topics, and check their schemas.

    \b
    Example:
      cityops topics list
    """


@topics.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_topics(as_json: bool) -> None:
    """List the catalogue: what is on each topic and for how long (--json: by what key, from whom to whom).

    \b
    Example:
      cityops topics list --json
    """
    if as_json:
        _print_json(CATALOGUE)
        return
    table = Table("topic", "records", "partitions", "kept")
    for topic in CATALOGUE:
        table.add_row(topic.name, "\n".join(topic.records) or "bytes", str(topic.partitions), _kept(topic))
    terminal().print(table)


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(as_json: bool) -> None:
    """Create the topics that are missing; refuse those with another number of partitions.

    \b
    Example:
      cityops topics create
    """
    created = ensure_topics(endpoints(settings_from_env()))
    if as_json:
        _print_json({"created": created})
        return
    for name in created:
        click.echo(f"created {name}")
    if not created:
        click.echo("All topics are there.")


@topics.command("describe")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def describe_topics(name: str | None, as_json: bool) -> None:
    """Show the topics as the broker has them: partitions, offsets, settings.

    \b
    Example:
      cityops topics describe vehicle.positions.v1
    """
    if name is not None and name not in {topic.name for topic in CATALOGUE}:
        raise UsageError(f"there is no topic {name}: `cityops topics list` lists them")
    states = tuple(state for state in describe(endpoints(settings_from_env())) if name in (None, state.topic.name))
    if as_json:
        _print_json(states)
        return
    terminal().print(_overview(states) if name is None else _partitions(states[0]))


@topics.command("check-schemas")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_schemas_of_topics(as_json: bool) -> None:
    """Refuse schemas that could not read what the last released version wrote. Needs no server.

    \b
    Example:
      cityops topics check-schemas
    """
    verdicts = check_schemas()
    if as_json:
        _print_json(verdicts)
    else:
        for verdict in verdicts:
            told = "; ".join(verdict.problems) or ("compatible" if verdict.released else "new, not yet released")
            click.echo(f"{verdict.record}: {told}")
    sys.exit(1 if any(verdict.problems for verdict in verdicts) else 0)


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "the latest of each key"
    return "forever" if topic.retention_ms == FOREVER else f"{topic.retention_ms // DAY_MS} days"


def _overview(states: tuple[TopicState, ...]) -> Table:
    table = Table("topic", "partitions", "offsets")
    for state in states:
        partitions = str(len(state.spans)) if state.spans else "missing: run `cityops topics create`"
        table.add_row(state.name, partitions, f"{state.offsets:,}" if state.spans else "")
    return table


def _partitions(state: TopicState) -> Table:
    changed = "\n".join(f"{setting} = {value}" for setting, value in state.settings.items())
    table = Table("partition", "first offset", "end offset", title=state.name, caption=changed, caption_justify="left")
    for span in state.spans:
        table.add_row(str(span.partition), f"{span.first:,}", f"{span.end:,}")
    return table
