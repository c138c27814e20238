"""The independent accounting: every record of the input topics is used, duplicate, rejected or forwarded, exactly once.

It compares what the topics hold (streams/log_facts.py) with ClickHouse's own rows, offset by offset, and never asks
the worker. Records behind the last tick of their partition are not decided yet: they are counted as waiting. A frame
of n positions counts as n records, each known by its offset and its row.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

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
from streams.log_facts import WHOLE, FrameFact, InputPart, LogFacts, Place, read_facts
from streams.reading import Vector, reading
from streams.settings import Settings

USED_IN: Final = {
    topics.POSITIONS.name: (POSITIONS, DEVICE_LOG),
    topics.FRAMES.name: (POSITIONS, DEVICE_LOG),
    topics.DETECTIONS.name: (DETECTIONS, HEARTBEATS, DEVICE_LOG),
    topics.READINGS.name: (READINGS, HEARTBEATS, DEVICE_LOG),
    topics.ACTIONS.name: (ACTIONS,),
}
"""Input topic -> tables that hold a used record's row."""

LISTED: Final = 20
"""Of what is wrong at most so many are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class Entries:
    """What an account says of n records: offset (n,) and row within the record (n,), -1 = the record as a whole."""

    offset: IntArray
    index: IntArray

    def take(self, rows: npt.NDArray[Any]) -> "Entries":
        """Return those (indices or a mask)."""
        return Entries(self.offset[rows], self.index[rows])


Stored = Callable[[str, str, int], Entries]
"""(table, source topic, partition) -> where the stored rows are from, one a row."""


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
    rejected = Counter[str]()
    for place, reason in facts.rejects.items():
        part = facts.inputs.get(place[:2])
        if part is not None and _within(place, part):
            rejected[reason] += part.rows_at(place.offset) if place.row == WHOLE else 1
    return Accounts(accounts, dict(sorted(rejected.items())), tables, tuple(reasons))


@dataclass(frozen=True, slots=True)
class _Numbered:
    """The decided records of one partition, numbered through from 0: one at offset[k] has rows[k] numbers."""

    offset: IntArray
    rows: IntArray

    @property
    def total(self) -> int:
        """How many numbers there are."""
        return int(self.rows.sum())

    def of(self, entries: Entries, *, in_turn: bool) -> tuple[IntArray, IntArray]:
        """Return the numbers that entries stand for, sorted, and the offsets of entries for nothing that is there.

        in_turn: a record as a whole is entered once for each of its rows, otherwise once for all of them.
        """
        if not len(self.offset):
            return self.offset, entries.offset
        place = np.minimum(np.searchsorted(self.offset, entries.offset), len(self.offset) - 1)
        rows, whole = self.rows[place], entries.index == WHOLE
        there = (self.offset[place] == entries.offset) & (entries.index < rows)
        index = np.where(whole, _turns(entries.offset) % rows if in_turn else 0, entries.index)
        count = np.where(whole & (not in_turn), rows, 1)[there]
        start = ((np.cumsum(self.rows) - self.rows)[place] + index)[there]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.sort(np.repeat(start, count) + within), entries.offset[~there]

    def places(self, topic: str, partition: int, numbers: IntArray) -> list[Place]:
        """Return where records of those numbers (n,) stand."""
        ends = np.cumsum(self.rows)
        at = np.searchsorted(ends, numbers, side="right")
        index = np.where(self.rows[at] == 1, WHOLE, numbers - (ends - self.rows)[at])
        pairs = zip(self.offset[at].tolist(), index.tolist(), strict=True)
        return [Place(topic, partition, offset, row) for offset, row in pairs]


def _judge_topic(topic: str, facts: LogFacts, stored: Stored, reasons: list[str]) -> TopicAccount:
    counts = Counter[str]()
    wrong: list[Place] = []
    for (name, partition), part in facts.inputs.items():
        if name != topic:
            continue
        offset, rows = part.offset[~part.is_tick], part.rows[~part.is_tick]
        decided = offset < part.decided
        numbered, where = _Numbered(offset[decided], rows[decided]), f"{topic}/{partition}"
        hits = np.zeros(numbered.total, dtype=np.int64)
        for account, every in _entries(topic, partition, stored).items():
            entries = every.take((every.offset >= part.begin) & (every.offset < part.decided))
            numbers, astray = numbered.of(entries, in_turn=account == "forwarded")
            np.add.at(hits, numbers, 1)
            counts[account] += len(np.unique(numbers))
            if len(astray):
                reasons.append(f"{account} rows of {where} stand at offsets without a record: {_few(astray.tolist())}")
            if account == "rejected":
                _compare_rejects(
                    where,
                    entries,
                    [one for one in facts.rejects if one[:2] == (topic, partition) and _within(one, part)],
                    reasons,
                )
        counts["records"] += numbered.total
        counts["waiting"] += int(rows.sum()) - numbered.total
        counts["ticks"] += int(part.is_tick.sum())
        counts["missing"] += int((hits == 0).sum())
        counts["several"] += int((hits > 1).sum())
        wrong += numbered.places(topic, partition, np.flatnonzero(hits != 1)[:LISTED])
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


def _entries(topic: str, partition: int, stored: Stored) -> dict[str, Entries]:
    """Return what is stored of one partition by account."""
    used = [stored(table.name, topic, partition) for table in USED_IN[topic]]
    return {
        "used": Entries(*(np.concatenate([getattr(one, name) for one in used]) for name in ("offset", "index"))),
        "duplicate": stored(DUPLICATES.name, topic, partition),
        "rejected": stored(REJECTED.name, topic, partition),
        "forwarded": stored(FORWARDED.name, topic, partition),
    }


def _compare_rejects(where: str, entries: Entries, places: Sequence[Place], reasons: list[str]) -> None:
    """Hold the table `rejected` against records.rejected.v1."""
    stored = set(zip(entries.offset.tolist(), entries.index.tolist(), strict=True))
    told = {(place.offset, place.row) for place in places}
    for only, here, there in (
        (stored - told, "ClickHouse", topics.REJECTED.name),
        (told - stored, topics.REJECTED.name, "ClickHouse"),
    ):
        if only:
            few = _few([f"{offset}" if index == WHOLE else f"{offset}/{index}" for offset, index in sorted(only)])
            reasons.append(f"records of {where} rejected in {here} but not in {there}: {few}")


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
            rows = stored(table, topic, partition).offset
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

    def stored(table: str, topic: str, partition: int) -> Entries:
        if (table, topic) not in known:
            known[table, topic] = stored_offsets(settings.clickhouse_url, settings.database, table, topic)
        found = known[table, topic]
        return Entries(found.offset, found.index).take(found.partition == partition)

    return stored


def _within(place: Place, part: InputPart) -> bool:
    return part.begin <= place.offset < part.decided


def _turns(offset: IntArray) -> IntArray:
    """Return for sorted offsets (n,) how many equal ones stand before each."""
    turns: IntArray = np.arange(len(offset)) - np.searchsorted(offset, offset)
    return turns


def _few(told: Sequence[int | str]) -> str:
    shown = ", ".join(str(one) for one in told[:5])
    return shown if len(told) <= 5 else f"{shown}, ... ({len(told)} in all)"
