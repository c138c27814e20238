"""An exercise is shown on the dashboards, said to be one, and left out of the numbers."""

import pytest

from sinks.clickhouse.queries import query
from sinks.clickhouse.writer import Writer
from sinks.grafana.city_overview import CITY_OVERVIEW
from sinks.grafana.macros import Span, expand
from tests.sinks.frames import NOON_MS, frame

pytestmark = pytest.mark.stack

SPAN = Span(NOON_MS // 1000 - 600, NOON_MS // 1000 + 600, 10)


@pytest.fixture
def incidents(url: str, database: str) -> tuple[str, str]:
    """A real fire, and a crash that is an exercise."""
    Writer(url, database).write(
        frame(
            "incident_log",
            2,
            opened_at_ms=NOON_MS,
            last_evidence_at_ms=NOON_MS,
            incident_id=["i-1", "i-2"],
            revision=1,
            kind=["fire", "crash"],
            state="CONFIRMED",
            severity=["SEVERE", "EXTREME"],
            exercise=[0, 1],
        )
    )
    return url, database


def shown(incidents: tuple[str, str], title: str, layer: str = "") -> list[dict[str, object]]:
    (panel,) = (panel for panel in CITY_OVERVIEW.panels if panel.title == title)
    (one,) = (one for one in panel.queries if one.name == layer)
    answer = query(*incidents, expand(one.sql, SPAN))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def test_numbers_leave_exercises_out(incidents: tuple[str, str]) -> None:
    assert shown(incidents, "Open incidents") == [{"open": 1}]
    assert shown(incidents, "Confirmed, severe or extreme") == [{"severe": 1}]
    assert [row["kind"] for row in shown(incidents, "Open incidents by kind and state")] == ["fire"]
    assert [(row["kind"], row["incidents"]) for row in shown(incidents, "Incidents per hour")] == [("fire", 1)]


def test_lists_and_map_mark_them(incidents: tuple[str, str]) -> None:
    assert [(row["kind"], row["note"]) for row in shown(incidents, "Incident list")] == [
        ("crash", "EXERCISE"),
        ("fire", ""),
    ]
    assert {row["label"] for row in shown(incidents, "Incidents", "incidents")} == {"EXERCISE crash", "fire"}
    assert {row["note"] for row in shown(incidents, "Latest revisions")} == {"EXERCISE", ""}
