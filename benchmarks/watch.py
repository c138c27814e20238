"""A worker over time: memory, lag and processor time every few seconds, bounded in number."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.engine import BenchWorker
from streams import topics

MOST_SAMPLES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. lag: messages of the input topics and of rows.v1 that are not worked off; cpu_cores: since the last."""

    after_s: float
    resident_mb: float
    lag: int
    rows_lag: int
    cpu_cores: float


@dataclass(slots=True)
class Watch:
    """Looks at the one worker every few seconds, from `begin` to `end`."""

    every_s: float
    samples: list[Sample] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self, started: Sequence[BenchWorker]) -> None:
        """Look from now on."""
        self._thread = threading.Thread(target=self._look, args=(started[0],), name="watch", daemon=True)
        self._thread.start()

    def end(self, _: Sequence[BenchWorker] = ()) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, worker: BenchWorker) -> None:
        begun_s, before = time.monotonic(), (time.monotonic(), worker.cpu_s())
        inputs = {topic.name for topic in topics.INPUTS}
        while not self._stop.wait(self.every_s) and len(self.samples) < MOST_SAMPLES:
            status = worker.status()
            if status is None:
                continue
            now = time.monotonic(), worker.cpu_s()
            lag = sum(one.lag for one in status.sources if one.topic in inputs)
            rows_lag = sum(one.lag for one in status.sources if one.topic == topics.ROWS.name)
            cores = (now[1] - before[1]) / max(now[0] - before[0], 1e-9)
            self.samples.append(Sample(now[0] - begun_s, worker.look(), lag, rows_lag, cores))
            before = now


def growth_mb_per_h(samples: Sequence[Sample]) -> float:
    """Return by how much memory grew in the second half, as the slope of a straight line; NaN of too few samples."""
    half = samples[len(samples) // 2 :]
    if len(half) < 3:
        return float("nan")
    slope, _ = np.polyfit([one.after_s for one in half], [one.resident_mb for one in half], 1)
    return float(slope) * 3600.0
