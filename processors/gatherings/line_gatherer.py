"""The gatherings of lines at work: they read one ledger of passages, and each sees what those before it claim."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from processors.gatherings.ledger_parts import PART_CLAIMS, LedgerParts
from processors.gatherings.line_gathering import LineGathering
from processors.gatherings.line_ledger import LineLedger
from processors.incidents.claim_parts import ClaimsState
from processors.incidents.clusters import canonical
from schemas.records import Observation

NAME: Final = "lines"
FORGET_MS: Final = 60_000
"""A sixteenth of the lines is looked through for what may be forgotten every so often."""


class LineGatherer:
    """Keeps what the standing passages say: the same as a Gatherer of each gathering, one after the other.

    horizon_ms: how long a derived claim counts; what is older is forgotten, never taken back. part_claims: how many
    claims a checkpoint part holds at least.
    """

    def __init__(self, gatherings: Sequence[LineGathering], horizon_ms: int, *, part_claims: int = PART_CLAIMS) -> None:
        self.name = NAME
        self.kinds = frozenset[str]().union(*(one.kinds for one in gatherings))
        self._names = (NAME, *(one.name for one in gatherings))
        self._horizon_ms = horizon_ms
        self._kept_ms = horizon_ms + max(one.reach_ms for one in gatherings)
        self._books = [one.book() for one in gatherings]
        self._ledger = LineLedger(gatherings[0].schedules(), self._books)
        self._parts = LedgerParts(part_claims)
        self._later_kinds = [
            frozenset[str]().union(*(one.kinds for one in gatherings[number + 1 :]))
            for number in range(len(gatherings))
        ]
        self._forget_ms = 0
        self._tick_ms = -1
        self.wake_ms = 0
        """the first tick at which there is something to do though nothing came"""
        for book in self._books:
            book.open(self._ledger)

    def standing(self, tick_ms: int) -> Iterable[Observation]:
        """Return the claims from which something may follow as of a tick."""
        return self._ledger.standing(tick_ms - self._kept_ms)

    def advance(self, tick_ms: int, observations: Iterable[Observation]) -> list[Observation]:
        """Take the claims of a tick; return what is derived from now on and, as withdrawn, what no longer is."""
        kept_ms, oldest_ms = tick_ms - self._kept_ms, tick_ms - self._horizon_ms
        self._tick_ms = tick_ms
        self._apply(observations, kept_ms)
        found: list[Observation] = []
        for book, kinds in zip(self._books, self._later_kinds, strict=True):
            some = book.derive(tick_ms, oldest_ms)
            if some:
                self._apply([one for one in some if one.kind in kinds], kept_ms)
                found += some
        self._ledger.tick_over()
        if tick_ms >= self._forget_ms:
            self._forget_ms = tick_ms + FORGET_MS
            self._ledger.forget(kept_ms)
            for book in self._books:
                book.forget(oldest_ms)
        self.wake_ms = min(self._forget_ms, *(book.wake_ms() for book in self._books))
        return found

    def seal(self, key: str) -> dict[str, bytes]:
        """Return a checkpoint part of that name if it is time for one."""
        return self._parts.seal(key, self._tick_ms - self._kept_ms)

    def state(self) -> ClaimsState:
        """Return the state, a function of the claims taken."""
        return self._parts.state(self._tick_ms - self._kept_ms)

    def restore(self, states: Mapping[str, ClaimsState], parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to a state as of the end of a tick; what was derived follows from what stands.

        Checkpoints of before there was one ledger have the claims of each gathering.
        """
        self._tick_ms, oldest_ms = tick_ms, tick_ms - self._kept_ms
        known = [states[name] for name in self._names if name in states]
        standing = {
            one.observation_id: one for state in known for one in LedgerParts(0).restore(state, parts, oldest_ms)
        }
        for one in canonical(standing.values()):
            self._ledger.add(one)
        if NAME in states:
            self._parts.restore(states[NAME], parts, oldest_ms)
        else:
            for one in standing.values():
                self._parts.add(one)
        for book in self._books:
            book.derive(tick_ms, tick_ms - self._horizon_ms)
        self._ledger.tick_over()
        self.wake_ms = 0

    def _apply(self, observations: Iterable[Observation], oldest_ms: int) -> None:
        """Take claims and withdrawals in their order."""
        kinds, ledger, parts = self.kinds, self._ledger, self._parts
        for one in observations:
            if one.kind in kinds and one.line_id:
                if one.withdrawn:
                    if ledger.remove(one):
                        parts.remove(one.observation_id)
                elif one.at_ms >= oldest_ms and ledger.add(one):
                    parts.add(one)
