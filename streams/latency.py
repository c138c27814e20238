"""Latency: from the append of the record that completed the evidence to the append of the change it led to.

Both times are the broker's own (LogAppendTime), so no other clock takes part; it includes the wait for the next tick,
for the slowest partition and for every hop through Kafka, and not what a reader of the changes adds. Changes that no
new evidence caused (timers, withdrawals) have no latency, nor have those that are told at a later tick than all their
evidence: a rule waited for something that did not happen (`absent`), minutes maybe.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from processors.batches import IntArray
from schemas.records import Change
from streams.log_facts import ChangeFact, InputPart, Place

CAUSED_BY_EVIDENCE = (Change.OPENED, Change.CONFIRMED, Change.CHANGED)


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds over `changes` changes; None where there were none."""

    changes: int
    p50: float | None
    p99: float | None


def measure_latency(
    changes: Sequence[ChangeFact],
    sources: Mapping[str, Place],
    told_ms: Mapping[str, int],
    inputs: Mapping[tuple[str, int], InputPart],
) -> Latency:
    """Return the percentiles over all changes that new evidence caused and whose evidence lies in `inputs`."""
    latency_ms = change_latencies_ms(changes, sources, told_ms, inputs)
    if not len(latency_ms):
        return Latency(0, None, None)
    p50, p99 = (float(value) for value in np.percentile(latency_ms, (50, 99)))
    return Latency(len(latency_ms), p50, p99)


def change_latencies_ms(
    changes: Sequence[ChangeFact],
    sources: Mapping[str, Place],
    told_ms: Mapping[str, int],
    inputs: Mapping[tuple[str, int], InputPart],
) -> IntArray:
    """Return the latency of each such change, int64 (n,), in the log's order."""
    known: dict[str, set[str]] = {}
    found: list[int] = []
    for fact in changes:
        incident = fact.change.incident
        before = known.setdefault(incident.incident_id, set())
        new = {one.observation_id for one in incident.evidence} - before
        before |= new
        if fact.change.change not in CAUSED_BY_EVIDENCE or _waited(fact, new, told_ms):
            continue
        times = [_appended_ms(sources.get(one), inputs) for one in new]
        appended = [time for time in times if time is not None]
        if appended:
            found.append(fact.appended_ms - max(appended))
    return np.array(found, dtype=np.int64)


def _waited(fact: ChangeFact, new: Set[str], told_ms: Mapping[str, int]) -> bool:
    """Tell whether time, and not the newest of the evidence, made a change; a provisional one is ahead of its tick."""
    told = [told_ms[one] for one in new if one in told_ms]
    return bool(told) and not fact.change.incident.provisional and fact.change.tick_ms > max(told)


def _appended_ms(place: Place | None, inputs: Mapping[tuple[str, int], InputPart]) -> int | None:
    part = inputs.get((place.topic, place.partition)) if place is not None else None
    if place is None or part is None:
        return None
    at = int(np.searchsorted(part.offset, place.offset))
    return int(part.appended_ms[at]) if at < len(part.offset) and part.offset[at] == place.offset else None
