"""Explains an incident of a run: its observations come once more from observations.v1 through the correlator."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from processors.city import City
from processors.explain import Explanation, explain
from processors.incidents.engine import CorrelationRule
from processors.incidents.merge import SourceId
from processors.incidents.rules import RuleSet
from schemas.codec import Codec
from schemas.errors import UsageError
from schemas.records import Incident, IncidentChange, ObservationBlock
from streams import topics
from streams.log_facts import read_changes
from streams.reading import LogReader, Vector, reading
from streams.rule_sets import known_published
from streams.settings import Settings
from streams.span import load_span

MARGIN_MS: Final = 600_000
"""Read before twice the time that claims count: as long as a record may be late."""


def merged_sources(settings: Settings) -> list[SourceId]:
    """Return the partitions whose blocks a run's correlator merges: of a replay those of its span."""
    span = load_span(settings.home, settings.run)
    every = [(topic.name, partition) for topic in topics.INPUTS for partition in range(topic.partitions)]
    return [one for one in every if span is None or span.bounds(*one) is not None]


def correlation_rule(settings: Settings) -> CorrelationRule:
    """Return how a run's claims are correlated again: nothing early, rows and checkpoints hardly ever."""
    return replace(CorrelationRule(), provisional_after_ms=0, block_ms=MARGIN_MS, checkpoint_ms=MARGIN_MS)


def blocks_since(log: LogReader, codec: Codec, begin: Vector) -> Iterator[ObservationBlock]:
    """Yield the blocks of observations.v1 from an offset to the end of the log."""
    for message in log.read(topics.OBSERVATIONS, begin, log.end([topics.OBSERVATIONS])):
        yield codec.read(message.value or b"", ObservationBlock)


def explain_incident(
    settings: Settings, codec: Codec, city: City, rules: RuleSet, incident: Incident
) -> tuple[Explanation, ...]:
    """Return the revisions of an incident, explained, each as it was published.

    rules: those in force until others were published.
    Raises UsageError when these rules or what is left of the log do not make the incident.
    """
    if incident.provisional:
        after = f": {incident.merged_into} is what it went on as" if incident.merged_into else ""
        raise UsageError(f"{incident.incident_id} is provisional, made of what had come by then{after}")
    published = known_published(settings, codec)
    versions = {rules.version, *(one.version for one in published or ())}
    if load_span(settings.home, settings.run) is None and incident.rules_version not in versions:
        raise UsageError(
            f"{incident.incident_id} was made by rules {incident.rules_version}, these are {rules.version}: "
            "name the folder of those with --rules"
        )
    longest_ms = max([CorrelationRule().horizon_ms, *(1000 * (one.close_after_s or 0) for one in rules.rules)])
    with reading(settings) as log:
        facts, _ = read_changes(codec, log, {}, log.end([topics.CHANGES]))
        own = [fact for fact in facts if fact.change.incident.incident_id == incident.incident_id]
        recent = log.since(own[0].appended_ms - 2 * longest_ms - MARGIN_MS, [topics.OBSERVATIONS])
        told = [fact.change for fact in own]
        for begin in (recent, {}):
            found = explain(
                blocks_since(log, codec, begin),
                rules,
                city,
                merged_sources(settings),
                correlation_rule(settings),
                incident.incident_id,
                published,
            ).get(incident.incident_id, ())
            if is_published(found, told, codec):
                return found
    raise UsageError(
        f"the log does not hold all that {incident.incident_id} was made of: observations are kept for "
        f"{topics.OBSERVATIONS.retention_ms // topics.DAY_MS} days"
    )


def is_published(found: Sequence[Explanation], published: Sequence[IncidentChange], codec: Codec) -> bool:
    """Tell whether explained revisions say what was published, up to names of provisional incidents."""
    made = [replace(one.change.incident, replaces=()) for one in found][: len(published)]
    told = [replace(change.incident, replaces=()) for change in published]
    return list(map(codec.encode, made)) == list(map(codec.encode, told))
