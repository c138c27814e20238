"""Replays: the live log of a span, read again by a worker of its own into topics and a database of its own."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from rich.console import Console

from processors.city import City
from processors.incidents.rule_versions import in_force
from processors.incidents.rules import load_rules
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import PublishedRules
from streams import topics
from streams.admin import ensure_topics, has_input
from streams.diff import standing_at
from streams.estate_before import registered_before, save_before
from streams.log_facts import read_changes
from streams.reading import reading
from streams.registry import load_codec
from streams.replay_progress import Meter, shown_on
from streams.replays import Facts, finish_facts, save_facts
from streams.rule_sets import published_before, save_begun_with
from streams.session import Session, alone, city_of, stack_running, stopped_by_signals, worker_running
from streams.settings import LIVE, Settings, checked_run
from streams.span import Part, Span, save_span
from streams.tick_index import TickIndex
from streams.workers import wait_drained

WARM_UP_S: Final = 2400.0
"""Lateness bound and correlation horizon together: what could still matter at the beginning of the span."""
STALLED_S: Final = 600.0
"""A replay in which nothing moves for so long is given up."""
LONG_BLOCK_MS: Final = 10_000
"""Block and checkpoint of a replay, in ticks: at full speed they come some hundred times as often as live ones."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the user asked for; None = from the beginning, to the end of the log. speed: as in Span."""

    from_ms: int | None
    to_ms: int | None
    into: str
    warm_up_s: float
    rules: Path | None
    speed: float = 0.0


def find_span(settings: Settings, codec: Codec, options: ReplayOptions) -> Span:
    """Find the offset vectors of a span of event time, warm-up included.

    It ends at the first tick at or after `to` that also closes a block, so that every row is written: a long block,
    which is quicker, where the log goes on that far, otherwise one as long as the settings say.
    Raises UsageError when the log holds nothing of it.
    """
    found: list[_Found] = []
    for topic in topics.INPUTS:
        for partition in range(topic.partitions):
            index = TickIndex(settings, codec, topic, partition)
            try:
                one = _find(index, topic, partition, settings.block_ms, options)
            finally:
                index.close()
            if one is not None:
                found.append(one)
    if not found:
        raise UsageError("the log holds no ticks in that span: `cityops topics describe` shows what there is")
    long_ends = [one.long_end for one in found]
    parts = [one.part for one in found]
    block_ms = settings.block_ms
    if None not in long_ends:
        parts = [replace(part, end=end) for part, end in zip(parts, long_ends, strict=True) if end is not None]
        block_ms = max(block_ms, LONG_BLOCK_MS)
    from_ms = options.from_ms if options.from_ms is not None else min(one.first_ms for one in found)
    to_ms = options.to_ms if options.to_ms is not None else max(one.last_ms for one in found)
    return Span(from_ms, to_ms, parts, options.speed, block_ms)


@dataclass(frozen=True, slots=True)
class _Found:
    """One partition's part. long_end: where it ends with long blocks; None = the log does not go on that far."""

    part: Part
    long_end: int | None
    first_ms: int
    last_ms: int


def _find(
    index: TickIndex, topic: topics.Topic, partition: int, block_ms: int, options: ReplayOptions
) -> _Found | None:
    start, last = index.next_tick(index.first), index.last_tick()
    if start is None or last is None or (options.to_ms is not None and start[1] >= options.to_ms):
        return None  # a topic that came with a later version is no part of the span
    begin, first_ms = index.first, start[1]
    if options.from_ms is not None:
        warm_ms = options.from_ms - int(options.warm_up_s * 1000)
        found = index.first_tick(lambda at_ms: at_ms >= warm_ms)
        if found is None:
            return None
        begin = index.first if found[1] == first_ms else found[0]
    if options.to_ms is None:
        return _Found(Part(topic.name, partition, begin, index.end), None, first_ms, last[1])
    end = _closing(index, options.to_ms, block_ms)
    long_end = _closing(index, options.to_ms, max(block_ms, LONG_BLOCK_MS))
    part = Part(topic.name, partition, begin, index.end if end is None else end)
    return _Found(part, long_end, first_ms, options.to_ms)


