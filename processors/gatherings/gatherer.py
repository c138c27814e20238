"""One gathering at work: keeps the standing claims per subject, and says what they newly say and what no longer."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from processors.gatherings.contract import Gathering, observation_of
from processors.incidents.claim_parts import ClaimParts, ClaimsState
from processors.incidents.clusters import canonical, order_of
from schemas.records import Observation


class Gatherer:
    """Keeps what the standing claims of every subject say.

    After a tick T, what was said, not taken back and is of T - horizon_ms or later equals what `derive` makes of all
    standing claims, up to T.

    horizon_ms: how long a derived claim counts; what is older is forgotten, never taken back.
    """

    def __init__(self, gathering: Gathering, horizon_ms: int) -> None:
        self._gathering, self._horizon_ms = gathering, horizon_ms
        self._parts = ClaimParts()
        self._standing: dict[str, Observation] = {}
        self._leaving: list[tuple[int, str]] = []
        self._about: dict[str, dict[str, Observation]] = {}
        self._derived: dict[str, dict[str, Observation]] = {}
        self._ahead: list[tuple[int, str, str]] = []
        self._tick_ms = -1

    @property
    def gathering(self) -> Gathering:
        """The gathering that it keeps."""
        return self._gathering

    def advance(self, tick_ms: int, observations: Iterable[Observation]) -> list[Observation]:
        """Take the claims of a tick; return what is derived from now on and, as withdrawn, what no longer is."""
        kinds = self._gathering.kinds
        taken = [one for one in observations if one.kind in kinds]
        self._forget(tick_ms)
        changed = self._apply(taken, tick_ms - self._horizon_ms - self._gathering.reach_ms)
        found = [one for subject in sorted(changed) for one in self._derive_anew(subject, tick_ms - self._horizon_ms)]
        self._tick_ms = tick_ms
        return sorted([*found, *self._due(tick_ms)], key=order_of)

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
        for subject in self._about:
            self._derive_anew(subject, tick_ms - self._horizon_ms)
        while self._is_due(tick_ms):
            heapq.heappop(self._ahead)

    # --- standing claims --------------------------------------------------------------------------------------------

    def _apply(self, taken: Sequence[Observation], oldest_ms: int) -> set[str]:
        """Take claims and withdrawals in their order; return the subjects about which others stand than before."""
        changed: set[str] = set()
        for one in taken:
            known = self._standing.get(one.observation_id)
            if one.withdrawn and known is not None:
                self._parts.remove(one.observation_id)
                changed |= self._fall(known)
            elif not one.withdrawn and known is None and one.at_ms >= oldest_ms:
                self._parts.add(one)
                changed |= self._stand(one)
        return changed

    def _stand(self, one: Observation) -> set[str]:
        subjects = set(self._gathering.subjects(one))
        self._standing[one.observation_id] = one
        heapq.heappush(self._leaving, (one.at_ms, one.observation_id))
        for subject in subjects:
            self._about.setdefault(subject, {})[one.observation_id] = one
        return subjects

    def _fall(self, one: Observation) -> set[str]:
        subjects = set(self._gathering.subjects(one))
        del self._standing[one.observation_id]
        for subject in subjects:
            del self._about[subject][one.observation_id]
        return subjects

    def _forget(self, tick_ms: int) -> None:
        """Let go the claims from which nothing follows that still counts."""
        oldest_ms = tick_ms - self._horizon_ms - self._gathering.reach_ms
        while self._leaving and self._leaving[0][0] < oldest_ms:
            _, name = heapq.heappop(self._leaving)
            one = self._standing.get(name)
            if one is None:
                continue
            self._parts.remove(name)
            for subject in self._fall(one):
                if not self._about[subject]:
                    del self._about[subject]
                    self._derived.pop(subject, None)

    # --- derived claims ---------------------------------------------------------------------------------------------

    def _derive_anew(self, subject: str, oldest_ms: int) -> list[Observation]:
        """Derive a subject; return what was said and is taken back. What is new waits for its time in `_ahead`."""
        was, claims = self._derived.pop(subject, {}), canonical(self._about[subject].values())
        made = (
            observation_of(self._gathering.name, subject, one)
            for one in (self._gathering.derive(subject, claims) if claims else ())
            if one.at_ms >= oldest_ms
        )
        now = {one.observation_id: one for one in made}
        if now:
            self._derived[subject] = now
        if not claims:
            del self._about[subject]
        for name, one in now.items():
            if name not in was:
                heapq.heappush(self._ahead, (one.at_ms, subject, name))
        said = [one for name, one in was.items() if name not in now and oldest_ms <= one.at_ms <= self._tick_ms]
        return [replace(one, withdrawn=True) for one in said]

    def _is_due(self, tick_ms: int) -> bool:
        return bool(self._ahead) and self._ahead[0][0] <= tick_ms

    def _due(self, tick_ms: int) -> list[Observation]:
        """Return what counts from this tick on."""
        due: dict[str, Observation] = {}
        while self._is_due(tick_ms):
            _, subject, name = heapq.heappop(self._ahead)
            one = self._derived.get(subject, {}).get(name)
            if one is not None:
                due[name] = one
        return list(due.values())
