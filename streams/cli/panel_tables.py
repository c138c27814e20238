"""Panels' rows as tables on the terminal, in the panels' own colours and units."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.box import ROUNDED
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sinks.grafana.panels import Column, Panel, Scale, Unit, View
from sinks.grafana.preview import PanelRows

UNITS: Final = {
    Unit.NONE: "",
    Unit.PERCENT: " %",
    Unit.KM_H: " km/h",
    Unit.SECONDS: " s",
    Unit.PER_SECOND: " /s",
}
COLOURS: Final = {"orange": "dark_orange", "#808080": "bright_black"}
"""Grafana's names of colours -> the terminal's, where they differ."""


def show_dashboard(title: str, shown: Iterable[PanelRows], console: Console, zone: ZoneInfo, most_rows: int) -> None:
    """Print what every panel of a dashboard returned: single numbers side by side, then a table each."""
    console.rule(f"[bold]{title}")
    stats: list[PanelRows] = []
    for one in shown:
        if one.panel.view is View.STAT:
            stats.append(one)
            continue
        if stats:
            console.print(_side_by_side(stats, zone))
            stats = []
        _show_table(one, console, zone, most_rows)


def _side_by_side(stats: list[PanelRows], zone: ZoneInfo) -> Table:
    table = Table(*(one.panel.title for one in stats), box=ROUNDED)
    rows = [one.answer.rows for one in stats]
    table.add_row(
        *(
            _cell(found[0][0], Column(""), one.panel, zone) if found else Text("no rows")
            for one, found in zip(stats, rows, strict=True)
        )
    )
    return table


def _show_table(shown: PanelRows, console: Console, zone: ZoneInfo, most_rows: int) -> None:
    panel, answer = shown.panel, shown.answer
    layer = f" · {shown.query.name}" if shown.query.name else ""
    about = panel.about if shown.query is panel.queries[0] else ""
    console.print(f"\n[bold]{panel.title}{layer}[/] [bright_black]({panel.view}) {about}", highlight=False)
    if not answer.rows:
        console.print("no rows")
        return
    looks = {column.name: column for column in panel.columns}
    table = Table(box=ROUNDED)
    for name, first in zip(answer.columns, answer.rows[0], strict=True):
        table.add_column(name, justify="right" if isinstance(first, (int, float)) else "left")
    for row in answer.rows[:most_rows]:
        cells = zip(answer.columns, row, strict=True)
        table.add_row(*(_cell(value, looks.get(name, Column(name)), panel, zone) for name, value in cells))
    console.print(table)
    if len(answer.rows) > most_rows:
        console.print(f"and {len(answer.rows) - most_rows:,} rows more", style="bright_black")


def _cell(value: Any, column: Column, panel: Panel, zone: ZoneInfo) -> Text:
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
        return Text(at.astimezone(zone).strftime("%m-%d %H:%M:%S"))
    if isinstance(value, str):
        return Text(value, style=_colour(dict(column.colours).get(value, "")))
    if not isinstance(value, (int, float)):
        return Text("" if value is None else str(value))
    names = dict(column.scale.names) if column.scale is not None else {}
    if value in names:
        return Text(names[int(value)], style=_colour_of(value, column.scale))
    unit = column.unit or (panel.unit if panel.view is not View.TABLE else Unit.NONE)
    number = f"{value:,.5f}" if column.name in ("latitude", "longitude") else f"{value:,.10g}"
    if isinstance(value, float) and column.name not in ("latitude", "longitude"):
        number = f"{value:,.{1 if panel.decimals is None else panel.decimals}f}"
    scale = column.scale or (panel.scale if panel.view is View.STAT else None)
    return Text(f"{number}{UNITS[unit]}", style=_colour_of(value, scale))


def _colour_of(value: float, scale: Scale | None) -> str:
    if scale is None:
        return ""
    reached = [step.colour for step in scale.steps if step.from_value is None or value >= step.from_value]
    return _colour(reached[-1])


def _colour(name: str) -> str:
    return COLOURS.get(name, name)
