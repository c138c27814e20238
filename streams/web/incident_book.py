"""What the page is told of incidents: the current list, and the latest changes for those who come back."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from schemas.records import Incident, IncidentChange, IncidentState

SHOWN_AFTER_END_MS: Final = 3_600_000
KEPT_CHANGES: Final = 2_000
REMEMBERED: Final = 10_000
"""Revisions; a worker that comes back repeats what followed its checkpoint, which is far less."""
ENDED: Final = frozenset({IncidentState.CLOSED, IncidentState.DISMISSED, IncidentState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Published:
    """One change and its offset in incident.changes.v1."""

    offset: int
    change: IncidentChange

    @property
    def revision(self) -> tuple[str, int]:
        """What a repeat shares with the first one."""
        return self.change.incident.incident_id, self.change.incident.revision


class IncidentList(msgspec.Struct, frozen=True):
    """The body of /api/incidents. cursor: offset of the last change it holds; -1 = there was none yet."""

    cursor: int
    incidents: list[Incident]


class Revisions:
    """Tells first from repeated revisions, among the latest ten thousand."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, int], None] = OrderedDict()

    def first(self, published: Iterable[Published]) -> list[Published]:
        """Return those not met before."""
        found = []
        for one in published:
            if one.revision not in self._seen:
                self._seen[one.revision] = None
                found.append(one)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return found


class IncidentBook:
    """Open incidents, those that ended in the last hour of event time, and the latest changes in their order."""

    def __init__(self) -> None:
        self.began: int | None = None
        """From this offset on, every change that is no repeat was taken."""
        self.cursor = -1
        self._known: dict[str, Incident] = {}
        self._latest: deque[Published] = deque()
        self._revisions = Revisions()
        self._clock_ms = 0

    def begin(self, offset: int) -> None:
        """Be told from which offset changes are read."""
        self.began = offset
        self.cursor = offset - 1

    def take_incidents(self, incidents: Iterable[Incident]) -> None:
        """Take current states from incidents.v1; older revisions than the known ones are left out."""
        for incident in incidents:
            known = self._known.get(incident.incident_id)
            self._clock_ms = max(self._clock_ms, incident.tick_ms)
            if known is None or known.revision < incident.revision:
                self._known[incident.incident_id] = incident
        self._forget()

    def take_changes(self, published: Sequence[Published]) -> list[Published]:
        """Take changes in the order of the log; return those that are no repeats."""
        fresh = self._revisions.first(published)
        self.take_incidents(one.change.incident for one in fresh)
        self._latest.extend(fresh)
        while len(self._latest) > KEPT_CHANGES:
            self.began = self._latest.popleft().offset + 1
        if published:
            self.cursor = published[-1].offset
        return fresh

    def after(self, offset: int) -> list[Published] | None:
        """Return the changes behind an offset; None = not all of them are kept here."""
        if self.began is None or offset + 1 < self.began:
            return None
        return [one for one in self._latest if one.offset > offset]

    def get(self, incident_id: str) -> Incident | None:
        """Return an incident of the list."""
        return self._known.get(incident_id)

    def current(self) -> IncidentList:
        """Return the list, newest first."""
        newest_first = sorted(self._known.values(), key=lambda one: (-one.opened_at_ms, one.incident_id))
        return IncidentList(self.cursor, newest_first)

    def _forget(self) -> None:
        oldest_ms = self._clock_ms - SHOWN_AFTER_END_MS
        gone = [one.incident_id for one in self._known.values() if one.state in ENDED and one.tick_ms < oldest_ms]
        for incident_id in gone:
            del self._known[incident_id]
