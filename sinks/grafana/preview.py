"""What every panel would show: its statements, with macros expanded, asked of ClickHouse."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sinks.clickhouse.queries import Answer, query
from sinks.grafana.macros import Span, expand
from sinks.grafana.panels import Dashboard, Panel, Query

BUCKETS: Final = 120
"""A screen's worth: Grafana makes about one bucket for every few pixels."""

MINUTE_MS: Final = 60_000

_ENDS: Final = """SELECT toUnixTimestamp64Milli(min(first)) AS first, toUnixTimestamp64Milli(max(last)) AS last
FROM (
  SELECT min(at_ms) AS first, max(at_ms) AS last, count() AS held FROM positions
  UNION ALL SELECT min(at_ms), max(at_ms), count() FROM detections
  UNION ALL SELECT min(at_ms), max(at_ms), count() FROM readings
)
WHERE held > 0
HAVING count() > 0"""


@dataclass(frozen=True, slots=True)
class PanelRows:
    """What one statement of one panel returned."""

    panel: Panel
    query: Query
    answer: Answer


def data_span_ms(url: str, database: str) -> tuple[int, int] | None:
    """Return the event times of the first and last record used, or None when there is none.

    The first is that of its minute's beginning: aggregates are per minute.
    Raises UsageError and Retryable as `sinks.clickhouse.queries.query` does.
    """
    for first, last in query(url, database, _ENDS).rows:
        return first - first % MINUTE_MS, last
    return None


def span_of(panel: Panel, from_s: int, to_s: int) -> Span:
    """Return what a panel looks at while the dashboard looks at from_s to to_s, UTC epoch seconds."""
    if panel.span_s:
        from_s = min(from_s, to_s - panel.span_s)
    return Span(from_s, to_s, max(panel.interval_s, (to_s - from_s) // BUCKETS))


def ask(url: str, database: str, dashboard: Dashboard, from_s: int, to_s: int) -> Iterator[PanelRows]:
    """Yield what every statement of a dashboard returns. Raises what `query` raises."""
    for panel in dashboard.panels:
        for one in panel.queries:
            sql = expand(one.sql, span_of(panel, from_s, to_s))
            yield PanelRows(panel, one, query(url, database, sql))