def _closing(index: TickIndex, to_ms: int, block_ms: int) -> int | None:
    """Return the offset behind the first tick that closes a block at or after `to_ms`; None = there is none yet."""
    boundary_ms = -(-to_ms // block_ms) * block_ms
    stop = index.first_tick(lambda at_ms: at_ms >= boundary_ms)
    return None if stop is None else stop[0] + 1


def run_replay(settings: Settings, options: ReplayOptions, console: Console) -> Span:
    """Replay a span into an isolated run and wait until it is worked off."""
    if not options.into or options.into == settings.run:
        raise UsageError("a replay needs a name of its own: --into NAME")
    if options.from_ms is not None and options.to_ms is not None and options.from_ms >= options.to_ms:
        raise UsageError("--from is not before --to")
    source = settings.run
    checked_run(options.into)
    with stopped_by_signals(), stack_running(settings, console) as settings:
        if has_input(settings.with_run(options.into, options.into)):
            raise UsageError(f"{options.into} is a run with input of its own: give the replay another name")
        ensure_topics(settings, topics.INPUTS)  # a log of an older version may lack one
        codec = load_codec(settings)
        with console.status("finding the span in the log"):
            span = find_span(settings, codec, options)
        run = replace(
            settings.with_run(options.into, source),
            ticker=False,
            ttl_days=None,
            provisional_after_ms=0,
            rules=options.rules or settings.rules,
            block_ms=span.block_ms,
            checkpoint_ms=max(settings.checkpoint_ms, span.block_ms),
        )
        city = city_of(run)
        with alone(run):  # a run under way keeps its span
            warm_up_ms = 0 if options.from_ms is None else int(options.warm_up_s * 1000)
            begin_ms = span.from_ms - warm_up_ms
            published = None if options.rules else published_before(settings, codec, span, begin_ms)
            _begin(run, span, options, city, in_force(published or (), span.from_ms))
            save_before(run.home, run.run, registered_before(settings, codec, begin_ms))
            save_begun_with(run.home, run.run, published)
        with worker_running(run, city, console, fresh=True) as session:
            if not _wait(session, span, ZoneInfo(city.time_zone), console):
                raise UsageError(f"the replay did not finish: read {session.worker.log_path}")
            incidents = _incidents(session.settings, codec, span)
        finish_facts(run.home, run.run, _now_ms(), incidents)
    return span


def _begin(run: Settings, span: Span, options: ReplayOptions, city: City, published: PublishedRules | None) -> None:
    """Write down what is about to be replayed. published: in force at the beginning; None = a folder's rules are."""
    folder = run.rules or run.city / "rules"
    save_span(run.home, run.run, span)
    facts = Facts(
        made_at_ms=_now_ms(),
        source_run=run.source_run or LIVE,
        city=city.name,
        rules="" if options.rules is None else str(options.rules.resolve()),
        rules_version=load_rules(folder).version if published is None else published.version,
        warm_up_s=options.warm_up_s if options.from_ms is not None else 0.0,
        block_ms=span.block_ms,
        records=span.records,
    )
    save_facts(run.home, run.run, facts)


def _wait(session: Session, span: Span, zone: ZoneInfo, console: Console) -> bool:
    """Wait until all is worked off, however long it takes; False when nothing moves any more or the worker ended."""
    ends = {(part.topic, part.partition): part.end for part in span.parts}
    meter, moved_s, reached = Meter(span), time.monotonic(), None
    with shown_on(console, zone, span.records) as show:

        def progress(left: int) -> None:
            nonlocal moved_s, reached
            status = session.worker.status()
            if status is None:
                return
            now = meter.note(time.monotonic(), status)
            standing = (left, now.records, now.tick_ms)
            if standing != reached:
                moved_s, reached = time.monotonic(), standing
            show(now)

        while not wait_drained(session.settings, session.worker, ends, STALLED_S, progress):
            if session.worker.process.poll() is not None or time.monotonic() - moved_s > STALLED_S:
                return False
    return True


def _incidents(settings: Settings, codec: Codec, span: Span) -> int:
    """Return how many incidents the replay opened within its span."""
    with reading(settings) as log:
        facts, _ = read_changes(codec, log, {}, log.end([topics.CHANGES]))
    return len(standing_at((fact.change for fact in facts), span.from_ms, span.to_ms))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
