"""cityops grafana: dashboards into a Grafana, into files for its provisioning, or onto the terminal."""

import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from schemas.errors import UsageError
from sinks.grafana.apply import Action, Report, apply
from sinks.grafana.board import Subject
from sinks.grafana.catalogue import DASHBOARDS
from sinks.grafana.client import Grafana
from sinks.grafana.preview import PanelRows, ask, data_span_ms
from sinks.grafana.provisioning import export as export_files
from sinks.grafana.source import address_of
from streams.cli.options import NEW_FILE, SECONDS
from streams.cli.panel_tables import show_dashboard
from streams.cli.showing import city_zone, json_text
from streams.settings import Settings, grafana_from_env, settings_from_env
from streams.stack import endpoints

SHOWN_FIELDS: Final = 4
LIVE_SPAN_S: Final = 3600.0
FONT_OF_THE_INTERNET: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""What rich puts into a picture, and a viewer would fetch; without it the viewer's own font serves."""


@click.group()
def grafana() -> None:
    """Dashboards for Grafana: City overview and Transit (docs/grafana.md).

    \b
    Example:
      cityops grafana apply --url http://localhost:3000 --dry-run
    """


@grafana.command("apply")
@click.option("--url", default="", help="Grafana's address; default: GRAFANA_URL.")
@click.option("--token", default="", help="Token of a service account (Admin); default: GRAFANA_TOKEN or its _FILE.")
@click.option("--run", "run_name", default="", help="Dashboards of an isolated run; without it, live ones.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply_(url: str, token: str, run_name: str, dry_run: bool, as_json: bool) -> None:
    """Create or update the ClickHouse data source, a folder and the dashboards; a second time changes nothing.

    Grafana reaches ClickHouse at GRAFANA_CLICKHOUSE_URL, or else where cityops does. Give it a user who only reads.

    \b
    Example:
      GRAFANA_TOKEN_FILE=token cityops grafana apply --url http://localhost:3000 --dry-run
    """
    told = grafana_from_env()
    url, token = url or told.url, token or told.token
    if not url:
        raise UsageError("which Grafana? give --url or GRAFANA_URL, such as http://localhost:3000")
    if not token:
        raise UsageError("Grafana wants a token: give --token, GRAFANA_TOKEN or GRAFANA_TOKEN_FILE")
    settings = _settings(run_name)
    address = address_of(told.clickhouse_url or settings.clickhouse_url)
    report = apply(Grafana(url, token), _subject(settings), address, dry_run=dry_run)
    if as_json:
        click.echo(json_text(asdict(report)))
    else:
        _show_report(report, Console())


@grafana.command()
@click.option("--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
def export(folder: Path) -> None:
    """Write data source, provider and dashboards as files for Grafana's provisioning (docker/grafana has them).

    \b
    Example:
      cityops grafana export --to docker/grafana
    """
    for path in export_files(folder):
        click.echo(path)


@grafana.command()
@click.option("--run", "run_name", default="", help="An isolated run, all of it; without it, the live one's last hour.")
@click.option("--last", "last_s", type=SECONDS, default=None, help="Look back so far from the end: 15m, 2h.")
@click.option("--dashboard", "slug", type=click.Choice([one.slug for one in DASHBOARDS]), help="Only this one.")
@click.option("--rows", default=8, show_default=True, type=click.IntRange(1), help="Rows to show of each panel.")
@click.option("--svg", type=NEW_FILE, default=None, help="Also write what is shown as a picture.")
@click.option("--json", "as_json", is_flag=True, help="Print every row as JSON.")
def preview(run_name: str, last_s: float | None, slug: str | None, rows: int, svg: Path | None, as_json: bool) -> None:
    """Show what every panel would: its statement, asked of ClickHouse, as a table; no Grafana needed.

    \b
    Example:
      cityops grafana preview --run demo --dashboard transit
    """
    settings = _settings(run_name)
    zone = city_zone(settings)
    held = data_span_ms(settings.clickhouse_url, settings.database)
    if held is None:
        raise UsageError(f"there are no records in {settings.database} yet: run `cityops demo --for 60s` first")
    from_s, to_s = held[0] // 1000, held[1] // 1000 + 1
    if not settings.run:
        to_s = int(time.time()) + 1
        from_s = to_s - int(last_s or LIVE_SPAN_S)
    elif last_s is not None:
        from_s = to_s - int(last_s)
    chosen = [one for one in DASHBOARDS if slug in (None, one.slug)]
    console = Console(record=svg is not None)
    found: list[dict[str, Any]] = []
    for dashboard in chosen:
        shown = ask(settings.clickhouse_url, settings.database, dashboard, from_s, to_s)
        if as_json:
            found.extend(_as_json(dashboard.title, one) for one in shown)
        else:
            show_dashboard(dashboard.title, shown, console, zone, rows)
    if as_json:
        click.echo(json_text(found))
    if svg is not None:
        picture = console.export_svg(title=f"cityops grafana preview: {', '.join(one.title for one in chosen)}")
        svg.write_text(FONT_OF_THE_INTERNET.sub("", picture), encoding="utf-8")


def _as_json(dashboard: str, shown: PanelRows) -> dict[str, Any]:
    rows = [dict(zip(shown.answer.columns, row, strict=True)) for row in shown.answer.rows]
    return {"dashboard": dashboard, "panel": shown.panel.title, "layer": shown.query.name, "rows": rows}


def _settings(run_name: str) -> Settings:
    settings = settings_from_env()
    if not settings.clickhouse_url:
        settings = endpoints(settings)
    return settings.with_run(run_name, run_name) if run_name else settings


def _subject(settings: Settings) -> Subject:
    """Return what the dashboards show; an isolated run lies in the past and brings its own span."""
    span_ms = data_span_ms(settings.clickhouse_url, settings.database) if settings.run else None
    return Subject(settings.run, settings.database, city_zone(settings).key, span_ms)


def _show_report(report: Report, console: Console) -> None:
    colours = {Action.CREATED: "green", Action.CHANGED: "yellow", Action.UNCHANGED: "bright_black"}
    table = Table("what", "title", "uid", "", "fields")
    for one in report.applied:
        would = "would be " if report.dry_run and one.action is not Action.UNCHANGED else ""
        fields = ", ".join(one.fields[:SHOWN_FIELDS])
        more = len(one.fields) - SHOWN_FIELDS
        table.add_row(
            *(one.what, one.title, one.uid, f"[{colours[one.action]}]{would}{one.action}"),
            f"{fields} and {more} more" if more > 0 else fields,
        )
    console.print(table)
    if report.health is not None:
        verdict = "Grafana reaches ClickHouse" if report.health.ok else "[red]Grafana does not reach ClickHouse"
        console.print(f"{verdict}: {report.health.said}", highlight=False)
    if report.dry_run:
        console.print("a dry run: nothing was written")
