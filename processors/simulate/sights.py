"""What cameras claim of scenes, frame by frame, and the false claims of the same kinds that come with them."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.simulate.rule import TICK_MS, SimulationRule
from processors.simulate.scenes.scene import NAN, Sight

TRUE_CONFIDENCE: Final = (0.78, 0.10)
FALSE_CONFIDENCE: Final = (0.62, 0.12)
"""Mean and standard deviation: models are less sure of what is not there, and not by much."""
FALSE_WITHIN_S: Final = 60.0
JITTER_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Frame:
    """One claim of one camera at a true time."""

    at_ms: int
    camera: int
    kind: str
    object_class: str
    track_id: str
    confidence: float
    speed_mps: float = NAN
    bearing_deg: float = NAN


@dataclass(slots=True)
class _View:
    sight: Sight
    track_id: str
    next_ms: float
    rng: np.random.Generator


class Sights:
    """All sights under way; each draws from the random numbers of its scene."""

    def __init__(self, cameras: int, rule: SimulationRule) -> None:
        self._cameras, self._rule = cameras, rule
        self._views: list[_View] = []
        self._mistakes: list[tuple[int, int, Frame, np.random.Generator]] = []
        self._tracks: Counter[str] = Counter()
        self._planned = 0

    def show(self, sights: Sequence[Sight], rng: np.random.Generator) -> None:
        """Let cameras see something; rng: the scene's."""
        self._views += [_View(sight, self._track(sight), sight.from_ms, rng) for sight in sights]

    def frames(self, tick_ms: int) -> Iterator[tuple[list[Frame], np.random.Generator]]:
        """Return what is claimed before a tick, with the random numbers to send it with."""
        for view in self._views:
            if view.next_ms < tick_ms:
                frames = self._seen(view, tick_ms)
                if frames:
                    yield frames, view.rng
        self._views = [view for view in self._views if view.next_ms < view.sight.until_ms]
        while self._mistakes and self._mistakes[0][0] < tick_ms:
            _, _, frame, rng = heapq.heappop(self._mistakes)
            yield [frame], rng

    def _seen(self, view: _View, tick_ms: int) -> list[Frame]:
        frames, sight, rng = [], view.sight, view.rng
        while view.next_ms < min(tick_ms, sight.until_ms):
            at_ms = int(view.next_ms)
            view.next_ms += sight.every_ms * (1 + rng.uniform(-JITTER_SHARE, JITTER_SHARE))
            missed, sure = rng.random() < self._rule.camera_miss, confidence(rng, TRUE_CONFIDENCE)
            if not missed:
                frames.append(Frame(
                    at_ms, sight.camera, sight.kind, sight.object_class, view.track_id, sure, sight.speed_mps,
                    sight.bearing_deg,
                ))  # fmt: skip
                self._mistake(at_ms, view)
        return frames

    def _mistake(self, near_ms: int, view: _View) -> None:
        """For a true claim plan as many false ones of its kind elsewhere as make them the rule's share of all."""
        rng, rule, sight = view.rng, self._rule, view.sight
        odds = rule.false_detection / (1 - rule.false_detection) / (1 + rule.false_pair)
        if not sight.false_too or rng.random() >= odds:
            return
        camera, track_id = int(rng.integers(self._cameras)), self._track(sight)
        at_ms = near_ms + int(rng.uniform(TICK_MS, FALSE_WITHIN_S * 1000))
        for frame in range(2 if rng.random() < rule.false_pair else 1):
            false = Frame(
                at_ms + round(frame * sight.every_ms), camera, sight.kind, sight.object_class, track_id,
                confidence(rng, FALSE_CONFIDENCE), sight.speed_mps, sight.bearing_deg,
            )  # fmt: skip
            self._planned += 1
            heapq.heappush(self._mistakes, (false.at_ms, self._planned, false, rng))

    def _track(self, sight: Sight) -> str:
        self._tracks[sight.kind] += 1
        return f"{sight.kind}-{self._tracks[sight.kind]}"


def confidence(rng: np.random.Generator, spread: tuple[float, float]) -> float:
    """Return how sure a model is, from 0.05 to 0.99."""
    return round(min(max(float(rng.normal(*spread)), 0.05), 0.99), 3)
