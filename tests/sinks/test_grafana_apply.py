"""`cityops grafana apply` through grafana-api, over HTTP, against the contract of Grafana's API."""

import copy
from collections.abc import Iterator

import pytest

from schemas.errors import CityopsError, UsageError
from sinks.grafana.apply import Action, Report, apply, differences
from sinks.grafana.board import TYPE, Subject, dashboard_json
from sinks.grafana.catalogue import DASHBOARDS
from sinks.grafana.client import Grafana
from sinks.grafana.source import Address, address_of
from tests.sinks.grafana_contract import ADMIN, VIEWER, GrafanaContract, serving

ADDRESS = Address("127.0.0.1", 9000, False, "grafana", "pass")
LIVE = Subject()


@pytest.fixture
def contract() -> Iterator[GrafanaContract]:
    with serving(GrafanaContract()) as running:
        yield running


def applied(contract: GrafanaContract, *, dry_run: bool = False, address: Address = ADDRESS) -> Report:
    return apply(Grafana(contract.url, ADMIN), LIVE, address, dry_run=dry_run)


def actions(report: Report) -> dict[str, Action]:
    return {f"{one.what} {one.uid}": one.action for one in report.applied}


def test_apply_creates_everything_and_a_second_time_changes_nothing(contract: GrafanaContract) -> None:
    first = applied(contract)
    assert actions(first) == {
        "data source cityops": Action.CREATED,
        "folder cityops": Action.CREATED,
        "dashboard cityops-overview": Action.CREATED,
        "dashboard cityops-transit": Action.CREATED,
    }
    assert first.health is not None
    assert first.health.said == "Data source is working"
    assert contract.data_sources["cityops"]["type"] == TYPE
    assert contract.data_sources["cityops"]["jsonData"]["defaultDatabase"] == "cityops"
    assert contract.data_sources["cityops"]["secureJsonData"] == {"password": "pass"}
    assert {held["meta"]["folderUid"] for held in contract.dashboards.values()} == {"cityops"}

    wrote = len(contract.written)
    second = applied(contract)
    assert set(actions(second).values()) == {Action.UNCHANGED}
    assert len(contract.written) == wrote == 4


def test_dry_run_tells_and_writes_nothing(contract: GrafanaContract) -> None:
    report = applied(contract, dry_run=True)
    assert set(actions(report).values()) == {Action.CREATED}
    assert report.health is None
    assert contract.written == []


def test_what_somebody_changed_is_named_and_put_back(contract: GrafanaContract) -> None:
    applied(contract)
    model = contract.dashboards["cityops-overview"]["dashboard"]
    model["panels"][0]["title"] = "Mine"
    model["panels"][1]["fieldConfig"]["defaults"]["unit"] = "bytes"
    contract.data_sources["cityops"]["jsonData"]["port"] = 1
    contract.folders["cityops"]["title"] = "other"

    told = {one.uid: one.fields for one in applied(contract, dry_run=True).applied if one.what != "folder"}
    assert told["cityops-overview"] == ("panels[0].title", "panels[1].fieldConfig.defaults.unit")
    assert told["cityops"] == ("jsonData.port",)
    assert told["cityops-transit"] == ()

    changed = applied(contract)
    assert actions(changed)["folder cityops"] is Action.CHANGED
    assert contract.dashboards["cityops-overview"]["dashboard"]["panels"][0]["title"] == "Open incidents"
    assert contract.data_sources["cityops"]["jsonData"]["port"] == 9000
    assert set(actions(applied(contract)).values()) == {Action.UNCHANGED}


def test_a_dashboard_that_was_moved_comes_back(contract: GrafanaContract) -> None:
    applied(contract)
    contract.dashboards["cityops-transit"]["meta"]["folderUid"] = "elsewhere"
    assert applied(contract).applied[-1].fields == ("folder",)
    assert contract.dashboards["cityops-transit"]["meta"]["folderUid"] == "cityops"


def test_a_new_password_is_sent_when_the_old_one_fails(contract: GrafanaContract) -> None:
    applied(contract)
    contract.clickhouse_password = "new"
    stale = applied(contract, dry_run=True)
    assert stale.health is not None
    assert not stale.health.ok
    renewed = applied(contract, address=Address("127.0.0.1", 9000, False, "grafana", "new"))
    assert renewed.applied[0].fields == ("password",)
    assert renewed.health is not None
    assert renewed.health.ok


def test_runs_stand_beside_each_other(contract: GrafanaContract) -> None:
    applied(contract)
    run = Subject("demo", "cityops_demo", "Asia/Ho_Chi_Minh", (1_795_262_400_000, 1_795_262_460_000))
    report = apply(Grafana(contract.url, ADMIN), run, ADDRESS, dry_run=False)
    assert actions(report) == {
        "data source cityops-demo": Action.CREATED,
        "folder cityops": Action.UNCHANGED,
        "dashboard cityops-overview-demo": Action.CREATED,
        "dashboard cityops-transit-demo": Action.CREATED,
    }
    model = contract.dashboards["cityops-transit-demo"]["dashboard"]
    assert model["title"] == "Transit (demo)"
    assert model["time"] == {"from": "2026-11-21T12:00:00.000Z", "to": "2026-11-21T12:01:01.000Z"}
    assert {panel["datasource"]["uid"] for panel in model["panels"]} == {"cityops-demo"}
    assert set(actions(applied(contract)).values()) == {Action.UNCHANGED}


