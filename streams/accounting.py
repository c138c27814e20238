"""The independent accounting: every record of the input topics is used, duplicate, rejected or forwarded, exactly once.

It compares what the topics hold (streams/log_facts.py) with ClickHouse's own rows, offset by offset, and never asks
the worker. Records behind the last tick of their partition are not decided yet: they are counted as waiting.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from processors.batches import IntArray
from schemas.codec import Codec
from schemas.tables import (
    ACTIONS,
    DETECTIONS,
    DEVICE_LOG,
    DUPLICATES,
    FORWARDED,
    HEARTBEATS,
    POSITIONS,
    READINGS,
    REJECTED,
    TABLES,
)
from sinks.clickhouse.queries import StoredOffsets, stored_offsets
from streams import topics
from streams.log_facts import FrameFact, InputPart, LogFacts, Place, read_facts
from streams.reading import Vector, reading
from streams.settings import Settings

USED_IN: Final = {
    topics.POSITIONS.name: (POSITIONS, DEVICE_LOG),
    topics.DETECTIONS.name: (DETECTIONS, HEARTBEATS, DEVICE_LOG),
    topics.READINGS.name: (READINGS, HEARTBEATS, DEVICE_LOG),
    topics.ACTIONS.name: (ACTIONS,),
}
"""Input topic -> tables that hold a used record's row."""

LISTED: Final = 20
"""Of what is wrong at most so many are listed; all are counted."""

Stored = Callable[[str, str, int], IntArray]
"""(table, source topic, partition) -> source offsets of the stored rows, sorted, one a row."""


@dataclass(frozen=True, slots=True)
class TopicAccount:
    """One input topic: records (ticks aside) = used + duplicate + rejected + forwarded, or it does not balance.

    waiting: behind the last tick, not in `records`. missing: in no account. several: in more than one, or twice in
    one. wrong: the first of both.
    """

    records: int
    used: int
    duplicate: int
    rejected: int
    forwarded: int
    waiting: int
    ticks: int
    missing: int
    several: int
    wrong: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class TableAccount:
    """Rows of one table: as rows.v1 says, repeats dropped, and as ClickHouse holds from the same offsets."""

    written: int
    stored: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """The whole accounting. rejected: reason -> records. reasons: in words, why it does not balance."""

    topics: Mapping[str, TopicAccount]
    rejected: Mapping[str, int]
    tables: Mapping[str, TableAccount]
    reasons: tuple[str, ...]

    @property
    def balances(self) -> bool:
        """Tell whether everything adds up."""
        return not self.reasons


def account(settings: Settings, codec: Codec, begin: Vector, end: Vector) -> tuple[Accounts, LogFacts]:
    """Account for every input record from `begin` to before `end` (LogReader.end before the work, and after it).

    Raises Retryable when Kafka or ClickHouse does not answer, UsageError when a topic or the database is not there.
    """
    with reading(settings) as log:
        facts = read_facts(settings, codec, log, begin, end)
    return judge(facts, _stored_by(settings)), facts


def judge(facts: LogFacts, stored: Stored) -> Accounts:
    """Hold what the topics say against what is stored."""
    reasons: list[str] = []
    accounts = {topic.name: _judge_topic(topic.name, facts, stored, reasons) for topic in topics.INPUTS}
    tables = _judge_tables(facts, stored, reasons)
    if facts.contradictions:
        reasons.append(f"{len(facts.contradictions)} incident revisions exist with two contents")
    rejected = Counter(
        reason
        for place, reason in facts.rejects.items()
        if (part := facts.inputs.get(place[:2])) is not None and _within(place, part)
    )
    return Accounts(accounts, dict(sorted(rejected.items())), tables, tuple(reasons))


def _judge_topic(topic: str, facts: LogFacts, stored: Stored, reasons: list[str]) -> TopicAccount:
    counts = Counter[str]()
    wrong: list[Place] = []
    for (name, partition), part in facts.inputs.items():
        if name != topic:
            continue
        records = part.offset[~part.is_tick]
        judged = records[records < part.decided]
        entries = {account: _within_part(rows, part) for account, rows in _entries(topic, partition, stored).items()}
        hits = _hits(judged, entries, f"{topic}/{partition}", reasons)
        told = [place.offset for place in facts.rejects if place[:2] == (topic, partition) and _within(place, part)]
        _compare_rejects(f"{topic}/{partition}", entries["rejected"], np.array(sorted(told), dtype=np.int64), reasons)
        for account, rows in entries.items():
            counts[account] += len(np.intersect1d(rows, judged))
        counts["records"] += len(judged)
        counts["waiting"] += len(records) - len(judged)
        counts["ticks"] += int(part.is_tick.sum())
        counts["missing"] += int((hits == 0).sum())
        counts["several"] += int((hits > 1).sum())
        wrong += [Place(topic, partition, int(offset)) for offset in judged[hits != 1][:LISTED]]
    for count, where in ((counts["missing"], "no account"), (counts["several"], "more than one account")):
        if count:
            reasons.append(f"{count} records of {topic} are in {where}")
    return TopicAccount(
        records=counts["records"],
        used=counts["used"],
        duplicate=counts["duplicate"],
        rejected=counts["rejected"],
        forwarded=counts["forwarded"],
        waiting=counts["waiting"],
        ticks=counts["ticks"],
        missing=counts["missing"],
        several=counts["several"],
        wrong=tuple(wrong[:LISTED]),
    )


