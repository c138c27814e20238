"""The same for file provisioning: a data source, a provider of dashboards, and the dashboards themselves."""

import json
from pathlib import Path
from typing import Final

import yaml

from sinks.grafana.apply import FOLDER
from sinks.grafana.board import Subject, dashboard_json
from sinks.grafana.catalogue import DASHBOARDS
from sinks.grafana.source import Address, source_json

LIVE: Final = Subject()
CLICKHOUSE: Final = Address("clickhouse", 9000, False, "grafana", "")
"""ClickHouse in docker/compose.yaml, asked as a user who may only read."""
PASSWORD: Final = "$__file{/run/secrets/grafana_clickhouse_password}"  # noqa: S105 (where it is, not what it is)
BOARDS: Final = "/etc/grafana/dashboards"
HEADER: Final = "# Written by `cityops grafana export`; the description is in sinks/grafana.\n"


def files() -> dict[Path, str]:
    """Return every file of docker/grafana, by its path there."""
    source = {**source_json(LIVE, CLICKHOUSE), "secureJsonData": {"password": PASSWORD}, "editable": False}
    provider = {
        "name": FOLDER,
        "folder": FOLDER,
        "folderUid": FOLDER,
        "type": "file",
        "allowUiUpdates": False,
        "disableDeletion": True,
        "options": {"path": BOARDS},
    }
    made = {
        Path("provisioning/datasources/cityops.yaml"): _yaml({"apiVersion": 1, "datasources": [source]}),
        Path("provisioning/dashboards/cityops.yaml"): _yaml({"apiVersion": 1, "providers": [provider]}),
    }
    for dashboard in DASHBOARDS:
        text = json.dumps(dashboard_json(dashboard, LIVE), indent=1, ensure_ascii=False)
        made[Path("dashboards") / f"{dashboard.slug}.json"] = f"{text}\n"
    return made


def export(folder: Path) -> tuple[Path, ...]:
    """Write the files under a folder and return their paths. Raises OSError."""
    written = []
    for path, text in files().items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return tuple(written)


def _yaml(value: object) -> str:
    return HEADER + yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
