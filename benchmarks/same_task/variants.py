"""The variants of the same task: which module does it, on which form of the positions, on how many of them."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.same_task.child import Job
from benchmarks.same_task.logs import PARTITIONS, Form, Logs
from benchmarks.variant import Measured
from schemas.errors import CityopsError
from streams.settings import PROJECT, Settings

WITHIN_S: Final = 600.0
HERE: Final = "benchmarks.same_task"


@dataclass(frozen=True, slots=True)
class Size:
    """How many vehicles and positions there are in all, and how many of them, the first ones, slow variants read."""

    vehicles: int
    every: int
    some: int
    few: int


FULL: Final = Size(vehicles=100_000, every=1_000_000, some=100_000, few=25_000)
QUICK: Final = Size(vehicles=30_000, every=300_000, some=40_000, few=8_000)


@dataclass(frozen=True, slots=True)
class SameTask:
    """One variant, run as `python -m MODULE JOB ARGUMENTS`.

    packages: what must be installed for it.
    decodes: otherwise it only counts, and the count is its answer.
    """

    logs: Logs
    name: str
    title: str
    module: str
    form: Form
    count: int
    packages: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    decodes: bool = True

    def absent(self) -> str:
        """Return which package is missing, "" when none is."""
        missing = [package for package in self.packages if find_spec(package) is None]
        return f"{' and '.join(missing)} not installed: pip install -e '.[bench]'" if missing else ""

    def prepare(self) -> str:
        """Write its topic and return the right answer."""
        self.logs.log(self.form, self.count)
        return self.logs.answer(self.count) if self.decodes else str(self.count)

    def measure(self, number: int) -> Measured:
        """Run the child in a consumer group of its own. Raises CityopsError naming its log when it fails."""
        log, settings = self.logs.log(self.form, self.count), self.logs.settings
        group = f"{log.topic}.{self.name}.{number}"
        folder = settings.home / "bench" / group
        folder.mkdir(parents=True, exist_ok=True)
        job = Job(settings.kafka_bootstrap_servers, log.topic, PARTITIONS, group, log.positions, str(folder))
        try:
            return run_child([sys.executable, "-m", self.module, job.argument(), *self.arguments], settings, self.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def run_child(command: list[str], settings: Settings, name: str) -> Measured:
    """Run a child that prints one JSON line and return what it says. Raises CityopsError naming its log."""
    told_in = settings.home / "logs" / f"bench-{name}.log"
    told_in.parent.mkdir(parents=True, exist_ok=True)
    with told_in.open("wb") as errors:
        try:
            ended = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=errors, timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            raise CityopsError(f"{name} was not done after {WITHIN_S:.0f} s: read {told_in}") from None
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        said = _last_line(told_in)
        raise CityopsError(f"{name} ended with status {ended.returncode} and no result ({said}): read {told_in}")
    return msgspec.json.decode(lines[-1], type=Measured)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def same_task_variants(logs: Logs, size: Size) -> tuple[SameTask, ...]:
    """Return the variants of the same task, the slowest first."""
    quix, json, singles, every = f"{HERE}.quix", Form.JSON, Form.SINGLES, size.every
    loop, reader = f"{HERE}.confluent_loop", f"{HERE}.cityops_reader"
    return (
        SameTask(logs, "faust_record", "Faust agent over a Record", f"{HERE}.faust_record", json, size.few),
        SameTask(logs, "quix", "Quix Streams with state", quix, json, size.some, ("quixstreams",)),
        SameTask(logs, "quix_stateless", "Quix Streams", quix, json, size.some, ("quixstreams",), ("stateless",)),
        SameTask(logs, "bytewax", "Bytewax", f"{HERE}.bytewax_flow", json, every, ("bytewax", "orjson")),
        SameTask(logs, "confluent_loop", "confluent-kafka and orjson by hand", loop, json, every, ("orjson",)),
        SameTask(logs, "cityops_single", "cityops, single positions", reader, singles, every, (), (singles,)),
        SameTask(logs, "cityops_frames", "cityops, frames", reader, Form.FRAMES, every, (), (Form.FRAMES,)),
        SameTask(logs, "limit", "single positions, not decoded", f"{HERE}.limit", singles, every, decodes=False),
    )
