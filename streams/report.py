"""The report of a run: records, observations, incidents against truth, rows, latency, and whether all of it balances.

The only reader of truth.v1.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from processors.recorded import counts_in_words
from processors.score import KindScore, score
from processors.score_kinds import KindsFound, in_words, kinds_found
from schemas.codec import Codec
from schemas.records import Truth
from streams import topics
from streams.accounting import Accounts, account
from streams.latency import Latency, measure_latency
from streams.log_facts import ChangeFact, LogFacts
from streams.reading import Vector, reading
from streams.recorded import SentSummary
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report covers: everything from `begin` to before `end`, of every topic."""

    begin: Vector
    end: Vector


@dataclass(frozen=True, slots=True)
class IncidentCount:
    """Incidents of one kind, provisional and ordered as one, withdrawn not; score: None where no truth is known."""

    found: int
    score: KindScore | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run did, read from the topics and ClickHouse."""

    run: str
    seed: int | None
    from_ms: int | None
    to_ms: int | None
    accounts: Accounts
    observations: Mapping[str, int]
    incidents: Mapping[str, IncidentCount]
    latency: Latency | None
    """None = not measured: recorded input waits in a queue, which says nothing."""
    sent: SentSummary | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return in words what does not add up."""
        if self.sent is None:
            return self.accounts.reasons
        arrived = sum(self.accounts.topics[topic.name].records for topic in topics.OF_DEVICES)
        sent = self.sent.sent + self.sent.registrations
        if sent == arrived:
            return self.accounts.reasons
        return (*self.accounts.reasons, f"{sent} records were sent, {arrived} arrived")

    @property
    def kinds(self) -> KindsFound | None:
        """Return which kinds were found, None where no truth is known."""
        scores = {kind: count.score for kind, count in self.incidents.items() if count.score is not None}
        if not scores or self.from_ms is None or self.to_ms is None:
            return None
        return kinds_found(scores, (self.to_ms - self.from_ms) / 1000)

    @property
    def balances(self) -> bool:
        """Tell whether every record, row and line is accounted for."""
        return not self.reasons


