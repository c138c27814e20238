"""Make a Grafana show what the description says: create what is missing, change what differs, leave the rest alone."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.errors import UsageError
from sinks.grafana.board import TYPE, Subject, dashboard_json
from sinks.grafana.catalogue import DASHBOARDS
from sinks.grafana.client import DataSourceHealth, Grafana
from sinks.grafana.looks import Json
from sinks.grafana.panels import Dashboard
from sinks.grafana.source import Address, source_json

FOLDER: Final = "cityops"
SHOWN_FIELDS: Final = 8


class Action(StrEnum):
    """What applying does to one thing."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Applied:
    """One thing in Grafana: what was done to it (or would be), and the fields that differed."""

    what: str
    uid: str
    title: str
    action: Action
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What applying did. health: None = nothing to try, because a dry run leaves the data source out."""

    dry_run: bool
    applied: tuple[Applied, ...]
    health: DataSourceHealth | None


def apply(grafana: Grafana, subject: Subject, address: Address, *, dry_run: bool) -> Report:
    """Bring data source, folder and dashboards up to the description; a second time changes nothing.

    A password cannot be read back, so it is sent again when Grafana cannot use the data source.
    Raises UsageError and CityopsError as `Grafana` does, and when the plugin is missing.
    """
    if not grafana.has_plugin(TYPE):
        raise UsageError(
            f"Grafana at {grafana.url} does not have the ClickHouse plugin: "
            f"run `grafana cli plugins install {TYPE}` there and restart it"
        )
    source, health = _apply_source(grafana, subject, address, dry_run)
    folder = _apply_folder(grafana, dry_run)
    dashboards = (_apply_dashboard(grafana, one, subject, dry_run) for one in DASHBOARDS)
    return Report(dry_run, (source, folder, *dashboards), health)


def differences(wanted: Any, current: Any, path: str = "") -> tuple[str, ...]:
    """Return the paths where `current` lacks or contradicts something of `wanted`; what it has on top is Grafana's.

    null and absent are the same, and a later schemaVersion is Grafana's own doing.
    """
    if isinstance(wanted, dict) and isinstance(current, dict):
        inner = ((f"{path}.{key}" if path else key, value, current.get(key)) for key, value in wanted.items())
        return tuple(found for at, value, held in inner for found in differences(value, held, at))
    if isinstance(wanted, list) and isinstance(current, list):
        if len(wanted) != len(current):
            return (path,)
        pairs = enumerate(zip(wanted, current, strict=True))
        return tuple(found for i, (value, held) in pairs for found in differences(value, held, f"{path}[{i}]"))
    if path == "schemaVersion" and isinstance(current, int):
        return () if current >= wanted else (path,)
    return () if wanted == current or (not wanted and current is None) else (path,)


def _apply_source(
    grafana: Grafana, subject: Subject, address: Address, dry_run: bool
) -> tuple[Applied, DataSourceHealth | None]:
    wanted = source_json(subject, address)
    secret = {**wanted, "secureJsonData": {"password": address.password}}
    current = grafana.data_source(subject.uid())

    def update(version: int) -> None:
        grafana.update_data_source(secret, version)

    if current is None:
        if not dry_run:
            grafana.create_data_source(secret)
        applied = Applied("data source", wanted["uid"], wanted["name"], Action.CREATED)
        return applied, None if dry_run else grafana.health(subject.uid())
    fields = differences(wanted, current)
    health = grafana.health(subject.uid())
    if not fields and not health.ok:
        fields = ("password",)
    if fields and current.get("readOnly"):
        raise UsageError(
            f"the data source {wanted['name']!r} of {grafana.url} is provisioned from files: change it there"
        )
    if fields and not dry_run:
        update(int(current.get("version", 0)))
        health = grafana.health(subject.uid())
    return Applied("data source", wanted["uid"], wanted["name"], _action(fields), fields), health


def _apply_folder(grafana: Grafana, dry_run: bool) -> Applied:
    current = grafana.folder(FOLDER)
    if current is None:
        _unless(dry_run, lambda: grafana.create_folder(FOLDER, FOLDER))
        return Applied("folder", FOLDER, FOLDER, Action.CREATED)
    fields = differences({"title": FOLDER}, current)
    if fields:
        _unless(dry_run, lambda: grafana.rename_folder(FOLDER, FOLDER, int(current.get("version", 0))))
    return Applied("folder", FOLDER, FOLDER, _action(fields), fields)


def _apply_dashboard(grafana: Grafana, dashboard: Dashboard, subject: Subject, dry_run: bool) -> Applied:
    model = dashboard_json(dashboard, subject)
    found = grafana.dashboard(model["uid"])
    if found is None:
        _unless(dry_run, lambda: grafana.save_dashboard(model, FOLDER, None))
        return Applied("dashboard", model["uid"], model["title"], Action.CREATED)
    held: Json = found.get("dashboard", {})
    meta: Json = found.get("meta", {})
    fields = differences(model, held)
    if meta.get("provisioned"):
        if fields:
            raise UsageError(
                f"the dashboard {model['title']!r} of {grafana.url} is provisioned from files: change them"
            )
        return Applied("dashboard", model["uid"], model["title"], Action.UNCHANGED)
    if meta.get("folderUid", "") != FOLDER:
        fields = (*fields, "folder")
    if fields:
        _unless(dry_run, lambda: grafana.save_dashboard(model, FOLDER, int(held.get("version", 0))))
    return Applied("dashboard", model["uid"], model["title"], _action(fields), fields)


def _action(fields: tuple[str, ...]) -> Action:
    return Action.CHANGED if fields else Action.UNCHANGED


def _unless(dry_run: bool, write: Callable[[], None]) -> None:
    if not dry_run:
        write()
