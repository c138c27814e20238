"""One gathering at work: keeps the standing claims per subject, and says what they newly say and what no longer."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from processors.gatherings.contract import Derived, Gathering, Piece, PieceGathering, Sheet, observation_of
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import canonical, order_of
from schemas.records import Observation

WHOLE: Final = Piece(0, 0)
"""The only piece of a subject that is derived as a whole."""

PREPARE_MS: Final = 60_000
PREPARED: Final = 32
"""Pieces that every tick may derive ahead, so that not all hours are derived when they end."""


class WholeSheet:
    """The claims of a subject that is derived anew as a whole."""

    __slots__ = ("_claims", "_gathering", "_subject")

    def __init__(self, gathering: Gathering, subject: str) -> None:
        self._gathering, self._subject = gathering, subject
        self._claims: dict[str, Observation] = {}

    def add(self, one: Observation) -> tuple[Piece, ...]:
        """Take a claim."""
        self._claims[one.observation_id] = one
        return (WHOLE,)

    def remove(self, one: Observation) -> tuple[Piece, ...]:
        """Take a claim back."""
        del self._claims[one.observation_id]
        return (WHOLE,)

    def derive(self, piece: Piece) -> Iterable[Derived]:
        """Return what the claims say."""
        return self._gathering.derive(self._subject, canonical(self._claims.values())) if self._claims else ()


@dataclass(slots=True)
class Subject:
    """What a gatherer knows of a subject: its sheet, how many claims stand on it, and what is derived by piece."""

    sheet: Sheet
    claims: int = 0
    derived: dict[Piece, dict[str, Observation]] = field(default_factory=dict)


class Gatherer:
    """Keeps what the standing claims of every subject say.

    After a tick T, what was said, not taken back and is of T - horizon_ms or later equals what `derive` makes of all
    standing claims, up to T.

    horizon_ms: how long a derived claim counts; what is older is forgotten, never taken back.
    """

    def __init__(self, gathering: Gathering, horizon_ms: int) -> None:
        self._gathering, self._horizon_ms = gathering, horizon_ms
        self._kinds, self._reach_ms = gathering.kinds, gathering.reach_ms
        self._sheet: Callable[[str], Sheet]
        self._sheet = gathering.sheet if isinstance(gathering, PieceGathering) else partial(WholeSheet, gathering)
        self._parts = ClaimParts()
        self._standing: dict[str, Observation] = {}
        self._leaving: list[tuple[int, str]] = []
        self._subjects: dict[str, Subject] = {}
        self._changed: dict[str, set[Piece]] = {}
        self._waiting: list[tuple[Piece, str]] = []
        self._waits: set[tuple[Piece, str]] = set()
        self._ahead: list[tuple[int, str, Piece, str]] = []
        self._ageing: list[tuple[Piece, str]] = []
        self._tick_ms = -1

    @property
    def gathering(self) -> Gathering:
        """The gathering that it keeps."""
        return self._gathering

    @property
    def standing(self) -> Mapping[str, Observation]:
        """The claims from which something may follow, by id."""
        return self._standing

    def advance(self, tick_ms: int, observations: Iterable[Observation]) -> list[Observation]:
        """Take the claims of a tick; return what is derived from now on and, as withdrawn, what no longer is."""
        kinds = self._kinds
        taken = [one for one in observations if one.kind in kinds]
        oldest_ms = tick_ms - self._horizon_ms
        self._forget(oldest_ms - self._reach_ms)
        if taken:
            self._apply(taken, oldest_ms - self._reach_ms)
        found = self._derive_changed(tick_ms, oldest_ms) if self._changed or self._waiting else []
        self._tick_ms = tick_ms
        if self._is_due(tick_ms):
            found += self._due(tick_ms)
        return sorted(found, key=order_of)

    def seal(self, key: str) -> dict[str, bytes]:
        """Return a checkpoint part of that name if it is time for one."""
        return self._parts.seal(key, self._standing)

    def state(self) -> ClaimsState:
        """Return the state, a function of the claims taken."""
        return self._parts.state()

    def restore(self, state: ClaimsState, parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to a state as of the end of a tick; what was derived follows from what stands."""
        self._tick_ms = tick_ms
        for one in self._parts.restore(state, parts):
            self._stand(one)
        self._derive_changed(tick_ms, tick_ms - self._horizon_ms)
        while self._is_due(tick_ms):
            heapq.heappop(self._ahead)

    # --- standing claims --------------------------------------------------------------------------------------------

    def _apply(self, taken: Sequence[Observation], oldest_ms: int) -> None:
        """Take claims and withdrawals in their order."""
        for one in taken:
            known = self._standing.get(one.observation_id)
            if one.withdrawn and known is not None:
                self._parts.remove(one.observation_id)
                self._fall(known)
            elif not one.withdrawn and known is None and one.at_ms >= oldest_ms and self._stand(one):
                self._parts.add(one)

    def _stand(self, one: Observation) -> bool:
        """Put a claim on the sheets of its subjects; tell whether it has any."""
        names = set(self._gathering.subjects(one))
        if not names:
            return False
        self._standing[one.observation_id] = one
        heapq.heappush(self._leaving, (one.at_ms, one.observation_id))
        for name in names:
            subject = self._subjects.get(name)
            if subject is None:
                subject = self._subjects[name] = Subject(self._sheet(name))
            subject.claims += 1
            self._changed.setdefault(name, set()).update(subject.sheet.add(one))
        return True

    def _fall(self, one: Observation) -> None:
        del self._standing[one.observation_id]
        for name in set(self._gathering.subjects(one)):
            subject = self._subjects[name]
            subject.claims -= 1
            self._changed.setdefault(name, set()).update(subject.sheet.remove(one))

    def _forget(self, oldest_ms: int) -> None:
        """Let go the claims from which nothing follows that still counts, and what was derived as early."""
        while self._leaving and self._leaving[0][0] < oldest_ms:
            one = self._standing.pop(heapq.heappop(self._leaving)[1], None)
            if one is None:
                continue
            self._parts.remove(one.observation_id)
            for name in set(self._gathering.subjects(one)):
                subject = self._subjects[name]
                subject.claims -= 1
                subject.sheet.remove(one)
                if not subject.claims:
                    del self._subjects[name]
        while self._ageing and self._ageing[0][0].at_ms < oldest_ms:
            piece, name = heapq.heappop(self._ageing)
            if name in self._subjects:
                self._subjects[name].derived.pop(piece, None)

    # --- derived claims ---------------------------------------------------------------------------------------------

    def _derive_changed(self, tick_ms: int, oldest_ms: int) -> list[Observation]:
        """Derive the pieces that claims changed and whose time has come; return what was said and is taken back."""
        changed, self._changed = self._changed, {}
        for name, pieces in changed.items():
            for piece in [one for one in pieces if one.at_ms > tick_ms]:
                pieces.remove(piece)
                self._wait(piece, name)
        prepared = 0
        while self._waiting:
            (piece, name), ahead_ms = self._waiting[0], self._waiting[0][0].at_ms - tick_ms
            if ahead_ms > 0 and (ahead_ms > PREPARE_MS or prepared == PREPARED):
                break
            heapq.heappop(self._waiting)
            self._waits.remove((piece, name))
            changed.setdefault(name, set()).add(piece)
            prepared += ahead_ms > 0
        return [one for name, pieces in changed.items() for one in self._derive_anew(name, pieces, oldest_ms)]

    def _wait(self, piece: Piece, name: str) -> None:
        """Derive a piece later."""
        if (piece, name) not in self._waits:
            self._waits.add((piece, name))
            heapq.heappush(self._waiting, (piece, name))

    def _derive_anew(self, name: str, pieces: Iterable[Piece], oldest_ms: int) -> list[Observation]:
        """Derive pieces of a subject; return what was said and is taken back. What is new waits in `_ahead`."""
        subject = self._subjects.get(name)
        if subject is None:
            return []
        was: dict[str, Observation] = {}
        before: dict[Piece, dict[str, Observation]] = {}
        now: set[str] = set()
        for piece in pieces:
            if piece in subject.derived:
                before[piece] = subject.derived.pop(piece)
                was |= before[piece]
        for piece in pieces:
            made = {
                made.observation_id: made
                for made in (observation_of(self._gathering.name, name, one) for one in subject.sheet.derive(piece))
                if made.at_ms >= oldest_ms
            }
            if made:
                subject.derived[piece] = made
                now.update(made)
                if piece is not WHOLE and piece not in before:
                    heapq.heappush(self._ageing, (piece, name))
                for key, one in made.items():
                    if key not in was or (one.at_ms > self._tick_ms and key not in before.get(piece, ())):
                        heapq.heappush(self._ahead, (one.at_ms, name, piece, key))
        if not subject.claims:
            del self._subjects[name]
        said = [one for key, one in was.items() if key not in now and oldest_ms <= one.at_ms <= self._tick_ms]
        return [replace(one, withdrawn=True) for one in said]

    def _is_due(self, tick_ms: int) -> bool:
        return bool(self._ahead) and self._ahead[0][0] <= tick_ms

    def _due(self, tick_ms: int) -> list[Observation]:
        """Return what counts from this tick on."""
        due: dict[str, Observation] = {}
        while self._is_due(tick_ms):
            _, subject, piece, name = heapq.heappop(self._ahead)
            known = self._subjects.get(subject)
            one = None if known is None else known.derived.get(piece, {}).get(name)
            if one is not None:
                due[name] = one
        return list(due.values())
