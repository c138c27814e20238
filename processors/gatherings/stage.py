"""The stage between the merge and the rules: what the claims of several devices say together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.gatherings.contract import Gathering
from processors.gatherings.gatherer import Gatherer
from processors.incidents.claim_parts import ClaimsState
from processors.incidents.clusters import order_of
from processors.incidents.merge import MergedTick
from schemas.records import Observation


@dataclass(frozen=True, slots=True)
class GathererState:
    """Everything one gathering remembers; what it says follows from it."""

    name: str
    exercise: bool
    claims: ClaimsState


class GatheringStage:
    """Some gatherings at work, each on the claims of a tick and on what those before it say of them.

    exercise: whether the observations it is given are those of exercises; it never sees both.
    """

    def __init__(self, gatherings: Sequence[Gathering], horizon_ms: int, *, exercise: bool = False) -> None:
        self._gatherers = {one.name: Gatherer(one, horizon_ms) for one in gatherings}
        self._exercise = exercise

    def advance(self, tick: MergedTick) -> tuple[MergedTick, tuple[Observation, ...]]:
        """Return a tick with what is derived, or no longer derived, among its observations; and that alone."""
        observations = tick.observations
        for gatherer in self._gatherers.values():
            derived = gatherer.advance(tick.tick_ms, observations)
            observations = (*observations, *derived) if derived else observations
        found = observations[len(tick.observations) :]
        if not found:
            return tick, ()
        return replace(tick, observations=tuple(sorted(observations, key=order_of))), found

    def standing(self) -> Iterator[Observation]:
        """Yield the claims that its gatherings keep, one that several keep several times."""
        for gatherer in self._gatherers.values():
            yield from gatherer.standing.values()

    def seal(self, next_offset: int) -> dict[str, bytes]:
        """Return the checkpoint parts that it is time for."""
        folder = "exercise-gatherings" if self._exercise else "gatherings"
        sealed: dict[str, bytes] = {}
        for name, gatherer in self._gatherers.items():
            sealed |= gatherer.seal(f"{folder}/{name}/{next_offset}")
        return sealed

    def state(self) -> tuple[GathererState, ...]:
        """Return the state, a function of the ticks taken."""
        return tuple(GathererState(name, self._exercise, one.state()) for name, one in self._gatherers.items())

    def restore(self, states: Sequence[GathererState], parts: Mapping[str, bytes], tick_ms: int) -> None:
        """Go back to a state as of a tick; gatherings that it does not know begin empty."""
        for state in states:
            if state.exercise == self._exercise and state.name in self._gatherers:
                self._gatherers[state.name].restore(state.claims, parts, tick_ms)
