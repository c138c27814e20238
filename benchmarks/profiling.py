"""Where a worker's processor time goes: py-spy's samples of every thread, weighed by what each thread really took.

py-spy counts a thread that waits inside a library without the GIL as busy; such waits are known and left out, and the
threads that run no Python (librdkafka's) appear by what the system says of them.
"""

import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.engine import BenchWorker
from schemas.errors import UsageError

RATE_HZ: Final = 100
SHOWN: Final = 10
OWN: Final = re.compile(r"\((?:streams|processors|sinks|schemas|faust_app)[/.]")
THREAD: Final = re.compile(r"thread \((\d+)\)")
WAITS: Final = frozenset(
    {
        "_worker (concurrent/futures/thread.py)",
        "_poll (streams/outbox.py)",
        "select (selectors.py)",
        "wait (threading.py)",
    }
)
"""Innermost frames of threads that wait."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Where time went, and how much of it, in microseconds a position."""

    where: str
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Profile:
    """innermost: by the innermost function of ours, what it calls in libraries included. inclusive: what a function of
    ours and all below it took; sums overlap. library: by the innermost function of all.
    """

    cpu_us: float
    by_thread: Sequence[Cost]
    innermost: Sequence[Cost]
    inclusive: Sequence[Cost]
    library: Sequence[Cost]


class Sampler:
    """Samples a worker while it works."""

    def __init__(self, target: Path) -> None:
        """Raises UsageError when py-spy is not installed."""
        self._target = target
        beside = Path(sysconfig.get_path("scripts")) / "py-spy"
        found = str(beside) if beside.exists() else shutil.which("py-spy")
        if found is None:
            raise UsageError(f"py-spy is not installed: {sys.executable} -m pip install -e '.[bench]'")
        self._command = found
        self._spy: subprocess.Popen[bytes] | None = None
        self._before_s: dict[int, float] = {}

    def begin(self, workers: Sequence[BenchWorker]) -> None:
        """Sample from now on."""
        self._before_s = _thread_times(workers[0])
        output = ["--format", "raw", "--output", str(self._target)]
        command = [self._command, "record", "--rate", str(RATE_HZ), "--threads", "--nonblocking", *output]
        self._spy = subprocess.Popen(
            [*command, "--pid", str(workers[0].process.pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self, workers: Sequence[BenchWorker]) -> dict[int, float]:
        """Stop, and return what each thread took meanwhile in seconds, by its id."""
        took_s = {
            thread: after_s - self._before_s.get(thread, 0.0) for thread, after_s in _thread_times(workers[0]).items()
        }
        if self._spy is not None:
            self._spy.send_signal(signal.SIGINT)
            self._spy.wait()
        return took_s


Shares = defaultdict[str, float]
"""Where -> how much."""


def _shares() -> Shares:
    return defaultdict(float)


@dataclass(slots=True)
class _Counts:
    """Samples of one thread."""

    name: str
    total: int = 0
    innermost: Shares = field(default_factory=_shares)
    inclusive: Shares = field(default_factory=_shares)
    library: Shares = field(default_factory=_shares)


def read_profile(folded: Iterable[str], took_s: Mapping[int, float], positions: int) -> Profile:
    """Weigh py-spy's folded stacks by what the threads took."""
    counts: dict[int, _Counts] = {}
    for line in folded:
        _take(line, counts)
    us = 1e6 / positions
    threads = _shares()
    found = _shares(), _shares(), _shares()
    for thread, seconds in took_s.items():
        of = counts.get(thread)
        threads[of.name if of is not None else "threads of libraries (librdkafka)"] += seconds * us
        if of is None or not of.total:
            found[0]["(threads of libraries: librdkafka)"] += seconds * us
            continue
        for into, samples in zip(found, (of.innermost, of.inclusive, of.library), strict=True):
            for where, count in samples.items():
                into[where] += seconds * us * count / of.total
    return Profile(sum(took_s.values()) * us, _largest(threads), *(_largest(one) for one in found))


def _take(line: str, counts: dict[int, _Counts]) -> None:
    stack, _, number = line.strip().rpartition(" ")
    thread, *frames = stack.split(";")
    told = THREAD.search(thread)
    frames = [re.sub(r":\d+\)$", ")", frame) for frame in frames]
    if told is None or not frames or frames[-1] in WAITS or not number.isdigit():
        return  # py-spy reads names without stopping the worker: now and then one is something else, of many lines
    of = counts.setdefault(int(told[1]), _Counts(thread.partition(": ")[2] or frames[0]))
    of.total += int(number)
    ours = [frame for frame in frames if OWN.search(frame)]
    of.innermost[ours[-1] if ours else frames[-1]] += int(number)
    of.library[frames[-1]] += int(number)
    for frame in set(ours):
        of.inclusive[frame] += int(number)


def _largest(costs: Mapping[str, float]) -> list[Cost]:
    return [Cost(where, cost) for where, cost in sorted(costs.items(), key=lambda item: -item[1])]


def _thread_times(worker: BenchWorker) -> dict[int, float]:
    return {one.id: one.user_time + one.system_time for one in worker.seen.threads()}
