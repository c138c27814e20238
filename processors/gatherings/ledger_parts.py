"""The claims of a ledger as checkpoint parts: written once, with nothing to remember of each claim."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from processors.incidents.claim_parts import ClaimsState, SealedPart
from processors.incidents.clusters import canonical
from schemas.records import Observation

PART_CLAIMS: Final = 1024
"""Claims a part holds at least; fewer are written with the rest of the state, each time."""


@dataclass(slots=True)
class _Part:
    """A part, the time of its newest claim, and what was taken back while it was the last one."""

    key: str
    newest_ms: int
    gone: list[str] = field(default_factory=list)


class LedgerParts:
    """Knows the parts that still hold a claim which is not too old.

    A claim stands if it is in a part, was not taken back since that was written, and is not too old: so nobody has to
    know which part it is in.
    """

    def __init__(self, part_claims: int) -> None:
        self._part_claims = part_claims
        self._recent: dict[str, Observation] = {}
        self._parts: deque[_Part] = deque()

    def add(self, one: Observation) -> None:
        """Take note of a claim that stands from now on."""
        self._recent[one.observation_id] = one

    def remove(self, observation_id: str) -> None:
        """Take note of one that was taken back."""
        if self._recent.pop(observation_id, None) is None:
            self._parts[-1].gone.append(observation_id)

    def seal(self, key: str, oldest_ms: int) -> dict[str, bytes]:
        """Put the recent claims into a part of that name if they are enough; return it. Older ones need not be kept."""
        while self._parts and self._parts[0].newest_ms < oldest_ms:
            self._parts.popleft()
        if len(self._recent) < self._part_claims:
            return {}
        claims = canonical(self._recent.values())
        self._recent = {}
        self._parts.append(_Part(key, claims[-1].at_ms))
        return {key: msgspec.msgpack.encode(claims)}

    def state(self, oldest_ms: int) -> ClaimsState:
        """Return what a restart needs besides the parts."""
        sealed = tuple(SealedPart(part.key, tuple(part.gone)) for part in self._parts)
        return ClaimsState(sealed, tuple(canonical(one for one in self._recent.values() if one.at_ms >= oldest_ms)))

    def restore(self, state: ClaimsState, parts: Mapping[str, bytes], oldest_ms: int) -> list[Observation]:
        """Go back to a state; return what stands. Raises KeyError when a part is missing."""
        self._recent = {one.observation_id: one for one in state.recent}
        standing, gone = list(state.recent), set[str]()
        for sealed in reversed(state.sealed):
            gone.update(sealed.gone)
            claims = msgspec.msgpack.decode(parts[sealed.key], type=tuple[Observation, ...])
            standing += [one for one in claims if one.at_ms >= oldest_ms and one.observation_id not in gone]
            self._parts.appendleft(_Part(sealed.key, claims[-1].at_ms, list(sealed.gone)))
        return standing
