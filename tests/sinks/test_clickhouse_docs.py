"""docs/clickhouse.md says what schemas/tables.py says, and its statements run."""

import re
from pathlib import Path
from typing import Any

import pytest

from schemas.tables import TABLES
from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import Writer
from tests.sinks.frames import frame

PAGE = (Path(__file__).parents[2] / "docs" / "clickhouse.md").read_text(encoding="utf-8")
STATEMENTS = re.findall(r"^([^\n]+):\n\n```sql\n(.*?)```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_docs_list_every_column_with_its_type() -> None:
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `([^`]+)` \| \S", PAGE, flags=re.MULTILINE)
    assert listed == [
        (table.name, column.name, column.stored_as)
        for table in TABLES.values()
        for column in table.columns
        if column.name != "source_offset"
    ]


def test_docs_list_every_table_with_its_order_and_age() -> None:
    listed = re.findall(r"^\| `(\w+)` \| [^|]+ \| MergeTree \| ([^|]+) \| (\w+) \|$", PAGE, flags=re.MULTILINE)
    assert listed == [
        (table.name, ", ".join(table.order_by), table.time_column if table.ages else "never")
        for table in TABLES.values()
    ]


@pytest.mark.stack
def test_docs_list_the_columns_of_minutes(url: str, database: str) -> None:
    sql = "SELECT name, type FROM system.columns WHERE database = %(database)s AND table = 'minutes' ORDER BY position"
    stored = query(url, database, sql, {"database": database}).rows
    described = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| \S", PAGE.split("\n`minutes` (")[1], flags=re.MULTILINE)
    assert described == list(stored)


@pytest.mark.stack
@pytest.mark.parametrize(("title", "sql"), STATEMENTS, ids=[title for title, _ in STATEMENTS])
def test_docs_statement_runs_and_finds_rows(url: str, database: str, title: str, sql: str) -> None:
    ((now_ms,),) = query(url, database, "SELECT toUnixTimestamp64Milli(now64(3))").rows
    writer = Writer(url, database)
    writer.write(frame("positions", 3, at_ms=now_ms, line_id="01", speed_mm_s=[1000, 3000, -1]))
    writer.write(frame("rejected", 2, first_offset=3, reason="null_island", errors="latitude and longitude are 0"))
    ids, revisions, drill = ["i-0123456789abcdef"] * 2 + ["i-fedcba9876543210"], [1, 2, 1], [0, 0, 1]
    incidents: dict[str, Any] = {
        "incident_id": ids,
        "revision": revisions,
        "exercise": drill,
        "action_ids": ["", "a-1", ""],
    }
    writer.write(frame("incident_log", 3, opened_at_ms=now_ms, state="CONFIRMED", **incidents))
    writer.write(frame("actions", 1, action_id="a-1", incident_id="i-0123456789abcdef", operator="Lan"))
    alarm = {"observation_id": "o-1", "kind": "fire_alarm", "device_id": "panel-1", "at_ms": now_ms}
    writer.write(frame("observations", 1, **alarm))
    writer.write(frame("readings", 1, at_ms=now_ms, quantity="pm2_5", measure_unit="ug/m3", value=20.0, unit_code="U1"))
    rows = query(url, database, sql).rows
    expected = {"Mean speed": 7.2, "Speed per route": 2.0, "Incidents today": 1, "What was rejected": 2, "Vehicles": 3,
                "Exercises": "i-fedcba9876543210", "What operators decided": "i-0123456789abcdef",
                "Fire panels": "panel-1", "Minutes above": 1}  # fmt: skip
    assert rows, title
    assert all(value in rows[0] for start, value in expected.items() if title.startswith(start))


def test_docs_have_the_statements_the_readme_promises() -> None:
    assert [title.split(",")[0] for title, _ in STATEMENTS][:4] == [
        "Incidents today",
        "Mean speed per line and minute",
        "What was rejected",
        "Speed per route and hour",
    ]