def _entries(topic: str, partition: int, stored: Stored) -> dict[str, IntArray]:
    """Return the stored offsets of one partition by account."""
    used = [stored(table.name, topic, partition) for table in USED_IN[topic]]
    return {
        "used": np.sort(np.concatenate(used)),
        "duplicate": stored(DUPLICATES.name, topic, partition),
        "rejected": stored(REJECTED.name, topic, partition),
        "forwarded": stored(FORWARDED.name, topic, partition),
    }


def _hits(judged: IntArray, entries: Mapping[str, IntArray], where: str, reasons: list[str]) -> IntArray:
    """Return how often each of n records is entered, int64 (n,); entries for no record are told."""
    hits = np.zeros(len(judged), dtype=np.int64)
    for account, rows in entries.items():
        found = np.isin(rows, judged)
        np.add.at(hits, np.searchsorted(judged, rows[found]), 1)
        if not found.all():
            reasons.append(f"{account} rows of {where} stand at offsets without a record: {_few(rows[~found])}")
    return hits


def _compare_rejects(where: str, rows: IntArray, told: IntArray, reasons: list[str]) -> None:
    """Hold the table `rejected` against records.rejected.v1."""
    for only, here, there in (
        (np.setdiff1d(rows, told), "ClickHouse", topics.REJECTED.name),
        (np.setdiff1d(told, rows), topics.REJECTED.name, "ClickHouse"),
    ):
        if len(only):
            reasons.append(f"records of {where} rejected in {here} but not in {there}: {_few(only)}")


def _judge_tables(facts: LogFacts, stored: Stored, reasons: list[str]) -> dict[str, TableAccount]:
    frames: dict[str, dict[tuple[str, int], list[FrameFact]]] = {name: defaultdict(list) for name in TABLES}
    for frame in facts.frames:
        frames[frame.table][frame.topic, frame.partition].append(frame)
    if facts.unlike:
        reasons.append(f"{facts.unlike} row frames were repeated with other content")
    tables: dict[str, TableAccount] = {}
    for table, sources in frames.items():
        held = 0
        for (topic, partition), covering in sources.items():
            covering.sort(key=lambda frame: frame.first_offset)
            rows = stored(table, topic, partition)
            first, last = covering[0].first_offset, max(frame.last_offset for frame in covering)
            held += int(((rows >= first) & (rows <= last)).sum())
            if any(after.first_offset <= before.last_offset for before, after in pairwise(covering)):
                reasons.append(f"frames for {table} from {topic}/{partition} cover the same offsets twice")
        written = sum(frame.rows for covering in sources.values() for frame in covering)
        tables[table] = TableAccount(written, held)
        if written != held:
            reasons.append(f"{table}: {topics.ROWS.name} says {written} rows, ClickHouse holds {held}")
    return tables


def _stored_by(settings: Settings) -> Stored:
    """Return a look-up in ClickHouse that asks once a table and source topic."""
    known: dict[tuple[str, str], StoredOffsets] = {}

    def stored(table: str, topic: str, partition: int) -> IntArray:
        if (table, topic) not in known:
            known[table, topic] = stored_offsets(settings.clickhouse_url, settings.database, table, topic)
        found = known[table, topic]
        offsets: IntArray = found.offset[found.partition == partition]
        return offsets

    return stored


def _within(place: Place, part: InputPart) -> bool:
    return part.begin <= place.offset < part.decided


def _within_part(offsets: IntArray, part: InputPart) -> IntArray:
    return offsets[(offsets >= part.begin) & (offsets < part.decided)]


def _few(offsets: IntArray) -> str:
    shown = ", ".join(str(offset) for offset in offsets[:5])
    return shown if len(offsets) <= 5 else f"{shown}, ... ({len(offsets)} in all)"
