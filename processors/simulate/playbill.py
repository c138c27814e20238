"""The playbill: when scenes of each kind begin. Every kind has random numbers of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from processors.score_bounds import TOLD_S
from processors.simulate.rule import SimulationRule, random_stream
from processors.simulate.scenes.kinds import EVERYDAY_KINDS, SCENE_KINDS, Maker
from processors.simulate.scenes.scene import Call, Scene
from processors.simulate.scenes.stage import Stage
from schemas.errors import UsageError

SCENES: Final = 20
"""The concern of the playbill; 0 to 9 are those of simulation.py."""
TIMES, EACH = 0, 1
EVERYDAY_FROM: Final = 1000
"""Number of the first kind of everyday life among the concerns."""

AT_RANDOM_FROM_S: Final = 42.0
LEAD_MS: Final = 90_000
"""Scenes that are made early are made so long before: vehicles have to drive up."""
AGAIN_S: Final = 60.0
"""A scene for which there was no place or vehicle is tried again so much later."""


@dataclass(slots=True)
class _Calls:
    """The calls of one kind: the first at a set time where there is one, all others at random at a rate.

    last_ms: none after it.
    """

    name: str
    number: int
    make: Maker
    early: bool
    mean_ms: float
    next_ms: float
    last_ms: float
    count: int
    standing: list[tuple[float, float, float]]


class Playbill:
    """All scenes but crashes and fires, in the order in which they are made."""

    def __init__(
        self, stage: Stage, seed: int, start_ms: int, rule: SimulationRule, until_ms: int | None,
        local_hour: Callable[[int], float],
    ) -> None:  # fmt: skip
        """Raise UsageError for a kind that there is not."""
        self._stage, self._seed, self._hour = stage, seed, local_hour
        self._start_ms = start_ms
        self._until_ms = float("inf") if until_ms is None else float(until_ms)
        self._quiet_end_s = rule.quiet_end_s
        rates = rule.scenes_per_hour
        check_kinds(rates)
        self._calls = [
            self._plan(
                number, one.name, one.make, one.early, rates.get(one.name, 0.0), one.first_s if rule.opening else None
            )
            for number, one in enumerate(SCENE_KINDS)
            if rates.get(one.name, 0.0) > 0
        ]
        for number, one in enumerate(EVERYDAY_KINDS, EVERYDAY_FROM):
            per_hour = one.per_hour + one.per_camera_hour * len(stage.cameras)
            if rates.get(one.feeds, 0.0) > 0 and per_hour > 0:
                self._calls.append(self._plan(number, one.name, one.make, one.early, per_hour, None))

    def _plan(self, number: int, name: str, make: Maker, early: bool, per_hour: float, first_s: float | None) -> _Calls:
        """first_s: after the start; None = at random."""
        mean_ms = 3_600_000 / per_hour
        if first_s is None:
            times = random_stream(self._seed, SCENES, number, TIMES)
            next_ms = self._start_ms + AT_RANDOM_FROM_S * 1000 + float(times.exponential(mean_ms))
        else:
            next_ms = self._start_ms + first_s * 1000
        last_ms = self._until_ms - max(self._quiet_end_s, TOLD_S.get(name, 0.0)) * 1000
        return _Calls(name, number, make, early, mean_ms, next_ms, last_ms, 0, [])

    def until(self, tick_ms: int) -> list[Scene]:
        """Return the scenes that are made before a tick and have not been returned yet."""
        scenes = []
        for calls in self._calls:
            reach_ms = tick_ms + (LEAD_MS if calls.early else 0)
            while calls.next_ms < reach_ms:
                scene = self._made(calls)
                if scene is not None:
                    scenes.append(scene)
        return scenes

    def _made(self, calls: _Calls) -> Scene | None:
        at_ms = round(calls.next_ms)
        rng = random_stream(self._seed, SCENES, calls.number, EACH, calls.count)
        calls.next_ms += float(rng.exponential(calls.mean_ms))
        call = Call(calls.name, at_ms, self._hour(at_ms), calls.count, self._seed, rng, calls.standing)
        calls.count += 1
        scene = calls.make(self._stage, call) if at_ms <= calls.last_ms else None
        if scene is None:
            calls.next_ms = min(calls.next_ms, at_ms + AGAIN_S * 1000)
        return scene


def check_kinds(rates: Mapping[str, float]) -> None:
    """Raise UsageError for a kind of scene that there is not."""
    known = {one.name for one in SCENE_KINDS}
    for name in rates:
        if name not in known:
            raise UsageError(f"there are no scenes of kind {name}; there are {', '.join(sorted(known))}")
