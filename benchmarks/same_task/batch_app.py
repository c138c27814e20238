"""A Faust app on the project's batch transport with one agent that is handed the polls of one topic."""

import gc
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import faust
import mode.loop
from faust.types import TP

from benchmarks.same_task.child import RARELY, Job
from streams.heap import keep_pages
from streams.transport import BatchApp, Poll, QuietMonitor


class Committed:
    """The agents' book of offsets: handled is durable, a partition starts at its commit."""

    def __init__(self) -> None:
        self._handled: dict[TP, int] = {}

    def handled(self, poll: Poll) -> None:
        """Note that a poll is done."""
        self._handled[poll.tp] = poll.next_position

    async def start_offsets(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Leave the start to the group's commits."""
        return {}

    def started(self, starts: Mapping[TP, int]) -> None:
        """Forget what another assignment handled."""
        self._handled.clear()

    def durable_offset(self, tp: TP) -> int | None:
        """Return up to where a partition is done."""
        return self._handled.get(tp)


def run(job: Job, handle: Callable[[Poll], None]) -> None:
    """Run the app with an agent that calls `handle` with every poll; `handle` ends the process."""
    gc.set_threshold(*RARELY)
    keep_pages()
    with suppress(ModuleNotFoundError):
        mode.loop.use("uvloop")
    app = BatchApp(
        job.group,
        Monitor=QuietMonitor,
        broker=f"kafka://{job.bootstrap_servers}",
        datadir=Path(job.folder),
        autodiscover=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1_048_576,
        stream_buffer_maxsize=32,
        stream_wait_empty=False,
        web_enabled=False,
    )
    book = app.positions = Committed()

    @app.agent(app.polls(job.topic))
    async def add_up(polls: faust.StreamT[Poll]) -> None:
        async for poll in polls:
            handle(poll)
            book.handled(poll)

    sys.argv = sys.argv[:1]
    faust.Worker(app, loglevel="ERROR").execute_from_commandline()
