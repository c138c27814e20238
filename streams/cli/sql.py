"""cityops sql: ask ClickHouse without a client of one's own."""

import click
import msgspec
from rich.table import Table

from sinks.clickhouse.queries import query
from streams.cli.terminal import terminal
from streams.settings import settings_from_env
from streams.stack import endpoints


@click.command()
@click.argument("statement")
@click.option("--run", "run_name", default="", help="An isolated run; without it the live database.")
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON objects.")
def sql(statement: str, run_name: str, as_json: bool) -> None:
    """Run one reading SQL statement against ClickHouse (docs/clickhouse.md lists tables and columns).

    \b
    Example:
      cityops sql "SELECT kind, state, count() FROM incidents GROUP BY kind, state"
    """
    settings = settings_from_env()
    if not settings.clickhouse_url:
        settings = endpoints(settings)
    if run_name:
        settings = settings.with_run(run_name, run_name)
    answer = query(settings.clickhouse_url, settings.database, statement)
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        click.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    table = Table(*answer.columns)
    for row in answer.rows:
        table.add_row(*(str(cell) for cell in row))
    terminal().print(table)
