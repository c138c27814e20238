"""Every panel's statement runs on the real ClickHouse after a demo, returns rows, and fits its panel."""

import re
from collections.abc import Sequence

import msgspec
import pytest
from click.testing import CliRunner

from sinks.clickhouse.connection import connect
from sinks.clickhouse.queries import query
from sinks.grafana.catalogue import DASHBOARDS
from sinks.grafana.macros import Span, expand
from sinks.grafana.panels import Dashboard, Panel, Query, View
from sinks.grafana.preview import data_span_ms, span_of
from streams.cli import cli
from streams.settings import Settings
from tests.streams.commands import FinishedDemo

pytestmark = pytest.mark.stack

QUERIES = [(panel, one) for dashboard in DASHBOARDS for panel in dashboard.panels for one in panel.queries]
NAMES = [f"{panel.title}{'-' if one.name else ''}{one.name}" for panel, one in QUERIES]
PLAIN_NUMBER = re.compile(r"(U?Int(8|16|32|64)|Float(32|64))")


@pytest.fixture
def minute(minutes_of_the_city: FinishedDemo) -> Settings:
    """The run of a finished demo."""
    return minutes_of_the_city.settings


def span_ms(settings: Settings) -> tuple[int, int]:
    found = data_span_ms(settings.clickhouse_url, settings.database)
    assert found is not None
    return found


def span_in(settings: Settings, panel: Panel) -> Span:
    first_ms, last_ms = span_ms(settings)
    return span_of(panel, first_ms // 1000, last_ms // 1000 + 1)


def typed(settings: Settings, sql: str) -> tuple[list[tuple[object, ...]], list[tuple[str, str]]]:
    with connect(settings.clickhouse_url, settings.database) as client:
        rows, columns = client.execute(sql, with_column_types=True, settings={"readonly": 1})
    return rows, columns


def is_number(kind: str) -> bool:
    return PLAIN_NUMBER.fullmatch(kind.removeprefix("Nullable(").removesuffix(")")) is not None


def is_text(kind: str) -> bool:
    return kind in ("String", "LowCardinality(String)")


@pytest.mark.parametrize(("panel", "one"), QUERIES, ids=NAMES)
def test_a_panel_finds_rows_that_fit_it(minute: Settings, panel: Panel, one: Query) -> None:
    rows, columns = typed(minute, expand(one.sql, span_in(minute, panel)))
    names, kinds = [name for name, _ in columns], [kind for _, kind in columns]
    assert rows
    assert all(is_number(kind) or is_text(kind) or kind.startswith("DateTime") for kind in kinds), kinds

    if panel.view.by_time:
        assert names[0] == "time"
        assert names[1] == panel.series
        assert kinds[0].startswith("DateTime")
        assert is_text(kinds[1])
        assert len(kinds) == 3
        assert is_number(kinds[2])
        assert rows == sorted(rows, key=lambda row: row[0])  # type: ignore[arg-type, return-value]
        assert len({row[:2] for row in rows}) == len(rows)
    elif panel.view is View.STAT:
        assert len(rows) == len(rows[0]) == 1
        assert is_number(kinds[0])
    elif panel.view is View.BARS:
        assert names[0] == panel.series
        assert all(map(is_number, kinds[1:]))
    elif panel.view is View.MAP:
        assert kinds[:2] == ["Float64", "Float64"]
        assert names[:2] == ["latitude", "longitude"]
        assert {one.coloured_by, one.labelled_by} - {""} <= set(names)
        assert all(20.5 < row[0] < 21.5 and 105.2 < row[1] < 106.1 for row in rows)  # type: ignore[operator]


DRESSED = [panel for one in DASHBOARDS for panel in one.panels if panel.columns]


@pytest.mark.parametrize("panel", DRESSED, ids=lambda one: one.title)
def test_a_panel_dresses_columns_that_it_has(minute: Settings, panel: Panel) -> None:
    names = set()
    for one in panel.queries:
        _, columns = typed(minute, f"SELECT * FROM ({expand(one.sql, span_in(minute, panel))}) LIMIT 0")
        names |= {name for name, _ in columns}
    assert {column.name for column in panel.columns} <= names


def test_choices_narrow_what_is_shown(minute: Settings) -> None:
    panel = next(panel for panel in DASHBOARDS[1].panels if panel.title == "Slowest lines")
    sql = expand(panel.queries[0].sql, span_in(minute, panel))
    chosen = sql.replace("1=1", "key IN ('02')")
    url, database = minute.clickhouse_url, minute.database
    everything, some = query(url, database, sql).rows, query(url, database, chosen).rows
    assert len(everything) > len(some) == 1
    assert some[0] in everything


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.slug)
def test_variables_have_choices(minute: Settings, dashboard: Dashboard) -> None:
    for variable in dashboard.variables:
        answer = query(minute.clickhouse_url, minute.database, variable.sql)
        assert answer.rows, variable.name
        assert all(row[0] for row in answer.rows)
        assert len({row[0] for row in answer.rows}) == len(answer.rows)


def test_numbers_agree_with_the_rows(minute: Settings) -> None:
    def asked(sql: str) -> Sequence[Sequence[object]]:
        return query(minute.clickhouse_url, minute.database, sql).rows

    found = {
        panel.title: asked(expand(one.sql, span_in(minute, panel)))
        for panel, one in QUERIES
        if panel.title in ("Vehicles heard", "Mean speed", "Records a second", "Open incidents")
    }
    ((vehicles, mean_km_h),) = asked(
        "SELECT uniqExact(vehicle_id), round(avgIf(speed_mm_s, speed_mm_s >= 0 AND line_id != '') * 0.0036, 1) "
        "FROM positions"
    )
    assert found["Vehicles heard"] == ((vehicles,),)
    assert found["Mean speed"] == ((mean_km_h,),)
    first_ms, last_ms = span_ms(minute)
    interval_s = max(10, (last_ms // 1000 + 1 - first_ms // 1000) // 120)
    shown = sum(float(str(row[2])) for row in found["Records a second"] if row[1] == "positions") * interval_s
    ((stored,),) = asked("SELECT count() FROM positions")
    assert shown == pytest.approx(float(str(stored)))
    ((open_now,),) = asked("SELECT countIf(state IN ('SUSPECTED', 'CONFIRMED')) FROM incidents")
    assert found["Open incidents"] == ((open_now,),)


def test_the_preview_shows_every_panel(minute: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", minute.clickhouse_url)
    monkeypatch.setenv("CITYOPS_HOME", str(minute.home))
    told = CliRunner().invoke(cli, ["grafana", "preview", "--run", minute.run, "--json"], catch_exceptions=False)
    shown = msgspec.json.decode(told.stdout)
    assert [(one["panel"], one["layer"]) for one in shown] == [(panel.title, one.name) for panel, one in QUERIES]
    assert all(one["rows"] for one in shown)

    words = CliRunner().invoke(cli, ["grafana", "preview", "--run", minute.run, "--rows", "2"], catch_exceptions=False)
    assert all(panel.title in words.output.replace("\n", " ") for panel, _ in QUERIES if panel.view is not View.STAT)
    assert "no rows" not in words.output
