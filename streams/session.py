"""A session: the stack, the topics, the tables, the schemas and one worker, from nothing to ready and back."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from typing import Any, Final

from rich.console import Console

from processors.city import City, load_city
from schemas.codec import Codec
from schemas.errors import UsageError
from sinks.clickhouse.migrations import drop_database, migrate
from streams.admin import delete_run, ensure_topics
from streams.reach import answering
from streams.registry import load_codec
from streams.settings import LIVE, Settings
from streams.stack import endpoints, start_stack
from streams.workers import WorkerProcess, free_port

WORKER_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """What is running."""

    settings: Settings
    codec: Codec
    city: City
    worker: WorkerProcess


@contextmanager
def stack_running(settings: Settings, console: Console) -> Iterator[Settings]:
    """Make sure that Kafka and ClickHouse answer; end on the way out only what was started here.

    The registry may still be warming up: `load_codec` waits for it only where no ids of an earlier start serve.
    """
    handle = start_stack(settings, console=console, wait_registry=False)
    try:
        yield answering(endpoints(settings))
    finally:
        handle.stop()


@contextmanager
def worker_running(settings: Settings, city: City, console: Console, *, fresh: bool) -> Iterator[Session]:
    """Make topics, tables and schemas ready and run one worker.

    fresh: what an earlier run of this name left (topics, database) goes first.
    """
    settings = replace(settings, web_port=free_port() if settings.run else settings.web_port)
    settings = replace(settings, worker_id=f"{settings.run or LIVE}-worker")
    with alone(settings):
        _check_port(settings)
        with _worker(settings, city, console, fresh=fresh) as session:
            yield session


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the run's lock. Raises UsageError when somebody else runs it from this home."""
    path = settings.home / "runs" / f"{settings.run or LIVE}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"the run {settings.run or LIVE!r} is under way in {settings.home}: "
                "end that first, or give this one another name with --run"
            ) from None
        yield


def _check_port(settings: Settings) -> None:
    """Raise UsageError when somebody else has the worker's port: its page would be taken for ours."""
    with socket(AF_INET6 if ":" in settings.web_bind else AF_INET) as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind((settings.web_bind, settings.web_port))
        except OSError as error:
            raise UsageError(
                f"port {settings.web_port} of {settings.web_bind} cannot be had ({error.strerror}): "
                "end who has it, or set CITYOPS_WEB_PORT to another one"
            ) from None


@contextmanager
def _worker(settings: Settings, city: City, console: Console, *, fresh: bool) -> Iterator[Session]:
    with console.status("topics, tables and schemas"):
        if fresh and settings.run:
            delete_run(settings)
            drop_database(settings.clickhouse_url, settings.database)
            migrate(settings.clickhouse_url, settings.database, settings.ttl_days)
        ensure_topics(settings)
        codec = load_codec(settings)
    worker = WorkerProcess(settings)
    try:
        with console.status("worker"):
            worker.wait_ready(WORKER_READY_S)
        yield Session(settings, codec, city, worker)
    except KeyboardInterrupt:
        worker.kill()  # somebody wants it over; a worker can always be ended like that
        raise
    finally:
        worker.stop()


def city_of(settings: Settings) -> City:
    """Load the city package that the settings name."""
    return load_city(settings.city, settings.units, settings.gtfs)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that everything is taken down in order."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
