"""The runs of engine measurements: each has a log of its own, and all of them are gone in the end."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from confluent_kafka.admin import AdminClient

from benchmarks.engine import engine_settings, make_log, make_run
from benchmarks.load import Load, LoadRule
from benchmarks.preload import START_MS, LoadWriter, Shape, Written, preload
from benchmarks.wire import Wire
from processors.city import City
from schemas.codec import Codec
from schemas.errors import UsageError
from sinks.clickhouse.migrations import drop_database
from sinks.clickhouse.queries import query
from streams import topics
from streams.kafka_access import librdkafka_settings
from streams.registry import load_codec
from streams.session import city_of
from streams.settings import Settings
from streams.watching import ERRORS_ONLY

PREFIX: Final = "bench-"
SEED: Final = 20_261_122
WITHIN_S: Final = 60

OnProgress = Callable[[str, float], None]
"""Told what is being done and how much of it is, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Makes logs and runs on a stack that answers."""

    settings: Settings
    city: City
    on_progress: OnProgress = lambda said, part: None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(int(time.time())))
    """Every run has a name no earlier one had, in no other process either: a consumer group remembers topics that were
    deleted, and who was in it."""

    def log(self, name: str) -> tuple[Settings, Codec]:
        """Return the settings of an empty log of that name, and a codec for it."""
        run = f"{PREFIX}{next(self._numbers)}-{name}"
        own = engine_settings(self.settings, run, run)
        make_log(own)
        return own, load_codec(own)

    def preloaded(self, name: str, rule: LoadRule, seconds: float, shape: Shape) -> tuple[Settings, Written]:
        """Write a log of `seconds` of event time; the same arguments give the same log."""
        own, codec = self.log(name)
        return own, self.fill(own, codec, rule, seconds, shape)

    def fill(self, log: Settings, codec: Codec, rule: LoadRule, seconds: float, shape: Shape) -> Written:
        """Write into an empty log."""
        load = Load(self.city, rule, SEED, START_MS)
        writer = LoadWriter(log, Wire(codec, load.fleet, topics.POSITIONS.partitions), shape)
        said = f"writing {rule.positions_per_s * seconds:,.0f} positions"
        return preload(load, writer, seconds, lambda done, total: self.on_progress(said, done / total))

    def over(self, log: Settings, name: str, *, live: bool = False) -> Settings:
        """Return the settings of an empty run over a log; live: with what an ordinary worker publishes provisionally.

        The ticker stays off: ticks are in the log.
        """
        own = engine_settings(self.settings, f"{PREFIX}{next(self._numbers)}-{name}", log.run)
        own = replace(own, provisional_after_ms=self.settings.provisional_after_ms) if live else own
        make_run(own)
        return own

    def told(self, said: str, most: int) -> Callable[[int], None]:
        """Return what shows how much of `most` is left."""
        return lambda left: self.on_progress(said, 1.0 - min(max(left, 0), most) / max(most, 1))


@contextmanager
def runs_on(settings: Settings, on_progress: OnProgress = lambda said, part: None) -> Iterator[Runs]:
    """Yield what makes runs; what an earlier measurement left goes first, and what this one made in the end."""
    remove_runs(settings)
    try:
        yield Runs(settings, city_of(settings), on_progress)
    finally:
        remove_runs(settings)


def remove_runs(settings: Settings) -> None:
    """Delete the topics and databases of all engine measurements."""
    admin = AdminClient(librdkafka_settings(settings.kafka) | {"log_level": ERRORS_ONLY})
    names = [name for name in admin.list_topics(timeout=WITHIN_S).topics if name.startswith(f"run.{PREFIX}")]
    if names:
        for done in admin.delete_topics(names).values():
            done.result(WITHIN_S)
    found = query(settings.clickhouse_url, "system", "SELECT name FROM system.databases")
    for (name,) in found.rows:
        if name.startswith(f"cityops_{PREFIX.replace('-', '_')}"):
            drop_database(settings.clickhouse_url, name)


def check_shape(shape: Shape) -> None:
    """Raise UsageError when this version has no topic for it."""
    if shape is Shape.FRAMES and "vehicle.frames.v1" not in {topic.name for topic in topics.INPUTS}:
        raise UsageError("this version reads no frames yet: measure singles")
