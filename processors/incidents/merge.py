"""The merge: blocks of many input partitions become one sequence of ticks that does not depend on how they arrived."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.records import Observation, ObservationBlock, OperatorAction, PublishedRules

SourceId = tuple[str, int]
"""Input topic and partition."""


@dataclass(frozen=True, slots=True)
class MergedTick:
    """Everything observed up to a tick and after the one before, in the order (at_ms, observation_id).

    actions: what operators decided, in the order (at_ms, action_id). revoked: devices whose claims up to this tick no
    longer count, by id. published: rule sets.
    """

    tick_ms: int
    observations: tuple[Observation, ...]
    actions: tuple[OperatorAction, ...] = ()
    revoked: tuple[str, ...] = ()
    published: tuple[PublishedRules, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """The last tick taken from a source."""

    source: SourceId
    tick_ms: int


@dataclass(frozen=True, slots=True)
class MergeState:
    """A merge as of one block: what each source has reached, and the blocks that wait (empty ones too)."""

    reached: tuple[Reached, ...]
    waiting: tuple[ObservationBlock, ...]


class Merge:
    """Takes blocks in any interleaving of their sources, gives ticks up to the slowest source.

    Sources need not have the same ticks: one has reached T when its last block's tick is T or later.
    """

    def __init__(self, sources: Sequence[SourceId]) -> None:
        if not sources:
            raise ValueError("a merge needs at least one source")
        self._reached: dict[SourceId, int | None] = dict.fromkeys(sorted(sources))
        self._waiting: dict[int, list[ObservationBlock]] = {}
        self._ticks: list[int] = []
        self._fastest_ms: int | None = None
        self._slowest_ms: int | None = None
        self._hindmost = len(self._reached)

    @property
    def lead_ms(self) -> int:
        """How far the fastest source is ahead of the slowest; of the first waiting tick while one never came."""
        fastest, slowest = self._fastest_ms or 0, self._slowest_ms
        if slowest is None:
            slowest = self._ticks[0] if self._ticks else fastest
        return fastest - slowest

    @property
    def fastest_ms(self) -> int | None:
        """The last tick of the fastest source; None before any block."""
        return self._fastest_ms

    def repeats(self, block: ObservationBlock) -> bool:
        """Tell whether the block is at or before the last one taken from its source.

        Raises ValueError for a source that the merge was not told of.
        """
        source = (block.source_topic, block.source_partition)
        if source not in self._reached:
            raise ValueError(f"a block of {source}, which is not one of {list(self._reached)}")
        reached = self._reached[source]
        return reached is not None and block.tick_ms <= reached

    def push(self, block: ObservationBlock) -> list[MergedTick]:
        """Take one block and return the ticks that every source has now reached, in order; a repeat gives none."""
        if self.repeats(block):
            return []
        self._reach((block.source_topic, block.source_partition), block.tick_ms)
        self._keep(block)
        slowest, merged = self._slowest_ms, []
        while slowest is not None and self._ticks and self._ticks[0] <= slowest:
            merged.append(self._take(heapq.heappop(self._ticks)))
        return merged

    def waiting(self) -> tuple[ObservationBlock, ...]:
        """Return the blocks not yet merged, by tick and source."""
        blocks = [block for tick_ms in sorted(self._waiting) for block in self._waiting[tick_ms]]
        return tuple(sorted(blocks, key=lambda block: (block.tick_ms, *_source_of(block))))

    def state(self) -> MergeState:
        """Return the state, a function of the blocks taken."""
        reached = [Reached(source, tick_ms) for source, tick_ms in self._reached.items() if tick_ms is not None]
        return MergeState(tuple(reached), self.waiting())

    def restore(self, state: MergeState) -> None:
        """Go back to a state. Raises ValueError when it has a source that the merge was not told of."""
        self._waiting.clear()
        self._ticks.clear()
        self._reached = dict.fromkeys(self._reached)
        for one in state.reached:
            if one.source not in self._reached:
                raise ValueError(f"the state has a source {one.source}, which is not one of {list(self._reached)}")
            self._reached[one.source] = one.tick_ms
        self._look_around()
        for block in state.waiting:
            self._keep(block)

    def _keep(self, block: ObservationBlock) -> None:
        if block.tick_ms not in self._waiting:
            heapq.heappush(self._ticks, block.tick_ms)
        self._waiting.setdefault(block.tick_ms, []).append(block)

    def _take(self, tick_ms: int) -> MergedTick:
        blocks = sorted(self._waiting.pop(tick_ms), key=_source_of)
        found = [observation for block in blocks for observation in block.observations]
        # Stable: a claim and its withdrawal in one block keep their order.
        found.sort(key=lambda one: (one.at_ms, one.observation_id))
        actions = [action for block in blocks for action in block.actions]
        actions.sort(key=lambda one: (one.at_ms, one.action_id))
        revoked = {device_id for block in blocks for device_id in block.revoked}
        published = tuple(one for block in blocks for one in block.published)
        return MergedTick(tick_ms, tuple(found), tuple(actions), tuple(sorted(revoked)), published)

    def _reach(self, source: SourceId, tick_ms: int) -> None:
        """Take note of how far a source is; the slowest is looked for when none is where the slowest was."""
        before_ms, self._reached[source] = self._reached[source], tick_ms
        self._fastest_ms = tick_ms if self._fastest_ms is None else max(self._fastest_ms, tick_ms)
        if before_ms == self._slowest_ms:
            self._hindmost -= 1
            if self._hindmost == 0:
                self._look_around()

    def _look_around(self) -> None:
        """See how far the slowest and the fastest source are, None = before any block, and how many are hindmost."""
        told = [tick_ms for tick_ms in self._reached.values() if tick_ms is not None]
        self._fastest_ms = max(told, default=None)
        self._slowest_ms = min(told) if len(told) == len(self._reached) else None
        self._hindmost = list(self._reached.values()).count(self._slowest_ms)


def _source_of(block: ObservationBlock) -> SourceId:
    return block.source_topic, block.source_partition
