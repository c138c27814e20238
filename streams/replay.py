"""Replays: the live log of a span, read again by a worker of its own into topics and a database of its own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from schemas.codec import Codec
from schemas.errors import UsageError
from streams import topics
from streams.registry import load_codec
from streams.session import city_of, stack_running, stopped_by_signals, worker_running
from streams.settings import Settings, checked_run
from streams.span import Part, Span, save_span, span_path
from streams.tick_index import TickIndex
from streams.workers import wait_drained

WARM_UP_S: Final = 2400.0
"""Lateness bound and correlation horizon together: what could still matter at the beginning of the span."""
DRAIN_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the user asked for; None = from the beginning, to the end of the log."""

    from_ms: int | None
    to_ms: int | None
    into: str
    warm_up_s: float
    rules: Path | None


def find_span(settings: Settings, codec: Codec, options: ReplayOptions) -> Span:
    """Find the offset vectors of a span of event time, warm-up included.

    It ends at the first tick at or after `to` that also closes a block, so that every row is written.
    Raises UsageError when the log holds nothing of it.
    """
    parts, first_ms, last_ms = [], [], []
    for topic in topics.INPUTS:
        for partition in range(topic.partitions):
            index = TickIndex(settings, codec, topic, partition)
            try:
                part = _part(index, topic, partition, settings.block_ms, options)
            finally:
                index.close()
            if part is not None:
                parts.append(part[0])
                first_ms.append(part[1])
                last_ms.append(part[2])
    if not parts:
        raise UsageError("the log holds no ticks in that span: `cityops topics describe` shows what there is")
    from_ms = options.from_ms if options.from_ms is not None else min(first_ms)
    to_ms = options.to_ms if options.to_ms is not None else max(last_ms)
    return Span(from_ms, to_ms, parts)


def _part(
    index: TickIndex, topic: topics.Topic, partition: int, block_ms: int, options: ReplayOptions
) -> tuple[Part, int, int] | None:
    start, last = index.next_tick(index.first), index.last_tick()
    if start is None or last is None:
        return None
    begin, first_ms = index.first, start[1]
    if options.from_ms is not None:
        warm_ms = options.from_ms - int(options.warm_up_s * 1000)
        found = index.first_tick(lambda at_ms: at_ms >= warm_ms)
        if found is None:
            return None
        begin = index.first if found[1] == first_ms else found[0]
    end, last_ms = index.end, last[1]
    if options.to_ms is not None:
        boundary_ms = -(-options.to_ms // block_ms) * block_ms
        stop = index.first_tick(lambda at_ms: at_ms >= boundary_ms)
        end = index.end if stop is None else stop[0] + 1
        last_ms = options.to_ms
    return Part(topic.name, partition, begin, end), first_ms, last_ms


def run_replay(settings: Settings, options: ReplayOptions, console: Console) -> Span:
    """Replay a span into an isolated run and wait until it is worked off."""
    if not options.into or options.into == settings.run:
        raise UsageError("a replay needs a name of its own: --into NAME")
    if options.from_ms is not None and options.to_ms is not None and options.from_ms >= options.to_ms:
        raise UsageError("--from is not before --to")
    source = settings.run
    checked_run(options.into)
    with stopped_by_signals(), stack_running(settings, console) as settings:
        codec = load_codec(settings)
        with console.status("finding the span in the log"):
            span = find_span(settings, codec, options)
        span_path(settings.home, options.into).unlink(missing_ok=True)
        save_span(settings.home, options.into, span)
        run = replace(
            settings.with_run(options.into, source),
            ticker=False,
            ttl_days=None,
            provisional_after_ms=0,
            rules=options.rules or settings.rules,
        )
        ends = {(part.topic, part.partition): part.end for part in span.parts}
        total = sum(part.end - part.begin for part in span.parts)
        with worker_running(run, city_of(run), console, fresh=True) as session:
            with console.status(f"replaying {total:,} records") as spinner:
                done = wait_drained(
                    session.settings,
                    session.worker,
                    ends,
                    DRAIN_S,
                    lambda left: spinner.update(f"replaying: {left:,} of {total:,} records left"),
                )
            if not done:
                raise UsageError(f"the replay did not finish: read {session.worker.log_path}")
    return span
