"""What a gathering of lines has said, piece by piece, and what changes of it in a tick."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final

from processors.incidents.clusters import order_of
from schemas.records import Observation

AGE_MS: Final = 60_000


class Said:
    """Keeps what was derived and is not older than the horizon, by the piece that it follows from."""

    def __init__(self) -> None:
        self._by_piece: dict[Hashable, tuple[Observation, ...]] = {}
        self._ageing: dict[int, list[Hashable]] = {}
        self._gone: dict[str, Observation] = {}
        self._new: dict[str, Observation] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether anything was said of a piece."""
        return key in self._by_piece

    def say(self, key: Hashable, made: Sequence[Observation]) -> None:
        """Take note of all that a piece says now."""
        was = self._by_piece.get(key)
        if was is None:
            if made:
                self._new.update((one.observation_id, one) for one in made)
                self._keep(key, made)
            return
        names = {one.observation_id for one in made}
        known = {one.observation_id for one in was}
        self._gone.update((one.observation_id, one) for one in was if one.observation_id not in names)
        self._new.update((one.observation_id, one) for one in made if one.observation_id not in known)
        if made:
            self._keep(key, made)
        else:
            del self._by_piece[key]

    def changes(self, oldest_ms: int) -> list[Observation]:
        """Return what is new and, as withdrawn, what is said no longer and not older than that, in their order."""
        new, gone = self._new, self._gone
        if not gone:
            if not new:
                return []
            self._new = {}
            return sorted(new.values(), key=order_of)
        self._new, self._gone = {}, {}
        found = [one for name, one in new.items() if name not in gone]
        found += [
            replace(one, withdrawn=True) for name, one in gone.items() if name not in new and one.at_ms >= oldest_ms
        ]
        return sorted(found, key=order_of)

    def forget(self, oldest_ms: int) -> None:
        """Let go the pieces that say nothing any more that is not older than that."""
        while self._ageing and (slot := min(self._ageing)) * AGE_MS + AGE_MS <= oldest_ms:
            for key in self._ageing.pop(slot):
                kept = self._by_piece.get(key)
                if kept is not None:
                    if kept[-1].at_ms < oldest_ms:
                        del self._by_piece[key]
                    else:
                        self._ageing.setdefault(kept[-1].at_ms // AGE_MS, []).append(key)

    def _keep(self, key: Hashable, made: Sequence[Observation]) -> None:
        if key not in self._by_piece:
            self._ageing.setdefault(made[-1].at_ms // AGE_MS, []).append(key)
        self._by_piece[key] = tuple(made)
