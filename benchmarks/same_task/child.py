"""What every child shares: its job, its clock and the one JSON line that it prints."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.answer import digest

RARELY = 50_000, 20, 100
"""When Python looks for garbage, as a worker of cityops sets it; for whoever writes the loop, no framework."""


@dataclass(frozen=True, slots=True)
class Job:
    """One topic to be read from its beginning by a group of its own, until `positions` were handled.

    folder: where state may be kept; it is removed afterwards.
    """

    bootstrap_servers: str
    topic: str
    partitions: int
    group: str
    positions: int
    folder: str

    def argument(self) -> str:
        """Return the job as the child's argument."""
        return json.dumps(asdict(self))


def given_job() -> Job:
    """Return the job that this process was started with."""
    return Job(**json.loads(sys.argv[1]))


class Clock:
    """Processor time of this process, its threads and its children, and time by the clock, over what it counts."""

    def __init__(self) -> None:
        self.positions = 0

    def count(self, positions: int) -> int:
        """Note that a batch is done and return how many positions are by now.

        It starts when the first batch is done, which does not count: nobody can tell when its fetch began.
        """
        if not self.positions:
            self._first = positions
            self._cpu_s, self._wall_s = cpu_s(), time.perf_counter()
        self.positions += positions
        return self.positions

    def read(self) -> tuple[int, float, float]:
        """Return the positions counted, the processor time and the time since the first batch was done."""
        return self.positions - self._first, cpu_s() - self._cpu_s, time.perf_counter() - self._wall_s


def cpu_s() -> float:
    """Return the user and system time used up to now."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mb() -> float:
    """Return the most memory this process held; ru_maxrss would begin with what its parent held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def tell_and_end(clock: Clock, answer: Callable[[], str]) -> NoReturn:
    """Print what was measured and end at once: how a framework shuts down is not part of the task."""
    positions, used_s, wall_s = clock.read()
    told = {
        "answer": answer(),
        "positions": positions,
        "cpu_s": used_s,
        "wall_s": wall_s,
        "resident_mb": peak_mb(),
    }
    os.write(1, f"{json.dumps(told)}\n".encode())  # not print: Faust takes what is printed for log lines
    os._exit(0)


class Totals:
    """The task in plain Python, for the variants that see one decoded record after the other."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}
        self.minutes: dict[tuple[str, int], list[Any]] = {}

    def answer(self) -> str:
        """Return the digest of what was added up."""
        return digest(
            {key: (one["at_ms"], one["latitude_deg"], one["longitude_deg"]) for key, one in self.last.items()},
            {key: (count, speed) for key, (count, speed) in self.minutes.items()},
        )
