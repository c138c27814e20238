"""One gathering at work: keeps the standing claims per subject, and says what they newly say and what no longer."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from processors.gatherings.contract import Gathering, observation_of
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import canonical, order_of
from schemas.records import Observation

NEVER_MS: Final = 1 << 62


@dataclass(slots=True)
class Subject:
    """What a gatherer knows of a subject: the claims about it, and what is derived from them, by id."""

    claims: dict[str, Observation] = field(default_factory=dict)
    derived: dict[str, Observation] = field(default_factory=dict)


class Gatherer:
    """Keeps what the standing claims of every subject say; derives a subject anew when its claims change.

    After a tick T, what was said, not taken back and is of T - horizon_ms or later equals what `derive` makes of all
    standing claims, up to T.

    horizon_ms: how long a derived claim counts; what is older is forgotten, never taken back.
    """

    def __init__(self, gathering: Gathering, horizon_ms: int) -> None:
        self.name, self.kinds = gathering.name, gathering.kinds
        self._gathering, self._horizon_ms = gathering, horizon_ms
        self._kept_ms = horizon_ms + gathering.reach_ms
        self._parts = ClaimParts()
        self._standing: dict[str, Observation] = {}
        self._leaving: list[tuple[int, str]] = []
        self._subjects: dict[str, Subject] = {}
        self._changed: dict[str, None] = {}
        self._ahead: list[tuple[int, str, str]] = []
        self._tick_ms = -1
        self.wake_ms = NEVER_MS
        """the first tick at which there is something to do though nothing came"""

    def standing(self, tick_ms: int) -> Iterable[Observation]:
        """Return the claims from which something may follow as of a tick."""
        return self._standing.values()

    def advance(self, tick_ms: int, observations: Iterable[Observation]) -> list[Observation]:
        """Take the claims of a tick; return what is derived from now on and, as withdrawn, what no longer is."""
        kinds = self.kinds
        taken = [one for one in observations if one.kind in kinds]
        self._forget(tick_ms - self._kept_ms)
        self._apply(taken, tick_ms - self._kept_ms)
        found = self._derive_changed(tick_ms - self._horizon_ms)
        self._tick_ms = tick_ms
        if self._is_due(tick_ms):
            found += self._due(tick_ms)
        self._sleep()
        return sorted(found, key=order_of)

    def seal(self, key: str) -> dict[str, bytes]:
        """Return a checkpoint part of that name if it is time for one."""
        return self._parts.seal(key, self._standing)

    def state(self) -> ClaimsState:
        """Return the state, a function of the claims taken."""
        return self._parts.state()

    def restore(self, states: Mapping[str, ClaimsState], parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to the state of its name as of the end of a tick; what was derived follows from what stands."""
        self._tick_ms = tick_ms
        for one in self._parts.restore(states[self.name], parts) if self.name in states else ():
            self._stand(one)
        self._derive_changed(tick_ms - self._horizon_ms)
        while self._is_due(tick_ms):
            heapq.heappop(self._ahead)
        self._sleep()

    def _sleep(self) -> None:
        """Know when there is something to do though nothing comes."""
        ahead_ms = self._ahead[0][0] if self._ahead else NEVER_MS
        leaving_ms = self._leaving[0][0] + self._kept_ms + 1 if self._leaving else NEVER_MS
        self.wake_ms = min(ahead_ms, leaving_ms)

    # --- standing claims --------------------------------------------------------------------------------------------

    def _apply(self, taken: Sequence[Observation], oldest_ms: int) -> None:
        """Take claims and withdrawals in their order."""
        for one in taken:
            known = self._standing.get(one.observation_id)
            if one.withdrawn and known is not None:
                self._parts.remove(one.observation_id)
                self._changed.update(dict.fromkeys(self._fall(known)))
            elif not one.withdrawn and known is None and one.at_ms >= oldest_ms and self._stand(one):
                self._parts.add(one)

    def _stand(self, one: Observation) -> bool:
        """Let a claim stand; tell whether it is about any subject."""
        names = set(self._gathering.subjects(one))
        if not names:
            return False
        self._standing[one.observation_id] = one
        heapq.heappush(self._leaving, (one.at_ms, one.observation_id))
        for name in names:
            subject = self._subjects.get(name)
            if subject is None:
                subject = self._subjects[name] = Subject()
            subject.claims[one.observation_id] = one
            self._changed[name] = None
        return True

    def _fall(self, one: Observation) -> set[str]:
        """Let a claim stand no more; return the subjects that it was about."""
        del self._standing[one.observation_id]
        names = set(self._gathering.subjects(one))
        for name in names:
            del self._subjects[name].claims[one.observation_id]
        return names

    def _forget(self, oldest_ms: int) -> None:
        """Let go the claims from which nothing follows that still counts."""
        while self._leaving and self._leaving[0][0] < oldest_ms:
            one = self._standing.get(heapq.heappop(self._leaving)[1])
            if one is not None and one.at_ms < oldest_ms:
                self._parts.remove(one.observation_id)
                for name in self._fall(one):
                    if not self._subjects[name].claims:
                        del self._subjects[name]

    # --- derived claims ---------------------------------------------------------------------------------------------

    def _derive_changed(self, oldest_ms: int) -> list[Observation]:
        """Derive the subjects whose claims changed; return what was said and is taken back. What is new is ahead."""
        changed, self._changed = self._changed, {}
        found: list[Observation] = []
        for name in changed:
            subject = self._subjects.get(name)
            if subject is None:
                continue
            was, claims = subject.derived, canonical(subject.claims.values())
            derived = self._gathering.derive(name, claims) if claims else ()
            made = (observation_of(self.name, name, one) for one in derived)
            subject.derived = {one.observation_id: one for one in made if one.at_ms >= oldest_ms}
            for key, one in subject.derived.items():
                if key not in was:
                    heapq.heappush(self._ahead, (one.at_ms, name, key))
            gone = [one for key, one in was.items() if key not in subject.derived]
            found += [replace(one, withdrawn=True) for one in gone if oldest_ms <= one.at_ms <= self._tick_ms]
            if not subject.claims:
                del self._subjects[name]
        return found

    def _is_due(self, tick_ms: int) -> bool:
        return bool(self._ahead) and self._ahead[0][0] <= tick_ms

    def _due(self, tick_ms: int) -> list[Observation]:
        """Return what counts from this tick on."""
        due: dict[str, Observation] = {}
        while self._is_due(tick_ms):
            _, name, key = heapq.heappop(self._ahead)
            subject = self._subjects.get(name)
            one = None if subject is None else subject.derived.get(key)
            if one is not None:
                due[key] = one
        return list(due.values())
