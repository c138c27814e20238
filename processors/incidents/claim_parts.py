"""Standing observations as checkpoint parts: written once when enough have gathered, dropped when none stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Final

import msgspec

from processors.incidents.clusters import canonical
from schemas.records import Observation

PART_CLAIMS: Final = 256
"""Observations a part holds at least; fewer are written with the rest of the state, each time."""

LEFT_SHARE: Final = 0.25
"""Parts of which no more stands are given up, and what stands is written anew."""

REPEATED: Final = ("source_topic", "kind", "device_id", "witness_id", "line_id", "vehicle_class")
"""Texts that many observations have in common."""


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A part and the ids in it that stand no more."""

    key: str
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimsState:
    """Which observations stand: all of the sealed parts but those gone, and the recent ones."""

    sealed: tuple[SealedPart, ...]
    recent: tuple[Observation, ...]


class ClaimParts:
    """Knows in which part each standing observation was written."""

    def __init__(self, part_claims: int = PART_CLAIMS) -> None:
        self._part_claims = part_claims
        self._recent: dict[str, Observation] = {}
        self._part_of: dict[str, str] = {}
        self._gone: dict[str, list[str]] = {}
        self._left: dict[str, int] = {}
        """How many still stand of each part, oldest part first."""

    def add(self, one: Observation) -> None:
        """Take note of an observation that stands from now on."""
        self._recent[one.observation_id] = one

    def remove(self, observation_id: str) -> None:
        """Take note of one that stands no more."""
        key = self._part_of.pop(observation_id, None)
        if key is None:
            del self._recent[observation_id]
            return
        self._is_gone(observation_id, key)

    def part_of(self, observation_id: str) -> str | None:
        """Return the part that holds an observation, None if it is a recent one."""
        return self._part_of.get(observation_id)

    def lay_by(self, observation_id: str) -> str:
        """Forget where an observation is that stands and is in a part; return that part."""
        return self._part_of.pop(observation_id)

    def take_up(self, observation_id: str, key: str) -> None:
        """Know again where one is that was laid by."""
        self._part_of[observation_id] = key

    def remove_laid_by(self, observation_id: str, key: str) -> None:
        """Take note of one that was laid by and stands no more."""
        self._is_gone(observation_id, key)

    def given_up(self) -> list[str]:
        """Return the parts that the next `seal` gives up; what stands of them must not be laid by then."""
        return [part for part, left in self._left.items() if left <= LEFT_SHARE * (left + len(self._gone[part]))]

    def _is_gone(self, observation_id: str, key: str) -> None:
        self._gone[key].append(observation_id)
        self._left[key] -= 1
        if not self._left[key]:
            del self._gone[key], self._left[key]

    def seal(self, key: str, standing: Mapping[str, Observation]) -> dict[str, bytes]:
        """Put the recent observations into a part of that name if they are enough; return it.

        standing: all observations that stand and are not laid by, by id.
        """
        given_up = frozenset(self.given_up())
        if given_up:
            names = [name for name, part in self._part_of.items() if part in given_up]
            self._recent |= {name: standing[name] for name in names}
            for name in names:
                del self._part_of[name]
            for part in given_up:
                del self._gone[part], self._left[part]
        if len(self._recent) < self._part_claims:
            return {}
        claims = canonical(self._recent.values())
        self._recent.clear()
        self._seal(key, claims)
        return {key: msgspec.msgpack.encode(claims)}

    def _seal(self, key: str, claims: Sequence[Observation], gone: Sequence[str] = ()) -> None:
        names = [one.observation_id for one in claims]
        self._part_of |= dict.fromkeys(names, key)
        self._gone[key], self._left[key] = list(gone), len(names)

    def state(self) -> ClaimsState:
        """Return what a restart needs besides the parts."""
        for gone in self._gone.values():
            gone.sort()  # in place: quick, as all but the newest are in order
        sealed = tuple(SealedPart(key, tuple(self._gone[key])) for key in self._left)
        return ClaimsState(sealed, tuple(canonical(self._recent.values())))

    def restore(self, state: ClaimsState, parts: Mapping[str, bytes]) -> list[Observation]:
        """Go back to a state; return what stands. Raises KeyError when a part is missing."""
        share_texts(state.recent)
        standing = list(state.recent)
        self._recent = {one.observation_id: one for one in state.recent}
        for sealed in state.sealed:
            claims = msgspec.msgpack.decode(parts[sealed.key], type=tuple[Observation, ...])
            share_texts(claims)
            gone = frozenset(sealed.gone)
            left = [one for one in claims if one.observation_id not in gone]
            self._seal(sealed.key, left, sealed.gone)
            standing += left
        return standing


def share_texts(observations: Iterable[Observation]) -> None:
    """Let observations have repeated texts in common: each was decoded with texts of its own, a third of its size."""
    for one in observations:
        for name in REPEATED:
            object.__setattr__(one, name, intern(getattr(one, name)))  # the same text, so the same frozen value
