"""The dashboards' JSON: whole, placed without overlap, and the same in docker/grafana."""

import json
import re
from pathlib import Path

import pytest
import yaml

from schemas.errors import UsageError
from schemas.records import IncidentState, Severity
from sinks.grafana.board import LONGEST_UID, Subject, dashboard_json
from sinks.grafana.catalogue import DASHBOARDS
from sinks.grafana.looks import Json
from sinks.grafana.macros import Span, expand
from sinks.grafana.panels import Dashboard, View
from sinks.grafana.provisioning import export, files
from sinks.grafana.scales import SEVERITY, STATE

DOCKER = Path(__file__).parents[2] / "docker" / "grafana"
DOCS = Path(__file__).parents[2] / "docs" / "grafana.md"
SPAN = Span(1_415_792_726, 1_447_328_726, 20)
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.slug)


@EACH
def test_panels_fill_the_grid_without_overlap(dashboard: Dashboard) -> None:
    panels: list[Json] = dashboard_json(dashboard, Subject())["panels"]
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells
        taken |= cells
    assert {x for x, _ in taken} == set(range(24))
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))


@EACH
def test_every_query_says_its_format_and_source(dashboard: Dashboard) -> None:
    for panel in dashboard_json(dashboard, Subject())["panels"]:
        by_time = panel["type"] in ("timeseries", "heatmap")
        assert panel["title"]
        assert panel["description"]
        for target in panel["targets"]:
            assert target["format"] == (0 if by_time else 1)
            assert target["queryType"] == ("timeseries" if by_time else "table")
            assert target["editorType"] == "sql"
            assert target["datasource"] == {"type": "grafana-clickhouse-datasource", "uid": "cityops"}
        if by_time:
            assert panel["fieldConfig"]["defaults"]["displayName"] != "${__field.labels.}"


@EACH
def test_variables_used_are_declared_and_the_other_way_round(dashboard: Dashboard) -> None:
    declared = {variable.name for variable in dashboard.variables}
    used = {
        name
        for panel in dashboard.panels
        for query in panel.queries
        for name in re.findall(r"\$\{?(\w+)", query.sql)
        if not name.startswith("__")
    }
    assert used == declared


def test_there_is_every_kind_of_panel_asked_for() -> None:
    for dashboard in DASHBOARDS:
        assert {panel.view for panel in dashboard.panels} == set(View)


def test_maps_need_nothing_from_the_internet() -> None:
    text = "".join(files().values())
    assert re.findall(r"https?://", text) == []
    assert '"type": "geojson"' in text
    assert '"type": "default"' not in text


def test_every_severity_and_shown_state_has_its_colour() -> None:
    assert [name for name, _ in SEVERITY] == [severity.value for severity in Severity]
    assert {name for name, _ in STATE} == {state.value for state in IncidentState} - {"WITHDRAWN"}


def test_ids_fit_into_what_grafana_takes() -> None:
    long = [Subject(run=name * 8).uid("overview") for name in ("a1234", "b1234")]
    assert all(len(uid) <= LONGEST_UID for uid in long)
    assert len(set(long)) == 2
    assert Subject(run="demo").uid("overview") == "cityops-overview-demo"


def test_docker_holds_what_the_description_says(tmp_path: Path) -> None:
    held = {path.relative_to(DOCKER): path.read_text(encoding="utf-8") for path in DOCKER.rglob("*") if path.is_file()}
    assert held == files(), "run `cityops grafana export --to docker/grafana`"
    assert {path.relative_to(tmp_path) for path in export(tmp_path)} == set(held)
    for path, text in held.items():
        assert yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)["uid"].startswith("cityops-")


def test_docs_list_every_panel() -> None:
    listed = re.findall(r"^\| ([^|`]+) \| (\w+) \| \S", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert listed == [(panel.title, panel.view.value) for one in DASHBOARDS for panel in one.panels]


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("WHERE $__timeFilter(at)", "WHERE at >= toDateTime(1415792726) AND at <= toDateTime(1447328726)"),
        ("$__timeInterval(at) AS time", "toStartOfInterval(toDateTime(at), INTERVAL 20 second) AS time"),
        ("f($__fromTime, $__toTime)", "f(toDateTime(1415792726), toDateTime(1447328726))"),
        ("n / $__interval_s", "n / 20"),
        ("a\n  AND $__conditionalAll(u IN (${u:singlequote}), $u)\nb", "a\n  AND 1=1\nb"),
    ],
)
def test_macros_expand_as_the_plugin_documents(sql: str, expanded: str) -> None:
    assert expand(sql, SPAN) == expanded


@pytest.mark.parametrize("sql", ["$__nothing(at)", "WHERE u = ${u:singlequote}"])
def test_what_cannot_be_expanded_is_told(sql: str) -> None:
    with pytest.raises(UsageError):
        expand(sql, SPAN)
