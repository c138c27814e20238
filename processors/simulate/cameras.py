"""Cameras: heartbeats, everyday detections, what they see of crashes and fires, and what they only think they see."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.simulate.delivery import Channel, Outbox
from processors.simulate.estate import Estate
from processors.simulate.heartbeats import Heartbeats
from processors.simulate.rule import DETECTIONS, TICK_MS, SimulationRule
from processors.simulate.scenes.scene import Ailment, Trouble
from processors.simulate.script import CAMERA_SEES_M, Crash, Scene
from processors.simulate.sights import FALSE_CONFIDENCE, FALSE_WITHIN_S, TRUE_CONFIDENCE, Frame, Sights, confidence
from schemas.records import CameraDetection

MODEL_VERSION: Final = "simulated-1"
WRONG_S: Final = 5.0
"""A clock that is so fast is wrong: nobody can put together what two cameras saw."""
VIEWS_PER_SCENE: Final = 2
FRAME_MS: Final = 1000
FRAME_JITTER_MS: Final = 100
CRASH_SEEN_AFTER_S: Final = (1.0, 3.0)
SMOKE_SEEN_AFTER_S: Final = (3.0, 8.0)
FLAMES_SEEN_AFTER_S: Final = (8.0, 20.0)
CLAIMS: Final = (("crash", "car"), ("smoke", ""), ("fire", ""))
CLAIM_SHARES: Final = (0.4, 0.35, 0.25)
TAMPERINGS: Final = frozenset({"frozen", "covered", "moved"})
"""What a camera claims of itself though it sees nothing."""
EVERYDAY: Final = (("vehicle", "car"), ("vehicle", "motorcycle"), ("vehicle", "bus"), ("person", "person"))
EVERYDAY_SHARES: Final = (0.25, 0.4, 0.05, 0.3)


@dataclass(slots=True)
class _View:
    """What one camera sees of one scene, frame by frame."""

    camera: int
    crash: bool
    track_id: str
    next_ms: float
    flames_ms: float
    until_ms: float


class Cameras:
    """All cameras of a city."""

    def __init__(
        self, estate: Estate, streams: Sequence[np.random.Generator], start_ms: int, rule: SimulationRule,
        outbox: Outbox,
    ) -> None:  # fmt: skip
        """streams: the random numbers of everyday detections, scenes, false claims, heartbeats and delivery."""
        self._estate, self._rule = estate, rule
        self._everyday, self._seeing, self._mistaken, beating, delivery = streams
        self._channel = Channel(DETECTIONS, estate.device_ids, start_ms, delivery, rule, outbox)
        self._heartbeats = Heartbeats(estate.device_ids, self._channel, beating, start_ms, rule)
        self._views: list[_View] = []
        self._mistakes: list[tuple[int, int, Frame]] = []
        self._tracks = 0
        self.sights = Sights(len(estate), rule)
        self._blind_ms = np.full(len(estate), start_ms, np.float64)
        self._wrong_clocks: list[tuple[float, int, int]] = []

    def fast_clocks(self) -> list[int]:
        """Return the cameras whose clocks are WRONG_S and more fast from the beginning."""
        rows: list[int] = np.flatnonzero(self._channel.ahead_ms >= WRONG_S * 1000).tolist()
        return rows

    def suffer(self, trouble: Trouble) -> None:
        """Let something be wrong with a camera from now on."""
        row = trouble.device
        if trouble.ailment is Ailment.SILENT:
            self._channel.quiet_ms[row] = round(trouble.until_ms)
        elif trouble.ailment is Ailment.BLIND:
            self._blind_ms[row] = trouble.until_ms
        else:
            self._wrong_clocks.append((trouble.until_ms, row, int(self._channel.ahead_ms[row])))
            self._channel.ahead_ms[row] = trouble.ahead_ms

    def begin(self, scene: Scene) -> None:
        """Let the nearest cameras within CAMERA_SEES_M see a scene."""
        truth, rng = scene.truth, self._seeing
        for camera in self._estate.near(truth.latitude_deg, truth.longitude_deg, CAMERA_SEES_M)[:VIEWS_PER_SCENE]:
            crash = isinstance(scene, Crash)
            after_s = rng.uniform(*(CRASH_SEEN_AFTER_S if crash else SMOKE_SEEN_AFTER_S))
            flames_s = rng.uniform(*FLAMES_SEEN_AFTER_S)
            first_ms = truth.at_ms + after_s * 1000
            until_ms = min(first_ms + rng.uniform(*self._rule.camera_sees_s) * 1000, scene.ends_ms)
            flames_ms = truth.at_ms + flames_s * 1000
            self._views.append(_View(camera, crash, self._track_id(), first_ms, flames_ms, until_ms))

    def step(self, tick_ms: int) -> None:
        """Send everything the cameras claim before a tick."""
        if not len(self._estate):
            return
        self._set_clocks(tick_ms)
        self._heartbeats.step(tick_ms)
        everyday = self._everyday_frames(tick_ms)
        if "detections" not in self._rule.leave_out:
            self._send(everyday, self._everyday)
        claims = [frame for view in self._views for frame in self._seen(view, tick_ms)]
        self._views = [view for view in self._views if view.next_ms < view.until_ms]
        for claim in claims:
            self._mistake(claim.at_ms)
        self._send(claims, self._seeing)
        mistakes = []
        while self._mistakes and self._mistakes[0][0] < tick_ms:
            mistakes.append(heapq.heappop(self._mistakes)[2])
        self._send(mistakes, self._mistaken)
        for frames, rng in self.sights.frames(tick_ms):
            self._send(frames, rng, rng)

    def _set_clocks(self, tick_ms: int) -> None:
        """Put right the clocks whose time to be wrong is over."""
        for until_ms, row, ahead_ms in self._wrong_clocks:
            if until_ms <= tick_ms:
                self._channel.ahead_ms[row] = ahead_ms
        self._wrong_clocks = [one for one in self._wrong_clocks if one[0] > tick_ms]

    def _seen(self, view: _View, tick_ms: int) -> list[Frame]:
        frames = []
        rng = self._seeing
        while view.next_ms < min(tick_ms, view.until_ms):
            at_ms = int(view.next_ms)
            view.next_ms += FRAME_MS + rng.uniform(-FRAME_JITTER_MS, FRAME_JITTER_MS)
            missed, flames = rng.random() < self._rule.camera_miss, rng.random() < 0.5
            kind, object_class = CLAIMS[0] if view.crash else CLAIMS[2 if flames and at_ms >= view.flames_ms else 1]
            sure = confidence(rng, TRUE_CONFIDENCE)
            if not missed:
                frames.append(Frame(at_ms, view.camera, kind, object_class, view.track_id, sure))
        return frames

    def _mistake(self, near_ms: int) -> None:
        """For each true claim, plan as many false ones elsewhere as make them the rule's share of all claims."""
        rng, rule = self._mistaken, self._rule
        odds = rule.false_detection / (1 - rule.false_detection) / (1 + rule.false_pair)
        if rng.random() >= odds:
            return
        camera, claim = int(rng.integers(len(self._estate))), int(rng.choice(len(CLAIMS), p=CLAIM_SHARES))
        kind, object_class = CLAIMS[claim]
        at_ms, track_id = near_ms + int(rng.uniform(TICK_MS, FALSE_WITHIN_S * 1000)), self._track_id()
        for frame in range(2 if rng.random() < rule.false_pair else 1):
            sure = confidence(rng, FALSE_CONFIDENCE)
            false = Frame(at_ms + frame * FRAME_MS, camera, kind, object_class, track_id, sure)
            heapq.heappush(self._mistakes, (false.at_ms, self._tracks * 2 + frame, false))

    def _everyday_frames(self, tick_ms: int) -> list[Frame]:
        rng = self._everyday
        count = int(rng.poisson(self._rule.background_per_camera_s * len(self._estate) * TICK_MS / 1000))
        cameras = rng.integers(len(self._estate), size=count).tolist()
        times = (tick_ms - TICK_MS + rng.integers(TICK_MS, size=count)).tolist()
        things = rng.choice(len(EVERYDAY), count, p=EVERYDAY_SHARES).tolist()
        confidences = [confidence(rng, TRUE_CONFIDENCE) for _ in range(count)]
        return [
            Frame(at_ms, camera, *EVERYDAY[thing], self._track_id(), confidence)
            for at_ms, camera, thing, confidence in sorted(zip(times, cameras, things, confidences, strict=True))
        ]

    def _track_id(self) -> str:
        self._tracks += 1
        return str(self._tracks)

    def _send(
        self, frames: Sequence[Frame], rng: np.random.Generator, travel: np.random.Generator | None = None
    ) -> None:
        """Send frames; travel: the random numbers of a scene for the way, None = those of everybody."""
        if not frames:
            return
        boxes = rng.uniform((0.05, 0.2, 0.05, 0.05), (0.6, 0.7, 0.35, 0.25), (len(frames), 4)).round(3)
        rows = np.array([frame.camera for frame in frames])
        at_ms = np.array([frame.at_ms for frame in frames])
        stamps = at_ms + self._channel.ahead_ms[rows]
        records = [
            _detection(frame, self._estate.device_ids[frame.camera], stamp, box)
            for frame, stamp, box in zip(frames, stamps.tolist(), boxes.tolist(), strict=True)
        ]
        seen = np.array([self._sees(frame) for frame in frames], np.bool_)
        self._channel.send(rows, at_ms, records, travel, seen)

    def _sees(self, frame: Frame) -> bool:
        return frame.kind in TAMPERINGS or bool(self._blind_ms[frame.camera] <= frame.at_ms)


def _detection(frame: Frame, camera_id: str, at_ms: int, box: Sequence[float]) -> CameraDetection:
    left, top, width, height = box
    claim = frame.kind not in ("vehicle", "person")
    return CameraDetection(
        at_ms=at_ms,
        latitude_deg=math.nan,
        longitude_deg=math.nan,
        confidence=frame.confidence,
        speed_mps=frame.speed_mps,
        bearing_deg=frame.bearing_deg,
        box_left=left,
        box_top=top,
        box_right=round(left + width, 3),
        box_bottom=round(top + height, 3),
        camera_id=camera_id,
        kind=frame.kind,
        track_id=frame.track_id,
        object_class=frame.object_class,
        model_version=MODEL_VERSION,
        snapshot_url=f"snapshots/{camera_id}/{at_ms}.jpg" if claim else "",
    )