def build_report(
    settings: Settings, codec: Codec, scope: Scope, *, seed: int | None, scored: bool, sent: SentSummary | None = None
) -> Report:
    """Account for a run, and score its incidents when `scored` (a simulated run has a truth).

    sent: what recorded input was sent. Raises Retryable when Kafka or ClickHouse does not answer.
    """
    accounts, facts = account(settings, codec, scope.begin, scope.end)
    truths = _read_truths(settings, codec, scope) if scored else None
    ticks_ms = [
        at for part in facts.inputs.values() for at in (part.first_tick_ms, part.last_tick_ms) if at is not None
    ]
    return Report(
        run=settings.run or "live",
        seed=seed,
        from_ms=min(ticks_ms, default=None),
        to_ms=max(ticks_ms, default=None),
        accounts=accounts,
        observations=dict(sorted(Counter(facts.standing.values()).items())),
        incidents=_count_incidents(facts, truths, max(ticks_ms, default=None)),
        latency=None if sent is not None else _latency(facts),
        sent=sent,
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as the JSON object that `--report` writes."""
    sent = report.sent
    return {
        "run": report.run,
        "seed": report.seed,
        "from": _moment(report.from_ms),
        "to": _moment(report.to_ms),
        "balances": report.balances,
        "reasons": list(report.reasons),
        "records": {name: _records(report.accounts, name) for name in report.accounts.topics},
        "rejected": dict(report.accounts.rejected),
        "observations": dict(report.observations),
        "incidents": {kind: _incidents(count) for kind, count in report.incidents.items()},
        "kinds": None if report.kinds is None else asdict(report.kinds),
        "clickhouse": {name: asdict(table) for name, table in report.accounts.tables.items()},
        "latency_ms": None if report.latency is None else asdict(report.latency),
        "recorded": None if sent is None else asdict(sent),
    }


def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(as_json(report))) + b"\n")


def render(report: Report) -> RenderableType:
    """Return the report as tables for a terminal."""
    verdict = Text("everything is accounted for", style="green")
    if not report.balances:
        verdict = Text("\n".join(("the accounting does not balance:", *report.reasons)), style="red")
    tables = _records_table(report), _incidents_table(report), _rows_table(report)
    return Group(*tables, Text(_notes(report)), verdict)


def _records_table(report: Report) -> Table:
    table = Table(Column("records", overflow="fold"), "in", "used", "duplicate", "rejected", "forwarded", "waiting")
    for name, topic in report.accounts.topics.items():
        numbers = (topic.records, topic.used, topic.duplicate, topic.rejected, topic.forwarded, topic.waiting)
        table.add_row(name, *(f"{number:,}" for number in numbers))
    return _right(table)


def _incidents_table(report: Report) -> Table:
    names = "found", "truth", "detected", "missed", "not judged", "false", "median time to detect"
    table = Table("incidents", *names)
    for kind, count in report.incidents.items():
        one = count.score
        median = None if one is None else one.median_time_to_detect_s
        counts = () if one is None else (one.truth, one.detected, one.missed, one.not_judged, one.false)
        cells = [str(number) for number in counts] or [""] * 5
        table.add_row(kind, str(count.found), *cells, "" if median is None else f"{median:.1f} s")
    return _right(table)


def _rows_table(report: Report) -> Table:
    table = Table("ClickHouse", "written", "stored")
    for name, rows in report.accounts.tables.items():
        table.add_row(name, f"{rows.written:,}", f"{rows.stored:,}")
    return _right(table)


def _notes(report: Report) -> str:
    lines = [f"rejected: {_listed(report.accounts.rejected)}", f"observations: {_listed(report.observations)}"]
    lines += [] if report.kinds is None else in_words(report.kinds)
    if report.latency is not None and report.latency.p50 is not None and report.latency.p99 is not None:
        lines.append(
            f"from the append of the evidence to the append of the change: p50 {report.latency.p50:.0f} ms, "
            f"p99 {report.latency.p99:.0f} ms over {report.latency.changes:,} changes"
        )
    if report.sent is not None:
        lines.append(
            f"recorded: {report.sent.rows:,} rows, {report.sent.refused:,} lines refused, "
            f"{report.sent.left_out:,} left out, {report.sent.placed:,} devices placed, {report.sent.ticks:,} ticks"
        )
        lines += counts_in_words(report.sent.found) if report.sent.found else []
    return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _right(table: Table) -> Table:
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _records(accounts: Accounts, name: str) -> dict[str, Any]:
    fields = asdict(accounts.topics[name])
    return {"in": fields.pop("records"), **fields}


def _incidents(count: IncidentCount) -> dict[str, Any]:
    names = ("truth", "detected", "false", "median_time_to_detect_s", "not_judged", "missed")
    one = count.score
    scored = dict.fromkeys(names) if one is None else {**asdict(one), "missed": one.missed}
    return {"found": count.found, **scored}


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _latency(facts: LogFacts) -> Latency:
    return measure_latency(facts.changes, facts.sources, facts.told_ms, facts.inputs)


def _count_incidents(facts: LogFacts, truths: list[Truth] | None, end_ms: int | None) -> dict[str, IncidentCount]:
    """Count the incidents that opened within the scope, and score them against the truths where there are any."""
    changes = [fact.change for fact in _opened_here(facts.changes)]
    found = {kind: count.false for kind, count in score([], changes).items()}
    scores = score(truths, changes, end_ms) if truths is not None else {}
    return {kind: IncidentCount(found.get(kind, 0), scores.get(kind)) for kind in sorted(found.keys() | scores.keys())}


def _opened_here(changes: Sequence[ChangeFact]) -> list[ChangeFact]:
    opened = {fact.change.incident.incident_id for fact in changes if fact.change.incident.revision == 1}
    return [fact for fact in changes if fact.change.incident.incident_id in opened]


def _read_truths(settings: Settings, codec: Codec, scope: Scope) -> list[Truth]:
    with reading(settings) as log:
        return [codec.read(one.value or b"", Truth) for one in log.read(topics.TRUTH, scope.begin, scope.end)]
