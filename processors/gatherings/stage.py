"""The stage between the merge and the rules: what the claims of several devices say together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from processors.gatherings.contract import Gathering
from processors.gatherings.gatherer import NEVER_MS, Gatherer
from processors.gatherings.line_gatherer import LineGatherer
from processors.gatherings.line_gathering import LineGathering
from processors.incidents.claim_parts import ClaimsState
from processors.incidents.clusters import order_of
from processors.incidents.merge import MergedTick
from schemas.records import Observation


@dataclass(frozen=True, slots=True)
class GathererState:
    """Everything one gatherer remembers; what it says follows from it."""

    name: str
    exercise: bool
    claims: ClaimsState


class AnyGatherer(Protocol):
    """One gathering at work, or several that share their claims."""

    name: str
    kinds: frozenset[str]
    wake_ms: int
    """the first tick at which there is something to do though nothing came"""

    def advance(self, tick_ms: int, observations: Iterable[Observation]) -> list[Observation]:
        """Take the claims of a tick; return what is derived from now on and, as withdrawn, what no longer is."""
        ...

    def standing(self, tick_ms: int) -> Iterable[Observation]:
        """Return the claims from which something may follow as of a tick."""
        ...

    def seal(self, key: str) -> dict[str, bytes]:
        """Return a checkpoint part of that name if it is time for one."""
        ...

    def state(self) -> ClaimsState:
        """Return the state, a function of the claims taken."""
        ...

    def restore(self, states: Mapping[str, ClaimsState], parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to a state as of the end of a tick."""
        ...


def gatherers_of(gatherings: Sequence[Gathering], horizon_ms: int) -> list[AnyGatherer]:
    """Return gatherings at work, in their order; those of lines next to each other share their claims."""
    made: list[AnyGatherer] = []
    lines: list[LineGathering] = []
    for one in gatherings:
        if isinstance(one, LineGathering):
            lines.append(one)
            continue
        if lines:
            made.append(LineGatherer(lines, horizon_ms))
            lines = []
        made.append(Gatherer(one, horizon_ms))
    return [*made, LineGatherer(lines, horizon_ms)] if lines else made


class GatheringStage:
    """Some gatherings at work, each on the claims of a tick and on what those before it say of them.

    exercise: whether the observations it is given are those of exercises; it never sees both.
    """

    def __init__(self, gatherings: Sequence[Gathering], horizon_ms: int, *, exercise: bool = False) -> None:
        self._gatherers = gatherers_of(gatherings, horizon_ms)
        self._exercise = exercise
        self._tick_ms = -1
        self._wake_ms = 0
        self._concerned: dict[str, list[int]] = {}
        for number, gatherer in enumerate(self._gatherers):
            for kind in sorted(gatherer.kinds):
                self._concerned.setdefault(kind, []).append(number)

    def advance(self, tick: MergedTick) -> tuple[MergedTick, tuple[Observation, ...]]:
        """Return a tick with what is derived, or no longer derived, among its observations; and that alone."""
        self._tick_ms = tick.tick_ms
        found: list[Observation] = []
        told: dict[int, list[Observation]] = {}
        self._tell(told, tick.observations)
        if not told and tick.tick_ms < self._wake_ms:
            return tick, ()
        for number, gatherer in enumerate(self._gatherers):
            if number in told or gatherer.wake_ms <= tick.tick_ms:
                derived = gatherer.advance(tick.tick_ms, told.get(number, ()))
                if derived:
                    self._tell(told, derived)
                    found += derived
        self._wake_ms = min(one.wake_ms for one in self._gatherers) if self._gatherers else NEVER_MS
        if not found:
            return tick, ()
        observations = tuple(sorted((*tick.observations, *found), key=order_of))
        return replace(tick, observations=observations), tuple(found)

    def standing(self) -> Iterator[Observation]:
        """Yield the claims that its gatherings keep, one that several keep several times."""
        for gatherer in self._gatherers:
            yield from gatherer.standing(self._tick_ms)

    def seal(self, next_offset: int) -> dict[str, bytes]:
        """Return the checkpoint parts that it is time for."""
        folder = "exercise-gatherings" if self._exercise else "gatherings"
        sealed: dict[str, bytes] = {}
        for gatherer in self._gatherers:
            sealed |= gatherer.seal(f"{folder}/{gatherer.name}/{next_offset}")
        return sealed

    def state(self) -> tuple[GathererState, ...]:
        """Return the state, a function of the ticks taken."""
        return tuple(GathererState(one.name, self._exercise, one.state()) for one in self._gatherers)

    def restore(self, states: Sequence[GathererState], parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to a state as of a tick; gatherings that it does not know begin empty."""
        self._tick_ms, self._wake_ms = tick_ms, 0
        known = {state.name: state.claims for state in states if state.exercise == self._exercise}
        for gatherer in self._gatherers:
            gatherer.restore(known, parts, tick_ms)

    def _tell(self, told: dict[int, list[Observation]], observations: Iterable[Observation]) -> None:
        """Sort claims by the gatherers that they concern."""
        concerned = self._concerned
        for one in observations:
            for number in concerned.get(one.kind, ()):
                told.setdefault(number, []).append(one)
