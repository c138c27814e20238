"""Commands of the embedded stack: up, down, status, env, fetch."""

import sys
import time
from pathlib import Path

import click
import msgspec
from rich.table import Table

from streams.cli.terminal import terminal
from streams.settings import settings_from_env
from streams.stack import PartReport, StackState, endpoints, read_state, report, start_stack, stop_stack
from streams.stack.bars import shown_on
from streams.stack.downloads import Origin, Step, cache_folder, kafka_jars, registry_archive
from streams.stack.offline import fetch_wheels, write_parts, write_sums


@click.group()
def stack() -> None:
    """Run a real Kafka, schema registry and ClickHouse on this machine, without Docker or Java.

    \b
    Example:
      cityops stack up
    """


@stack.command()
@click.option("--wait-registry/--no-wait-registry", default=True, help="Also wait for the registry (ten seconds more).")
def up(wait_registry: bool) -> None:
    """Start the stack in the background; it stays up until `cityops stack down`.

    \b
    Example:
      cityops stack up && eval "$(cityops stack env)"
    """
    settings = settings_from_env().without_servers()
    started_at_s = time.monotonic()
    handle = start_stack(settings, terminal(stderr=True), wait_registry=wait_registry, detached=True)
    if handle.owned:
        click.echo(f"The stack is up after {time.monotonic() - started_at_s:.0f} s. Its data is in {settings.home}.")
    else:
        click.echo(f"The stack of {settings.home} is already up.")


@stack.command()
def down() -> None:
    """Stop the stack; its data stays.

    \b
    Example:
      cityops stack down
    """
    settings = settings_from_env()
    stopped = stop_stack(settings.home.resolve())
    click.echo("The stack is down." if stopped else f"No stack was running in {settings.home}.")


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show what runs: each part's state, pid, port, uptime and restarts. Exit status 1 unless all are ready.

    \b
    Example:
      cityops stack status --json
    """
    parts = report(read_state(settings_from_env().home.resolve()))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(parts), indent=2).decode())
    else:
        terminal().print(_table(parts))
    sys.exit(0 if all(part.ready for part in parts) else 1)


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print the three addresses as JSON.")
def env(as_json: bool) -> None:
    """Print the addresses as shell exports, with what kcat, clickhouse-client and DBeaver need.

    \b
    Example:
      eval "$(cityops stack env)"
    """
    settings = endpoints(settings_from_env())
    if as_json:
        addresses = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "SCHEMA_REGISTRY_URL": settings.schema_registry_url,
            "CLICKHOUSE_URL": settings.clickhouse_url,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(addresses)).decode())
        return
    click.echo(f"export KAFKA_BOOTSTRAP_SERVERS='{settings.kafka_bootstrap_servers}'")
    click.echo(f"export SCHEMA_REGISTRY_URL='{settings.schema_registry_url}'")
    click.echo(f"export CLICKHOUSE_URL='{settings.clickhouse_url}'")
    state = read_state(settings.home.resolve())
    if state is not None and state.clickhouse_url == settings.clickhouse_url:
        click.echo(_clients(state))


@stack.command()
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to fill.")
@click.option("--wheels/--no-wheels", default=True, help="Also the wheels of cityops and of all it needs.")
@click.option("--wheel", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The wheel of cityops.")
def fetch(folder: Path, wheels: bool, wheel: Path | None) -> None:
    """Put all that an offline start needs into a folder: Kafka, the registry and the wheels, with checksums.

    The wheels are those of this kind of machine and this Python. Proxies and mirrors: docs/deployment.md.

    \b
    Example:
      cityops stack fetch --to /media/usb/cityops
    """
    settings = settings_from_env()
    folder = folder.expanduser().resolve()
    origin = Origin(maven_url=settings.maven_url)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with shown_on(terminal(stderr=True)) as on_progress:
        jars, archive = kafka_jars(on_progress, origin), registry_archive(on_progress, origin)
        on_progress(Step(f"copying {len(jars)} jars and the registry"))
        write_parts(folder, jars, archive)
    if wheels:
        fetch_wheels(folder, wheel)
    count = write_sums(folder)
    click.echo(f"{count} files are in {folder}. Where there is no network:")
    if wheels:
        click.echo(f"  pip install --no-index --find-links {folder}/wheels 'cityops[embedded]'")
    click.echo(f"  CITYOPS_STACK_PARTS={folder} cityops demo")


def _clients(state: StackState) -> str:
    user, _, password = state.clickhouse_url.removeprefix("clickhouse://").rpartition("@")[0].partition(":")
    tcp, http = state.ports.clickhouse, state.ports.clickhouse_http
    return "\n".join(
        (
            f"# Kafka port {state.ports.kafka}, registry port {state.ports.registry}, "
            f"ClickHouse ports {tcp} (native) and {http} (HTTP)",
            f"# kcat -b {state.kafka_bootstrap_servers} -L",
            f"# clickhouse-client --host 127.0.0.1 --port {tcp} --user {user} --password '{password}' -d cityops",
            f"# DBeaver (ClickHouse): jdbc:clickhouse://127.0.0.1:{http}/cityops, user {user}, password {password}",
        )
    )


def _table(parts: tuple[PartReport, ...]) -> Table:
    table = Table("part", "state", "pid", "port", "uptime", "restarts", "")
    for part in parts:
        pid = "" if part.pid is None else str(part.pid)
        port = "" if part.port is None else str(part.port)
        uptime = "" if part.uptime_s is None else f"{part.uptime_s:.0f} s"
        table.add_row(part.name, part.phase, pid, port, uptime, str(part.restarts), part.said)
    return table
