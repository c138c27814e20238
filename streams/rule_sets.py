"""Published rule sets on rules.v1: read, added to, and those that a replay begins with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import Producer

from processors.incidents.rule_versions import in_force, rank_of
from processors.incidents.rules import RuleSet
from processors.records_in import MOST_BYTES
from schemas.codec import Codec
from schemas.errors import Retryable, UsageError
from schemas.records import PublishedRules
from streams import topics
from streams.admin import ensure_topics
from streams.estate import SEND_WITHIN_S
from streams.outbox import producer_settings
from streams.producing import produce
from streams.settings import Settings
from streams.span import Span, load_span
from streams.tail import Tail
from streams.watching import ERRORS_ONLY

LEAD_MS: Final = 5_000
"""So long after its publication a rule set is valid where nobody says from when on: no worker is there yet."""


def read_published(settings: Settings, codec: Codec) -> tuple[PublishedRules, ...]:
    """Return every rule set published in a run, in their order. Raises Retryable when Kafka does not answer."""
    ensure_topics(settings, (topics.RULES,))
    with Tail(settings, codec, topics.RULES, PublishedRules) as tail:
        return tuple(tail.catch_up())


def send_publication(settings: Settings, codec: Codec, one: PublishedRules) -> None:
    """Append a rule set and wait until Kafka has it.

    Raises UsageError for one that is too large for a message, Retryable when Kafka does not answer.
    """
    value = codec.encode(one)
    if len(value) > MOST_BYTES:
        raise UsageError(f"the rule files have {len(value):,} bytes together, at most {MOST_BYTES:,} can be published")
    ensure_topics(settings, (topics.RULES,))
    producer = Producer(producer_settings(settings.kafka) | {"log_level": ERRORS_ONLY})
    produce(producer, settings.topic(topics.RULES), one.version.encode(), value, 0)
    if producer.flush(SEND_WITHIN_S):
        raise Retryable(f"Kafka at {settings.kafka_bootstrap_servers} stopped answering: publish the rules again")


def published_before(
    settings: Settings, codec: Codec, span: Span, begin_ms: int
) -> tuple[PublishedRules, ...]:  # fmt: skip
    """Return what was published in a run before the part of its log that a replay reads; the log has the rest.

    begin_ms: event time at which that part begins.
    """
    bounds = span.bounds(topics.ACTIONS.name, 0)
    if bounds is None or bounds[0] == 0:
        return ()
    return tuple(one for one in read_published(settings, codec) if one.at_ms < begin_ms)


def save_begun_with(home: Path, run: str, published: tuple[PublishedRules, ...] | None) -> None:
    """Write what a replay begins with; None = it has rules of its own, and what was published is left aside."""
    path = _path(home, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.msgpack.encode(published))


def load_begun_with(home: Path, run: str) -> tuple[PublishedRules, ...] | None:
    """Return what a run begins with: nothing, unless it is a replay; None = whatever is published is left aside."""
    path = _path(home, run)
    if not run or not path.exists():
        return ()
    return msgspec.msgpack.decode(path.read_bytes(), type=tuple[PublishedRules, ...] | None)


def known_published(settings: Settings, codec: Codec) -> tuple[PublishedRules, ...] | None:
    """Return the rule sets that a run's correlator may have had in force, as IncidentEngine takes them."""
    if load_span(settings.home, settings.run) is not None:
        return load_begun_with(settings.home, settings.run)
    return read_published(settings, codec)


@dataclass(frozen=True, slots=True)
class Version:
    """A rule set and when it is in force.

    valid_from_ms, published_ms: None = the folder's, there before any was published. state: "in force", "to come" or
    "over".
    """

    version: str
    valid_from_ms: int | None
    published_ms: int | None
    publisher: str
    note: str
    rules: int
    state: str


def versions_of(folder: RuleSet, published: Sequence[PublishedRules], now_ms: int) -> tuple[Version, ...]:
    """Return all rule sets of a run by the time from which they are valid, as of a moment. folder: the city's own."""
    current = in_force(published, now_ms)
    first = Version(folder.version, None, None, "", "", len(folder.rules), "over" if current else "in force")
    found = [first]
    for one in sorted(published, key=rank_of):
        state = "to come" if one.valid_from_ms > now_ms else "over"
        state = "in force" if one == current else state
        found.append(Version(one.version, one.valid_from_ms, one.at_ms, one.publisher, one.note, len(one.files), state))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Differences:
    """What another rule set changes, by rule id."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]


def differences(before: RuleSet, after: RuleSet) -> Differences:
    """Return what one rule set has other than another."""
    had, has = ({one.id: one for one in rules.rules} for rules in (before, after))
    return Differences(
        new=tuple(name for name in has if name not in had),
        changed=tuple(name for name in has if name in had and has[name] != had[name]),
        gone=tuple(name for name in had if name not in has),
    )


def _path(home: Path, run: str) -> Path:
    return home / "runs" / run / "rules.msgpack"
