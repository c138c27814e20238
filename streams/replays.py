"""The book of replays: what was replayed from when to when, with which rules, and how it went; kept with the run."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import CityopsError, UsageError
from sinks.clickhouse.migrations import drop_database
from sinks.clickhouse.queries import query
from streams.admin import delete_group, delete_run, describe
from streams.session import alone
from streams.settings import LIVE, Settings, checked_run
from streams.span import Span, load_span, span_path

FACTS: Final = "replay.json"


class State(StrEnum):
    """How a replay stands."""

    UNDER_WAY = "under way"
    FINISHED = "finished"
    ENDED_EARLY = "ended early"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is written down of a replay beside its span.

    made_at_ms, finished_at_ms: by this machine's clock; None = not finished. rules: a folder; empty = the city's own.
    incidents: opened within the span, provisional ones aside. records: read, warm-up and ticks included.
    """

    made_at_ms: int
    source_run: str
    city: str
    rules: str
    rules_version: str
    warm_up_s: float
    block_ms: int
    records: int
    finished_at_ms: int | None = None
    incidents: int | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay of this home. facts: None for one of an earlier version, which wrote none down."""

    name: str
    state: State
    span: Span
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class Size:
    """What a run takes up: offsets on its own topics, rows and bytes in ClickHouse."""

    topic_offsets: int
    rows: int
    bytes_on_disk: int


def save_facts(home: Path, run: str, facts: Facts) -> None:
    """Write down what is known of a replay; its folder is there."""
    _facts_path(home, run).write_bytes(msgspec.json.format(msgspec.json.encode(facts)))


def finish_facts(home: Path, run: str, finished_at_ms: int, incidents: int) -> None:
    """Add how a replay ended."""
    facts = _load_facts(home, run)
    assert facts is not None
    save_facts(home, run, replace(facts, finished_at_ms=finished_at_ms, incidents=incidents))


def list_replays(home: Path) -> list[Replay]:
    """Return the replays of a home, the oldest first."""
    names = sorted(path.parent.name for path in (home / "runs").glob("*/span.json"))
    found = [find_replay(home, name) for name in names]
    return sorted(found, key=lambda one: (0 if one.facts is None else one.facts.made_at_ms, one.name))


def find_replay(home: Path, name: str) -> Replay:
    """Return one replay. Raises UsageError when there is none of that name."""
    span = load_span(home, checked_run(name))
    if span is None:
        raise UsageError(f"there is no replay {name!r} in {home}: `cityops replay list` shows those there are")
    facts = _load_facts(home, name)
    return Replay(name, _state(home, name, facts), span, facts)


def sizes_in_clickhouse(settings: Settings) -> dict[str, tuple[int, int]]:
    """Return rows and bytes on disk of every database of the server, by its name."""
    answer = query(
        settings.clickhouse_url,
        "",
        "SELECT database, sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active GROUP BY database",
    )
    return {str(name): (int(rows), int(held)) for name, rows, held in answer.rows}


def size_of(settings: Settings, name: str) -> Size:
    """Return what a replay takes up on the servers. Raises what the servers' clients raise."""
    run = settings.with_run(name, name)
    rows, held = sizes_in_clickhouse(settings).get(run.database, (0, 0))
    return Size(sum(state.offsets for state in describe(run)), rows, held)


def check_droppable(home: Path, name: str) -> None:
    """Raise UsageError for the live run, for one that is no replay and for one that is under way."""
    if name in ("", LIVE):
        raise UsageError("the live run is never dropped: name a replay, `cityops replay list` shows those there are")
    if find_replay(home, name).state is State.UNDER_WAY:
        raise UsageError(f"{name} is under way: end it before you drop it")


def drop_replay(settings: Settings, name: str) -> tuple[str, ...]:
    """Remove a replay's topics, consumer group, database and files; return the names of the topics.

    Raises UsageError as `check_droppable` does.
    """
    check_droppable(settings.home, name)
    run = settings.with_run(name, name)
    with alone(run):
        gone = delete_run(run)
        delete_group(run)
        drop_database(run.clickhouse_url, run.database)
        for path in _files(settings.home, name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return gone


def _files(home: Path, name: str) -> Iterator[Path]:
    """Yield what a run keeps on disk, its lock last."""
    yield home / "runs" / name
    yield home / "faust" / name
    yield home / "logs" / f"worker-{name}.log"
    yield home / "runs" / f"{name}.lock"


def _state(home: Path, name: str, facts: Facts | None) -> State:
    with suppress(FileNotFoundError), (home / "runs" / f"{name}.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return State.UNDER_WAY
    return State.ENDED_EARLY if facts is not None and facts.finished_at_ms is None else State.FINISHED


def _facts_path(home: Path, run: str) -> Path:
    return span_path(home, run).with_name(FACTS)


def _load_facts(home: Path, run: str) -> Facts | None:
    try:
        return msgspec.json.decode(_facts_path(home, run).read_bytes(), type=Facts)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise CityopsError(f"{_facts_path(home, run)} cannot be read: {error}") from error
