"""Holds other rules against the live ones over a span of a run's observations, which no rule has a say in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processors.city import City
from processors.evaluation.backtest import KindComparison, as_truths, compare_changes, opened_between
from processors.evaluation.pipeline import Concluder
from processors.incidents.rules import RuleSet
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import IncidentChange, ObservationBlock, Truth
from streams import topics
from streams.explaining import blocks_since, merged_sources
from streams.reading import LogReader, reading
from streams.rule_sets import known_published
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Backtest:
    """What was compared. against: "truth", or "live rules" where the span holds no truth."""

    against: str
    from_ms: int
    to_ms: int
    blocks: int
    kinds: tuple[KindComparison, ...]


def backtest_span(
    settings: Settings,
    codec: Codec,
    city: City,
    rule_sets: tuple[RuleSet, RuleSet],
    from_ms: int | None,
    to_ms: int | None,
) -> Backtest:
    """Conclude incidents from a run's observations under the live and the other rules, and compare those of a span.

    rule_sets: the live ones until others were published, and the others. The observations before the span count as they
    did then. from_ms, to_ms: None = where the log begins and ends.
    Raises UsageError when the log holds no observations of the span.
    """
    sources = merged_sources(settings)
    live, other = rule_sets
    concluders = [Concluder(live, city, sources, known_published(settings, codec)), Concluder(other, city, sources)]
    made: tuple[list[IncidentChange], list[IncidentChange]] = ([], [])
    blocks, first_ms, last_ms = 0, None, 0
    with reading(settings) as log:
        for block in _until(blocks_since(log, codec, {}), to_ms):
            blocks += 1
            first_ms, last_ms = block.tick_ms if first_ms is None else first_ms, max(last_ms, block.tick_ms)
            for concluder, changes in zip(concluders, made, strict=True):
                changes += concluder.take([block])
        truths = _truths(log, codec)
    if first_ms is None or (from_ms is not None and last_ms < from_ms):
        raise UsageError("the log holds no observations of that span: `cityops topics describe` shows what there is")
    begin_ms = first_ms if from_ms is None else from_ms
    end_ms = last_ms if to_ms is None else to_ms
    lived, tried = (opened_between(changes, begin_ms, end_ms) for changes in made)
    told = [one for one in truths if begin_ms <= one.at_ms <= end_ms]
    against = "truth" if told else "live rules"
    return Backtest(against, begin_ms, end_ms, blocks, compare_changes(told or as_truths(lived), lived, tried))


def _until(blocks: Iterable[ObservationBlock], to_ms: int | None) -> Iterable[ObservationBlock]:
    return (block for block in blocks if to_ms is None or block.tick_ms <= to_ms)


def _truths(log: LogReader, codec: Codec) -> Sequence[Truth]:
    found = log.read(topics.TRUTH, {}, log.end([topics.TRUTH]))
    return [codec.read(message.value, Truth) for message in found if message.value is not None]
