"""Seeds evaluated in processes beside each other, with a bar of the hours that are done."""

import multiprocessing
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from processors.city import City, load_city
from processors.evaluation.feeds import feeds
from processors.evaluation.report import Evaluation
from processors.evaluation.seed import SeedRequest, SeedResult, run_seed
from processors.evaluation.tally import tally
from processors.incidents.rules import RuleSet, load_rules
from processors.simulate.scenes import SCENE_KINDS
from processors.yaml_files import did_you_mean
from schemas.codec import local_codec
from schemas.errors import UsageError
from streams.session import city_of
from streams.settings import Settings

LOOK_S: Final = 0.25
PLAYED_ALWAYS: Final = frozenset({"crash", "fire"})
"""Kinds whose rates the simulator has beside those of its scenes."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What the user asked for. kinds: that happen, empty = all of the rules. The others: as in SeedRequest."""

    seeds: tuple[int, ...]
    hours: float
    kinds: tuple[str, ...]
    difficulties: tuple[float, ...]
    per_hour: float
    vehicles: int
    tick_ms: int
    only_feeding: bool = False

    def requests(self, kinds: tuple[str, ...]) -> list[SeedRequest]:
        """Return the runs, by difficulty and seed."""
        return [
            SeedRequest(
                seed, self.hours, kinds, self.per_hour, self.vehicles, difficulty, self.tick_ms, self.only_feeding
            )
            for difficulty in self.difficulties
            for seed in self.seeds
        ]


def evaluate_rules(
    settings: Settings, rules: Mapping[str, Path], options: EvaluationOptions, console: Console
) -> dict[str, tuple[Evaluation, ...]]:
    """Return of each folder of rules, by its name, an evaluation a difficulty.

    Raises UsageError when the city or the rules have mistakes or a kind is unknown, before anything runs.
    """
    city = city_of(settings)
    loaded = {name: load_rules(folder, city) for name, folder in rules.items()}
    requests = options.requests(_kinds(options.kinds, loaded.values()))
    began_s = time.monotonic()
    files = _Files(settings.city, settings.units, settings.gtfs, rules)
    processes = max(1, min(len(requests), os.cpu_count() or 1))
    found = _run_all(requests, files, processes, console)
    wall_s = time.monotonic() - began_s
    return {
        name: tuple(
            _evaluation(city, own, [one[name] for one in found[row : row + len(options.seeds)]], requests[row], wall_s)
            for row in range(0, len(requests), len(options.seeds))
        )
        for name, own in loaded.items()
    }


def _kinds(asked: tuple[str, ...], rule_sets: Iterable[RuleSet]) -> tuple[str, ...]:
    """Return the kinds asked for, or all that a rule concludes and the simulator plays."""
    concluded = {rule.kind for rules in rule_sets for rule in rules.rules}
    known = sorted(concluded & ({one.name for one in SCENE_KINDS} | PLAYED_ALWAYS))
    for kind in asked:
        if kind not in known:
            raise UsageError(f"no rule concludes {kind}, or the simulator does not play it{did_you_mean(kind, known)}")
    return asked or tuple(known)


def _evaluation(
    city: City, rules: RuleSet, results: Sequence[SeedResult], request: SeedRequest, wall_s: float
) -> Evaluation:
    return Evaluation(
        city=city.name,
        city_version=city.version,
        rules_version=rules.version,
        seeds=tuple(one.seed for one in results),
        difficulty=request.difficulty,
        hours=sum(one.hours for one in results),
        records=sum(one.records for one in results),
        wall_s=wall_s,
        kinds=tally(results, feeds(rules.rules, request.city_of(city, [rules]), request.vehicles)),
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """Where the processes find the city and the rules: by name."""

    city: Path
    units: Path | None
    gtfs: Path | None
    rules: Mapping[str, Path]


def _run_all(
    requests: Sequence[SeedRequest], files: _Files, processes: int, console: Console
) -> list[dict[str, SeedResult]]:
    """Run requests, so many at a time, each under every folder of rules."""
    context = multiprocessing.get_context("spawn")
    done: SynchronizedArray[float] = context.Array("d", len(requests))
    with (
        _bar(console) as bar,
        ProcessPoolExecutor(processes, mp_context=context, initializer=_share, initargs=(done,)) as pool,
    ):
        task = bar.add_task(f"{len(requests)} runs", total=sum(one.hours for one in requests), of="")
        futures = [pool.submit(_run, number, request, files) for number, request in enumerate(requests)]
        try:
            _follow(futures, done, bar, task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _follow(
    futures: "Sequence[Future[dict[str, SeedResult]]]", done: "SynchronizedArray[float]", bar: Progress, task: TaskID
) -> None:
    """Show how far runs are until all have ended. Raises what one of them raises."""
    began_s, left = time.monotonic(), True
    while left:
        left = bool(wait(futures, LOOK_S).not_done)
        for future in futures:
            if future.done():
                future.result()
        hours = sum(done[:])
        faster = hours * 3600 / (time.monotonic() - began_s)
        bar.update(task, completed=hours, of=f"{hours:,.1f} h, {faster:,.0f} times as fast as the clock")


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[of]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True)


_done: "SynchronizedArray[float] | None" = None
"""In a process of the pool: the hours that each run has done, shared with the one that shows them."""


def _share(done: "SynchronizedArray[float]") -> None:
    global _done
    _done = done


def _run(number: int, request: SeedRequest, files: _Files) -> dict[str, SeedResult]:
    city = load_city(files.city, files.units, files.gtfs)
    rule_sets = {name: load_rules(folder) for name, folder in files.rules.items()}

    def note(hours: float) -> None:
        assert _done is not None
        _done[number] = hours

    return run_seed(request, rule_sets, city, local_codec(), note)
