"""A process that writes a load: phases one after the other, each when it is told to begin, preloaded or paced.

`python -m benchmarks.producer JOB` (JSON of `Job`); begins each phase at a line on its input and prints what is written
so far after it.
"""

import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.load import Load, LoadRule
from benchmarks.preload import START_MS, LoadWriter, Shape, Written, paced, run_on, trail
from benchmarks.runs import SEED, OnProgress
from benchmarks.wire import Wire
from schemas.errors import CityopsError
from streams import topics
from streams.registry import load_codec
from streams.session import city_of
from streams.settings import PROJECT, Settings, settings_from_env
from streams.workers import environment


@dataclass(frozen=True, slots=True)
class Phase:
    """So many seconds of event time at a rate, as fast as it goes or at its pace. trail: ticks follow it."""

    seconds: float
    positions_per_s: float
    paced: bool
    trail: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What to write."""

    rule: LoadRule
    shape: Shape
    phases: tuple[Phase, ...]


@dataclass(frozen=True, slots=True)
class PhaseDone:
    """What is written so far; late_s: the most that an interval of this phase came after its time."""

    written: Written
    late_s: float


class Producer:
    """The process, seen from outside."""

    def __init__(self, log: Settings, job: Job) -> None:
        """Start it; nothing is written before `begin`."""
        self.told_in = log.home / "logs" / "bench-producer.log"
        self.told_in.parent.mkdir(parents=True, exist_ok=True)
        with self.told_in.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.producer", msgspec.json.encode(job).decode()],
                cwd=PROJECT,
                env=environment(log),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def begin(self) -> None:
        """Begin the next phase."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def done(self) -> PhaseDone:
        """Wait for the phase; return what it tells. Raises CityopsError."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise CityopsError(f"the producer ended: read {self.told_in}")
        return msgspec.msgpack.decode(b64decode(line), type=PhaseDone)

    def done_showing(self, seconds: float, on_progress: OnProgress) -> PhaseDone:
        """Wait for a phase of so many seconds and show the time that passes. Raises CityopsError."""
        over = threading.Event()

        def show() -> None:
            begun_s = time.monotonic()
            while not over.wait(0.5):
                on_progress(f"{seconds:.0f} s at its pace", min(1.0, (time.monotonic() - begun_s) / seconds))

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            return self.done()
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def main(arguments: Sequence[str]) -> None:
    """Write phase by phase."""
    job = msgspec.json.decode(arguments[0], type=Job)
    settings = settings_from_env()
    load = Load(city_of(settings), job.rule, SEED, START_MS)
    writer = LoadWriter(settings, Wire(load_codec(settings), load.fleet, topics.POSITIONS.partitions), job.shape)
    for phase in job.phases:
        load.turn_to(phase.positions_per_s)
        if not sys.stdin.readline():
            return
        late_s = 0.0
        for late in paced(load, writer, phase.seconds) if phase.paced else run_on(load, writer, phase.seconds):
            late_s = max(late_s, late)
        if phase.trail:
            trail(writer)
        print(b64encode(msgspec.msgpack.encode(PhaseDone(writer.close(), late_s))).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
