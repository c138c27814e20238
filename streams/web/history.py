"""Changes of incidents read from the log on demand, in a thread: what is older than what is kept in memory."""

from typing import Final

from schemas.codec import Codec
from schemas.errors import Rejected
from schemas.records import IncidentChange
from streams import topics
from streams.reading import Vector, reading
from streams.settings import Settings
from streams.web.incident_book import Published, Revisions

MOST_BEHIND: Final = 5_000
"""Changes; who is further behind gets the current list instead."""
READ_BEFORE: Final = 500
"""To know what the first ones may be repeats of."""
CLOCKS_APART_MS: Final = 60_000
CHANGES: Final = (topics.CHANGES.name, 0)


def log_begin(settings: Settings) -> int:
    """Return the first offset that incident.changes.v1 still has."""
    with reading(settings) as log:
        return log.begin([topics.CHANGES])[CHANGES]


def read_changes(settings: Settings, codec: Codec, after: int, until: int) -> list[Published]:
    """Return the changes behind offset `after` and before offset `until`, each revision once."""
    begin = max(0, after + 1 - READ_BEFORE)
    with reading(settings) as log:
        found = []
        for message in log.read(topics.CHANGES, {CHANGES: begin}, {CHANGES: until}):
            try:
                found.append(Published(message.offset, codec.read(message.value or b"", IncidentChange)))
            except Rejected:
                continue
    return [one for one in Revisions().first(found) if one.offset > after]


def read_revisions(
    settings: Settings, codec: Codec, incident_id: str, opened_at_ms: int | None
) -> list[IncidentChange]:
    """Return every revision of one incident, each once, in their order; empty = there is no such incident.

    opened_at_ms: when it opened, if that is known: the log is then read from there.
    """
    found: dict[int, IncidentChange] = {}
    with reading(settings) as log:
        begin: Vector = {} if opened_at_ms is None else log.since(opened_at_ms - CLOCKS_APART_MS, [topics.CHANGES])
        for message in log.read(topics.CHANGES, begin, log.end([topics.CHANGES])):
            if message.key == incident_id.encode() and message.value is not None:
                change = codec.read(message.value, IncidentChange)
                found.setdefault(change.incident.revision, change)
    return [found[revision] for revision in sorted(found)]
