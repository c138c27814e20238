"""The variants of the whole engine: from the log to ClickHouse rows, detectors, rules, incidents and checkpoints.

The answer is what two ordinary workers concluded from the log of single positions: other settings, other cuts of the
polls, other owners of the partitions. Both variants, singles and frames, have to conclude the same.
"""

from dataclasses import dataclass, replace
from typing import Final

from benchmarks.engine import answer_of, run_engine
from benchmarks.load import LoadRule
from benchmarks.preload import Shape, Written
from benchmarks.runs import Runs, check_shape
from benchmarks.variant import Measured, WrongAnswer
from schemas.errors import UsageError
from streams.registry import load_codec
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class EngineSize:
    """Ten cities of 10,000 positions a second each; how many seconds of them, and how many scenes."""

    seconds: float
    rule: LoadRule


FULL: Final = EngineSize(30.0, LoadRule(scenes_per_s=1.0))
QUICK: Final = EngineSize(5.0, LoadRule(scenes_per_s=4.0))


class EngineLogs:
    """The logs of one measurement and the answer, each made once when it is first asked for."""

    def __init__(self, runs: Runs, size: EngineSize) -> None:
        self.runs, self.size = runs, size
        self._logs: dict[Shape, tuple[Settings, Written]] = {}
        self._answer = ""

    def log(self, shape: Shape) -> tuple[Settings, Written]:
        """Return the settings of a log and what is in it."""
        if shape not in self._logs:
            self._logs[shape] = self.runs.preloaded(f"log-{shape}", self.size.rule, self.size.seconds, shape)
        return self._logs[shape]

    def answer(self) -> str:
        """Return what two ordinary workers conclude. Raises WrongAnswer when there is no incident to compare."""
        if not self._answer:
            log, written = self.log(Shape.SINGLES)
            own = self.runs.over(log, "ordinary", live=True)
            told = self.runs.told("two ordinary workers, for the answer", written.messages)
            run = run_engine(own, written, count=2, on_progress=told)
            if not run.observations:
                raise WrongAnswer("the load led to no observation: there is nothing to compare")
            self._answer = answer_of(own, load_codec(own), written)
        return self._answer


@dataclass(frozen=True, slots=True)
class EngineVariant:
    """One ordinary worker over the log of one shape."""

    logs: EngineLogs
    name: str
    title: str
    shape: Shape

    def absent(self) -> str:
        """Return why it cannot run here, "" when it can."""
        try:
            check_shape(self.shape)
        except UsageError as error:
            return str(error)
        return ""

    def prepare(self) -> str:
        """Write its log and return the right answer."""
        self.logs.log(self.shape)
        return self.logs.answer()

    def measure(self, number: int) -> Measured:
        """Let one worker work the log off in a run of its own."""
        log, written = self.logs.log(self.shape)
        own = self.logs.runs.over(log, f"{self.shape}-{number}")
        run = run_engine(own, written, on_progress=self.logs.runs.told(self.title, written.messages))
        answer = answer_of(own, load_codec(own), written)
        return Measured(answer, run.positions, run.cpu_s, run.wall_s, run.peak_mb)


def engine_variants(runs: Runs, *, quick: bool) -> tuple[EngineVariant, ...]:
    """Return the two variants, which share logs and answer."""
    logs = EngineLogs(runs, QUICK if quick else FULL)
    return (
        EngineVariant(logs, "engine_single", "the whole engine, single positions", Shape.SINGLES),
        EngineVariant(logs, "engine_frames", "the whole engine, frames", Shape.FRAMES),
    )


def scaled(rule: LoadRule, vehicles: int, positions_per_s: float) -> LoadRule:
    """Return the rule for another city."""
    return replace(rule, vehicles=vehicles, positions_per_s=positions_per_s)