def test_a_change_between_reading_and_writing_is_not_overwritten(contract: GrafanaContract) -> None:
    applied(contract)
    held = contract.dashboards["cityops-overview"]["dashboard"]
    held["title"] = "Mine"

    def somebody_else() -> None:
        held["version"] += 1

    contract.before_writing = somebody_else
    with pytest.raises(UsageError, match=r"changed by someone else.*apply again"):
        applied(contract)
    assert held["title"] == "Mine"


def test_the_same_for_the_data_source(contract: GrafanaContract) -> None:
    applied(contract)
    held = contract.data_sources["cityops"]
    held["jsonData"]["port"] = 1
    contract.before_writing = lambda: held.update(version=held["version"] + 1)
    with pytest.raises(UsageError, match=r"updated by someone else.*apply again"):
        applied(contract)


def test_names_taken_by_others_are_told(contract: GrafanaContract) -> None:
    contract.data_sources["by-hand"] = {"name": "cityops"}
    with pytest.raises(UsageError, match="another data source named 'cityops'"):
        applied(contract)


@pytest.mark.parametrize("what", ["data source", "dashboard"])
def test_what_is_provisioned_from_files_is_left_alone(contract: GrafanaContract, what: str) -> None:
    applied(contract)
    contract.data_sources["cityops"]["readOnly"] = True
    for held in contract.dashboards.values():
        held["meta"]["provisioned"] = True
    assert set(actions(applied(contract)).values()) == {Action.UNCHANGED}
    if what == "dashboard":
        contract.dashboards["cityops-transit"]["dashboard"]["title"] = "older"
    else:
        contract.data_sources["cityops"]["jsonData"]["host"] = "older"
    wrote = len(contract.written)
    with pytest.raises(UsageError, match="is provisioned from files"):
        applied(contract)
    assert len(contract.written) == wrote


@pytest.mark.parametrize(
    ("token", "told"),
    [("wrong", "refuses the token: give that of a service account"), (VIEWER, "may not create data sources")],
)
def test_a_token_that_may_not_gets_one_sentence(contract: GrafanaContract, token: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        apply(Grafana(contract.url, token), LIVE, ADDRESS, dry_run=False)


def test_a_missing_plugin_gets_one_sentence(contract: GrafanaContract) -> None:
    contract.plugins.clear()
    with pytest.raises(UsageError, match=f"plugins install {TYPE}"):
        applied(contract)
    assert contract.written == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1", "no Grafana answers at http://127.0.0.1:1"),
        ("http://nowhere.invalid", "no Grafana answers"),
        ("http://no..where", "no Grafana answers"),
        ("http://localhost:99999", "is not the address of a Grafana"),
        ("localhost:3000", "is not the address of a Grafana"),
    ],
)
def test_nobody_there_gets_one_sentence(url: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Grafana(url, ADMIN).folder("cityops")


def test_grafana_below_a_path() -> None:
    with serving(GrafanaContract(prefix="/grafana")) as contract:
        assert set(actions(applied(contract)).values()) == {Action.CREATED}
        with pytest.raises(UsageError, match=r"is no Grafana \(status 200\)"):
            Grafana(contract.url.removesuffix("/grafana"), ADMIN).folder("cityops")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, "<html>a page</html>"),
        (200, "[1]"),
        (404, "<!DOCTYPE HTML>\n<title>Error response</title>"),
        (401, "who are you?"),
        (403, "<p>error\nmessage</p>"),
        (500, "<!DOCTYPE HTML>\n<html>\n<p>Error code: 500</p>\n<p>message</p>\n</html>\n"),
        (502, ""),
    ],
)
def test_what_is_no_grafana_gets_one_sentence(contract: GrafanaContract, status: int, content: str) -> None:
    contract.instead = (status, content)
    with pytest.raises(UsageError) as raised:
        applied(contract)
    assert str(raised.value) == (
        f"what answered at {contract.url} is no Grafana (status {status}): "
        "check GRAFANA_URL or --url, the address that people open in a browser"
    )
    with pytest.raises(UsageError, match="is no Grafana"):
        Grafana(contract.url, ADMIN).health("cityops")


def test_what_grafana_fails_at_is_told_in_one_line(contract: GrafanaContract) -> None:
    contract.instead = (500, '{"message": "database\\nis locked."}')
    with pytest.raises(CityopsError, match=r"would not read its plugins: database is locked \(500\)$"):
        applied(contract)


def test_differences_ignore_what_grafana_adds() -> None:
    model = dashboard_json(DASHBOARDS[0], LIVE)
    held = copy.deepcopy(model)
    held["panels"][2]["pluginVersion"] = "13.0.0"
    held["schemaVersion"] = 42
    held["links"] = None
    assert differences(model, held) == ()
    assert differences(model, {**held, "schemaVersion": 36}) == ("schemaVersion",)
    held["panels"].append({})
    assert differences(model, held) == ("panels",)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("clickhouse://u:p%40ss@ch:9001", Address("ch", 9001, False, "u", "p@ss")),
        ("clickhouse://ch", Address("ch", 9000, False, "default", "")),
        ("clickhouses://u:p@ch", Address("ch", 9440, True, "u", "p")),
        ("clickhouse://u:p@ch:9440/?secure=true&compression=lz4", Address("ch", 9440, True, "u", "p")),
    ],
)
def test_address_of_clickhouse(url: str, address: Address) -> None:
    assert address_of(url) == address


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="clickhouse://"):
        address_of("http://ch:8123")
