"""Published rule sets: how one is made, and what becomes of it where it enters the log.

It is checked again there, without the city: what names a unit, zone or calendar that the city has not holds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from processors.actions import NOTE_CHARACTERS, OPERATOR_CHARACTERS
from processors.domain import Message
from processors.incidents.engine import CorrelationRule
from processors.incidents.rules import RulesInvalid, check_horizon, rules_of, version_of
from processors.ingest import AFTER_LAST_MS, one_line, text_mistake
from processors.records_in import RawRecord
from processors.rows import Columns, texts
from schemas.errors import Reason, UsageError
from schemas.records import PublishedRules, RuleFile

RECORD: Final = "PublishedRules"
DECISION: Final = "PUBLISH_RULES"
"""What the table of actions calls it."""

HORIZON_MS: Final = CorrelationRule().horizon_ms
"""How long claims count where a rule does not say."""

Mistake = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the publications of an interval: the sound ones, their rows in the table of actions, refusals."""

    used: tuple[PublishedRules, ...]
    rows: Columns
    refused: tuple[tuple[RawRecord, tuple[Mistake, ...]], ...]


def publication(
    files: Sequence[RuleFile], publisher: str, note: str, at_ms: int, valid_from_ms: int
) -> PublishedRules:  # fmt: skip
    """Return a rule set as it is published. Raises UsageError that names every mistake, RulesInvalid for the rules'."""
    made = PublishedRules(
        at_ms=at_ms,
        valid_from_ms=valid_from_ms,
        version=version_of(files),
        publisher=one_line(publisher).strip(),
        note=one_line(note).strip(),
        files=tuple(files),
    )
    check_horizon(rules_of(files), HORIZON_MS)
    mistakes = publication_mistakes(made)
    if mistakes:
        raise UsageError("; ".join(words for _, words in mistakes))
    return made


def publication_mistakes(one: PublishedRules) -> list[Mistake]:
    """Return what is wrong with a publication, each with its reason."""
    found: list[Mistake] = []
    if not 0 <= one.at_ms <= one.valid_from_ms < AFTER_LAST_MS:
        found.append((Reason.OUT_OF_RANGE, "valid_from is before its publication, or beyond the year 2100"))
    if not one.publisher.strip():
        found.append((Reason.BAD_ID, "publisher is empty: a rule set is somebody's"))
    for name, text, characters in (
        ("publisher", one.publisher, OPERATOR_CHARACTERS),
        ("note", one.note, NOTE_CHARACTERS),
    ):
        words = text_mistake(text, characters)
        if words:
            found.append((Reason.BAD_ID, f"{name} {words}"))
    if one.version != version_of(one.files):
        found.append((Reason.BAD_RULES, f"version {one.version} is not that of its files, {version_of(one.files)}"))
    if not one.files:
        return [*found, (Reason.BAD_RULES, "it has no rules")]
    try:
        check_horizon(rules_of(one.files), HORIZON_MS)
    except RulesInvalid as error:
        found += [(Reason.BAD_RULES, words) for words in error.mistakes or (str(error),)]
    return found


def take_publications(messages: Sequence[Message]) -> Taken:
    """Take the publications of an interval in log order; one that is there again says nothing new to who knows it."""
    used: list[tuple[int, PublishedRules]] = []
    refused: list[tuple[RawRecord, tuple[Mistake, ...]]] = []
    for message in messages:
        one = msgspec.convert(message.fields, PublishedRules)
        mistakes = publication_mistakes(one)
        if mistakes:
            refused.append((message.raw, tuple(mistakes)))
        else:
            used.append((message.raw.offset, one))
    return Taken(tuple(one for _, one in used), _rows(used), tuple(refused))


def _rows(used: Sequence[tuple[int, PublishedRules]]) -> Columns:
    ones = [one for _, one in used]
    nothing = texts([""] * len(ones))
    return {
        "source_offset": np.array([offset for offset, _ in used], np.int64),
        "at_ms": np.array([one.at_ms for one in ones], np.int64),
        "action_id": texts([one.version for one in ones]),
        "incident_id": nothing,
        "decision": texts([DECISION] * len(ones)),
        "operator": texts([one.publisher for one in ones]),
        "note": texts([_in_words(one) for one in ones]),
        "assignee": nothing,
    }


def _in_words(one: PublishedRules) -> str:
    valid_from = datetime.fromtimestamp(one.valid_from_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return f"valid from {valid_from}{one.note and ': '}{one.note}"
